import { basename, resolve } from 'node:path'
import fs from 'node:fs'
import zlib from 'node:zlib'
import * as problems from '../base/catalogue/pytorch.js'
import type { Diagnostic } from '../base/diagnostic.js'
import { failed, ok, type Result } from '../base/result.js'
import { identityOf, openingProblem, type FileIdentity } from '../safetensors/open.js'
import { readFully } from '../safetensors/positional.js'
import { openRegular, READ_ONLY } from '../safetensors/regular-file.js'
import type { Dtype } from '../tensor/dtype.js'
import { sizeOf } from '../tensor/info.js'
import { readPickle } from './pickle.js'
import { isContiguous, widthOf } from './rebuild.js'
import { findStateDict, type StateDict } from './state-dict.js'
import type { TensorRef } from './values.js'
import { readZip, type ZipEntries, type ZipEntry } from './zip.js'

/** A tensor of an archive: a view of one of its entries. */
export interface ArchiveTensor {
  readonly name: string
  readonly dtype: Dtype
  readonly shape: readonly number[]
  /** Elements from one index to the next, by dimension. */
  readonly strides: readonly number[]
  /** The entry whose bytes it views. */
  readonly entry: ZipEntry
  /** Byte of the archive at which its first element lies. */
  readonly begin: number
  /** Bytes of its elements when they lie one after another. */
  readonly bytes: number
  /** Whether they do. */
  readonly contiguous: boolean
}

/** A checkpoint that `torch.save` wrote, as far as its weights are concerned. */
export interface Archive extends Omit<StateDict, 'tensors'> {
  /** Absolute. */
  readonly path: string
  readonly identity: FileIdentity
  /** In the order of the pickle. */
  readonly tensors: readonly ArchiveTensor[]
}

/** The longest pickle that is read, in bytes. */
const MOST_PICKLE = 1 << 26

const PICKLE = /^([^/]+)\/data\.pkl$/

/**
 * Reads the directory and the pickle of a PyTorch archive, and where its tensors lie. No number of a tensor is read,
 * nothing is unpacked, and nothing in the file is run. `key` chooses among several state dicts.
 */
export const readArchive = async (path: string, key?: string): Promise<Result<Archive>> => {
  try {
    const opened = await openRegular(path, 'a checkpoint')
    if (opened.type === 'failed') return opened
    const handle = opened.value
    try {
      const identity = identityOf(await handle.stat({ bigint: true }))
      return readOpen(resolve(path), handle.fd, identity, key)
    } finally {
      await handle.close()
    }
  } catch (error) {
    return failed(await openingProblem(error, path))
  }
}

const readOpen = (path: string, fd: number, identity: FileIdentity, key: string | undefined): Result<Archive> => {
  const zip = readZip(fd, path, identity.size)
  if (zip.type === 'failed') return zip
  const entries = zip.value
  const pickles = [...entries.keys()].filter((name) => PICKLE.test(name))
  const [pickle] = pickles
  if (pickle === undefined) return failed(problems.notFromPytorch(path, [...entries.keys()]))
  if (pickles.length > 1) return failed(problems.severalPickles(path, pickles))
  const folder = PICKLE.exec(pickle)![1]!
  if (entries.has(`${folder}/constants.pkl`)) return failed(problems.torchScript(path))
  const small = (name: string, most: number): Result<Buffer | undefined> => {
    const entry = entries.get(`${folder}/${name}`)
    return entry === undefined ? ok(undefined) : readEntry(fd, path, entry, most)
  }
  const order = small('byteorder', 16)
  if (order.type === 'failed') return order
  if (order.value !== undefined && order.value.toString() !== 'little')
    return failed(problems.notLittleEndian(path, order.value.toString()))
  const bytes = small('data.pkl', MOST_PICKLE)
  if (bytes.type === 'failed') return bytes
  const value = readPickle(path, bytes.value!, entries.get(pickle)!.begin)
  if (value.type === 'failed') return value
  const found = findStateDict(path, value.value, key)
  if (found.type === 'failed') return found
  const tensors: ArchiveTensor[] = []
  for (const [name, view] of found.value.tensors) {
    const tensor = placeTensor(path, name, view, entries, folder)
    if (tensor.type === 'failed') return tensor
    tensors.push(tensor.value)
  }
  return ok({ ...found.value, path, identity, tensors })
}

const readEntry = (fd: number, path: string, entry: ZipEntry, most: number): Result<Buffer> => {
  const length = entry.end - entry.begin
  if (entry.compressed) return failed(problems.zipCompressed(path, entry.name))
  if (length > most) return failed(problems.zipEntryTooLarge(path, entry.name, length, most))
  const bytes = Buffer.allocUnsafe(length)
  const problem = readFully(fd, path, bytes, entry.begin) ?? checkSum(path, entry, checksum(bytes))
  return problem === undefined ? ok(bytes) : failed(problem)
}

/** CRC-32 of bytes that follow those of `before`; undefined before Node.js 20.15, which has no such function. */
export const checksum = (bytes: Uint8Array, before = 0): number | undefined =>
  typeof zlib.crc32 === 'function' ? zlib.crc32(bytes, before) : undefined

/** What is wrong with the bytes of an entry, by their CRC-32. */
export const checkSum = (path: string, entry: ZipEntry, found: number | undefined): Diagnostic | undefined =>
  entry.crc === undefined || found === undefined || entry.crc === found
    ? undefined
    : problems.zipChecksum(path, entry.name)

/** Finds the bytes of a tensor, and checks that it stays inside its storage and the storage is as long as it says. */
const placeTensor = (
  path: string,
  name: string,
  view: TensorRef,
  entries: ZipEntries,
  folder: string,
): Result<ArchiveTensor> => {
  const { storage, dtype, shape, strides, offset } = view
  const entry = entries.get(`${folder}/data/${storage.key}`)
  if (entry === undefined) return failed(problems.storageMissing(path, name, storage.key))
  if (entry.compressed) return failed(problems.zipCompressed(path, entry.name))
  const width = widthOf(dtype)
  const length = entry.end - entry.begin
  const claimed = storage.length * (storage.dtype === undefined ? 1 : width)
  if (claimed !== length) return failed(problems.storageSize(path, name, claimed, length))
  const elements = sizeOf(shape)
  const last = shape.reduce((sum, size, i) => sum + (size - 1) * strides[i]!, offset)
  if (!Number.isSafeInteger(elements * width)) return failed(problems.tensorTooLarge(path, name, shape))
  if (elements > 0 && !((last + 1) * width <= length)) return failed(problems.tensorOutside(path, name))
  return ok({
    name,
    dtype,
    shape,
    strides,
    entry,
    begin: elements === 0 ? entry.begin : entry.begin + offset * width,
    bytes: elements * width,
    contiguous: isContiguous(view),
  })
}

/** Whether a file begins as a zip archive does. Throws what the system says. */
export const isZip = (path: string): boolean => {
  if (!fs.statSync(path).isFile()) return false
  const fd = fs.openSync(path, READ_ONLY)
  try {
    const head = Buffer.alloc(4)
    return fs.readSync(fd, head, 0, 4, 0) === 4 && head.readUInt32BE() === 0x504b0304
  } finally {
    fs.closeSync(fd)
  }
}

/** The name of a checkpoint without its ending; PyTorch's own names become those that are usual for safetensors. */
export const plainName = (path: string): string =>
  basename(path)
    .replace(/(?:\.index\.json)$/i, '')
    .replace(/\.(?:bin|ckpt|pt|pth)$/i, '')
    .replace(/^pytorch_model/, 'model')
