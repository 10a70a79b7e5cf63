import type { Numbers, Tensor } from '../graph/expression.js'
import type { Graph } from '../graph/graph.js'
import { columnsOf, rowsOf } from '../tensor/block-grid.js'

/** What a method takes for one vector, each explained. */
export const OVER = {
  tensor: 'the whole tensor is one vector',
  row: 'every row is a vector of its own: what leads to one output (of a convolution: one filter)',
  column: 'every column is a vector of its own: what one input leads to',
} as const

/** Measures the vectors of tensors of one shape. */
export interface Vectors {
  dot(x: Tensor, y: Tensor): Numbers
  /** For each element the number of its vector. */
  spread(numbers: Numbers): Tensor
}

/** The vectors that a method works over. A tensor without rows (a bias, a norm) is one vector. */
export const vectorsOf = (g: Graph, over: keyof typeof OVER, shape: readonly number[]): Vectors => {
  if (over === 'tensor' || shape.length < 2) return { dot: g.dot, spread: g.fill as Vectors['spread'] }
  const grid = over === 'row' ? rowsOf(shape) : columnsOf(shape)
  return { dot: (x, y) => g.dotBy(x, y, grid), spread: (numbers) => g.spread(numbers, grid) }
}
