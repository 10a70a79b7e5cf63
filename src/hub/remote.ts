import { dirname, join } from 'node:path'
import { hubHeadersUnread, ENDS_EARLY } from '../base/catalogue/hub.js'
import type { Diagnostic } from '../base/diagnostic.js'
import { append } from '../base/lists.js'
import { failed, ok, type Result } from '../base/result.js'
import { isCheckpointName } from '../pytorch/open.js'
import {
  isScalar,
  NO_CONFIG,
  parseConfig,
  PEFT_CONFIG,
  type AdapterConfig,
  type AdapterFile,
} from '../safetensors/adapter-file.js'
import { headerLength, parseHeader, PREFIX } from '../safetensors/header.js'
import { assembleShards, toModel, type Model, type ModelFile } from '../safetensors/model.js'
import { noFile } from '../safetensors/open.js'
import { parseIndex } from '../safetensors/sharded-index.js'
import { snapshotFolder } from './cached.js'
import { backoff, type HubFailure, type RemoteFile } from './client.js'
import { findFiles, isIndex, ofFailure, shardsOf, type Found, type HubOrder } from './find.js'
import type { HubOrigin } from './reference.js'

/** A model or adapter as a hub tells it: headers, and nothing of its numbers. */
export interface RemoteModel {
  /** Its files have the paths that they would have in the cache. */
  readonly file: Model | AdapterFile
  readonly origin: HubOrigin
  /** Reads what stands beside it, by name. */
  readonly readSides: () => Promise<Result<ReadonlyMap<string, Uint8Array>>>
}

/** Tries in a row that bring no byte, files that are asked for at once, and bytes in which most headers are whole. */
const [TRIES, AT_ONCE, FRONT] = [5, 8, 1 << 16]
/** Scalars that are no further apart, in bytes, come with one question. */
const NEAR = 1 << 20

interface Reader {
  /** Reads a part of a file; no more than it has. */
  bytes(file: RemoteFile, begin: number, end: number): Promise<Result<Buffer>>
}

const createReader = ({ client, commit }: Found, order: HubOrder): Reader => ({
  bytes: async (file, begin, end) => {
    const buffer = Buffer.alloc(Math.max(0, Math.min(end, file.bytes) - begin))
    const { wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms)) } = order.access
    let last: HubFailure = { type: 'unreachable', reason: ENDS_EARLY }
    let done = 0
    for (let tried = 0; done < buffer.length;) {
      const before = done
      const take = (piece: Uint8Array): Promise<boolean> => {
        const fits = piece.subarray(0, buffer.length - done)
        buffer.set(fits, done)
        done += fits.length
        return Promise.resolve(done < buffer.length)
      }
      const { repository } = order.reference
      const answer = await client.read(repository, commit, file, begin + done, take, begin + buffer.length)
      if (done === buffer.length) break
      if (answer.type === 'stopped' || answer.type === 'refused' || answer.type === 'odd')
        return failed(ofFailure(answer, order))
      last = answer.type === 'ok' ? last : answer
      tried = done > before ? 0 : tried + 1
      if (tried >= TRIES) return failed(ofFailure(last, order))
      await wait(backoff(tried))
    }
    return ok(buffer)
  },
})

/** Reads the header of a safetensors file: its beginning, and the rest of the header where that is longer. */
const readHeader = async (read: Reader, file: RemoteFile, path: string): Promise<Result<ModelFile>> => {
  const front = await read.bytes(file, 0, FRONT)
  if (front.type === 'failed') return front
  const length = headerLength(path, front.value.subarray(0, PREFIX), file.bytes)
  if (length.type === 'failed') return length
  const end = PREFIX + length.value
  const more = end > front.value.length ? await read.bytes(file, front.value.length, end) : ok(Buffer.alloc(0))
  if (more.type === 'failed') return more
  const header = parseHeader(path, Buffer.concat([front.value, more.value]).subarray(PREFIX, end), file.bytes)
  if (header.type === 'failed') return header
  return ok({ path, identity: noFile(file.bytes), ...header.value }, header.diagnostics)
}

/** Does something for each of many files, some at once. */
const forAll = async <T>(
  files: readonly RemoteFile[],
  work: (file: RemoteFile) => Promise<Result<T>>,
): Promise<Result<readonly T[]>> => {
  const results: Result<T>[] = []
  let [next, isOver] = [0, false]
  const take = async (): Promise<void> => {
    for (let i = next++; i < files.length && !isOver; i = next++) {
      const done = await work(files[i]!)
      results[i] = done
      isOver ||= done.type === 'failed'
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, take))
  const told: Diagnostic[] = []
  for (const result of results) append(told, result?.diagnostics ?? [])
  return isOver
    ? failed(...told)
    : ok(
        results.flatMap((r) => (r.type === 'ok' ? [r.value] : [])),
        told,
      )
}

