import type { Tensor } from '../../graph/expression.js'
import { COMMON, named } from '../aliases.js'
import { defineOperator } from '../define.js'
import { flag, models, perLayer } from '../params.js'
import { proportionsOf, weightSumProblem } from '../weight-sum.js'

/** `Σ wᵢxᵢ / Σ wᵢ`. */
export const linear = defineOperator({
  id: 'merge.linear',
  version: 1,
  summary: 'Averages any number of models by weight.',
  aliases: [
    { name: 'linear', from: 'mergekit' },
    { name: 'n_average', from: 'sd-mecha', settings: '`models` without weights' },
    { name: 'average_merging', from: 'MergeLM', settings: '`models` without weights' },
    {
      name: 'Triple sum',
      from: 'supermerger',
      settings: '`weight: 1 − alpha − beta` for A, `alpha` for B, `beta` for C; `missing: keep`',
    },
    {
      name: 'sum Twice',
      from: 'supermerger',
      settings: '`weight: (1 − alpha)·(1 − beta)` for A, `alpha·(1 − beta)` for B, `beta` for C; `missing: keep`',
    },
    ...named('arXiv 2203.05482', ['model soup', 'uniform soup'], '`models` without weights'),
    ...named(COMMON, ['average', 'avg', 'mean', 'soup', 'weighted average']),
  ],
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
  build: (g, { models }, { normalize }, subject) => {
    const present = models.filter(({ weight }) => weight !== 0)
    const given = present.map(({ weight }) => weight)
    const add = (weights: readonly number[]): Tensor =>
      present.reduce<Tensor>((y, { x }, i) => g.add(y, g.mul(x, weights[i]!)), g.fill(0))
    if (!normalize) return add(given)
    const { weights, sum } = proportionsOf(given)
    return weightSumProblem(subject, sum) ?? (present.length === 1 ? present[0]!.x : g.div(add(weights), sum))
  },
})
