import type { Diagnostic } from '../../base/diagnostic.js'
import type { Program } from '../../graph/program.js'

/** Where one run of a program takes its numbers from and where it puts them: offsets of the kernels' memory. */
export interface Frame {
  /** The first elements of the element-sized inputs, in their order, which come before all others. */
  readonly inputs: readonly number[]
  /** The numbers that are fed once a run. */
  readonly scalars: readonly number[]
  readonly outputs: readonly number[]
  readonly length: number
}

/** What runs programs for one worker. */
export interface Engine {
  /** The programs as they are run: with the ports that they take from and give to memory. */
  readonly programs: readonly Program[]
  /** Elements of one run; fewer once a device has run out of memory. */
  readonly chunk: number
  /** True where memory that is handed to `pin` is copied faster. */
  readonly pins: boolean
  /**
   * Keeps pages in memory, so that the device reads and writes them by itself. `view` is whole pages, and lives until
   * the engine is closed.
   */
  pin(view: Uint8Array): void
  /** Has to be told when memory of which parts are pinned may have grown, before the next run. */
  grown(buffer: ArrayBuffer): void
  /** Runs a program. `again`: nothing was done, since a chunk was too large, and chunks are smaller now. */
  run(program: number, frame: Frame): 'done' | Promise<'done' | 'again' | Diagnostic>
  close(): Promise<void>
}
