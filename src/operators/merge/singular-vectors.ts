import { least } from '../../base/lists.js'
import type { Tensor } from '../../graph/expression.js'
import type { Graph } from '../../graph/graph.js'
import { isotropic as isotropicSolver, taskSingularVectors } from '../../kernels/solvers/subspaces.js'
import { addAll } from '../add-all.js'
import { defineOperator } from '../define.js'
import { model, models, perLayer } from '../params.js'

const MATRICES =
  'Matrices with fewer rows or columns than there are models, and tensors that are not matrices (biases, norms, kernels of convolutions), get the mean of the differences. Choose with `layers:` what is merged so: an embedding or an output head is better merged otherwise.'
const NULL_SPACE =
  'Singular values below 2⁻²⁴ of the greatest are rounding of float32 and count as 0; elsewhere their vectors, which are chance, take part.'
const INPUTS = {
  base: model('What all models were trained from.'),
  models: models('The trained models.', {
    weight: perLayer({
      default: 1,
      description:
        'What this model’s difference is multiplied by before anything else; may be negative. With 0 the model does not count.',
    }),
  }),
}
const LAMBDA = perLayer({ default: 1, description: 'Scales the merged difference before it is added to `base`.' })

interface Share {
  readonly x: Tensor
  readonly weight: number
}

/** The differences of the models that count from the base, times their weights. */
const differences = (g: Graph, base: Tensor, models: readonly Share[]): readonly Tensor[] =>
  models.filter(({ weight }) => weight !== 0).map(({ x, weight }) => g.mul(g.sub(x, base), weight))

/** True for matrices of which each of so many models can have a part. */
const isDivisible = (shape: readonly number[], count: number): boolean => shape.length === 2 && least(shape) >= count

const addMean = (g: Graph, base: Tensor, deltas: readonly Tensor[], lambda: number): Tensor =>
  g.add(base, g.mul(addAll(g, deltas), lambda / deltas.length))

/** Singular vectors of all models, made orthogonal. */
export const tsv = defineOperator({
  id: 'merge.tsv',
  version: 1,
  aliases: [
    { name: 'TSV-M', from: 'arXiv 2412.00081', settings: '`lambda` is its `α`' },
    { name: 'TSVM', from: 'FusionBench', settings: '`lambda` is `alpha` if that is one number, else they are weights' },
  ],
  summary: 'Adds the strongest directions of each model’s difference, made orthogonal so that they do not interfere.',
  details: [
    'For a matrix with `r = min(rows, columns)` and K models, takes the `⌊r/K⌋` greatest singular values of each difference `δᵢ = xᵢ − base` and their vectors: `δᵢ ≈ UᵢSᵢVᵢᵀ`. `U = [U₁ … U_K]` and `V = [V₁ … V_K]` are replaced by the nearest matrices with orthonormal columns (orthogonal Procrustes), and the result is `base + lambda·U·S·Vᵀ`.',
    '',
    MATRICES,
    NULL_SPACE,
    'Decompositions are in float64 with a fixed order of operations: with `c` the greater of rows and columns about `(K + 2)·(8r³ + 4cr²)` operations, and `8r·(4r + 12c)` bytes.',
  ].join('\n'),
  source:
    'Gargiulo et al. 2024, “Task Singular Vectors: Reducing Task Interference in Model Merging”, arXiv 2412.00081; the authors’ code and FusionBench',
  output: 'model',
  inputs: INPUTS,
  params: { lambda: LAMBDA },
  merges: true,
  exact: true,
  draws: false,
  examples: [
    {
      title: 'the strongest direction of each model, without what they have in common',
      inputs: {
        base: [
          [0, 0],
          [0, 0],
        ],
        models: [
          [
            [4, 0],
            [0, 1],
          ],
          [
            [1, 0],
            [0, 3],
          ],
        ],
      },
      expect: [4, 0, 0, 3],
    },
    {
      title: 'a vector has no directions: the mean',
      inputs: {
        base: [1, 1],
        models: [
          [3, 1],
          [1, 5],
        ],
      },
      expect: [2, 3],
    },
  ],
  build: (g, { base, models: all }, { lambda }, { shape }) => {
    const deltas = differences(g, base, all)
    if (deltas.length === 0 || lambda === 0) return base
    if (!isDivisible(shape, deltas.length)) return addMean(g, base, deltas, lambda)
    const operands = deltas.map((x) => ({ x, shape }))
    return g.add(base, g.mul(g.solve(taskSingularVectors, operands, [], shape), lambda))
  },
})

