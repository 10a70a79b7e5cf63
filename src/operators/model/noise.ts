import { noValuesForNoise } from '../../base/catalogue/model-operators.js'
import { named } from '../aliases.js'
import { defineOperator } from '../define.js'
import type { PlacedPattern, Operator } from '../operator.js'
import { choice, model, number, optionalModel, perLayer } from '../params.js'

const KIND = {
  gaussian: 'normally distributed',
  uniform: 'evenly distributed over `mean ± √3·std`',
} as const

/** The layers that are meant unless the recipe says otherwise: the values of attention, with their biases. */
const VALUES = '**.to_v*'

const element = defineOperator({
  id: 'model.noise',
  version: 1,
  summary: 'Adds random noise to some layers.',
  aliases: [
    ...named(
      'ComfyUI-DareMerge',
      ['DM_InjectNoise', 'Inject Noise'],
      '`strength: 1 − ratio`; for `random`, `kind: uniform` and `std: 0.288675`; leave out `mean`, which has no effect there',
    ),
    {
      name: 'plus random',
      from: 'supermerger',
      settings: '`std: 1`, `strength: alpha`, `layers` for all but `to_out`, `proj_out` and norms',
    },
  ],
  details: [
    '`model + strength·noise`, where each number of the noise is drawn independently, with `mean` and standard deviation `std`. Where `mask` is false, nothing is added.',
    `Without \`layers\` the noise goes to the values of attention, \`${VALUES}\`, as in the node pack; for models with other names say which layers, for example \`**.v_proj\`. \`layers: "*"\` is every tensor.`,
    'The noise depends on the seed, the step’s name and the tensor’s name, and on nothing else.',
  ].join('\n'),
  source: 'ComfyUI-DareMerge, inject noise',
  output: 'model',
  inputs: {
    model: model('The model.'),
    noise: optionalModel(
      'A file of noise to use in place of random numbers. For repeating what was made elsewhere.',
      'any',
    ),
  },
  params: {
    kind: choice(KIND, 'gaussian', 'How the noise is distributed.'),
    mean: number({ default: 0, description: 'The mean of the noise.' }),
    std: number({ default: 0.01, min: 0, description: 'Its standard deviation.' }),
    strength: perLayer({ default: 1, description: 'How much of the noise is added; 0 adds nothing.' }),
  },
  merges: true,
  exact: true,
  draws: true,
  examples: [
    { inputs: { model: [1, 2], noise: [2, -4] }, params: { layers: '*', strength: 0.5 }, expect: [2, 0] },
    {
      title: 'noise without spread',
      inputs: { model: { 'attn1.to_v.weight': [1, 2], 'attn1.to_k.weight': [1, 2] } },
      params: { mean: 0.5, std: 0 },
      expect: { 'attn1.to_v.weight': [1.5, 2.5], 'attn1.to_k.weight': [1, 2] },
    },
  ],
  build: (g, { model, noise }, { kind, mean, std, strength }, { stream }) => {
    const draw = () =>
      kind === 'gaussian' ? g.normal(stream(0)) : g.mul(g.sub(g.uniform(stream(0)), 0.5), Math.sqrt(12))
    return g.add(model, g.mul(noise ?? g.add(g.mul(draw(), std), mean), strength))
  },
})

/** Noise on some layers; on the values of attention unless the recipe names others. */
export const noise: Operator = {
  ...element,
  evaluate: (call) => {
    const at = call.at('op')
    if (call.shared.layers !== undefined) return element.evaluate(call)
    const pattern: PlacedPattern = { text: VALUES, optional: false, at }
    const result = element.evaluate({
      ...call,
      shared: { ...call.shared, layers: { type: 'layers', patterns: [pattern], at } },
    })
    // The user did not write the pattern, so a message about it would puzzle them.
    return {
      ...result,
      diagnostics: result.diagnostics.map((d) => (d.code === 'pattern-selects-nothing' ? noValuesForNoise(at) : d)),
    }
  },
}
