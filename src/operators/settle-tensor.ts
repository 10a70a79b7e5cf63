/** Decides what becomes of each tensor of a step: merged by which numbers and mask, kept as it is, or refused. */
import { dtypeMismatch, maskLacks, maskShape, shapeMismatch } from '../base/catalogue/operators.js'
import { missingTensor, type MissingReason } from '../base/catalogue/reach.js'
import type { Diagnostic, Place } from '../base/diagnostic.js'
import { append } from '../base/lists.js'
import { failed, ok, type Result } from '../base/result.js'
import type { Mask } from '../graph/expression.js'
import { isFloat } from '../tensor/dtype.js'
import { createValues, MASKED, type PerTensor, type TensorValues } from './alike.js'
import { gaussianOf, masksOf } from './call-arguments.js'
import type { AnyDefinition } from './definition.js'
import { anyOpaque, refuseOpaque } from './opaque.js'
import { statisticsFor } from './statistics.js'
import type { Argument, Call } from './operator.js'
import { pairOf } from './pair.js'
import type { InputSpecs, ParamSpec, ParamSpecs } from './params.js'
import type { Counter } from './reach.js'
import { sameShape } from './shape.js'
import { createGathering, type Gathered, type Gathering } from './gather.js'
import { rollOf, type Entry } from './roll.js'
import type { MaskValue, ModelValue, Reference, Slot } from './value.js'

/** The arguments of a step, for each tensor; what is the same for all tensors is one object. */
export interface StepArguments {
  params(tensor: string): TensorValues
  /** Of each model of a list, in its order. */
  each(tensor: string): readonly TensorValues[]
  /** The same with the expressions of their masks, which are made. */
  paramsFor(tensor: string): TensorValues
  eachFor(tensor: string): readonly TensorValues[]
  /** The tensors that `layers` selects; undefined where the step has none. */
  readonly selected: ReadonlySet<string> | undefined
  /** What is wrong with one of them: a mask or statistics that do not fit the tensor. */
  problem(params: TensorValues, each: readonly TensorValues[]): Diagnostic | undefined
  /** True where one of them is a number for each layer that a tensor has none of. */
  lacksNumber(params: TensorValues, each: readonly TensorValues[]): boolean
}

/** One step, all that is asked about its tensors. */
export interface StepContext {
  readonly definition: AnyDefinition
  /** Its notes are counted. */
  readonly call: Call
  /** Of all inputs, in the order of the definition; the first gives the result its tensors. */
  readonly models: readonly Reference<ModelValue>[]
  readonly args: StepArguments
  /** For each model after the first that differs from it, the tensors that it has no counterpart of. */
  readonly unlike: readonly ReadonlySet<string>[]
  /** Whether any model has tensors that nothing can compute with. */
  readonly packed: boolean
  /** Whether there is a mask that decides where tensors are changed. */
  readonly masked: boolean
  /** The masks among the inputs. */
  readonly masks: readonly Reference<MaskValue>[]
  readonly counter: Counter
  whyMissing(other: ModelValue): MissingReason
}

/** What becomes of a tensor: it is merged, kept as it is, or refused. */
type Settled = 'merged' | 'kept' | readonly Diagnostic[]

const NONE: readonly never[] = []

/** The value of all elements of a mask; undefined where they may differ. */
export const constantOf = (mask: Mask): boolean | undefined => (mask.type === 'constant' ? mask.value : undefined)

/** Tells a problem from what could be made. */
export const isDiagnostic = (x: unknown): x is Diagnostic => typeof x === 'object' && x !== null && 'code' in x

type Tensors = ReadonlyMap<string, Slot>

/** What a step is asked about its tensors, put together. */
export const stepContext = (given: Omit<StepContext, 'unlike' | 'packed' | 'masked' | 'masks'>): StepContext => ({
  ...given,
  unlike: given.models
    .slice(1)
    .map(({ value }) => pairOf(given.models[0]!.value.tensors, value.tensors).unlike)
    .filter(({ size }) => size > 0),
  packed: anyOpaque(given.models),
  masked: given.definition.merges && given.call.shared.mask !== undefined,
  masks: Object.keys(given.definition.inputs)
    .filter((key) => given.definition.inputs[key]!.type === 'mask')
    .flatMap((key) => masksOf(given.call, key)),
})

