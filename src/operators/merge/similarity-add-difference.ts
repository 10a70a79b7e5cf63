import { defineOperator } from '../define.js'
import { choice, model, perLayer } from '../params.js'

const COMPARED = {
  weights: '`a` and `b` themselves, as sd-meh does',
  differences: '`a − c` and `b − c`, as sd-mecha does',
} as const

/** Adds a difference where two models are unlike, and averages them where they are alike. */
export const similarityAddDifference = defineOperator({
  id: 'merge.similarity_add_difference',
  version: 1,
  summary:
    'Adds to `a` what `b` has learned beyond `c` where the two are unlike, and averages them where they are alike.',
  aliases: [
    { name: 'similarity_add_difference', from: 'sd-meh', settings: '`strength: alpha`, `similarity: beta`' },
    {
      name: 'similarity_add_difference',
      from: 'sd-mecha',
      settings:
        'of two differences from `c`, in 0.0.5: `compare: differences`, `strength: alpha`, `similarity: similarity_scale`',
    },
  ],
  details: [
    'A number is the point at `s` on the line from `a + strength·(b − c)` to `(1 − strength/2)·a + strength/2·b`, with the similarity `s = similarity·(ab/max(|a|, |b|)² + 1)/2`: 0 for opposite numbers, ½ if one is 0, and 1 for equal numbers and two zeros, each times `similarity`.',
    '`similarity: 0` is `merge.add_difference`.',
  ].join('\n'),
  source: 'sd-meh, `similarity_add_difference`',
  output: 'model',
  inputs: {
    a: model('The model that is changed.'),
    b: model('The model whose change is added.'),
    c: model('What `b` was trained from.'),
  },
  params: {
    strength: perLayer({ default: 1, description: 'How much of the difference is added; 0 gives `a`.' }),
    similarity: perLayer({ default: 1, description: 'Multiplies the similarity.' }),
    compare: choice(COMPARED, 'weights', 'The numbers whose similarity is measured.'),
  },
  merges: true,
  exact: true,
  draws: false,
  examples: [
    { inputs: { a: [2, 2, 2, 0], b: [2, -2, 0, 0], c: [1, 1, 1, 1] }, expect: [2, -1, 1, 0] },
    {
      title: 'half as much, by the similarity of the changes',
      inputs: { a: [3, 3], b: [3, 1], c: [2, 2] },
      params: { strength: 0.5, compare: 'differences' },
      expect: [3, 2.5],
    },
  ],
  build: (g, { a, b, c }, { strength, similarity, compare }) => {
    if (strength === 0) return a
    const difference = g.sub(b, c)
    const [x, y] = compare === 'weights' ? [a, b] : [g.sub(a, c), difference]
    const greater = g.max(g.abs(x), g.abs(y))
    const alike = g.choose(g.compare('greater', greater, 0), g.mul(g.div(x, greater), g.div(y, greater)), 1)
    const share = g.mul(g.add(alike, 1), similarity / 2)
    const added = g.add(a, g.mul(difference, strength))
    const averaged = g.add(a, g.mul(g.sub(b, a), strength / 2))
    return g.add(added, g.mul(g.sub(averaged, added), share))
  },
})
