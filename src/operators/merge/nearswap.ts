import { defineOperator } from '../define.js'
import { model, perLayer } from '../params.js'

/** Differences below this count as this large; the value that mergekit has. */
const LEAST_DIFFERENCE = 1e-6

/** `w·x + (1 − w)·base` with `w = clamp(threshold/|base − x|, 0, 1)`. */
export const nearswap = defineOperator({
  id: 'merge.nearswap',
  aliases: [{ name: 'nearswap', from: 'mergekit', settings: '`threshold` is t' }],
  version: 1,
  summary: 'Takes the parameters of `model` that are near those of `base`, and moves the others a little toward it.',
  details: [
    '`w·model + (1 − w)·base` with `w = clamp(threshold/max(|base − model|, 1e-6), 0, 1)`.',
    'A parameter that differs by at most `threshold` is taken from `model`; any other moves by `threshold` toward it. No parameter of `base` moves further than that.',
  ].join('\n'),
  source: 'mergekit, `nearswap`, after alchemonaut’s QuartetAnemoi-70B-t0.0001',
  output: 'model',
  inputs: {
    base: model('The model that is changed.'),
    model: model('The model that it moves toward.'),
  },
  params: {
    threshold: perLayer({
      required: true,
      min: 0,
      description: 'The furthest that a parameter may move; 0 gives `base`.',
    }),
  },
  merges: true,
  exact: true,
  draws: false,
  examples: [
    { inputs: { base: [1, 1, 1], model: [1.25, 3, -3] }, params: { threshold: 0.5 }, expect: [1.25, 1.5, 0.5] },
  ],
  build: (g, { base, model: x }, { threshold }) => {
    if (threshold === 0) return base
    const change = g.sub(x, base)
    const share = g.div(threshold, g.max(g.abs(change), LEAST_DIFFERENCE))
    // What is taken whole is taken as it is, not by way of a difference that rounds.
    return g.choose(g.compare('greater-equal', share, 1), x, g.add(base, g.mul(change, share)))
  },
})