const openModelAt = async (
  found: Found,
  read: Reader,
  order: HubOrder,
  pathOf: (file: RemoteFile) => string,
): Promise<Result<Model>> => {
  const { main } = found
  const path = pathOf(main)
  if (!isIndex(main.path)) {
    const file = await readHeader(read, main, path)
    return file.type === 'failed' ? file : ok(toModel(path, [file.value], file.value.tensors), file.diagnostics)
  }
  const text = await read.bytes(main, 0, main.bytes)
  if (text.type === 'failed') return text
  const index = parseIndex(path, text.value)
  if (index.type === 'failed') return index
  const shards = shardsOf(found, index.value, order)
  if (shards.type === 'failed') return shards
  const files = await forAll(shards.value, (shard) => readHeader(read, shard, pathOf(shard)))
  if (files.type === 'failed') return files
  return assembleShards(path, index, new Map(index.value.shards.map((name, i) => [name, files.value[i]!])), [
    ...index.diagnostics,
    ...files.diagnostics,
  ])
}

/** The bytes of every scalar of an adapter, which alphas are. */
const readScalars = async (
  model: Model,
  read: Reader,
  { main }: Found,
): Promise<Result<ReadonlyMap<string, Uint8Array>>> => {
  const wanted = [...model.tensors.values()].filter(isScalar).sort((x, y) => x.begin - y.begin)
  const scalars = new Map<string, Uint8Array>()
  for (let from = 0; from < wanted.length;) {
    let to = from + 1
    while (to < wanted.length && wanted[to]!.begin - wanted[to - 1]!.end <= NEAR) to++
    const { begin } = wanted[from]!
    const part = await read.bytes(main, begin, wanted[to - 1]!.end)
    if (part.type === 'failed') return part
    for (const t of wanted.slice(from, to))
      scalars.set(t.name, new Uint8Array(part.value.subarray(t.begin - begin, t.end - begin)))
    from = to
  }
  return ok(scalars)
}

/**
 * Opens a model or adapter of a hub that is not on this machine, from the headers of its files alone: an index, and of
 * each file what stands in front of its tensors. Of an adapter also its scalars and its config. Writes nothing.
 */
export const openRemote = async (order: HubOrder): Promise<Result<RemoteModel>> => {
  const found = await findFiles(order)
  if (found.type === 'failed') return found
  const { commit, main, sides } = found.value
  const { access, reference, at, kind } = order
  const { repository } = reference
  if (isCheckpointName(main.path) || main.path.endsWith('.bin.index.json'))
    return failed(hubHeadersUnread(at, reference, main.path))
  const read = createReader(found.value, order)
  const snapshot = snapshotFolder(access.cache, repository, commit)
  const pathOf = ({ path }: RemoteFile): string => join(snapshot, ...path.split('/'))
  const nameOf = ({ path }: RemoteFile): string => path.slice(path.lastIndexOf('/') + 1)
  const model = await openModelAt(found.value, read, order, pathOf)
  if (model.type === 'failed') return model
  const readSides = async (): Promise<Result<ReadonlyMap<string, Uint8Array>>> => {
    const bytes = await forAll(sides, (file) => read.bytes(file, 0, file.bytes))
    return bytes.type === 'failed' ? bytes : ok(new Map(sides.map((file, i) => [nameOf(file), bytes.value[i]!])))
  }
  const done = (file: Model | AdapterFile): Result<RemoteModel> =>
    ok({ file, origin: { repository, commit, file: main.path }, readSides }, model.diagnostics)
  if (kind === 'model') return done(model.value)
  const config = sides.find((file) => nameOf(file) === PEFT_CONFIG)
  const text = config === undefined ? undefined : await read.bytes(config, 0, config.bytes)
  if (text?.type === 'failed') return text
  const parsed: Result<AdapterConfig> =
    text === undefined ? ok(NO_CONFIG) : parseConfig(join(dirname(pathOf(main)), PEFT_CONFIG), text.value)
  if (parsed.type === 'failed') return parsed
  const scalars = await readScalars(model.value, read, found.value)
  return scalars.type === 'failed' ? scalars : done({ ...model.value, scalars: scalars.value, ...parsed.value })
}
