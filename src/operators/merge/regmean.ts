import { someStatistics } from '../../base/catalogue/operators.js'
import type { Tensor } from '../../graph/expression.js'
import { regmean as solver } from '../../kernels/solvers/regmean.js'
import { defineOperator } from '../define.js'
import { models, number, perLayer, statistics } from '../params.js'
import { inputsOf } from '../statistics.js'
import { proportionsOf, weightSumProblem } from '../weight-sum.js'

/** `(Σ wᵢGᵢ)⁻¹ Σ wᵢGᵢWᵢᵀ`. */
export const regmean = defineOperator({
  id: 'merge.regmean',
  version: 1,
  summary: 'Merges linear layers so that their outputs stay as close as possible to those of each model.',
  details: [
    'For the weight `W` [outputs, inputs] of a layer with Gram matrices `Gᵢ = XᵢᵀXᵢ` [inputs, inputs] of the inputs that reach it, the result is the least-squares solution `Wᵀ = (Σ wᵢGᵢ)⁻¹ Σ wᵢGᵢWᵢᵀ`, in float64 with a fixed order of operations. The off-diagonal elements of each `Gᵢ` are multiplied by `alpha` first, which keeps the sum from being singular. An input that is 0 in all examples, such as a dead unit behind a ReLU, says nothing about its weights: they are averaged by `weight`, and so are tensors without a Gram matrix.',
    '',
    '`statistics` is a safetensors file, declared under `models:`, that holds for each layer a Gram matrix in any float dtype, under the name of the layer’s weight, with or without `.weight`. `examples/statistics` shows how to collect it with PyTorch.',
    'A layer takes `12·inputs²` bytes of memory for each model and about `(2K + 2)·outputs·inputs²` operations for K models.',
  ].join('\n'),
  source:
    'Jin et al. 2023, “Dataless Knowledge Fusion by Merging Weights of Language Models” (RegMean), arXiv 2212.09849; MergeLM',
  aliases: [
    {
      name: 'regmean_merging',
      from: 'MergeLM',
      settings: '`alpha` is its `reduce_non_diagonal_ratio`, which is 1 there unless set',
    },
  ],
  output: 'model',
  inputs: {
    models: models('The models and their statistics. The first gives the result its tensors.', {
      statistics: statistics('inputs', 'The file with the Gram matrices of this model’s layers.'),
      weight: perLayer({ default: 1, min: 0, description: 'How much the examples of this model count.' }),
    }),
  },
  params: {
    alpha: number({
      default: 0.9,
      min: 0,
      max: 1,
      description:
        'Multiplies the off-diagonal elements of the Gram matrices: 1 leaves them as they are, 0 weights each input by itself.',
    }),
  },
  merges: true,
  exact: true,
  draws: false,
  examples: [
    {
      title: 'each model decides about the input that it has seen more of',
      inputs: {
        models: [
          {
            model: [[1, 2]],
            statistics: [
              [3, 0],
              [0, 1],
            ],
          },
          {
            model: [[5, 6]],
            statistics: [
              [1, 0],
              [0, 3],
            ],
          },
        ],
      },
      expect: [2, 5],
    },
    {
      title: 'no example has the second input: its weights are averaged',
      inputs: {
        models: [
          {
            model: [[1, 2]],
            statistics: [
              [3, 0],
              [0, 0],
            ],
          },
          {
            model: [[5, 6]],
            statistics: [
              [1, 0],
              [0, 0],
            ],
          },
        ],
      },
      expect: [2, 4],
    },
  ],
  build: (g, { models: all }, { alpha }, subject) => {
    const { shape, at } = subject
    const present = all.filter(({ weight }) => weight > 0)
    const { weights, sum } = proportionsOf(present.map(({ weight }) => weight))
    const unweighted = weightSumProblem(subject, present.length === 0 ? 0 : sum)
    if (unweighted !== undefined) return unweighted
    const [first, ...others] = present
    if (others.length === 0) return first!.x
    const grams = present.flatMap(({ statistics: gram }) => (gram === undefined ? [] : [gram]))
    if (grams.length === 0)
      // As a change of the first: where all are equal, the result is equal to them.
      return others.reduce<Tensor>(
        (y, { x }, i) => g.add(y, g.mul(g.sub(x, first!.x), weights[i + 1]! / sum)),
        first!.x,
      )
    if (grams.length < present.length) return someStatistics(at('models'), subject.name)
    const square = [inputsOf(shape), inputsOf(shape)]
    const operands = present.flatMap(({ x }, i) => [
      { x, shape },
      { x: grams[i]!, shape: square },
    ])
    return g.solve(solver, operands, [alpha, ...present.map(({ weight }) => weight)], shape)
  },
})
