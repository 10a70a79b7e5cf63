import { isUtf8 } from 'node:buffer'
import * as problems from '../base/catalogue/safetensors.js'
import { failed, ok } from '../base/result.js'
import type { Result } from '../base/result.js'
import { DTYPES, isDtype } from '../tensor/dtype.js'
import type { Dtype } from '../tensor/dtype.js'
import type { TensorInfo } from '../tensor/info.js'
import { validateLayout } from './validate-layout.js'
import type { HeaderEntry } from './validate-layout.js'
import { openNotices } from './notices.js'
import type { Notices } from './notices.js'
import { readPlainHeader } from './plain-header.js'
import type { PlainHeader } from './plain-header.js'
import { readJson } from './strict-json.js'
import type { JsonReader } from './strict-json.js'

/** The longest header the format allows, in bytes. */
export const MAX_HEADER = 100_000_000

/**
 * Dimensions from which on a shape is refused while it is read: nothing has a hundredth of them, and a header has room
 * for fifty million.
 */
const MAX_DIMENSIONS = 100_000
/** Keys of the metadata from which on it is refused: many trainers write some hundred. */
const MAX_METADATA = 100_000

/** Bytes in front of the header that hold its length. */
export const PREFIX = 8

/**
 * What a header says: tensors in the order of their bytes, with offsets from the start of the file, and the texts of
 * `__metadata__`.
 */
export interface Header {
  readonly tensors: ReadonlyMap<string, TensorInfo>
  readonly metadata: ReadonlyMap<string, string>
}

/**
 * The header's length in bytes, from the file's first 8 (or fewer, if there are no more); checked against the file's
 * size before
 * anything is allocated.
 */
export const headerLength = (path: string, prefix: Buffer, fileBytes: number): Result<number> => {
  if (prefix.length < PREFIX) return failed(problems.headerTooSmall(path, fileBytes))
  const length = prefix.readBigUInt64LE()
  if (length > MAX_HEADER) return failed(problems.headerTooLarge(path, length, MAX_HEADER))
  if (Number(length) + PREFIX > fileBytes)
    return failed(problems.invalidHeaderLength(path, Number(length) + PREFIX, fileBytes))
  return ok(Number(length))
}

/**
 * Reads a header under every rule of the format, in the reference's order of checks, and stricter where the reference
 * breaks its
 * own specification: names and metadata keys given twice, entries written as arrays, and dtypes written as objects are
 * refused. What
 * no program writes and would take long to read, shapes of thousands of dimensions and metadata of 100,000 keys, is
 * refused where it begins to.
 */
export const parseHeader = (path: string, bytes: Buffer, fileBytes: number): Result<Header> => {
  if (!isUtf8(bytes)) return failed(problems.headerNotUtf8(path))
  const notices = openNotices(path)
  const plain = readPlainHeader(bytes)
  const read = plain === undefined ? readStrictly(path, bytes, notices) : ok(plain)
  if (read.type === 'failed') return read
  const { entries, metadata } = read.value
  const valid = validateLayout(path, entries, PREFIX + bytes.length, fileBytes, notices)
  if (valid.type === 'failed' || valid.value.size < entries.length) {
    const twice = findTwice(entries)
    if (twice !== undefined) return failed(problems.duplicateTensor(path, twice))
  }
  if (valid.type === 'failed') return valid
  return ok({ tensors: valid.value, metadata }, notices.all())
}

/** Reads a header token by token, to tell what is wrong with it and where. */
const readStrictly = (path: string, bytes: Buffer, notices: Notices): Result<PlainHeader> => {
  let tensor: string | undefined
  /** The key of the metadata whose value is read; null before the map begins. */
  let key: string | null | undefined
  const json = readJson(bytes, {
    depth: 128,
    longest: Infinity,
    describe: (reason, offset) => {
      if (reason === (key === null ? 'expected-object' : 'expected-string') && key !== undefined)
        return problems.metadataNotText(path, key ?? undefined, PREFIX + offset)
      return problems.headerNotJson(path, reason, PREFIX + offset, tensor)
    },
  })
  const entries: HeaderEntry[] = []
  const readEntry = openEntries(json, path, notices)
  let metadata: Map<string, string> | undefined
  json.object((name) => {
    if (name === '__metadata__') {
      if (metadata !== undefined) return json.refuse(problems.fieldTwice(path, undefined, name))
      key = null
      metadata = readMetadata(json, path, notices, (next) => {
        key = next
      })
      key = undefined
      return
    }
    tensor = name
    entries.push(readEntry(name))
    tensor = undefined
  })
  json.finish()
  const fault = json.fault()
  if (fault !== undefined) return failed(fault)
  return ok({ entries, metadata: metadata ?? new Map() })
}

const readMetadata = (
  json: JsonReader,
  path: string,
  notices: Notices,
  at: (key: string) => void,
): Map<string, string> => {
  const metadata = new Map<string, string>()
  if (json.peek() === 0x6e) {
    json.null()
    notices.add(problems.metadataNull, '__metadata__')
    return metadata
  }
  json.object((key) => {
    if (metadata.has(key)) return json.refuse(problems.duplicateMetadataKey(path, key))
    if (metadata.size === MAX_METADATA) return json.refuse(problems.tooManyMetadataKeys(path, MAX_METADATA))
    at(key)
    metadata.set(key, json.string())
  })
  return metadata
}

/**
 * Gives the reader of one entry. Its callbacks and fields are made once for all entries, of which there may be a
 * million.
 */
const openEntries = (json: JsonReader, path: string, notices: Notices): ((name: string) => HeaderEntry) => {
  let name = ''
  let dtype: Dtype | undefined
  let shape: (number | bigint)[] | undefined
  let begin: number | bigint = 0
  let end: number | bigint = 0
  let offsets: number | undefined
  const pushDimension = (): void => {
    if (shape?.length === MAX_DIMENSIONS) return json.refuse(problems.tooManyDimensions(path, name, MAX_DIMENSIONS))
    shape?.push(json.integer())
  }
  const takeOffset = (): void => {
    const offset = json.integer()
    if (offsets === 0) begin = offset
    else end = offset
    offsets = (offsets ?? 0) + 1
  }
  const once = (field: string, known: unknown): void => {
    if (known !== undefined) json.refuse(problems.fieldTwice(path, name, field))
  }
  const takeField = (field: string): void => {
    if (field === 'dtype') {
      once(field, dtype)
      const text = json.string()
      if (isDtype(text)) dtype = text
      else json.refuse(problems.unknownDtype(path, name, text, Object.keys(DTYPES)))
    } else if (field === 'shape') {
      once(field, shape)
      shape = []
      json.array(pushDimension)
    } else if (field === 'data_offsets') {
      once(field, offsets)
      offsets = 0
      json.array(takeOffset)
      if (offsets !== 2) json.refuse(problems.offsetsNotTwo(path, name, offsets))
    } else {
      json.skip()
      notices.add(problems.unknownField, name)
    }
  }
  return (next) => {
    name = next
    dtype = undefined
    shape = undefined
    offsets = undefined
    json.object(takeField)
    const missing =
      dtype === undefined ? 'dtype' : shape === undefined ? 'shape' : offsets === undefined ? 'data_offsets' : undefined
    if (missing !== undefined) json.refuse(problems.fieldMissing(path, name, missing))
    return { name, dtype: dtype ?? 'U8', shape: shape ?? [], begin, end }
  }
}

const findTwice = (entries: readonly HeaderEntry[]): string | undefined => {
  const met = new Set<string>()
  for (const { name } of entries) {
    if (met.has(name)) return name
    met.add(name)
  }
  return undefined
}
