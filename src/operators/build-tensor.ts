/**
 * Builds the expressions of the tensors that a step merges, each when it is first asked for. What the operator refuses
 * shows beforehand, in one sample of each kind of tensor.
 */
import type { Diagnostic } from '../base/diagnostic.js'
import type { Mask, Tensor } from '../graph/expression.js'
import type { Graph } from '../graph/graph.js'
import { masksOf, modelsOf, streamOf } from './call-arguments.js'
import type { AnyDefinition, Built, Params, Subject } from './definition.js'
import type { Call } from './operator.js'
import type { InputSpecs, ParamSpecs } from './params.js'
import { isDiagnostic, type Merged, type StepContext, type Values } from './settle-tensor.js'
import type { Slot } from './value.js'

/** What a definition builds of one tensor. */
export type Made = Tensor | Mask | readonly Mask[]

/** What an operator makes of the tensors it merges; `names` has a key for each of them. */
export interface BuiltTensors {
  readonly names: ReadonlyMap<string, unknown>
  /** True where they share a measure over the whole model. */
  readonly shares: boolean
  /** What was refused of the samples. */
  readonly refused: readonly Diagnostic[]
  get(name: string): Made | undefined
}

/** Builds samples of the tensors that a step merges, and the others when they are asked for; `warn` hears of both. */
export const buildTensors = (
  step: StepContext,
  merged: readonly Merged[],
  warn: (warning: Diagnostic) => void,
): BuiltTensors => {
  const { call, definition } = step
  const pending = collectPending(step, merged, warn)
  return {
    names: pending,
    ...buildSamples(call.graph, pending.values()),
    get: (name) => {
      const own = pending.get(name)
      return own === undefined ? undefined : accepted(makeOnce(own), definition.id, name)
    },
  }
}

/**
 * What an operator refuses it has to refuse for one of the samples, where it becomes a problem; afterwards nothing may
 * stand in for it.
 */
export const accepted = (value: Made | Diagnostic | undefined, operator: string, tensor: string): Made => {
  if (value !== undefined && !isDiagnostic(value)) return value
  throw new Error(
    `${operator} made nothing of ${tensor} and had taken every tensor like it${value === undefined ? '' : `: ${value.message}`}`,
  )
}

/**
 * A tensor whose expression is made when it is first asked for. `validationKey` is equal for tensors that an operator
 * accepts or refuses alike.
 */
interface Pending {
  readonly validationKey: string
  build: (() => Made | Diagnostic) | undefined
  made: Made | Diagnostic | undefined
}

const collectPending = (
  step: StepContext,
  merged: readonly Merged[],
  warn: Subject['warn'],
): ReadonlyMap<string, Pending> => {
  const validationKey = createLikeness()
  return new Map(
    merged.map((own): [string, Pending] => [
      own.slot.name,
      { validationKey: validationKey(own), build: () => buildTensor(step, own, warn), made: undefined },
    ]),
  )
}

const buildTensor = (
  { definition, call, models }: StepContext,
  { slot, params, each, mask }: Merged,
  warn: Subject['warn'],
): Made | Diagnostic => {
  const masksItself = definition.masksItself === true
  const inputs = builtInputs(definition.inputs, call, slot, each)
  const subject = subjectOf(call, slot, masksItself ? mask : undefined, warn)
  const built = definition.build(call.graph, inputs, params as Params<ParamSpecs>, subject)
  const outside =
    mask !== undefined && !masksItself && !Array.isArray(built) && (built as Tensor | Mask).kind === 'tensor'
  return outside ? call.graph.choose(mask, built as Tensor, models[0]!.value.tensor(slot.name)) : built
}

const subjectOf = (call: Call, slot: Slot, mask: Mask | undefined, warn: Subject['warn']): Subject => ({
  name: slot.name,
  shape: slot.shape,
  mask,
  stream: (draw) => streamOf(call, slot.name, draw),
  whole: (label) => ({ group: `${call.scope}/${label}`, tensor: slot.name, step: call.step }),
  at: call.at,
  warn,
})

const builtInputs = (
  specs: InputSpecs,
  call: Call,
  slot: Slot,
  each: readonly Values[],
): Built<AnyDefinition['inputs']> =>
  Object.fromEntries(
    Object.entries(specs).map(([key, spec]) => {
      if (spec.type === 'adapter') return [key, undefined]
      if (spec.type === 'mask') {
        const masks = masksOf(call, key).map((r) => r.value.mask(slot.name))
        return [key, spec.many ? masks : masks[0]]
      }
      const tensors = modelsOf(call, key).map((r) => r.value.tensor(slot.name))
      return [key, spec.many ? tensors.map((x, i) => ({ x, ...each[i] })) : tensors[0]]
    }),
  ) as Built<AnyDefinition['inputs']>

/** Builds when it is first asked and lets go of what it was made of: a model has many tensors. */
const makeOnce = (pending: Pending): Made | Diagnostic => {
  pending.made ??= pending.build!()
  pending.build = undefined
  return pending.made
}

/**
 * Tells how alike tensors are to an operator; equal texts are one, and what all tensors have in common is written down
 * once.
 */
const createLikeness = () => {
  const texts = new WeakMap<object, string>()
  const known = new Map<string, string>()
  const part = (facts: object): string => {
    const text = texts.get(facts) ?? textOf(facts)
    texts.set(facts, text)
    return text
  }
  return ({ params, each, slot, mask }: Merged): string => {
    const text = `${part(params)}${part(each)}${slot.shape.join()}${mask !== undefined}`
    const same = known.get(text) ?? text
    known.set(same, same)
    return same
  }
}

/** Numbers and shapes decide what an operator refuses; of masks and tensors only that they are there. */
const textOf = (facts: unknown): string =>
  JSON.stringify(facts, (_, value: unknown) =>
    typeof value === 'object' && value !== null && 'id' in value ? 0 : value,
  )

/**
 * Builds one tensor of each validation key, to hear what the operator refuses, and whether they share a measure over
 * the whole model.
 */
const buildSamples = (graph: Graph, pending: Iterable<Pending>): Pick<BuiltTensors, 'refused' | 'shares'> => {
  const grouped = graph.grouped().length
  const samples = new Map<string, Pending>()
  for (const p of pending) if (!samples.has(p.validationKey)) samples.set(p.validationKey, p)
  const refused = [...samples.values()].map(makeOnce).filter(isDiagnostic)
  return { refused, shares: graph.grouped().length > grouped }
}
