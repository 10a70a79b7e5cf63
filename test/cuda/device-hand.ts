import { loadKernels } from '#src/kernels/kernels.js'
import type { WorkerHandle } from '#src/run/worker-pool.js'
import { createOnnxEngine } from '#src/run/devices/onnx-engine.js'
import { createExecutor } from '#src/run/execute.js'
import { isStopRequested } from '#src/run/stop-flag.js'
import type { WorkerStart } from '#src/run/worker.js'
import { onnxOf } from '../run/devices/device-hand.js'
import { workerHandleOf } from '../support/worker-handle.js'

/**
 * A worker in this thread on any device, with sessions of its own, which it gives back at its end; its memory is its
 * own as well, since that is never given back.
 */
export const deviceHand = (start: WorkerStart): WorkerHandle => {
  const kernels = loadKernels()
  return workerHandleOf(
    createExecutor({
      kernels,
      engine: createOnnxEngine(onnxOf(start), kernels),
      temporary: start.temporary,
      cutting: start.cutting,
      stopping: () => isStopRequested(start.stop),
    }),
  )
}
