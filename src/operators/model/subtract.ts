import { COMMON, named } from '../aliases.js'
import { defineOperator } from '../define.js'
import { model } from '../params.js'

/** `a − b`, a difference. */
export const subtract = defineOperator({
  id: 'model.subtract',
  version: 1,
  summary: 'Subtracts one model from another.',
  aliases: [
    { name: 'subtract', from: 'sd-mecha' },
    ...named(
      'ComfyUI',
      ['ModelMergeSubtract', 'ModelSubtract', 'CLIPMergeSubtract', 'CLIPSubtract'],
      'with a `multiplier` other than 1, `model.scale` the result',
    ),
    {
      name: 'task vector',
      from: 'arXiv 2212.04089',
      settings: 'the fine-tuned model as `a`, the pretrained one as `b`',
    },
    ...named(COMMON, ['difference', 'sub']),
  ],
  details:
    '`a − b`. A difference can be scaled, added to other differences, and added to a model with `model.add`; to write it as a file, the output says `delta: true`.',
  source: 'Ilharco et al. 2022, “Editing Models with Task Arithmetic”, arXiv 2212.04089',
  output: 'model',
  space: 'delta',
  inputs: { a: model('The model to subtract from.'), b: model('The model to subtract.') },
  params: {},
  merges: false,
  exact: true,
  draws: false,
  examples: [{ inputs: { a: [3, 1], b: [1, 2] }, expect: [2, -1] }],
  build: (g, { a, b }) => g.sub(a, b),
})
