import type { Mask, Tensor } from '../../graph/expression.js'
import type { Graph } from '../../graph/graph.js'
import { sizeOf } from '../../tensor/info.js'
import { addAll } from '../add-all.js'
import { defineOperator } from '../define.js'
import { differencesOf } from '../gram.js'
import { model, models, number, perLayer } from '../params.js'

/** What agrees is never divided by less weight than this. */
const LEAST_WEIGHT = 1e-6
/** Products this close below a whole number count as that number, as densities do elsewhere. */
const ROUNDING = 1e-9

/** The parameters in which the models differ most, a share of those in which they differ at all. */
const mostVaried = (g: Graph, tensors: readonly Tensor[], share: number): Mask => {
  if (share >= 1) return g.constant(true)
  // As seen from the first model: where all are equal, nothing is left of rounding.
  const seen = [g.fill(0), ...differencesOf(g, tensors)]
  const mean = g.div(addAll(g, seen), seen.length)
  const variance = addAll(
    g,
    seen.map((x) => g.mul(g.sub(x, mean), g.sub(x, mean))),
  )
  const differing = g.count(g.compare('greater', variance, 0))
  return g.largest(variance, g.add(g.mul(differing, share), ROUNDING))
}

/** Select, calculate, erase: the most varied differences, weighted by their energy, without the minority’s signs. */
export const sce = defineOperator({
  id: 'merge.sce',
  aliases: [{ name: 'sce', from: 'mergekit', settings: '`density` is its `select_topk`' }],
  version: 1,
  summary: 'Adds the differences that vary most between models, weighted by their size, where their signs agree.',
  details: [
    'Select: with `δᵢ = xᵢ − base`, keeps the `density` share of the parameters in which the models differ, those with the greatest variance (equal ones by lower index). Calculate: each model’s weight is the mean of its `δᵢ²` in the tensor, divided by the sum over all models. Erase: for each parameter the sign of `Σδᵢ` is elected (0 counts as +), and the result is `base` plus the weighted average of the entries of that sign.',
    '',
    'An average is never divided by a weight below 10⁻⁶.',
  ].join('\n'),
  source: 'Wan et al. 2024, “FuseChat: Knowledge Fusion of Chat Models” (SCE), arXiv 2408.07990',
  output: 'model',
  inputs: {
    base: model('The model that the others were trained from.'),
    models: models('The models whose differences to `base` are added.', {}),
  },
  params: {
    density: perLayer({
      default: 1,
      min: 0,
      max: 1,
      description: 'The share of the differing parameters that is selected; 1 selects all, 0 gives `base`.',
    }),
    even_below: number({
      default: 1e-6,
      min: 0,
      description:
        'Models count the same in a tensor whose mean squares add up to less, as in mergekit; that is true of many fine-tunes. 0 always weights them, as in the paper.',
    }),
  },
  merges: true,
  exact: true,
  draws: false,
  examples: [
    {
      title: 'the second model has four times the energy, and three of its signs win',
      inputs: {
        base: [0, 0, 0, 0],
        models: [
          [1, 1, 1, 1],
          [2, -2, 2, -2],
        ],
      },
      expect: [1.8, -2, 1.8, -2],
    },
    {
      title: 'the half that varies most',
      inputs: {
        base: [1, 1, 1, 1],
        models: [
          [1, 3, 1, 2],
          [1, 1, 5, 2],
        ],
      },
      params: { density: 0.5 },
      expect: [1, 1, 5, 1],
    },
  ],
  build: (g, { base, models }, { density, even_below: least }, { shape }) => {
    if (density === 0) return base
    const tensors = models.map(({ x }) => x)
    const selected = mostVaried(g, tensors, density)
    const deltas = tensors.map((x) => g.choose(selected, g.sub(x, base), 0))
    const energies = deltas.map((x) => g.dot(x, x))
    const energy = energies.reduce((x, y) => g.add(x, y))
    const weights = energies.map((own) =>
      g.ifLess(g.div(energy, sizeOf(shape)), Math.max(least, Number.MIN_VALUE), 1 / models.length, g.div(own, energy)),
    )
    const sign = g.choose(g.compare('greater-equal', addAll(g, deltas), 0), 1, -1)
    const agreeing = deltas.map((x) => g.max(g.mul(x, sign), 0))
    const sum = addAll(
      g,
      agreeing.map((x, i) => g.mul(x, weights[i]!)),
    )
    const weight = addAll(
      g,
      agreeing.map((x, i) => g.choose(g.compare('greater', x, 0), weights[i]!, 0)),
    )
    // No entry that agrees is negative, but of 0 and -0 a processor may take either for the greater.
    return g.add(base, g.mul(g.div(g.abs(sum), g.max(weight, LEAST_WEIGHT)), sign))
  },
})
