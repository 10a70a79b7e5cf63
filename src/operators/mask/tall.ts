import { defineOperator } from '../define.js'
import { model, perLayer } from '../params.js'

/** `|model − base| ≥ lambda·|merged − model|`. */
export const tall = defineOperator({
  id: 'mask.tall',
  aliases: [
    { name: 'TALL masks', from: 'arXiv 2405.07813' },
    { name: 'tall_mask', from: 'FusionBench', settings: '`lambda` is `tall_mask_lambda`' },
  ],
  version: 1,
  summary: 'Selects the parameters through which a merged model still has what one of its models learned.',
  details: [
    'True where `|model − base| ≥ lambda·|merged − model|`: where `merged` is nearer to `model` than `base` is, by the factor `lambda`.',
    'As `merged` the paper takes the sum of all differences on top of the base: `merge.task_arithmetic` with every weight and `lambda` at 1, or `merge.ties`. A `merge.blend` of `base` and `merged` with this mask and `keep: 0` brings the model back; `mask.at_least` over the masks of all models finds the parameters that several share.',
    'A parameter that neither `model` nor `merged` moved is true, as in the paper. The authors’ code has `>` in place of `≥`, where it is false; what the mask makes of the merged model is the same.',
  ].join('\n'),
  source:
    'Wang et al. 2024, “Localizing Task Information for Improved Model Merging and Compression”, arXiv 2405.07813',
  output: 'mask',
  inputs: {
    model: model('One of the models that were merged.', 'any'),
    base: model('Where all of them were trained from.', 'any'),
    merged: model('What they were merged into.', 'any'),
  },
  params: {
    lambda: perLayer({
      default: 0.4,
      min: 0,
      description:
        'How strict the mask is: the larger the number, the fewer parameters. The authors try 0.2 to 0.6 for each model, and take the one that does best on its task.',
    }),
  },
  merges: false,
  exact: true,
  draws: false,
  examples: [
    {
      inputs: { model: [2, 1, 0, 0], base: [0, 0, 0, 0], merged: [3, 4, 1, 0] },
      params: { lambda: 0.5 },
      expect: [true, false, false, true],
    },
  ],
  build: (g, { model, base, merged }, { lambda }) =>
    g.compare('greater-equal', g.abs(g.sub(model, base)), g.mul(g.abs(g.sub(merged, model)), lambda)),
})
