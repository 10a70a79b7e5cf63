import { planWithoutWork } from './base/catalogue/options.js'
import type { Diagnostic, Source } from './base/diagnostic.js'
import { failed, ok, type Result } from './base/result.js'
import { userHub } from './cli/hub.js'
import { userStore } from './cli/store.js'
import { withFile, type FileOf } from './plan/inputs.js'
import { makePlan as makePlanWith, type PlanOptions } from './plan/make-plan.js'
import type { Folders } from './plan/outputs.js'
import type { Plan } from './plan/plan.js'
import { parse as parseWith, type ParseOptions } from './recipe/parse.js'
import type { Input, InputKind, Recipe } from './recipe/recipe.js'
import { build as buildWith, type BuildOptions as InternalBuildOptions } from './run/build.js'
import { defaultWorkers } from './run/machine.js'
import {
  checkArgument,
  checkOptions,
  flag,
  listener,
  madeBy,
  objectOf,
  params,
  rows,
  signal,
  text,
  textLike,
  texts,
  wholeNumber,
  type Rule,
} from './run/check-options.js'
import type { CudaPlaces } from './run/devices/places.js'
import type { RunEvent } from './run/events.js'
import type { Built, RunOptions as InternalRunOptions } from './run/options.js'
import {
  openInputs,
  prepare as prepareWith,
  readRecipe as readRecipeWith,
  type Prepared,
  type PrepareOptions as InternalPrepareOptions,
} from './run/prepare.js'
import { planNow } from './run/plan-now.js'
import { run as runWith } from './run/run.js'
import { verify as verifyWith, type Verification } from './run/verify.js'
import { openCheckpoint } from './pytorch/open.js'
import { openAdapter as openAdapterFile, type AdapterFile } from './safetensors/adapter-file.js'
import type { Model } from './safetensors/model.js'
import { openStore as openStoreWith, type Store } from './store/store.js'
import { renderReport } from './view/report/render.js'

/** Options of a build. All have defaults, and only `set` changes the bytes of the outputs. */
export interface BuildOptions extends Omit<
  InternalBuildOptions,
  'choose' | 'cutting' | 'hub' | 'jobs' | 'more' | 'places' | 'reporting' | 'start' | 'store'
> {
  /** The cache: that of the command unless another is given; `false` uses none. */
  readonly store?: Store | false
  /** Where to look for CUDA's libraries, besides the usual places. */
  readonly places?: Omit<CudaPlaces, 'runtime'>
}

/** Options of {@link plan}. */
export interface PlanNowOptions extends Pick<BuildOptions, 'out' | 'set' | 'rows' | 'signal' | 'store' | 'text'> {}

/** Options of {@link prepare}. */
export interface PrepareOptions extends Omit<InternalPrepareOptions, 'hub'> {}

/** Options of {@link run}, which computes on the CPU; `build` also uses other devices. */
export interface RunOptions extends Partial<
  Pick<InternalRunOptions, 'listener' | 'lock' | 'memory' | 'render' | 'sha256' | 'signal' | 'workers'>
> {
  readonly device?: 'cpu'
}

/** Options of {@link verify}. */
export interface VerifyOptions extends Pick<RunOptions, 'device' | 'signal' | 'workers'> {
  /** The folder that outputs are relative to; the recipe's unless given. */
  readonly out?: string
}

const MOST_WORKERS = 64
const WORKERS = wholeNumber(1, MOST_WORKERS)
const CPU = textLike('"cpu"', /^cpu$/)
const STORE = madeBy('a store that `openStore` opened', ['files', 'masks', 'outcomes', 'collect'])
const STORE_OR_FALSE: Rule = {
  expected: `${STORE.expected}, or false`,
  fits: (value) => value === false || STORE.fits(value),
}
const MAP: Rule = { expected: 'a Map', fits: (value) => value instanceof Map }
const TIME: Rule = { expected: 'a time in ms', fits: Number.isFinite }
const PLAN = madeBy('a plan that `makePlan` or `prepare` made', [
  'jobs',
  'outputs',
  'reports',
  'settings',
  'fingerprints',
])
const RECIPE = madeBy('a recipe that `parse` or `readRecipe` made', ['source', 'inputs', 'steps', 'outputs'])
const SOURCE = objectOf(
  'a source with path and text',
  { path: text, text: { expected: 'a string', fits: (value) => typeof value === 'string' } },
  ['path', 'text'],
)

