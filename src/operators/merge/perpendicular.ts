import { defineOperator } from '../define.js'
import { model, perLayer } from '../params.js'

/** `a + strength·(d_b − d_a·⟨d_a, d_b⟩/⟨d_a, d_a⟩)`, with `d` the differences from a base. */
export const perpendicular = defineOperator({
  id: 'merge.perpendicular',
  aliases: [
    { name: 'add_perpendicular', from: 'sd-mecha', settings: '`base` is c, `strength` is alpha' },
    {
      name: 'perpendicular_component',
      from: 'sd-mecha',
      settings: 'the component of two differences, together with the `add_difference` that adds it',
    },
  ],
  version: 1,
  summary: 'Adds to `a` what `b` has learned in other directions than `a`.',
  details: [
    '`a + strength·(d_b − d_a·⟨d_a, d_b⟩/⟨d_a, d_a⟩)` with `d_a = a − base` and `d_b = b − base`: the part of `d_b` at a right angle to `d_a`. What `a` has learned stays as it is, neither strengthened nor undone.',
    'The products are over the whole tensor, even where `mask` is false. A tensor that `a` has not moved from `base` has no direction, and stays as it is; to add the change of `b` there, use `merge.add_difference` on these layers.',
  ].join('\n'),
  source: 'sd-mecha, `add_perpendicular`',
  output: 'model',
  inputs: {
    a: model('The model that is changed.'),
    b: model('The model whose change is added.'),
    base: model('What both were trained from.'),
  },
  params: {
    strength: perLayer({ default: 1, description: 'How much of the perpendicular part is added; 0 gives `a`.' }),
  },
  merges: true,
  exact: true,
  draws: false,
  examples: [
    { inputs: { a: [3, 1], b: [3, 3], base: [1, 1] }, expect: [3, 3] },
    {
      title: 'a change in the same direction adds nothing',
      inputs: { a: [1, 2], b: [2, 4], base: [0, 0] },
      expect: [1, 2],
    },
    {
      title: 'a tensor that was not moved has no direction',
      inputs: { a: [1, 2], b: [2, 4], base: [1, 2] },
      expect: [1, 2],
    },
  ],
  build: (g, { a, b, base }, { strength }) => {
    if (strength === 0) return a
    const [ofA, ofB] = [g.sub(a, base), g.sub(b, base)]
    const size = g.dot(ofA, ofA)
    // Anything but 0, NaN included, goes on: a NaN must not turn into a tensor that looks right.
    const unlessUnmoved = (x: Parameters<typeof g.ifLess>[3]) => g.ifLess(size, Number.MIN_VALUE, 0, x)
    const along = unlessUnmoved(g.div(g.dot(ofA, ofB), size))
    return g.add(a, g.mul(g.sub(ofB, g.mul(ofA, along)), unlessUnmoved(strength)))
  },
})
