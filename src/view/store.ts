import { doneWords } from '../base/catalogue/screens.js'
import { escapeControls } from '../base/excerpt.js'
import type { StoredEntry } from '../store/store.js'
import { align, formatBytes, formatDuration, paint, plural, type Look } from './text.js'

/** The line that says what was removed from a store. */
export const renderFreed = (bytes: number, folder: string): string =>
  `${doneWords.cacheFreed(formatBytes(bytes), folder)}\n`

/** What a store holds, by kind, and the entries that were used last. */
export const renderStore = (
  folder: string,
  limit: number,
  entries: readonly StoredEntry[],
  now: number,
  look: Look,
): string => {
  const total = entries.reduce((n, e) => n + e.bytes, 0)
  const rows = entries
    .toReversed()
    .map((e) => [
      paint(look, 'name', escapeControls(e.path)),
      doneWords.cacheHolds[e.kind],
      formatBytes(e.bytes),
      `used ${formatDuration(Math.max(0, (now - e.used) / 1000))} ago`,
    ])
  return `${[`${escapeControls(folder)}: ${formatBytes(total)} of ${formatBytes(limit)} in ${plural(entries.length, 'entry', 'entries')}`, ...align(rows, [2], '  ')].join('\n')}\n`
}
