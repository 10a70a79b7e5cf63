import { alsoOf, dtypeMismatch, maskLacks, maskShape, shapeMismatch } from '../base/catalogue/operators.js'
import { missingTensor, type MissingReason } from '../base/catalogue/reach.js'
import type { Diagnostic, Place } from '../base/diagnostic.js'
import { append } from '../base/lists.js'
import { failed, ok, type Result } from '../base/result.js'
import { overAll, type Mask, type Tensor } from '../graph/expression.js'
import type { Graph } from '../graph/graph.js'
import { isFloat } from '../tensor/dtype.js'
import { createLikeness, createValues, type PerTensor, type TensorValues } from './alike.js'
import { gaussianOf, labelOf, masksOf, modelsOf, streamOf } from './call-arguments.js'
import type { Argument, Call, Built, ElementDefinition, Operator, Params, Subject } from './define.js'
import type { InputSpec, ParamSpec } from './params.js'
import { anyOpaque, refuseOpaque } from './opaque.js'
import { createCounter, explainMissing, noteDropped, refuseMask, refuseModels } from './reach.js'
import { sameShape } from './shape.js'
import type { MaskValue, ModelValue, Reference, Slot, Value } from './value.js'

type Inputs = Readonly<Record<string, InputSpec>>
type Specs = Readonly<Record<string, ParamSpec>>
const NONE: readonly never[] = []

/** Every model input in the order the operator declares them; the first gives the result its tensors. */
const allModels = (inputs: Inputs, call: Call): readonly Reference<ModelValue>[] =>
  Object.keys(inputs)
    .filter((key) => inputs[key]!.type === 'model')
    .flatMap((key) => modelsOf(call, key))

