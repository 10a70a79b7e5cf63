import { doneWords } from '../base/catalogue/screens.js'
import { escapeControls } from '../base/excerpt.js'
import type { Verification } from '../run/verify.js'
import { align, formatBytes, formatDuration, paint, plural, type Look } from './text.js'

/** That everything matches the lock, file by file. */
export const renderVerified = ({ files, bytes, seconds }: Verification, look: Look): string => {
  const rows = files.map((f) => [
    paint(look, 'good', 'same'),
    f.type,
    escapeControls([f.path, ...f.sides].join(' with ')),
    formatBytes(f.bytes),
    plural(f.tensors, 'tensor'),
  ])
  const rate = seconds > 0 ? `, ${formatBytes(bytes / seconds)}/s` : ''
  return `${[...align(rows, [3, 4], ''), `${doneWords.verified(plural(files.length, 'file'), files.length === 1, formatBytes(bytes), formatDuration(seconds))}${rate}`].join('\n')}\n`
}
