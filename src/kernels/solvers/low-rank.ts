import type { Solver, SolverOperand } from '../../graph/expression.js'
import { sizeOf } from '../../tensor/info.js'
import { addProduct, emptyMatrix, matrixOf, part, solverKernels, transposed, type Matrix } from './matrix.js'
import { product, svdOf, truncatedSvd } from './svd.js'

/**
 * The two factors of the best approximation of a rank of some rows of a matrix: up [rows, rank] and after it down
 * [rank, columns], with the roots of the singular values in each. Where the matrix has a lower rank the rest is 0.
 * Operand: the matrix; settings: the first row, the number of rows, the rank, and 1 for the transpose of the matrix. About
 * 24·rows·columns·(rank + 10) floating-point operations.
 */
export const lowRankFactors: Solver = {
  name: 'low-rank-factors',
  version: 1,
  takes: 'all',
  workspace: ([matrix = []]) => decompositionBytes(matrix),
  solve: ([operand], [first = 0, rows = 0, rank = 0, turned = 0], shape) => {
    const stored = matrixOf(operand!.values, ...sidesOf(operand!.shape))
    const matrix = turned === 1 ? transposed(stored) : stored
    const { columns } = matrix
    const { u, s, vt } = truncatedSvd(part(matrix, first, rows, 0, columns), rank)
    const factors = new Float64Array(sizeOf(shape))
    for (const [k, value] of s.entries()) {
      const root = Math.sqrt(value)
      for (let i = 0; i < rows; i++)
        factors[i * rank + k] = root * u.values[u.first + i * u.rowStep + k * u.columnStep]!
      for (let j = 0; j < columns; j++)
        factors[rows * rank + k * columns + j] = root * vt.values[vt.first + k * vt.rowStep + j * vt.columnStep]!
    }
    return factors
  },
}

/**
 * The factors of a sum of products, each times a number: up [rows, ranks of all] and after it down [ranks of all,
 * columns]. Operands: up and down of each product; settings: the rows, the numbers.
 */
export const joinedFactors: Solver = {
  name: 'joined-factors',
  version: 1,
  takes: 'all',
  workspace: () => 0,
  solve: (operands, [rows = 0, ...scales], shape) => {
    const joined = new Float64Array(sizeOf(shape))
    const ranks = scales.map((_, i) => operands[2 * i]!.values.length / rows)
    const total = ranks.reduce((a, b) => a + b, 0)
    let first = 0
    let end = rows * total
    for (const [i, scale] of scales.entries()) {
      const [up, down, rank] = [operands[2 * i]!.values, operands[2 * i + 1]!.values, ranks[i]!]
      for (let at = 0; at < up.length; at++)
        joined[Math.floor(at / rank) * total + first + (at % rank)] = scale * up[at]!
      joined.set(down, end)
      first += rank
      end += down.length
    }
    return joined
  },
}

/**
 * The factors of a matrix whose rows are products of other factors, each in rows of its own: up [rows, ranks of all] and
 * after it down [ranks of all, columns]. Operands: up and down of each product; settings: the rows, then for each product
 * its first row and the number it is multiplied by.
 */
export const stackedFactors: Solver = {
  name: 'stacked-factors',
  version: 1,
  takes: 'all',
  workspace: () => 0,
  solve: (operands, [rows = 0, ...places], shape) => {
    const stacked = new Float64Array(sizeOf(shape))
    const ranks = operands.flatMap(({ shape: own }, i) => (i % 2 === 1 ? [own[0]!] : []))
    const total = ranks.reduce((a, b) => a + b, 0)
    let column = 0
    let end = rows * total
    for (const [i, rank] of ranks.entries()) {
      const [up, down] = [operands[2 * i]!.values, operands[2 * i + 1]!.values]
      const [first, scale] = [places[2 * i]!, places[2 * i + 1]!]
      for (let at = 0; at < up.length; at++)
        stacked[(first + Math.floor(at / rank)) * total + column + (at % rank)] = scale * up[at]!
      stacked.set(down, end)
      column += rank
      end += down.length
    }
    return stacked
  },
}

/** How a rank is chosen by the singular values of a matrix, by the number that {@link chosenRank} takes for it. */
export const RANK_METHODS = ['energy', 'quantile', 'ratio', 'threshold'] as const
export type RankMethod = (typeof RANK_METHODS)[number]

/**
 * The rank that some rows of a matrix need, as one number: the least whose squares of singular values make up a share of
 * all (`energy`), or whose singular values do (`quantile`); or how many singular values exceed a share of the greatest
 * (`ratio`), or a number (`threshold`). Operand: the matrix; settings: the first row, the number of rows, the greatest
 * rank, the index of the method, the share or number. A matrix of zeros has rank 0.
 */
