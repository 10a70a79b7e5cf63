import { escapeControls } from '../base/excerpt.js'
import type { RunEvent } from '../run/events.js'
import { formatBytes, formatDuration, paint, plural, type Look } from './text.js'

type Written = RunEvent & { readonly type: 'output-written' }
type Finished = RunEvent & { readonly type: 'run-finished' }

/** What a build wrote, how long that took, and how fast it was; `''` for a build that did not finish. */
export const renderSummary = (events: readonly RunEvent[], look: Look): string => {
  const finished = events.find((e): e is Finished => e.type === 'run-finished')
  if (finished === undefined) return ''
  const written = events.filter((e): e is Written => e.type === 'output-written').flatMap((e) => [
    `${paint(look, 'good', 'wrote')} ${escapeControls(e.path)}  ${formatBytes(e.bytes)}, ${plural(e.tensors, 'tensor')}${e.files === 1 ? '' : `, ${plural(e.files, 'file')}`}`,
    `      ${paint(look, 'faint', e.digest)}`,
  ])
  const { seconds, readBytes, writtenBytes, peakMemory } = finished
  const rate = seconds > 0 ? `, ${formatBytes((readBytes + writtenBytes) / seconds)}/s` : ''
  const done = `done in ${formatDuration(seconds)}: read ${formatBytes(readBytes)}, wrote ${formatBytes(writtenBytes)}${rate}; peak memory ${formatBytes(peakMemory)}`
  return `${[...written, done].join('\n')}\n`
}
