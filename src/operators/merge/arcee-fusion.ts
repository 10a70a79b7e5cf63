import { importance } from '../../kernels/solvers/importance.js'
import { sizeOf } from '../../tensor/info.js'
import { defineOperator } from '../define.js'
import { model } from '../params.js'

/** How many interquartile ranges above the median a parameter has to be. */
const OUTSIDE = 1.5

/** The share q of an order statistic at `⌊q(n − 1)⌋`. */
const lower = (q: number, n: number): number => (n < 2 ? 0 : Math.floor(q * (n - 1)) / (n - 1))

/** Takes the parameters that changed most in rows whose distribution changed. */
export const arceeFusion = defineOperator({
  id: 'merge.arcee_fusion',
  version: 2,
  aliases: [{ name: 'arcee_fusion', from: 'mergekit' }],
  summary: 'Takes from a model the parameters that changed by far the most, and keeps the base elsewhere.',
  details: [
    'The importance of a parameter is `|model − base|·KL(softmax(model) ‖ softmax(base))`, with the softmax and the divergence over the last axis. A parameter is taken where its importance is at least the median plus 1.5 times the interquartile range of its tensor: of order statistics that are exact, where mergekit looks at a sample of large tensors.',
    'The divergence is computed in float64, with the same bits on every machine. mergekit computes it in float32, and adds 1e-8 to every probability: where a row has few numbers that changed little, its rounding errors are greater than the divergence.',
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
    // The softmax of a single number is 1.
    if ((shape.at(-1) ?? 1) === 1) return x
    const importances = g.solve(
      importance,
      [
        { x, shape },
        { x: base, shape },
      ],
      [],
      shape,
    )
    const at = (share: number) => g.quantile(importances, lower(share, sizeOf(shape)))
    const threshold = g.add(at(0.5), g.mul(g.sub(at(0.75), at(0.25)), OUTSIDE))
    return g.choose(g.compare('greater-equal', importances, threshold), x, base)
  },
})
