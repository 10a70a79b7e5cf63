import type { Task } from './decide.js'

/** A task of this user as `squeue` tells of it. */
export interface SqueueTask {
  /** The id of the array. */
  readonly job: string
  readonly index: number
  readonly name: string
  readonly task: Task
}

/** What is asked of `squeue`, in order; the fields of an answer are separated by `|`, and the last may hold more of them. */
const FIELDS = ['ArrayJobID', 'ArrayTaskID', 'State', 'TimeUsed', 'exit_code', 'RestartCnt', 'Reason', 'Name'] as const

/** The arguments of `squeue` for all tasks of this user, each on a line of its own. */
export const SQUEUE = [
  '--noheader',
  '--array',
  '--me',
  '--states=all',
  `--Format=${FIELDS.map((field) => `${field}:|`).join(',')}`,
] as const

// Suspended tasks live, and give no heartbeats: they count as those that wait.
const QUEUED =
  /^(PENDING|CONFIGURING|REQUEUED|REQUEUE_FED|REQUEUE_HOLD|RESV_DEL_HOLD|SPECIAL_EXIT|SUSPENDED|STOPPED|POWER_UP_NODE)$/
const RUNNING = /^(RUNNING|RESIZING|SIGNALING)$/
const ENDED =
  /^(COMPLETED|FAILED|CANCELLED|TIMEOUT|NODE_FAIL|PREEMPTED|BOOT_FAIL|DEADLINE|OUT_OF_MEMORY|REVOKED|LAUNCH_FAILED|RECONFIG_FAIL)$/

/** States and reasons of tasks that wait for somebody to let them begin, or to end them. */
const HELD =
  /^(REQUEUE_HOLD|RESV_DEL_HOLD|SPECIAL_EXIT|JobHeld(User|Admin)|DependencyNeverSatisfied|.*[ _](requeued[ _])?held)$/i

/** Reasons of tasks that wait for others to end, or for nothing at all. */
const USUAL =
  /^(|None|Priority|Resources|Dependency|JobArrayTaskLimit|BeginTime|Cleaning|Licenses|Prolog|Reservation|.*requeue.*)$/i

/** True for a reason that no release helps against. */
export const isHopeless = (held: string): boolean => held === 'DependencyNeverSatisfied'

const stateOf = (word: string): Task['state'] => {
  if (QUEUED.test(word)) return 'queued'
  if (RUNNING.test(word)) return 'running'
  // Of a state that is not known, as of COMPLETING, nothing is concluded.
  return ENDED.test(word) ? 'ended' : 'ending'
}

/** Seconds of a time such as `1-02:03:04` or `3:04`; 0 of anything else. */
export const secondsOf = (time: string): number => {
  const [, days = '0', clock = ''] = /^(?:(\d+)-)?((?:\d+:){1,2}\d+)$/.exec(time) ?? []
  return clock.split(':').reduce((sum, part) => 60 * sum + Number(part), 0) + 86_400 * Number(days)
}

/** The exit code of a wait status, that of a signal as 128 and its number. */
const exitOf = (status: number): number => ((status & 127) === 0 ? status >> 8 : 128 + (status & 127))

/** SIGTERM, as an exit code: what ended a task for which the exit code of its process does not count. */
const TERMINATED = 143

const taskOf = (id: string, word: string, time: string, status: string, reason: string): Task => {
  const state = stateOf(word)
  const running = secondsOf(time)
  const held = state === 'queued' ? [reason, word].find((why) => HELD.test(why)) : undefined
  const isStuck = word === 'PENDING' && held === undefined && !USUAL.test(reason)
  if (state !== 'ended')
    return { id, state, running, ...(held === undefined ? {} : { held }), ...(isStuck ? { waiting: reason } : {}) }
  // A task that Slurm ended has done nothing that would come again by itself.
  const exit = /^(COMPLETED|FAILED)$/.test(word) ? exitOf(Number(status)) : TERMINATED
  return { id, state, running, ended: { exit, word: word === 'FAILED' ? `exit ${exit}` : word } }
}

/** Reads what `squeue` answers to {@link SQUEUE}; lines of jobs that are not arrays are left out. */
export const readSqueue = (text: string): readonly SqueueTask[] =>
  text.split('\n').flatMap((line) => {
    const [job = '', index = '', word = '', time = '', status = '', restarts = '', reason = '', ...name] = line
      .trim()
      .split('|')
    if (!/^\d+$/.test(job) || !/^\d+$/.test(index)) return []
    const task = taskOf(`${job}_${index}.${restarts}`, word, time, status, reason)
    return [{ job, index: Number(index), name: name.join('|').replace(/\|$/, ''), task }]
  })

/** Numbers as `sbatch --array` takes them: `0-4,7`. */
export const ranges = (numbers: readonly number[]): string => {
  const sorted = numbers.toSorted((x, y) => x - y)
  const spans: { first: number; last: number }[] = []
  for (const n of sorted) {
    const span = spans.at(-1)
    if (span !== undefined && n <= span.last + 1) span.last = n
    else spans.push({ first: n, last: n })
  }
  return spans.map(({ first, last }) => (first === last ? `${first}` : `${first}-${last}`)).join(',')
}
