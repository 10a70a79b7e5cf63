import { Worker } from 'node:worker_threads'
import { workerLost } from '../base/catalogue/run.js'
import type { Diagnostic } from '../base/diagnostic.js'
import { SEGMENT } from '../base/digest.js'
import { append } from '../base/lists.js'
import { failed, ok, type Result } from '../base/result.js'
import { createTurns } from '../base/slices.js'
import { lacksAddressSpace } from './address-space.js'
import { explainLimit } from './limits.js'
import { COUNTED, COUNTED_SEGMENTS, isCount, type UnitOrder, type UnitResult } from './unit.js'
import type { WorkerAnswer, WorkerStart, WorkerTask } from './worker.js'

/** One worker as the pool sees it; tests steer one by hand. */
export interface WorkerHandle {
  send(task: WorkerTask): void
  /** Answers come in the order of the tasks. */
  onAnswer(listener: (answer: WorkerAnswer) => void): void
  /** Called once, when the worker is gone; `reason` is undefined when it was told to end. */
  onExit(listener: (reason: string | undefined) => void): void
}

/** A thread that has been started; `reason` is what went wrong with it, which may be before anyone listens. */
interface Thread {
  readonly worker: Worker
  reason: string | undefined
  gone: boolean
}

/** Threads that were started ahead, while the plan was still being made. They do not keep the process alive. */
const ahead: Thread[] = []

const spawn = (): Thread => {
  const worker = new Worker(new URL('./worker.js', import.meta.url), {
    // Without the options of the process, among which `--eval` and `--input-type` would keep a worker from starting.
    execArgv: [],
    // What a unit leaves behind is garbage at once: a small nursery is swept often, which saves 20 MB a worker.
    resourceLimits: { maxYoungGenerationSizeMb: 1 },
  })
  const thread: Thread = { worker, reason: undefined, gone: false }
  thread.worker.on('error', (error) => {
    thread.reason = error.message
  })
  thread.worker.on('exit', (code) => {
    thread.gone = true
    thread.reason ??= code === 0 ? undefined : `exit code ${code}`
  })
  return thread
}

/**
 * Keeps ONNX Runtime loaded until the process ends: the library could be unloaded with the last thread that has it. Not
 * before a thread has it, which would keep the plan waiting.
 */
const holdRuntime = (): Promise<unknown> => import('onnxruntime-node').catch(() => undefined)

/**
 * Ends the threads that were started ahead and not used, and waits for them.
 */
const dismissAhead = async (): Promise<void> => {
  if (ahead.length === 0) return
  await Promise.all(
    ahead.splice(0).map(
      ({ worker, gone }) =>
        new Promise<void>((resolve) => {
          if (gone) return resolve()
          worker.ref()
          worker.on('exit', () => resolve())
          worker.postMessage(undefined)
        }),
    ),
  )
}

/**
 * Starts threads before it is known what they will do: they load their modules while the main thread plans.
 */
export const withThreadsAhead = async <T>(count: number, work: () => Promise<T>): Promise<T> => {
  const wanted = lacksAddressSpace(count) === undefined ? count : 0
  while (ahead.length < wanted) {
    const thread = spawn()
    thread.worker.unref()
    ahead.push(thread)
  }
  try {
    return await work()
  } finally {
    await dismissAhead()
  }
}

/**
 * Starts a worker thread. It is never terminated, which would abort the process inside ONNX Runtime: it ends when told
 * that there is no more.
 */
export const startThread = (start: WorkerStart): WorkerHandle => {
  const thread = ahead.pop() ?? spawn()
  const { worker } = thread
  worker.ref()
  if (start.engine.type === 'onnx') worker.once('message', holdRuntime)
  worker.postMessage(start)
  return {
    send: (task) => worker.postMessage(task),
    onAnswer: (listener) => void worker.on('message', listener),
    onExit: (listener) => {
      const tell = (): void => listener(thread.reason)
      if (thread.gone) queueMicrotask(tell)
      else worker.on('exit', tell)
    },
  }
}

/** Starts workers, all of them or none; fails where the process may not have the memory that they reserve. */
export const recruit = (
  count: number,
  start: WorkerStart,
  startOne: (start: WorkerStart) => WorkerHandle = startThread,
): Result<readonly WorkerHandle[]> => {
  const lacking = startOne === startThread ? lacksAddressSpace(Math.max(0, count - ahead.length)) : undefined
  return lacking === undefined ? ok(Array.from({ length: count }, () => startOne(start))) : failed(lacking)
}

