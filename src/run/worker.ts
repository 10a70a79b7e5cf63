import { parentPort, type MessagePort } from 'node:worker_threads'
import type { Diagnostic } from '../base/diagnostic.js'
import { loadKernels } from '../kernels/kernels.js'
import { createEngine, type EngineOptions } from './devices/create-engine.js'
import { createExecutor, type Executor } from './execute.js'
import { isStopRequested } from './stop-flag.js'
import type { UnitOrder, UnitResult } from './unit.js'
import type { Cutting } from './workspace.js'

/**
 * A worker thread's first message: what it will work with, or undefined when there is no work. Until then it loads what
 * every build needs.
 */
export interface WorkerStart {
  readonly engine: EngineOptions
  /** Where outputs are written until they are whole, by final path. */
  readonly temporary: ReadonlyMap<string, string>
  readonly cutting: Cutting
  /** The memory of the flag that is set when the build is to stop. */
  readonly stop: Int32Array
}

/** What the main thread sends: units to do, or undefined when there are no more. */
export type WorkerTask = readonly UnitOrder[] | undefined

/** What a worker answers: the results of one task, or what ended it. */
export type WorkerAnswer =
  | { readonly type: 'done'; readonly results: readonly UnitResult[] }
  | { readonly type: 'failed'; readonly diagnostics: readonly Diagnostic[] }

const kernels = loadKernels()

/** Does the units of a task, up to the first that fails. */
export const workOff = async (executor: Executor, units: readonly UnitOrder[]): Promise<WorkerAnswer> => {
  const results: UnitResult[] = []
  for (const unit of units) {
    const result = await executor.run(unit)
    if (result.type === 'failed') return result
    results.push(result.value)
  }
  return { type: 'done', results }
}

const serve = (port: MessagePort, { engine, temporary, cutting, stop }: WorkerStart): void => {
  const executor = createEngine(engine, kernels).then((made) =>
    createExecutor({ kernels, engine: made, temporary, cutting, stopping: () => isStopRequested(stop) }),
  )
  // One task at a time, in order: a session must never be entered twice.
  let last: Promise<unknown> = executor
  port.on('message', (task: WorkerTask) => {
    last = last.then(async () => {
      if (task !== undefined) return port.postMessage(await workOff(await executor, task))
      await (await executor).close()
      port.close()
    })
  })
}

const port = parentPort
port?.once('message', (start: WorkerStart | undefined) => (start === undefined ? port.close() : serve(port, start)))
