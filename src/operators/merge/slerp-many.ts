import { defineOperator } from '../define.js'
import { weigh } from '../gram.js'
import { flag, models, optionalModel, perLayer } from '../params.js'
import { sphericalMean } from '../sphere.js'

/** The weighted mean direction, as long as the models are on average. */
export const slerpMany = defineOperator({
  id: 'merge.slerp_many',
  aliases: [{ name: 'multislerp', from: 'mergekit', settings: '`normalize` is its `normalize_weights`' }],
  version: 1,
  summary: 'Averages the directions of any number of models, and their lengths.',
  details: [
    'With `uᵢ = xᵢ/‖xᵢ‖` over whole tensors, the result points along `m = Σ wᵢ·uᵢ` and is `Σ wᵢ·‖xᵢ‖` long. With `base`, the same is done with `xᵢ − base`, and `base` is added.',
    '',
    'mergekit then adds a step in the plane that touches the sphere at `m`; it is always 0, because `m` is the weighted sum itself. A tensor of zeros counts in the length alone. Where the directions cancel out (`‖m‖ < 10⁻⁸`), the result is the weighted sum of the models. At most 64 models.',
  ].join('\n'),
  source: 'Goddard 2025, “Multi-SLERP”, as in mergekit',
  output: 'model',
  inputs: {
    base: optionalModel('Where the sphere has its centre; unless given, at zero.'),
    models: models('The models.', {
      weight: perLayer({ default: 1, description: 'The share of this model; may be negative.' }),
    }),
  },
  params: { normalize: flag(true, 'Divides the weights by their sum, so that only their proportions matter.') },
  merges: true,
  exact: true,
  draws: false,
  examples: [
    {
      title: 'as long as the models are, which an average is not',
      inputs: {
        models: [
          [5, 0],
          [0, 5],
        ],
      },
      expect: [5 * Math.SQRT1_2, 5 * Math.SQRT1_2],
    },
    {
      title: 'around a base',
      inputs: {
        base: [1, 1],
        models: [
          { model: [4, 1], weight: 3 },
          { model: [1, 5], weight: 4 },
        ],
      },
      expect: [1 + (3 / 5) * (25 / 7), 1 + (4 / 5) * (25 / 7)],
    },
  ],
  build: (g, { base, models }, { normalize }, subject) => {
    const weighed = weigh(models, normalize, subject)
    return 'code' in weighed ? weighed : sphericalMean(g, weighed, base, 0)
  },
})
