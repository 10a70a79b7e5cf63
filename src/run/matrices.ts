import type { Diagnostic } from '../base/diagnostic.js'
import type { LowRankMatrix, StoredMatrix } from '../graph/products.js'
import type { View } from '../tensor/view.js'

/** Reads a stored matrix, row by row, in float32. */
export type ReadMatrix = (view: View) => Float32Array | Diagnostic

/** True for what was read, false for why it could not be. */
export const isRead = (x: Float32Array | Diagnostic): x is Float32Array => !('code' in x)

/** A matrix of so many rows with rows and columns exchanged. */
export const turn = (values: Float32Array, rows: number): Float32Array => {
  const columns = values.length / rows
  const turned = new Float32Array(values.length)
  for (let i = 0; i < rows; i++) for (let j = 0; j < columns; j++) turned[j * rows + i] = values[i * columns + j]!
  return turned
}

/**
 * Contracts a Tucker core with `down`, so that what is left is an ordinary pair of factors. Sums in float64, rounded
 * once.
 */
const foldMiddle = ({ rank, columns }: LowRankMatrix, mid: Float32Array, down: Float32Array): Float32Array => {
  const kernel = mid.length / (rank * rank)
  const inputs = columns / kernel
  const folded = new Float32Array(rank * columns)
  for (let p = 0; p < rank; p++) {
    for (let input = 0; input < inputs; input++) {
      for (let k = 0; k < kernel; k++) {
        let sum = 0
        for (let q = 0; q < rank; q++) sum += mid[(p * rank + q) * kernel + k]! * down[q * inputs + input]!
        folded[p * columns + input * kernel + k] = sum
      }
    }
  }
  return folded
}

/** The two factors of a matrix of low rank, each row by row: up [rows, rank], down [rank, columns]. */
export const readFactors = (
  matrix: LowRankMatrix,
  read: ReadMatrix,
): { readonly up: Float32Array; readonly down: Float32Array } | Diagnostic => {
  const { rank, turned } = matrix
  const [up, down] = [read(matrix.up), read(matrix.down)]
  const mid = matrix.mid === undefined ? undefined : read(matrix.mid)
  for (const factor of [up, down, mid]) if (factor !== undefined && !isRead(factor)) return factor
  const [upper, lower] = [up as Float32Array, down as Float32Array]
  return {
    up: turned?.up === true ? turn(upper, rank) : upper,
    down:
      mid !== undefined
        ? foldMiddle(matrix, mid as Float32Array, lower)
        : turned?.down === true
          ? turn(lower, matrix.columns)
          : lower,
  }
}

/** All numbers of a matrix, row by row; those of a product are summed in float64 and rounded once. */
export const readMatrix = (matrix: StoredMatrix, read: ReadMatrix): Float32Array | Diagnostic => {
  if ('tensor' in matrix) return read(matrix)
  const factors = readFactors(matrix, read)
  if ('code' in factors) return factors
  const { rank, columns } = matrix
  const rows = factors.up.length / rank
  const product = new Float32Array(rows * columns)
  const sums = new Float64Array(columns)
  for (let i = 0; i < rows; i++) {
    sums.fill(0)
    for (let r = 0; r < rank; r++) {
      const factor = factors.up[i * rank + r]!
      for (let j = 0; j < columns; j++) sums[j]! += factor * factors.down[r * columns + j]!
    }
    product.set(sums, i * columns)
  }
  return product
}