/** Where events go, and what stops a build. */
interface Ends {
  readonly listener?: (event: RunEvent) => void
  readonly signal?: AbortSignal
}

/**
 * An error that a listener throws stops the build at the next chunk and is rethrown to the caller, who could not catch
 * it inside a worker's event.
 */
const heedingErrors = async <T>(given: Ends, work: (heard: Ends) => Promise<T>): Promise<T> => {
  const hear = given.listener
  if (hear === undefined) return work({})
  const stop = new AbortController()
  if (given.signal?.aborted === true) stop.abort()
  const pass = (): void => stop.abort()
  given.signal?.addEventListener('abort', pass, { once: true })
  let thrown: { readonly error: unknown } | undefined
  let ended = false
  const fail = (error: unknown): void => {
    if (ended) throw error
    thrown ??= { error }
    stop.abort()
  }
  const result = await work({
    listener: (event) => {
      if (thrown !== undefined) return
      try {
        // An `async` function is a listener too, and its error would end the process.
        Promise.resolve(hear(event)).catch(fail)
      } catch (error) {
        fail(error)
      }
    },
    signal: stop.signal,
  }).finally(() => given.signal?.removeEventListener('abort', pass))
  ended = true
  if (thrown !== undefined) throw thrown.error
  return result
}

/** The store of the command, unless another is given or none is wanted. */
const storeOf = ({ store = userStore() }: Pick<BuildOptions, 'store'>): { readonly store?: Store } =>
  store === false ? {} : { store }

/**
 * Builds a recipe: reads, plans, checks pins, computes, and writes its outputs, all of them or none. It reuses results
 * of earlier builds and caches its own. Reports look like those of the command.
 */
export const build = async (path: string, options: BuildOptions = {}): Promise<Result<Built>> => {
  const problems = checkArgument('build', 'path', path, text)
  const checked = checkOptions<BuildOptions>('build', options, {
    attest: text,
    device: textLike('"auto", "cpu", "webgpu" or "cuda:0"', /^(auto|cpu|webgpu|cuda:\d{1,3})$/),
    engine: textLike('"compiled" or "onnx"', /^(compiled|onnx)$/),
    force: flag,
    frozen: flag,
    listener,
    lock: flag,
    out: text,
    rehash: flag,
    text,
    places: objectOf('an object of places where CUDA’s libraries may lie', {
      libraries: text,
      data: text,
      toolkits: texts,
      pythons: texts,
      system: flag,
    }),
    planned: listener,
    render: listener,
    set: params,
    rows,
    sha256: flag,
    signal,
    store: STORE_OR_FALSE,
    update: flag,
    workers: WORKERS,
  })
  if (problems.length > 0 || checked.type === 'failed') return failed(...problems, ...checked.diagnostics)
  const { store: _, ...rest } = checked.value
  return heedingErrors(checked.value, (heard) =>
    buildWith(path, { render: renderReport, hub: userHub(), ...rest, ...storeOf(checked.value), ...heard }),
  )
}

/**
 * What a build of a recipe would do now, given the cache and existing outputs: the plan that `smelt plan` prints.
 * Nothing is computed or written.
 */
export const plan = async (path: string, options: PlanNowOptions = {}): Promise<Result<Plan>> => {
  const problems = checkArgument('plan', 'path', path, text)
  const checked = checkOptions<PlanNowOptions>('plan', options, {
    out: text,
    set: params,
    rows,
    signal,
    store: STORE_OR_FALSE,
    text,
  })
  if (problems.length > 0 || checked.type === 'failed') return failed(...problems, ...checked.diagnostics)
  const { store: _, ...rest } = checked.value
  const planned = await planNow(path, { ...rest, ...storeOf(checked.value), hub: userHub(), reading: 'never' })
  return planned.type === 'failed' ? planned : ok(planned.value.plan, planned.diagnostics)
}

