import { existsSync } from 'node:fs'
import { mkdir, readdir } from 'node:fs/promises'
import { basename, join, relative, resolve, sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import { folderNotMade, noModelsHere, recipeExists } from '../base/catalogue/cli.js'
import { append } from '../base/lists.js'
import { detectArchitecture, type Architecture } from '../architectures/detect.js'
import { exitCode, type Diagnostic } from '../base/diagnostic.js'
import { chooseFile } from '../hub/choose.js'
import { destinationProblems, reservedInputs, type Destination } from '../plan/destinations.js'
import { CONFIG } from '../plan/model-folder.js'
import { obstacles } from '../run/destinations.js'
import { namesOnDisk } from '../safetensors/file-names.js'
import { errorCode, ioProblem } from '../safetensors/io-problem.js'
import { writeOutput } from '../safetensors/output.js'
import { shardNumber } from '../safetensors/shard-names.js'
import { plainName } from '../pytorch/archive.js'
import { BIN_INDEX, isCheckpointName, openCheckpoint } from '../pytorch/open.js'
import type { Model } from '../safetensors/model.js'
import { isFloat } from '../tensor/dtype.js'
import { nameOfFile } from '../recipe/one-off.js'
import type { TensorInfo } from '../tensor/info.js'
import { findQuantised } from '../tensor/quantised.js'
import { renderStarter, type Starter, type StarterModel } from '../view/starter.js'
import type { Console } from './console.js'

interface Found {
  /** Relative to the recipe. */
  readonly file: string
  /** True for a folder with a config: what is made of it is a folder, too. */
  readonly isFolder: boolean
  readonly model: Model
  readonly architecture: Architecture | undefined
}

const SCHEMA = fileURLToPath(new URL('../../schema/recipe.schema.json', import.meta.url))

/** Names the recipe itself uses. */
const TAKEN = ['keep', 'blended']

/** Models are looked for in `NAME/`, `ORG/NAME/` and `models/ORG/NAME/`. */
const DEEPEST = 3
/** Folders of one folder that are looked into. */
const MOST_FOLDERS = 1000

/** The folders of models below a folder, as hubs have them: with a config beside the tensors. */
const findFolders = async (root: string, below: string, levels: number): Promise<Found[]> => {
  const entries = await readdir(join(root, below), { withFileTypes: true }).catch(() => [])
  const names = entries
    .filter((entry) => entry.isDirectory() || entry.isSymbolicLink())
    .map(({ name }) => name)
    .filter((name) => !/^\.|\$|^node_modules$/.test(name))
    .sort()
  const found: Found[] = []
  for (const name of names.slice(0, MOST_FOLDERS)) {
    const path = below === '' ? name : `${below}/${name}`
    const model = existsSync(join(root, path, CONFIG)) ? await openFolder(root, path) : undefined
    if (model !== undefined) found.push(model)
    else if (levels > 1) append(found, await findFolders(root, path, levels - 1))
  }
  return found
}

/** The model of a folder: itself, or the usual one of several files in it. */
const openFolder = async (root: string, path: string): Promise<Found | undefined> => {
  const choice = chooseFile(await readdir(join(root, path)).catch((): string[] => []), 'model')
  for (const file of [path, ...(choice.type === 'found' ? [`${path}/${choice.name}`] : [])]) {
    const model = await openCheckpoint(join(root, file))
    if (model.type === 'ok' && model.value.tensors.size > 0)
      return { file, isFolder: true, model: model.value, architecture: detectArchitecture(model.value.tensors) }
  }
  return undefined
}

/**
 * Models of a folder that open, the largest first; a shard counts only as part of its index, and a checkpoint only where
 * no safetensors file of its name is.
 */
const findModels = async (folder: string): Promise<Found[]> => {
  // In a recipe `$` begins a param, so a file with one in its name cannot be referred to.
  const files = (await readdir(folder)).filter((name) => !name.startsWith('.') && !name.includes('$')).sort()
  const found: Found[] = []
  const shards = new Set<string>()
  const ending = (suffix: string): string[] => files.filter((name) => name.endsWith(suffix))
  const isConverted = (file: string): boolean => files.includes(`${plainName(file)}.safetensors`)
  const single = files.filter((file) => isCheckpointName(file) && shardNumber(file) === undefined)
  const checkpoints = [...ending(BIN_INDEX), ...single].filter((file) => !isConverted(file))
  for (const file of [...ending('.safetensors.index.json'), ...ending('.safetensors'), ...checkpoints]) {
    if (shards.has(join(folder, file))) continue
    const model = await openCheckpoint(join(folder, file))
    if (model.type === 'failed' || model.value.tensors.size === 0) continue
    for (const shard of model.value.files) shards.add(shard.path)
    found.push({ file, isFolder: false, model: model.value, architecture: detectArchitecture(model.value.tensors) })
  }
  append(found, await findFolders(folder, '', DEEPEST))
  return found.sort((x, y) => y.model.bytes - x.model.bytes)
}

/** Models of one kind may be merged: the same architecture, or the same names where none is known. */
const kindOf = ({ architecture, model }: Found): string =>
  architecture?.id ??
  ownTensors(model)
    .map((t) => t.name)
    .join('\0')

/** The tensors of a model without the scales of others. */
const ownTensors = ({ tensors }: Model): readonly TensorInfo[] => {
  const companions = findQuantised(tensors)?.companions
  return [...tensors.values()].filter((t) => companions?.has(t.name) !== true)
}

/** The two largest models of one kind; without such a pair the largest model alone. */
const choosePair = (models: readonly Found[]): readonly [] | readonly [Found] | readonly [Found, Found] => {
  for (const [i, a] of models.entries()) {
    const b = models.slice(i + 1).find((other) => kindOf(other) === kindOf(a))
    if (b !== undefined) return [a, b]
  }
  return models[0] === undefined ? [] : [models[0]]
}

/** The keys that the recipe needs so that the second model can be merged into the first. */
const differences = (a: Model, b: Model): Pick<Starter, 'missing' | 'mismatch'> => {
  const merged = ownTensors(a).filter((t) => isFloat(t.dtype))
  const others = merged.map((t) => b.tensors.get(t.name))
  return {
    missing: others.includes(undefined),
    mismatch: merged.some(
      (t, i) => others[i] !== undefined && (others[i].shape.join() !== t.shape.join() || !isFloat(others[i].dtype)),
    ),
  }
}

/** The part of a path that tells one folder of a model from others. */
const nameOfFolder = (file: string): string =>
  basename(file.replace(/\/[^/]*\.(?:safetensors|bin|json|ckpt|pth?)$/, ''))

const toStarter = (folder: string, models: readonly Found[]): Starter => {
  const taken = new Set(TAKEN)
  const named = (m: Found): StarterModel => ({
    name: nameOfFile(m.isFolder ? nameOfFolder(m.file) : m.file, taken),
    path: m.file,
    architecture: m.architecture?.title,
  })
  const pair = choosePair(models)
  return {
    name: basename(folder) || 'recipe',
    schema: relative(folder, SCHEMA).replaceAll(sep, '/'),
    pair: pair.map(named) as readonly StarterModel[] as Starter['pair'],
    isFolder: pair.length > 0 && pair.every((m) => m.isFolder),
    others: models.filter((m) => !pair.some((p) => p === m)).map(named),
    ...(pair.length === 2 ? differences(pair[0].model, pair[1].model) : { missing: false, mismatch: false }),
  }
}

/** What keeps the recipe from being written: it may replace none of the models it is about, by whatever name. */
const problemsOf = (path: string, label: string, models: readonly Found[]): readonly Diagnostic[] => {
  const recipe: Destination = { name: 'the recipe', label, at: { type: 'file', path }, paths: [path] }
  const inputs = models.map(({ file, model }) => ({
    name: file,
    label: file,
    path: model.path,
    files: model.files.map((f) => ({ path: f.path, ...f.identity })),
  }))
  return [...destinationProblems([recipe], reservedInputs(inputs), namesOnDisk()), ...obstacles([recipe], [recipe])]
}

/** `smelt init`: writes `recipe.yaml` for the models of a folder. */
export const init = async (console: Console, target: string, flags: { readonly force?: boolean }): Promise<number> => {
  const folder = resolve(target)
  const path = join(folder, 'recipe.yaml')
  const refuse = (...problems: readonly Diagnostic[]): number => {
    console.tell(problems)
    return exitCode(problems)
  }
  if (flags.force !== true && existsSync(path)) return refuse(recipeExists(join(target, 'recipe.yaml')))
  try {
    if (!existsSync(folder)) await mkdir(folder)
    const models = await findModels(folder)
    const problems = problemsOf(path, join(target, 'recipe.yaml'), models)
    if (problems.length > 0) return refuse(...problems.slice(0, 1))
    const written = await writeOutput(path, Buffer.from(renderStarter(toStarter(folder, models))), {
      fresh: flags.force !== true,
    })
    if (written.type === 'failed')
      return refuse(...(flags.force !== true && existsSync(path) ? [recipeExists(path)] : written.diagnostics))
    if (models.length === 0) console.tell([noModelsHere(folder)])
    console.out(`${join(target, 'recipe.yaml')}\n`)
    return 0
  } catch (error) {
    return refuse(
      ['ENOENT', 'ENOTDIR'].includes(errorCode(error)) ? folderNotMade(folder) : ioProblem(error, path, 'create'),
    )
  }
}
