import { wrongSpace } from '../base/catalogue/plan.js'
import type { Diagnostic, Place } from '../base/diagnostic.js'
import { append } from '../base/lists.js'
import { failed, ok, type Result } from '../base/result.js'
import type { Sliced } from '../base/slices.js'
import type { Origin } from '../graph/expression.js'
import type { Graph } from '../graph/graph.js'
import { tensorClassOf, withTensorClass } from '../operators/tensor-class.js'
import type { Argument, Call, Note } from '../operators/operator.js'
import type { LayerOrigins, MaskValue, ModelValue, Reference, Value, WeightsValue } from '../operators/value.js'
import type { Name, RawArgument, Recipe, Step } from '../recipe/recipe.js'
import { stepOf } from '../recipe/scope.js'
import { usesOf } from '../recipe/step.js'
import { createAligner } from './align.js'
import type { LayerContext } from './context.js'
import { alignModel } from './aligned-model.js'
import { inputValue, type OpenedInputs } from './inputs.js'
import { createLandings } from './landings.js'
import type { KeepableMasks } from './masks.js'
import type { Answers, Question } from './questions.js'
import { fingerprintSteps } from './step-facts.js'
import { createHeadCompleter } from './tied-heads.js'
import type { PlannedVocabulary } from './vocabulary.js'

/** The values of a recipe's names, and what steps told while they were made. */
export interface Evaluated {
  readonly values: ReadonlyMap<string, Value>
  readonly notes: ReadonlyMap<string, readonly Note[]>
}

const tensorsOf = (value: Value) => (value.kind === 'model' ? value.tensors : undefined)

/**
 * What a step gave, by its fingerprint, so that another setting of the params which does not change it takes the very
 * same expressions.
 */
export type StepCache = Map<
  string,
  { readonly values: readonly Value[]; readonly notes: readonly Note[]; readonly provisional: boolean }
>

/** Where steps are evaluated. `setting` numbers the settings of the params, of which the first is 0. */
export interface EvalContext {
  readonly graph: Graph
  readonly layers: LayerContext
  readonly memory: StepCache
  /** Takes in every mask that a step gives. */
  readonly masks: KeepableMasks
  readonly setting: number
  /** What the rows of all models are brought to before any step. */
  readonly vocabulary?: PlannedVocabulary | undefined
  /** What was measured for steps, and what they ask for besides. */
  readonly answers: Answers
  readonly questions: Map<string, Question>
}

/**
 * Evaluates the steps, which are in order, into values, with a pause after each. All problems of a step are reported;
 * steps that need a failed one are left out.
 */
