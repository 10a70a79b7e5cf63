import { bytesFor } from '../tensor/dtype.js'
import type { Plan } from './plan.js'

/** What the program takes before it works on anything: Node.js, ONNX Runtime, and the plan itself. Measured, rounded up. */
const PROGRAM_BYTES = 110e6
/** What each worker takes with its own ONNX Runtime sessions and collected garbage. Measured, rounded up. */
const WORKER_BYTES = 45e6
/** Elements a worker holds of each input and output at a time. */
const BLOCK = 1 << 18

/** The most memory a build will hold, in bytes: it depends on the widest pass and the number of workers, never on the size of a model. */
export const estimateMemory = (plan: Plan, workers: number): number => {
  const passes = plan.jobs.flatMap((job) => job.sweeps?.passes ?? [])
  const widest = passes.reduce((most, pass) => {
    const inputs = pass.reads.reduce((n, info) => n + bytesFor(BLOCK, info.dtype), 0) + pass.draws.length * BLOCK
    const histograms = pass.takes.length * 4 * 65536
    return Math.max(most, inputs + pass.program.outputs.length * 4 * BLOCK + histograms)
  }, 0)
  return PROGRAM_BYTES + workers * (WORKER_BYTES + 2 * widest)
}
