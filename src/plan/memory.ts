import { SEGMENT } from '../base/digest.js'
import type { Pass } from '../graph/passes.js'
import { blockCount, blockRange } from '../tensor/block-grid.js'
import { bytesFor } from '../tensor/dtype.js'
import { sizeOf } from '../tensor/info.js'
import { viewBytes } from '../tensor/view.js'
import type { Plan } from './plan.js'

/** What the program takes before it works on anything: Node.js, the plan itself, and the dashboard. Measured, rounded up. */
const PROGRAM_BYTES = 170e6
/** What each worker takes with ONNX Runtime, its sessions and collected garbage. Measured, rounded up. */
const WORKER_BYTES = 60e6
/** What a device's libraries and driver take of the host's memory: the provider alone 15 MB, the rest depends on the driver. */
const DEVICE_BYTES = 300e6
/** Elements a worker holds of each input and output at a time. */
const BLOCK = 1 << 17

/** Bytes of the factors of low-rank products: as stored, as float32 in JavaScript, and in the kernels' memory, which doubles when it grows. */
const factorBytes = (pass: Pass): number => pass.draws.reduce((n, draw) => {
  if (draw.type !== 'product') return n
  const { up, down, mid } = draw.product
  return n + [up, down, ...(mid === undefined ? [] : [mid])].reduce((m, view) => m + 4 * viewBytes(view), 0)
}, 0)

/** Bytes of the factors of blocks that one segment meets, as they are stored and as float32. */
const scaleBytes = (pass: Pass): number => pass.draws.reduce((n, draw) => {
  if (draw.type !== 'block-scale') return n
  const { grid } = draw.scales
  const range = blockRange(grid, 0, Math.min(SEGMENT, sizeOf(grid.shape)))
  return n + 8 * (range.end - range.first)
}, 0)

/** Bytes of the factors that are found on the way: what writes them may come last, so those of all tensors are kept. */
const foundScaleBytes = (plan: Plan): number => {
  const measures = new Set(plan.jobs.flatMap((job) => job.sweeps?.passes ?? []).flatMap((pass) => pass.takes.map((take) => take.measure)))
  return [...measures].reduce((n, m) => n + (m.type === 'peaks' ? 4 * blockCount(m.grid) : 0), 0)
}

const passBytes = (pass: Pass, block: number): number => {
  const inputs = pass.reads.reduce((n, { tensor }) => n + bytesFor(block, tensor.dtype), 0) + pass.draws.length * 4 * block
  const counts = pass.takes.reduce((n, take) => n + 4 * 65536 + (take.stage === 'high' ? 4 * SEGMENT : 0), 0)
  return inputs + pass.program.outputs.length * 4 * block + counts + factorBytes(pass) + scaleBytes(pass)
}

/**
 * The most memory a build will hold, in bytes: it depends on the widest pass and the number of workers, never on the size of a model.
 * With a device, blocks are as long as its chunks, and its libraries are in memory too.
 */
export const estimateMemory = (plan: Plan, workers: number, onDevice = false): number => {
  const block = onDevice ? SEGMENT : BLOCK
  const widest = plan.jobs.flatMap((job) => job.sweeps?.passes ?? []).reduce((most, pass) => Math.max(most, passBytes(pass, block)), 0)
  return PROGRAM_BYTES + foundScaleBytes(plan) + (onDevice ? DEVICE_BYTES : 0) + workers * (WORKER_BYTES + 2 * widest)
}