export function* evaluateSteps(
  recipe: Recipe,
  steps: readonly Step[],
  inputs: OpenedInputs,
  place: EvalContext,
): Sliced<Result<Evaluated>> {
  const { graph, layers, memory, vocabulary } = place
  const made = fingerprintSteps(
    recipe,
    steps,
    (name) => `${inputs.get(name)!.file.path}\n${inputs.get(name)!.path}\n${vocabulary?.key ?? ''}`,
  )
  const [aligner, heads] = [createAligner(layers), createHeadCompleter(layers)]
  for (const { kind, file } of inputs.values()) if (kind === 'model') heads.whole(file.tensors)
  const keyOf = (step: Step): string => `${step.name} ${made.get(step.name)!}`
  const values = new Map([...inputs].map(([name, input]) => [name, inputValue(graph, input)]))
  const notes = new Map<string, readonly Note[]>()
  const landings = createLandings()
  const problems: Diagnostic[] = []
  /** Steps that await an answer, or take what such a step gives. */
  const provisional = new Set<string>()
  for (const [name, value] of vocabulary === undefined ? [] : values) {
    if (value.kind !== 'model') continue
    const aligned = alignModel(graph, value, name, vocabulary!)
    append(problems, aligned.diagnostics)
    if (aligned.type === 'failed' || aligned.value === value) continue
    values.set(name, aligned.value)
    heads.whole(aligned.value.tensors)
    layers.inherit(aligned.value.tensors, value.tensors)
  }
  if (problems.length > 0) return failed(...problems)

  const give = (step: Step, results: readonly Value[], told: readonly Note[]): void => {
    notes.set(step.name, told)
    results.forEach((value, i) => values.set(results.length === 1 ? step.name : `${step.name}.${i + 1}`, value))
  }

  for (const step of steps) {
    yield
    const known = memory.get(keyOf(step))
    if (known !== undefined) {
      give(step, known.values, known.notes)
      if (known.provisional) provisional.add(step.name)
      continue
    }
    const told: Note[] = []
    const awaits = usesOf(step).some(({ name }) => provisional.has(stepOf(name)))
    if (awaits) provisional.add(step.name)
    // What is measured of a provisional value is no answer for the final one.
    const find = awaits ? (): undefined => undefined : finder(step, place, provisional)
    const named = prepareCall(recipe, step, values, place, find, (note) => told.push(note))
    if (named === undefined) continue
    const { call, warnings } = heads.complete(aligner.align(named, step.operator.inputs), step.operator)
    append(problems, warnings)
    const spaces = wrongSpaces(step, call)
    if (spaces.length > 0) {
      append(problems, spaces)
      continue
    }
    const origin: Origin = { step: step.name, setting: place.setting }
    const result = graph.within(origin, () => step.operator.evaluate(call))
    append(problems, result.diagnostics)
    if (result.type === 'failed') continue
    const given = result.value.map((value, i) =>
      landings.land(step, noting(built(withConfig(value, call), graph, origin), `${call.scope}.${i}`, place.masks)),
    )
    for (const value of given) yield* makeShared(value)
    give(step, given, told)
    memory.set(keyOf(step), { values: given, notes: told, provisional: provisional.has(step.name) })
    const source = Object.values(call.inputs)
      .flat()
      .map((r) => tensorsOf((r as Reference).value))
      .find((t) => t !== undefined)
    result.value.forEach((value) => {
      const tensors = tensorsOf(value)
      if (tensors === undefined || source === undefined) return
      layers.derive(tensors, source)
      heads.derive(tensors, source)
    })
  }
  return problems.some((d) => d.severity === 'error') ? failed(...problems) : ok({ values, notes }, problems)
}

/** True where a model has as many layers as some origins are of. */
const hasLayers = ({ tensors }: ModelValue, { path, numbers }: LayerOrigins): boolean => {
  const [last, beyond] = [`${path}.${numbers.length - 1}.`, `${path}.${numbers.length}.`]
  const names = [...tensors.keys()]
  return names.some((name) => name.startsWith(last)) && !names.some((name) => name.startsWith(beyond))
}

/**
 * A model made of one that says something of its config says the same, as long as it is of that kind; of layers in
 * another order or number the first model decides.
 */
const withConfig = (value: Value, { inputs }: Call): Value => {
  if (value.kind !== 'model') return value
  const models = Object.values(inputs)
    .flatMap((input) => (input === undefined ? [] : 'value' in input ? [input] : input))
    .flatMap((reference) => (reference.value.kind === 'model' ? [reference.value] : []))
  const config = value.config ?? models.find((from) => from.config !== undefined)?.config
  const origins = value.origins ?? models[0]?.origins
  return {
    ...value,
    ...(config !== undefined && value.tensors.has(config.tensor) ? { config } : {}),
    ...(origins !== undefined && hasLayers(value, origins) ? { origins } : {}),
  }
}

/** A value whose expressions, which are made when they are asked for, bear their origin. */
const built = (value: Value, graph: Graph, origin: Origin): Value => {
  if (value.kind === 'model')
    return withTensorClass(
      { ...value, tensor: (name) => graph.within(origin, () => value.tensor(name)) },
      tensorClassOf(value),
    )
  if (value.kind === 'adapter' && value.made !== undefined) {
    const { tensors, tensor } = value.made
    return { ...value, made: { tensors, tensor: (name) => graph.within(origin, () => tensor(name)) } }
  }
  if (value.kind !== 'mask') return value
  return withTensorClass(
    {
      ...value,
      mask: (name) => graph.within(origin, () => value.mask(name)),
      constant: (name) => graph.within(origin, () => value.constant(name)),
    },
    tensorClassOf(value),
  )
}

