import { escapeControls } from '../base/excerpt.js'
import type { RunEvent } from '../run/events.js'
import { formatBytes, formatDuration, paint, plural, type Look } from './text.js'

type Written = RunEvent & { readonly type: 'output-written' }
type Drawn = RunEvent & { readonly type: 'report-written' }
type Finished = RunEvent & { readonly type: 'run-finished' }

/** What a build wrote, how long that took, and how fast it was; `''` for a build that did not finish. */
export const renderSummary = (events: readonly RunEvent[], look: Look): string => {
  const finished = events.find((e): e is Finished => e.type === 'run-finished')
  if (finished === undefined) return ''
  const sizeOf = (e: Written): string => [formatBytes(e.bytes), plural(e.tensors, 'tensor'), ...(e.files === 1 ? [] : [plural(e.files, 'file')])].join(', ')
  const written = events.filter((e): e is Written => e.type === 'output-written').flatMap((e) => [
    `${paint(look, 'good', 'wrote')} ${escapeControls(e.path)}  ${sizeOf(e)}`,
    `      ${paint(look, 'faint', e.digest)}`,
  ])
  const drawn = events.filter((e): e is Drawn => e.type === 'report-written').map((e) => `${paint(look, 'good', 'wrote')} ${escapeControls(e.path)}  ${formatBytes(e.bytes)}, a report`)
  const { seconds, readBytes, writtenBytes, peakMemory } = finished
  const rate = seconds > 0 ? `, ${formatBytes((readBytes + writtenBytes) / seconds)}/s` : ''
  const done = `done in ${formatDuration(seconds)}: read ${formatBytes(readBytes)}, wrote ${formatBytes(writtenBytes)}${rate}`
  return `${[...written, ...drawn, `${done}; peak memory ${formatBytes(peakMemory)}`].join('\n')}\n`
}
