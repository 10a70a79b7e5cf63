import { defineOperator } from '../define.js'
import { model, perLayer } from '../params.js'

/** `a + strength·(b − c)`. */
export const addDifference = defineOperator({
  id: 'merge.add_difference',
  version: 1,
  summary: 'Adds to `a` what `b` has learned beyond `c`.',
  aliases: [
    { name: 'Add difference', from: 'AUTOMATIC1111 web UI', settings: '`strength: multiplier`, `missing: keep`' },
    { name: 'Add difference', from: 'supermerger', settings: '`strength: alpha`, `missing: keep`' },
    { name: 'add_difference', from: 'sd-mecha', settings: 'of three models: `strength: alpha`, `missing: keep`' },
  ],
  details: '`a + strength·(b − c)`',
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
  build: (g, { a, b, c }, { strength }) => g.add(a, g.mul(g.sub(b, c), strength)),
})
