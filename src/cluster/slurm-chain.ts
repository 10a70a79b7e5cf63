import { numbersOf, type Stage } from './decide.js'
import type { Scheduler } from './scheduler.js'
import type { Slurm } from './slurm.js'

/** What follows the tasks of a run by itself. */
export interface Chain {
  readonly stages: readonly Stage[]
  /** Whether a part is done. */
  readonly isDone: (part: number) => boolean
  /** The command that makes the outputs of the run, as words of the shell. */
  readonly commit: string
  /** Hears that nothing needs a driver any more, unless a task fails. */
  readonly told: () => void
}

/**
 * Slurm that needs no driver to the end of a run: with the tasks of a stage it is handed those of the next, which begin
 * once they have succeeded, and then a job that makes the outputs. A driver that lives does the same sooner, and is
 * needed where tasks fail.
 */
export const chainSlurm = (slurm: Slurm, { stages, isDone, commit, told }: Chain): Scheduler => ({
  ...slurm,
  submit: async (parts, accepted) => {
    let isLast = false
    const tell: typeof accepted = (job) => {
      accepted(job)
      isLast ||= job.parts.some((part) => part >= stages.at(-1)!.first)
    }
    const problems = await slurm.submit(parts, tell)
    if (problems.length > 0) return problems
    const begun = stages.findLastIndex(({ first }) => parts.some((part) => part >= first))
    for (const [at, stage] of stages.entries()) {
      if (at <= begun) continue
      const before = stages.slice(0, at).flatMap((each) => numbersOf(each).filter((part) => !isDone(part)))
      // A stage whose tasks cannot all be waited for would begin too early.
      if (!(await slurm.follow(numbersOf(stage), before, tell))) break
    }
    if (!isLast) return []
    await slurm.dropContinuations()
    const { problems: refused, isAccepted } = await slurm.continueWith(commit)
    if (isAccepted) told()
    return refused
  },
})
