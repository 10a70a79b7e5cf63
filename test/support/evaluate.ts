import { failed, ok, type Result } from '#src/base/result.js'
import type { Place } from '#src/base/diagnostic.js'
import { createGraph, type Graph } from '#src/graph/graph.js'
import { interpretJobs, type Data } from '#src/graph/interpret.js'
import { decode, encode } from '#src/kernels/convert.js'
import { deriveKey } from '#src/kernels/key.js'
import { bernoulli, gaussian, uniform } from '#src/kernels/reference.js'
import type { Stream } from '#src/graph/expression.js'
import type { Argument, Call, Note, Operator, TextRules } from '#src/operators/operator.js'
import { findOperator } from '#src/operators/index.js'
import type { ParamSpec } from '#src/operators/params.js'
import type { AdapterValue, MaskValue, ModelValue, Reference, Value, WeightsValue } from '#src/operators/value.js'
import type { Dtype } from '#src/tensor/dtype.js'
import { sizeOf } from '#src/tensor/info.js'
import { createLayerContext, type LayerContext } from '#src/plan/context.js'
import { RULE_WORDS } from '#src/recipe/step.js'
import { resolvePerLayer, selectLayers, type LayerPattern } from '#src/tensor/pattern.js'
import type { PlainFile, PlainRecipe, PlainTensor } from './recipe-run.js'

type Files = Readonly<Record<string, PlainFile>>
type Plain = Readonly<Record<string, unknown>>

const DTYPES = { f32: 'F32', f16: 'F16', bf16: 'BF16', bool: 'BOOL', i64: 'I64' } as const satisfies Record<
  PlainTensor['dtype'],
  Dtype
>
const CONTEXT = { diffusionPrefix: 'diffusion_model' }

/**
 * Gives the names of a recipe over files in memory their values, with nothing but the operators; no number of a file is
 * read.
 */
export const evaluateNames = (
  recipe: Omit<PlainRecipe, 'outputs'>,
  files: Files,
  notes: Note[] = [],
): ((name: string) => Result<Value>) => {
  const graph = createGraph()
  const layers = createLayerContext()
  const values = new Map<string, Result<Value>>(
    Object.entries(recipe.models).map(([name, path]) => [name, ok(modelOf(graph, name, path, files[path]!))]),
  )
  for (const [name, path] of Object.entries(recipe.adapters ?? {}))
    values.set(name, ok(adapterOf(name, path, files[path]!)))
  const evaluate = (name: string): Result<Value> => {
    const known = values.get(name)
    if (known !== undefined) return known
    const [step, result] = name.split('.') as [string, string | undefined]
    const results = evaluateStep(step)
    const value = results.type === 'ok' ? ok(results.value[Number(result ?? 1) - 1]!, results.diagnostics) : results
    values.set(name, value)
    return value
  }
  const evaluateStep = (name: string): Result<readonly Value[]> => {
    const step = recipe.steps[name]
    if (step === undefined) throw new Error(`nothing is called ${name}`)
    const operator = findOperator(String(step['op']))
    if (operator === undefined) throw new Error(`no operator is called ${step['op']}`)
    const call = callOf(operator, graph, name, recipe.seed ?? 0, step, evaluate, layers, notes)
    return call.type === 'failed' ? call : operator.evaluate(call.value)
  }
  return evaluate
}

/**
 * Evaluates a recipe over files in memory with nothing but the operators and the interpreter: every output's tensors,
 * rounded to their dtypes.
 */
export const evaluateRecipe = (
  recipe: PlainRecipe,
  files: Files,
  notes: Note[] = [],
): Result<Readonly<Record<string, PlainFile>>> => {
  const evaluate = evaluateNames(recipe, files, notes)
  const outputs = Object.entries(recipe.outputs).map(([name, { from }]) => [name, evaluate(from)] as const)
  const wrong = outputs.flatMap(([, result]) => (result.type === 'failed' ? result.diagnostics : []))
  if (wrong.length > 0) return failed(...wrong)
  return ok(
    Object.fromEntries(
      outputs.map(([name, result]) => [name, result.type === 'ok' ? compute(result.value, files) : {}]),
    ),
    outputs.flatMap(([, r]) => r.diagnostics),
  )
}

const modelOf = (graph: Graph, label: string, path: string, file: PlainFile): ModelValue => ({
  kind: 'model',
  space: 'weights',
  label,
  tensors: new Map(
    Object.entries(file).map(([name, { dtype, shape }]) => [name, { name, shape, dtype: DTYPES[dtype] }]),
  ),
  tensor: (name) =>
    graph.read({ name, dtype: DTYPES[file[name]!.dtype], shape: file[name]!.shape, file: path, begin: 0, end: 0 }),
})

