import { basename, dirname, resolve, sep } from 'node:path'
import { outputIsInput, outputIsRecipe, outputOfSettings, outputTwice } from '../base/catalogue/plan.js'
import {
  outputBelowFile,
  outputInFolder,
  outputInModel,
  outputIsConfig,
  outputIsLock,
} from '../base/catalogue/special-files.js'
import type { Diagnostic, Place } from '../base/diagnostic.js'
import type { Recipe } from '../recipe/recipe.js'
import { configOf } from '../safetensors/adapter-file.js'
import { lockPath } from '../store/lock.js'
import { pathsOf } from './outputs.js'
import type { PlannedModel, PlannedOutput, PlannedReport } from './plan.js'

/** What a command writes at one place: a file, or an output with all its shards and their index. */
export interface Destination {
  /** What it is in sentences about another, such as "output `merged`". */
  readonly name: string
  /** The path as a person wrote it. */
  readonly label: string
  /** Where a person asked for it: on the command line or in the recipe. */
  readonly at: Place
  /** Absolute. */
  readonly paths: readonly string[]
  /** Which setting of the params it belongs to; undefined for files that a command writes once. */
  readonly setting?: number
}

/** A file that a command reads or reserves, and the error for a destination that would replace it. */
export interface Reserved {
  readonly path: string
  /** The name of the one destination that may be written there. */
  readonly owner?: string
  /** Whether it is a folder that may hold no other model. */
  readonly folder?: boolean
  refuse(destination: Destination): Diagnostic
}

/**
 * All names that a file has: two paths lead to one file if they have a name in common. Folders come before what is in
 * them, set apart by slashes.
 */
export type NamesOf = (path: string) => readonly string[]

/** Compares paths as text, for tests and plans without files. */
export const byPath: NamesOf = (path) => [path.replaceAll(sep, '/')]

/** What the outputs and reports of a plan write. */
export const destinationsOf = (
  settings: readonly { readonly recipe: Recipe }[],
  outputs: readonly PlannedOutput[],
  reports: readonly PlannedReport[],
): Destination[] =>
  [...outputs.map((o) => ({ ...o, paths: pathsOf(o) })), ...reports.map((r) => ({ ...r, paths: [r.path] }))].map(
    ({ name, label, paths, setting }) => ({
      name: `output \`${name}\``,
      label,
      at: settings[setting]!.recipe.outputs.get(name)!.pathAt,
      paths,
      setting,
    }),
  )

/** The inputs of a plan: files, indexes, and what is read beside them. */
export const reservedInputs = (
  models: readonly Pick<PlannedModel, 'name' | 'label' | 'path' | 'files'>[],
): Reserved[] =>
  models.flatMap(({ name, label, path, files }) => {
    const config = configOf(path)
    return [
      ...[path, ...files.map((f) => f.path)].map((file): Reserved => ({
        path: file,
        refuse: (d) => outputIsInput(d.label, name, d.at),
      })),
      // What was found under another name was found in a folder.
      ...(basename(label) === basename(path)
        ? []
        : [{ path: dirname(path), folder: true, refuse: (d: Destination) => outputInModel(d.label, name, d.at) }]),
      ...(config === undefined
        ? []
        : [{ path: config, refuse: (d: Destination) => outputIsConfig(d.label, name, d.at) }]),
    ]
  })

/** The name of the lock as a destination. */
export const LOCK = 'the lock'

/** The recipe in a folder, and its lock. */
export const reservedFor = (folder: string, { source }: Pick<Recipe, 'source'>): Reserved[] => {
  const path = resolve(folder, basename(source.path))
  return [
    { path, refuse: (d) => outputIsRecipe(d.label, d.at) },
    { path: lockPath(path), owner: LOCK, refuse: (d) => outputIsLock(d.label, d.at) },
  ]
}

/** The names of the folders above a name, the nearest first. */
const foldersAbove = (name: string): string[] => {
  const parts = name.split('/')
  return parts.slice(1).map((_, i) => parts.slice(0, parts.length - 1 - i).join('/'))
}

/** One setting of the params, as messages call it. */
interface Setting {
  readonly label: string
  readonly recipe: Recipe
}