/** Turns the arguments of a step into functions of the tensor. */
export const resolveArguments = (
  { inputs, params: specs }: AnyDefinition,
  call: Call,
  tensors: Tensors,
): Result<StepArguments> => {
  const problems: Diagnostic[] = []
  const settle = <T>(result: Result<T>): T | undefined => {
    append(problems, result.diagnostics)
    return result.type === 'ok' ? result.value : undefined
  }
  const resolveAll = (own: ParamSpecs, args: Readonly<Record<string, Argument>>) => {
    const fixed: Record<string, unknown> = {}
    const varying: (readonly [string, PerTensor])[] = []
    for (const [key, spec] of Object.entries(own)) {
      const resolved = settle(resolve(call, spec, args[key], tensors))
      if (typeof resolved === 'function') varying.push([key, resolved])
      else fixed[key] = resolved?.value
    }
    const masks = Object.keys(own).flatMap((key): (readonly [string, MaskValue])[] => {
      const argument = args[key]
      return argument?.type === 'mask' ? [[key, argument.value]] : []
    })
    const valuesOf = createValues(fixed, varying)
    const complete = (tensor: string): TensorValues =>
      masks.length === 0
        ? valuesOf(tensor)
        : { ...valuesOf(tensor), ...Object.fromEntries(masks.map(([key, mask]) => [key, mask.mask(tensor)])) }
    return { valuesOf, complete, varies: varying.length > 0 }
  }
  const { valuesOf: params, complete } = resolveAll(specs, call.params)
  const models = call.each.map((args) => resolveAll(eachSpecsOf(inputs), args))
  const eachOf = (tensor: string): readonly TensorValues[] => models.map(({ valuesOf }) => valuesOf(tensor))
  const same = models.some(({ varies }) => varies) ? undefined : eachOf('')
  const selected = call.shared.layers === undefined ? undefined : settle(call.select(call.shared.layers, tensors))
  if (problems.some((d) => d.severity === 'error')) return failed(...problems)
  const fitting = [call.params, ...call.each].every((args) => Object.values(args).every(fitsAll))
  const [numbers, eachNumbers] = [layerNumbers(specs), layerNumbers(eachSpecsOf(inputs))]
  return ok(
    {
      params,
      each: (tensor) => same ?? eachOf(tensor),
      paramsFor: complete,
      eachFor: (tensor) => models.map((own) => own.complete(tensor)),
      selected,
      problem: fitting ? () => undefined : findProblem,
      lacksNumber: (own, perModel) =>
        lacksAny(numbers, own) || perModel.some((values) => lacksAny(eachNumbers, values)),
    },
    problems,
  )
}

const eachSpecsOf = (inputs: InputSpecs): ParamSpecs => {
  const many = Object.values(inputs).find((spec) => spec.type === 'model' && spec.many)
  return many?.type === 'model' && many.many ? many.each : {}
}

/** The value of a param: one for all tensors, or a function of the tensor. */
type Resolved = { readonly value: unknown } | PerTensor

/** Turns one argument into a value; masks, statistics and per-layer numbers are the only ones that differ by tensor. */
const resolve = (call: Call, spec: ParamSpec, argument: Argument | undefined, tensors: Tensors): Result<Resolved> => {
  if (argument === undefined) return ok({ value: 'default' in spec ? spec.default : undefined })
  if (argument.type === 'mask')
    return ok((tensor) => maskProblem(argument.value, tensor, tensors.get(tensor)!.shape, argument.at) ?? MASKED)
  if (argument.type === 'model' && spec.type === 'statistics')
    return ok((tensor) => statisticsFor(spec.of, argument.value, tensors.get(tensor)!, argument.at))
  if ((spec.type === 'number' || spec.type === 'integer') && spec.per === 'layer')
    return layerNumber(call, argument, tensors)
  return ok({ value: plainValue(spec, argument.type === 'value' ? argument.value : undefined) })
}

/** A number for each layer, which the recipe may give as one for all. */
const layerNumber = (call: Call, argument: Argument, tensors: Tensors): Result<Resolved> => {
  const numbers = call.numbers(argument, tensors)
  return numbers.type === 'ok' && argument.type === 'value' ? ok({ value: numbers.value('') }) : numbers
}

/**
 * A parameter's value as `build` expects it: YAML reads the words `true` and `false` of a choice as booleans, and a
 * gaussian may leave keys out.
 */
const plainValue = (spec: ParamSpec, value: unknown): unknown =>
  value === undefined
    ? undefined
    : spec.type === 'choice'
      ? String(value)
      : spec.type === 'gaussian'
        ? gaussianOf(value)
        : value

/** Decides about all tensors of the first model, but does not build any; problems are collected. */
export const settleTensors = (step: StepContext, problems: Diagnostic[]): Gathered => {
  const { call, definition, models } = step
  const roll = rollOf(models[0]!.value.tensors, call.isConstant)
  const merged = createGathering(roll, definition.merges)
  for (const entry of roll.entries) {
    const settled = settleTensor(step, entry, merged)
    if (typeof settled !== 'string') append(problems, settled)
  }
  return merged.gathered()
}

/** Settles everything about one tensor of the first model but its expression. */
const settleTensor = (step: StepContext, entry: Entry, merged: Gathering): Settled => {
  const { definition, call, models, args, counter } = step
  const { slot } = entry
  if (args.selected?.has(slot.name) === false || definition.touches?.(slot.name) === false) return 'kept'
  counter.examined()
  if (definition.merges && entry.isConstant) {
    call.note(entry.constant)
    return 'kept'
  }
  const opaque = step.packed ? refuseOpaque(models, slot.name) : NONE
  if (opaque.length > 0) return isLeftAlone(step, slot) ? 'kept' : opaque
  if (!entry.isFloat) return 'kept'
  const verdict = step.unlike.some((names) => names.has(slot.name)) ? findUnlike(step, slot) : 'merge'
  if (isDiagnostic(verdict)) return [verdict]
  return verdict === 'keep' ? 'kept' : settleNumbers(step, entry, merged)
}

