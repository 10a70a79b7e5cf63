import { SEGMENT } from '../base/digest.js'
import { rankOf, type Cells, type Measure, type Tally, type Vector } from '../graph/expression.js'
import type { Pass } from '../graph/passes.js'
import type { Evaluator } from '../graph/scalar.js'
import { deriveKey } from '../kernels/key.js'
import { toMagnitude } from '../kernels/selection.js'
import type { Job, Plan, Target } from '../plan/plan.js'
import { rowsOf, SCRATCH } from '../plan/scratch.js'
import { blockRange, type BlockGrid } from '../tensor/block-grid.js'
import { sizeOf, type TensorInfo } from '../tensor/info.js'
import { isWhole, viewKey, wholeOf, type View } from '../tensor/view.js'
import { segmentsOf, type Ledger } from './digest-ledger.js'
import { limitOf, INFINITY, type Measures, type Search } from './measures.js'
import { rangesOf } from './read-ranges.js'
import type {
  ComputedWrite,
  ComputeOrder,
  CopyOrder,
  DigestOrder,
  GeneratedInputOrder,
  Near,
  ReadOrder,
  ScalarInputOrder,
  Segment,
  SolveOrder,
  TakeOrder,
  WriteOrder,
} from './unit.js'

/** The part of a plan that is work. */
export interface ScheduledWork extends Pick<Plan, 'jobs' | 'programs' | 'undigested' | 'digestOf' | 'outcomes'> {
  /** Where a copy of an input's tensor is read in its place. */
  readonly copyOf?: (tensor: TensorInfo) => Pick<TensorInfo, 'file' | 'begin'> | undefined
}

/** Segments of a tensor, one after the other. */
export interface SegmentRun {
  readonly first: number
  readonly count: number
}

/** Writes the orders of a plan's units, each as soon as all that it depends on is known. */
export interface UnitOrders {
  /** Segments of a pass of a job, which is told where to `search` if it is to tell equal magnitudes apart. */
  passUnit(job: number, pass: Pass, run: SegmentRun, search?: Search): ComputeOrder
  /** One call of a job's solver. */
  solveUnit(job: number, panel: number): SolveOrder
  /** Segments of a copy of a job; a digest where the bytes are in their place and only have to be checked. */
  copyUnit(job: number, copy: number, run: SegmentRun): CopyOrder | DigestOrder
  /** Segments of a tensor that is read for its digest alone. */
  digestUnit(index: number, run: SegmentRun): DigestOrder
}

/**
 * Segments up to which low bits are counted in advance: what is counted in vain has to be kept until the bin is known.
 */
const MOST_NEAR = 64

/** True where the low bits of a measure over so many elements are counted in advance. */
export const countsNear = (measure: Measure, size: number): boolean =>
  measure.over === undefined && segmentsOf(size) <= MOST_NEAR

/** The non-negative float32 whose bits these are; those of the next number above it are one more. */
const fromBits = (bits: number): number => toMagnitude(bits >>> 15, bits & 0x7fff)

/** True for a pass whose units have one segment: what they are fed for blocks is for the blocks of that one. */
export const isSingle = ({ draws }: Pass): boolean =>
  draws.some((draw) => draw.type === 'spread' && draw.vector.type !== 'stored')

/** The elements of some segments. */
const extentOf = (size: number, { first, count }: SegmentRun): Pick<Segment, 'start' | 'end'> => ({
  start: first * SEGMENT,
  end: Math.min(size, (first + count) * SEGMENT),
})

/**
 * Orders for a plan, given what its measures have come to so far; `keeping` are the paths of the files for masks that
 * are kept.
 */
