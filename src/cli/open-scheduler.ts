import { existsSync, readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import type { Diagnostic } from '../base/diagnostic.js'
import { ok, type Result } from '../base/result.js'
import { createCall } from '../cluster/call.js'
import { PATIENCE, type Patience } from '../cluster/decide.js'
import { createExec, patienceFor } from '../cluster/exec.js'
import { placesOf, type RunPlan } from '../cluster/layout.js'
import { quoteWord } from '../cluster/shell-word.js'
import type { Scheduler } from '../cluster/scheduler.js'
import { chainSlurm, type Chain } from '../cluster/slurm-chain.js'
import { awaitMaxArraySize, createSlurm, type Slurm, type SlurmOptions, type SlurmPatience } from '../cluster/slurm.js'
import { sleepUnless } from './signals.js'

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
  /** Calls what it is given, once, when a task ends; not for schedulers that have to be asked. */
  readonly changed: (hear: () => void) => void
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

/** How a controller that does not answer is waited for. */
type SlurmWait = Pick<SlurmPatience, 'patience' | 'told' | 'signal'>

/** For how long a controller that is away when a build begins is waited for, in seconds: another takes over by then. */
const AWAY_LIMIT = 120

/** Slurm for a run; `smelt` is what starts it on a node. */
export const openSlurm = async (
  run: string,
  id: string,
  options: SlurmOptions,
  smelt: string,
  waiting: SlurmWait = { patience: 0, told: () => undefined },
): Promise<Result<Slurm>> => {
  const call = createCall(process.env)
  const now = (): number => performance.now() / 1000
  const sleep = (seconds: number): Promise<void> => sleepUnless(waiting.signal, seconds)
  const most = await awaitMaxArraySize(call, { ...waiting, now, sleep })
  if (most.type === 'failed') return most
  const flags = options.cpus === undefined ? '' : `--workers ${Math.min(64, options.cpus)}`
  return ok(createSlurm({ run, id, options, smelt, flags, variables: ownVariables(), call, now }, most.value))
}

/** What a scheduler tells whoever opens it. */
export interface OpenOptions {
  /** It does not answer, and is waited for. */
  readonly waited: () => void
  /** It ends the run without a driver, unless a task fails. */
  readonly handedOver: () => void
  readonly signal: AbortSignal
}

/** Makes the scheduler of a run ready. */
export const openScheduler = async (
  choice: SchedulerChoice,
  run: string,
  plan: RunPlan,
  { waited, handedOver, signal }: OpenOptions,
): Promise<Result<OpenScheduler>> => {
  const smelt = choice.smelt ?? ownCommand()
  if (choice.type === 'exec') {
    const exec = createExec({ ...choice, run, smelt })
    return ok({
      scheduler: exec,
      patience: patienceFor(choice.hosts),
      pause: (asked) => asked,
      changed: exec.onceEnded,
      complaintOf: exec.complaintOf,
      close: exec.withdraw,
    })
  }
  const slurm = await openSlurm(run, plan.id, choice.options, smelt, {
    patience: AWAY_LIMIT,
    told: waited,
    signal,
  })
  if (slurm.type === 'failed') return slurm
  const { logOf, dropContinuations } = slurm.value
  const chain: Chain = {
    stages: plan.stages,
    isDone: (part) => existsSync(placesOf(run).result(part)),
    commit: `${smelt} work --run ${quoteWord(run)} --part commit`,
    told: handedOver,
  }
  return ok({
    scheduler: chainSlurm(slurm.value, chain),
    patience: PATIENCE,
    changed: () => undefined,
    pause: (_, since) => Math.min(LATEST, Math.max(SOONEST, since / 20)),
    complaintOf: (part) => endOf(logOf(part)),
    close: (isOver) => (isOver ? dropContinuations() : Promise.resolve()),
  })
}

/** The longest that the tasks of a cancelled run are waited for, in ms, and how often they are looked at. */
const [LONGEST, LOOK] = [30_000, 1000]

/** Ends the tasks that Slurm has of a run; what could not be asked for. */
export const withdrawFromSlurm = async (run: string, plan: RunPlan): Promise<readonly Diagnostic[]> => {
  const slurm = await openSlurm(run, plan.id, {}, ownCommand())
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