/** True for a plan that says how each of its outputs comes to be. */
const hasWork = ({ outputs, reports, settings, targets }: Plan): boolean =>
  outputs.length + reports.length === settings.reduce((n, { recipe }) => n + recipe.outputs.size, 0) &&
  outputs.every((o, i) => o.tensors.length === targets[i]!.length)

/**
 * Runs a plan: writes all files under temporary names, then renames all of them, or none. Reports look like those of
 * the command.
 */
export const run = async (plan: Plan, options: RunOptions = {}): Promise<Result<Built>> => {
  const problems = checkArgument('run', 'plan', plan, PLAN)
  const checked = checkOptions<RunOptions>('run', options, {
    device: CPU,
    listener,
    lock: objectOf('an object with the path of the lock', { path: text, frozen: flag }, ['path']),
    memory: objectOf('an object with a store and a time', { store: STORE, since: TIME }, ['store', 'since']),
    render: listener,
    sha256: MAP,
    signal,
    workers: WORKERS,
  })
  if (problems.length > 0 || checked.type === 'failed') return failed(...problems, ...checked.diagnostics)
  if (!hasWork(plan)) return failed(planWithoutWork('run'))
  return heedingErrors(checked.value, (heard) =>
    runWith(plan, { render: renderReport, workers: defaultWorkers(), device: 'cpu', ...checked.value, ...heard }),
  )
}

/** Reads, checks and plans a recipe as if it had never been built, without computing or writing anything. */
export const prepare = async (path: string, options: PrepareOptions = {}): Promise<Result<Prepared>> => {
  const problems = checkArgument('prepare', 'path', path, text)
  const checked = checkOptions<PrepareOptions>('prepare', options, {
    jobs: flag,
    out: text,
    set: params,
    rows,
    signal,
    text,
  })
  return problems.length > 0 || checked.type === 'failed'
    ? failed(...problems, ...checked.diagnostics)
    : prepareWith(path, { ...checked.value, hub: userHub() })
}

/** Reads a recipe file's text. */
export const readRecipe = async (path: string, options: ParseOptions = {}): Promise<Result<Recipe>> => {
  const problems = checkArgument('readRecipe', 'path', path, text)
  const checked = checkOptions<ParseOptions>('readRecipe', options, { set: params })
  return problems.length > 0 || checked.type === 'failed'
    ? failed(...problems, ...checked.diagnostics)
    : readRecipeWith(path, checked.value)
}

/** Parses a recipe's text. */
export const parse = (source: Source, options: ParseOptions = {}): Result<Recipe> => {
  const problems = checkArgument('parse', 'source', source, SOURCE)
  const checked = checkOptions<ParseOptions>('parse', options, { set: params })
  return problems.length > 0 || checked.type === 'failed'
    ? failed(...problems, ...checked.diagnostics)
    : parseWith(source, checked.value)
}

const inputProblems = (call: string, recipe: Recipe, folder: string): readonly Diagnostic[] => [
  ...checkArgument(call, 'recipe', recipe, RECIPE),
  ...checkArgument(call, 'folder', folder, text),
]

const inputsOf = (kind: InputKind, recipe: Recipe): readonly Input[] =>
  [...recipe.inputs.values()].filter((input) => input.kind === kind)

const openKind = async <K extends InputKind>(
  kind: K,
  recipe: Recipe,
  folder: string,
): Promise<Result<ReadonlyMap<string, FileOf[K]>>> => {
  const opened = await openInputs(inputsOf(kind, recipe), folder)
  return opened.type === 'failed'
    ? opened
    : ok(new Map([...opened.value].map(([name, { file }]) => [name, file as FileOf[K]] as const)), opened.diagnostics)
}

