import type { Mask, Tensor } from '../graph/expression.js'
import type { Graph } from '../graph/graph.js'
import { addAll } from './add-all.js'

/** What EMR-Merging finds of one tensor: one difference for all models, and for each where the difference is its own. */
export interface Unified {
  readonly deltas: readonly Tensor[]
  readonly unified: Tensor
  /** Parallel to the differences. */
  readonly masks: readonly Mask[]
}

/** Elects the sign of the sum of all differences, where 0 counts as −, and the greatest difference of that sign. */
export const unify = (g: Graph, base: Tensor, models: readonly { readonly x: Tensor }[]): Unified => {
  const deltas = models.map(({ x }) => g.sub(x, base))
  const sign = g.choose(g.compare('greater', addAll(g, deltas), 0), 1, -1)
  const agreeing = deltas.map((x) => g.mul(x, sign))
  const greatest = agreeing.reduce((most, x) => g.max(most, x), g.fill(0))
  // Of two zeros a device may take either.
  const settled = g.choose(g.compare('equal', greatest, 0), 0, greatest)
  return {
    deltas,
    unified: g.mul(settled, sign),
    masks: agreeing.map((x) => g.compare('greater', x, 0)),
  }
}
