import { existsSync, readFileSync, statSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { foreignFile, SIDE_FILE_WORDS } from '../base/catalogue/model-folders.js'
import type { Diagnostic } from '../base/diagnostic.js'
import { blake3, toDigest } from '../base/digest.js'
import { append } from '../base/lists.js'
import { failed, ok, type Result } from '../base/result.js'
import type { Draft } from '../plan/draft.js'
import {
  CARD,
  CONFIG,
  MORE_TEMPLATES,
  isBeside,
  isSideFile,
  withoutOtherCode,
  type ModelFolder,
} from '../plan/model-folder.js'
import type { OpenedInput, OpenedInputs } from '../plan/inputs.js'
import type { Recipe } from '../recipe/recipe.js'
import type { SideFile } from '../safetensors/model.js'
import { identityOf, noFile, openingProblem, type FileIdentity } from '../safetensors/open.js'
import { readRegular } from '../safetensors/regular-file.js'
import type { Lock } from '../store/lock.js'
import type { Store } from '../store/store.js'
import { needsTokens } from './tokenize-prompts.js'

/** No side file is nearly as large, in bytes. */
const MOST = 1 << 28

const readSide = async (path: string): Promise<Result<Uint8Array>> => {
  try {
    return await readRegular(path, { wanted: SIDE_FILE_WORDS, most: MOST })
  } catch (error) {
    return failed(await openingProblem(error, path))
  }
}

/** A folder of a model, and which files that is. */
interface ReadModelFolder extends ModelFolder {
  readonly sides: readonly SideFile[]
}

type ReadFolder = (input: OpenedInput) => Promise<Result<ReadModelFolder | undefined>>

/** Reads what stands beside an input that is not on this machine, by name. */
type ReadRemotely = (input: OpenedInput) => Promise<Result<ReadonlyMap<string, Uint8Array>> | undefined>

/** What was read in a folder, whose files have these identities. */
const toFolder = (
  folder: string,
  read: ReadonlyMap<string, Uint8Array>,
  identityIn: (name: string, bytes: Uint8Array) => FileIdentity,
): ReadModelFolder => {
  const card = read.get(CARD)
  const own = withoutOtherCode(read)
  return {
    files: new Map([...own].filter(([name]) => isSideFile(name)).sort(([x], [y]) => (x < y ? -1 : 1))),
    card: card === undefined ? undefined : Buffer.from(card).toString('utf8'),
    sides: [...own].map(([name, bytes]) => ({
      path: join(folder, name),
      found: { identity: identityIn(name, bytes), digest: toDigest(blake3(bytes)) },
    })),
  }
}

const readFolderAt = async (folder: string): Promise<Result<ReadModelFolder | undefined>> => {
  const names = await readdir(folder).catch((): string[] => [])
  // Without a config it is a folder of anything: its other files are not known to belong to the model.
  if (!names.includes(CONFIG)) return ok(undefined)
  const [files, identities] = [new Map<string, Uint8Array>(), new Map<string, FileIdentity>()]
  for (const name of names.filter(isBeside).sort()) {
    const path = join(folder, name)
    // Before it is read, so that a change in between shows.
    const stats = statSync(path, { bigint: true, throwIfNoEntry: false })
    const bytes = await readSide(path)
    if (bytes.type === 'failed') return bytes
    files.set(name, bytes.value)
    if (stats !== undefined) identities.set(name, identityOf(stats))
  }
  const read = toFolder(folder, files, (name, { length }) => identities.get(name) ?? noFile(length))
  return ok(names.includes(MORE_TEMPLATES) ? { ...read, moreTemplates: true } : read)
}

const ofRemote = (
  folder: string,
  read: Result<ReadonlyMap<string, Uint8Array>>,
): Result<ReadModelFolder | undefined> => {
  if (read.type === 'failed') return read
  return ok(read.value.has(CONFIG) ? toFolder(folder, read.value, (_, { length }) => noFile(length)) : undefined)
}

/** Reads folders once for all settings of a recipe; `remotely` those of inputs that are not on this machine. */
export const createFolderReader = (remotely?: ReadRemotely): ReadFolder => {
  const known = new Map<string, ReturnType<ReadFolder>>()
  return (input) => {
    const folder = dirname(input.file.path)
    const read = async (): Promise<Result<ReadModelFolder | undefined>> => {
      const sides = input.isRemote === true ? await remotely?.(input) : undefined
      return sides === undefined ? readFolderAt(folder) : ofRemote(folder, sides)
    }
    const reading = known.get(folder) ?? read()
    known.set(folder, reading)
    return reading
  }
}

/** Inputs, and the folders of those whose folders are needed. */
export interface WithFolders {
  /** Their files say what was read beside them, so that the lock tells of it. */
  readonly inputs: OpenedInputs
  readonly folders: ReadonlyMap<string, ModelFolder>
}

/**
 * Reads the folders of a recipe's models, by name, if it needs them: for an output that is a folder, for tokenizers, or
 * for prompts.
 */
export const readModelFolders = async (
  recipe: Recipe,
  inputs: OpenedInputs,
  readFolder: ReadFolder = createFolderReader(),
): Promise<Result<WithFolders>> => {
  const folders = new Map<string, ModelFolder>()
  const isFolder = [...recipe.outputs.values()].some((output) => output.folder)
  if (recipe.tokenizer === undefined && !isFolder && !needsTokens(recipe)) return ok({ inputs, folders })
  const beside = new Map(inputs)
  const problems: Diagnostic[] = []
  for (const input of inputs.values()) {
    if (input.kind !== 'model') continue
    const { name, at } = input
    const folder = await readFolder(input)
    if (folder.type === 'failed')
      append(
        problems,
        folder.diagnostics.map((d) => ({ ...d, at })),
      )
    else if (folder.value !== undefined) {
      folders.set(name, folder.value)
      beside.set(name, { ...input, file: { ...input.file, sides: [...input.file.sides, ...folder.value.sides] } })
    }
  }
  return problems.length > 0 ? failed(...problems) : ok({ inputs: beside, folders })
}

/**
 * Side files of outputs that would replace something else than what an earlier build wrote: neither the lock nor the
 * cache knows it.
 */
export const foreignSides = (
  { outputs, evaluations }: Draft,
  lock: Lock | undefined,
  store: Store | undefined,
): readonly Diagnostic[] => {
  const written = new Set(
    (lock?.builds ?? []).flatMap((b) => Object.values(b.outputs).flatMap((o) => Object.values(o.sides ?? {}))),
  )
  const isForeign = (path: string, bytes: Uint8Array): boolean => {
    if (!existsSync(path)) return false
    const known = store?.files.find(path, identityOf(statSync(path, { bigint: true })))
    if (known !== undefined) return false
    const standing = readFileSync(path)
    return !standing.equals(bytes) && !written.has(toDigest(blake3(standing)))
  }
  return outputs.flatMap(({ output, setting }) => {
    const at = evaluations[setting]!.setting.recipe.outputs.get(output.name)!.pathAt
    return output.sides.filter(({ path, bytes }) => isForeign(path, bytes)).map(({ path }) => foreignFile(at, path))
  })
}