/** Opens every model a recipe names, and reports all problems together, each at its place in the recipe. */
export const openModels = async (recipe: Recipe, folder: string): Promise<Result<ReadonlyMap<string, Model>>> => {
  const problems = inputProblems('openModels', recipe, folder)
  return problems.length > 0 ? failed(...problems) : openKind('model', recipe, folder)
}

/** Opens every adapter a recipe names, in the same way. */
export const openAdapters = async (
  recipe: Recipe,
  folder: string,
): Promise<Result<ReadonlyMap<string, AdapterFile>>> => {
  const problems = inputProblems('openAdapters', recipe, folder)
  return problems.length > 0 ? failed(...problems) : openKind('adapter', recipe, folder)
}

const mapOfAll = (kind: InputKind, recipe: Recipe): Rule => ({
  expected: `a Map with every ${kind} of the recipe by its name`,
  fits: (value) =>
    value instanceof Map && (!RECIPE.fits(recipe) || inputsOf(kind, recipe).every(({ name }) => value.has(name))),
})

/** Decides everything a recipe will do, from the headers of its models and adapters alone. Touches no file. */
export const makePlan = (
  recipe: Recipe,
  models: ReadonlyMap<string, Model>,
  folders: Folders,
  adapters: ReadonlyMap<string, AdapterFile> = new Map(),
  options: PlanOptions = {},
): Result<Plan> => {
  const problems = [
    ...checkArgument('makePlan', 'recipe', recipe, RECIPE),
    ...checkArgument('makePlan', 'models', models, mapOfAll('model', recipe)),
    ...checkArgument('makePlan', 'adapters', adapters, mapOfAll('adapter', recipe)),
    ...checkArgument(
      'makePlan',
      'folders',
      folders,
      objectOf('an object with the folder of the recipe', { recipe: text, out: text }, ['recipe']),
    ),
  ]
  const checked = checkOptions<PlanOptions>('makePlan', options, { jobs: flag })
  if (problems.length > 0 || checked.type === 'failed') return failed(...problems, ...checked.diagnostics)
  const files = { model: models, adapter: adapters }
  const inputs = new Map(
    [...recipe.inputs].map(([name, input]) => [name, withFile(input, files[input.kind].get(name)!)]),
  )
  return makePlanWith(recipe, inputs, folders, checked.value)
}

/** Reads every input and output in the lock of a recipe, and compares their contents with it. */
export const verify = async (recipe: string, options: VerifyOptions = {}): Promise<Result<Verification>> => {
  const problems = checkArgument('verify', 'recipe', recipe, text)
  const checked = checkOptions<VerifyOptions>('verify', options, { device: CPU, out: text, signal, workers: WORKERS })
  if (problems.length > 0 || checked.type === 'failed') return failed(...problems, ...checked.diagnostics)
  return verifyWith(recipe, { workers: defaultWorkers(), device: 'cpu', hub: userHub(), ...checked.value })
}

/**
 * Opens the store in a folder, which is made when something is kept; `limit` is the most bytes that it keeps. Throws
 * where either is something else.
 */
export const openStore = (folder: string, limit?: number): Store => {
  const [problem] = [
    ...checkArgument('openStore', 'folder', folder, text),
    ...(limit === undefined
      ? []
      : checkArgument('openStore', 'limit', limit, {
          expected: 'a number of bytes',
          fits: (value) => Number.isFinite(value) && (value as number) >= 0,
        })),
  ]
  if (problem !== undefined) throw new TypeError(problem.message)
  return openStoreWith(folder, limit)
}

/** Opens a model by its path: a file, an index, or a folder with one of them. Only headers are read. */
export const openModel = async (path: string): Promise<Result<Model>> => {
  const problems = checkArgument('openModel', 'path', path, text)
  return problems.length > 0 ? failed(...problems) : openCheckpoint(path)
}

/** Opens an adapter by its path: a file, or the folder of PEFT. Only headers are read. */
export const openAdapter = async (path: string): Promise<Result<AdapterFile>> => {
  const problems = checkArgument('openAdapter', 'path', path, text)
  return problems.length > 0 ? failed(...problems) : openAdapterFile(path)
}