/** Directions of equal strength. */
export const isotropic = defineOperator({
  id: 'merge.isotropic',
  version: 1,
  aliases: [
    { name: 'Iso-C', from: 'arXiv 2502.04959', settings: '`lambda` is its `α`' },
    { name: 'Iso-CTS', from: 'arXiv 2502.04959', settings: '`common: 0.8`; `lambda` is its `α`' },
    { name: 'iso_c', from: 'FusionBench', settings: '`lambda` is `scaling_factor`' },
    {
      name: 'iso_cts',
      from: 'FusionBench',
      settings: '`common` is `common_space_fraction`, `lambda` is `scaling_factor`',
    },
  ],
  summary: 'Adds the models’ differences with all directions made equally strong, so that no model dominates.',
  details: [
    'For a matrix with `r = min(rows, columns)`, decomposes the sum of the differences `Σδᵢ = U·S·Vᵀ` and gives all singular values their mean: `base + lambda·(ΣS/r)·U·Vᵀ` (Iso-C).',
    '',
    'With `common` below 1 (Iso-CTS), the weakest directions of the sum, a share of `1 − common`, make room for as many of the models: of each `δᵢ − U·Uᵀ·δᵢ`, where `U` is what is left of the sum’s, the strongest. All left vectors together are replaced by the nearest matrix with orthonormal columns, and so are the right ones, and all singular values by their mean. The number of directions is the same for each model, rounded as in the authors’ code.',
    '',
    MATRICES,
    NULL_SPACE,
    'Decompositions are in float64 with a fixed order of operations: with `c` the greater of rows and columns about `8r³ + 4cr²` operations for Iso-C (9 seconds of processor time for 1280 × 1280) and `K + 3` times as many for Iso-CTS with K models, and `8r·(4r + 12c)` bytes.',
  ].join('\n'),
  source:
    'Marczak et al. 2025, “No Task Left Behind: Isotropic Model Merging with Common and Task-Specific Subspaces”, arXiv 2502.04959; the authors’ code and FusionBench',
  output: 'model',
  inputs: INPUTS,
  params: {
    common: perLayer({
      default: 1,
      min: 0,
      max: 1,
      description:
        'The share of the directions that the sum of the differences has; the others are shared by the models. 1 is Iso-C; the authors’ code of Iso-CTS has 0.8.',
    }),
    lambda: LAMBDA,
  },
  merges: true,
  exact: true,
  draws: false,
  examples: [
    {
      title: 'directions of strengths 5 and 3 get 4 each',
      inputs: {
        base: [
          [1, 1],
          [1, 1],
        ],
        models: [
          [
            [5, 1],
            [1, 2],
          ],
          [
            [2, 1],
            [1, 3],
          ],
        ],
      },
      expect: [5, 1, 1, 5],
    },
    {
      title: 'one direction of the sum, one of what is left of each model: here, of the only one',
      inputs: {
        base: [
          [0, 0],
          [0, 0],
        ],
        models: [
          [
            [4, 0],
            [0, -2],
          ],
        ],
      },
      params: { common: 0.5 },
      expect: [3, 0, 0, -3],
    },
  ],
  build: (g, { base, models: all }, { common, lambda }, { shape }) => {
    const deltas = differences(g, base, all)
    if (deltas.length === 0 || lambda === 0) return base
    if (!isDivisible(shape, deltas.length)) return addMean(g, base, deltas, lambda)
    // The sum is all that Iso-C needs.
    const operands = (common === 1 ? [addAll(g, deltas)] : deltas).map((x) => ({ x, shape }))
    return g.add(base, g.mul(g.solve(isotropicSolver, operands, [common], shape), lambda))
  },
})
