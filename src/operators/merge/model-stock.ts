import type { Numbers } from '../../graph/expression.js'
import { addAll } from '../add-all.js'
import { defineOperator } from '../define.js'
import { differencesOf, pairsProblem } from '../gram.js'
import { OVER, vectorsOf } from '../over.js'
import { choice, model, models } from '../params.js'

/** Below this the formula divides by what is left of differences that cancel out. */
const CANCELLED = 1e-6

const { tensor, row } = OVER

const PAIRS = {
  all: 'those of every two models, as in mergekit',
  consecutive: 'those of each model and the next, as in sd-mecha',
} as const

const CANCELLING = {
  error: 'fails, and names the tensor',
  base: 'keeps the base there, as mergekit does',
} as const

/** The average of models, moved toward their base by how little their differences agree. */
export const modelStock = defineOperator({
  id: 'merge.model_stock',
  aliases: [
    {
      name: 'model_stock',
      from: 'mergekit',
      settings:
        '`cancelling: base`, and `over: row` where `filter_wise` is true (of a convolution, mergekit takes single lines of a kernel for rows)',
    },
    {
      name: 'model_stock',
      from: 'sd-mecha',
      settings:
        '`over: row`, `pairs: consecutive`; it takes differences, and smelt models and their `base`. Convolutions differ: sd-mecha takes single lines of their kernels for rows',
    },
    {
      name: 'n_model_stock',
      from: 'sd-mecha',
      settings:
        '`over: row`, `pairs: consecutive`. Convolutions differ: sd-mecha takes single lines of their kernels for rows',
    },
  ],
  version: 1,
  summary: 'Averages models and moves the result toward their base, the further the less their differences agree.',
  details: [
    'With `δᵢ = xᵢ − base`, `N` models and `c` the mean cosine of pairs of `δᵢ`, the result is `t·mean(x) + (1−t)·base` with `t = N·c/(1 + (N−1)·c)`. Models that agree give their average, and those at right angles give the base.',
    '',
    'A difference that is all zeros has a cosine of 0 with every other. Differences that cancel out, such as those of two opposite models, have no `t`: it grows without bound. mergekit takes the product of two norms for at least 10⁻⁶, so to it small differences are at right angles; here their angle counts. At most 64 models.',
  ].join('\n'),
  source: 'Jang et al. 2024, “Model Stock”, arXiv 2403.19522',
  output: 'model',
  inputs: {
    base: model('The model that the others were trained from.'),
    models: models(
      'The models, each fine-tuned from `base`; their order counts with `pairs: consecutive` alone.',
      {},
      2,
    ),
  },
  params: {
    over: choice({ tensor, row }, 'tensor', 'What has a `t` of its own.'),
    pairs: choice(PAIRS, 'all', 'The cosines that are averaged.'),
    cancelling: choice(CANCELLING, 'error', 'What happens where the differences cancel out (`|1 + (N−1)·c| < 10⁻⁶`).'),
  },
  merges: true,
  exact: true,
  nonFinite: 'write `cancelling: base` if the differences of the models cancel out in this tensor',
  draws: false,
  examples: [
    {
      title: 'at an angle of 60°, so `t` is 2/3',
      inputs: {
        base: [1, 1],
        models: [
          [3, 1],
          [2, 1 + Math.sqrt(3)],
        ],
      },
      expect: [2, 1 + Math.sqrt(3) / 3],
    },
    {
      title: 'each row by itself: the first agrees, the second does not',
      inputs: {
        base: [
          [0, 0],
          [0, 0],
        ],
        models: [
          [
            [2, 0],
            [2, 0],
          ],
          [
            [4, 0],
            [0, 2],
          ],
        ],
      },
      params: { over: 'row' },
      expect: [3, 0, 0, 0],
    },
  ],
  build: (g, { base, models }, { over, pairs, cancelling }, { shape, at }) => {
    const problem = pairsProblem(at('models'), models.length)
    if (problem !== undefined) return problem
    const [count, tensors] = [models.length, models.map(({ x }) => x)]
    const deltas = tensors.map((x) => g.sub(x, base))
    const { dot, spread } = vectorsOf(g, over, shape)
    const norms = deltas.map((x) => g.combine('sqrt', dot(x, x)))
    const cosine = (i: number, j: number): Numbers => {
      const lengths = g.combine('mul', norms[i]!, norms[j]!)
      const cos = g.combine('div', dot(deltas[i]!, deltas[j]!), lengths)
      return g.combine('if-less', lengths, Number.MIN_VALUE, 0, g.combine('max', -1, g.combine('min', 1, cos)))
    }
    const cosines = deltas.flatMap((_, i) =>
      deltas.flatMap((_, j) => (i < j && (pairs === 'all' || j === i + 1) ? [cosine(i, j)] : [])),
    )
    const mean = g.combine(
      'div',
      cosines.reduce((x, y) => g.combine('add', x, y)),
      cosines.length,
    )
    const divisor = g.combine('add', 1, g.combine('mul', mean, count - 1))
    const t = g.combine(
      'if-less',
      g.combine('abs', divisor),
      CANCELLED,
      cancelling === 'base' ? 0 : -Infinity,
      g.combine('div', g.combine('mul', mean, count), divisor),
    )
    // The average and its difference from the base, both by way of the first model: what is small keeps its digits.
    const onward = g.div(addAll(g, differencesOf(g, tensors)), count)
    const back = g.mul(g.add(deltas[0]!, onward), spread(g.combine('sub', t, 1)))
    return g.add(tensors[0]!, g.add(onward, back))
  },
})
