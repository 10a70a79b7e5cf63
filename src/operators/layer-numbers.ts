import type { Architecture } from '../architectures/detect.js'
import { lookAtUnknown } from '../architectures/unknown.js'
import { seenInstead } from '../base/catalogue/architectures.js'
import { unknownArchitecture } from '../base/catalogue/operators.js'
import type { Diagnostic } from '../base/diagnostic.js'
import { failed, ok, type Result } from '../base/result.js'
import { labelOf, modelsOf, valueOf } from './call-arguments.js'
import type { Call, Rules } from './operator.js'
import { model, number } from './params.js'
import type { ModelValue, Value } from './value.js'

/** The input that says which tensors some weights are for. */
export const likeInput = model('A model whose tensors the weights are for; its numbers are not read.', 'any')

/** The least of a language model that its architecture is told by: a model for examples. */
export const EXAMPLE_MODEL = {
  'model.embed_tokens.weight': [1],
  'model.layers.0.self_attn.q_proj.weight': [1],
  'model.layers.1.mlp.up_proj.weight': [1],
  'model.layers.2.input_layernorm.weight': [1],
} as const

/** The model of {@link likeInput}. */
export const likeOf = (call: Call): ModelValue => modelsOf(call, 'like')[0]!.value

/** The weights of a step: what `numberOf` gives each tensor of `like`; a tensor that it gives nothing is absent. */
export const makeWeights = (
  call: Call,
  numberOf: (tensor: string) => number | undefined,
  warnings: readonly Diagnostic[] = [],
): Result<readonly Value[]> => {
  const numbers = new Map(
    [...likeOf(call).tensors.keys()].flatMap((name) => {
      const number = numberOf(name)
      return number === undefined ? [] : [[name, number] as const]
    }),
  )
  return ok([{ kind: 'weights', label: labelOf(call), numbers }], warnings)
}

/** The parameter that catches what an operator's other numbers do not reach. */
export const restParam = number({ description: 'For every tensor that no other number covers.' })

/**
 * Like {@link makeWeights}, where a tensor that `numberOf` gives nothing takes the step's {@link restParam}, if it has
 * one.
 */
export const weightsWithRest = (
  call: Call,
  numberOf: (tensor: string) => number | undefined,
): Result<readonly Value[]> => {
  const rest = valueOf(call, 'rest') as number | undefined
  return makeWeights(call, (tensor) => numberOf(tensor) ?? rest)
}

/** The weights that rules in place would give. */
export const weightsByRules = (call: Call, key: string, rules: Partial<Rules>): Result<readonly Value[]> => {
  const resolved = call.numbers(
    { type: 'rules', rules: { default: undefined, entries: [], ...rules }, at: call.at(key) },
    likeOf(call).tensors,
  )
  return resolved.type === 'failed' ? resolved : makeWeights(call, resolved.value, resolved.diagnostics)
}

/** The number of each tensor that a per-layer parameter gives, which the recipe has. */
export const numbersOf = (call: Call, key: string): Result<(tensor: string) => number | undefined> =>
  call.numbers(call.params[key]!, likeOf(call).tensors)

/** The architecture of `like`, which must be one that smelt knows. */
export const architectureOf = (call: Call): Result<Architecture> => {
  const like = likeOf(call)
  const architecture = call.architecture(like.tensors)
  return architecture === undefined
    ? failed(unknownArchitecture(call.at('like'), like.label, seenInstead(lookAtUnknown(like.tensors))))
    : ok(architecture)
}
