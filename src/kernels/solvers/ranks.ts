import type { Solver } from '../../graph/expression.js'
import { sizeOf } from '../../tensor/info.js'

/** Indices of a row are below this, and the 31 bits of a magnitude times it, with an index added, are exact. */
const INDEX_SPAN = 2 ** 22

/**
 * The rank of each element's magnitude within its row, from 0 for the least to n − 1 for the greatest; equal ones by
 * index. A tensor of one dimension is one row; what has more is taken as a matrix with the first dimension as its rows.
 */
export const ranks: Solver = {
  name: 'ranks',
  version: 1,
  takes: 'rows',
  workspace: (_, shape) => 12 * sizeOf(shape),
  solve: ([operand], _, shape) => {
    const { values } = operand!
    const width = values.length / (shape.length < 2 ? 1 : shape[0]!)
    const bits = new Uint32Array(Float32Array.from(values).buffer)
    const keys = new Float64Array(width)
    const result = new Float32Array(values.length)
    for (let start = 0; start < values.length; start += width) {
      for (let i = 0; i < width; i++) keys[i] = (bits[start + i]! & 0x7fffffff) * INDEX_SPAN + i
      keys.sort()
      for (let rank = 0; rank < width; rank++) result[start + (keys[rank]! % INDEX_SPAN)] = rank
    }
    return result
  },
}
