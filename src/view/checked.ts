import { escapeControls } from '../base/excerpt.js'
import type { Plan } from '../plan/plan.js'
import { paint, plural, type Look } from './text.js'

/** One line for a recipe in which no error was found. */
export const renderChecked = (recipe: string, plan: Plan, look: Look): string =>
  `${[
    `${escapeControls(recipe)}: ${paint(look, 'good', 'ok')}`,
    plural(plan.models.length, 'model'),
    plural(plan.steps.length, 'step'),
    plural(plan.outputs.length + plan.reports.length, 'output'),
  ].join(', ')}\n`
