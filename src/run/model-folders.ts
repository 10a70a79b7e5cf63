import { existsSync, readFileSync, statSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { foreignFile, SIDE_FILE_WORDS } from '../base/catalogue/model-folders.js'
import type { Diagnostic } from '../base/diagnostic.js'
import { blake3, toDigest } from '../base/digest.js'
import { append } from '../base/lists.js'
import { failed, ok, type Result } from '../base/result.js'
import type { Draft } from '../plan/draft.js'
import { CARD, CONFIG, isSideFile, type ModelFolder } from '../plan/model-folder.js'
import type { OpenedInput, OpenedInputs } from '../plan/inputs.js'
import type { Recipe } from '../recipe/recipe.js'
import { ioProblem } from '../safetensors/io-problem.js'
import { identityOf } from '../safetensors/open.js'
import { readRegular } from '../safetensors/regular-file.js'
import type { Lock } from '../store/lock.js'
import type { Store } from '../store/store.js'
import { needsTokens } from './tokenize-prompts.js'

/** No side file is nearly as large, in bytes. */
const MOST = 1 << 28

const read = async (path: string): Promise<Result<Uint8Array>> => {
  try {
    return await readRegular(path, { wanted: SIDE_FILE_WORDS, most: MOST })
  } catch (error) {
    return failed(ioProblem(error, path, 'read'))
  }
}

type ReadFolder = (input: OpenedInput) => Promise<Result<ModelFolder | undefined>>

/** Reads what stands beside an input that is not on this machine, by name. */
type ReadRemotely = (input: OpenedInput) => Promise<Result<ReadonlyMap<string, Uint8Array>> | undefined>

const readFolderAt = async (folder: string): Promise<Result<ModelFolder | undefined>> => {
  const names = await readdir(folder).catch((): string[] => [])
  // Without a config it is a folder of anything: its other files are not known to belong to the model.
  if (!names.includes(CONFIG)) return ok(undefined)
  const files = new Map<string, Uint8Array>()
  for (const name of names.filter(isSideFile).sort()) {
    const bytes = await read(join(folder, name))
    if (bytes.type === 'failed') return bytes
    files.set(name, bytes.value)
  }
  const card = names.includes(CARD) ? await read(join(folder, CARD)) : undefined
  if (card?.type === 'failed') return card
  return ok({ files, card: card === undefined ? undefined : Buffer.from(card.value).toString('utf8') })
}

const ofRemote = (read: Result<ReadonlyMap<string, Uint8Array>>): Result<ModelFolder | undefined> => {
  if (read.type === 'failed') return read
  if (!read.value.has(CONFIG)) return ok(undefined)
  const card = read.value.get(CARD)
  const files = [...read.value].filter(([name]) => isSideFile(name)).sort(([x], [y]) => (x < y ? -1 : 1))
  return ok({ files: new Map(files), card: card === undefined ? undefined : Buffer.from(card).toString('utf8') })
}

/** Reads folders once for all settings of a recipe; `remotely` those of inputs that are not on this machine. */
export const createFolderReader = (remotely?: ReadRemotely): ReadFolder => {
  const known = new Map<string, ReturnType<ReadFolder>>()
  return (input) => {
    const folder = dirname(input.file.path)
    const read = async (): Promise<Result<ModelFolder | undefined>> => {
      const sides = input.isRemote === true ? await remotely?.(input) : undefined
      return sides === undefined ? readFolderAt(folder) : ofRemote(sides)
    }
    const reading = known.get(folder) ?? read()
    known.set(folder, reading)
    return reading
  }
}

/**
 * Reads the folders of a recipe's models, by name, if it needs them: for an output that is a folder, for tokenizers, or
 * for prompts.
 */
export const readModelFolders = async (
  recipe: Recipe,
  inputs: OpenedInputs,
  readFolder: ReadFolder = createFolderReader(),
): Promise<Result<ReadonlyMap<string, ModelFolder>>> => {
  const folders = new Map<string, ModelFolder>()
  const isFolder = [...recipe.outputs.values()].some((output) => output.folder)
  if (recipe.tokenizer === undefined && !isFolder && !needsTokens(recipe)) return ok(folders)
  const problems: Diagnostic[] = []
  for (const input of inputs.values()) {
    const { name, kind, at } = input
    if (kind !== 'model') continue
    const folder = await readFolder(input)
    if (folder.type === 'failed')
      append(
        problems,
        folder.diagnostics.map((d) => ({ ...d, at })),
      )
    else if (folder.value !== undefined) folders.set(name, folder.value)
  }
  return problems.length > 0 ? failed(...problems) : ok(folders)
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
