import { named } from '../aliases.js'
import { defineOperator } from '../define.js'
import { choice, model, perLayer } from '../params.js'

/** True where a model has moved much, or little, from its base. */
export const magnitude = defineOperator({
  id: 'mask.magnitude',
  version: 1,
  summary: 'Selects the parameters that moved most, or least, from a base.',
  aliases: [
    ...named(
      'ComfyUI-DareMerge',
      ['DM_MagnitudeMasker', 'Magnitude Masker'],
      '`quantile: threshold`, `select: below` unless the node has `above`',
    ),
  ],
  details: [
    '`above`: true where `|model − base|` is at least its `quantile`; `below`: where it is less. The quantile is exact and taken per tensor (or over the whole model), interpolated linearly at position `q(n − 1)` as numpy and torch do.',
    '`above` and `below` of one quantile are complements. At quantile 0 `above` selects everything and `below` nothing; at quantile 1 it is the other way round.',
  ].join('\n'),
  source: 'ComfyUI-DareMerge, magnitude masker (which takes quantiles of chunks; this one is exact)',
  output: 'mask',
  inputs: { model: model('The model that moved.', 'any'), base: model('Where it moved from.', 'any') },
  params: {
    select: choice(
      { above: 'the large differences', below: 'the small ones' },
      'above',
      'Which side of the quantile is true.',
    ),
    quantile: perLayer({
      required: true,
      min: 0,
      max: 1,
      description: 'The share of parameters below the threshold: 0.8 with `above` selects the top fifth.',
    }),
    scope: choice(
      { tensor: 'each tensor has its own threshold', model: 'one threshold for all tensors' },
      'tensor',
      'What the quantile is taken over.',
    ),
  },
  merges: false,
  exact: true,
  draws: false,
  examples: [
    {
      inputs: { model: [1, -5, 3, 0], base: [0, 0, 0, 0] },
      params: { quantile: 0.5 },
      expect: [false, true, true, false],
    },
    {
      title: 'the small ones',
      inputs: { model: [1, -5, 3, 0], base: [0, 0, 0, 0] },
      params: { quantile: 0.5, select: 'below' },
      expect: [true, false, false, true],
    },
    { title: 'everything', inputs: { model: [1, 2], base: [1, 2] }, params: { quantile: 0 }, expect: [true, true] },
  ],
  build: (g, { model, base }, { select, quantile, scope }, { whole }) => {
    if (quantile === 0 || quantile === 1) return g.constant((select === 'above') === (quantile === 0))
    const delta = g.sub(model, base)
    const threshold = g.quantile(delta, quantile, scope === 'model' ? whole('quantile') : undefined)
    return g.compare(select === 'above' ? 'greater-equal' : 'less', g.abs(delta), threshold)
  },
})
