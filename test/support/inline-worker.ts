import { loadKernels } from '#src/kernels/kernels.js'
import type { WorkerHandle } from '#src/run/worker-pool.js'
import { createExecutor } from '#src/run/execute.js'
import { createEngine } from '#src/run/devices/engine.js'
import { createSession, type Session } from '#src/run/sessions.js'
import { isStopRequested } from '#src/run/stop-flag.js'
import type { WorkerStart } from '#src/run/worker.js'
import { workerHandleOf } from './worker-handle.js'

const sessions = new Map<string, Promise<Session>>()

/**
 * A worker in this thread, for the many small builds of a test: real files, real sessions, no thread to start. Sessions
 * are kept between
 * builds. Programs of any device run on the processor, which has all kernels: only what a program looks like depends on
 * the device.
 */
export const inlineWorker = (start: WorkerStart): WorkerHandle => {
  const { device, programs, models } = start.engine
  const open = async (index: number): Promise<Session> => {
    const key = `${device}${programs[index]!.key}`
    const known = sessions.get(key) ?? createSession(models[index]!)
    sessions.set(key, known)
    return { run: (await known).run, release: async () => undefined }
  }
  return workerHandleOf(
    createExecutor({
      // Memory of its own: shared, it would grow with every build, and collecting garbage takes the longer the more
      // there is.
      kernels: loadKernels(),
      engine: createEngine(start.engine, open),
      temporary: start.temporary,
      cutting: start.cutting,
      stopping: () => isStopRequested(start.stop),
    }),
  )
}
