import type { Tensor } from '../../graph/expression.js'
import { lerp } from '../interpolate.js'
import { defineOperator } from '../define.js'
import { model, models, perLayer } from '../params.js'

/** `min(max(a, least bound), greatest bound)`. */
export const clamp = defineOperator({
  id: 'merge.clamp',
  aliases: [{ name: 'clamp', from: 'sd-mecha' }],
  version: 1,
  summary: 'Limits each parameter of `a` to the range that other models span.',
  details: [
    '`min(max(a, lo), hi)`, where `lo` and `hi` are the least and the greatest number that the `bounds` have for a parameter. After a merge that may overshoot, bounds of the merged models keep it between them.',
    'With `stiffness`, `hi` moves toward the smallest bound that is not below the mean of the bounds, and `lo` toward the largest that is not above it. Two bounds are these already, so that `stiffness` takes three to have an effect.',
  ].join('\n'),
  source: 'sd-mecha, `clamp`',
  output: 'model',
  inputs: {
    a: model('The model or difference that is limited.', 'any'),
    bounds: models('The models or differences that span the range, two at least.', {}, 2, 'any'),
  },
  params: {
    stiffness: perLayer({
      default: 0,
      min: 0,
      max: 1,
      description:
        'How far the range shrinks toward the bounds next to their mean: 0 is all of it, 1 ends at these bounds.',
    }),
  },
  merges: true,
  exact: true,
  draws: false,
  examples: [
    {
      inputs: {
        a: [1, -2, 3],
        bounds: [
          [2, 2, -1],
          [0, -1, 1],
        ],
      },
      expect: [1, -1, 1],
    },
    {
      title: 'halfway to the bounds next to the mean',
      inputs: {
        a: [9, 0, -9],
        bounds: [
          [8, 8, 8],
          [4, 4, 4],
          [3, 3, 3],
          [0, 0, 0],
        ],
      },
      params: { stiffness: 0.5 },
      expect: [6, 1.5, 1.5],
    },
  ],
  build: (g, { a, bounds }, { stiffness }) => {
    const all = bounds.map(({ x }) => x)
    const [lo, hi] = [all.reduce(g.min), all.reduce(g.max)]
    // Of 0 and -0 a processor may take either for the greater.
    const between = (least: Tensor, greatest: Tensor): Tensor => {
      const clamped = g.min(g.max(a, least), greatest)
      return g.choose(g.compare('equal', clamped, 0), 0, clamped)
    }
    if (stiffness === 0) return between(lo, hi)
    const mean = g.div(all.reduce(g.add), all.length)
    const above = all.reduce((best, x) => g.choose(g.compare('greater-equal', x, mean), g.min(best, x), best), hi)
    const below = all.reduce((best, x) => g.choose(g.compare('less-equal', x, mean), g.max(best, x), best), lo)
    return between(lerp(g, lo, below, stiffness), lerp(g, hi, above, stiffness))
  },
})
