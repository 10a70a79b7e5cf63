import { defineOperator } from '../define.js'
import { model } from '../params.js'

/** True where one model moved further than another. */
export const compare = defineOperator({
  id: 'mask.compare',
  version: 1,
  summary: 'Selects the parameters that `a` moved further than `b`.',
  details:
    'True where `|a − base| > |b − base|`. A `merge.blend` of `b` and `a` with this mask and `keep: 0` takes for each parameter the larger change.',
  output: 'mask',
  inputs: {
    a: model('True where this model moved further.', 'any'),
    b: model('The model it is compared with.', 'any'),
    base: model('Where both moved from.', 'any'),
  },
  params: {},
  merges: false,
  exact: true,
  draws: false,
  examples: [
    { inputs: { a: [3, -4, 1, 2], b: [2, 5, -1, 0], base: [0, 0, 0, 1] }, expect: [true, false, false, false] },
  ],
  build: (g, { a, b, base }) => g.compare('greater', g.abs(g.sub(a, base)), g.abs(g.sub(b, base))),
})
