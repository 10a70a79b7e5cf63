import { loadKernels } from '#src/kernels/kernels.js'
import type { WorkerHandle } from '#src/run/worker-pool.js'
import type { Engine } from '#src/run/devices/engine.js'
import { createOnnxEngine, type OnnxOptions } from '#src/run/devices/onnx-engine.js'
import { createExecutor } from '#src/run/execute.js'
import { createSession, type Session } from '#src/run/sessions.js'
import { isStopRequested } from '#src/run/stop-flag.js'
import type { WorkerStart } from '#src/run/worker.js'
import { workerHandleOf } from '../../support/worker-handle.js'

/** What a worker's engine is made of; on a device that is ONNX Runtime. */
export const onnxOf = ({ engine }: WorkerStart): OnnxOptions => {
  if (engine.type !== 'onnx') throw new Error('no device computes with compiled programs')
  return engine
}

/** The session of a program that runs on the processor, whatever device it was lowered for. */
export const sessionOf = (start: WorkerStart, program: number): Promise<Session> =>
  createSession(onnxOf(start).models[program]!)

/**
 * A worker in this thread, on a device of which a test says how it makes sessions and what else its engine does;
 * `ended` is called once it has.
 */
export const deviceHand = (
  start: WorkerStart,
  open: (program: number) => Promise<Session>,
  change: (engine: Engine) => Engine = (engine) => engine,
  ended: () => void = () => undefined,
): WorkerHandle => {
  const kernels = loadKernels()
  const engine = change(createOnnxEngine(onnxOf(start), kernels, open))
  return workerHandleOf(
    createExecutor({
      kernels,
      engine,
      temporary: start.temporary,
      cutting: start.cutting,
      stopping: () => isStopRequested(start.stop),
    }),
    ended,
  )
}