/** Tells of one path for several settings, with a path that the params would make different. */
const sameForSettings = ({ label, at, setting }: Destination, settings: readonly Setting[]): Diagnostic => {
  // The path as the recipe has it, before params are put in.
  const { source, start, end } =
    at.type === 'text' ? at.range : { source: { text: label }, start: 0, end: label.length }
  const path = source.text.slice(start, end).replace(/^(["'])(.*)\1$/, '$2')
  const own = settings[setting ?? 0]?.recipe.params ?? {}
  const isInPath = (name: string): boolean => path.includes(`\${${name}}`)
  const inPath = Object.keys(own).filter(isInPath)
  const same = settings.filter(({ recipe }) => inPath.every((name) => recipe.params[name] === own[name]))
  const differing = Object.keys(own).filter(
    (name) => !isInPath(name) && same.some(({ recipe }) => recipe.params[name] !== own[name]),
  )
  return outputOfSettings({ path: label, labels: same.map((s) => s.label), better: withParams(path, differing) }, at)
}

/** A path that differs with some params. */
const withParams = (path: string, names: readonly string[]): string =>
  path.replace(/(\.[^./]*)?$/, (ending) => `${names.map((name) => `-\${${name}}`).join('')}${ending}`)

/** True for an output of which a folder is made, which is the model's alone. */
const FOLDER = /[/\\]$/

/** What makes a file part of a model for whoever opens its folder. */
const MODEL_FILE = /\.safetensors(\.index\.json)?$/

/**
 * Destinations that would replace a reserved file or each other, with one problem each; the first destination of a path
 * keeps it. A destination given on the command line is a usage error.
 */
export const destinationProblems = (
  destinations: readonly Destination[],
  reserved: readonly Reserved[],
  namesOf: NamesOf,
  settings: readonly Setting[] = [],
): Diagnostic[] => {
  const reservedWhere = (folder: boolean): ReadonlyMap<string, Reserved> =>
    new Map(
      reserved
        .toReversed()
        .filter((r) => (r.folder === true) === folder)
        .flatMap((r) => namesOf(r.path).map((name) => [name, r] as const)),
    )
  const [kept, folders] = [reservedWhere(false), reservedWhere(true)]
  const folderOf = ({ paths }: Destination): Reserved | undefined => {
    const above =
      folders.size === 0 ? [] : paths.filter((path) => MODEL_FILE.test(path)).flatMap((path) => namesOf(dirname(path)))
    return above.map((name) => folders.get(name)).find((found) => found !== undefined)
  }
  /** By the names of folders that are models: the output that writes each. */
  const ownFolders = new Map(
    destinations
      .filter(({ label }) => FOLDER.test(label))
      .flatMap((d) => namesOf(dirname(d.paths[0]!)).map((name) => [name, d] as const)),
  )
  const folderOfAnother = (destination: Destination): Diagnostic | undefined => {
    if (ownFolders.size === 0) return undefined
    const owner = destination.paths
      .filter((path) => MODEL_FILE.test(path))
      .flatMap((path) => namesOf(dirname(path)))
      .map((name) => ownFolders.get(name))
      .find((found) => found !== undefined && found !== destination)
    return owner === undefined ? undefined : outputInFolder(destination.label, owner.label, destination.at, owner.at)
  }
  const taken = new Map<string, Destination>()
  const problemAt = (destination: Destination, names: readonly string[]): Diagnostic | undefined => {
    const file = names.map((name) => kept.get(name)).find((found) => found !== undefined)
    if (file !== undefined && file.owner !== destination.name) return file.refuse(destination)
    const other = names.map((name) => taken.get(name)).find((found) => found !== undefined)
    if (other === undefined) return undefined
    return other.setting !== undefined && destination.setting !== undefined && other.setting !== destination.setting
      ? sameForSettings(destination, settings)
      : outputTwice(destination.label, other.name, destination.at, other.at)
  }
  const named = destinations.map((destination) => ({
    destination,
    names: destination.paths.map((path) => namesOf(path)),
  }))
  const problems = named.map(({ destination, names }) => {
    const found =
      names.map((own) => problemAt(destination, own)).find((problem) => problem !== undefined) ??
      folderOf(destination)?.refuse(destination) ??
      folderOfAnother(destination)
    // What is refused writes nothing that another could replace.
    if (found === undefined) for (const name of names.flat()) taken.set(name, destination)
    return found
  })
  const below = named.map(({ destination, names }) => {
    const above = names
      .flat()
      .flatMap(foldersAbove)
      .map((name) => taken.get(name))
      .find((found) => found !== undefined)
    return above === undefined ? undefined : outputBelowFile(destination.label, above.label, destination.at)
  })
  /** Paths of the recipe that are told of: one may stand for the same file many times over. */
  const told = new Set<string>()
  return named.flatMap(({ destination }, i) => {
    const problem = problems[i] ?? below[i]
    const key = `${problem?.code} ${destination.name}`
    if (problem === undefined || (problem.code === 'output-of-settings' && told.has(key))) return []
    told.add(key)
    return [blamed(problem, destination)]
  })
}

/** A problem of a destination; a usage error if the destination was given on the command line. */
export const blamed = (problem: Diagnostic, { at }: Pick<Destination, 'at'>): Diagnostic =>
  at.type === 'option' ? { ...problem, blame: 'usage' } : problem
