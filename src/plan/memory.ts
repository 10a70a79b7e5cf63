import { SEGMENT } from '../base/digest.js'
import { greatest } from '../base/lists.js'
import { lowerFor } from '../graph/lower.js'
import { keptNumbers, viewsOf } from '../graph/products.js'
import type { Pass } from '../graph/passes.js'
import { blockCount, blockRange, type BlockGrid } from '../tensor/block-grid.js'
import { bytesFor } from '../tensor/dtype.js'
import { sizeOf } from '../tensor/info.js'
import { viewBytes } from '../tensor/view.js'
import { estimateSession } from './device-memory.js'
import type { Job, Plan } from './plan.js'
import { solvingBytes } from './scratch.js'

// What is called measured was measured as the kernel's peak of the whole process over recipes of all kinds, and rounded
// up; bench/footprint.mjs
// shows the figure of every recipe beside what its build took.

/** What the program takes before it works on anything: Node.js, its packages, and the dashboard. Measured. */
const PROGRAM_BYTES = 120e6
/** What a worker takes before it has any program: a thread and its garbage. Measured. */
const WORKER_BYTES = 16e6
/** What ONNX Runtime takes of a process, and more of each worker. Measured. */
const [RUNTIME_BYTES, RUNTIME_WORKER_BYTES] = [30e6, 20e6]
/**
 * What a device's libraries and driver take of the host's memory: the provider alone 15 MB, the rest depends on the
 * driver.
 */
const DEVICE_BYTES = 300e6
/** What it takes to draw a report: the libraries for charts and pictures, and the picture. Measured. */
const REPORT_BYTES = 120e6
/**
 * What is kept of a tensor of an input, of one that is written, and of a measure of one, garbage included. Measured.
 */
const [STORED_BYTES, JOB_BYTES, MEASURE_BYTES] = [1000, 9500, 8000]
/**
 * Elements a worker holds of each input and output at a time, and of one run of a program, in ONNX Runtime and compiled;
 * and of what a measure looks at twice.
 */
const [BLOCK, CHUNK, COMPILED_BLOCK, COMPILED_CHUNK, KEPT] = [1 << 17, 1 << 15, 1 << 16, 1 << 13, 1 << 18]
/**
 * What workers have at hand: tasks each, units in a task, and segments that count magnitudes; and how many different
 * ones a segment counts, of which not all have a count of their own.
 */
const [TASKS, TASK_UNITS, COUNTED_SEGMENTS, COUNTED] = [2, 64, 8, 1 << 14]

/**
 * Bytes of the factors of products: as stored, as float32 in JavaScript, and in the kernels' memory, which doubles when
 * it grows; and the same of what is made of them once.
 */
const factorBytes = (pass: Pass): number =>
  pass.draws.reduce((n, draw) => {
    if (draw.type !== 'product') return n
    return n + viewsOf(draw.product).reduce((m, view) => m + 4 * viewBytes(view), 16 * keptNumbers(draw.product))
  }, 0)

/** How many blocks the first segment of a tensor meets, as all others do at most. */
const blocksOfSegment = (grid: BlockGrid): number => {
  const { first, end } = blockRange(grid, 0, Math.min(SEGMENT, sizeOf(grid.shape)))
  return end - first
}

/** Bytes of the numbers of blocks that one segment is fed, as they are stored and as float32. */
const vectorBytes = (pass: Pass): number =>
  pass.draws.reduce((n, draw) => {
    return draw.type === 'spread' ? n + 8 * blocksOfSegment(draw.grid) : n
  }, 0)

/**
 * Bytes of the numbers of blocks that a pass finds, those of each segment by itself and of all together: what uses them
 * may come last, so those of all tensors are kept.
 */
const foundVectorBytes = ({ takes }: Pass): number =>
  takes.reduce((n, { measure: m }) => {
    if (m.type !== 'block-totals') return n
    const segments = Math.ceil(sizeOf(m.grid.shape) / SEGMENT)
    return n + 8 * (blockCount(m.grid) + segments * blocksOfSegment(m.grid))
  }, 0)

/**
 * Segments up to which a tensor is counted around its threshold alone, and bytes of what is counted of one: of normal
 * numbers one in 37 is there.
 */
const [MOST_SEGMENTS, RANGE_BYTES] = [64, (8 * SEGMENT) / 37]

/** Bytes of the counts of a measure: of all magnitudes, of those of a sample, and of a range of them. */
const COUNTS = 4 * (2 * 65536 + 7 * 32768)

