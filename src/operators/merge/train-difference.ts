import type { Tensor } from '../../graph/expression.js'
import type { Graph } from '../../graph/graph.js'
import { defineOperator } from '../define.js'
import { choice, model, perLayer } from '../params.js'

const METHODS = {
  distance:
    '`1.8·|b − a|/(|b − a| + |b − c|)`: none where `a` already is at `b`, 0.9 where it is still at `c`, and nearly 1.8 where it is far from both',
  opposite:
    '`2·|a − b|/(|a − b| + |a + b − 2c|)`: none where `a` and `b` moved alike, 1 where `a` is still at `c`, and 2 where they moved equally far in opposite directions',
  strict_opposite:
    '`2·max(0, (c − a)(b − c))/max(|a − c|, |b − c|)²`: like `opposite`, but none where `a` is still at `c` or they moved in the same direction',
} as const

/** How much of the change is added: `most` times a share from 0 to 1. */
interface Factor {
  readonly most: number
  readonly share: (g: Graph, a: Tensor, b: Tensor, c: Tensor) => Tensor
}

/** The smallest normal float32: as a divisor in the place of 0, it makes 0/0 into 0. */
const NOT_ZERO = 2 ** -126

/** `|x|/(|x| + |y|)`. */
const shareOf = (g: Graph, x: Tensor, y: Tensor): Tensor => {
  const [ofX, ofY] = [g.abs(x), g.abs(y)]
  return g.div(ofX, g.max(g.add(ofX, ofY), NOT_ZERO))
}

const FACTORS: Readonly<Record<keyof typeof METHODS, Factor>> = {
  distance: { most: 1.8, share: (g, a, b, c) => shareOf(g, g.sub(b, a), g.sub(b, c)) },
  opposite: { most: 2, share: (g, a, b, c) => shareOf(g, g.sub(a, b), g.add(g.sub(a, c), g.sub(b, c))) },
  strict_opposite: {
    most: 2,
    share: (g, a, b, c) => {
      const moves = [g.sub(a, c), g.sub(b, c)] as const
      const larger = g.max(g.max(g.abs(moves[0]), g.abs(moves[1])), NOT_ZERO)
      // Divided before they are multiplied: the square of a small number would be 0.
      const against = g.neg(g.mul(g.div(moves[0], larger), g.div(moves[1], larger)))
      // Nothing is negative, but of 0 and -0 a processor may take either for the greater.
      return g.abs(g.max(against, 0))
    },
  },
}

/** `a + strength·f·(b − c)`, with a factor f for each parameter. */
export const trainDifference = defineOperator({
  id: 'merge.train_difference',
  aliases: [
    { name: 'trainDifference', from: 'supermerger', settings: '`strength` is alpha' },
    { name: 'train_difference', from: 'sd-mecha', settings: '`strength` is alpha' },
    { name: 'train_difference_mask', from: 'sd-mecha', settings: 'the mask together with its `add_difference`' },
    { name: 'add_opposite', from: 'sd-mecha', settings: '`method: opposite`' },
    { name: 'add_opposite_mask', from: 'sd-mecha', settings: '`method: opposite`' },
    { name: 'clamped_add_opposite', from: 'sd-mecha', settings: '`method: strict_opposite`' },
    { name: 'add_strict_opposite_mask', from: 'sd-mecha', settings: '`method: strict_opposite`' },
  ],
  version: 1,
  summary: 'Adds to `a` what `b` has learned beyond `c`, more of it where `a` and `b` differ.',
  details: [
    '`a + strength·f·(b − c)`, where `method` gives each parameter its factor `f`; 0/0 counts as 0.',
    '`merge.add_difference` adds the same change with the factor 1 everywhere, and so adds a second time what `a` and `b` both learned from `c`. With any method, a parameter that is equal in `a` and `b` stays as it is.',
  ].join('\n'),
  source: '`distance`: supermerger, calculation mode `trainDifference`. The opposites: sd-mecha',
  output: 'model',
  inputs: {
    a: model('The model that is changed.'),
    b: model('The model whose change is added.'),
    c: model('What `b` was trained from.'),
  },
  params: {
    strength: perLayer({ default: 1, description: 'How much of the scaled difference is added; 0 gives `a`.' }),
    method: choice(METHODS, 'distance', 'The factor of each parameter.'),
  },
  merges: true,
  exact: true,
  draws: false,
  examples: [
    { inputs: { a: [0, 4, 1], b: [2, 4, 2], c: [0, 0, 1.5] }, expect: [1.8, 4, 1.6] },
    {
      title: 'twice the change where the other model moved the opposite way',
      inputs: { a: [0, 1, -1], b: [1, 1, 1], c: [0, 0, 0] },
      params: { method: 'opposite' },
      expect: [1, 1, 1],
    },
    {
      title: 'only where the other model moved the opposite way',
      inputs: { a: [0, 1, -1, -2], b: [1, 1, 1, 1], c: [0, 0, 0, 0] },
      params: { method: 'strict_opposite', strength: 0.5 },
      expect: [0, 1, 0, -1.5],
    },
  ],
  build: (g, { a, b, c }, { strength, method }) => {
    const { most, share } = FACTORS[method]
    return g.add(a, g.mul(g.mul(g.sub(b, c), share(g, a, b, c)), most * strength))
  },
})