const adapterOf = (label: string, path: string, file: PlainFile): AdapterValue => {
  const tensors = new Map(
    Object.entries(file).map(([name, { dtype, shape }]) => [
      name,
      { name, dtype: DTYPES[dtype], shape, file: path, begin: 0, end: 0 },
    ]),
  )
  const scalars = new Map(
    Object.entries(file)
      .filter(([name, t]) => t.shape.length === 0 || name.endsWith('.reshape_weight'))
      .map(([name, { dtype, values }]) => [
        name,
        new Uint8Array((dtype === 'i64' ? BigInt64Array.from(values, BigInt) : Float32Array.from(values)).buffer),
      ]),
  )
  return {
    kind: 'adapter',
    label,
    file: { path, files: [], tensors, metadata: new Map(), bytes: 0, sides: [], scalars, config: undefined },
    alpha: undefined,
  }
}

const isPlain = (value: unknown): value is Plain => typeof value === 'object' && value !== null && !Array.isArray(value)

const patternsOf = (
  value: unknown,
  at: Place,
): readonly (LayerPattern & { readonly optional: boolean; readonly at: Place })[] =>
  [value]
    .flat()
    .map((entry) =>
      isPlain(entry)
        ? { text: String(entry['match']), optional: entry['optional'] === true, at }
        : { text: String(entry), optional: false, at },
    )

/** Texts by layer, as `recipe/step.ts` reads them. */
const textsOf = (value: unknown, hasDefault: boolean, at: Place): TextRules => {
  if (typeof value === 'string') return { default: value, entries: [] }
  const all = Array.isArray(value)
    ? (value as readonly Plain[]).map((rule) => [rule, rule['to']] as const)
    : Object.entries(value as Plain)
  return {
    default: hasDefault ? ((value as Plain)['default'] as string | undefined) : undefined,
    entries: all
      .filter(([pattern]) => !hasDefault || pattern !== 'default')
      .map(([pattern, text]) => ({ pattern: patternsOf(pattern, at)[0]!, text: String(text), at })),
  }
}

const callOf = (
  operator: Operator,
  graph: Graph,
  step: string,
  seed: number | string,
  plain: Plain,
  evaluate: (name: string) => Result<Value>,
  layers: LayerContext,
  notes: Note[],
): Result<Call> => {
  const problems: Result<Call>['diagnostics'][number][] = []
  const at = (key: string): Place => ({ type: 'option', name: `${step}.${key}` })
  const refer = <V extends Value>(name: unknown, key: string): Reference<V> | undefined => {
    const value = evaluate(String(name))
    if (value.type === 'ok') return { value: value.value as V, at: at(key) }
    problems.push(...value.diagnostics)
    return undefined
  }
  const argumentOf = (spec: ParamSpec, key: string, value: unknown): Argument | undefined => {
    if (spec.type === 'masks') {
      const mask = refer<MaskValue>(value, key)
      return mask === undefined ? undefined : { type: 'mask', value: mask.value, at: at(key) }
    }
    if (spec.type === 'statistics') {
      const file = refer<ModelValue>(value, key)
      return file === undefined ? undefined : { type: 'model', value: file.value, at: at(key) }
    }
    if (spec.type === 'layers') return { type: 'layers', patterns: patternsOf(value, at(key)), at: at(key) }
    if (spec.type === 'dtypes' || spec.type === 'names')
      return { type: 'texts', rules: textsOf(value, spec.type === 'dtypes', at(key)), at: at(key) }
    if (spec.type !== 'number' || spec.per !== 'layer' || typeof value === 'number')
      return { type: 'value', value, at: at(key) }
    if (typeof value === 'string') {
      const weights = refer<WeightsValue>(value, key)
      return weights === undefined ? undefined : { type: 'weights', value: weights.value, at: at(key) }
    }
    const rules = value as Readonly<Record<string, unknown>>
    const words = Object.fromEntries(
      Object.entries(rules).filter(([text]) => (RULE_WORDS as readonly string[]).includes(text)),
    )
    const entries = Object.entries(rules)
      .filter(([text]) => !(text in words))
      .map(([text, number]) => ({ pattern: { text, optional: false, at: at(key) }, value: number as number }))
    return { type: 'rules', rules: { default: undefined, ...words, entries }, at: at(key) }
  }
  const argumentsOf = (specs: Readonly<Record<string, ParamSpec>>, given: Plain): Record<string, Argument> =>
    Object.fromEntries(
      Object.entries(specs).flatMap(([key, spec]) => {
        const argument = given[key] === undefined ? undefined : argumentOf(spec, key, given[key])
        return argument === undefined ? [] : [[key, argument]]
      }),
    )

  const inputs: Record<string, Reference | readonly Reference[] | undefined> = {}
  let each: readonly Readonly<Record<string, Argument>>[] = []
  for (const [key, spec] of Object.entries(operator.inputs)) {
    const given = plain[key]
    if (given === undefined) continue
    if (spec.type !== 'model' || !spec.many) {
      const references = [given]
        .flat()
        .map((name) => refer(name, key))
        .filter((r) => r !== undefined)
      inputs[key] = spec.many ? references : references[0]
      continue
    }
    const list = isPlain(given)
      ? Object.entries(given).map(([model, weight]) => ({ model, weight }))
      : (given as readonly (string | Plain)[])
    const items: readonly Plain[] = list.map((item) => (typeof item === 'string' ? { model: item } : item))
    inputs[key] = items.map((item) => refer(item['model'], key)).filter((r) => r !== undefined)
    each = items.map((item) => argumentsOf(spec.each, item))
  }
  const mask = plain['mask'] !== undefined && operator.merges ? refer<MaskValue>(plain['mask'], 'mask') : undefined
  const call: Call = {
    graph,
    step,
    scope: step,
    seed,
    inputs,
    each,
    at,
    ownSeed: plain['seed'] as number | string | undefined,
    params: argumentsOf(operator.params, plain),
    shared: {
      layers:
        operator.merges && plain['layers'] !== undefined
          ? { type: 'layers', patterns: patternsOf(plain['layers'], at('layers')), at: at('layers') }
          : undefined,
      mask,
      unmasked: plain['unmasked'] === 'merge' ? 'merge' : 'keep',
      missing: plain['missing'] === 'keep' ? 'keep' : 'error',
      mismatch: plain['mismatch'] === 'keep' ? 'keep' : 'error',
      architectures: plain['architectures'] === 'mixed' ? 'mixed' : 'error',
    },
    architecture: layers.architecture,
    select: (argument, tensors) =>
      layers.architecture(tensors) === undefined
        ? selectLayers(argument.patterns, [...tensors.keys()], CONTEXT)
        : layers.select(argument, tensors),
    numbers: (argument, tensors) => {
      if (argument.type !== 'rules' || layers.architecture(tensors) !== undefined)
        return layers.numbers(argument, tensors)
      const { default: fallback, entries } = argument.rules
      const resolved = resolvePerLayer(
        { ...(fallback === undefined ? {} : { default: fallback }), rules: entries },
        [...tensors.keys()],
        CONTEXT,
      )
      if (resolved.type === 'failed') return resolved
      // Without an architecture there are no layers for anchors to run over.
      return ok((name) => [resolved.value.get(name) ?? []].flat()[0])
    },
    isConstant: layers.isConstant,
    find: () => undefined,
    note: (note) => void notes.push(note),
  }
  return problems.length > 0 ? failed(...problems) : ok(call)
}

