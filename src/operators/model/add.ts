import { named } from '../aliases.js'
import { defineOperator } from '../define.js'
import { model, perLayer } from '../params.js'

/** `a + strength·delta`. */
export const add = defineOperator({
  id: 'model.add',
  version: 1,
  summary: 'Adds a difference to a model or to another difference.',
  aliases: [
    { name: 'add_difference', from: 'sd-mecha', settings: 'of a model and a difference: `strength: alpha`' },
    ...named(
      'ComfyUI',
      ['ModelMergeAdd', 'ModelAdd'],
      'the result of `ModelMergeSubtract` as `delta`; `layers: component:diffusion`, `missing: keep`',
    ),
    ...named(
      'ComfyUI',
      ['CLIPMergeAdd', 'CLIPAdd'],
      'the result of `CLIPMergeSubtract` as `delta`; `layers: component:clip`, `missing: keep`',
    ),
  ],
  details: '`a + strength·delta`',
  source: 'Ilharco et al. 2022, “Editing Models with Task Arithmetic”, arXiv 2212.04089',
  output: 'model',
  inputs: {
    a: model('The model, or difference, that is added to.', 'any'),
    delta: model('The difference, for example from `model.subtract`.', 'delta'),
  },
  params: {
    strength: perLayer({
      default: 1,
      description: 'How much of the difference is added; a negative number subtracts it, 0 gives `a`.',
    }),
  },
  merges: true,
  exact: true,
  draws: false,
  examples: [{ inputs: { a: [1, 2], delta: [2, -2] }, params: { strength: 0.5 }, expect: [2, 1] }],
  build: (g, { a, delta }, { strength }) => g.add(a, g.mul(delta, strength)),
})