/** Turns one argument into a function of the tensor; per-layer numbers are the only ones that differ. */
const resolve = (
  call: Call,
  spec: ParamSpec,
  argument: Argument | undefined,
  tensors: ReadonlyMap<string, Slot>,
): Result<PerTensor> => {
  if (argument === undefined) {
    const fallback = 'default' in spec ? spec.default : undefined
    return ok(() => fallback)
  }
  if (argument.type === 'mask')
    return ok((tensor) => maskFor(argument.value, tensor, tensors.get(tensor)!.shape, argument.at))
  if ((spec.type === 'number' || spec.type === 'integer') && spec.per === 'layer')
    return call.numbers(argument, tensors)
  const value = plainValue(spec, argument.type === 'value' ? argument.value : undefined)
  return ok(() => value)
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

/**
 * Why a mask is none for a tensor of a shape. Builds nothing: expressions of long chains are made only when they are
 * wanted.
 */
const maskProblem = (value: MaskValue, tensor: string, shape: readonly number[], at: Place): Diagnostic | undefined => {
  const known = value.shapes.get(tensor)
  if (known === undefined) return maskLacks(at, tensor, value.label)
  return sameShape(known, shape) ? undefined : maskShape(at, tensor, value.label, known, shape)
}

const maskFor = (value: MaskValue, tensor: string, shape: readonly number[], at: Place): Mask | Diagnostic =>
  maskProblem(value, tensor, shape, at) ?? value.mask(tensor)

const isDiagnostic = (x: unknown): x is Diagnostic => typeof x === 'object' && x !== null && 'code' in x

/**
 * The first mask of a step that knows nothing of its first model: the shared one, or one among the inputs and
 * parameters.
 */
const foreignMasks = (
  definition: { readonly inputs: Inputs },
  call: Call,
  first: ModelValue,
): Diagnostic | undefined => {
  const own = [call.params, ...call.each]
    .flatMap((args) => Object.values(args))
    .flatMap((a) => (a.type === 'mask' ? [{ value: a.value, at: a.at }] : []))
  const listed = Object.keys(definition.inputs)
    .filter((key) => definition.inputs[key]!.type === 'mask')
    .flatMap((key) => masksOf(call, key))
  for (const mask of [call.shared.mask, ...listed, ...own]) {
    const foreign = refuseMask(mask, first)
    if (foreign !== undefined) return foreign
  }
  return undefined
}

/** What becomes of one tensor of the first model: merged, or kept as it is. */
const decide = (
  call: Call,
  slot: Slot,
  first: ModelValue,
  others: readonly Reference<ModelValue>[],
  whyMissing: (other: ModelValue) => MissingReason,
): 'merge' | 'keep' | Diagnostic => {
  if (!isFloat(slot.dtype)) return 'keep'
  for (const { value, at } of others) {
    const other = value.tensors.get(slot.name)
    if (other === undefined) {
      if (call.shared.missing === 'error')
        return missingTensor(at, slot.name, first.label, value.label, whyMissing(value))
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

/** The mask of a merging step at one tensor: undefined where there is none. */
const sharedMask = (call: Call, slot: Slot): Mask | undefined | Diagnostic => {
  const mask = call.shared.mask
  if (mask === undefined) return undefined
  if (!mask.value.shapes.has(slot.name)) {
    call.note({ type: 'unmasked', tensor: slot.name })
    return call.graph.constant(call.shared.unmasked === 'merge')
  }
  return maskFor(mask.value, slot.name, slot.shape, mask.at)
}

/** The params that are a number for each layer. */
const layerNumbers = (specs: Specs): readonly string[] =>
  Object.keys(specs).filter((key) => specs[key]!.type === 'number' && specs[key]!.per === 'layer')

const firstDiagnostic = (values: Readonly<Record<string, unknown>>): Diagnostic | undefined => {
  for (const key in values) {
    const value = values[key]
    if (isDiagnostic(value)) return value
  }
  return undefined
}

const lacksAny = (keys: readonly string[], values: Readonly<Record<string, unknown>>): boolean =>
  keys.some((key) => values[key] === undefined)

/** Makes an operator of a definition that builds each tensor by itself: everything operators share happens here. */
export const defineOperator = <const I extends Inputs, const P extends Specs>(
  definition: ElementDefinition<I, P>,
): Operator => {
  const evaluate = (uncounted: Call): Result<readonly Value[]> => {
    const counter = createCounter(uncounted)
    const call: Call = { ...uncounted, note: counter.note }
    const models = allModels(definition.inputs, call)
    const first = models[0]!.value
    const tensors = first.tensors
    const compares = definition.merges || models.length > 1
    const refused = compares ? (refuseModels(call, models) ?? foreignMasks(definition, call, first)) : undefined
    if (refused !== undefined) return failed(refused)
    const problems: Diagnostic[] = []
    const reasons = new Map<ModelValue, MissingReason>()
    const whyMissing = (other: ModelValue): MissingReason => {
      const reason = reasons.get(other) ?? explainMissing(call, first, other)
      reasons.set(other, reason)
      return reason
    }
    const settle = <T>(result: Result<T>): T | undefined => {
      append(problems, result.diagnostics)
      return result.type === 'ok' ? result.value : undefined
    }

    const params = Object.entries(definition.params).map(
      ([key, spec]) => [key, settle(resolve(call, spec, call.params[key], tensors))] as const,
    )
    const many = Object.entries(definition.inputs).find(([, spec]) => spec.type === 'model' && spec.many)
    const eachSpecs: Specs = many !== undefined && many[1].type === 'model' && many[1].many ? many[1].each : {}
    const each = call.each.map((args) =>
      Object.entries(eachSpecs).map(([key, spec]) => [key, settle(resolve(call, spec, args[key], tensors))] as const),
    )
    const selected = call.shared.layers === undefined ? undefined : settle(call.select(call.shared.layers, tensors))
    if (problems.some((d) => d.severity === 'error')) return failed(...problems)

    const valuesOf = createValues(params)
    const eachOf = each.map(createValues)
    const [numbers, eachNumbers] = [layerNumbers(definition.params), layerNumbers(eachSpecs)]
    const isFixed = (args: Readonly<Record<string, Argument>>): boolean =>
      Object.values(args).every((a) => a.type === 'value')
    // What is the same for all tensors is made once for all of them.
    const fixed = isFixed(call.params) ? valuesOf('') : undefined
    const fixedEach = call.each.every(isFixed) ? eachOf.map((of) => of('')) : undefined
    const validationKey = createLikeness()
    const inputs = inputReader(definition.inputs, call)
    const packed = anyOpaque(models)

    /** True where neither the numbers of a step nor its mask let it compute anything of a tensor. */
    const isLeftAlone = (slot: Slot): boolean => {
      const mask = definition.merges ? sharedMask(call, slot) : undefined
      const isUnmasked = mask !== undefined && 'type' in mask && mask.type === 'constant' && !mask.value
      return (
        isUnmasked ||
        lacksAny(numbers, valuesOf(slot.name)) ||
        eachOf.some((of) => lacksAny(eachNumbers, of(slot.name)))
      )
    }

    /** Settles everything about one tensor but its expression; undefined keeps the first model's. */
    const prepareTensor = (slot: Slot): Pending | undefined => {
      if (selected?.has(slot.name) === false || definition.touches?.(slot.name) === false) return undefined
      counter.examined()
      if (definition.merges && call.isConstant(slot.name, tensors)) {
        call.note({ type: 'constant', tensor: slot.name })
        return undefined
      }
      const opaque = packed ? refuseOpaque(models, slot.name) : NONE
      if (opaque.length > 0) {
        if (!isLeftAlone(slot)) append(problems, opaque)
        return undefined
      }
      const verdict = decide(call, slot, first, models.slice(1), whyMissing)
      if (isDiagnostic(verdict)) return void problems.push(verdict)
      if (verdict === 'keep') return undefined
      const values = fixed ?? valuesOf(slot.name)
      const perModel = fixedEach ?? eachOf.map((of) => of(slot.name))
      const wrong = firstDiagnostic(values) ?? perModel.map(firstDiagnostic).find((p) => p !== undefined)
      if (wrong !== undefined) return void problems.push(wrong)
      if (lacksAny(numbers, values) || perModel.some((p) => lacksAny(eachNumbers, p))) {
        call.note({ type: 'kept', tensor: slot.name })
        counter.left()
        return undefined
      }
      const mask = definition.merges ? sharedMask(call, slot) : undefined
      if (isDiagnostic(mask)) return void problems.push(mask)
      if (mask?.type === 'constant' && !mask.value) {
        if (call.shared.mask?.value.shapes.has(slot.name) === true) counter.left()
        return undefined
      }
      const broken = inputs.maskProblem(slot)
      if (broken !== undefined) return void problems.push(broken)
      call.note({ type: 'merged', tensor: slot.name })
      const build = (): Made | Diagnostic => {
        const subject: Subject = {
          name: slot.name,
          shape: slot.shape,
          mask: definition.masksItself === true ? mask : undefined,
          stream: (draw) => streamOf(call, slot.name, draw),
          whole: (label) => overAll(`${call.scope}/${label}`, slot.name),
          at: call.at,
          warn: (warning) => void problems.push(warning),
        }
        const built = definition.build(
          call.graph,
          inputs.read(slot, perModel) as Built<I>,
          values as Params<P>,
          subject,
        )
        const outside =
          mask !== undefined &&
          definition.masksItself !== true &&
          !Array.isArray(built) &&
          (built as Tensor | Mask).kind === 'tensor'
        return outside ? call.graph.choose(mask, built as Tensor, first.tensor(slot.name)) : built
      }
      return { validationKey: validationKey(values, perModel, slot.shape, mask !== undefined), build, made: undefined }
    }

    const pending = new Map<string, Pending>()
    for (const slot of tensors.values()) {
      const prepared = prepareTensor(slot)
      if (prepared !== undefined) pending.set(slot.name, prepared)
    }
    if (definition.merges) append(problems, noteDropped(call, models))
    const idle =
      compares && problems.every((d) => d.severity !== 'error')
        ? counter.verdict(models, definition.output === 'mask' ? 'mask' : 'model')
        : undefined
    if (idle !== undefined) problems.push(idle)
    const samples = buildSamples(call.graph, pending.values())
    append(problems, samples.refused)
    const built: BuiltTensors = {
      names: pending,
      shares: samples.shares,
      get: (name) => {
        const p = pending.get(name)
        return p === undefined ? undefined : accepted(makeOnce(p), definition.id, name)
      },
    }
    const told = tellOnce(problems)
    if (told.some((d) => d.severity === 'error')) return failed(...told)
    return ok(
      definition.output === 'mask'
        ? maskValues(definition, call, tensors, built)
        : [modelValue(definition, call, first, built)],
      told,
    )
  }
  return { ...definition, evaluate }
}

/**
 * A tensor whose expression is made when it is first asked for. `validationKey` is equal for tensors that an operator
 * accepts or refuses alike.
 */
interface Pending {
  readonly validationKey: object
  build: (() => Made | Diagnostic) | undefined
  made: Made | Diagnostic | undefined
}

/** What a definition builds of one tensor. */
type Made = Tensor | Mask | readonly Mask[]

/**
 * What an operator refuses it has to refuse for one of the samples, where it becomes a problem; afterwards nothing may
 * stand in for it.
 */
const accepted = (value: Made | Diagnostic | undefined, operator: string, tensor: string): Made => {
  if (value !== undefined && !isDiagnostic(value)) return value
  throw new Error(
    `${operator} made nothing of ${tensor} and had taken every tensor like it${value === undefined ? '' : `: ${value.message}`}`,
  )
}

/** What an operator makes of the tensors it merges; `names` has a key for each of them. */
interface BuiltTensors {
  readonly names: ReadonlyMap<string, unknown>
  /** True where they share a measure over the whole model. */
  readonly shares: boolean
  get(name: string): Made | undefined
}

/** Builds when it is first asked and lets go of what it was made of: a model has many tensors. */
const makeOnce = (pending: Pending): Made | Diagnostic => {
  pending.made ??= pending.build!()
  pending.build = undefined
  return pending.made
}

/**
 * Builds one tensor of each validation key, to hear what the operator refuses, and whether they share a measure over
 * the whole model.
 */
const buildSamples = (
  graph: Graph,
  pending: Iterable<Pending>,
): { readonly refused: readonly Diagnostic[]; readonly shares: boolean } => {
  const grouped = graph.grouped().length
  const samples = new Map<object, Pending>()
  for (const p of pending) if (!samples.has(p.validationKey)) samples.set(p.validationKey, p)
  const refused = [...samples.values()].map(makeOnce).filter(isDiagnostic)
  return { refused, shares: graph.grouped().length > grouped }
}

const placeKey = (at: Place | undefined): string =>
  at?.type === 'text' ? `${at.range.source.path} ${at.range.start}` : JSON.stringify(at)

/** One problem per kind and place: two models of different architectures differ in hundreds of tensors. */
const tellOnce = (problems: readonly Diagnostic[]): readonly Diagnostic[] => {
  const groups = new Map<string, Diagnostic[]>()
  for (const problem of problems) {
    const key = `${problem.code} ${placeKey(problem.at)}`
    const group = groups.get(key)
    if (group === undefined) groups.set(key, [problem])
    else group.push(problem)
  }
  return [...groups.values()].map(([first, ...more]) => (more.length === 0 ? first! : alsoOf(first!, more.length)))
}

/** The inputs of a step, looked up once for all tensors. */
const inputReader = (specs: Inputs, call: Call) => {
  const entries = Object.entries(specs).map(([key, spec]) => ({
    key,
    many: spec.type !== 'adapter' && spec.many === true,
    masks: spec.type === 'mask' ? masksOf(call, key) : undefined,
    models: spec.type === 'model' ? modelsOf(call, key) : undefined,
  }))
  const masks = entries.flatMap((entry) => entry.masks ?? NONE)
  return {
    /** What is wrong with the masks among them. */
    maskProblem: (slot: Slot): Diagnostic | undefined => {
      for (const { value, at } of masks) {
        const problem = maskProblem(value, slot.name, slot.shape, at)
        if (problem !== undefined) return problem
      }
      return undefined
    },
    read: (slot: Slot, perModel: readonly TensorValues[]): Record<string, unknown> => {
      const built: Record<string, unknown> = {}
      for (const { key, many, masks: ofMasks, models } of entries) {
        const read = ofMasks?.map((r) => r.value.mask(slot.name)) ?? models?.map((r) => r.value.tensor(slot.name))
        built[key] = !many
          ? read?.[0]
          : models === undefined
            ? read
            : models.map((_, i) => ({ x: read![i], ...perModel[i] }))
      }
      return built
    },
  }
}

const modelValue = (
  definition: { readonly space?: 'weights' | 'delta' },
  call: Call,
  first: ModelValue,
  built: BuiltTensors,
): ModelValue => ({
  kind: 'model',
  space: definition.space ?? first.space,
  label: labelOf(call),
  tensors: first.tensors,
  ...(built.shares ? { shares: true } : {}),
  tensor: (name) => (built.get(name) as Tensor | undefined) ?? first.tensor(name),
})

/** Masks know the tensors they were built for, and no others. */
const maskValues = (
  definition: { readonly id: string; readonly results?: (params: Readonly<Record<string, unknown>>) => number },
  call: Call,
  tensors: ReadonlyMap<string, Slot>,
  built: BuiltTensors,
): MaskValue[] => {
  const plain = Object.fromEntries(
    Object.entries(call.params).map(([key, a]) => [key, a.type === 'value' ? a.value : undefined]),
  )
  const count = definition.results?.(plain) ?? 1
  const known = new Map([...built.names.keys()].map((name) => [name, tensors.get(name)!.shape] as const))
  return Array.from({ length: count }, (_, i) => ({
    kind: 'mask',
    label: count === 1 ? labelOf(call) : `\`${call.step}.${i + 1}\``,
    shapes: known,
    ...(built.shares ? { shares: true } : {}),
    mask: (name) => {
      const value = accepted(built.get(name), definition.id, name) as Mask | readonly Mask[]
      return 'kind' in value ? value : (accepted(value[i], definition.id, name) as Mask)
    },
  }))
}
