import { alsoOf, dtypeMismatch, maskShape, missingTensor, shapeMismatch } from '../base/catalogue/operators.js'
import type { Diagnostic, Place } from '../base/diagnostic.js'
import { append } from '../base/lists.js'
import { failed, ok, type Result } from '../base/result.js'
import type { Mask, Tensor } from '../graph/expression.js'
import type { Graph } from '../graph/graph.js'
import { isFloat } from '../tensor/dtype.js'
import { gaussianOf, labelOf, masksOf, modelsOf, streamOf } from './call.js'
import type { Argument, Call, Built, ElementDefinition, Operator, Params, Subject } from './define.js'
import type { InputSpec, ParamSpec } from './params.js'
import { sameShape } from './shape.js'
import type { MaskValue, ModelValue, Reference, Slot, Value } from './value.js'

type Inputs = Readonly<Record<string, InputSpec>>
type Specs = Readonly<Record<string, ParamSpec>>
type PerTensor = (tensor: string) => unknown

/** Every model input in the order the operator declares them; the first gives the result its tensors. */
const allModels = (inputs: Inputs, call: Call): readonly Reference<ModelValue>[] =>
  Object.keys(inputs).filter((key) => inputs[key]!.type === 'model').flatMap((key) => modelsOf(call, key))

/** Turns one argument into a function of the tensor; per-layer numbers are the only ones that differ. */
const resolve = (call: Call, spec: ParamSpec, argument: Argument | undefined, tensors: ReadonlyMap<string, Slot>): Result<PerTensor> => {
  if (argument === undefined) {
    const fallback = 'default' in spec ? spec.default : undefined
    return ok(() => fallback)
  }
  if (argument.type === 'mask') return ok((tensor) => maskFor(call, argument.value, tensor, tensors.get(tensor)?.shape ?? [], argument.at))
  if ((spec.type === 'number' || spec.type === 'integer') && spec.per === 'layer') return call.numbers(argument, tensors)
  const value = plainValue(spec, argument.type === 'value' ? argument.value : undefined)
  return ok(() => value)
}

/** A parameter's value as `build` expects it: YAML reads the words `true` and `false` of a choice as booleans, and a gaussian may leave keys out. */
const plainValue = (spec: ParamSpec, value: unknown): unknown =>
  value === undefined ? undefined : spec.type === 'choice' ? String(value) : spec.type === 'gaussian' ? gaussianOf(value) : value

const maskFor = (call: Call, value: MaskValue, tensor: string, shape: readonly number[], at: Place): Mask | Diagnostic => {
  const known = value.shapes.get(tensor)
  if (known === undefined) return call.graph.constant(false)
  return sameShape(known, shape) ? value.mask(tensor) : maskShape(at, tensor, value.label, known, shape)
}

const isDiagnostic = (x: unknown): x is Diagnostic => typeof x === 'object' && x !== null && 'code' in x

