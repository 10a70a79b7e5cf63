import * as problems from '../base/catalogue/pytorch.js'
import type { ZipFlaw } from '../base/catalogue/pytorch.js'
import type { Diagnostic } from '../base/diagnostic.js'
import { failed, ok, type Result } from '../base/result.js'
import { readFully } from '../safetensors/positional.js'

/** A file in an archive: its bytes, as they are unless it is compressed, are `begin..end` of the archive. */
export interface ZipEntry {
  readonly name: string
  readonly begin: number
  readonly end: number
  /** CRC-32 of the bytes; undefined where the writer recorded none. */
  readonly crc: number | undefined
  readonly compressed: boolean
}

/** Files of an archive by name, in the order of their bytes. */
export type ZipEntries = ReadonlyMap<string, ZipEntry>

const [LOCAL, CENTRAL, END, END64, LOCATOR64] = [0x04034b50, 0x02014b50, 0x06054b50, 0x06064b50, 0x07064b50]
const [LOCAL_BYTES, CENTRAL_BYTES, END_BYTES, END64_BYTES, LOCATOR_BYTES] = [30, 46, 22, 56, 20]
const [MOST_COMMENT, MOST_DIRECTORY] = [0xffff, 1 << 25]
const [NONE16, NONE32] = [0xffff, 0xffffffff]
/** Bits of an entry's flags: sizes follow the data, and the ways of encrypting it. */
const [DESCRIPTOR, ENCRYPTED] = [8, 0x2041]
const ZIP64_FIELD = 1

/** An entry as the directory has it. */
interface Listed {
  readonly name: Buffer
  readonly flags: number
  readonly method: number
  readonly crc: number
  /** Bytes as it is stored. */
  readonly packed: number
  readonly local: number
}

/** Reads some bytes of the archive; all of them, or says why not. */
type Read = (position: number, length: number) => Result<Buffer>

/** A number of 64 bits; 2^53 and more become infinite, since no file has so many bytes. */
const readU64 = (buffer: Buffer, at: number): number => {
  const value = buffer.readBigUInt64LE(at)
  return value <= Number.MAX_SAFE_INTEGER ? Number(value) : Infinity
}

/**
 * Reads the directory of a zip archive of `size` bytes and where the bytes of each file lie; nothing is unpacked. Only
 * what leaves no doubt is taken: one directory that ends where its end record begins, files of different names that do
 * not overlap, and are called the same in both places.
 */
export const readZip = (fd: number, path: string, size: number): Result<ZipEntries> => {
  const read: Read = (position, length) => {
    if (position < 0 || length < 0 || position + length > size) return refuse('cut-short', position)
    const buffer = Buffer.allocUnsafe(length)
    const problem = readFully(fd, path, buffer, position)
    return problem === undefined ? ok(buffer) : failed(problem)
  }
  const refuse = (flaw: ZipFlaw, at?: number) => failed(problems.invalidZip(path, flaw, at))
  const place = findDirectory(read, refuse, size)
  if (place.type === 'failed') return place
  const { begin, end, count } = place.value
  if (end - begin > MOST_DIRECTORY) return refuse('directory-too-large', begin)
  const directory = read(begin, end - begin)
  if (directory.type === 'failed') return directory
  const listed = parseDirectory(directory.value, count, begin, refuse)
  if (listed.type === 'failed') return listed
  const entries = new Map<string, ZipEntry>()
  let free = 0
  for (const item of listed.value.toSorted((x, y) => x.local - y.local)) {
    const name = item.name.toString()
    if ((item.flags & ENCRYPTED) !== 0) return failed(problems.zipEncrypted(path, name))
    if (entries.has(name)) return failed(problems.zipNameTwice(path, name))
    const header = read(item.local, LOCAL_BYTES + item.name.length)
    if (header.type === 'failed') return header
    const problem = checkLocal(header.value, item)
    if (problem !== undefined) return refuse(problem, item.local)
    if (!header.value.subarray(LOCAL_BYTES).equals(item.name)) return refuse('names-differ', item.local)
    const data = item.local + LOCAL_BYTES + item.name.length + header.value.readUInt16LE(28)
    if (item.local < free || data + item.packed > begin) return refuse('overlap', item.local)
    free = data + item.packed
    const crc = item.crc === 0 ? undefined : item.crc
    entries.set(name, { name, begin: data, end: free, crc, compressed: item.method !== 0 })
  }
  return ok(entries)
}

type Refuse = (flaw: ZipFlaw, at?: number) => { readonly type: 'failed'; readonly diagnostics: readonly Diagnostic[] }

