import { progressWords } from '../base/catalogue/dashboard.js'
import { escapeControls } from '../base/excerpt.js'
import type { RunEvent } from '../run/events.js'
import { cutMiddle, formatBytes, formatDuration } from './text.js'

/** The progress of a build, from its events. */
export interface Progress {
  readonly total: number
  readonly done: number
  readonly step: string
  readonly tensor: string
  /** Bytes done at moments in ms, oldest first, over the last seconds. */
  readonly samples: readonly { readonly at: number; readonly done: number }[]
  readonly state: 'waiting' | 'downloading' | 'running' | 'finished' | 'failed'
}

/** A build that has not begun. */
export const NO_PROGRESS: Progress = { total: 0, done: 0, step: '', tensor: '', samples: [], state: 'waiting' }

/** The rate is measured over this many ms: short enough to follow a disk that slows down, long enough to be steady. */
const WINDOW = 10_000

const withSample = (samples: Progress['samples'], at: number, done: number): Progress['samples'] => {
  const from = samples.findIndex((s) => s.at >= at - WINDOW)
  return [...(from === -1 ? [] : samples.slice(from)), { at, done }]
}

/** The progress after one more event, heard at `at` ms. */
export const foldEvent = (progress: Progress, event: RunEvent, at: number): Progress => {
  switch (event.type) {
    case 'bytes-downloaded':
      return {
        ...progress,
        total: event.total,
        done: event.bytes,
        tensor: progressWords.downloading(event.repository),
        samples: withSample(progress.samples, at, event.bytes),
        state: 'downloading',
      }
    case 'download-finished':
      return NO_PROGRESS
    case 'run-started':
      return { ...NO_PROGRESS, total: event.readBytes + event.writeBytes, samples: [{ at, done: 0 }], state: 'running' }
    case 'units-finished': {
      // A search for equal magnitudes may read more than was planned; a bar that passes its end helps nobody.
      const done = Math.min(progress.total, event.readBytes + event.writtenBytes)
      return {
        ...progress,
        done,
        step: event.step,
        tensor: event.tensor,
        samples: withSample(progress.samples, at, done),
      }
    }
    case 'run-finished':
      return { ...progress, done: progress.total, state: 'finished' }
    case 'run-failed':
      return { ...progress, state: 'failed' }
    default:
      return progress
  }
}

/** Bytes a second over the last seconds; undefined while too little is known. */
export const rateOf = ({ samples }: Progress): number | undefined => {
  const [first, last] = [samples[0], samples.at(-1)]
  if (first === undefined || last === undefined || last.at - first.at < 100) return undefined
  return ((last.done - first.done) / (last.at - first.at)) * 1000
}

const percentOf = ({ total, done }: Progress): number => (total === 0 ? 0 : Math.floor((100 * done) / total))

const BAR = 20

const bar = (percent: number): string => {
  const filled = Math.floor((percent * BAR) / 100)
  return `[${'='.repeat(Math.max(0, filled - 1))}${filled > 0 ? '>' : ''}${' '.repeat(BAR - filled)}]`
}

interface Figures {
  readonly percent: string
  readonly bytes: string
  readonly rate: readonly string[]
  readonly left: readonly string[]
}

const figuresOf = (progress: Progress): Figures => {
  const rate = rateOf(progress)
  const known = rate !== undefined && rate > 0
  return {
    percent: `${percentOf(progress)}%`,
    bytes: `${formatBytes(progress.done)} of ${formatBytes(progress.total)}`,
    rate: known ? [`${formatBytes(rate)}/s`] : [],
    left: known ? [`${formatDuration((progress.total - progress.done) / rate)} left`] : [],
  }
}

const placeOf = ({ step, tensor }: Progress): string =>
  escapeControls(step === '' ? tensor : tensor === '' ? step : `${step}: ${tensor}`)

/** One line for a terminal, at most `width` columns wide: what is done, how fast, and the current tensor if it fits. */
export const renderProgress = (progress: Progress, width: number): string => {
  const { percent, bytes, rate, left } = figuresOf(progress)
  const place = placeOf(progress)
  const whole = [percent, bytes, ...rate, ...left]
  const lines = [[bar(percentOf(progress)), ...whole], whole, [percent, ...rate, ...left], [percent, ...left]]
  const line = lines.map((parts) => parts.join('  ')).find((text) => text.length <= width) ?? percent
  const room = width - line.length - 2
  return room >= 12 && place !== '' ? `${line}  ${cutMiddle(place, room)}` : line
}

/** What there is to tell while the plan is made. */
export const renderPlanning = (seconds: number): string => `planning for ${formatDuration(Math.floor(seconds))}`

/** One line for a log, which keeps it. */
export const renderLogLine = (progress: Progress): string => {
  const { percent, bytes, rate, left } = figuresOf(progress)
  return [percent, bytes, ...rate, ...left, placeOf(progress)].filter((part) => part !== '').join('  ')
}
