import { loadKernels, type Kernels } from '#src/kernels/kernels.js'
import type { WorkerHandle } from '#src/run/worker-pool.js'
import { createExecutor } from '#src/run/execute.js'
import { createCompiledEngine } from '#src/run/devices/compiled-engine.js'
import type { EngineOptions } from '#src/run/devices/create-engine.js'
import type { Engine } from '#src/run/devices/engine.js'
import { createOnnxEngine } from '#src/run/devices/onnx-engine.js'
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
  // Memory of its own: shared, it would grow with every build, and collecting garbage takes the longer the more
  // there is.
  const kernels = loadKernels()
  return workerHandleOf(
    createExecutor({
      kernels,
      engine: engineOf(start.engine, kernels),
      temporary: start.temporary,
      cutting: start.cutting,
      stopping: () => isStopRequested(start.stop),
    }),
  )
}

const engineOf = (options: EngineOptions, kernels: Kernels): Engine => {
  if (options.type === 'compiled') return createCompiledEngine(options, kernels)
  const { device, programs, models } = options
  return createOnnxEngine(options, kernels, async (index) => {
    const key = `${device}${programs[index]!.key}`
    const known = sessions.get(key) ?? createSession(models[index]!)
    sessions.set(key, known)
    return { run: (await known).run, release: async () => undefined }
  })
}
