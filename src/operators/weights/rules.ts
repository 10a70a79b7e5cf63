import { ok } from '../../base/result.js'
import { labelOf, modelsOf } from '../call.js'
import type { Operator } from '../define.js'
import { model, perLayer } from '../params.js'

/** Per-layer numbers as a step of their own. */
export const rules: Operator = {
  id: 'weights.rules',
  version: 1,
  summary: 'One number per layer, by rules; to be used in several steps.',
  details: 'Later rules win, and every rule wins over `default`. A tensor that nothing reaches has no number: where the weights are used, the first model stands there.',
  output: 'weights',
  inputs: { like: model('A model whose tensors the rules are for; its numbers are not read.', 'any') },
  params: { rules: perLayer({ required: true, description: 'The rules, as they would stand in place of a number.' }) },
  merges: false,
  exact: true,
  draws: false,
  examples: [{ inputs: { like: [1, 2] }, params: { rules: { default: 0.25, '*': 0.75 } }, expect: [0.75] }],
  evaluate: (call) => {
    const like = modelsOf(call, 'like')[0]!.value
    const resolved = call.numbers(call.params['rules']!, like.tensors)
    if (resolved.type === 'failed') return resolved
    const numbers = new Map([...like.tensors.keys()].flatMap((name) => {
      const number = resolved.value(name)
      return number === undefined ? [] : [[name, number] as const]
    }))
    return ok([{ kind: 'weights', label: labelOf(call), numbers }], resolved.diagnostics)
  },
}
