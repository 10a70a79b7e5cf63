import type { Diagnostic } from '../../base/diagnostic.js'
import type { Program } from '../../graph/program.js'

/** The inputs and outputs of one run of a program, as offsets into the kernels' memory. */
export interface Frame {
  /** The first elements of the element-sized inputs, in their order, which come before all others. */
  readonly inputs: readonly number[]
  /** The numbers that are fed once a run. */
  readonly scalars: readonly number[]
  readonly outputs: readonly number[]
  readonly length: number
}

/** Runs programs for one worker. */
export interface Engine {
  /** The programs as they are run: with the ports that they take from and give to memory. */
  readonly programs: readonly Program[]
  /** Elements of one run; fewer once a device has run out of memory. */
  readonly chunk: number
  /** True where a run may have more elements than a chunk: it keeps nothing of them but inputs and outputs. */
  readonly takesBlocks: boolean
  /** True where memory that is handed to `pin` is copied faster. */
  readonly pins: boolean
  /**
   * Page-locks memory, so that the device accesses it directly. `view` consists of whole pages, and lives until the
   * engine is closed.
   */
  pin(view: Uint8Array): void
  /** Call this before the next run if pinned memory may have grown. */
  grown(buffer: ArrayBuffer): void
  /** Runs a program. `again`: nothing was done, since a chunk was too large, and chunks are smaller now. */
  run(program: number, frame: Frame): 'done' | Promise<'done' | 'again' | Diagnostic>
  close(): Promise<void>
}
