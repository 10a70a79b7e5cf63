import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import type { Diagnostic } from '../base/diagnostic.js'
import { ok, type Result } from '../base/result.js'
import { createCall } from '../cluster/call.js'
import { PATIENCE, type Patience } from '../cluster/decide.js'
import { createExec, patienceFor } from '../cluster/exec.js'
import type { RunPlan } from '../cluster/layout.js'
import { quoteWord } from '../cluster/shell-word.js'
import type { Scheduler } from '../cluster/scheduler.js'
import { askMaxArraySize, createSlurm, type Slurm, type SlurmOptions } from '../cluster/slurm.js'

/** Who starts the tasks of a run, as the options and the cluster file say. */
export type SchedulerChoice =
  | {
      readonly type: 'exec'
      readonly template: string
      readonly hosts: readonly string[]
      readonly parallel: number
      readonly smelt: string | undefined
      readonly stage: string | undefined
    }
  | {
      readonly type: 'slurm'
      readonly options: SlurmOptions
      readonly smelt: string | undefined
      readonly stage: string | undefined
    }

/** A scheduler, and what a driver on this machine has to know of it. */
export interface OpenScheduler {
  readonly scheduler: Scheduler
  readonly patience: Patience
  /** How long to wait, given how long the driver runs, in seconds. */
  readonly pause: (asked: number, since: number) => number
  /** The end of what the last task of a part said. */
  readonly complaintOf: (part: number) => string
  /** Called when the driver ends: the run is over, or another driver goes on. */
  readonly close: (isOver: boolean) => Promise<void>
}

/** Words of the shell that start this program. */
export const ownCommand = (): string => [process.execPath, resolve(process.argv[1]!)].map(quoteWord).join(' ')

/** Variables of smelt’s own, which tasks get wherever they run. */
const ownVariables = (): Readonly<Record<string, string>> =>
  Object.fromEntries(
    Object.entries(process.env).filter(
      (entry): entry is [string, string] => /^SMELT_\w+$/.test(entry[0]) && entry[1] !== undefined,
    ),
  )

/** Characters of a log that are shown. */
const MOST_COMPLAINT = 4000

const endOf = (path: string | undefined): string => {
  try {
    return path === undefined ? '' : readFileSync(path, 'utf8').slice(-MOST_COMPLAINT).trim()
  } catch {
    return ''
  }
}

/** Slurm is asked at least every so many seconds, and less often the longer a run takes. */
const [SOONEST, LATEST] = [1, 15]

/** Slurm for a run; `smelt` is what starts it on a node. */
export const openSlurm = async (
  run: string,
  id: string,
  options: SlurmOptions,
  smelt = ownCommand(),
): Promise<Result<Slurm>> => {
  const call = createCall(process.env)
  const most = await askMaxArraySize(call)
  if (most.type === 'failed') return most
  const flags = options.cpus === undefined ? '' : `--workers ${Math.min(64, options.cpus)}`
  const now = (): number => performance.now() / 1000
  return ok(createSlurm({ run, id, options, smelt, flags, variables: ownVariables(), call, now }, most.value))
}

/** Slurm whose tasks are followed by a job that makes the outputs, should nobody else do so. */
const withCommit = (slurm: Slurm, run: string, { stages }: RunPlan, smelt: string): Scheduler => ({
  ...slurm,
  submit: async (parts, accepted) => {
    let isLast = false
    const problems = await slurm.submit(parts, (job) => {
      accepted(job)
      isLast ||= job.parts.some((part) => part >= stages.at(-1)!.first)
    })
    if (problems.length > 0 || !isLast) return problems
    await slurm.dropContinuations()
    return slurm.continueWith(`${smelt} work --run ${quoteWord(run)} --part commit`)
  },
})

/** Makes the scheduler of a run ready. */
export const openScheduler = async (
  choice: SchedulerChoice,
  run: string,
  plan: RunPlan,
): Promise<Result<OpenScheduler>> => {
  const smelt = choice.smelt ?? ownCommand()
  if (choice.type === 'exec') {
    const exec = createExec({ ...choice, run, smelt })
    return ok({
      scheduler: exec,
      patience: patienceFor(choice.hosts),
      pause: (asked) => asked,
      complaintOf: exec.complaintOf,
      close: exec.withdraw,
    })
  }
  const slurm = await openSlurm(run, plan.id, choice.options, smelt)
  if (slurm.type === 'failed') return slurm
  const { logOf, dropContinuations } = slurm.value
  return ok({
    scheduler: withCommit(slurm.value, run, plan, smelt),
    patience: PATIENCE,
    pause: (_, since) => Math.min(LATEST, Math.max(SOONEST, since / 20)),
    complaintOf: (part) => endOf(logOf(part)),
    close: (isOver) => (isOver ? dropContinuations() : Promise.resolve()),
  })
}

/** The longest that the tasks of a cancelled run are waited for, in ms, and how often they are looked at. */
const [LONGEST, LOOK] = [30_000, 1000]

/** Ends the tasks that Slurm has of a run; what could not be asked for. */
export const withdrawFromSlurm = async (run: string, plan: RunPlan): Promise<readonly Diagnostic[]> => {
  const slurm = await openSlurm(run, plan.id, {})
  if (slurm.type === 'failed') return slurm.diagnostics
  await slurm.value.dropContinuations()
  for (const end = performance.now() + LONGEST; performance.now() < end;) {
    await slurm.value.withdraw()
    const tasks = await slurm.value.tasks()
    if (tasks !== undefined && [...tasks.values()].every(({ state }) => state === 'ended')) break
    await new Promise((done) => setTimeout(done, LOOK))
  }
  return []
}