/** Bytes of the numbers that a worker holds of one pass, in blocks and chunks of so many elements. */
const passBytes = (pass: Pass, size: number, block: number, chunk: number): number => {
  const inputs =
    pass.reads.reduce((n, { tensor }) => n + bytesFor(block, tensor.dtype), 0) +
    pass.draws.reduce((n, { type }) => n + 4 * (type === 'product' ? block : chunk), 0)
  const measured = pass.takes.reduce(
    (n, take) => n + (take.stage === 'high' ? COUNTS + (size <= KEPT ? 4 * KEPT : 0) : 4 * 65536),
    0,
  )
  const outputs = pass.program.outputs.length * 4 * (pass.writes.length > 0 ? block : chunk)
  return inputs + outputs + measured + factorBytes(pass) + vectorBytes(pass)
}

/**
 * Bytes of the counts that the units of a job like this one, as many as a worker may have at hand, send to the main
 * thread.
 */
const countBytes = ({ size, sweeps }: Job): number => {
  const most = greatest(
    (sweeps?.passes ?? []).map((pass) => pass.takes.filter((t) => t.stage === 'high' || t.stage === 'low').length),
    0,
  )
  const counted =
    size > SEGMENT
      ? COUNTED * Math.min(COUNTED_SEGMENTS, Math.ceil(size / SEGMENT))
      : Math.min(TASK_UNITS * Math.min(size, COUNTED), COUNTED_SEGMENTS * COUNTED)
  return TASKS * counted * most * 8
}

/** Bytes of the counts around a threshold that are kept until all segments of a tensor of this job have come. */
const rangeBytes = ({ size, sweeps }: Job): number => {
  const segments = Math.ceil(size / SEGMENT)
  if (size <= KEPT || segments > MOST_SEGMENTS) return 0
  const most = greatest(
    (sweeps?.passes ?? []).map((pass) => pass.takes.filter((t) => t.stage === 'high').length),
    0,
  )
  return segments * most * RANGE_BYTES
}

/** What else a build does that takes memory. */
export interface MemoryUse {
  /** Programs run on a device: blocks are as long as its chunks, and its libraries are in memory too. */
  readonly onDevice?: boolean
  /** ONNX Runtime computes on the processor. */
  readonly onRuntime?: boolean
  /** A report on the build is drawn. */
  readonly reporting?: boolean
}

/**
 * The most memory a build will hold, in bytes: it depends on the widest pass, the number of workers and programs, and
 * on how many tensors
 * there are, never on how large they are.
 */
export const estimateMemory = (
  plan: Plan,
  workers: number,
  { onDevice = false, onRuntime = false, reporting = false }: MemoryUse = {},
): number => {
  const [block, chunk] = onDevice ? [SEGMENT, SEGMENT] : onRuntime ? [BLOCK, CHUNK] : [COMPILED_BLOCK, COMPILED_CHUNK]
  let [widest, counted, ranges, measures, found, jobs] = [0, 0, 0, 0, 0, 0]
  for (const job of plan.jobs) {
    const alike = plan.standsFor(job)
    jobs += alike
    for (const pass of job.sweeps?.passes ?? job.solve?.operands ?? []) {
      widest = Math.max(widest, passBytes(pass, job.size, block, chunk))
      measures += alike * pass.takes.length
      found += alike * foundVectorBytes(pass)
    }
    counted = Math.max(counted, countBytes(job))
    ranges = Math.max(ranges, rangeBytes(job))
  }
  const sessions = onRuntime
    ? plan.programs.reduce((n, program) => n + estimateSession(lowerFor('cpu', program), CHUNK), 0)
    : 0
  const [runtime, runtimeWorker] = onDevice || onRuntime ? [RUNTIME_BYTES, RUNTIME_WORKER_BYTES] : [0, 0]
  const stored = plan.models.reduce((n, model) => n + model.tensors, 0)
  const outputs = plan.outputs.reduce((n, output) => n + output.tensors.length, 0)
  return (
    PROGRAM_BYTES +
    runtime +
    ranges +
    found +
    solvingBytes(plan.jobs.flatMap(({ solve }) => solve ?? [])) +
    (onDevice ? DEVICE_BYTES : 0) +
    (reporting || plan.reports.some((r) => !r.kept) ? REPORT_BYTES : 0) +
    STORED_BYTES * stored +
    JOB_BYTES * Math.max(jobs, outputs) +
    MEASURE_BYTES * measures +
    workers * (WORKER_BYTES + runtimeWorker + sessions + counted + 2 * widest)
  )
}
