import { join } from 'node:path'
import { slurmMissing, slurmRefused, slurmSilent } from '../base/catalogue/schedulers.js'
import type { Diagnostic } from '../base/diagnostic.js'
import { failed, ok, type Result } from '../base/result.js'
import type { Called, Call } from './call.js'
import type { Task } from './decide.js'
import type { Scheduler, SubmittedJob } from './scheduler.js'
import { quoteWord } from './shell-word.js'
import { isHopeless, ranges, readSqueue, SQUEUE, type SqueueTask } from './slurm-states.js'

/** What a user asks of Slurm for each task, as `sbatch` has it. */
export interface SlurmOptions {
  readonly partition?: string
  readonly account?: string
  /** Of each task, as Slurm writes times: `90` for minutes, `2:00:00`, `1-12`. */
  readonly time?: string
  readonly cpus?: number
  readonly memory?: string
  readonly gres?: string
  /** Further arguments of `sbatch`. */
  readonly extra?: readonly string[]
  /** The most tasks that run at one time. */
  readonly at_most?: number
}

/** How the tasks of a run are started by Slurm. */
export interface SlurmRun {
  /** The folder of the run, which every node sees under this path. */
  readonly run: string
  readonly id: string
  readonly options: SlurmOptions
  /** What starts smelt on a node, as words of the shell. */
  readonly smelt: string
  /** Further arguments of `smelt work`, as words of the shell. */
  readonly flags: string
  /** Variables that tasks get; nothing else of this environment is passed on. */
  readonly variables: Readonly<Record<string, string>>
  readonly call: Call
  /** Seconds of a clock that never goes back. */
  readonly now: () => number
}

/** Slurm, and what else a run needs of it. */
export interface Slurm extends Scheduler {
  /**
   * Hands over parts that begin once the tasks of those `before` have succeeded, or has them wait for other tasks if they
   * are handed over already. False, and nothing is done, unless each of those has a task that waits or runs; or if Slurm
   * takes no more for now.
   */
  follow(parts: readonly number[], before: readonly number[], accepted: (job: SubmittedJob) => void): Promise<boolean>
  /**
   * Submits a job that runs `command` when the tasks that wait or run now have ended, however they ended; none if there
   * are none, or if Slurm takes none for now: then it is not accepted, and nothing is wrong.
   */
  continueWith(command: string): Promise<{ readonly problems: readonly Diagnostic[]; readonly isAccepted: boolean }>
  /** Where the task of a part that was seen last says what is wrong; undefined if none was seen. */
  logOf(part: number): string | undefined
  /** Ends the jobs of {@link continueWith} that have not begun. */
  dropContinuations(): Promise<void>
}

/** For how long nothing is submitted after Slurm said that there are too many jobs, in seconds. */
const REST = 30

/** How jobs of a run are called; tasks of an array by the number of the part that its first index stands for. */
const namesOf = (id: string) => {
  const stem = `smelt-${id.replace(/^\w+:/, '').slice(0, 12)}`
  return { array: (offset: number): string => `${stem}.${offset}`, after: `${stem}.after` }
}

const MISSING = /ENOENT/
/** What the client says when the server is away, or too busy. */
const AWAY =
  /unable to contact|socket timed out|connection (refused|reset|timed out)|zero bytes were transmitted|temporarily unable|communication (connection )?failure|in standby mode|protocol authentication error|unexpected message received|resource temporarily/i
const ARRAY_REFUSED = /job array/i
const TOO_MANY = /submit ?limit|too many|job count|MaxSubmit|MaxJobs|limits? (has been )?exceeded/i

const said = ({ stderr, stdout }: Called): string =>
  (stderr.trim() || stdout.trim())
    .split('\n')
    .at(-1)!
    .replace(/^\w+: error: /, '')

/** Asks Slurm how long an array can be: one more than the greatest index. */
export const askMaxArraySize = async (call: Call): Promise<Result<number>> => {
  const answer = await call('scontrol', ['show', 'config'])
  if (answer.code === undefined && MISSING.test(answer.stderr)) return failed(slurmMissing('scontrol'))
  if (answer.code !== 0) return failed(slurmSilent(said(answer)))
  const size = Number(/^MaxArraySize\s*=\s*(\d+)/m.exec(answer.stdout)?.[1] ?? 1001)
  return ok(Math.max(1, size))
}

/** How long Slurm is waited for that does not answer, and how often it is asked, in seconds. */
export interface SlurmPatience {
  readonly patience: number
  readonly now: () => number
  readonly sleep: (seconds: number) => Promise<void>
  /** Hears that Slurm is waited for, once. */
  readonly told: () => void
  readonly signal?: AbortSignal
}

const ASK_AGAIN = 5

