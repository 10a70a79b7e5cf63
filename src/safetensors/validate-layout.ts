import * as problems from '../base/catalogue/safetensors.js'
import { failed, ok } from '../base/result.js'
import type { Result } from '../base/result.js'
import { DTYPES } from '../tensor/dtype.js'
import type { Dtype } from '../tensor/dtype.js'
import type { TensorInfo } from '../tensor/info.js'
import type { Notices } from './notices.js'

/** A tensor as its header entry states it, unchecked: integers of up to 64 bits, offsets from the start of the data. */
export interface HeaderEntry {
  readonly name: string
  readonly dtype: Dtype
  readonly shape: readonly (number | bigint)[]
  readonly begin: number | bigint
  readonly end: number | bigint
}

const U64 = (1n << 64n) - 1n
/** What every name has that is worth a closer look. */
const ODD_NAME = /^(?:\.\.)?$|[\p{Cc}\\/]/u
/** Dimensions that numpy and PyTorch can hold. */
const MAX_RANK = 64

/**
 * Judges entries by the reference's loop: in the order of their bytes each tensor begins where the one before ended and
 * has as many bytes
 * as its dtype and shape ask for, and the last one ends where the file ends. Gives the tensors with offsets from the
 * start of the file.
 */
export const validateLayout = (
  path: string,
  entries: readonly HeaderEntry[],
  dataBegin: number,
  fileBytes: number,
  notices: Notices,
): Result<ReadonlyMap<string, TensorInfo>> => {
  const tensors = new Map<string, TensorInfo>()
  const shapes = new Map<string, readonly number[]>()
  let previous: number | bigint = 0
  for (const entry of sortByBytes(entries)) {
    const { name, dtype, shape, begin, end } = entry
    if (compare(begin, previous) !== 0 || end < begin)
      return failed(problems.invalidOffset(path, name, begin, end, previous))
    const bits = bitsOf(shape, DTYPES[dtype].bits)
    if (bits === undefined) return failed(problems.validationOverflow(path, name, dtype, shape))
    if (typeof bits === 'bigint' ? bits % 8n !== 0n : bits % 8 !== 0)
      return failed(problems.misalignedSlice(path, name, dtype, shape))
    if (!fills(bits, begin, end))
      return failed(problems.tensorInvalidInfo(path, name, dtype, shape, BigInt(bits) / 8n, begin, end))
    const inexact = isPlain(shape) ? undefined : shape.find((d) => BigInt(Number(d)) !== BigInt(d))
    if (inexact !== undefined && begin === end) return failed(problems.dimensionInexact(path, name, inexact))
    noticeOddities(entry, notices)
    tensors.set(name, {
      name,
      dtype,
      shape: shared(shapes, shape),
      file: path,
      begin: dataBegin + Number(begin),
      end: dataBegin + Number(end),
    })
    previous = end
  }
  const expected = BigInt(dataBegin) + BigInt(previous)
  if (expected > fileBytes) return failed(problems.fileCutShort(path, expected, fileBytes))
  if (expected < fileBytes) return failed(problems.fileTooLong(path, expected, fileBytes))
  return ok(tensors)
}

/** A list for each shape that comes up: most tensors of a model have one of a few. */
const shared = (known: Map<string, readonly number[]>, shape: readonly (number | bigint)[]): readonly number[] => {
  const text = shape.join()
  const before = known.get(text)
  if (before !== undefined) return before
  // A copy is as long as it has to be; what grew has room for sixteen more.
  const own = isPlain(shape) ? shape.slice() : shape.map(Number)
  known.set(text, own)
  return own
}

/** Whether the bits are just those of the range; numbers take the short way, for there may be a million tensors. */
const fills = (bits: number | bigint, begin: number | bigint, end: number | bigint): boolean =>
  typeof bits === 'number' && typeof begin === 'number' && typeof end === 'number'
    ? bits / 8 === end - begin
    : BigInt(bits) / 8n === BigInt(end) - BigInt(begin)

const isPlain = (shape: readonly (number | bigint)[]): shape is readonly number[] => {
  for (const dimension of shape) if (typeof dimension === 'bigint') return false
  return true
}

/** Numbers and bigints compare exactly with < and >, but not with ===. */
const compare = (x: number | bigint, y: number | bigint): number => (x < y ? -1 : x > y ? 1 : 0)

/** By begin, then end; entries that say the same stay in the header's order. */
const sortByBytes = (entries: readonly HeaderEntry[]): readonly HeaderEntry[] => {
  return [...entries].sort((x, y) => compare(x.begin, y.begin) || compare(x.end, y.end))
}

/**
 * Bits of a tensor; undefined where the product, taken from left to right, leaves 64 bits at any step, even if a 0
 * follows.
 */
const bitsOf = (shape: readonly (number | bigint)[], bitsEach: number): number | bigint | undefined => {
  let size = 1
  for (const dimension of shape) size *= Number(dimension)
  // Exact as long as no partial product passed 2^53; a later 0 or a rounding must not hide that one did.
  if (size > 0 && size * bitsEach <= Number.MAX_SAFE_INTEGER) return size * bitsEach
  let exact = 1n
  for (const dimension of [...shape, bitsEach]) {
    exact *= BigInt(dimension)
    if (exact > U64) return undefined
  }
  return exact
}

const noticeOddities = ({ name, dtype, shape, begin }: HeaderEntry, notices: Notices): void => {
  if (ODD_NAME.test(name)) {
    if (name === '') notices.add(problems.emptyName, name)
    if (/\p{Cc}/u.test(name)) notices.add(problems.controlCharacterInName, name)
    if (/^[\\/]|(?:^|[\\/])\.\.(?:[\\/]|$)/.test(name)) notices.add(problems.pathLikeName, name)
  }
  if (shape.length > MAX_RANK) notices.add(problems.manyDimensions, name)
  if (!isPlain(shape)) notices.add(problems.hugeDimension, name)
  const align = DTYPES[dtype].bits / 8
  if (align > 1 && Number(begin) % align !== 0) notices.add(problems.unalignedTensor, name)
}
