import type { Scalar, Tensor } from '../../graph/expression.js'
import { defineOperator } from '../define.js'
import { flag, models, number, perLayer, statistics } from '../params.js'
import { weightSumProblem } from '../weight-sum.js'

/** `Σ wᵢFᵢxᵢ / Σ wᵢFᵢ`. */
export const fisher = defineOperator({
  id: 'merge.fisher',
  version: 2,
  summary: 'Averages models, each parameter by how much it matters to each model.',
  details: [
    '`Σ wᵢ(Fᵢ + ε)·xᵢ / Σ wᵢ(Fᵢ + ε)`, element by element, where `Fᵢ` is the diagonal of the Fisher information: the mean square of the gradient of the log-likelihood over examples of what the model was trained for.',
    '',
    '`statistics` is a safetensors file, declared under `models:`, that holds `Fᵢ` under the names and in the shapes of the model’s tensors, in any float dtype; negative numbers are refused. `examples/statistics` shows how to collect it with PyTorch.',
    'With `normalize`, each `Fᵢ + epsilon` is divided by the norm of `Fᵢ` over the whole model, so that a model whose gradients are larger does not win everywhere.',
  ].join('\n'),
  source: 'Matena and Raffel 2022, “Merging Models with Fisher-Weighted Averaging”, arXiv 2111.09832; MergeLM',
  aliases: [
    {
      name: 'fisher_merging',
      from: 'MergeLM',
      settings:
        '`weight` is its `fisher_scaling_coefficients`, `epsilon` its `minimal_fisher_weight`, `normalize` its `normalize_fisher_weight`',
    },
  ],
  output: 'model',
  inputs: {
    models: models('The models and their statistics. The first gives the result its tensors.', {
      statistics: statistics('elements', 'The file with the diagonal of this model’s Fisher information.'),
      weight: perLayer({ default: 1, min: 0, description: 'Scales the importance of this model.' }),
    }),
  },
  params: {
    epsilon: number({
      default: 1e-6,
      min: 0,
      description:
        'Added to every `Fᵢ`, so that parameters that no gradient reached have a result: without `normalize`, the weighted average.',
    }),
    normalize: flag(
      false,
      'Divides each `Fᵢ + epsilon` by the norm of `Fᵢ` over the whole model, to which `epsilon` is added too, as MergeLM does.',
    ),
  },
  merges: true,
  exact: true,
  nonFinite:
    'check the files of statistics for NaN and for negative numbers, which no mean square is, and for zeros if `epsilon` is 0',
  draws: false,
  examples: [
    {
      inputs: {
        models: [
          { model: [1, 2], statistics: [1, 3] },
          { model: [5, 6], statistics: [3, 1] },
        ],
      },
      params: { epsilon: 0 },
      expect: [4, 3],
    },
  ],
  build: (g, { models: all }, { epsilon, normalize }, subject) => {
    const present = all.map((m, i) => ({ ...m, i })).filter(({ weight }) => weight > 0)
    if (present.length === 0) return weightSumProblem(subject, 0)!
    const [first] = present
    const scales: readonly (Scalar | number)[] = normalize
      ? present.map(({ statistics: f, weight, i }) =>
          g.div(weight, g.add(g.norm(f, subject.whole(`fisher-${i}`)), epsilon)),
        )
      : present.map(({ weight }) => weight)
    // A negative mean square is of another file, and would push the result away from its model. Its root is NaN.
    const importance = present.map(({ statistics: f }, i) =>
      g.mul(g.choose(g.compare('less', f, 0), g.sqrt(f), g.add(f, epsilon)), scales[i]!),
    )
    const add = (tensors: readonly Tensor[]): Tensor => tensors.reduce((x, y) => g.add(x, y))
    // As a change of the first: where all are equal, the result is equal to them.
    const changes = present.slice(1).map(({ x }, i) => g.mul(g.sub(x, first!.x), importance[i + 1]!))
    return changes.length === 0 ? first!.x : g.add(first!.x, g.div(add(changes), add(importance)))
  },
})
