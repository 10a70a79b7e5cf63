import type { Operator } from '../operator.js'
import { likeInput, makeWeights, numbersOf } from '../layer-numbers.js'
import { perLayer } from '../params.js'

/** Per-layer numbers as a step of their own. */
export const rules: Operator = {
  id: 'weights.rules',
  version: 1,
  summary: 'One number per layer, by rules, to use in several steps.',
  aliases: [
    {
      name: 'filter',
      from: 'mergekit',
      settings:
        'a pattern for each filter, such as `"**.*mlp*"`, in reverse order: the last rule wins here, the first filter there; a list of numbers is a gradient here too',
    },
    {
      name: 'elemental merge',
      from: 'supermerger',
      settings: 'a pattern for each block and element; as `keep`, 1 − ratio',
    },
  ],
  details:
    'Later rules win, and every rule wins over `default`. A tensor that no rule matches has no number: a step that uses the weights keeps the first model there.',
  output: 'weights',
  inputs: { like: likeInput },
  params: { rules: perLayer({ required: true, description: 'The rules, as written in place of a number.' }) },
  merges: false,
  exact: true,
  draws: false,
  examples: [{ inputs: { like: [1, 2] }, params: { rules: { default: 0.25, '*': 0.75 } }, expect: [0.75] }],
  evaluate: (call) => {
    const resolved = numbersOf(call, 'rules')
    return resolved.type === 'failed' ? resolved : makeWeights(call, resolved.value, resolved.diagnostics)
  },
}
