import type { Solver } from '../../graph/expression.js'
import { sizeOf } from '../../tensor/info.js'
import { solveColumns } from './lu.js'
import { addProduct, emptyMatrix, matrixOf, part, transposed, type Matrix } from './matrix.js'

/** Added to the norm of Q before it is compared with the constraint, as LyCORIS does. */
const EPSILON = 1e-8

/**
 * A tensor some of whose rows are turned by the blocks of OFT, [number, size, size], or in the levels of BOFT, with one
 * more axis before: R = (I + Q)(I − Q)⁻¹ of Q = B − Bᵀ. OFT applies the transpose of m·R + (1 − m)·I to each run of rows;
 * BOFT applies it as it is to rows that are further apart at every level, and then both multiply rows by a factor.
 * Operands: the tensor, the blocks, and the factors of the rows if there are any; settings: the first row, the strength
 * m, the greatest norm of Q, 0 for any; by how many rows they stand further on, the last ones at the front; and 1 where
 * the tensor is stored with its rows as columns. About 3·b³ floating-point operations for a block and 2·b for each element
 * and level. LyCORIS, `diag_oft.py` and `boft.py`.
 */
export const blockRotation: Solver = {
  name: 'block-rotation',
  version: 1,
  takes: 'all',
  workspace: ([shape = [], blocks = []]) => 8 * (2 * sizeOf(shape) + 3 * sizeOf(blocks.slice(-2)) + sizeOf(blocks)),
  solve: ([operand, blocks, rescale], [first = 0, strength = 1, most = 0, roll = 0, stands = 0], shape) => {
    const columns = sizeOf(shape) / (shape[0] ?? 1)
    const [number, size] = blocks!.shape.slice(-3) as [number, number, number]
    const levels = blocks!.shape.length === 4 ? blocks!.shape[0]! : undefined
    const rows = number * size
    const q = skewed(blocks!.values, size)
    const norm = Math.sqrt(q.reduce((sum, x) => sum + x * x, 0)) + EPSILON
    if (!Number.isFinite(norm)) return 'not-finite'
    if (most > 0 && norm > most) for (let i = 0; i < q.length; i++) q[i]! *= most / norm
    const turned = Float64Array.from(operand!.values)
    const stored = matrixOf(turned, shape[0] ?? 1, columns)
    const own = stands === 1 ? transposed(stored) : part(stored, first, rows, 0, columns)
    const placeOf = (row: number): number => (row + roll) % rows
    const area = size * size
    for (let level = 0; level < (levels ?? 1); level++) {
      for (let block = 0; block < number; block++) {
        const at = (level * number + block) * area
        const matrix = cayley(q.subarray(at, at + area), size, strength)
        if (matrix === undefined) return 'not-finite'
        const places = levels === undefined ? runOf(block, size) : spreadOf(block, size, level)
        turnRows(own, levels === undefined ? transposed(matrix) : matrix, places.map(placeOf))
      }
    }
    if (rescale !== undefined)
      for (let i = 0; i < rows; i++)
        for (let j = 0; j < own.columns; j++)
          turned[own.first + placeOf(i) * own.rowStep + j * own.columnStep]! *= rescale.values[i]!
    return turned
  },
}

/** B − Bᵀ of every block. */
const skewed = (blocks: Float32Array | Float64Array, size: number): Float64Array => {
  const q = new Float64Array(blocks.length)
  for (let start = 0; start < q.length; start += size * size)
    for (let i = 0; i < size; i++)
      for (let j = 0; j < size; j++)
        q[start + i * size + j] = blocks[start + i * size + j]! - blocks[start + j * size + i]!
  return q
}

/** m·R + (1 − m)·I with R·(I − Q) = I + Q; the two commute, so that R solves (I − Q)·R = I + Q too. */
const cayley = (q: Float64Array, size: number, strength: number): Matrix | undefined => {
  const [left, right] = [emptyMatrix(size, size), emptyMatrix(size, size)]
  for (let i = 0; i < q.length; i++) {
    const one = i % (size + 1) === 0 ? 1 : 0
    left.values[i] = one - q[i]!
    right.values[i] = one + q[i]!
  }
  if (!solveColumns(left, right)) return undefined
  for (let i = 0; i < q.length; i++)
    right.values[i] = strength * right.values[i]! + (i % (size + 1) === 0 ? 1 - strength : 0)
  return right
}

/** The rows of a block of OFT: one run after another. */
const runOf = (block: number, size: number): readonly number[] =>
  Array.from({ length: size }, (_, i) => block * size + i)

/**
 * The rows of a block of BOFT at a level: in groups of 2·k rows, k = 2^level · size / 2, row i of the first half stands
 * beside row i of the second, and blocks are runs of that order.
 */
const spreadOf = (block: number, size: number, level: number): readonly number[] => {
  const k = (2 ** level * size) / 2
  return Array.from({ length: size }, (_, i) => {
    const at = block * size + i
    const [group, within] = [Math.floor(at / (2 * k)), at % (2 * k)]
    return group * 2 * k + (within % 2) * k + Math.floor(within / 2)
  })
}

/** Replaces some rows of a matrix by sums of them, whose coefficients are the rows of another. */
const turnRows = (m: Matrix, by: Matrix, places: readonly number[]): void => {
  const [before, after] = [emptyMatrix(places.length, m.columns), emptyMatrix(places.length, m.columns)]
  const move = (visit: (inside: number, outside: number) => void): void => {
    for (const [i, row] of places.entries())
      for (let j = 0; j < m.columns; j++) visit(i * m.columns + j, m.first + row * m.rowStep + j * m.columnStep)
  }
  move((inside, outside) => (before.values[inside] = m.values[outside]!))
  addProduct(after, by, before)
  move((inside, outside) => (m.values[outside] = after.values[inside]!))
}
