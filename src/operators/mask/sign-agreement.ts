import { defineOperator } from '../define.js'
import { model, models } from '../params.js'

/** True where all differences have one sign. */
export const signAgreement = defineOperator({
  id: 'mask.sign_agreement',
  version: 1,
  summary: 'Selects the parameters that all models moved in the same direction.',
  details:
    'True where the differences `xᵢ − base` of all models are above 0, or all are below 0. A model that did not move a parameter does not agree.',
  source: 'after the sign election of Yadav et al. 2023, “TIES-Merging”, arXiv 2306.01708',
  output: 'mask',
  inputs: {
    base: model('Where the models moved from.', 'any'),
    models: models('The models that moved.', {}, 2, 'any'),
  },
  params: {},
  merges: false,
  exact: true,
  draws: false,
  examples: [
    {
      inputs: {
        base: [0, 0, 1, 0],
        models: [
          [1, -1, 2, 0],
          [3, -2, 0, 1],
        ],
      },
      expect: [true, true, false, false],
    },
  ],
  build: (g, { base, models }) => {
    const deltas = models.map(({ x }) => g.sub(x, base))
    const all = (op: 'greater' | 'less') => g.and(...deltas.map((delta) => g.compare(op, delta, 0)))
    return g.or(all('greater'), all('less'))
  },
})
