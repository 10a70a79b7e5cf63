import { isDtype } from '../tensor/dtype.js'
import type { HeaderEntry } from './validate-layout.js'

/** The entries of a header, in the order of the text, and its metadata. */
export interface PlainHeader {
  readonly entries: HeaderEntry[]
  readonly metadata: ReadonlyMap<string, string>
}

/**
 * The longest header, in bytes, that is read as a whole before it is looked at: a longer one may be made to fill the
 * memory.
 */
const LONGEST = 1 << 20

const FIELDS: ReadonlySet<string> = new Set(['dtype', 'shape', 'data_offsets'])

const isRecord = (x: unknown): x is Readonly<Record<string, unknown>> =>
  typeof x === 'object' && x !== null && !Array.isArray(x)

const isCount = (x: unknown): x is number => Number.isSafeInteger(x) && (x as number) >= 0

/** A list of counts, shorter than any that is refused for its length. */
const isShape = (x: unknown): x is number[] => Array.isArray(x) && x.length < 1000 && x.every(isCount)

const toEntry = (name: string, value: unknown): HeaderEntry | undefined => {
  if (!isRecord(value)) return undefined
  for (const field in value) if (!FIELDS.has(field)) return undefined
  const { dtype, shape, data_offsets: offsets } = value
  if (typeof dtype !== 'string' || !isDtype(dtype) || !isShape(shape) || !isShape(offsets) || offsets.length !== 2)
    return undefined
  return { name, dtype, shape, begin: offsets[0]!, end: offsets[1]! }
}

const toMetadata = (value: unknown): ReadonlyMap<string, string> | undefined => {
  if (!isRecord(value)) return undefined
  const entries = Object.entries(value)
  return entries.every((entry): entry is [string, string] => typeof entry[1] === 'string')
    ? new Map(entries)
    : undefined
}

/**
 * Reads a header as the reference writes it, compact and without anything odd, by `JSON.parse`; undefined for any other,
 * which has to be read under the rules of the format. What `JSON.stringify` writes as the very same text has no name
 * twice, no number that was rounded and no order that was lost.
 */
export const readPlainHeader = (bytes: Buffer): PlainHeader | undefined => {
  let end = bytes.length
  while (end > 0 && bytes[end - 1] === 0x20) end -= 1
  if (end > LONGEST) return undefined
  const text = bytes.toString('utf8', 0, end)
  // Half a surrogate pair is written as such an escape, and refused.
  if (text.includes('\\u')) return undefined
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch {
    return undefined
  }
  if (!isRecord(json)) return undefined
  const entries: HeaderEntry[] = []
  let metadata: ReadonlyMap<string, string> | undefined = new Map()
  for (const name in json) {
    if (name === '__metadata__') {
      metadata = toMetadata(json[name])
      if (metadata === undefined || metadata.size > 1000) return undefined
      continue
    }
    const entry = toEntry(name, json[name])
    if (entry === undefined) return undefined
    entries.push(entry)
  }
  // Last: by now it is known not to be nested deeper than the call stack.
  return JSON.stringify(json) === text ? { entries, metadata } : undefined
}
