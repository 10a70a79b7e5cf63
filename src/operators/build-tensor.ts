/**
 * Builds the expressions of the tensors that a step merges, lazily. One sample of each kind of tensor is built first,
 * to find out what the operator refuses.
 */
import type { Diagnostic } from '../base/diagnostic.js'
import type { Mask, Tensor } from '../graph/expression.js'
import type { Graph } from '../graph/graph.js'
import { createLikeness, type TensorValues } from './alike.js'
import { masksOf, modelsOf, streamOf } from './call-arguments.js'
import type { AnyDefinition, Built, Made, Params, Subject } from './definition.js'
import type { Call } from './operator.js'
import type { InputSpecs, ParamSpecs } from './params.js'
import { isDiagnostic, type Merged, type StepContext } from './settle-tensor.js'
import type { Slot } from './value.js'

/** The results of an operator for the tensors it merges; `names` has a key for each of them. */
export interface BuiltTensors {
  readonly names: ReadonlyMap<string, unknown>
  /** True if they share a measure over the whole model. */
  readonly shares: boolean
  /** The errors of the samples. */
  readonly refused: readonly Diagnostic[]
  get(name: string): Made | undefined
}

/** Builds samples of the tensors that a step merges, and the others lazily; both may call `warn`. */
export const buildTensors = (
  step: StepContext,
  merged: readonly Merged[],
  warn: (warning: Diagnostic) => void,
): BuiltTensors => {
  const { call, definition } = step
  const pending = collectPending(merged)
  const read = inputReader(definition.inputs, call)
  const build: Build = (own) => buildTensor(step, read, own, warn)
  return {
    names: pending,
    ...buildSamples(call.graph, pending.values(), build),
    get: (name) => {
      const own = pending.get(name)
      return own === undefined ? undefined : accepted(makeOnce(own, build), definition.id, name)
    },
  }
}

/** Thrown if an operator refuses a tensor after accepting its sample: by then there is no way to report a problem. */
export const accepted = (value: Made | Diagnostic | undefined, operator: string, tensor: string): Made => {
  if (value !== undefined && !isDiagnostic(value)) return value
  throw new Error(
    `${operator} made nothing of ${tensor} and had taken every tensor like it${value === undefined ? '' : `: ${value.message}`}`,
  )
}

/**
 * A tensor whose expression is built lazily. `validationKey` is equal for tensors that an operator accepts or refuses
 * alike.
 */
interface Pending {
  readonly validationKey: object
  /** What it is built from; undefined once it is built. */
  from: Merged | undefined
  made: Made | Diagnostic | undefined
}

type Build = (merged: Merged) => Made | Diagnostic

const collectPending = (merged: readonly Merged[]): ReadonlyMap<string, Pending> => {
  const validationKey = createLikeness()
  const pending = new Map<string, Pending>()
  for (const own of merged) {
    const key = validationKey(own.params, own.each, own.slot.shape, own.mask !== undefined)
    pending.set(own.slot.name, { validationKey: key, from: own, made: undefined })
  }
  return pending
}

const buildTensor = (
  { definition, call, models }: StepContext,
  read: InputReader,
  { slot, params, each, mask }: Merged,
  warn: Subject['warn'],
): Made | Diagnostic => {
  const masksItself = definition.masksItself === true
  const inputs = read(slot, each)
  const subject = subjectOf(call, slot, masksItself ? mask : undefined, warn)
  const built = definition.build(call.graph, inputs, params as Params<ParamSpecs>, subject)
  if (mask === undefined || masksItself || isDiagnostic(built)) return built
  const first = models[0]!.value.tensor(slot.name)
  const outside = (x: Tensor | Mask): Tensor | Mask => (x.kind === 'tensor' ? call.graph.choose(mask, x, first) : x)
  return 'kind' in built ? outside(built) : (built.map(outside) as Made)
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

/** Gives the inputs of a step at one tensor. */
type InputReader = (slot: Slot, each: readonly TensorValues[]) => Built<AnyDefinition['inputs']>

/** The inputs of a step are looked up once for all tensors. */
const inputReader = (specs: InputSpecs, call: Call): InputReader => {
  const readers = Object.entries(specs).map(([key, spec]) => [key, readerOf(spec, call, key)] as const)
  return (slot, each) => {
    const built: Record<string, unknown> = {}
    for (const [key, read] of readers) built[key] = read(slot.name, each)
    return built as Built<AnyDefinition['inputs']>
  }
}

/** What an input is at a tensor. */
const readerOf = (
  spec: InputSpecs[string],
  call: Call,
  key: string,
): ((name: string, each: readonly TensorValues[]) => unknown) => {
  const many = spec.type !== 'adapter' && spec.many === true
  if (spec.type === 'mask') {
    const masks = masksOf(call, key)
    return many ? (name) => masks.map((r) => r.value.mask(name)) : (name) => masks[0]?.value.mask(name)
  }
  if (spec.type === 'model') {
    const models = modelsOf(call, key)
    return many
      ? (name, each) => models.map((r, i) => ({ x: r.value.tensor(name), ...each[i] }))
      : (name) => models[0]?.value.tensor(name)
  }
  return () => undefined
}

/** Builds on first use, then releases its inputs: a model has many tensors. */
const makeOnce = (pending: Pending, build: Build): Made | Diagnostic => {
  if (pending.made === undefined) {
    pending.made = build(pending.from!)
    pending.from = undefined
  }
  return pending.made
}

/**
 * Builds one tensor of each validation key, to find out what the operator refuses, and whether tensors share a measure
 * over the whole model.
 */
const buildSamples = (
  graph: Graph,
  pending: Iterable<Pending>,
  build: Build,
): Pick<BuiltTensors, 'refused' | 'shares'> => {
  const grouped = graph.grouped().length
  const samples = new Map<object, { readonly first: Pending; count: number }>()
  for (const p of pending) {
    const like = samples.get(p.validationKey)
    if (like === undefined) samples.set(p.validationKey, { first: p, count: 1 })
    else like.count += 1
  }
  // What is wrong with one is wrong with all that are like it.
  const refused = [...samples.values()].flatMap(({ first, count }) => {
    const made = makeOnce(first, build)
    return isDiagnostic(made) ? Array.from({ length: count }, () => made) : []
  })
  return { refused, shares: graph.grouped().length > grouped }
}
