import { divideByZero, oneOperation } from '../../base/catalogue/operators.js'
import { failed } from '../../base/result.js'
import { named } from '../aliases.js'
import { layersOf, valueOf } from '../call-arguments.js'
import type { Operator } from '../operator.js'
import { likeInput, likeOf, makeWeights, numbersOf } from '../layer-numbers.js'
import { layers, number, perLayer } from '../params.js'

/** What may be done to a number, by the parameter that says with which number. */
const OPERATIONS = {
  set: (_: number, by: number) => by,
  add: (x: number, by: number) => x + by,
  subtract: (x: number, by: number) => x - by,
  multiply: (x: number, by: number) => x * by,
  divide: (x: number, by: number) => x / by,
} as const

/** Changes weights on some layers. */
export const edit: Operator = {
  id: 'weights.edit',
  version: 1,
  summary: 'Changes weights on some layers.',
  aliases: [
    ...named(
      'ComfyUI-DareMerge',
      ['DM_GradientEdit', 'Gradient Edit'],
      '`value` under the key of the operation: `set: 0.5`',
    ),
  ],
  details:
    'Applies one of `set`, `add`, `subtract`, `multiply` and `divide` once to each selected tensor, however many patterns select it. `set` also gives a number to a tensor that has none; the others leave it without. The input weights never change.',
  source: 'ComfyUI-DareMerge, gradient edit (which changes its input, and changes it twice where two patterns match)',
  output: 'weights',
  inputs: { like: likeInput },
  params: {
    weights: perLayer({ required: true, description: 'The weights to begin with.' }),
    layers: layers('The layers to change.'),
    set: number({ description: 'The new number.' }),
    add: number({ description: 'The number to add.' }),
    subtract: number({ description: 'The number to subtract.' }),
    multiply: number({ description: 'The factor.' }),
    divide: number({ description: 'The divisor.' }),
  },
  merges: false,
  exact: true,
  draws: false,
  examples: [
    { inputs: { like: [1, 2] }, params: { weights: 0.5, layers: '*', multiply: 0.5 }, expect: [0.25] },
    {
      title: 'a new value',
      inputs: { like: [1, 2] },
      params: { weights: { default: 1 }, layers: '*', set: 0.75 },
      expect: [0.75],
    },
  ],
  evaluate: (call) => {
    const keys = Object.keys(OPERATIONS) as (keyof typeof OPERATIONS)[]
    const [key, ...others] = keys.filter((k) => valueOf(call, k) !== undefined)
    if (key === undefined || others.length > 0) return failed(oneOperation(call.at('op'), keys))
    const by = valueOf(call, key) as number
    const [before, selected] = [numbersOf(call, 'weights'), call.select(layersOf(call, 'layers'), likeOf(call).tensors)]
    if (before.type === 'failed') return before
    if (selected.type === 'failed') return selected
    const [first] = selected.value
    if (key === 'divide' && by === 0 && first !== undefined) return failed(divideByZero(call.at('divide'), first))
    return makeWeights(
      call,
      (tensor) => {
        const x = before.value(tensor)
        if (!selected.value.has(tensor)) return x
        return key === 'set' ? by : x === undefined ? undefined : OPERATIONS[key](x, by)
      },
      [...before.diagnostics, ...selected.diagnostics],
    )
  },
}
