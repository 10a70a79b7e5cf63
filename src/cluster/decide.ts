/** What a scheduler says of a part's newest task. */
export interface Task {
  /** Which task it is: another one for the same part has another, and so has this one once it is begun again. */
  readonly id: string
  /** `ending` tasks are being cleaned up: they neither count as running nor as gone. */
  readonly state: 'queued' | 'running' | 'ending' | 'ended'
  /** Why the scheduler does not let a queued task begin, in its own word, if that will not change by itself. */
  readonly held?: string
  /** Why the scheduler lets a queued task wait, in its own word, where it is not for others to end. */
  readonly waiting?: string
  /** Seconds since it began to run, by the scheduler's clock; 0 before. */
  readonly running: number
  /** Why it ended, in the scheduler's own word such as `TIMEOUT`, or as the exit code it left. */
  readonly ended?: { readonly exit: number; readonly word: string }
}

/** Parts that can be done at one time, whose numbers follow each other. */
export interface Stage {
  readonly first: number
  readonly parts: number
}

/** Everything a driver knows when it decides: read from files and asked from the scheduler. */
export interface Observation {
  /** A stage starts when all parts of those before it are done. */
  readonly stages: readonly Stage[]
  /** Parts whose markers were seen. */
  readonly done: { has(part: number): boolean }
  /** Seconds since the newest heartbeat of a part, by the file system's own clock; undefined if there is none. */
  readonly silence: (part: number) => number | undefined
  /** The newest task of each part that the scheduler knows; undefined while it does not answer. */
  readonly tasks: { get(part: number): Task | undefined } | undefined
  /** How often each part was handed to the scheduler, requeues by the driver included. */
  readonly tries: { get(part: number): number | undefined }
  /**
   * For how many seconds it is known that a part has no living task, or only one that is held; undefined where none was
   * handed over, by this driver or one before it.
   */
  readonly missing: (part: number) => number | undefined
  readonly isCancelled: boolean
  /** Two attempts at one part gave different bytes. */
  readonly isAlarmed: boolean
  readonly isCommitted: boolean
}

/** How an attempt at a part failed. */
export interface Failure {
  readonly exit: number
  readonly word: string
}

/** How long a driver waits, in seconds, and how often it tries. */
export interface Patience {
  /** For how long a directory listing may lag behind the truth. */
  readonly lag: number
  /** For how long a running task may give no heartbeat. */
  readonly silence: number
  /** How often a part is handed to the scheduler. */
  readonly tries: number
  /** How long between two observations. */
  readonly pause: number
}

/** A minute for listings, as NFS caches them; three for heartbeats, whose times lag likewise. */
export const PATIENCE: Patience = { lag: 60, silence: 180, tries: 3, pause: 2 }

/** Why a part cannot be made. */
export interface GivenUp {
  readonly part: number
  readonly reason: 'failed' | 'tried-enough' | 'held'
  readonly last: Failure | undefined
}

/** What a driver does next. */
export type Action =
  /** Hands parts to the scheduler. */
  | { readonly type: 'submit'; readonly stage: number; readonly parts: readonly number[] }
  /** Ends the tasks of parts and has the scheduler begin them again: they run, but give no heartbeat. */
  | { readonly type: 'requeue'; readonly parts: readonly number[] }
  /** Lets tasks begin that the scheduler holds. */
  | { readonly type: 'release'; readonly parts: readonly number[] }
  /** Looks for the markers of parts one by one: a listing that lacks them may be old. */
  | { readonly type: 'look'; readonly parts: readonly number[] }
  /** Ends all tasks of the run. */
  | { readonly type: 'withdraw' }
  | { readonly type: 'commit' }
  | {
      readonly type: 'wait'
      readonly seconds: number
      readonly isAnswered: boolean
      /** The first part that the scheduler lets wait for a reason that may not pass by itself. */
      readonly waiting?: { readonly part: number; readonly reason: string }
    }
  | { readonly type: 'stop'; readonly outcome: Outcome }

/** How a run ended for its driver. */
export type Outcome =
  | { readonly type: 'committed' }
  | { readonly type: 'cancelled' }
  | { readonly type: 'alarm' }
  | { readonly type: 'given-up'; readonly parts: readonly GivenUp[] }

/** The numbers of the parts of a stage. */
export const numbersOf = ({ first, parts }: Stage): readonly number[] =>
  Array.from({ length: parts }, (_, i) => first + i)

/** The exit code that asks to be tried again. */
const TRY_AGAIN = 75
/** Exit codes above this are signals: somebody ended the task from outside. */
const SIGNALS = 128

