import { escapeControls } from '../base/excerpt.js'
import type { RunEvent } from '../run/events.js'
import { countsText, formatBytes, formatDuration, paint, plural, type Look } from './text.js'

type Written = RunEvent & { readonly type: 'output-written' }
type Kept = RunEvent & { readonly type: 'output-kept' }
type Locked = RunEvent & { readonly type: 'lock-written' }
type Drawn = RunEvent & { readonly type: 'report-written' }
type Counted = RunEvent & { readonly type: 'step-counted' }
type Finished = RunEvent & { readonly type: 'run-finished' }

/** What a build wrote, how long that took, and how fast it was; `''` for a build that did not finish. */
export const renderSummary = (events: readonly RunEvent[], look: Look): string => {
  const finished = events.find((e): e is Finished => e.type === 'run-finished')
  if (finished === undefined) return ''
  const sizeOf = (e: Written | Kept): string => [formatBytes(e.bytes), plural(e.tensors, 'tensor'), ...(e.files === 1 ? [] : [plural(e.files, 'file')])].join(', ')
  const written = events.filter((e): e is Written => e.type === 'output-written').flatMap((e) => [
    `${paint(look, 'good', 'wrote')} ${escapeControls(e.path)}  ${sizeOf(e)}`,
    `      ${paint(look, 'faint', e.digest)}`,
  ])
  const kept = events.filter((e): e is Kept => e.type === 'output-kept').flatMap((e) => [
    `${paint(look, 'good', 'kept ')} ${escapeControls(e.path)}  ${sizeOf(e)}, as they would be written`,
    `      ${paint(look, 'faint', e.digest)}`,
  ])
  const locked = events.filter((e): e is Locked => e.type === 'lock-written' && e.changed).flatMap((e) => [
    `${paint(look, 'good', 'wrote')} ${escapeControls(e.path)}  ${['the lock', ...e.changes.slice(0, 3).map(escapeControls), ...(e.changes.length > 3 ? [`and ${e.changes.length - 3} more`] : [])].join('; ').replace(';', ':')}`,
  ])
  const drawn = events.filter((e): e is Drawn => e.type === 'report-written').map((e) => `${paint(look, 'good', 'wrote')} ${escapeControls(e.path)}  ${formatBytes(e.bytes)}, a report`)
  const counted = events.filter((e): e is Counted => e.type === 'step-counted').map((e) => `${paint(look, 'name', 'step ')} ${escapeControls(e.step)}  ${countsText(e.counts)} of ${plural(e.tensors, 'tensor')}`)
  const { seconds, readBytes, writtenBytes, peakMemory } = finished
  const rate = seconds > 0 ? `, ${formatBytes((readBytes + writtenBytes) / seconds)}/s` : ''
  const { reused = 0, cached = 0 } = events.find((e) => e.type === 'run-started') ?? {}
  const saved = [...(reused > 0 ? [`${plural(reused, 'tensor')} taken over`] : []), ...(cached > 0 ? [`${plural(cached, 'threshold or sum', 'thresholds and sums')} remembered`] : [])]
  const moved = readBytes + writtenBytes === 0 ? 'nothing had to be read or written' : `read ${formatBytes(readBytes)}, wrote ${formatBytes(writtenBytes)}${rate}`
  const done = `done in ${formatDuration(seconds)}: ${moved}`
  return `${[...counted, ...written, ...kept, ...drawn, ...locked, `${done}${saved.length > 0 ? `; ${saved.join(', ')} from earlier builds` : ''}; peak memory ${formatBytes(peakMemory)}`].join('\n')}\n`
}

/** That a watch goes on, and how it ends. */
export const renderWatching = (files: number): string =>
  files === 0 ? 'watching the recipe: it is built again when it changes; Ctrl-C ends the watch' : `watching ${plural(files, 'file')}: built again when one changes; Ctrl-C ends the watch`
