import type { Tensor } from '../graph/expression.js'
import type { Graph } from '../graph/graph.js'
import { elementsFrom } from '../kernels/solvers/low-rank.js'
import { joinedRows } from '../kernels/solvers/padding.js'
import { sizeOf } from '../tensor/info.js'

/** A tensor of an even number of rows with its second half before its first, as diffusers stores some modulations. */
export const swapHalves = (g: Graph, x: Tensor, shape: readonly number[]): Tensor => {
  const half = shape.with(0, shape[0]! / 2)
  const from = (first: number) => ({ x: g.solve(elementsFrom, [{ x, shape }], [first], half), shape: half })
  return g.solve(joinedRows, [from(sizeOf(half)), from(0)], [], shape)
}