export const chosenRank: Solver = {
  name: 'chosen-rank',
  version: 1,
  takes: 'all',
  workspace: ([matrix = []]) => decompositionBytes(matrix),
  solve: ([operand], [first = 0, rows = 0, most = 0, method = 0, amount = 0]) => {
    const [height, columns] = sidesOf(operand!.shape)
    const matrix = part(matrixOf(operand!.values, height, columns), first, rows, 0, columns)
    const chosen = RANK_METHODS[method]!
    // Only a share of their sum needs all singular values; the sum of their squares is that of the numbers.
    const { s } = chosen === 'quantile' ? svdOf(matrix) : truncatedSvd(matrix, most)
    return Float64Array.of(Math.min(most, countNeeded(s, squaresOf(matrix), chosen, amount)))
  },
}

const squaresOf = ({ values, rows, columns, first, rowStep, columnStep }: Matrix): number => {
  let sum = 0
  for (let i = 0; i < rows; i++)
    for (let j = 0; j < columns; j++) sum += values[first + i * rowStep + j * columnStep]! ** 2
  return sum
}

/** How many singular values, which descend, a method keeps; all where even these are too few. */
const countNeeded = (s: Float64Array, squares: number, method: RankMethod, amount: number): number => {
  if (squares === 0) return 0
  if (method === 'ratio' || method === 'threshold') {
    const least = method === 'ratio' ? amount * s[0]! : amount
    return s.filter((value) => value > least).length
  }
  const all = method === 'energy' ? squares : s.reduce((a, b) => a + b, 0)
  let sum = 0
  for (const [i, value] of s.entries()) {
    sum += method === 'energy' ? value * value : value
    if (sum >= amount * all) return i + 1
  }
  return s.length
}

/** The best approximation of a matrix of a rank, which is the setting. */
export const lowRankApproximation: Solver = {
  name: 'low-rank-approximation',
  version: 1,
  takes: 'all',
  workspace: ([matrix = []]) => decompositionBytes(matrix),
  solve: ([operand], [rank = 0], shape) => {
    const [rows, columns] = sidesOf(shape)
    const { u, s, vt } = truncatedSvd(matrixOf(operand!.values, rows, columns), rank)
    const scaled = emptyMatrix(rows, s.length)
    for (let i = 0; i < rows; i++)
      for (const [k, value] of s.entries())
        scaled.values[i * s.length + k] = value * u.values[u.first + i * u.rowStep + k * u.columnStep]!
    return product(scaled, vt).values
  },
}

/** Elements of a tensor from one on, as a tensor of another shape. Setting: the first. */
export const elementsFrom: Solver = {
  name: 'elements-from',
  version: 1,
  takes: 'all',
  workspace: () => 0,
  solve: ([operand], [first = 0], shape) => operand!.values.slice(first, first + sizeOf(shape)),
}

/**
 * W·first·second in some rows of a tensor that is 0 elsewhere: each row of W [outputs, inputs, …kernel] times a matrix of
 * its input channels, given by its factors [inputs, rank] and [rank, inputs]. Operands: W and the factors; settings: the
 * first of these rows and their number, and 1 where W is stored with its rows as columns, all of which count then.
 */
export const channelProduct: Solver = {
  name: 'channel-product',
  version: 1,
  takes: 'all',
  workspace: ([, first = []], shape) => {
    const [height, columns] = sidesOf(shape)
    return 8 * (sizeOf(shape) + Math.max(height, columns) * (first[1] ?? 1))
  },
  solve: ([operand, first, second], [row = 0, rows = 0, turned = 0], shape) => {
    const [height, columns] = sidesOf(shape)
    const [inputs, rank] = sidesOf(first!.shape)
    const result = emptyMatrix(height, columns)
    if (turned === 1) {
      const inner = emptyMatrix(columns, rank)
      addProduct(inner, transposed(matrixOf(operand!.values, height, columns)), matrixOf(first!.values, inputs, rank))
      addProduct(transposed(result), inner, matrixOf(second!.values, rank, inputs))
      return result.values
    }
    const kernel = columns / inputs
    const channels = (values: Matrix['values'], k: number): Matrix => ({
      values,
      rows,
      columns: inputs,
      first: row * columns + k,
      rowStep: columns,
      columnStep: kernel,
    })
    for (let k = 0; k < kernel; k++) {
      const inner = emptyMatrix(rows, rank)
      addProduct(inner, channels(operand!.values, k), matrixOf(first!.values, inputs, rank))
      addProduct(channels(result.values, k), inner, matrixOf(second!.values, rank, inputs))
    }
    return result.values
  },
}

