import type { Digest } from '../base/digest.js'
import type { Result } from '../base/result.js'
import type { Lock } from '../store/lock.js'
import type { Store } from '../store/store.js'
import type { WorkerHandle } from './worker-pool.js'
import type { OutputFile } from '../safetensors/output.js'
import type { Device } from './devices/device.js'
import type { Oddities } from './oddities.js'
import type { Ledger } from './digest-ledger.js'
import type { Listener } from './events.js'
import type { Cutting } from './workspace.js'
import type { Pauses } from './pauses.js'
import type { RenderReport } from './reports.js'
import type { Timings } from './stopwatch.js'
import type { WorkerStart } from './worker.js'

/** What computes on the processor: programs compiled to WebAssembly, or ONNX Runtime. */
export type ProcessorEngine = 'compiled' | 'onnx'

/** What the work of a plan left that was done in parts, elsewhere: the plan that is run has no jobs of its own then. */
export interface Gathered {
  /** Opens what stands for a file of the plan, whole but for its header; undefined where nothing does. */
  open(path: string, bytes: number): Promise<Result<OutputFile | undefined>>
  /** Enters the digest of every tensor that was read or written, and what is odd about them. */
  fill(ledger: Ledger, oddities: Oddities): void
  /** The bytes of a report. */
  report(path: string): Uint8Array
}

/** How to run a plan. None of it changes a byte of the outputs. */
export interface RunOptions {
  /** At least 1. */
  readonly workers: number
  /** What is not the processor has to be open in this process. */
  readonly device: Device
  /** Path of CUDA's runtime library, where it is to pin the memory it copies from and to. */
  readonly runtime?: string
  /** Why this device, in words, for listeners. */
  readonly deviceReason?: string
  /** What computes on the processor; ONNX Runtime gives the same bits. Compiled programs unless given. */
  readonly engine?: ProcessorEngine
  readonly cutting?: Cutting
  readonly listener?: Listener
  /** Stops the build at the next chunk. */
  readonly signal?: AbortSignal
  /** Makes files of reports; needed where a plan has some. */
  readonly render?: RenderReport
  /** Starts a worker; tests pass ones they steer. */
  readonly start?: (start: WorkerStart) => WorkerHandle
  /**
   * Where the lock is written; none is unless given. `frozen` refuses to write anything that is not as the lock says.
   */
  readonly lock?: { readonly path: string; readonly frozen?: boolean }
  /** What is remembered for later builds. `since` is when the inputs' headers were read, in ms. */
  readonly memory?: { readonly store: Store; readonly since: number }
  /** sha256 of inputs' files that were asked for, by path. */
  readonly sha256?: ReadonlyMap<string, string>
  /** The results of the work, where others have done it. */
  readonly gathered?: Gathered
  /** True where a report on the build is drawn after it, which counts in the memory it is expected to take. */
  readonly reporting?: boolean
  /** What has been watching since the command began; the run watches itself unless given. */
  readonly pauses?: Pauses
}

/** What was written. */
export interface Built {
  /** `kept` outputs stood already as they should be. */
  readonly outputs: readonly {
    readonly name: string
    readonly paths: readonly string[]
    readonly bytes: number
    readonly digest: Digest
    readonly kept: boolean
  }[]
  readonly reports: readonly { readonly name: string; readonly path: string; readonly bytes: number }[]
  /** What the lock says; undefined for a recipe that writes reports only. */
  readonly lock: Lock | undefined
  readonly readBytes: number
  readonly writtenBytes: number
  readonly seconds: number
  /** What the workers' time went to, in seconds of all of them together. */
  readonly spent: Timings
  /** The same seconds by step. */
  readonly stepSeconds: ReadonlyMap<string, number>
}
