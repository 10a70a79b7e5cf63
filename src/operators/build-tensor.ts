/**
 * Builds the expressions of the tensors that a step merges, lazily. What the operator refuses is found out first, from a
 * sample of each kind of tensor.
 */
import type { Diagnostic } from '../base/diagnostic.js'
import type { Mask, Tensor } from '../graph/expression.js'
import type { Graph } from '../graph/graph.js'
import { branchOf, createBranch, type TensorValues } from './alike.js'
import { masksOf, modelsOf, streamOf } from './call-arguments.js'
import type { AnyDefinition, Built, Made, Params, Subject } from './definition.js'
import type { Call } from './operator.js'
import type { Gathered, Kind } from './gather.js'
import { stepTensorClass, type TensorClass } from './tensor-class.js'
import type { InputSpecs, ParamSpecs } from './params.js'
import { createStandIns, foresee, stageOf, type StandIns, type Verdict } from './sample.js'
import { constantOf, isDiagnostic, maskOf, type StepContext } from './settle-tensor.js'
import type { Slot } from './value.js'

/** The results of an operator for the tensors it merges. */
export interface BuiltTensors {
  /** The shapes of these tensors, by name. */
  readonly shapes: Gathered['shapes']
  /** True if they share a measure over the whole model. */
  readonly shares: boolean
  /** Which of all tensors of the first model are made alike; undefined where nothing is known of it. */
  readonly tensorClass: TensorClass | undefined
  /** What is wrong with them, for each that is refused. */
  readonly refused: readonly Diagnostic[]
  get(name: string): Made | undefined
  /** Of a mask that is a result, the value of all elements; undefined where they may differ. */
  foreseen(name: string, result: number): boolean | undefined
}

/** Finds out what becomes of the tensors that a step merges, and builds them lazily; both may call `warn`. */
export const buildTensors = (
  step: StepContext,
  { shapes, kinds }: Gathered,
  warn: (warning: Diagnostic) => void,
): BuiltTensors => {
  const { definition, args } = step
  const verdictOf = createSampler(step, warn)
  const verdicts = kinds.map(verdictOf)
  // What is wrong with one is wrong with all that are like it.
  const refused = kinds.flatMap(({ count }, i) => {
    const { problem } = verdicts[i]!
    return problem === undefined ? [] : Array.from({ length: count }, () => problem)
  })
  const build = createBuild(step, warn)
  /** What is built already: of many tensors few may be asked for. */
  const made = new Map<string, Made | Diagnostic>()
  const get = (name: string): Made | undefined => {
    if (!shapes.has(name)) return undefined
    const value = made.get(name) ?? build(name)
    made.set(name, value)
    return accepted(value, definition.id, name)
  }
  const isAllOpen = verdicts.every(({ foreseen }) => foreseen.every((known) => known === 'open'))
  return {
    shapes,
    shares: verdicts.some((verdict) => verdict.shares),
    tensorClass: verdicts.some(({ shares, named }) => shares || named)
      ? undefined
      : stepTensorClass(step, (name) => shapes.has(name)),
    refused,
    get,
    foreseen: (name, result) => {
      if (isAllOpen) return undefined
      const slot = step.models[0]!.value.tensors.get(name)!
      const kind = { slot, shapeText: slot.shape.join(), params: args.params(name), each: args.each(name) }
      const known = verdictOf(kind).foreseen[result]!
      return known === 'open' ? undefined : known === 'unclear' ? constantOf(maskAt(get(name), result)) : known
    },
  }
}

const maskAt = (made: Made | undefined, result: number): Mask =>
  (made !== undefined && 'kind' in made ? made : made?.[result]) as Mask

/** Thrown if an operator refuses a tensor after accepting its sample: by then there is no way to report a problem. */
export const accepted = (value: Made | Diagnostic | undefined, operator: string, tensor: string): Made => {
  if (value !== undefined && !isDiagnostic(value)) return value
  throw new Error(
    `${operator} made nothing of ${tensor} and had taken every tensor like it${value === undefined ? '' : `: ${value.message}`}`,
  )
}