/** The first model without a tensor like the first's. */
const findUnlike = (step: StepContext, slot: Slot): 'merge' | 'keep' | Diagnostic => {
  const { call, models } = step
  const first = models[0]!.value
  for (const { value, at } of models.slice(1)) {
    const other = value.tensors.get(slot.name)
    if (other === undefined) {
      if (call.shared.missing === 'error')
        return missingTensor(at, slot.name, first.label, value.label, step.whyMissing(value))
      call.note({ type: 'missing', tensor: slot.name })
      return 'keep'
    }
    const shaped = sameShape(other.shape, slot.shape)
    if (shaped && isFloat(other.dtype)) continue
    if (call.shared.mismatch === 'error') {
      return shaped
        ? dtypeMismatch(at, slot.name, first.label, value.label, other.dtype)
        : shapeMismatch(
            at,
            slot.name,
            { label: first.label, shape: slot.shape },
            { label: value.label, shape: other.shape },
          )
    }
    call.note({ type: 'mismatched', tensor: slot.name })
    return 'keep'
  }
  return 'merge'
}

/** Settles a tensor that all models have: without a number for it, or where the step's mask is closed, it is kept. */
const settleNumbers = (step: StepContext, entry: Entry, merged: Gathering): Settled => {
  const { call, args, counter } = step
  const { slot } = entry
  const [params, each] = [args.params(slot.name), args.each(slot.name)]
  const wrong = args.problem(params, each)
  if (wrong !== undefined) return [wrong]
  if (args.lacksNumber(params, each)) {
    call.note({ type: 'kept', tensor: slot.name })
    counter.left()
    return 'kept'
  }
  const open = isOpen(step, slot)
  if (isDiagnostic(open)) return [open]
  if (!open) {
    if (call.shared.mask?.value.shapes.has(slot.name) === true) counter.left()
    return 'kept'
  }
  const broken = inputMaskProblem(step, slot)
  if (broken !== undefined) return [broken]
  call.note(entry.merged)
  merged.add(entry, params, each)
  return 'merged'
}

/** True where neither the numbers of a step nor its mask let it compute anything of a tensor. */
const isLeftAlone = (step: StepContext, slot: Slot): boolean =>
  isOpen(step, slot) === false || step.args.lacksNumber(step.args.params(slot.name), step.args.each(slot.name))

/** The params that are a number for each layer. */
const layerNumbers = (specs: ParamSpecs): readonly string[] =>
  Object.keys(specs).filter((key) => specs[key]!.type === 'number' && specs[key]!.per === 'layer')

const lacksAny = (keys: readonly string[], values: TensorValues): boolean =>
  keys.some((key) => values[key] === undefined)

/** True for an argument that fits all tensors or none. */
const fitsAll = ({ type }: Argument): boolean => type !== 'mask' && type !== 'model'

const findProblem: StepArguments['problem'] = (params, each) =>
  firstDiagnostic(params) ?? each.map(firstDiagnostic).find((problem) => problem !== undefined)

const firstDiagnostic = (values: TensorValues): Diagnostic | undefined => {
  for (const key in values) {
    const value = values[key]
    if (isDiagnostic(value)) return value
  }
  return undefined
}

/** Whether the mask of a merging step lets it change anything of a tensor. */
const isOpen = ({ definition, call }: StepContext, slot: Slot): boolean | Diagnostic => {
  const mask = definition.merges ? call.shared.mask : undefined
  if (mask === undefined) return true
  if (!mask.value.shapes.has(slot.name)) {
    call.note({ type: 'unmasked', tensor: slot.name })
    return call.shared.unmasked === 'merge'
  }
  return maskProblem(mask.value, slot.name, slot.shape, mask.at) ?? mask.value.constant(slot.name) !== false
}

/** The mask of a step that has one, at a tensor that it merges. */
export const maskOf = ({ call }: StepContext, tensor: string): Mask => {
  const mask = call.shared.mask!.value
  return mask.shapes.has(tensor) ? mask.mask(tensor) : call.graph.constant(true)
}

/** What is wrong with the masks among the inputs. */
const inputMaskProblem = ({ masks }: StepContext, slot: Slot): Diagnostic | undefined => {
  for (const { value, at } of masks) {
    const problem = maskProblem(value, slot.name, slot.shape, at)
    if (problem !== undefined) return problem
  }
  return undefined
}

/**
 * Why a mask is none for a tensor of a shape. Builds nothing: expressions of long chains are made only when they are
 * wanted.
 */
const maskProblem = (value: MaskValue, tensor: string, shape: readonly number[], at: Place): Diagnostic | undefined => {
  const known = value.shapes.get(tensor)
  if (known === undefined) return maskLacks(at, tensor, value.label)
  return sameShape(known, shape) ? undefined : maskShape(at, tensor, value.label, known, shape)
}
