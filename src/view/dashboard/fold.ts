import { progressWords } from '../../base/catalogue/dashboard.js'
import type { TensorOrigin } from '../../run/events.js'
import { countsText, formatBytes, formatDuration, plural } from '../text.js'
import type { BuildEvent, TimedEvent } from './build-event.js'
import { addSample, doneBy, type Sample } from './rates.js'
import {
  NOTHING_HEARD,
  type DashboardState,
  type LogEntry,
  type StepState,
  type TensorState,
  type WorkerState,
} from './state.js'

type EventOf<T extends BuildEvent['type']> = Extract<BuildEvent, { readonly type: T }>

/** Lines of log that are kept. */
const MOST_LOG = 5_000
/** The peak rate is measured over this many ms. */
const BEST_OVER = 1_000

/** A copy of a state that one call of `fold` may write to. */
type Draft = { -readonly [K in keyof DashboardState]: DashboardState[K] } & {
  steps: Map<string, StepState>
  tensors: Map<string, TensorState>
  workers: WorkerState[]
  samples: Sample[]
  log: LogEntry[]
}

const NO_TENSOR: TensorState = { name: '', steps: [], state: 'waiting', how: undefined, left: 0, bytes: 0, seconds: 0 }
const NO_STEP: StepState = { planned: undefined, done: 0, seconds: 0, begun: false }

const changeStep = (draft: Draft, name: string, change: (step: StepState) => StepState): void => {
  if (name !== '') draft.steps.set(name, change(draft.steps.get(name) ?? NO_STEP))
}

const say = (draft: Draft, at: number, tone: LogEntry['tone'], text: string, tensor?: string): void =>
  void draft.log.push({ at, tone, text, ...(tensor === undefined ? {} : { tensor }) })

/** The greatest rate: the one before, or that of the second up to the last sample. */
const bestOf = (best: number, samples: readonly Sample[]): number => {
  const last = samples.at(-1)!
  if (last.at - samples[0]!.at < BEST_OVER) return best
  const before = doneBy(samples, last.at - BEST_OVER)
  return Math.max(best, ((last.read + last.written - before.read - before.written) / BEST_OVER) * 1000)
}

/**
 * The share of the bytes that are read and written. A plan counts every pass that may be needed; the tensors finished
 * so far show how many are really needed.
 */
const shareOf = ({ run, read, written, doneBytes, plannedBytes }: Draft): number => {
  if (run === undefined || run.readBytes + run.writeBytes === 0) return 0
  const finished = plannedBytes === 0 ? 0 : Math.min(1, doneBytes / plannedBytes)
  const reads = finished === 0 ? run.readBytes : Math.min(run.readBytes, read / finished)
  return Math.min(1, (Math.min(read, reads) + Math.min(written, run.writeBytes)) / (reads + run.writeBytes))
}

const start = (draft: Draft, event: EventOf<'run-started'>, at: number): void => {
  // A second run starts anew; the plan, the problems and the log of the command stay.
  const { plan, problems, log } = draft
  Object.assign(draft, NOTHING_HEARD, {
    plan,
    problems,
    log,
    steps: new Map(),
    tensors: new Map(),
    run: event,
    began: at,
    phase: 'running',
  })
  draft.samples = [{ at, read: 0, written: 0 }]
  draft.workers = Array.from({ length: event.workers }, () => ({ tensor: '', step: '', last: false, units: 0 }))
  const [read, written] = [formatBytes(event.readBytes), formatBytes(event.writeBytes)]
  const workers = plural(event.workers, 'worker')
  say(draft, at, 'plain', progressWords.started(event.recipe, event.device, workers, read, written))
  if (event.deviceReason !== undefined) say(draft, at, 'faint', `device ${event.device}: ${event.deviceReason}`)
}

const union = (x: readonly string[], y: readonly string[]): readonly string[] =>
  y.every((name) => x.includes(name)) ? x : [...new Set([...x, ...y])]