/** Units that make up one task at most, and how many magnitudes they may count in all. */
const TASK_UNITS = 64
const TASK_COUNTS = COUNTED_SEGMENTS * COUNTED
/**
 * Segments that make up one task at most: the more workers there are the more, so that the main thread has no more
 * answers a second to take in.
 */
const taskSegments = (workers: number): number => Math.min(64, Math.max(8, 2 * workers))
/**
 * The share of what is left to do for each worker that one task may be: towards the end tasks are small, so that all
 * workers end at once.
 */
const SHARE = 1 / 4
/** Tasks a worker has ready, so that it never waits for the next. */
const TASKS_AHEAD = 2

/** Where units come from and results go. */
export interface TaskSource {
  /** The next unit, of at most so many segments. */
  next(most: number): UnitOrder | undefined
  /** Elements that no unit has been given yet. */
  readonly left: number
  /** `next` is the first unit of what the worker goes on with, if it has that ready. */
  finish(
    worker: number,
    results: readonly UnitResult[],
    units: readonly UnitOrder[],
    next: UnitOrder | undefined,
  ): Diagnostic | undefined
}

/** How many magnitudes a unit may count. */
const countsOf = (unit: UnitOrder): number => {
  if (unit.type !== 'compute' || !unit.takes.some(isCount)) return 0
  const elements = unit.end - unit.start
  return elements > SEGMENT ? COUNTED * Math.ceil(elements / SEGMENT) : Math.min(elements, COUNTED)
}

/** The next task; `least` asks for a small one, which is soon made. */
const nextTask = (source: TaskSource, workers: number, least: boolean): UnitOrder[] => {
  const share = Math.floor((SHARE * source.left) / (workers * SEGMENT))
  const most = least ? 1 : Math.max(1, Math.min(taskSegments(workers), share))
  const task: UnitOrder[] = []
  let [elements, counts] = [0, 0]
  while (elements < most * SEGMENT && counts < TASK_COUNTS && task.length < TASK_UNITS) {
    const unit = source.next(most)
    if (unit === undefined) break
    task.push(unit)
    elements += unit.end - unit.start
    counts += countsOf(unit)
  }
  return task
}

/**
 * Keeps handles busy until the source is empty or something fails; `stop` is called at the first failure. Resolves when
 * all have ended.
 */
export const runPool = (
  handles: readonly WorkerHandle[],
  source: TaskSource,
  stop: () => void,
): Promise<Result<void>> =>
  new Promise((resolve) => {
    const pending = handles.map((): (readonly UnitOrder[])[] => [])
    const problems: Diagnostic[] = []
    // Many workers answer faster than what they found is taken in; nothing else would have its turn.
    const turns = createTurns()
    let alive = handles.length
    let ending = false
    /** True until every worker has something to do. */
    let starting = true

    const end = (): void => {
      if (ending) return
      ending = true
      for (const handle of handles) handle.send(undefined)
    }
    const fail = (...found: readonly Diagnostic[]): void => {
      // The first failure is the cause; what follows it is workers noticing that they are to stop.
      if (problems.length === 0) append(problems, found)
      stop()
      end()
    }
    const supply = (): void => {
      if (ending) return
      for (let round = 0; round < TASKS_AHEAD; round++) {
        for (const [i, handle] of handles.entries()) {
          if (pending[i]!.length > round) continue
          const task = nextTask(source, handles.length, starting)
          if (task.length === 0) break
          pending[i]!.push(task)
          handle.send(task)
        }
        starting = false
      }
      if (pending.every((tasks) => tasks.length === 0)) end()
    }

    handles.forEach((handle, i) => {
      handle.onAnswer((answer) =>
        turns.take(() => {
          const units = pending[i]!.shift() ?? []
          if (answer.type === 'failed') return fail(...answer.diagnostics)
          const problem = source.finish(i, answer.results, units, pending[i]![0]?.[0])
          if (problem !== undefined) return fail(problem)
          supply()
        }),
      )
      handle.onExit((reason) => {
        if (reason !== undefined || !ending) fail(explainLimit(reason ?? '') ?? workerLost(i, reason))
        alive -= 1
        if (alive === 0) resolve(problems.length > 0 ? failed(...problems) : ok(undefined))
      })
    })
    supply()
  })
