import type { Solve } from '../graph/expression.js'
import type { Pass } from '../graph/passes.js'
import { sizeOf, type TensorInfo } from '../tensor/info.js'

/** What stands for the path of the scratch file, which exists only while a build runs. */
export const SCRATCH = '\0scratch'

/** A tensor that a solver makes: the passes that compute its operands, and where the result is written. */
export interface PlannedSolve {
  readonly measure: Solve
  /** Parallel to its operands. */
  readonly operands: readonly Pass[]
  readonly result: TensorInfo
  /** How many rows of the result are computed at a time; the last time there may be fewer. */
  readonly rows: number
}

/** Rows of a tensor, if it is taken as a matrix. */
export const rowsOf = (shape: readonly number[]): number => (shape.length < 2 ? 1 : shape[0]!)

/** Elements that are computed at a time, where rows can be computed by themselves. */
const PANEL = 1 << 20

/** The rows that are computed at a time. */
export const panelOf = ({ solver, shape }: Solve): number => {
  const rows = rowsOf(shape)
  return solver.takes === 'all' ? rows : Math.min(rows, Math.max(1, Math.floor(PANEL / (sizeOf(shape) / rows))))
}

/** How many times a solver is called for a result. */
export const panelsOf = ({ measure, rows }: PlannedSolve): number => Math.ceil(rowsOf(measure.shape) / rows)

/**
 * Bytes that one call of a solver takes: operands and result in float32 and float64, or where the result takes the place
 * of an operand in float32 alone, and what it needs besides.
 */
export const bytesOfSolve = ({ measure, rows }: PlannedSolve): number => {
  const { solver, operands, shape, shapes, settings } = measure
  const share = rows / rowsOf(shape)
  const elements = [...shapes, shape].reduce((n, s) => n + sizeOf(s), 0)
  const own = solver.overwrites === true ? 4 * (elements - sizeOf(shape)) : 12 * elements
  const dtypes = operands.map((x) => (x.type === 'read' ? x.view.tensor.dtype : 'F32'))
  return Math.ceil(share * (own + solver.workspace(shapes, shape, settings, dtypes)))
}

/**
 * Bytes that the calls of solvers at one time may take together, but for one that takes more by itself: more than the
 * least only where there is so much to solve.
 */
const [LEAST_BYTES, MOST_BYTES] = [128e6, 300e6]

/** Bytes that the solvers of a plan may take together at a time. */
export const solvingBytes = (solves: readonly PlannedSolve[]): number => {
  if (solves.length === 0) return 0
  let [total, most] = [0, 0]
  for (const solve of solves) {
    const bytes = bytesOfSolve(solve)
    total += panelsOf(solve) * bytes
    most = Math.max(most, bytes)
  }
  return Math.max(LEAST_BYTES, most, Math.min(MOST_BYTES, total))
}
