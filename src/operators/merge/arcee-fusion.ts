import type { Tensor } from '../../graph/expression.js'
import { exp2, log2 } from '../../graph/elementary.js'
import type { Graph } from '../../graph/graph.js'
import type { BlockGrid } from '../../tensor/block-grid.js'
import { sizeOf } from '../../tensor/info.js'
import { defineOperator } from '../define.js'
import { model } from '../params.js'

/** Added to every probability, so that none is 0. */
const LEAST_PROBABILITY = 1e-8
/** How many interquartile ranges above the median a parameter has to be. */
const OUTSIDE = 1.5

/** Vectors along the last axis. */
const alongLast = (shape: readonly number[]): BlockGrid => ({
  shape: shape.length === 0 ? [1] : shape,
  blocks: shape.length === 0 ? [1] : shape.map((d, axis) => (axis === shape.length - 1 ? d : 1)),
})

const softmax = (g: Graph, x: Tensor, grid: BlockGrid): Tensor => {
  const power = exp2(g, g.mul(g.sub(x, g.spread(g.greatestBy(x, grid), grid)), Math.LOG2E))
  return g.min(g.add(g.div(power, g.spread(g.sumBy(power, grid), grid)), LEAST_PROBABILITY), 1)
}

/** `ln(p/q)` of probabilities; by the quotient that is at most 1, which is exact where both are alike. */
const logOfQuotient = (g: Graph, p: Tensor, q: Tensor): Tensor => {
  const magnitude = g.mul(log2(g, g.div(g.min(p, q), g.max(p, q))), Math.LN2)
  return g.choose(g.compare('less', p, q), magnitude, g.neg(magnitude))
}

/** The share q of an order statistic at `⌊q(n − 1)⌋`. */
const lower = (q: number, n: number): number => (n < 2 ? 0 : Math.floor(q * (n - 1)) / (n - 1))

/** Takes the parameters that changed most in rows whose distribution changed. */
export const arceeFusion = defineOperator({
  id: 'merge.arcee_fusion',
  version: 1,
  aliases: [{ name: 'arcee_fusion', from: 'mergekit' }],
  summary: 'Takes from a model the parameters that changed by far the most, and keeps the base elsewhere.',
  details: [
    'The importance of a parameter is `|model − base|·KL(softmax(model) ‖ softmax(base))`, with the softmax and the divergence over the last axis. A parameter is taken where its importance is at least the median plus 1.5 times the interquartile range of its tensor: of order statistics that are exact, where mergekit looks at a sample of large tensors.',
    'The exponentials and logarithms are float32 polynomials with the same bits on every machine.',
  ].join('\n'),
  source: 'mergekit 0.1.5, `arcee_fusion`',
  output: 'model',
  inputs: {
    base: model('The model that is changed.'),
    model: model('The model that parameters are taken from.'),
  },
  params: {},
  merges: true,
  exact: true,
  draws: false,
  examples: [{ inputs: { base: [0, 0, 0, 0, 0, 0], model: [0.1, 0.2, 0.1, 0.2, 0.1, 5] }, expect: [0, 0, 0, 0, 0, 5] }],
  build: (g, { base, model: x }, _, { shape }) => {
    const grid = alongLast(shape)
    const [p, q] = [softmax(g, x, grid), softmax(g, base, grid)]
    const divergence = g.sumBy(g.mul(p, logOfQuotient(g, p, q)), grid)
    // Rounding may take the divergence of equal rows below 0.
    const importance = g.mul(g.abs(g.sub(x, base)), g.spread(g.combine('max', divergence, 0), grid))
    const at = (share: number) => g.quantile(importance, lower(share, sizeOf(shape)))
    const threshold = g.add(at(0.5), g.mul(g.sub(at(0.75), at(0.25)), OUTSIDE))
    return g.choose(g.compare('greater-equal', importance, threshold), x, base)
  },
})