/** Where the directory lies and how many files it lists, from the records at the end of the archive. */
const findDirectory = (
  read: Read,
  refuse: Refuse,
  size: number,
): Result<{ readonly begin: number; readonly end: number; readonly count: number }> => {
  const tailAt = Math.max(0, size - END_BYTES - MOST_COMMENT)
  const tail = read(tailAt, size - tailAt)
  if (tail.type === 'failed') return tail
  const bytes = tail.value
  let at = bytes.length - END_BYTES
  while (at >= 0 && (bytes.readUInt32LE(at) !== END || bytes.readUInt16LE(at + 20) !== bytes.length - at - END_BYTES))
    at--
  if (at < 0) return refuse('no-end')
  const end = bytes.subarray(at)
  const small = {
    disks: [end.readUInt16LE(4), end.readUInt16LE(6)],
    count: end.readUInt16LE(10),
    bytes: end.readUInt32LE(12),
    begin: end.readUInt32LE(16),
  }
  const locatorAt = tailAt + at - LOCATOR_BYTES
  const locator = locatorAt < 0 ? undefined : read(locatorAt, LOCATOR_BYTES)
  if (locator?.type === 'failed') return locator
  if (locator?.value.readUInt32LE(0) !== LOCATOR64) {
    if (small.disks.some((disk) => disk !== 0)) return refuse('several-disks', tailAt + at)
    return small.begin + small.bytes === tailAt + at
      ? ok({ begin: small.begin, end: tailAt + at, count: small.count })
      : refuse('directory-misplaced', tailAt + at)
  }
  const recordAt = readU64(locator.value, 8)
  const record = read(recordAt, END64_BYTES)
  if (record.type === 'failed') return record
  const wide = record.value
  if (wide.readUInt32LE(0) !== END64) return refuse('no-end', recordAt)
  if (wide.readUInt32LE(16) !== 0 || wide.readUInt32LE(20) !== 0) return refuse('several-disks', recordAt)
  const [count, length, begin] = [readU64(wide, 32), readU64(wide, 40), readU64(wide, 48)]
  const agree =
    (small.count === NONE16 || small.count === count) &&
    (small.bytes === NONE32 || small.bytes === length) &&
    (small.begin === NONE32 || small.begin === begin)
  return agree && begin + length === recordAt && recordAt + 12 + readU64(wide, 4) === locatorAt
    ? ok({ begin, end: recordAt, count })
    : refuse('directory-misplaced', recordAt)
}

const parseDirectory = (
  directory: Buffer,
  count: number,
  position: number,
  refuse: Refuse,
): Result<readonly Listed[]> => {
  const listed: Listed[] = []
  let at = 0
  while (at < directory.length) {
    const left = directory.length - at
    if (left < CENTRAL_BYTES || directory.readUInt32LE(at) !== CENTRAL) return refuse('bad-entry', position + at)
    const [nameBytes, extraBytes, commentBytes] = [28, 30, 32].map((field) => directory.readUInt16LE(at + field))
    const name = directory.subarray(at + CENTRAL_BYTES, at + CENTRAL_BYTES + nameBytes!)
    const extra = directory.subarray(at + CENTRAL_BYTES + nameBytes!, at + CENTRAL_BYTES + nameBytes! + extraBytes!)
    const next = at + CENTRAL_BYTES + nameBytes! + extraBytes! + commentBytes!
    if (next > directory.length) return refuse('bad-entry', position + at)
    const wide = wideFields(directory, at, extra)
    if (wide === undefined) return refuse('bad-entry', position + at)
    const [bytes, packed, local, disk] = wide
    const method = directory.readUInt16LE(at + 10)
    if (disk !== 0) return refuse('several-disks', position + at)
    if (method === 0 && bytes !== packed) return refuse('sizes-differ', position + at)
    const [flags, crc] = [directory.readUInt16LE(at + 8), directory.readUInt32LE(at + 16)]
    listed.push({ name, flags, method, crc, packed: packed!, local: local! })
    at = next
  }
  return listed.length === count ? ok(listed) : refuse('bad-count', position)
}

/** Size, packed size, offset and disk of an entry; those of 64 bits stand in its extra field, where there is room. */
const wideFields = (directory: Buffer, at: number, extra: Buffer): readonly number[] | undefined => {
  const values = [24, 20, 42].map((field) => directory.readUInt32LE(at + field))
  const disk = directory.readUInt16LE(at + 34)
  if (!values.includes(NONE32)) return [...values, disk]
  for (let from = 0; from + 4 <= extra.length;) {
    const [id, length] = [extra.readUInt16LE(from), extra.readUInt16LE(from + 2)]
    const field = extra.subarray(from + 4, from + 4 + length)
    from += 4 + length
    if (id !== ZIP64_FIELD) continue
    let read = 0
    for (const [i, value] of values.entries()) {
      if (value !== NONE32) continue
      if (read + 8 > field.length) return undefined
      values[i] = readU64(field, read)
      read += 8
    }
    if (disk !== NONE16) return [...values, disk]
    return read + 4 > field.length ? undefined : [...values, field.readUInt32LE(read)]
  }
  return undefined
}

/** What of the header in front of a file contradicts the directory; sizes may stand behind the data instead. */
const checkLocal = (header: Buffer, { flags, method, packed, crc }: Listed): ZipFlaw | undefined => {
  if (header.readUInt32LE(0) !== LOCAL) return 'no-local-header'
  if (header.readUInt16LE(8) !== method || (header.readUInt16LE(6) & ENCRYPTED) !== 0) return 'sizes-differ'
  if ((flags & DESCRIPTOR) !== 0 || (header.readUInt16LE(6) & DESCRIPTOR) !== 0) return undefined
  const size = header.readUInt32LE(18)
  return (size === NONE32 || size === packed) && header.readUInt32LE(14) === crc ? undefined : 'sizes-differ'
}