/** Like {@link askMaxArraySize}, of a controller that may be away for a while. */
export const awaitMaxArraySize = async (call: Call, waiting: SlurmPatience): Promise<Result<number>> => {
  const { patience, now, sleep, told, signal } = waiting
  const began = now()
  for (let isTold = false; ; isTold = true) {
    const size = await askMaxArraySize(call)
    const isAway = size.diagnostics.some(({ blame, message }) => blame === 'retry' && AWAY.test(message))
    if (!isAway || now() - began >= patience || signal?.aborted === true) return size
    if (!isTold) told()
    await sleep(ASK_AGAIN)
  }
}

/** The arguments of `sbatch` that a user’s options come to. */
export const sbatchOptions = ({ partition, account, time, cpus, memory, gres, extra = [] }: SlurmOptions): string[] => [
  ...(partition === undefined ? [] : [`--partition=${partition}`]),
  ...(account === undefined ? [] : [`--account=${account}`]),
  ...(time === undefined ? [] : [`--time=${time}`]),
  ...(cpus === undefined ? [] : [`--cpus-per-task=${cpus}`]),
  ...(memory === undefined ? [] : [`--mem=${memory}`]),
  ...(gres === undefined ? [] : [`--gres=${gres}`]),
  ...extra,
]

/** Hands the parts of a run to Slurm, as job arrays of at most `most` tasks. */
export const createSlurm = (run: SlurmRun, most: number): Slurm => {
  const { call, options, now } = run
  const names = namesOf(run.id)
  const logs = new Map<number, string>()
  let restUntil = -Infinity

  const script = (command: string): string =>
    [
      '#!/bin/sh',
      ...Object.entries(run.variables).map(([name, value]) => `export ${name}=${quoteWord(value)}`),
      // In place of the shell, so that the signal before the end of its time reaches smelt.
      `exec ${command}`,
      '',
    ].join('\n')
  /** `%` means something to Slurm in names of files. */
  const log = (name: string): string => `${run.run.replaceAll('%', '%%')}/logs/${name}`
  const settings = (name: string, output: string): string[] => [
    '--parsable',
    `--job-name=${name}`,
    '--export=NONE',
    `--chdir=${run.run}`,
    `--output=${log(output)}`,
    '--open-mode=append',
    ...sbatchOptions(options),
  ]

  const listed = async (): Promise<readonly (SqueueTask & { readonly part: number })[] | undefined> => {
    const answer = await call('squeue', SQUEUE)
    if (answer.code !== 0) return undefined
    return readSqueue(answer.stdout).flatMap((each) => {
      const offset = Number(each.name.split('.').at(-1))
      return each.name === names.array(offset) ? [{ ...each, part: offset + each.index }] : []
    })
  }

  /** The newest task of each part: one that lives before one that has ended, then that of the latest job. */
  const newest = async (): Promise<ReadonlyMap<number, SqueueTask> | undefined> => {
    const all = await listed()
    if (all === undefined) return undefined
    const rank = ({ task, job }: SqueueTask): number => (task.state === 'ended' ? 0 : 1e12) + Number(job)
    const tasks = new Map<number, SqueueTask>()
    for (const each of all) {
      const other = tasks.get(each.part)
      if (other === undefined || rank(each) > rank(other)) tasks.set(each.part, each)
    }
    for (const [part, { job, index }] of tasks) logs.set(part, join(run.run, 'logs', `${job}_${index}.txt`))
    return tasks
  }

  /** Submits parts as one array, or in halves where that is too long. True if Slurm takes no more for now. */
  const submitArray = async (
    offset: number,
    parts: readonly number[],
    { throttle, dependency }: { readonly throttle: number | undefined; readonly dependency: string | undefined },
    accepted: (job: SubmittedJob) => void,
  ): Promise<{ readonly problems: readonly Diagnostic[]; readonly isFull: boolean }> => {
    const indexes = ranges(parts.map((part) => part - offset))
    const answer = await call(
      'sbatch',
      [
        `--array=${indexes}${throttle === undefined ? '' : `%${throttle}`}`,
        '--requeue',
        '--signal=B:TERM@120',
        ...(dependency === undefined ? [] : [`--dependency=${dependency}`]),
        ...settings(names.array(offset), '%A_%a.txt'),
      ],
      script(
        `${run.smelt} work --run ${quoteWord(run.run)} --part $((${offset} + SLURM_ARRAY_TASK_ID))${run.flags === '' ? '' : ` ${run.flags}`}`,
      ),
    )
    if (answer.code === 0) {
      accepted({ id: answer.stdout.trim().split(';')[0]!, parts })
      return { problems: [], isFull: false }
    }
    if (answer.code === undefined && MISSING.test(answer.stderr))
      return { problems: [slurmMissing('sbatch')], isFull: false }
    const problem = slurmRefused(said(answer))
    if (AWAY.test(answer.stderr)) return { problems: [], isFull: true }
    const isTooMany = TOO_MANY.test(answer.stderr)
    if (!isTooMany && !ARRAY_REFUSED.test(answer.stderr)) return { problems: [problem], isFull: false }
    // One task is not too many for good; but an array of one that is refused is refused for what it is.
    if (parts.length === 1) return { problems: isTooMany ? [] : [problem], isFull: true }
    const half = Math.ceil(parts.length / 2)
    const first = await submitArray(offset, parts.slice(0, half), { throttle, dependency }, accepted)
    if (first.problems.length > 0 || first.isFull) return first
    return submitArray(offset, parts.slice(half), { throttle, dependency }, accepted)
  }

  const submitAll = async (
    parts: readonly number[],
    dependency: string | undefined,
    accepted: (job: SubmittedJob) => void,
  ): Promise<{ readonly problems: readonly Diagnostic[]; readonly isFull: boolean }> => {
    if (now() < restUntil) return { problems: [], isFull: true }
    const arrays = new Map<number, number[]>()
    for (const part of parts) {
      const offset = part - (part % most)
      const own = arrays.get(offset)
      if (own === undefined) arrays.set(offset, [part])
      else own.push(part)
    }
    const throttle = options.at_most === undefined ? undefined : Math.max(1, Math.floor(options.at_most / arrays.size))
    for (const [offset, own] of arrays) {
      const submitted = await submitArray(offset, own, { throttle, dependency }, accepted)
      if (submitted.isFull) restUntil = now() + REST
      if (submitted.isFull || submitted.problems.length > 0) return submitted
    }
    return { problems: [], isFull: false }
  }

  /** Has Slurm begin a task again; one of which it cannot is ended, so that its part is submitted again. */
  const again = async (
    deed: 'requeue' | 'release' | 'unbind',
    { job, index }: SqueueTask,
    part: number,
    accepted: (job: SubmittedJob) => void,
  ): Promise<void> => {
    const target = `${job}_${index}`
    // What it waits for will never come to pass, and is done by now: by another task.
    const words = deed === 'unbind' ? ['update', `JobId=${target}`, 'Dependency='] : [deed, target]
    const answer = await call('scontrol', words)
    if (answer.code === 0) accepted({ id: job, parts: [part] })
    else if (!AWAY.test(answer.stderr)) await call('scancel', [target])
  }

  return {
    tasks: async () => {
      const tasks = await newest()
      return tasks && new Map<number, Task>([...tasks].map(([part, { task }]) => [part, task]))
    },
    submit: async (parts, accepted) => (await submitAll(parts, undefined, accepted)).problems,
    follow: async (parts, before, accepted) => {
      const tasks = await newest()
      const awaited = before.map((part) => tasks?.get(part))
      if (awaited.length === 0 || awaited.some((task) => task === undefined || task.task.state === 'ended'))
        return false
      const dependency = `afterok:${awaited.map((task) => `${task!.job}_${task!.index}`).join(':')}`
      const own = new Set(
        parts.flatMap((part) => {
          const task = tasks?.get(part)
          return task === undefined || task.task.state === 'ended' ? [] : [task.job]
        }),
      )
      if (own.size === 0) {
        // What is wrong with it is told when a driver hands it over.
        const { problems, isFull } = await submitAll(parts, dependency, accepted)
        return problems.length === 0 && !isFull
      }
      for (const job of own) await call('scontrol', ['update', `JobId=${job}`, `Dependency=${dependency}`])
      return true
    },
    requeue: async (parts, accepted) => {
      const tasks = await newest()
      for (const part of parts) {
        const task = tasks?.get(part)
        if (task?.task.state === 'running') await again('requeue', task, part, accepted)
      }
    },
    release: async (parts, accepted) => {
      const tasks = await newest()
      for (const part of parts) {
        const task = tasks?.get(part)
        const held = task?.task.held
        if (task === undefined || held === undefined) continue
        await again(isHopeless(held) ? 'unbind' : 'release', task, part, accepted)
      }
    },
    withdraw: async () => {
      const jobs = new Set(((await listed()) ?? []).flatMap(({ job, task }) => (task.state === 'ended' ? [] : [job])))
      if (jobs.size > 0) await call('scancel', [...jobs])
    },
    continueWith: async (command) => {
      const jobs = new Set(((await listed()) ?? []).flatMap(({ job, task }) => (task.state === 'ended' ? [] : [job])))
      if (jobs.size === 0) return { problems: [], isAccepted: false }
      const answer = await call(
        'sbatch',
        [`--dependency=afterany:${[...jobs].join(':')}`, '--no-requeue', ...settings(names.after, 'after-%j.txt')],
        script(command),
      )
      const isAccepted = answer.code === 0
      return { problems: isAccepted || AWAY.test(answer.stderr) ? [] : [slurmRefused(said(answer))], isAccepted }
    },
    logOf: (part) => logs.get(part),
    dropContinuations: async () => {
      await call('scancel', ['--state=PENDING', `--name=${names.after}`])
    },
  }
}
