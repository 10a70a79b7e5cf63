import { readdir, realpath, stat } from 'node:fs/promises'
import { basename, dirname, join, resolve, sep } from 'node:path'
import * as problems from '../base/catalogue/sharded-index.js'
import type { Diagnostic } from '../base/diagnostic.js'
import type { Digest } from '../base/digest.js'
import { append } from '../base/lists.js'
import { failed, ok } from '../base/result.js'
import type { Result } from '../base/result.js'
import type { TensorInfo } from '../tensor/info.js'
import { ioProblem } from './io-problem.js'
import { compareNames } from './name-order.js'
import { openingProblem, readHeader } from './open.js'
import type { FileIdentity, SafetensorsFile } from './open.js'
import { findUnindexed, shardNumber } from './shard-names.js'
import { INDEX_SUFFIX, readIndex } from './sharded-index.js'
import type { ShardedIndex } from './sharded-index.js'

/** A small file that is looked for beside a model and says something about it. */
export interface SideFile {
  /** Absolute. */
  readonly path: string
  /** Undefined where there is none. */
  readonly found: { readonly identity: FileIdentity; readonly digest: Digest } | undefined
}

/** One file of a checkpoint: what it holds, and what tells whether it is still the same. */
export type ModelFile = Pick<SafetensorsFile, 'path' | 'tensors' | 'metadata' | 'identity'>

/** A checkpoint as one thing, in however many files it lies. */
export interface Model {
  /** Absolute: the file or the index that was opened, never the folder. */
  readonly path: string
  readonly files: readonly ModelFile[]
  /** In order of name, by code point. */
  readonly tensors: ReadonlyMap<string, TensorInfo>
  /** Of all files; where two disagree, the first file's text stands. */
  readonly metadata: ReadonlyMap<string, string>
  /** Bytes of `tensors`, as an index's `total_size` counts them. */
  readonly bytes: number
  /** Nothing of an index enters a result but which file holds a tensor, so it is none of them. */
  readonly sides: readonly SideFile[]
}

type Ok<T> = Result<T> & { readonly type: 'ok' }

/**
 * Opens a safetensors file, an index with its shards, or a folder that holds exactly one of either. Reads headers only.
 */
export const openModel = async (path: string): Promise<Result<Model>> => {
  try {
    if ((await stat(path)).isDirectory()) return await openFolder(path)
  } catch (error) {
    return failed(await openingProblem(error, path))
  }
  return basename(path).endsWith('.json') ? openSharded(path) : openSingle(path)
}

/** The same model in the names of its maker, as Mistral ships it beside that of Hugging Face. */
const AGAIN = /^consolidated(?:[.-].*)?\.safetensors$/

const openFolder = async (folder: string): Promise<Result<Model>> => {
  const names = (await readdir(folder)).filter((name) => !name.startsWith('.')).sort()
  const indexes = names.filter((name) => name.endsWith(INDEX_SUFFIX))
  const all = names.filter((name) => name.endsWith('.safetensors'))
  const usual = all.filter((name) => !AGAIN.test(name))
  const files = usual.length > 0 ? usual : all
  const [index] = indexes
  const [file] = files
  if (indexes.length > 1) return failed(problems.folderAmbiguous(folder, indexes))
  if (index === undefined) {
    if (file === undefined) return failed(problems.folderWithoutModel(folder, names, await modelsBelow(folder)))
    const shards = findUnindexed(names)
    if (shards !== undefined) return failed(problems.shardsWithoutIndex(folder, shards.shards, shards.of))
    return files.length > 1 ? failed(problems.folderAmbiguous(folder, files)) : openSingle(join(folder, file))
  }
  const read = await readIndex(join(folder, index))
  if (read.type === 'failed') return read
  const others = files.filter((name) => !read.value.shards.includes(name))
  const there = read.value.shards.some((name) => names.includes(name))
  return others.length > 0
    ? failed(there ? problems.folderWithOthers(folder, index, others) : problems.indexAlone(folder, index, others))
    : openShards(join(folder, index), read)
}

/** The folders in a folder that hold a model. */
const modelsBelow = async (folder: string): Promise<readonly string[]> => {
  const found: string[] = []
  for (const entry of await readdir(folder, { withFileTypes: true }))
    if (!entry.name.startsWith('.') && !entry.isFile()) {
      const names = await readdir(join(folder, entry.name)).catch(() => [])
      if (names.some((name) => /\.(?:safetensors|bin)(?:\.index\.json)?$/.test(name))) found.push(entry.name)
    }
  return found.sort()
}

const openSingle = async (path: string): Promise<Result<Model>> => {
  const file = await readHeader(path)
  if (file.type === 'failed') return file
  const warnings = [...file.diagnostics]
  const shard = shardNumber(basename(path))
  if (shard !== undefined && shard.of > 1) warnings.push(problems.oneShardOnly(path, shard.number, shard.of))
  if (await exists(`${path}.index.json`)) warnings.push(problems.indexBeside(path, `${path}.index.json`))
  return ok(toModel(file.value.path, [file.value], file.value.tensors), warnings)
}

