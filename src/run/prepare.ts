import { dirname, resolve } from 'node:path'
import { FILE_NOTE } from '../base/catalogue/paths.js'
import { pinMismatch, pinOfShards } from '../base/catalogue/plan.js'
import type { Diagnostic, Source } from '../base/diagnostic.js'
import { resolvePath } from '../base/resolve-path.js'
import { append } from '../base/lists.js'
import { stopped } from '../base/catalogue/run.js'
import { failed, ok, type Result } from '../base/result.js'
import { inTurns } from '../base/slices.js'
import { orderProblems } from '../document/report.js'
import { toSource } from '../document/source.js'
import { destinationsOf, type Destination } from '../plan/destinations.js'
import type { Draft } from '../plan/draft.js'
import { completePlan } from '../plan/complete-plan.js'
import { withFile, type FileOf, type OpenedInput, type OpenedInputs } from '../plan/inputs.js'
import { draftInSlices, withoutWork, type PlanOptions } from '../plan/make-plan.js'
import type { Setting } from '../plan/outputs.js'
import type { Plan } from '../plan/plan.js'
import type { Answers } from '../plan/questions.js'
import { parse, type ParseOptions } from '../recipe/parse.js'
import type { Parts } from '../recipe/used-texts.js'
import type { Input, InputKind, Recipe } from '../recipe/recipe.js'
import { expandSettings } from '../recipe/settings.js'
import type { HubAccess } from '../hub/access.js'
import { openCheckpoint } from '../pytorch/open.js'
import { namesOnDisk } from '../safetensors/file-names.js'
import { lockPath, readLock, type Lock } from '../store/lock.js'
import { obstacles } from './destinations.js'
import type { Download, OpenRemotely } from './downloads.js'
import { adaptHeapGrowth } from './heap-growth.js'
import { openTrainedAdapter } from './idle-adapters.js'
import { locateInput, referenceOf, type Located } from './locate-inputs.js'
import { createFolderReader, readModelFolders } from './model-folders.js'
import { warnOfOtherWriters } from './other-writers.js'
import { readParts, readSource } from './parts.js'
import { tokenizePrompts } from './tokenize-prompts.js'
import { sha256Of } from './sha256.js'

/** Where a recipe's outputs go, and with which params it is read. */
export interface PrepareOptions extends ParseOptions, PlanOptions {
  /**
   * The recipe's text, in place of what stands in its file, which need not exist: paths are relative to where it would
   * be.
   */
  readonly text?: string
  /** Settings besides `set`, each with values for some params: those of `--set-file`. */
  readonly rows?: readonly Readonly<Record<string, string>>[]
  /** Folder that output paths are relative to; the recipe's own unless given. */
  readonly out?: string
  /** Stops planning within a moment. */
  readonly signal?: AbortSignal
  /** The Hugging Face hub and its cache; the cache is looked for in its usual place unless given. */
  readonly hub?: HubAccess
}

/** How a command drafts a recipe. */
export interface DraftOptions extends PrepareOptions {
  /** Nothing is downloaded, and only what the lock says is taken. */
  readonly frozen?: boolean
  /** Downloads what is missing of models of the hub; without it, that is an error. */
  readonly download?: Download
  /** Reads the headers of models of the hub that are not on this machine: enough for a plan, which cannot be run. */
  readonly remotely?: OpenRemotely
  /** Takes what branches of the hub are now, not the commits of the lock. */
  readonly update?: boolean
  /** The texts of the parts that the recipe uses, in place of what stands in their files. */
  readonly parts?: Parts
}

/**
 * A recipe that is read and evaluated under each of its settings, before it is known what of the work is done already.
 */
export interface Drafted {
  readonly settings: readonly Setting[]
  readonly draft: Draft
  /** When its files were looked at, in ms. */
  readonly since: number
  /** Absolute path of the recipe. */
  readonly path: string
}

/** A recipe that is ready to run. */
export interface Prepared extends Drafted {
  /** The recipe under the first setting, and its files. */
  readonly recipe: Recipe
  readonly inputs: OpenedInputs
  readonly plan: Plan
}

const readRecipeSource = async (path: string, text?: string): Promise<Result<Source>> =>
  text === undefined ? readSource(path, 'a recipe') : toSource(path, new TextEncoder().encode(text))

