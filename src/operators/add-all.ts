import type { Tensor } from '../graph/expression.js'
import type { Graph } from '../graph/graph.js'

/** The sum of any number of tensors, in order; 0 for none. */
export const addAll = (g: Graph, tensors: readonly Tensor[]): Tensor => tensors.reduce((x, y) => g.add(x, y), g.fill(0))
