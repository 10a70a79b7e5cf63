import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { readFile, stat } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { outputIsInput, pinMismatch, pinOfShards } from '../base/catalogue/plan.js'
import type { Diagnostic } from '../base/diagnostic.js'
import { failed, ok, type Result } from '../base/result.js'
import { toSource } from '../document/source.js'
import { makePlan, type PlanOptions } from '../plan/make-plan.js'
import { pathsOf } from '../plan/outputs.js'
import type { Plan } from '../plan/plan.js'
import { parse, type ParseOptions } from '../recipe/parse.js'
import type { InputModel, Recipe } from '../recipe/recipe.js'
import { openAdapter, type AdapterFile } from '../safetensors/adapter-file.js'
import { ioProblem } from '../safetensors/io-problem.js'
import { openModel, type Model } from '../safetensors/model.js'
import { openingProblem } from '../safetensors/open.js'

/** Where a recipe's outputs go, and with which params it is read. */
export interface PrepareOptions extends ParseOptions, PlanOptions {
  /** Folder that output paths are relative to; the recipe's own unless given. */
  readonly out?: string
}

/** A recipe that is ready to run. */
export interface Prepared {
  readonly recipe: Recipe
  readonly models: ReadonlyMap<string, Model>
  readonly adapters: ReadonlyMap<string, AdapterFile>
  readonly plan: Plan
}

/** Reads a recipe file's text. */
export const readRecipe = async (path: string, options: ParseOptions = {}): Promise<Result<Recipe>> => {
  const bytes = await readFile(path).catch((error: unknown) => openingProblem(error, resolve(path)))
  if (!(bytes instanceof Uint8Array)) return failed(bytes)
  const source = toSource(path, bytes)
  return source.type === 'failed' ? source : parse(source.value, options)
}

/** Opens every model a recipe names; problems of all of them are told together, each at its place in the recipe. */
export const openModels = (recipe: Recipe, folder: string): Promise<Result<ReadonlyMap<string, Model>>> => openAll(recipe.models, folder, openModel)

/** Opens every adapter a recipe names, in the same way. */
export const openAdapters = (recipe: Recipe, folder: string): Promise<Result<ReadonlyMap<string, AdapterFile>>> => openAll(recipe.adapters, folder, openAdapter)

const openAll = async <T>(inputs: ReadonlyMap<string, InputModel>, folder: string, open: (path: string) => Promise<Result<T>>): Promise<Result<ReadonlyMap<string, T>>> => {
  const opened = await Promise.all([...inputs.values()].map(async (input) => ({ input, result: await open(resolve(folder, input.path)) })))
  const problems = opened.flatMap(({ input, result }) => result.diagnostics.map((d): Diagnostic =>
    d.at === undefined || d.at.type !== 'file' ? { ...d, at: input.at } : { ...d, at: input.at, related: [{ at: d.at, message: 'in this file' }, ...d.related] }))
  if (problems.some((d) => d.severity === 'error')) return failed(...problems)
  return ok(new Map(opened.flatMap(({ input, result }) => (result.type === 'ok' ? [[input.name, result.value] as const] : []))), problems)
}

/** Reads, checks and plans a recipe: everything that can be known before anything is computed or written. */
export const prepare = async (path: string, options: PrepareOptions = {}): Promise<Result<Prepared>> => {
  const recipe = await readRecipe(path, options)
  if (recipe.type === 'failed') return recipe
  const folder = dirname(resolve(path))
  const [models, adapters] = [await openModels(recipe.value, folder), await openAdapters(recipe.value, folder)]
  const opening = [...recipe.diagnostics, ...models.diagnostics, ...adapters.diagnostics]
  if (models.type === 'failed' || adapters.type === 'failed') return failed(...opening)
  const plan = makePlan(recipe.value, models.value, { recipe: folder, out: options.out === undefined ? undefined : resolve(options.out) }, adapters.value, options)
  const diagnostics = [...opening, ...plan.diagnostics]
  if (plan.type === 'failed') return failed(...diagnostics)
  const links = await outputsThatAreInputs(recipe.value, plan.value)
  if (links.length > 0) return failed(...diagnostics, ...links)
  return ok({ recipe: recipe.value, models: models.value, adapters: adapters.value, plan: plan.value }, diagnostics)
}

/** Outputs that lead to an input by another name: a link, or the same file through another path. */
const outputsThatAreInputs = async (recipe: Recipe, plan: Plan): Promise<Diagnostic[]> => {
  const inputs = new Map(plan.models.flatMap((m) => m.files.map((f) => [`${f.dev}:${f.ino}`, m.name] as const)))
  const found = await Promise.all(plan.outputs.flatMap((output) => pathsOf(output).map(async (path) => {
    const now = await stat(path, { bigint: true }).catch(() => undefined)
    const model = now === undefined ? undefined : inputs.get(`${now.dev}:${now.ino}`)
    return model === undefined ? undefined : outputIsInput(output.label, model, recipe.outputs.get(output.name)!.pathAt)
  })))
  return found.filter((d) => d !== undefined)
}

/** Compares every input that the recipe pins with its sha256. Reads those files whole. */
export const checkPins = async ({ recipe, models, adapters }: Prepared): Promise<Diagnostic[]> => {
  const problems: Diagnostic[] = []
  for (const input of [...recipe.models.values(), ...recipe.adapters.values()]) {
    const { path, files } = (models.get(input.name) ?? adapters.get(input.name))!
    if (input.sha256 === undefined) continue
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

const sha256Of = async (path: string): Promise<string | Diagnostic> => {
  const hash = createHash('sha256')
  try {
    for await (const piece of createReadStream(path, { highWaterMark: 1 << 20 })) hash.update(piece as Uint8Array)
  } catch (error) {
    return ioProblem(error, path, 'read')
  }
  return hash.digest('hex')
}