/** Reads a recipe file's text, and those of the parts that it uses. */
export const readRecipe = async (path: string, options: ParseOptions = {}): Promise<Result<Recipe>> => {
  const source = await readRecipeSource(path)
  return source.type === 'failed' ? source : parse(source.value, options, await readParts(source.value))
}

type Open<T> = (path: string) => Promise<Result<T>>

/** How the file of each kind of input is opened. */
type Openers = { readonly [K in InputKind]: Open<FileOf[K]> }

const OPENERS: Openers = { model: openCheckpoint, adapter: openTrainedAdapter }

/** Opens a file unless it is open already: settings have most of their files in common. */
const openOnce = <T>(open: Open<T>): Open<T> => {
  const opened = new Map<string, Promise<Result<T>>>()
  return (path) => {
    const known = opened.get(path) ?? open(path)
    opened.set(path, known)
    return known
  }
}

/** Opens an input where it is found. */
const openLocated = async (
  input: Input,
  open: Openers,
  locate: (input: Input) => Promise<Result<Located>>,
): Promise<Result<OpenedInput>> => {
  const found = await locate(input)
  if (found.type === 'failed') return found
  const { path, origin, remote } = found.value
  const opened: Result<FileOf[InputKind]> = remote === undefined ? await open[input.kind](path) : ok(remote.file)
  const diagnostics = [...found.diagnostics, ...opened.diagnostics]
  return opened.type === 'failed'
    ? failed(...diagnostics)
    : ok(withFile(input, opened.value, origin, remote !== undefined), diagnostics)
}

/** Opens inputs of a recipe; problems of all of them are told together, each at its place in the recipe. */
export const openInputs = async (
  inputs: Iterable<Input>,
  folder: string,
  open: Openers = OPENERS,
  locate: (input: Input) => Promise<Result<Located>> = (input) => locateInput(input, { folder, notNow: 'planning' }),
): Promise<Result<OpenedInputs>> => {
  const opened = await Promise.all(
    [...inputs].map(async (input) => ({ input, result: await openLocated(input, open, locate) })),
  )
  const problems = opened.flatMap(({ input, result }) =>
    result.diagnostics.map((d): Diagnostic =>
      d.at === undefined || d.at.type !== 'file' || d.code === 'file-missing'
        ? { ...d, at: input.at }
        : { ...d, at: input.at, related: [{ at: d.at, message: FILE_NOTE }, ...d.related] },
    ),
  )
  if (problems.some((d) => d.severity === 'error')) return failed(...problems)
  return ok(
    new Map(opened.flatMap(({ input, result }) => (result.type === 'ok' ? [[input.name, result.value] as const] : []))),
    problems,
  )
}

/** Finds inputs, each once for all settings; the lock is read when an input is of a hub. */
const locator = (
  recipe: string,
  folder: string,
  { hub, frozen, download, remotely, update }: DraftOptions,
): ((input: Input) => Promise<Result<Located>>) => {
  const found = new Map<string, Promise<Result<Located>>>()
  let lock: Promise<Result<Lock | undefined>> | undefined
  const readOnce = (): Promise<Result<Lock | undefined>> => (lock ??= readLock(lockPath(resolve(recipe))))
  return (input) => {
    const isOfHub = referenceOf(input, folder) !== undefined
    const key = `${input.kind} ${input.path}`
    const known =
      found.get(key) ??
      (async () => {
        const lock = isOfHub && update !== true ? await readOnce() : ok(undefined)
        // It holds the commit: without it this could be another model.
        if (lock.type === 'failed') return lock
        return locateInput(input, {
          folder,
          hub,
          lock: lock.value,
          notNow: frozen === true ? 'frozen' : 'planning',
          download,
          remotely,
          update,
        })
      })()
    found.set(key, known)
    return known
  }
}

/** Tensors of all inputs, each file counted once. */
const tensorsOf = (settings: readonly Setting[]): number =>
  [...new Set(settings.flatMap(({ inputs }) => [...inputs.values()].map(({ file }) => file.tensors)))].reduce(
    (n, tensors) => n + tensors.size,
    0,
  )

/**
 * Reads and checks a recipe under every setting that `set` asks for: all that can be known without what earlier builds
 * left. `more` is what the command writes besides the recipe's outputs, `answers` what was measured for the questions of
 * an earlier draft.
 */
