import type { Observation, Stage, Task } from './decide.js'
import type { Scheduler, SubmittedJob } from './scheduler.js'

/** The files of a run, as far as its driver reads and writes them. */
export interface DriverFiles {
  readonly stages: readonly Stage[]
  /** Parts that are done, as far as a listing tells; it may lag. */
  listDone(): Iterable<number>
  /** Whether a part is done, asked by the name of its marker. */
  isDone(part: number): boolean
  /** Looks at the heartbeats: seconds since the newest of each part by the file system's own clock, if there is one. */
  silences(): Observation['silence']
  halted(): Pick<Observation, 'isCancelled' | 'isAlarmed' | 'isCommitted'>
  /** What was handed to the scheduler, by this driver or those before it; undefined if nothing ever was. */
  submitted(): readonly SubmittedJob[] | undefined
  /** Writes down that something is about to be handed over for the first time. */
  willSubmit(): void
  /** Writes down what was handed over. */
  record(job: SubmittedJob): void
  /** Empties the list of what was handed over, so that whoever drives next tries each part as often again. */
  forget(): void
}

/** What a driver sees, and the little that it keeps between two looks: another one has the same after a minute. */
export interface Observer {
  observe(): Promise<Observation>
  /** Looks for the markers of parts one by one. */
  look(parts: readonly number[]): void
  /** Notes what is about to be handed over: should the answer be lost, it may have been accepted nevertheless. */
  handingOver(parts: readonly number[]): void
  /** Notes what was handed over. */
  handedOver(job: SubmittedJob): void
}

/** Observes a run through its files and its scheduler; `now` is any clock of seconds that never goes back. */
export const createObserver = (files: DriverFiles, scheduler: Scheduler, now: () => number): Observer => {
  const earlier = files.submitted()
  const tries = new Map<number, number>()
  const done = new Set<number>()
  /**
   * Since when each part that was handed over is known to have no task that lives or can begin, and which one was its last; undefined
   * while it may have one.
   */
  const gone = new Map<number, { readonly since: number; readonly last: string | undefined } | undefined>()
  let firstAnswer: number | undefined
  const count = ({ parts }: SubmittedJob): void => {
    for (const part of parts) {
      tries.set(part, (tries.get(part) ?? 0) + 1)
      gone.set(part, undefined)
    }
  }
  earlier?.forEach(count)
  const hear = (tasks: ReadonlyMap<number, Task>, at: number): void => {
    firstAnswer ??= at
    for (const part of tasks.keys()) if (!gone.has(part)) gone.set(part, undefined)
    for (const [part, known] of gone) {
      const task = tasks.get(part)
      if (task !== undefined && task.state !== 'ended' && task.held === undefined) gone.set(part, undefined)
      // A task can begin and end between two looks: its marker may lag as well.
      else if (known === undefined || (task !== undefined && task.id !== known.last))
        gone.set(part, { since: at, last: task?.id })
    }
  }
  return {
    observe: async () => {
      const tasks = await scheduler.tasks()
      const at = now()
      if (tasks !== undefined) hear(tasks, at)
      // Asked after the scheduler: a task that it no longer has may have left its marker in between.
      for (const part of files.listDone()) done.add(part)
      return {
        stages: files.stages,
        done,
        silence: files.silences(),
        tasks,
        tries,
        missing: (part) => {
          const since = gone.has(part) ? (gone.get(part)?.since ?? at) : earlier === undefined ? undefined : firstAnswer
          return since === undefined ? undefined : at - since
        },
        ...files.halted(),
      }
    },
    look: (parts) => {
      for (const part of parts) if (files.isDone(part)) done.add(part)
    },
    handingOver: (parts) => {
      files.willSubmit()
      for (const part of parts) gone.set(part, undefined)
    },
    handedOver: (job) => {
      files.record(job)
      count(job)
    },
  }
}
