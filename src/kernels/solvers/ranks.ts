import type { Solver } from '../../graph/expression.js'
import { sizeOf } from '../../tensor/info.js'
import { createSorter, sorterBytes } from './sort.js'

/** Rows shorter than this are sorted by comparison: a radix sort would look longer through its tables than at them. */
const SHORT = 512

/**
 * The rank of each element's magnitude within its row, from 0 for the least to n − 1 for the greatest; equal ones by
 * index. A tensor of one dimension is one row; what has more is taken as a matrix with the first dimension as its rows.
 */
export const ranks: Solver = {
  name: 'ranks',
  version: 1,
  takes: 'rows',
  workspace: (_, shape) => 8 * sizeOf(shape) + sorterBytes(widthOf(shape)),
  solve: ([operand], _, shape) => {
    const { values } = operand!
    const width = widthOf(shape)
    const bits = new Uint32Array(new Float32Array(values).buffer)
    for (let i = 0; i < bits.length; i++) bits[i]! &= 0x7fffffff
    const result = new Float32Array(values.length)
    const rank = width < SHORT ? byComparison(width) : byDigits(width)
    for (let start = 0; start < values.length; start += width)
      rank(bits.subarray(start, start + width), result.subarray(start, start + width))
    return result
  },
}

const widthOf = (shape: readonly number[]): number => (shape.length < 2 ? sizeOf(shape) : sizeOf(shape.slice(1)))

/** Writes the ranks of a row. */
type RankRow = (magnitudes: Uint32Array, ranks: Float32Array) => void

/** Sorts numbers made of a magnitude and, below it, its index. */
const byComparison = (width: number): RankRow => {
  const keys = new Float64Array(width)
  return (magnitudes, out) => {
    for (let i = 0; i < width; i++) keys[i] = magnitudes[i]! * SHORT + i
    keys.sort()
    for (let rank = 0; rank < width; rank++) out[keys[rank]! % SHORT] = rank
  }
}

const byDigits = (width: number): RankRow => {
  const sort = createSorter(width)
  return (magnitudes, out) => {
    const order = sort(magnitudes)
    for (let rank = 0; rank < width; rank++) out[order[rank]!] = rank
  }
}