export const draft = async (
  path: string,
  options: DraftOptions = {},
  more: readonly Destination[] = [],
  answers: Answers = new Map(),
): Promise<Result<Drafted>> => {
  const since = Date.now()
  const source = await readRecipeSource(path, options.text)
  if (source.type === 'failed') return source
  const choices = expandSettings(source.value, options.set ?? {}, options.rows)
  if (choices.type === 'failed') return choices
  const folder = dirname(resolve(path))
  const open: Openers = { model: openOnce(openCheckpoint), adapter: openOnce(openTrainedAdapter) }
  const locate = locator(path, folder, options)
  const told: Diagnostic[] = []
  const settings: Setting[] = []
  const parts = options.parts ?? (await readParts(source.value))
  const readFolder = createFolderReader(async (input) => {
    const located = await locate(input)
    return located.type === 'ok' ? located.value.remote?.readSides() : undefined
  })
  for (const { label, set } of choices.value) {
    const recipe = parse(source.value, { set }, parts)
    append(told, recipe.diagnostics)
    if (recipe.type === 'failed') continue
    const inputs = await openInputs(recipe.value.inputs.values(), folder, open, locate)
    append(told, inputs.diagnostics)
    if (inputs.type === 'failed') continue
    const folders = await readModelFolders(recipe.value, inputs.value, readFolder)
    append(told, folders.diagnostics)
    if (folders.type === 'failed') continue
    const tokens = await tokenizePrompts(recipe.value, folders.value.folders)
    append(told, tokens.diagnostics)
    if (tokens.type === 'ok') settings.push({ recipe: tokens.value, ...folders.value, label })
  }
  const opening = choices.value.length === 1 ? told : orderProblems(told)
  if (settings.length < choices.value.length) return failed(...opening)
  adaptHeapGrowth(tensorsOf(settings))
  const out = options.out === undefined ? undefined : resolvePath('', options.out)
  const done = await inTurns(
    draftInSlices(settings, { recipe: folder, out }, { namesOf: namesOnDisk(), more, answers }),
    options.signal,
  )
  const drafted = done === undefined ? failed(stopped()) : done.value
  const diagnostics = [...opening, ...drafted.diagnostics]
  if (drafted.type === 'failed') return failed(...diagnostics)
  const { outputs, reports } = drafted.value
  const own = destinationsOf(
    settings,
    outputs.map((o) => o.output),
    reports,
  )
  const blocked = obstacles([...own, ...more], more)
  if (blocked.length > 0) return failed(...diagnostics, ...blocked)
  const shared = await warnOfOtherWriters(resolve(path), out ?? folder, own)
  return ok({ settings, draft: drafted.value, since, path: resolve(path) }, [...diagnostics, ...shared])
}

/**
 * Reads, checks and plans a recipe as if it had never been built: everything that can be known before anything is
 * computed or written.
 */
export const prepare = async (path: string, options: DraftOptions = {}): Promise<Result<Prepared>> => {
  const drafted = await draft(path, options)
  if (drafted.type === 'failed') return drafted
  const { recipe, inputs } = drafted.value.settings[0]!
  const plan =
    options.jobs === false ? completePlan(withoutWork(drafted.value.draft)) : completePlan(drafted.value.draft)
  return ok({ ...drafted.value, recipe, inputs, plan }, drafted.diagnostics)
}

/** Compares every input that the recipe pins with its sha256. Reads those files whole. */
export const checkPins = async ({ settings }: Pick<Drafted, 'settings'>): Promise<Diagnostic[]> => {
  const problems: Diagnostic[] = []
  const done = new Set<string>()
  for (const input of settings.flatMap(({ inputs }) => [...inputs.values()])) {
    const { path, files } = input.file
    if (input.sha256 === undefined || done.has(path)) continue
    done.add(path)
    if (files[0]?.path !== path) {
      problems.push(pinOfShards(input.path, input.at))
      continue
    }
    const found = await sha256Of(path)
    if (typeof found !== 'string') problems.push(found)
    else if (found !== input.sha256.toLowerCase()) problems.push(pinMismatch(input.path, input.sha256, found, input.at))
  }
  return problems
}
