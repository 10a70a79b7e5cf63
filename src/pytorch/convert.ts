import fs from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import * as problems from '../base/catalogue/pytorch.js'
import { inputChanged } from '../base/catalogue/run.js'
import type { Diagnostic } from '../base/diagnostic.js'
import { append } from '../base/lists.js'
import { failed, ok, type Result } from '../base/result.js'
import { MAX_HEADER } from '../safetensors/header.js'
import { layoutFile, quote } from '../safetensors/layout.js'
import { openModel, openShards } from '../safetensors/model.js'
import { identityOf, isSameFile, openingProblem, readHeader } from '../safetensors/open.js'
import { createOutput } from '../safetensors/output.js'
import { readFully, writeFully } from '../safetensors/positional.js'
import { READ_ONLY } from '../safetensors/regular-file.js'
import { createRunId } from '../safetensors/run-id.js'
import { readIndex } from '../safetensors/sharded-index.js'
import { preflight } from '../safetensors/space.js'
import { sweepTemporaries } from '../safetensors/temporary.js'
import { checkSum, checksum, isZip, plainName, readArchive, type Archive, type ArchiveTensor } from './archive.js'
import { copyRanges, type OpenFile } from './copy.js'
import { gather } from './gather.js'
import { BIN_INDEX, findCheckpoint, METADATA, toFile } from './open.js'
import type { ZipEntry } from './zip.js'

/** What was converted, and where the copy lies. */
export interface Converted {
  readonly path: string
  readonly out: string
  /** What was done besides copying, as sentences in the past tense. */
  readonly notes: readonly string[]
  readonly tensors: number
  /** Of the file that was written. */
  readonly bytes: number
}

/** A tensor with the archive that holds it. */
interface Placed {
  readonly archive: Archive
  readonly tensor: ArchiveTensor
}

/** Everything that goes into the copy. */
interface Source {
  /** Absolute: the archive, or the index of several. */
  readonly path: string
  readonly tensors: readonly Placed[]
}

/** Bytes that are read at once for a checksum alone. */
const PIECE = 1 << 20
/** Bytes that a header takes for a tensor besides its name, at most; and for each of its dimensions. */
const [ENTRY, DIMENSION] = [128, 20]

/** The name of the safetensors file beside a checkpoint that is converted; in its folder, if it is one. */
export const convertedName = async (path: string): Promise<string> => {
  const file = await findCheckpoint(path).catch(() => path)
  return join(dirname(file), `${plainName(file)}.safetensors`)
}

const openSource = async (path: string, key: string | undefined): Promise<Result<Source>> => {
  const file = await findCheckpoint(path)
  if (!file.endsWith(BIN_INDEX)) {
    const archive = await readOne(file, key)
    if (archive.type === 'failed') return archive
    const tensors = archive.value.tensors.map((tensor) => ({ archive: archive.value, tensor }))
    return ok({ path: archive.value.path, tensors }, archive.diagnostics)
  }
  const index = await readIndex(file, '.bin')
  if (index.type === 'failed') return index
  const placed = new Map<string, ReadonlyMap<string, Placed>>()
  const model = await openShards(file, index, async (shard) => {
    const archive = await readOne(shard, key)
    if (archive.type === 'failed') return archive
    const { path: at, tensors } = archive.value
    placed.set(at, new Map(tensors.map((tensor) => [tensor.name, { archive: archive.value, tensor }])))
    return ok(toFile(archive.value))
  })
  if (model.type === 'failed') return model
  const tensors = [...model.value.tensors.values()].map((info) => placed.get(info.file)!.get(info.name)!)
  return ok({ path: model.value.path, tensors }, model.diagnostics)
}

/** An archive; of a file that is none, what it is instead. */
const readOne = async (path: string, key: string | undefined): Promise<Result<Archive>> => {
  if (isZip(path)) return readArchive(path, key)
  const model = await openModel(path)
  return model.type === 'ok' ? failed(problems.nothingToConvert(path)) : model
}