/** True for how a task ended if it would end so each time. */
export const isPermanent = (exit: number): boolean => exit > 0 && exit < SIGNALS && exit !== TRY_AGAIN

type Verdict = 'wait' | Deed | GivenUp

/** What is done for several parts at once, in this order. */
const DEEDS = ['submit', 'requeue', 'release', 'look'] as const
type Deed = (typeof DEEDS)[number]

/** What to do about a part of the present stage that has no marker. */
const judge = (part: number, seen: Observation, patience: Patience): Verdict => {
  if (seen.tasks === undefined) return 'wait'
  const task = seen.tasks.get(part)
  const tries = seen.tries.get(part) ?? 0
  const isSilent = (seconds: number): boolean =>
    seconds >= patience.silence && (seen.silence(part) ?? Infinity) >= patience.silence
  const again = (verdict: 'submit' | 'requeue'): Verdict =>
    tries < patience.tries ? verdict : { part, reason: 'tried-enough', last: task?.ended }
  if (task?.held !== undefined) {
    // Whoever held it may let it go again.
    if ((seen.missing(part) ?? 0) < patience.lag) return 'wait'
    return tries < patience.tries ? 'release' : { part, reason: 'held', last: { exit: 0, word: task.held } }
  }
  if (task?.state === 'queued' || task?.state === 'ending') return 'wait'
  if (task?.state === 'running') return isSilent(task.running) ? again('requeue') : 'wait'
  const missing = seen.missing(part) ?? Infinity
  // What was handed over a moment ago by a driver that was killed then may not be known yet; nor is what the scheduler
  // accepted without answering, and lost sight of at once.
  if (tries === 0) return missing < patience.lag || (task === undefined && !isSilent(Infinity)) ? 'wait' : 'submit'
  if (task?.ended !== undefined && isPermanent(task.ended.exit)) return { part, reason: 'failed', last: task.ended }
  if (missing < patience.lag) return 'look'
  // A part without a task that gives heartbeats is done by somebody whom the scheduler has lost sight of.
  return task === undefined && !isSilent(Infinity) ? 'wait' : again('submit')
}

const isAlive = (task: Task | undefined): boolean => task?.state === 'queued' || task?.state === 'running'

const pause = ({ tasks }: Observation, { pause: seconds }: Patience, parts: readonly number[] = []): Action => {
  const part = parts.find((each) => tasks?.get(each)?.waiting !== undefined)
  const waiting = part === undefined ? {} : { waiting: { part, reason: tasks!.get(part)!.waiting! } }
  return { type: 'wait', seconds, isAnswered: tasks !== undefined, ...waiting }
}

/** Ends the tasks that live, and stops when none does; a scheduler that does not answer is waited for. */
const windUp = (seen: Observation, patience: Patience, outcome: Outcome): readonly Action[] => {
  const { tasks } = seen
  const alive =
    tasks === undefined || seen.stages.some((stage) => numbersOf(stage).some((part) => isAlive(tasks.get(part))))
  return alive ? [{ type: 'withdraw' }, pause(seen, patience)] : [{ type: 'stop', outcome }]
}

/** Decides what a driver does next. The same observation gives the same actions, whoever asks and how often. */
export const decide = (seen: Observation, patience: Patience = PATIENCE): readonly Action[] => {
  if (seen.isAlarmed) return windUp(seen, patience, { type: 'alarm' })
  if (seen.isCommitted) return windUp(seen, patience, { type: 'committed' })
  if (seen.isCancelled) return windUp(seen, patience, { type: 'cancelled' })
  const stage = seen.stages.findIndex((each) => numbersOf(each).some((part) => !seen.done.has(part)))
  if (stage === -1) return [{ type: 'commit' }]
  const deeds: Readonly<Record<Deed, number[]>> = { submit: [], requeue: [], release: [], look: [] }
  const givenUp: GivenUp[] = []
  for (const part of numbersOf(seen.stages[stage]!)) {
    const verdict = seen.done.has(part) ? 'wait' : judge(part, seen, patience)
    if (typeof verdict === 'object') givenUp.push(verdict)
    else if (verdict !== 'wait') deeds[verdict].push(part)
  }
  if (givenUp.length > 0) return windUp(seen, patience, { type: 'given-up', parts: givenUp })
  return [
    ...DEEDS.flatMap((type): readonly Action[] => {
      const parts = deeds[type]
      if (parts.length === 0) return []
      return [type === 'submit' ? { type, stage, parts } : { type, parts }]
    }),
    pause(seen, patience, numbersOf(seen.stages[stage]!)),
  ]
}
