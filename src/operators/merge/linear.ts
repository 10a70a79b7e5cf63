import { zeroWeightSum } from '../../base/catalogue/operators.js'
import type { Tensor } from '../../graph/expression.js'
import { defineOperator } from '../apply.js'
import { flag, models, perLayer } from '../params.js'

/** Sums of weights nearer to 0 than this are 0 up to the rounding of the numbers a person writes. */
const NO_WEIGHT = 1e-12

/** `Σ wᵢxᵢ / Σ wᵢ`. */
export const linear = defineOperator({
  id: 'merge.linear',
  version: 1,
  summary: 'Averages any number of models by weight.',
  details: '`Σ wᵢ·xᵢ`, divided by `Σ wᵢ` unless `normalize: false`. A model of weight 0 is not read.',
  source: 'Wortsman et al. 2022, “Model soups”, arXiv 2203.05482',
  output: 'model',
  inputs: {
    models: models('The models. The first gives the result its tensors, and stands where nothing is merged.', {
      weight: perLayer({ default: 1, description: 'The share of this model; may be negative.' }),
    }),
  },
  params: { normalize: flag(true, 'Divides by the sum of the weights, so that only their proportions matter.') },
  merges: true,
  exact: true,
  draws: false,
  examples: [
    { inputs: { models: [{ model: [1, 2], weight: 1 }, { model: [5, 6], weight: 3 }] }, expect: [4, 5] },
    { title: 'a plain weighted sum', inputs: { models: [{ model: [1, 2], weight: 1 }, { model: [4, 6], weight: -0.5 }] }, params: { normalize: false }, expect: [-1, -1] },
  ],
  build: (g, { models }, { normalize }, { name, at }) => {
    const present = models.filter(({ weight }) => weight !== 0)
    const total = present.reduce((sum, { weight }) => sum + weight, 0)
    if (normalize && Math.abs(total) < NO_WEIGHT) return zeroWeightSum(at('models'), name)
    if (normalize && present.length === 1) return present[0]!.x
    const sum = present.reduce<Tensor>((y, { x, weight }) => g.add(y, g.mul(x, weight)), g.fill(0))
    return normalize ? g.div(sum, total) : sum
  },
})
