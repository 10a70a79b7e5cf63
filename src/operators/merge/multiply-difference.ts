import { geometricMean } from '../../graph/elementary.js'
import { named } from '../aliases.js'
import { defineOperator } from '../define.js'
import { model, perLayer } from '../params.js'

/** `c ± |a − c|^keep·|b − c|^(1 − keep)`. */
export const multiplyDifference = defineOperator({
  id: 'merge.multiply_difference',
  version: 3,
  summary: 'Adds to `c` the geometric mean of what `a` and `b` have learned beyond it.',
  aliases: [
    { name: 'multiply_difference', from: 'sd-meh', settings: '`keep: 1 − alpha`, `side: 1 − beta`' },
    ...named("Chattiori's Model Merger", ['MD', 'Multiply Difference'], '`keep: 1 − alpha`, `side: 1 − beta`'),
  ],
  details: [
    '`c ± |a − c|^keep·|b − c|^(1 − keep)`, on the side of `c` on which `side·a + (1 − side)·b` lies. Only what both models changed is changed.',
    '`keep: 1, side: 1` gives `a`; `keep: 0, side: 0` gives `b`. The operator that sd-mecha has in its place is `merge.multiply_quotient`.',
  ].join('\n'),
  source: 'sd-meh, `multiply_difference`',
  output: 'model',
  inputs: {
    a: model('The first model.'),
    b: model('The second model.'),
    c: model('What both were trained from.'),
  },
  params: {
    keep: perLayer({ default: 0.5, min: 0, max: 1, description: 'The exponent of the difference of `a`.' }),
    side: perLayer({
      default: 0.5,
      min: 0,
      max: 1,
      description: 'Whose direction the difference takes where the two disagree: 1 is that of `a`, 0 that of `b`.',
    }),
  },
  merges: true,
  exact: true,
  draws: false,
  examples: [
    { inputs: { a: [2, 5, 1], b: [5, -4, 8], c: [1, 1, 1] }, params: { side: 1 }, expect: [3, 1 + Math.sqrt(20), 1] },
    {
      title: 'three quarters of the one, in the direction of the other',
      inputs: { a: [17, 3], b: [-1, 2], c: [1, 2] },
      params: { keep: 0.75, side: 0 },
      expect: [1 - 2 ** 3.25, 2],
    },
  ],
  build: (g, { a, b, c }, { keep, side }) => {
    if (keep === side && (keep === 0 || keep === 1)) return keep === 1 ? a : b
    const [ofA, ofB] = [g.sub(a, c), g.sub(b, c)]
    const mean = geometricMean(g, g.abs(ofA), g.abs(ofB), 1 - keep)
    const direction = g.add(g.mul(ofA, side), g.mul(ofB, 1 - side))
    return g.add(c, g.choose(g.compare('less', direction, 0), g.neg(mean), mean))
  },
})
