import type { JsonDiagnostic } from '../../base/screen.js'
import type { OutputFacts, TensorOrigin } from '../../run/events.js'
import type { PlanOutline } from '../plan-outline.js'
import type { BuildEvent } from './build-event.js'
import type { Sample } from './rates.js'

type EventOf<T extends BuildEvent['type']> = Extract<BuildEvent, { readonly type: T }>

/** One tensor, in all outputs that have it. `seconds` is worker time. */
export interface TensorState {
  readonly name: string
  readonly steps: readonly string[]
  readonly state: 'waiting' | 'working' | 'done'
  readonly how: TensorOrigin | undefined
  /** Outputs in which it is not complete yet. */
  readonly left: number
  readonly bytes: number
  readonly seconds: number
}

/**
 * The progress of one step: the tensors that it computes, how many of them are done, and its share of the worker time
 * in seconds.
 */
export interface StepState {
  /** Undefined if the run did not announce its tensors. */
  readonly planned: number | undefined
  readonly done: number
  readonly seconds: number
  /** True once a worker has started on it. */
  readonly begun: boolean
}

/** One worker, and its current tensor or, if `last` is true, its last one. */
export interface WorkerState {
  readonly tensor: string
  readonly step: string
  readonly last: boolean
  readonly units: number
}

/** One line of the log. */
export interface LogEntry {
  readonly at: number
  readonly tone: 'plain' | 'good' | 'bad' | 'warn' | 'faint'
  readonly text: string
  /** The tensor it is about, which stands behind the text. */
  readonly tensor?: string
  /** Small tensors that came to be one after the other and share the line. */
  readonly small?: {
    readonly how: TensorOrigin
    readonly count: number
    readonly bytes: number
    readonly seconds: number
  }
}

/** A build as known from its events. Times are in ms of the clock of the events. */
export interface DashboardState {
  readonly phase: 'waiting' | 'running' | 'stopping' | 'finished' | 'failed'
  readonly plan: PlanOutline | undefined
  readonly run: EventOf<'run-started'> | undefined
  /** When the run started, and when the last event was heard. */
  readonly began: number | undefined
  readonly heard: number
  readonly steps: ReadonlyMap<string, StepState>
  readonly tensors: ReadonlyMap<string, TensorState>
  readonly workers: readonly WorkerState[]
  readonly read: number
  readonly written: number
  /** How much is done, as a share of 1; it never falls. */
  readonly share: number
  /** Bytes of the finished tensors, and of all announced ones. */
  readonly doneBytes: number
  readonly plannedBytes: number
  /** Announced tensors, each once for every output that has it. */
  readonly plannedTensors: number
  readonly samples: readonly Sample[]
  /** The greatest rate over a second so far, in bytes a second; 0 while none is known. */
  readonly best: number
  readonly memory: { readonly now: number | undefined; readonly peak: number }
  /** The longest time, in seconds, that the build's main thread did not respond; undefined until it is known. */
  readonly longestPause: number | undefined
  readonly finished: Readonly<Record<TensorOrigin, number>>
  readonly outputs: readonly (OutputFacts & { readonly kept: boolean })[]
  readonly reports: readonly EventOf<'report-written'>[]
  readonly lock: EventOf<'lock-written'> | undefined
  readonly problems: readonly JsonDiagnostic[]
  readonly log: readonly LogEntry[]
  readonly seconds: number | undefined
  readonly exit: number | undefined
}

/** The state before any event. */
export const NOTHING_HEARD: DashboardState = {
  phase: 'waiting',
  plan: undefined,
  run: undefined,
  began: undefined,
  longestPause: undefined,
  heard: 0,
  steps: new Map(),
  tensors: new Map(),
  workers: [],
  read: 0,
  written: 0,
  share: 0,
  doneBytes: 0,
  plannedBytes: 0,
  plannedTensors: 0,
  samples: [],
  best: 0,
  memory: { now: undefined, peak: 0 },
  finished: { computed: 0, copied: 0, reused: 0 },
  outputs: [],
  reports: [],
  lock: undefined,
  problems: [],
  log: [],
  seconds: undefined,
  exit: undefined,
}
