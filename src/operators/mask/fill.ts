import { fillings } from '../../base/catalogue/operators.js'
import { COMMON, named } from '../aliases.js'
import { defineOperator } from '../define.js'
import { countFillings, fill as fillMask } from '../filling.js'
import { gaussian, model, number, optionalFlag } from '../params.js'

/** A mask out of nothing: constant or random. */
export const fill = defineOperator({
  id: 'mask.fill',
  version: 1,
  summary: 'A mask that is all true, all false, or random.',
  aliases: [
    ...named(
      'ComfyUI-DareMerge',
      ['DM_SimpleMasker', 'Simple Masker'],
      '`value` for `true` and `false`; `p: 1 − arg_one` for `random`; `p: 0.5` for `gaussian`',
    ),
    { name: 'random mask', from: COMMON, settings: '`p`' },
  ],
  details:
    'Write one of `value`, `p` and `gaussian`. Random masks depend on the seed, the step’s name and the tensor’s name, and on nothing else.',
  source: 'ComfyUI-DareMerge, simple, random and gaussian maskers',
  output: 'mask',
  inputs: { like: model('A model whose tensors the mask is for; its numbers are not read.', 'any') },
  params: {
    value: optionalFlag('The same value for every parameter.'),
    p: number({ min: 0, max: 1, description: 'True with this probability, independently for each parameter.' }),
    gaussian: gaussian('True where a normal draw with `mean` (0) and `std` (1) exceeds `above` (0.5).'),
  },
  merges: false,
  exact: true,
  draws: true,
  examples: [
    { inputs: { like: [1, 2] }, params: { value: true }, expect: [true, true] },
    { title: 'a probability of 0', inputs: { like: [1, 2] }, params: { p: 0 }, expect: [false, false] },
    {
      title: 'no random number is as large as this',
      inputs: { like: [1, 2] },
      params: { gaussian: { above: 100 } },
      expect: [false, false],
    },
  ],
  build: (g, _inputs, filling, { stream, at }) =>
    countFillings(filling) === 1 ? fillMask(g, filling, stream(0)) : fillings(at('op'), ['value', 'p', 'gaussian']),
})
