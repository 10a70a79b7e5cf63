import type { Tensor } from '../../graph/expression.js'
import { defineOperator } from '../define.js'
import { flag, models, perLayer } from '../params.js'
import { proportionsOf, weightSumProblem } from '../weight-sum.js'

/** `Σ wᵢxᵢ / Σ wᵢ`. */
export const linear = defineOperator({
  id: 'merge.linear',
  version: 1,
  summary: 'Averages any number of models by weight.',
  details: '`Σ wᵢ·xᵢ`, divided by `Σ wᵢ` unless `normalize: false`. A model of weight 0 is not read.',
  source: 'Wortsman et al. 2022, “Model soups”, arXiv 2203.05482',
  output: 'model',
  inputs: {
    models: models('The models. The first gives the result its tensors, and is kept where nothing is merged.', {
      weight: perLayer({ default: 1, description: 'The share of this model; may be negative.' }),
    }),
  },
  params: { normalize: flag(true, 'Divides by the sum of the weights, so that only their proportions matter.') },
  merges: true,
  exact: true,
  draws: false,
  examples: [
    {
      inputs: {
        models: [
          { model: [1, 2], weight: 1 },
          { model: [5, 6], weight: 3 },
        ],
      },
      expect: [4, 5],
    },
    {
      title: 'a plain weighted sum',
      inputs: {
        models: [
          { model: [1, 2], weight: 1 },
          { model: [4, 6], weight: -0.5 },
        ],
      },
      params: { normalize: false },
      expect: [-1, -1],
    },
  ],
  build: (g, { models }, { normalize }, { name, at }) => {
    const present = models.filter(({ weight }) => weight !== 0)
    const given = present.map(({ weight }) => weight)
    const add = (weights: readonly number[]): Tensor =>
      present.reduce<Tensor>((y, { x }, i) => g.add(y, g.mul(x, weights[i]!)), g.fill(0))
    if (!normalize) return add(given)
    const { weights, sum } = proportionsOf(given)
    return (
      weightSumProblem(at('models'), name, sum) ?? (present.length === 1 ? present[0]!.x : g.div(add(weights), sum))
    )
  },
})
