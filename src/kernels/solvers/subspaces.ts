import type { Solver, SolverOperand } from '../../graph/expression.js'
import { sizeOf } from '../../tensor/info.js'
import { addProduct, emptyMatrix, matrixOf, part, transposed, type DenseMatrix, type Matrix } from './matrix.js'
import { nearestOrthonormal, product, svdOf, type Svd } from './svd.js'

/**
 * Bytes for decompositions of a matrix of `rows` and `columns`: matrices of the lesser of both by itself, and by the
 * greater.
 */
const workspaceOf = ([rows = 1, columns = 1]: readonly number[]): number => {
  const [least, most] = [Math.min(rows, columns), Math.max(rows, columns)]
  return 8 * least * (4 * least + 12 * most)
}

/**
 * TSV-Merge: of each of K matrices the strongest 1/K of its singular values; their left vectors next to each other are
 * replaced by the nearest orthonormal ones, and so are the right ones. Operands: the matrices; the result is the sum of all
 * `sᵢ·uᵢ·vᵢᵀ`. With n the lesser of rows and columns and m the greater, about (K + 2)·(8n³ + 4mn²) floating-point
 * operations.
 */
export const taskSingularVectors: Solver = {
  name: 'task-singular-vectors',
  version: 1,
  takes: 'all',
  workspace: (_, shape) => workspaceOf(shape),
  solve: (operands, _, shape) => mergeSingularVectors(operands, shape).values,
}

/** The sum of all `sᵢ·uᵢ·vᵢᵀ` of {@link taskSingularVectors}. */
export const mergeSingularVectors = (operands: readonly SolverOperand[], shape: readonly number[]): DenseMatrix => {
  const [rows, columns] = sidesOf(shape)
  const each = Math.floor(Math.min(rows, columns) / operands.length)
  const parts = operands.map(({ values }) => svdOf(matrixOf(values, rows, columns), each))
  const { u, s, vt } = besideEachOther(parts, rows, columns)
  return weighted(nearestOrthonormal(u), (i) => s[i]!, nearestOrthonormal(vt))
}

/**
 * Isotropic merging: the singular vectors of the sum of K matrices, of which the weakest may be replaced by the strongest
 * of each matrix outside of the space of the others, all with the mean of their singular values. Operands: the matrices;
 * setting: the share of singular vectors that the sum has (1 is Iso-C, less Iso-CTS). About 8n³ + 4mn² floating-point
 * operations for Iso-C, (K + 3) times as many for Iso-CTS.
 */
export const isotropic: Solver = {
  name: 'isotropic',
  version: 1,
  takes: 'all',
  workspace: (_, shape) => workspaceOf(shape),
  solve: (operands, [common = 1], shape) => {
    const [rows, columns] = sidesOf(shape)
    const rank = Math.min(rows, columns)
    const own = roundHalfToEven((rank - Math.floor(rank * common)) / operands.length)
    const sum = emptyMatrix(rows, columns)
    for (const { values } of operands) for (let i = 0; i < values.length; i++) sum.values[i]! += values[i]!
    const shared = svdOf(sum, rank - own * operands.length)
    if (own === 0) return withMean(shared, rank).values
    const specific = operands.map(({ values }) => svdOf(outside(matrixOf(values, rows, columns), shared.u), own))
    const { u, s, vt } = besideEachOther([...specific, shared], rows, columns)
    return weighted(nearestOrthonormal(u), meanOf(s, rank), nearestOrthonormal(vt)).values
  },
}

/** A matrix of a decomposition, whose so many singular values, those that are not there 0, get their mean. */
export const withMean = ({ u, s, vt }: Svd, count: number): DenseMatrix => weighted(u, meanOf(s, count), vt)

const sidesOf = (shape: readonly number[]): readonly [rows: number, columns: number] => [
  shape[0]!,
  sizeOf(shape) / shape[0]!,
]

/** As Python rounds, so that as many vectors are taken as in the authors' code. */
const roundHalfToEven = (x: number): number => {
  const low = Math.floor(x)
  return x - low === 0.5 ? low + (low % 2) : Math.round(x)
}

/** The same weight for all: the mean of so many numbers, of which those that are not there are 0. */
const meanOf = (s: Float64Array, count: number): (() => number) => {
  const mean = s.reduce((a, b) => a + b, 0) / count
  return () => mean
}

/** What is left of a matrix outside of the space that orthonormal columns span. */
const outside = (a: Matrix, u: Matrix): Matrix => {
  const rest = { ...a, values: Float64Array.from(a.values) }
  addProduct(rest, u, product(transposed(u), a), -1)
  return rest
}

/** The vectors of all decompositions in one matrix. */
const besideEachOther = (parts: readonly Svd[], rows: number, columns: number): Svd => {
  const total = parts.reduce((n, { s }) => n + s.length, 0)
  const [u, vt, s] = [emptyMatrix(rows, total), emptyMatrix(total, columns), new Float64Array(total)]
  let first = 0
  for (const own of parts) {
    const count = own.s.length
    copy(part(u, 0, rows, first, count), own.u)
    copy(part(vt, first, count, 0, columns), own.vt)
    s.set(own.s, first)
    first += count
  }
  return { u, s, vt }
}

const copy = (to: Matrix, from: Matrix): void => {
  for (let i = 0; i < to.rows; i++)
    for (let j = 0; j < to.columns; j++)
      to.values[to.first + i * to.rowStep + j * to.columnStep] =
        from.values[from.first + i * from.rowStep + j * from.columnStep]!
}

/** The sum of `weightᵢ·uᵢ·vᵢᵀ`. */
const weighted = (u: Matrix, weightOf: (i: number) => number, vt: Matrix): DenseMatrix => {
  const scaled = emptyMatrix(vt.rows, vt.columns)
  copy(scaled, vt)
  for (let at = 0; at < scaled.values.length; at++) scaled.values[at]! *= weightOf(Math.floor(at / vt.columns))
  return product(u, scaled)
}