const planWork = (draft: Draft, { tensors }: EventOf<'work-planned'>): void => {
  for (const { tensor, steps, bytes } of tensors) {
    const known = draft.tensors.get(tensor) ?? NO_TENSOR
    draft.plannedBytes += bytes
    draft.plannedTensors += 1
    draft.tensors.set(tensor, {
      ...known,
      name: tensor,
      steps: union(known.steps, steps),
      bytes: known.bytes + bytes,
      left: known.left + 1,
    })
    for (const step of steps) changeStep(draft, step, (s) => ({ ...s, planned: (s.planned ?? 0) + 1 }))
  }
}

const touch = (draft: Draft, name: string, step: string): void => {
  if (name === '') return
  const tensor = draft.tensors.get(name) ?? { ...NO_TENSOR, name, steps: step === '' ? [] : [step] }
  if (tensor.state !== 'done') draft.tensors.set(name, { ...tensor, state: 'working' })
  for (const each of tensor.steps) changeStep(draft, each, (s) => (s.begun ? s : { ...s, begun: true }))
}

const finishUnits = (draft: Draft, event: EventOf<'units-finished'>, at: number): void => {
  draft.read = event.readBytes
  draft.written = event.writtenBytes
  if (addSample(draft.samples, { at, read: event.readBytes, written: event.writtenBytes }))
    draft.best = bestOf(draft.best, draft.samples)
  draft.share = Math.max(draft.share, shareOf(draft))
  touch(draft, event.tensor, event.step)
  const next = event.next === undefined || event.next === '' ? undefined : event.next
  if (next !== undefined) touch(draft, next, '')
  const before = draft.workers[event.worker]
  const step = next === undefined ? event.step : (draft.tensors.get(next)?.steps.at(-1) ?? event.step)
  draft.workers[event.worker] = {
    tensor: next ?? event.tensor,
    step,
    last: next === undefined,
    units: (before?.units ?? 0) + event.units,
  }
  for (let i = 0; i < draft.workers.length; i++) draft.workers[i] ??= { tensor: '', step: '', last: false, units: 0 }
}

const ORIGIN_WORDS = { computed: 'computed', copied: 'copied  ', reused: 'reused  ' } as const
/** Tensors of fewer bytes share a line of the log with those before them. */
const SMALL = 1_000_000

const sayFinished = (
  draft: Draft,
  at: number,
  how: TensorOrigin,
  bytes: number,
  seconds: number,
  tensor: string,
): void => {
  const text = (size: number, time: number): string =>
    `${ORIGIN_WORDS[how]} ${formatBytes(size).padStart(7)} in ${formatDuration(time)}`
  const last = draft.log.at(-1)
  if (bytes >= SMALL) return say(draft, at, 'faint', text(bytes, seconds), tensor)
  const before = last?.small?.how === how ? last.small : { how, count: 0, bytes: 0, seconds: 0 }
  const small = { how, count: before.count + 1, bytes: before.bytes + bytes, seconds: before.seconds + seconds }
  if (before.count > 0) draft.log.pop()
  draft.log.push({
    at,
    tone: 'faint',
    text: text(small.bytes, small.seconds),
    tensor: small.count === 1 ? tensor : plural(small.count, 'small tensor'),
    small,
  })
}

const finishTensor = (
  draft: Draft,
  { tensor, steps, how, bytes, seconds, stepSeconds }: EventOf<'tensor-finished'>,
  at: number,
): void => {
  const known = draft.tensors.get(tensor) ?? { ...NO_TENSOR, name: tensor, left: 1 }
  // A run that did not tell its tensors in advance tells their sizes now.
  const told = known.bytes === 0 ? bytes : known.bytes
  const left = Math.max(0, known.left - 1)
  draft.tensors.set(tensor, {
    ...known,
    steps: union(known.steps, steps),
    how,
    bytes: told,
    seconds,
    left,
    state: left === 0 ? 'done' : 'working',
  })
  draft.finished = { ...draft.finished, [how]: draft.finished[how] + 1 }
  for (const step of steps) {
    // A stream of an earlier version does not tell the steps' shares.
    const own = stepSeconds === undefined ? (seconds - known.seconds) / steps.length : 0
    changeStep(draft, step, (s) => ({ ...s, begun: true, done: s.done + 1, seconds: s.seconds + own }))
  }
  for (const [step, own] of Object.entries(stepSeconds ?? {}))
    changeStep(draft, step, (s) => ({ ...s, seconds: s.seconds + own }))
  draft.doneBytes += bytes
  sayFinished(draft, at, how, bytes, seconds, tensor)
}

