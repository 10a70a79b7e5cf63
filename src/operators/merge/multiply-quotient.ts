import { cosPi, exp2, log2 } from '../../graph/elementary.js'
import type { Tensor } from '../../graph/expression.js'
import { defineOperator } from '../define.js'
import { model, perLayer } from '../params.js'

/** The greatest `strength`, which bounds the angle that a number is turned by. */
const MOST = 10

/** `a·(b/c)^w`, where `b` moved against `a`. */
export const multiplyQuotient = defineOperator({
  id: 'merge.multiply_quotient',
  version: 1,
  summary:
    'Multiplies `a` by what `b` changed of `c` as a factor, where the two models changed it in opposite directions.',
  aliases: [{ name: 'multiply_quotient', from: 'sd-mecha', settings: '`strength: alpha`' }],
  details: [
    'With `x = log|a/c|` and `y = log|b/c|` a number becomes `a·|b/c|^w·cos(πw[b/c < 0])`, the real part of `a·(b/c)^w`, with `w = strength·max(0, −xy/max(|x|, |y|)²)`: where both models made a number larger, or both smaller, it stays as `a` has it.',
    'So it does where one of the three is 0 or no number. Magnitudes that differ by more than a factor of 2¹⁴⁹ count as if the smaller were 0.',
  ].join('\n'),
  source: 'sd-mecha, `multiply_quotient`',
  output: 'model',
  inputs: {
    a: model('The model that is changed.'),
    b: model('The model whose changes are multiplied on.'),
    c: model('What both were trained from.'),
  },
  params: {
    strength: perLayer({ default: 1, min: 0, max: MOST, description: 'Multiplies the exponent; 0 gives `a`.' }),
  },
  merges: true,
  exact: true,
  draws: false,
  examples: [{ inputs: { a: [2, 2, -2], b: [0.25, 8, 0.25], c: [1, 1, 1] }, expect: [1, 2, -1] }],
  build: (g, { a, b, c }, { strength }) => {
    if (strength === 0) return a
    const [sizeA, sizeB, sizeC] = [g.abs(a), g.abs(b), g.abs(c)]
    // |x| and |y|, in powers of two; ∞ where one of the two is 0.
    const distance = (size: Tensor): Tensor => g.abs(log2(g, g.div(g.min(size, sizeC), g.max(size, sizeC))))
    const [x, y] = [distance(sizeA), distance(sizeB)]
    const ratio = g.div(g.min(x, y), g.max(x, y))
    const w = g.mul(ratio, strength)
    const grown = g.compare('greater', sizeB, sizeC)
    const power = exp2(g, g.neg(g.mul(w, y)))
    const turn = g.choose(g.xor(g.compare('less', b, 0), g.compare('less', c, 0)), cosPi(g, w, strength), 1)
    const changed = g.mul(g.choose(grown, g.div(a, power), g.mul(a, power)), turn)
    const opposed = g.xor(grown, g.compare('greater', sizeA, sizeC))
    return g.choose(g.and(opposed, g.compare('greater', ratio, 0)), changed, a)
  },
})