/** Makes all tensors of a value that share measures: whoever asks for one of them measures all. */
function* makeShared(value: Value): Sliced<void> {
  if (value.kind === 'model' && value.shares === true)
    for (const name of value.tensors.keys()) yield void value.tensor(name)
  if (value.kind === 'mask' && value.shares === true)
    for (const name of value.shapes.keys()) yield void value.mask(name)
}

/** A mask that is noted in the table, tensor by tensor, as it is asked for. */
const noting = (value: Value, source: string, masks: KeepableMasks): Value =>
  value.kind !== 'mask'
    ? value
    : withTensorClass(
        {
          ...value,
          mask: (tensor) => {
            const mask = value.mask(tensor)
            if (!masks.has(mask.id)) masks.set(mask.id, { source, tensor })
            return mask
          },
        },
        tensorClassOf(value),
      )

/** Looks answers up for a step, and asks what has none: what the step gives is provisional then. */
const finder =
  ({ name: step }: Step, { setting, answers, questions }: EvalContext, provisional: Set<string>): Call['find'] =>
  (what, measured) => {
    const key = `${setting}\0${step}\0${what}`
    const known = answers.get(key)
    if (known === undefined) {
      questions.set(key, { step, setting, measured })
      provisional.add(step)
    }
    return known
  }

/** Resolves the names of a step; undefined when one of them has no value because its step failed. */
const prepareCall = (
  recipe: Recipe,
  step: Step,
  values: ReadonlyMap<string, Value>,
  { graph, layers, setting }: EvalContext,
  find: Call['find'],
  note: (n: Note) => void,
): Call | undefined => {
  let complete = true
  const reference = (name: Name): Reference => {
    const value = values.get(name.name)
    if (value === undefined) complete = false
    return { value: value as Value, at: name.at }
  }
  const argument = (raw: RawArgument): Argument => {
    if (raw.type !== 'name') return raw
    const { value } = reference(raw)
    if (value?.kind === 'model') return { type: 'model', value, at: raw.at }
    return value?.kind === 'mask'
      ? { type: 'mask', value, at: raw.at }
      : { type: 'weights', value: value as WeightsValue, at: raw.at }
  }
  const args = (raw: Readonly<Record<string, RawArgument>>) =>
    Object.fromEntries(Object.entries(raw).map(([key, a]) => [key, argument(a)]))
  const call: Call = {
    graph,
    step: step.name,
    scope: setting === 0 ? step.name : `${step.name}#${setting}`,
    seed: recipe.seed,
    ownSeed: step.seed,
    inputs: Object.fromEntries(
      Object.entries(step.inputs).map(([key, names]) => [
        key,
        Array.isArray(names) ? (names as readonly Name[]).map(reference) : reference(names as Name),
      ]),
    ),
    each: step.each.map(args),
    params: args(step.params),
    shared: {
      layers: step.layers,
      mask: step.mask === undefined ? undefined : (reference(step.mask) as Reference<MaskValue>),
      unmasked: step.unmasked,
      missing: step.missing,
      mismatch: step.mismatch,
      architectures: step.architectures,
    },
    select: layers.select,
    numbers: layers.numbers,
    architecture: layers.architecture,
    isConstant: layers.isConstant,
    at: (key): Place => step.keys.get(key) ?? step.at,
    find,
    note,
  }
  return complete ? call : undefined
}

/** Inputs that are differences where weights are needed, or the other way round. */
const wrongSpaces = (step: Step, call: Call): Diagnostic[] =>
  Object.entries(step.operator.inputs).flatMap(([key, spec]) => {
    if (spec.type !== 'model' || spec.space === 'any') return []
    const references = [call.inputs[key] ?? []].flat() as readonly Reference<ModelValue>[]
    return references
      .filter((r) => r.value.space !== spec.space)
      .map((r) => wrongSpace(r.value.label, r.value.space, r.at))
  })
