import type { Digest } from '../base/digest.js'
import type { Diagnostic } from '../base/diagnostic.js'
import type { Timings } from './stopwatch.js'
import type { ReportFormat } from '../operators/report-document.js'

/** What there is to do for one tensor of an output: the steps whose work it is, and the bytes that it takes. */
export interface PlannedTensor {
  readonly output: string
  readonly tensor: string
  readonly steps: readonly string[]
  readonly bytes: number
}

/** Where a tensor came from: computed, copied from an input, or reused from an earlier build. */
export type TensorOrigin = 'computed' | 'copied' | 'reused'

/** An output has its final name. */
export interface OutputFacts {
  readonly name: string
  readonly path: string
  readonly files: number
  readonly bytes: number
  readonly tensors: number
  readonly digest: Digest
}

/** What happens during a build, each event once and in order. Listeners get all their information from these. */
export type RunEvent =
  /** Before the run: files of a repository of the hub are to be had. Twice for a model in shards. */
  | {
      readonly type: 'download-started'
      readonly repository: string
      readonly files: number
      readonly bytes: number
    }
  /** Now and then: bytes on disk, and to be had, of all downloads of the build. */
  | {
      readonly type: 'bytes-downloaded'
      readonly repository: string
      readonly bytes: number
      readonly total: number
    }
  /** A repository is complete, or `ok` is false. */
  | {
      readonly type: 'download-finished'
      readonly repository: string
      readonly ok: boolean
      readonly bytes: number
      readonly total: number
    }
  | {
      readonly type: 'run-started'
      readonly recipe: string
      readonly device: string
      readonly workers: number
      readonly jobs: number
      readonly seed: number | string
      readonly readBytes: number
      readonly writeBytes: number
      /**
       * Tensors of all outputs; `reused` of them come from earlier builds. `cached` measures are known from earlier
       * builds.
       */
      readonly tensors: number
      readonly reused: number
      readonly cached: number
      /** Most bytes of memory the plan expects to hold. */
      readonly memoryBudget: number
      /** Why this device was chosen, where there was a choice. */
      readonly deviceReason?: string
    }
  /**
   * A step that does not merge every tensor: how many it merges, and how many are `kept`, `missing`, `mismatched`,
   * `unmasked`, `dropped` or `unmatched`. Sent before the work, also for steps whose result is reused.
   */
  | {
      readonly type: 'step-counted'
      readonly step: string
      readonly op: string
      readonly tensors: number
      readonly counts: Readonly<Record<string, number>>
    }
  /** Told once, in the order in which the tensors are begun. */
  | { readonly type: 'work-planned'; readonly tensors: readonly PlannedTensor[] }
  /**
   * Bytes are totals of the run so far. `next` is the tensor that the worker processes next; `''` if it has no work.
   */
  | {
      readonly type: 'units-finished'
      readonly worker: number
      readonly tensor: string
      readonly step: string
      readonly units: number
      readonly readBytes: number
      readonly writtenBytes: number
      readonly next?: string
    }
  | ({ readonly type: 'output-written' } & OutputFacts)
  /**
   * A tensor of an output is complete. `steps` computed it; `seconds` are worker seconds, over all its passes.
   * `stepSeconds` adds to each step the time of the tensor since its last event, in proportion to the step's
   * operations.
   */
  | {
      readonly type: 'tensor-finished'
      readonly output: string
      readonly tensor: string
      readonly steps: readonly string[]
      readonly how: TensorOrigin
      readonly bytes: number
      readonly seconds: number
      readonly stepSeconds?: Readonly<Record<string, number>>
    }
  /** Memory the program holds, about once a second. */
  | { readonly type: 'memory-measured'; readonly bytes: number }
  /** An output that was already up to date. */
  | ({ readonly type: 'output-kept' } & OutputFacts)
  /** `changes` tell in words how the lock differs from the one before. */
  | {
      readonly type: 'lock-written'
      readonly path: string
      readonly changed: boolean
      readonly changes: readonly string[]
    }
  | {
      readonly type: 'report-written'
      readonly name: string
      readonly path: string
      readonly format: ReportFormat | 'csv'
      readonly bytes: number
    }
  /**
   * `spent` are worker seconds by activity; `stepSeconds` the same by step, including reductions for reports;
   * `longestPause` is the longest time that the main thread did not respond, planning included.
   */
  | {
      readonly type: 'run-finished'
      readonly seconds: number
      readonly readBytes: number
      readonly writtenBytes: number
      readonly peakMemory: number
      readonly longestPause?: number
      readonly spent: Timings
      readonly stepSeconds?: Readonly<Record<string, number>>
    }
  | { readonly type: 'run-failed'; readonly diagnostics: readonly Diagnostic[]; readonly seconds: number }

/** Receives events; must not throw and should be quick. */
export type Listener = (event: RunEvent) => void
