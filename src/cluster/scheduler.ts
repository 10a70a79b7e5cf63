import type { Diagnostic } from '../base/diagnostic.js'
import type { Task } from './decide.js'

/**
 * What runs tasks: Slurm, or processes that smelt starts itself. Nothing is remembered of what it says; it is asked
 * again.
 */
export interface Scheduler {
  /** The newest task of each part; undefined if it does not answer now. */
  tasks(): Promise<ReadonlyMap<number, Task> | undefined>
  /**
   * Hands parts over, as one job or several, and tells of each as soon as it is accepted. Problems are those for which
   * trying again is no use; of a scheduler that does not answer now there are none, and the parts stay undone.
   */
  submit(parts: readonly number[], accepted: (job: SubmittedJob) => void): Promise<readonly Diagnostic[]>
  /** Ends the tasks of parts and begins them again. */
  requeue(parts: readonly number[], accepted: (job: SubmittedJob) => void): Promise<void>
  /** Lets tasks begin that are held, or ends those that never can, so that they are submitted again. */
  release(parts: readonly number[], accepted: (job: SubmittedJob) => void): Promise<void>
  /** Ends all tasks of the run. */
  withdraw(): Promise<void>
}

/** Parts that a scheduler has accepted, and what it calls the job. */
export interface SubmittedJob {
  readonly id: string
  readonly parts: readonly number[]
}
