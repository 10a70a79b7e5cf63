import { escapeControls } from '../base/excerpt.js'
import { describeChange } from '../store/compare-locks.js'
import type { OutlinedStep } from './plan-outline.js'
import { reasonText } from './reason-text.js'
import { paint, plural, type Look } from './text.js'

/** Why steps run, one after the other, change by change. */
export const renderWhy = (steps: readonly OutlinedStep[], look: Look): string => {
  const lines = steps.flatMap((s) => [
    `${paint(look, 'name', s.name)}  ${s.op}${s.neededBy.length === 0 ? '' : `, for ${plural(s.neededBy.length, 'output')}: ${s.neededBy.join(', ')}`}`,
    ...s.reasons
      .flatMap((reason) => ('changes' in reason ? reason.changes.map(describeChange) : [reasonText(s.step, reason)]))
      .map((text) => `  ${escapeControls(text)}`),
  ])
  return `${lines.join('\n')}\n`
}
