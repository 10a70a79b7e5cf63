import { escapeControls } from '../base/excerpt.js'
import type { Converted } from '../pytorch/convert.js'
import { formatBytes, paint, plural, type Look } from './text.js'

/** What was converted, what was done besides copying, and where the copy lies. */
export const renderConverted = ({ path, out, notes, tensors, bytes }: Converted, look: Look): string =>
  `${[
    `${paint(look, 'good', 'converted')} ${escapeControls(path)}`,
    ...notes.map((text) => `  ${escapeControls(text)}`),
    `${paint(look, 'good', 'wrote')} ${escapeControls(out)}  ${formatBytes(bytes)}, ${plural(tensors, 'tensor')}`,
  ].join('\n')}\n`