/** Builds one tensor of a step. */
const createBuild = (step: StepContext, warn: Subject['warn']) => {
  const { definition, call, models, args, masked } = step
  const read = inputReader(definition.inputs, call)
  const masksItself = definition.masksItself === true
  return (name: string): Made | Diagnostic => {
    const mask = masked ? maskOf(step, name) : undefined
    const inputs = read(name, args.eachFor(name))
    const subject = subjectOf(call, models[0]!.value.tensors.get(name)!, masksItself ? mask : undefined, warn)
    const built = definition.build(call.graph, inputs, args.paramsFor(name) as Params<ParamSpecs>, subject)
    if (mask === undefined || masksItself || isDiagnostic(built)) return built
    const first = models[0]!.value.tensor(name)
    const outside = (x: Tensor | Mask): Tensor | Mask => (x.kind === 'tensor' ? call.graph.choose(mask, x, first) : x)
    return 'kind' in built ? outside(built) : (built.map(outside) as Made)
  }
}

type SampleKind = Omit<Kind, 'count'>

/** Finds out what the operator of a step makes of tensors of a kind. */
const createSampler = (step: StepContext, warn: Subject['warn']): ((kind: SampleKind) => Verdict) => {
  const { definition, call, masked } = step
  // Each by its place among the inputs of the operator: a call does not have those that a recipe leaves out.
  const counts = Object.keys(definition.inputs).map((key) => {
    const input = call.inputs[key]
    return input === undefined ? 0 : 'value' in input ? 1 : input.length
  })
  const stage = stageOf(call.graph)
  const shared = stage.verdictsOf(definition, `${counts.join()} ${masked}`)
  /** Of kinds that the operator refuses or warns of, which it does with a place in this step. */
  const own = createBranch<Verdict>()
  return (kind) => {
    const { params, each, shapeText } = kind
    const branch = branchOf(shared, params, each, shapeText)
    if (branch.value !== undefined) return branch.value
    const told = branchOf(own, params, each, shapeText)
    if (told.value !== undefined) return told.value
    let warned = false
    const verdict = judge(step, stage.graph, kind, (warning) => {
      warned = true
      warn(warning)
    })
    const kept = warned || verdict.problem !== undefined ? told : branch
    kept.value = verdict
    return verdict
  }
}

/** Builds one tensor from stand-ins for what the step reads. */
const judge = (
  { definition, call, masked }: StepContext,
  graph: Graph,
  { slot, params, each }: SampleKind,
  warn: Subject['warn'],
): Verdict => {
  const standIns = createStandIns(graph, slot.shape)
  const inputs: Record<string, unknown> = {}
  for (const [key, spec] of Object.entries(definition.inputs)) inputs[key] = standInFor(spec, call, key, each, standIns)
  const mask = masked && definition.masksItself === true ? standIns.mask() : undefined
  const before = graph.grouped().length
  const subject = subjectOf(call, slot, mask, warn)
  // Measures over the model of another step are none of this one's.
  const whole: Subject['whole'] = (label) => ({ ...subject.whole(label), group: `${before} ${label}` })
  let named = false
  const made = definition.build(
    graph,
    inputs as Built<AnyDefinition['inputs']>,
    standIns.values(params) as Params<ParamSpecs>,
    {
      ...subject,
      whole,
      get name() {
        named = true
        return slot.name
      },
    },
  )
  return {
    problem: isDiagnostic(made) ? made : undefined,
    shares: graph.grouped().length > before,
    named,
    foreseen: foresee(made),
  }
}

const standInFor = (
  spec: InputSpecs[string],
  call: Call,
  key: string,
  each: readonly TensorValues[],
  standIns: StandIns,
): unknown => {
  const many = spec.type !== 'adapter' && spec.many === true
  if (spec.type === 'mask') {
    const masks = masksOf(call, key).map(() => standIns.mask())
    return many ? masks : masks[0]
  }
  if (spec.type === 'model') {
    const models = modelsOf(call, key).map(() => standIns.tensor())
    return many ? models.map((x, i) => ({ x, ...standIns.values(each[i] ?? {}) })) : models[0]
  }
  return undefined
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
type InputReader = (name: string, each: readonly TensorValues[]) => Built<AnyDefinition['inputs']>

/** The inputs of a step are looked up once for all tensors. */
const inputReader = (specs: InputSpecs, call: Call): InputReader => {
  const readers = Object.entries(specs).map(([key, spec]) => [key, readerOf(spec, call, key)] as const)
  return (name, each) => {
    const built: Record<string, unknown> = {}
    for (const [key, read] of readers) built[key] = read(name, each)
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