export const createUnitOrders = (
  plan: ScheduledWork,
  measures: Measures,
  ledger: Ledger,
  { scalar: valueOf, vector: vectorOf }: Evaluator,
  keeping: readonly string[],
): UnitOrders => {
  const programs = new Map(plan.programs.map((p, i) => [p.key, i] as const))
  let nextId = 0

  const readOnly = (view: View, { start, end }: Pick<Segment, 'start' | 'end'>, digest = false): ReadOrder => {
    const { file, name, packed } = view.tensor
    const copy = plan.copyOf?.(view.tensor)
    if (copy !== undefined) {
      const ranges = rangesOf({ ...view, tensor: { ...view.tensor, ...copy } }, start, end)
      return { ...ranges, tensor: name, input: file, digest }
    }
    const { path, begin, dtype, selection } = rangesOf(view, start, end)
    // In so many words: it is done for every read of every unit.
    if (selection === undefined && file !== SCRATCH && packed !== true)
      return { path, begin, dtype, tensor: name, digest }
    return {
      path,
      begin,
      dtype,
      ...(selection === undefined ? {} : { selection }),
      tensor: name,
      digest,
      ...(file === SCRATCH ? { unfinished: true } : {}),
      ...(packed === true ? { packed } : {}),
    }
  }
  const read = (view: View, size: number, run: SegmentRun): ReadOrder => {
    const { file, name } = view.tensor
    const digest =
      file !== SCRATCH &&
      isWhole(view) &&
      plan.digestOf(view.tensor) === undefined &&
      ledger.ask(file, name, segmentsOf(size), run.first, run.count)
    return readOnly(view, extentOf(size, run), digest)
  }
  const write = (t: Target): WriteOrder => ({
    path: t.path,
    begin: t.begin,
    dtype: t.dtype,
    tensor: t.tensor,
    step: t.step,
    advice: t.advice,
    allowNonFinite: t.allowNonFinite,
  })
  const writeTarget = (t: Target, port: number, reads: readonly View[]): ComputedWrite => {
    const { value } = t
    const source = value.type === 'read' ? reads.findIndex((r) => viewKey(r) === viewKey(value.view)) : -1
    return { ...write(t), port, ...(source < 0 ? {} : { source }) }
  }

  /**
   * What becomes of a root: a target is written, and so are the bits of a mask that is kept, if there is a file for
   * them.
   */
  const writeRoot = (
    { targets, kept, step }: Job,
    root: number,
    port: number,
    reads: readonly View[],
  ): ComputedWrite[] => {
    const target = targets[root]
    if (target !== undefined) return [writeTarget(target, port, reads)]
    const { file, tensor, begin } = kept[root - targets.length]!
    const path = keeping[file]
    return path === undefined
      ? []
      : [{ path, begin, dtype: 'BOOL', tensor, step, allowNonFinite: true, port, packed: true }]
  }

  const uniform = (pass: Pass, index: number, job: number): ScalarInputOrder => {
    const u = pass.uniforms[index]!
    if (u.kind === 'scalar') return { value: valueOf(u) }
    const outcome = measures.outcome(u)
    if (outcome?.type !== 'top') throw new Error('a pass began before its threshold was known')
    const [at, after] = [fromBits(outcome.bits), fromBits(outcome.bits + 1)]
    if (outcome.bits >= INFINITY) return { value: NaN }
    const limit = limitOf(outcome.cut, u.over?.tensor ?? plan.jobs[job]!.tensor)
    return limit === Infinity
      ? { value: at }
      : limit === 0
        ? { value: after }
        : { value: at, cut: { at: limit, after } }
  }
  const cellOrder = (cells: Cells): Cells<number> =>
    cells.by === 'place' ? cells : { ...cells, low: valueOf(cells.low), high: valueOf(cells.high) }
  const nearOf = (measure: Measure, job: number): Near | undefined => {
    const { size } = plan.jobs[job]!
    if (!countsNear(measure, size) || measures.missed(measure)) return undefined
    const guess = measures.guess(measure)
    if (guess !== undefined) return { bin: guess }
    return {
      share:
        (measure.type === 'top'
          ? size - measures.keptOf(measure, size)
          : measure.type === 'quantile'
            ? rankOf(measure.q, size)
            : 0) / size,
      size,
    }
  }
  const take = (pass: Pass, job: number, search: Search | undefined): TakeOrder[] =>
    pass.takes.map(({ measure, stage, ports }) => {
      if (stage === 'low') return { stage, ports, bin: measures.bin(measure)! }
      if (stage === 'high') return { stage, ports, near: nearOf(measure, job) }
      if (stage === 'locate') return { stage, ports, bits: search!.bits, nth: search!.nth }
      if (stage === 'tally') return { stage, ports, cells: cellOrder((measure as Tally).cells) }
      if (stage === 'block-totals') {
        const { measure: kind, grid } = measure as Extract<Vector, { type: 'block-totals' }>
        return { stage, ports, measure: kind, grid }
      }
      return { stage, ports }
    })
  const spreadOrder = (vector: Vector, grid: BlockGrid, start: number, end: number): GeneratedInputOrder => {
    if (vector.type === 'stored') return { type: 'spread', grid, from: vector.from }
    const range = blockRange(grid, start, end)
    return {
      type: 'spread',
      grid,
      from: { numbers: new Float32Array(vectorOf(vector).subarray(range.first, range.end)) },
    }
  }
  const drawOrders = (pass: Pass, start: number, end: number): GeneratedInputOrder[] =>
    pass.draws.map((d) => {
      if (d.type === 'constant' || d.type === 'position' || d.type === 'product') return d
      if (d.type === 'spread') return spreadOrder(d.vector, d.grid, start, end)
      const { k0, k1 } = deriveKey(d.stream)
      return d.type === 'bernoulli' ? { type: d.type, k0, k1, p: d.p } : { type: d.type, k0, k1 }
    })

  const segmentsIn = (size: number, run: SegmentRun): Segment => ({ id: nextId++, ...extentOf(size, run) })
  const passUnit = (job: number, pass: Pass, run: SegmentRun, search?: Search): ComputeOrder => {
    const planned = plan.jobs[job]!
    const elements = segmentsIn(planned.size, run)
    return {
      type: 'compute',
      ...elements,
      program: programs.get(pass.program.key)!,
      reads: pass.reads.map((view) => read(view, planned.size, run)),
      draws: drawOrders(pass, elements.start, elements.end),
      uniforms: pass.uniforms.map((_, i) => uniform(pass, i, job)),
      needsLength: pass.needsLength,
      takes: take(pass, job, search),
      writes: pass.writes.flatMap(({ root, port }) => writeRoot(planned, root, port, pass.reads)),
    }
  }
  const operandOrder = (job: number, pass: Pass, elements: Segment): ComputeOrder => ({
    type: 'compute',
    ...elements,
    program: programs.get(pass.program.key)!,
    // What a solver reads may be some rows of a tensor: the whole is hashed by itself.
    reads: pass.reads.map((view) => readOnly(view, elements)),
    draws: drawOrders(pass, elements.start, elements.end),
    uniforms: pass.uniforms.map((_, i) => uniform(pass, i, job)),
    needsLength: pass.needsLength,
    takes: [],
    writes: [],
  })
  const solveUnit = (job: number, panel: number): SolveOrder => {
    const { tensor, step, size, solve } = plan.jobs[job]!
    const { measure, operands, result, rows } = solve!
    const width = size / rowsOf(measure.shape)
    const [first, last] = [panel * rows, Math.min(rowsOf(measure.shape), (panel + 1) * rows)]
    const elements = { id: nextId++, start: first * width, end: last * width }
    const byRow = measure.solver.takes === 'rows'
    /** The shape of the rows that are made, of what has all of them. */
    const shapeOf = (shape: readonly number[]): readonly number[] =>
      byRow && shape.length > 1 ? [last - first, ...shape.slice(1)] : shape
    return {
      type: 'solve',
      ...elements,
      solver: measure.solver.name,
      settings: measure.settings,
      shape: shapeOf(measure.shape),
      operands: operands.map((pass, i) => ({
        order: operandOrder(job, pass, byRow ? elements : { id: 0, start: 0, end: sizeOf(measure.shapes[i]!) }),
        shape: shapeOf(measure.shapes[i]!),
      })),
      reads: [],
      writes: [],
      result: { path: result.file, begin: result.begin, dtype: result.dtype },
      tensor,
      step,
    }
  }
  const copyUnit = (job: number, copy: number, run: SegmentRun): CopyOrder | DigestOrder => {
    const { size, copies } = plan.jobs[job]!
    const { from, to, expect } = copies[copy]!
    if (from === undefined) {
      ledger.ask(to.path, to.tensor, segmentsOf(size), run.first, run.count)
      const { path, begin, dtype, tensor } = to
      const own: ReadOrder = { path, begin, dtype, tensor, digest: true, unfinished: true }
      return { type: 'digest', ...segmentsIn(size, run), reads: [own], writes: [] }
    }
    const { start, end } = extentOf(size, run)
    const source =
      expect === undefined
        ? read(from, size, run)
        : { ...rangesOf(from, start, end), tensor: from.tensor.name, digest: false }
    return { type: 'copy', ...segmentsIn(size, run), reads: [source], writes: [write(to)] }
  }
  const digestUnit = (index: number, run: SegmentRun): DigestOrder => {
    const info = plan.undigested[index]!
    const size = sizeOf(info.shape)
    return {
      type: 'digest',
      ...segmentsIn(size, run),
      reads: [read(wholeOf(info), size, run)],
      writes: [],
    }
  }
  return { passUnit, solveUnit, copyUnit, digestUnit }
}
