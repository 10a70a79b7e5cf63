import type { Scalar } from '../../graph/expression.js'
import { addAll } from '../add-all.js'
import { defineOperator } from '../define.js'
import { model, models, number } from '../params.js'

/** Keeps what a single model changed as it is, and averages what several changed. */
export const ram = defineOperator({
  id: 'merge.ram',
  aliases: [
    { name: 'ram', from: 'mergekit' },
    { name: 'ramplus_tl', from: 'mergekit', settings: '`rescale` is its `r` (0.1), `limit` is its `alpha`' },
  ],
  version: 1,
  summary: 'Adds what only one model changed as it is, and averages what several models changed.',
  details: [
    'A model counts at a parameter where `|xᵢ − base| > epsilon`. The result is `base` plus the differences of the models that count there, divided by their number. Differences up to `epsilon` are dropped.',
    '',
    'With `rescale`, what model i alone changed is multiplied by `1 + rescale·min(sᵢ/uᵢ, limit)`, where `sᵢ` is the number of parameters of the tensor that it changed together with others and `uᵢ` the number of those that it alone changed.',
  ].join('\n'),
  source: '“Reinforced Agent Merging” (RAM and RAM+), arXiv 2601.13572; RAM+ by tensor, as in mergekit',
  output: 'model',
  inputs: {
    base: model('The model that the others were trained from.'),
    models: models('The models whose differences to `base` are added.', {}),
  },
  params: {
    epsilon: number({ default: 1e-5, min: 0, description: 'Differences up to this size count as none.' }),
    rescale: number({
      default: 0,
      description:
        'How much is added to what one model alone changed: RAM+. The paper’s number is 0.1; 0 is plain RAM.',
    }),
    limit: number({ default: 0.2, min: 0, description: 'The most that `sᵢ/uᵢ` counts for, with `rescale`.' }),
  },
  merges: true,
  exact: true,
  draws: false,
  examples: [
    {
      inputs: {
        base: [0, 0, 0],
        models: [
          [2, 4, 0],
          [0, 2, 0],
        ],
      },
      expect: [2, 3, 0],
    },
    {
      title: 'what the first model alone changed, strengthened',
      inputs: {
        base: [0, 0, 0],
        models: [
          [2, 4, 0],
          [0, 2, 0],
        ],
      },
      params: { rescale: 0.5, limit: 0.5 },
      expect: [2.5, 3, 0],
    },
  ],
  build: (g, { base, models }, { epsilon, rescale, limit }) => {
    const deltas = models.map(({ x }) => g.sub(x, base))
    // Anything but a small difference, NaN included: a NaN must not turn into a number that looks right.
    const changed = deltas.map((x) => g.not(g.compare('less-equal', g.abs(x), epsilon)))
    const kept = deltas.map((x, i) => g.choose(changed[i]!, x, 0))
    const count = addAll(
      g,
      changed.map((mask) => g.choose(mask, 1, 0)),
    )
    const average = g.div(addAll(g, kept), g.max(count, 1))
    if (rescale === 0) return g.add(base, average)
    const alone = g.compare('equal', count, 1)
    const factors = changed.map((mask): Scalar => {
      const [all, own] = [g.count(mask), g.count(g.and(mask, alone))]
      return g.add(1, g.mul(g.min(g.div(g.sub(all, own), g.max(own, 1)), limit), rescale))
    })
    const strengthened = addAll(
      g,
      kept.map((x, i) => g.mul(x, factors[i]!)),
    )
    return g.add(base, g.choose(alone, strengthened, average))
  },
})
