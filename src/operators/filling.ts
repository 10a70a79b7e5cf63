import type { Mask, Stream } from '../graph/expression.js'
import type { Graph } from '../graph/graph.js'
import type { Gaussian } from './params.js'

/** The three ways to fill a mask; the recipe gives exactly one. */
export interface Filling {
  readonly value: boolean | undefined
  readonly p: number | undefined
  readonly gaussian: Gaussian | undefined
}

/** How many of the three are given. */
export const countFillings = ({ value, p, gaussian }: Filling): number =>
  [value, p, gaussian].filter((x) => x !== undefined).length

/** A mask of one value, of independent draws, or of normal draws above a threshold. */
export const fill = (g: Graph, { value, p, gaussian }: Filling, stream: Stream): Mask => {
  if (value !== undefined) return g.constant(value)
  if (p !== undefined) return g.bernoulli(p, stream)
  const { mean, std, above } = gaussian!
  return g.compare('greater', g.add(g.mul(g.normal(stream), std), mean), above)
}
