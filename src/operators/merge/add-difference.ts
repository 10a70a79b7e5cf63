import { addExactly, multiplyExactly } from '../../graph/exact.js'
import { defineOperator } from '../define.js'
import { model, perLayer } from '../params.js'

/** `a + strength·(b − c)`. */
export const addDifference = defineOperator({
  id: 'merge.add_difference',
  version: 2,
  summary: 'Adds to `a` what `b` has learned beyond `c`.',
  aliases: [
    { name: 'Add difference', from: 'AUTOMATIC1111 web UI', settings: '`strength: multiplier`, `missing: keep`' },
    { name: 'Add difference', from: 'supermerger', settings: '`strength: alpha`, `missing: keep`' },
    { name: 'add_difference', from: 'sd-mecha', settings: 'of three models: `strength: alpha`, `missing: keep`' },
  ],
  details:
    '`a + strength·(b − c)`, computed with about twice the digits of float32 and then rounded once, so that nothing is lost where the difference is much smaller than the numbers, or cancels `a`.',
  source: 'AUTOMATIC1111 web UI checkpoint merger, “Add difference”',
  output: 'model',
  inputs: {
    a: model('The model that is changed.'),
    b: model('The model whose change is added.'),
    c: model('What `b` was trained from.'),
  },
  params: { strength: perLayer({ default: 1, description: 'How much of the difference is added; 0 gives `a`.' }) },
  merges: true,
  exact: true,
  draws: false,
  examples: [{ inputs: { a: [1, 2], b: [3, 5], c: [2, 2] }, params: { strength: 0.5 }, expect: [1.5, 3.5] }],
  build: (g, { a, b, c }, { strength }) => {
    if (strength === 0) return a
    const difference = addExactly(g, b, g.neg(c))
    const scaled = multiplyExactly(g, difference.rounded, strength)
    const sum = addExactly(g, a, scaled.rounded)
    const rest = g.add(sum.rest, g.add(scaled.rest, g.mul(difference.rest, strength)))
    // What overflows leaves no rest that is a number.
    return g.choose(g.compare('equal', rest, rest), g.add(sum.rounded, rest), sum.rounded)
  },
})