/** What keeps the tensors from being written, besides room on the disk. */
const unwritable = ({ path, tensors }: Source): Diagnostic | undefined => {
  if (tensors.some(({ tensor }) => tensor.name === '__metadata__'))
    return problems.tensorNameRefused(path, '__metadata__')
  const header = tensors.reduce(
    (n, { tensor: { name, shape } }) => n + Buffer.byteLength(quote(name)) + ENTRY + DIMENSION * shape.length,
    0,
  )
  return header > MAX_HEADER ? problems.tooManyTensors(path) : undefined
}

/** Tensors that have bytes in common with one before them, as tied weights do. */
const findShared = (tensors: readonly Placed[]): readonly string[] => {
  const ends = new Map<ZipEntry, number>()
  const shared: string[] = []
  for (const { tensor } of tensors.toSorted((x, y) => x.tensor.begin - y.tensor.begin)) {
    if (tensor.bytes === 0) continue
    const [end, width] = [ends.get(tensor.entry) ?? 0, tensor.bytes / tensor.shape.reduce((n, d) => n * d, 1)]
    if (tensor.begin < end) shared.push(tensor.name)
    const last = tensor.shape.reduce((sum, size, i) => sum + (size - 1) * tensor.strides[i]!, 1) * width
    ends.set(tensor.entry, Math.max(end, tensor.begin + last))
  }
  return shared
}

/** Reads an entry that no tensor covers whole, for its checksum alone. */
const verifyEntry = ({ fd, path }: OpenFile, entry: ZipEntry, piece: Buffer): Diagnostic | undefined => {
  let sum = checksum(piece.subarray(0, 0))
  if (entry.crc === undefined || sum === undefined) return undefined
  for (let at = entry.begin; at < entry.end; at += PIECE) {
    const part = piece.subarray(0, Math.min(PIECE, entry.end - at))
    const problem = readFully(fd, path, part, at)
    if (problem !== undefined) return problem
    sum = checksum(part, sum)
  }
  return checkSum(path, entry, sum)
}

/** Copies the tensors of one archive to where they go, and compares each storage with its checksum. */
const copyArchive = async (
  source: OpenFile,
  target: OpenFile,
  tensors: readonly ArchiveTensor[],
  offsets: ReadonlyMap<string, { readonly begin: number }>,
): Promise<Diagnostic | undefined> => {
  const verified = new Set<ZipEntry>()
  const ranges = tensors
    .filter((tensor) => tensor.contiguous)
    .map(({ name, begin, bytes, entry }) => {
      const isWhole = begin === entry.begin && begin + bytes === entry.end
      if (isWhole) verified.add(entry)
      return { begin, end: begin + bytes, to: offsets.get(name)!.begin, entry: isWhole ? entry : undefined }
    })
  const copied = await copyRanges(source, target, ranges, ({ entry }, sum) =>
    entry === undefined ? undefined : checkSum(source.path, entry, sum),
  )
  if (copied !== undefined) return copied
  for (const tensor of tensors.filter((t) => !t.contiguous)) {
    let to = offsets.get(tensor.name)!.begin
    const problem = gather(source, tensor, (part) => {
      to += part.length
      return writeFully(target.fd, target.path, part, to - part.length)
    })
    if (problem !== undefined) return problem
  }
  const piece = Buffer.allocUnsafe(PIECE)
  for (const { entry } of tensors) {
    const problem = verified.has(entry) ? undefined : verifyEntry(source, entry, piece)
    if (problem !== undefined) return problem
    verified.add(entry)
  }
  return undefined
}