const openSharded = async (path: string): Promise<Result<Model>> => {
  const read = await readIndex(path)
  if (read.type === 'failed') return read
  const whole = path.replace(/\.index\.json$/, '')
  const rival = whole !== path && !read.value.shards.includes(basename(whole)) && (await exists(whole))
  return openShards(
    path,
    rival ? { ...read, diagnostics: [...read.diagnostics, problems.indexBeside(path, whole)] } : read,
  )
}

/** Opens the shards of an index that is read, each with `openFile`. */
export const openShards = async (
  path: string,
  index: Ok<ShardedIndex>,
  openFile: (path: string) => Promise<Result<ModelFile>> = readHeader,
): Promise<Result<Model>> => {
  const folder = dirname(resolve(path))
  const { shards } = index.value
  const missing: string[] = []
  for (const shard of shards) if (!(await exists(join(folder, shard)))) missing.push(shard)
  if (missing.length > 0) return failed(problems.shardsMissing(path, missing))
  const diagnostics = [...index.diagnostics]
  const files = new Map<string, ModelFile>()
  for (const shard of shards) {
    const strayed = await strayedShard(path, folder, shard)
    const file = strayed === undefined ? await openFile(join(folder, shard)) : failed(strayed)
    append(diagnostics, file.diagnostics)
    if (file.type === 'ok') files.set(shard, file.value)
  }
  return files.size < shards.length ? failed(...diagnostics) : assembleShards(path, index, files, diagnostics)
}

/** Makes one model of shards that are open, by name, and checks that they are what their index says. */
export const assembleShards = (
  path: string,
  index: Ok<ShardedIndex>,
  files: ReadonlyMap<string, ModelFile>,
  diagnostics: readonly Diagnostic[],
): Result<Model> => {
  const { shardOf } = index.value
  const tensors = new Map<string, TensorInfo>()
  const absent: string[] = []
  for (const [name, shard] of shardOf) {
    const info = files.get(shard)?.tensors.get(name)
    if (info === undefined) absent.push(name)
    // The name of the header, so that that of the index can be forgotten.
    else tensors.set(info.name, info)
  }
  if (absent.length > 0)
    return failed(...diagnostics, problems.tensorsNotInShards(path, absent, shardOf.get(absent[0] ?? '') ?? ''))
  const model = toModel(resolve(path), [...files.values()], tensors)
  return ok(model, [...diagnostics, ...compareWithIndex(path, index.value, model, files)])
}

/**
 * What shards hold beyond the index, and a `total_size` that is not theirs: worth a warning, since readers differ in
 * what they do with
 * it.
 */
const compareWithIndex = (
  path: string,
  { shardOf, totalSize }: ShardedIndex,
  model: Model,
  files: ReadonlyMap<string, ModelFile>,
): Diagnostic[] => {
  const unnamed: string[] = []
  const twice: string[] = []
  for (const [shard, file] of files) {
    for (const name of file.tensors.keys()) {
      const named = shardOf.get(name)
      if (named === undefined) unnamed.push(name)
      else if (named !== shard) twice.push(name)
    }
  }
  const [first] = twice
  return [
    ...(unnamed.length === 0 ? [] : [problems.tensorsNotInIndex(path, unnamed)]),
    ...(first === undefined ? [] : [problems.tensorsInTwoShards(path, twice, shardOf.get(first) ?? '')]),
    ...(totalSize === undefined || totalSize === model.bytes
      ? []
      : [problems.totalSizeDiffers(path, totalSize, model.bytes)]),
  ]
}

/** A model of files that are open, in the order in which tensors are told. */
export const toModel = (
  path: string,
  files: readonly ModelFile[],
  tensors: ReadonlyMap<string, TensorInfo>,
): Model => ({
  path,
  files,
  tensors: new Map([...tensors].sort(([x], [y]) => compareNames(x, y))),
  metadata: new Map(files.toReversed().flatMap((file) => [...file.metadata])),
  bytes: [...tensors.values()].reduce((sum, { begin, end }) => sum + end - begin, 0),
  sides: [],
})

const exists = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    (error: unknown) => !['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? ''),
  )

/**
 * The problem of a shard that links out of the model's folder; the one way out allowed is into `blobs/` of a Hugging
 * Face cache entry.
 */
const strayedShard = async (path: string, folder: string, shard: string): Promise<Diagnostic | undefined> => {
  try {
    const home = await realpath(folder)
    const real = await realpath(join(folder, shard))
    const snapshots = home.lastIndexOf(`${sep}snapshots${sep}`)
    const allowed = [home, ...(snapshots < 0 ? [] : [`${home.slice(0, snapshots)}${sep}blobs`])]
    return allowed.some((root) => real.startsWith(root.endsWith(sep) ? root : root + sep))
      ? undefined
      : problems.shardStrays(path, shard)
  } catch (error) {
    return ioProblem(error, join(folder, shard), 'read')
  }
}