const compute = (given: Value, files: Files): PlainFile => {
  const value = given.kind === 'adapter' && given.made !== undefined ? { kind: 'model' as const, ...given.made } : given
  if (value.kind !== 'model' && value.kind !== 'mask') throw new Error(`${value.kind} has no tensors`)
  const slots =
    value.kind === 'model'
      ? [...value.tensors.values()]
      : [...value.shapes].map(([name, shape]) => ({ name, shape, dtype: 'BOOL' as Dtype }))
  const jobs = slots.map(({ name, shape }) => ({
    roots: [value.kind === 'model' ? value.tensor(name) : value.mask(name)],
    size: sizeOf(shape),
  }))
  const results = interpretJobs(jobs, dataOf(files))
  return Object.fromEntries(
    slots.map(({ name, shape, dtype }, i) => [
      name,
      { dtype: plainDtype(dtype), shape, values: round(dtype, results[i]![0] as Float64Array | Uint8Array) },
    ]),
  )
}

const plainDtype = (dtype: Dtype): PlainTensor['dtype'] =>
  (Object.keys(DTYPES) as PlainTensor['dtype'][]).find((key) => DTYPES[key] === dtype)!

const round = (dtype: Dtype, values: Float64Array | Uint8Array): readonly number[] =>
  dtype === 'F16' || dtype === 'BF16'
    ? [...decode(dtype, encode(dtype, Float32Array.from(values)))]
    : [...Float32Array.from(values)]

const keyOf = (stream: Stream) => deriveKey({ ...stream, step: String(stream.step) })

/** Numbers of files in memory, and draws of the reference kernels. */
const dataOf = (files: Files): Data => ({
  read: ({ file, name }) => Float64Array.from(files[file]![name]!.values),
  bernoulli: (stream, n, p) => bernoulli(0, n, keyOf(stream), p),
  normal: (stream, n) => Float64Array.from(gaussian(0, n, keyOf(stream))),
  uniform: (stream, n) => Float64Array.from(uniform(0, n, keyOf(stream))),
})