const end = (draft: Draft, phase: 'finished' | 'failed', seconds: number): void => {
  draft.phase = phase
  draft.seconds = seconds
  draft.workers = draft.workers.map((w) => ({ ...w, last: true }))
}

const hear = (draft: Draft, event: BuildEvent, at: number): void => {
  draft.heard = at
  switch (event.type) {
    case 'plan-made':
      draft.plan = event.plan
      return
    case 'download-started':
      return say(draft, at, 'faint', progressWords.downloadOf(event.repository, event.files, formatBytes(event.bytes)))
    case 'bytes-downloaded':
    case 'download-finished':
      return
    case 'run-started':
      return start(draft, event, at)
    case 'step-counted':
      return say(draft, at, 'faint', `${event.step}: ${countsText(event.counts)}`)
    case 'work-planned':
      return planWork(draft, event)
    case 'units-finished':
      return finishUnits(draft, event, at)
    case 'tensor-finished':
      return finishTensor(draft, event, at)
    case 'memory-measured':
      draft.memory = { now: event.bytes, peak: Math.max(draft.memory.peak, event.bytes) }
      return
    case 'output-written':
    case 'output-kept':
      draft.outputs = [...draft.outputs, { ...event, kept: event.type === 'output-kept' }]
      return say(
        draft,
        at,
        'good',
        `${event.type === 'output-kept' ? 'unchanged' : 'wrote'} ${event.path}: ${formatBytes(event.bytes)}, ${event.digest}`,
      )
    case 'report-written':
      draft.reports = [...draft.reports, event]
      return say(draft, at, 'good', progressWords.report(event.path, formatBytes(event.bytes)))
    case 'lock-written':
      draft.lock = event
      return say(
        draft,
        at,
        'good',
        event.changed ? `wrote ${event.path}: ${event.changes.join(', ')}` : progressWords.upToDate(event.path),
      )
    case 'problem-found':
      draft.problems = [...draft.problems, event.diagnostic]
      return say(
        draft,
        at,
        event.diagnostic.severity === 'error' ? 'bad' : 'warn',
        `${event.diagnostic.severity}: ${event.diagnostic.message}`,
      )
    case 'stop-requested':
      draft.phase = 'stopping'
      return say(draft, at, 'warn', `${event.signal}: ${progressWords.stopping}`)
    case 'run-finished':
      draft.read = event.readBytes
      draft.written = event.writtenBytes
      draft.memory = { ...draft.memory, peak: Math.max(draft.memory.peak, event.peakMemory) }
      draft.longestPause = event.longestPause
      draft.share = 1
      for (const [step, own] of Object.entries(event.stepSeconds ?? {}))
        changeStep(draft, step, (s) => ({ ...s, seconds: own }))
      end(draft, 'finished', event.seconds)
      return say(draft, at, 'good', `finished in ${formatDuration(event.seconds)}`)
    case 'run-failed':
      end(draft, 'failed', event.seconds)
      return say(draft, at, 'bad', progressWords.notFinished(formatDuration(event.seconds)))
    case 'command-ended':
      draft.exit = event.exit
      return
    default:
      // A newer smelt may tell more than this one knows.
      event satisfies never
  }
}

/**
 * The state after more events, in order. Pure: the given state is not changed. One call for many events costs little
 * more than one call for one.
 */
export const fold = (state: DashboardState, heard: readonly TimedEvent[]): DashboardState => {
  if (heard.length === 0) return state
  const draft: Draft = {
    ...state,
    steps: new Map(state.steps),
    tensors: new Map(state.tensors),
    workers: [...state.workers],
    samples: [...state.samples],
    log: [...state.log],
  }
  for (const { event, at } of heard) hear(draft, event, at)
  if (draft.log.length > MOST_LOG) draft.log = draft.log.slice(-MOST_LOG)
  return draft
}
