import { doneWords } from '../base/catalogue/screens.js'
import { escapeControls } from '../base/excerpt.js'
import type { Repaired } from '../safetensors/repair.js'
import { formatBytes, paint, plural, type Look } from './text.js'

/** What was repaired, defect by defect, and where the copy lies. */
export const renderRepaired = ({ path, out, mended, tensors, bytes }: Repaired, look: Look): string => {
  if (out === undefined)
    return `${escapeControls(path)}: ${paint(look, 'good', 'ok')}, ${doneWords.nothingToRepair(plural(tensors, 'tensor'))}\n`
  return `${[
    `${paint(look, 'good', 'repaired')} ${escapeControls(path)}`,
    ...mended.map((text) => `  ${escapeControls(text)}`),
    `${paint(look, 'good', 'wrote')} ${escapeControls(out)}  ${formatBytes(bytes)}, ${plural(tensors, 'tensor')}`,
  ].join('\n')}\n`
}
