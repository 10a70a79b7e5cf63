import { doneWords } from '../base/catalogue/screens.js'
import { escapeControls } from '../base/excerpt.js'
import type { RunEvent } from '../run/events.js'
import { countsText, formatBytes, formatDuration, paint, plural, type Look } from './text.js'

type OutputWritten = RunEvent & { readonly type: 'output-written' }
type Kept = RunEvent & { readonly type: 'output-kept' }
type Locked = RunEvent & { readonly type: 'lock-written' }
type Drawn = RunEvent & { readonly type: 'report-written' }
type Counted = RunEvent & { readonly type: 'step-counted' }
type Finished = RunEvent & { readonly type: 'run-finished' }

/**
 * What a build wrote, how many seconds the whole command took, and how fast it moved bytes; `''` for a build that did
 * not finish. `byTasks` where others moved them.
 */
export const renderSummary = (events: readonly RunEvent[], look: Look, all: number, byTasks = false): string => {
  const finished = events.find((e): e is Finished => e.type === 'run-finished')
  if (finished === undefined) return ''
  const sizeOf = (e: OutputWritten | Kept): string =>
    [formatBytes(e.bytes), plural(e.tensors, 'tensor'), ...(e.files === 1 ? [] : [plural(e.files, 'file')])].join(', ')
  const written = events
    .filter((e): e is OutputWritten => e.type === 'output-written')
    .flatMap((e) => [
      `${paint(look, 'good', 'wrote')} ${escapeControls(e.path)}  ${sizeOf(e)}`,
      `      ${paint(look, 'faint', e.digest)}`,
    ])
  const kept = events
    .filter((e): e is Kept => e.type === 'output-kept')
    .flatMap((e) => [
      `${paint(look, 'good', 'unchanged')} ${escapeControls(e.path)}  ${sizeOf(e)}`,
      `      ${paint(look, 'faint', e.digest)}`,
    ])
  const locked = events
    .filter((e): e is Locked => e.type === 'lock-written' && e.changed)
    .flatMap((e) => [`${paint(look, 'good', 'wrote')} ${escapeControls(e.path)}  ${changesOf(e.changes)}`])
  const drawn = events
    .filter((e): e is Drawn => e.type === 'report-written')
    .map((e) => `${paint(look, 'good', 'wrote')} ${escapeControls(e.path)}  ${formatBytes(e.bytes)}, a report`)
  const counted = events
    .filter((e): e is Counted => e.type === 'step-counted')
    .map(
      (e) =>
        `${paint(look, 'name', 'step ')} ${escapeControls(e.step)}  ${countsText(e.counts)} of ${plural(e.tensors, 'tensor')}`,
    )
  const { seconds, readBytes, writtenBytes, peakMemory } = finished
  const rate = seconds > 0 ? `, ${formatBytes((readBytes + writtenBytes) / seconds)}/s` : ''
  const { reused = 0, cached = 0 } = events.find((e) => e.type === 'run-started') ?? {}
  const saved = [
    ...(reused > 0 ? [`${plural(reused, 'tensor')}`] : []),
    // Those of tasks are the run's own.
    ...(cached > 0 && !byTasks ? [`${plural(cached, 'threshold or sum', 'thresholds and sums')}`] : []),
  ]
  const moved =
    readBytes + writtenBytes === 0
      ? byTasks
        ? doneWords.movedByTasks
        : doneWords.notMoved
      : `${doneWords.moved(formatBytes(readBytes), formatBytes(writtenBytes))}${rate}`
  const done = `done in ${formatDuration(Math.max(all, seconds))}: ${moved}`
  return `${[...counted, ...written, ...kept, ...drawn, ...locked, `${done}${saved.length > 0 ? `; ${doneWords.reused(saved)}` : ''}; peak memory ${formatBytes(peakMemory)}`].join('\n')}\n`
}

/** What changed in the lock, in a line: `(new)`, or the first changes. */
const changesOf = (changes: readonly string[]): string => {
  if (changes.length === 1 && changes[0] === 'new') return '(new)'
  return [
    ...changes.slice(0, 3).map(escapeControls),
    ...(changes.length > 3 ? [`and ${changes.length - 3} more`] : []),
  ].join('; ')
}

/** That a watch goes on, and how it ends. */
export const renderWatching = (files: number): string =>
  doneWords.watching(files === 0 ? 'the recipe' : plural(files, 'file'))