/**
 * The product of two factors, up [rows, rank] and down [rank, columns], in some rows of a tensor that is 0 elsewhere;
 * rows of the product beyond the tensor are left out. Settings: the first of these rows, below 0 where the product begins
 * before the tensor, and 1 where both factors are given with their rows as columns.
 */
export const factorProduct: Solver = {
  name: 'factor-product',
  version: 1,
  takes: 'all',
  workspace: (_, shape) => 8 * sizeOf(shape),
  solve: ([up, down], [first = 0, turned = 0], shape) => {
    const [height, columns] = sidesOf(shape)
    const result = emptyMatrix(height, columns)
    const asGiven = ({ values, shape: own }: SolverOperand): Matrix => {
      const [rows, width] = sidesOf(own)
      const matrix = matrixOf(values, rows, width)
      return turned === 1 ? transposed(matrix) : matrix
    }
    const [upper, lower] = [asGiven(up!), asGiven(down!)]
    const [from, to] = [Math.max(0, first), Math.min(height, first + upper.rows)]
    addProduct(part(result, from, to - from, 0, columns), part(upper, from - first, to - from, 0, upper.columns), lower)
    return result.values
  },
}

/**
 * The same product in float32 throughout, the ranks added in order: bit by bit what factors of a file give, which are
 * multiplied as they are read. Rows beyond the tensor are left out. Settings: the first row, below 0 where the product begins before the tensor, and by how many rows they are moved on, the last ones to the front.
 */
export const lowRankProduct: Solver = {
  name: 'low-rank-product',
  version: 1,
  takes: 'all',
  workspace: () => 0,
  solve: ([up, down], [first = 0, roll = 0], shape) => {
    const [height, columns] = sidesOf(shape)
    const [rows, rank] = sidesOf(up!.shape)
    const result = new Float32Array(sizeOf(shape))
    multiplyFactors(matrixOf(up!.values, rows, rank), matrixOf(down!.values, rank, columns), (row, column, numbers) => {
      const at = first + ((row + roll) % rows)
      if (at >= 0 && at < height) result.set(numbers, at * columns + column)
    })
    return result
  },
}

/**
 * Multiplies two factors in float32, the ranks added in order, and gives `put` some columns of a row at a time, in memory
 * that the next replace.
 */
export const multiplyFactors = (
  up: Matrix,
  down: Matrix,
  put: (row: number, column: number, numbers: Float32Array) => void,
): void => {
  const { rows, columns: rank } = up
  const { columns } = down
  const kernels = solverKernels()
  const size = rank + (rank + 1) * Math.min(columns, PANEL)
  if (room === undefined || room.floats < size) room = { offset: kernels.alloc(4 * size), floats: size }
  const { offset } = room
  for (let column = 0; column < columns; column += PANEL) {
    const width = Math.min(PANEL, columns - column)
    const [panel, out] = [offset + 4 * rank, offset + 4 * (rank + rank * width)]
    const [row, inside, numbers] = [
      kernels.view(Float32Array, offset, rank),
      kernels.view(Float32Array, panel, rank * width),
      kernels.view(Float32Array, out, width),
    ]
    for (let r = 0; r < rank; r++)
      for (
        let j = 0, at = down.first + r * down.rowStep + column * down.columnStep;
        j < width;
        j++, at += down.columnStep
      )
        inside[r * width + j] = down.values[at]!
    for (let i = 0; i < rows; i++) {
      for (let r = 0, at = up.first + i * up.rowStep; r < rank; r++, at += up.columnStep) row[r] = up.values[at]!
      kernels.lowRankRows(out, width, width, offset, rank, panel, width, 1)
      put(i, column, numbers)
    }
  }
}

/** Columns that are multiplied at a time, few enough for the cache. */
const PANEL = 128
/** Memory for a row of one factor and some columns of the other, and their product; it only grows. */
let room: { readonly offset: number; readonly floats: number } | undefined

/** A decomposition of all directions is the most that it comes to. */
const decompositionBytes = (shape: readonly number[]): number => {
  const [rows, columns] = sidesOf(shape)
  const [least, most] = [Math.min(rows, columns), Math.max(rows, columns)]
  return 8 * least * (4 * least + 6 * most)
}

const sidesOf = (shape: readonly number[]): readonly [rows: number, columns: number] => [
  shape[0] ?? 1,
  sizeOf(shape) / (shape[0] ?? 1),
]