/** What becomes of one tensor of the first model: merged, or kept as it is. */
const decide = (call: Call, slot: Slot, first: ModelValue, others: readonly Reference<ModelValue>[]): 'merge' | 'keep' | Diagnostic => {
  if (!isFloat(slot.dtype)) return 'keep'
  for (const { value, at } of others) {
    const other = value.tensors.get(slot.name)
    if (other === undefined) {
      if (call.shared.missing === 'error') return missingTensor(at, slot.name, first.label, value.label)
      call.note({ type: 'missing', tensor: slot.name })
      return 'keep'
    }
    const shaped = sameShape(other.shape, slot.shape)
    if (shaped && isFloat(other.dtype)) continue
    if (call.shared.mismatch === 'error') {
      return shaped
        ? dtypeMismatch(at, slot.name, first.label, value.label, other.dtype)
        : shapeMismatch(at, slot.name, { label: first.label, shape: slot.shape }, { label: value.label, shape: other.shape })
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
  return maskFor(call, mask.value, slot.name, slot.shape, mask.at)
}

const isUndefinedNumber = (specs: Specs, values: Readonly<Record<string, unknown>>): boolean =>
  Object.entries(specs).some(([key, spec]) => spec.type === 'number' && spec.per === 'layer' && values[key] === undefined)

/** Makes an operator of a definition that builds each tensor by itself: everything operators share happens here. */
export const defineOperator = <const I extends Inputs, const P extends Specs>(definition: ElementDefinition<I, P>): Operator => {
  const evaluate = (call: Call): Result<readonly Value[]> => {
    const models = allModels(definition.inputs, call)
    const first = models[0]!.value
    const tensors = first.tensors
    const problems: Diagnostic[] = []
    const settle = <T>(result: Result<T>): T | undefined => {
      append(problems, result.diagnostics)
      return result.type === 'ok' ? result.value : undefined
    }

    const params = Object.entries(definition.params).map(([key, spec]) => [key, settle(resolve(call, spec, call.params[key], tensors))] as const)
    const many = Object.entries(definition.inputs).find(([, spec]) => spec.type === 'model' && spec.many)
    const eachSpecs: Specs = many !== undefined && many[1].type === 'model' && many[1].many ? many[1].each : {}
    const each = call.each.map((args) => Object.entries(eachSpecs).map(([key, spec]) => [key, settle(resolve(call, spec, args[key], tensors))] as const))
    const selected = call.shared.layers === undefined ? undefined : settle(call.select(call.shared.layers, tensors))
    if (problems.some((d) => d.severity === 'error')) return failed(...problems)

    const at = (entries: readonly (readonly [string, PerTensor | undefined])[], tensor: string): Record<string, unknown> =>
      Object.fromEntries(entries.map(([key, value]) => [key, value?.(tensor)]))
    const isFixed = (args: Readonly<Record<string, Argument>>): boolean => Object.values(args).every((a) => a.type === 'value')
    // What is the same for all tensors is made once for all of them.
    const fixed = isFixed(call.params) ? at(params, '') : undefined
    const fixedEach = call.each.every(isFixed) ? each.map((entries) => at(entries, '')) : undefined
    const likeness = createLikeness()

    /** Settles everything about one tensor but its expression; undefined keeps the first model's. */
    const prepareTensor = (slot: Slot): Pending | undefined => {
      if (selected?.has(slot.name) === false || definition.touches?.(slot.name) === false) return undefined
      if (definition.merges && call.isConstant(slot.name, tensors)) {
        call.note({ type: 'constant', tensor: slot.name })
        return undefined
      }
      const verdict = decide(call, slot, first, models.slice(1))
      if (isDiagnostic(verdict)) return void problems.push(verdict)
      if (verdict === 'keep') return undefined
      const values = fixed ?? at(params, slot.name)
      const perModel = fixedEach ?? each.map((entries) => at(entries, slot.name))
      const wrong = [...Object.values(values), ...perModel.flatMap((p) => Object.values(p))].find(isDiagnostic)
      if (wrong !== undefined) return void problems.push(wrong)
      if (isUndefinedNumber(definition.params, values) || perModel.some((p) => isUndefinedNumber(eachSpecs, p))) {
        call.note({ type: 'kept', tensor: slot.name })
        return undefined
      }
      const mask = definition.merges ? sharedMask(call, slot) : undefined
      if (isDiagnostic(mask)) return void problems.push(mask)
      if (mask?.type === 'constant' && !mask.value) return undefined
      const broken = misshapenMask(definition.inputs, call, slot)
      if (broken !== undefined) return void problems.push(broken)
      call.note({ type: 'merged', tensor: slot.name })
      const build = (): BuiltTensor | Diagnostic => {
        const subject: Subject = {
          name: slot.name,
          shape: slot.shape,
          mask: definition.masksItself === true ? mask : undefined,
          stream: (draw) => streamOf(call, slot.name, draw),
          whole: (label) => `${call.scope}/${label}`,
          at: call.at,
        }
        const inputs = builtInputs(definition.inputs, call, slot, perModel)
        const built = definition.build(call.graph, inputs as Built<I>, values as Params<P>, subject)
        const outside = mask !== undefined && definition.masksItself !== true && !Array.isArray(built) && (built as Tensor | Mask).kind === 'tensor'
        return outside ? call.graph.choose(mask, built as Tensor, first.tensor(slot.name)) : (built as BuiltTensor | Diagnostic)
      }
      return { likeness: likeness(values, perModel, slot.shape, mask !== undefined), build, made: undefined }
    }

    const pending = new Map<string, Pending>()
    for (const slot of tensors.values()) {
      const prepared = prepareTensor(slot)
      if (prepared !== undefined) pending.set(slot.name, prepared)
    }
    const { refused, shares } = buildSamples(call.graph, pending.values())
    append(problems, refused)
    const built: BuiltTensors = {
      names: pending,
      shares,
      get: (name) => {
        const p = pending.get(name)
        const value = p === undefined ? undefined : makeOnce(p)
        return isDiagnostic(value) ? undefined : value
      },
    }
    const told = tellOnce(problems)
    if (told.some((d) => d.severity === 'error')) return failed(...told)
    return ok(definition.output === 'mask' ? maskValues(definition, call, tensors, built) : [modelValue(definition, call, first, built)], told)
  }
  return { ...definition, evaluate }
}

/** A tensor whose expression is made when it is first asked for. `likeness` is equal for tensors that an operator accepts or refuses alike. */
interface Pending {
  readonly likeness: string
  build: (() => BuiltTensor | Diagnostic) | undefined
  made: BuiltTensor | Diagnostic | undefined
}

type BuiltTensor = Tensor | Mask | readonly Mask[]

/** What an operator makes of the tensors it merges; `names` has a key for each of them. */
interface BuiltTensors {
  readonly names: ReadonlyMap<string, unknown>
  /** True where they share a measure over the whole model. */
  readonly shares: boolean
  get(name: string): BuiltTensor | undefined
}

/** Builds when it is first asked and lets go of what it was made of: a model has many tensors. */
const makeOnce = (pending: Pending): BuiltTensor | Diagnostic => {
  pending.made ??= pending.build!()
  pending.build = undefined
  return pending.made
}

/** Numbers and shapes decide what an operator refuses; of masks and tensors only that they are there. */
const textOf = (facts: unknown): string => JSON.stringify(facts, (_, value: unknown) => (typeof value === 'object' && value !== null && 'id' in value ? 0 : value))

/** Tells how alike tensors are to an operator; equal texts are one, and what all tensors have in common is written down once. */
const createLikeness = () => {
  const texts = new WeakMap<object, string>()
  const known = new Map<string, string>()
  const part = (facts: object): string => {
    const text = texts.get(facts) ?? textOf(facts)
    texts.set(facts, text)
    return text
  }
  return (values: object, perModel: object, shape: readonly number[], masked: boolean): string => {
    const text = `${part(values)}${part(perModel)}${shape.join()}${masked}`
    const same = known.get(text) ?? text
    known.set(same, same)
    return same
  }
}

/** Builds one tensor of each likeness, to hear what the operator refuses, and whether they share a measure over the whole model. */
const buildSamples = (graph: Graph, pending: Iterable<Pending>): { readonly refused: readonly Diagnostic[]; readonly shares: boolean } => {
  const grouped = graph.grouped().length
  const samples = new Map<string, Pending>()
  for (const p of pending) if (!samples.has(p.likeness)) samples.set(p.likeness, p)
  const refused = [...samples.values()].map(makeOnce).filter(isDiagnostic)
  return { refused, shares: graph.grouped().length > grouped }
}

const placeKey = (at: Place | undefined): string => (at?.type === 'text' ? `${at.range.source.path} ${at.range.start}` : JSON.stringify(at))

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

/** The first mask among the inputs that was made for another shape. Builds nothing: expressions of long chains are made only when they are wanted. */
const misshapenMask = (specs: Inputs, call: Call, slot: Slot): Diagnostic | undefined => {
  for (const { value, at } of Object.keys(specs).filter((key) => specs[key]!.type === 'mask').flatMap((key) => masksOf(call, key))) {
    const known = value.shapes.get(slot.name)
    if (known !== undefined && !sameShape(known, slot.shape)) return maskShape(at, slot.name, value.label, known, slot.shape)
  }
  return undefined
}

const builtInputs = (specs: Inputs, call: Call, slot: Slot, perModel: readonly Readonly<Record<string, unknown>>[]): Record<string, unknown> =>
  Object.fromEntries(Object.entries(specs).map(([key, spec]) => {
    if (spec.type === 'adapter') return [key, undefined]
    if (spec.type === 'mask') {
      const masks = masksOf(call, key).map((r) => maskFor(call, r.value, slot.name, slot.shape, r.at))
      return [key, spec.many ? masks : masks[0]]
    }
    const tensors = modelsOf(call, key).map((r) => r.value.tensor(slot.name))
    return [key, spec.many ? tensors.map((x, i) => ({ x, ...perModel[i] })) : tensors[0]]
  }))

const modelValue = (definition: { readonly space?: 'weights' | 'delta' }, call: Call, first: ModelValue, built: BuiltTensors): ModelValue => ({
  kind: 'model',
  space: definition.space ?? first.space,
  label: labelOf(call),
  tensors: first.tensors,
  ...(built.shares ? { shares: true } : {}),
  tensor: (name) => (built.get(name) as Tensor | undefined) ?? first.tensor(name),
})

/** Masks know the tensors they were built for, and no others. */
const maskValues = (
  definition: { readonly results?: (params: Readonly<Record<string, unknown>>) => number }, call: Call,
  tensors: ReadonlyMap<string, Slot>, built: BuiltTensors,
): MaskValue[] => {
  const plain = Object.fromEntries(Object.entries(call.params).map(([key, a]) => [key, a.type === 'value' ? a.value : undefined]))
  const count = definition.results?.(plain) ?? 1
  const known = new Map([...built.names.keys()].map((name) => [name, tensors.get(name)!.shape] as const))
  return Array.from({ length: count }, (_, i) => ({
    kind: 'mask',
    label: count === 1 ? labelOf(call) : `\`${call.step}.${i + 1}\``,
    shapes: known,
    ...(built.shares ? { shares: true } : {}),
    mask: (name) => {
      const value = built.get(name) as Mask | readonly Mask[]
      return Array.isArray(value) ? (value as readonly Mask[])[i]! : (value as Mask)
    },
  }))
}
