import { escapeControls } from '../base/excerpt.js'
import type { Draft } from '../plan/draft.js'
import type { Plan } from '../plan/plan.js'
import { countParts, paint, type Look } from './text.js'

/** One line for a recipe in which no error was found; its plan has no work, so the draft tells what is written. */
export const renderChecked = (
  recipe: string,
  { plan, draft }: { readonly plan: Plan; readonly draft: Draft },
  look: Look,
): string =>
  `${escapeControls(recipe)}: ${paint(look, 'good', 'ok')}, ${countParts(
    plan.models,
    plan.steps.length,
    draft.outputs.length + draft.reports.length,
  )}\n`