/** Copies all tensors; each archive has to be the one that was read, before and after. */
const copyAll = async (
  target: OpenFile,
  tensors: readonly Placed[],
  offsets: ReadonlyMap<string, { readonly begin: number }>,
): Promise<Diagnostic | undefined> => {
  for (const [archive, own] of byArchive(tensors)) {
    const fd = fs.openSync(archive.path, READ_ONLY)
    const unchanged = (): boolean => isSameFile(archive.identity, identityOf(fs.fstatSync(fd, { bigint: true })))
    try {
      if (!unchanged()) return inputChanged(archive.path)
      const inOrder = own.toSorted((x, y) => x.begin - y.begin)
      const problem = await copyArchive({ fd, path: archive.path }, target, inOrder, offsets)
      if (problem !== undefined) return problem
      if (!unchanged()) return inputChanged(archive.path)
    } finally {
      fs.closeSync(fd)
    }
  }
  return undefined
}

const byArchive = (tensors: readonly Placed[]): ReadonlyMap<Archive, readonly ArchiveTensor[]> => {
  const groups = new Map<Archive, ArchiveTensor[]>()
  for (const { archive, tensor } of tensors) {
    const own = groups.get(archive)
    if (own === undefined) groups.set(archive, [tensor])
    else own.push(tensor)
  }
  return groups
}

const notesOf = (tensors: readonly Placed[]): readonly string[] => {
  const archives = [...byArchive(tensors).keys()]
  const keys = [...new Set(archives.map((archive) => archive.keys.join('.')))].filter((key) => key !== '')
  const skipped = archives.flatMap((archive) => archive.skipped)
  const skippedTensors = archives.reduce((n, archive) => n + archive.skippedTensors, 0)
  const [shared, strided] = [
    findShared(tensors),
    tensors.filter(({ tensor }) => !tensor.contiguous).map((t) => t.tensor.name),
  ]
  return [
    ...keys.map((key) => problems.converted.key(key)),
    ...(skipped.length === 0 ? [] : [problems.converted.skipped(skipped, skippedTensors)]),
    ...(shared.length === 0 ? [] : [problems.converted.shared(shared)]),
    ...(strided.length === 0 ? [] : [problems.converted.strided(strided)]),
  ]
}

/**
 * Writes the tensors of a checkpoint that PyTorch saved, or of all shards of one, to one safetensors file: complete, or
 * not at all, and never over another. Views become tensors of their own; every storage is compared with its checksum.
 * `key` chooses among several state dicts. Nothing in the checkpoint is run.
 */
export const convert = async (path: string, out: string, key?: string): Promise<Result<Converted>> => {
  try {
    const opened = await openSource(resolve(path), key)
    if (opened.type === 'failed') return opened
    const source = opened.value
    const refused = unwritable(source)
    if (refused !== undefined) return failed(refused)
    if (fs.existsSync(out)) return failed(problems.convertTargetExists(out))
    const layout = layoutFile(
      source.tensors.map((placed) => placed.tensor),
      METADATA,
    )
    await sweepTemporaries(dirname(out), basename(out))
    const room = preflight(dirname(out), layout.bytes)
    if (room.type === 'failed') return room
    const output = await createOutput(out, layout.header, layout.bytes, createRunId(), { fresh: true })
    if (output.type === 'failed') return output
    const { fd, temporaryPath, commit, discard } = output.value
    const diagnostics = [...opened.diagnostics]
    try {
      const problem = await copyAll({ fd, path: temporaryPath }, source.tensors, layout.offsets)
      if (problem !== undefined) return failed(problem)
      const committed = await commit()
      if (committed.type === 'failed') return fs.existsSync(out) ? failed(problems.convertTargetExists(out)) : committed
    } finally {
      await discard()
    }
    const judged = await readHeader(out)
    if (judged.type === 'failed') throw new Error(`converted into no safetensors: ${judged.diagnostics[0]!.message}`)
    append(diagnostics, judged.diagnostics)
    const { tensors } = source
    return ok(
      { path: source.path, out, notes: notesOf(tensors), tensors: tensors.length, bytes: layout.bytes },
      diagnostics,
    )
  } catch (error) {
    return failed(await openingProblem(error, path))
  }
}
