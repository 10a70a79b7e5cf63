import { exp2, tanh } from '../../graph/elementary.js'
import type { ReductionGroup, Scalar, Tensor } from '../../graph/expression.js'
import type { Graph } from '../../graph/graph.js'
import { sizeOf } from '../../tensor/info.js'
import { addAll } from '../add-all.js'
import { defineOperator } from '../define.js'
import { choice, model, models, number, perLayer } from '../params.js'

const SCOPE = {
  model: 'of all tensors together, as in the authors’ code',
  tensor: 'of each tensor',
} as const

/** Sums of shares are never divided by less. */
const LEAST_SHARE = 1e-12

/** The order statistics of one tensor, or of all tensors of the step. */
interface Order {
  /** The magnitude of this share of the others below it. */
  magnitude(x: Tensor, share: number): Scalar
  /** The number, with its sign. */
  number(x: Tensor, share: number): Scalar
  greatest(x: Tensor): Scalar
}

/** x, or 0 where it is less: unlike a maximum, with the same zero on every device. */
const notBelow0 = (g: Graph, x: Tensor): Tensor => g.choose(g.compare('less-equal', x, 0), 0, x)

const orderOf = (g: Graph, group: (label: string) => ReductionGroup | undefined): Order => {
  const at = (x: Tensor, share: number, label: string): Scalar => g.quantile(x, share, group(`${label} ${share}`))
  return {
    magnitude: (x, share) => at(x, share, 'magnitude'),
    // Where so many numbers are below a positive one, it does not matter what those below 0 are; and where it is not
    // positive, it is the magnitude that has so many above it.
    number: (x, share) => {
      const positive = at(notBelow0(g, x), share, 'above 0')
      return g.ifLess(0, positive, positive, g.neg(at(notBelow0(g, g.neg(x)), 1 - share, 'below 0')))
    },
    greatest: (x) => g.greatest(x, group('greatest')),
  }
}

/** (x − low)/(high − low); 0 where both are equal. */
const between = (g: Graph, x: Tensor, low: Scalar, high: Scalar): Tensor => {
  const span = g.sub(high, low)
  return g.mul(g.sub(x, low), g.ifLess(0, span, g.div(1, span), 0))
}

/** A difference without its extremes, and how strongly its elements compete with those of others, from 0 to 1. */
const compete = (
  g: Graph,
  delta: Tensor,
  sum: Tensor,
  count: number,
  { density, clip }: { readonly density: number; readonly clip: number },
  order: Order,
): { readonly clipped: Tensor; readonly share: Tensor } => {
  const [low, high] = [order.magnitude(delta, clip), order.magnitude(delta, 1 - clip)]
  const size = g.min(g.max(g.abs(delta), low), high)
  const self = between(g, size, low, high)
  // e^(n·self²) over eⁿ: shares are divided by the greatest in the end.
  const intra = exp2(g, g.mul(g.sub(g.mul(self, self), 1), count * Math.LOG2E))
  const balance = g.mul(intra, tanh(g, g.mul(delta, sum)))
  const [least, greatest] = [order.number(balance, 1 - density), order.greatest(balance)]
  const share = g.choose(
    g.compare('greater-equal', balance, greatest),
    1,
    notBelow0(g, between(g, balance, least, greatest)),
  )
  return { clipped: g.mul(size, g.sign(delta)), share }
}

/** Parameter competition balancing. */
export const pcb = defineOperator({
  id: 'merge.pcb',
  version: 1,
  summary: 'Averages several models’ differences where they are large and the others agree, in proportion to both.',
  details: [
    'With `δᵢ = xᵢ − base` of n models: intra-balancing `exp(n·s²)`, `s` from 0 for the least `|δᵢ|` to 1 for the greatest, where the `clip` share of magnitudes at either end counts as its bound; inter-balancing `tanh(δᵢ·Σδ)`. The product is dropped below its `density` largest, and becomes a share `βᵢ` from 0 at that threshold to 1 at the greatest. The result is `base + lambda·Σ wᵢβᵢδᵢ / Σ βᵢ`, with `δᵢ` clipped as above.',
    '',
    'These are the formulas of the authors’ code. The paper divides both kinds of balancing by their sums (softmax), and for the second normalises the products of every two models; shares are relative, so the first makes no difference. `tanh` makes the second depend on the size of the differences only where they are near 1.',
    'Thresholds are at the position `⌈q·(N − 1)⌉` of N numbers in ascending order, for `q = 1 − density`, `clip` and `1 − clip`; a threshold that is not positive is at `⌊q·(N − 1)⌋`. The authors’ code takes `⌊q·N⌋` and, for the upper bound, `⌊q·N − 1⌋`: at most two positions away.',
  ].join('\n'),
  source: 'Du et al. 2024, “Parameter Competition Balancing for Model Merging” (PCB-Merging), arXiv 2410.02396',
  aliases: [
    { name: 'PCB-Merging', from: 'arXiv 2410.02396', settings: '`density` is `pcb_ratio`, and `weight` the `lams`' },
    { name: 'pcb_merging', from: 'FusionBench' },
  ],
  output: 'model',
  inputs: {
    base: model('The model that the others were trained from.'),
    models: models(
      'The models whose differences to `base` are merged.',
      { weight: perLayer({ default: 1, description: 'Multiplies the difference of this model.' }) },
      2,
    ),
  },
  params: {
    density: number({
      default: 0.1,
      min: 0,
      max: 1,
      description: 'The share of each model’s parameters that is kept, those with the greatest product.',
    }),
    lambda: perLayer({ default: 1, description: 'Multiplies the merged difference.' }),
    clip: number({
      default: 0.0001,
      min: 0,
      max: 0.5,
      description: 'The share of magnitudes, at either end, that counts as the nearest one of the others.',
    }),
    scope: choice(SCOPE, 'model', 'What thresholds and greatest values are of.'),
  },
  merges: true,
  exact: true,
  draws: false,
  examples: [
    {
      title: 'of each model the quarter that is large, and has the sign of the sum',
      inputs: {
        base: [1, 1, 1, 1],
        models: [
          [3, 1, 1.5, 0],
          [2, 1.5, 1, 3],
        ],
      },
      params: { density: 0.25, clip: 0 },
      expect: [3, 1, 1, 3],
    },
  ],
  build: (g, { base, models: all }, { density, lambda, clip, scope }, { shape, whole }) => {
    if (density === 0 || lambda === 0 || sizeOf(shape) === 0) return base
    const deltas = all.map(({ x }) => g.sub(x, base))
    const sum = addAll(g, deltas)
    const parts = deltas.map((delta, i) => {
      const order = orderOf(g, (label) => (scope === 'model' ? whole(`${label} ${i}`) : undefined))
      return compete(g, delta, sum, all.length, { density, clip }, order)
    })
    const shares = addAll(
      g,
      parts.map(({ share }) => share),
    )
    const merged = addAll(
      g,
      parts.map(({ clipped, share }, i) => g.mul(g.mul(clipped, share), all[i]!.weight)),
    )
    return g.add(base, g.mul(g.div(merged, g.max(shares, LEAST_SHARE)), lambda))
  },
})
