import type { Stream } from '../graph/expression.js'
import type { Argument, Call, TextRules } from './operator.js'
import type { Gaussian } from './params.js'
import type { AdapterValue, MaskValue, ModelValue, Reference } from './value.js'

const listOf = (call: Call, key: string): readonly Reference[] => {
  const input = call.inputs[key]
  return input === undefined ? [] : 'value' in input ? [input] : input
}

/** The models that an input refers to: none, one, or a list. The plan has checked their kind. */
export const modelsOf = (call: Call, key: string): readonly Reference<ModelValue>[] =>
  listOf(call, key) as readonly Reference<ModelValue>[]

/** The masks that an input refers to: none, one, or a list. The plan has checked their kind. */
export const masksOf = (call: Call, key: string): readonly Reference<MaskValue>[] =>
  listOf(call, key) as readonly Reference<MaskValue>[]

/** The adapter that an input refers to. The plan has checked its kind. */
export const adapterOf = (call: Call, key: string): Reference<AdapterValue> =>
  listOf(call, key)[0] as Reference<AdapterValue>

/** The adapters that an input refers to. The plan has checked their kind. */
export const adaptersOf = (call: Call, key: string): readonly Reference<AdapterValue>[] =>
  listOf(call, key) as readonly Reference<AdapterValue>[]

/** What messages call the result of a step. */
export const labelOf = (call: Call): string => `step \`${call.step}\``

/** The plain value of a parameter as the recipe has it; undefined where it has none. */
export const valueOf = (call: Call, key: string): unknown => {
  const argument = call.params[key]
  return argument?.type === 'value' ? argument.value : undefined
}

/** The layer patterns of a parameter that the schema demands. */
export const layersOf = (call: Call, key: string): Argument & { type: 'layers' } => {
  const argument = call.params[key]
  if (argument?.type !== 'layers') throw new Error(`parameter ${key} of step ${call.step} holds no layer patterns`)
  return argument
}

/** The texts by layer of a parameter; none where the recipe has none. */
export const textsOf = (call: Call, key: string): TextRules => {
  const argument = call.params[key]
  return argument?.type === 'texts' ? argument.rules : { default: undefined, entries: [] }
}

/** A normal draw with what the recipe leaves out filled in. */
export const gaussianOf = (value: unknown): Gaussian | undefined =>
  value === undefined ? undefined : { mean: 0, std: 1, above: 0.5, ...(value as Partial<Gaussian>) }

/** The stream of random numbers of a step for one tensor; equal `draw` numbers give equal numbers. */
export const streamOf = (call: Call, tensor: string, draw: number): Stream => ({
  seed: call.seed,
  step: call.ownSeed ?? call.step,
  draw,
  tensor,
})
