import { isUtf8 } from 'node:buffer'
import { mended, notMendable, UNMENDABLE } from '../base/catalogue/repair.js'
import { headerNotJson, headerNotUtf8 } from '../base/catalogue/safetensors.js'
import { failed, ok, type Result } from '../base/result.js'
import { isDtype, type Dtype } from '../tensor/dtype.js'
import { PREFIX } from './header.js'
import { readJson, type JsonReader } from './strict-json.js'

/** A tensor as its entry means it; offsets from the start of the data. */
export interface LenientEntry {
  readonly name: string
  readonly dtype: Dtype
  readonly shape: readonly number[]
  readonly begin: number
  readonly end: number
}

/**
 * What a header means, and what had to be overlooked to read it: kinds of defects, each with the names it was met at.
 */
export interface LenientHeader {
  readonly entries: readonly LenientEntry[]
  readonly metadata: ReadonlyMap<string, string>
  readonly defects: readonly string[]
}

/** Spellings of dtypes that can mean only one; all others are left alone. */
const SPELLINGS: Readonly<Record<string, Dtype>> = {
  BFLOAT16: 'BF16',
  FLOAT16: 'F16',
  FLOAT32: 'F32',
  FLOAT64: 'F64',
  FP16: 'F16',
  FP32: 'F32',
  HALF: 'F16',
  INT8: 'I8',
  INT16: 'I16',
  INT32: 'I32',
  INT64: 'I64',
  UINT8: 'U8',
  F8_E4M3FN: 'F8_E4M3',
  FLOAT8_E4M3FN: 'F8_E4M3',
  FLOAT8_E5M2: 'F8_E5M2',
}

const dtypeOf = (text: unknown): Dtype | undefined => {
  const upper = typeof text === 'string' ? text.toUpperCase() : ''
  return isDtype(upper) ? upper : SPELLINGS[upper]
}

/** Whole numbers, also where a program wrote them as `1.0` or in quotes. */
const wholeNumbers = (value: unknown): readonly number[] | undefined => {
  if (!Array.isArray(value)) return undefined
  const numbers = value.map((item) =>
    typeof item === 'number' || (typeof item === 'string' && /^\d+$/.test(item)) ? Number(item) + 0 : Number.NaN,
  )
  return numbers.every((n) => Number.isSafeInteger(n) && n >= 0) ? numbers : undefined
}

type Fields = Map<string, Buffer>

const readFields = (json: JsonReader): { readonly fields: Fields; readonly twice: readonly string[] } => {
  const fields: Fields = new Map()
  const twice: string[] = []
  json.object((key) => {
    const text = json.skip()
    if (fields.has(key)) twice.push(key)
    fields.set(key, text)
  })
  return { fields, twice }
}

const parse = (text: Buffer | undefined): unknown => (text === undefined ? undefined : JSON.parse(text.toString()))

/** What stands around the JSON of a header and does not belong there. */
const trim = (
  bytes: Buffer,
): { readonly json: Buffer; readonly defects: readonly string[]; readonly before: number } => {
  const mark = bytes.subarray(0, 3).equals(Buffer.from([0xef, 0xbb, 0xbf])) ? 3 : 0
  let end = bytes.length
  while (end > mark && bytes[end - 1] === 0) end--
  const zeros = bytes.length - end
  return {
    json: bytes.subarray(mark, end),
    before: mark,
    defects: [...(mark === 0 ? [] : [mended.byteOrderMark]), ...(zeros === 0 ? [] : [mended.padding(zeros)])],
  }
}

/** Gathers the names at which each kind of defect was met. */
const openDefects = () => {
  const met = new Map<(names: readonly string[]) => string, string[]>()
  return {
    add: (kind: (names: readonly string[]) => string, name: string): void =>
      void met.set(kind, [...(met.get(kind) ?? []), name]),
    all: (): readonly string[] => [...met].map(([kind, names]) => kind(names)),
  }
}

/** Reads a header whose JSON is sound but breaks the format in ways that leave no doubt about what is meant. */
export const readLenientHeader = (path: string, bytes: Buffer): Result<LenientHeader> => {
  if (!isUtf8(bytes)) return failed(headerNotUtf8(path))
  const { json: text, defects: around, before } = trim(bytes)
  let tensor: string | undefined
  const json = readJson(text, {
    depth: 128,
    longest: Infinity,
    describe: (reason, offset) => headerNotJson(path, reason, PREFIX + before + offset, tensor),
  })
  const defects = openDefects()
  const others: string[] = []
  const entries = new Map<string, LenientEntry>()
  const metadata = new Map<string, string>()

  const readMetadata = (): void => {
    if (json.peek() === 0x6e) {
      json.skip()
      return void others.push(mended.metadataNull)
    }
    if (json.peek() !== 0x7b) {
      metadata.set('metadata', json.skip().toString())
      return void others.push(mended.metadataShape)
    }
    const { fields, twice } = readFields(json)
    if (['dtype', 'shape', 'data_offsets'].every((field) => fields.has(field)))
      return json.refuse(notMendable(path, UNMENDABLE.metadataTensor))
    for (const key of twice) defects.add(mended.metadataKeys, key)
    for (const [key, value] of fields) {
      const isText = value[0] === 0x22
      if (!isText) defects.add(mended.metadataTexts, key)
      if (metadata.has(key) && !twice.includes(key)) defects.add(mended.metadataKeys, key)
      metadata.set(key, isText ? (JSON.parse(value.toString()) as string) : value.toString())
    }
  }

  const readEntry = (name: string): void => {
    const { fields, twice } = readFields(json)
    if (json.fault() !== undefined) return
    const own = twice.find((field) => ['dtype', 'shape', 'data_offsets'].includes(field))
    if (own !== undefined) return json.refuse(notMendable(path, UNMENDABLE.fieldTwice(name, own), name))
    const [written, shapeText, offsetsText] = ['dtype', 'shape', 'data_offsets'].map((field) => fields.get(field))
    const [dtype, shape, offsets] = [
      dtypeOf(parse(written)),
      wholeNumbers(parse(shapeText)),
      wholeNumbers(parse(offsetsText)),
    ]
    const lacks =
      dtype === undefined ? 'dtype' : shape === undefined ? 'shape' : offsets?.length !== 2 ? 'data_offsets' : undefined
    if (lacks !== undefined) return json.refuse(notMendable(path, UNMENDABLE.field(name, lacks), name))
    const entry: LenientEntry = { name, dtype: dtype!, shape: shape!, begin: offsets![0]!, end: offsets![1]! }
    const earlier = entries.get(name)
    if (earlier !== undefined && JSON.stringify(earlier) !== JSON.stringify(entry))
      return json.refuse(notMendable(path, UNMENDABLE.twice(name), name))
    if (earlier !== undefined) defects.add(mended.twice, name)
    if (parse(written) !== dtype) defects.add(mended.dtypes, name)
    if (/[".eE-]/.test(`${shapeText!.toString()}${offsetsText!.toString()}`)) defects.add(mended.numbers, name)
    if (fields.size > 3) defects.add(mended.fields, name)
    entries.set(name, entry)
  }

  json.object((name) => {
    if (name === '__metadata__') return readMetadata()
    tensor = name
    readEntry(name)
    tensor = undefined
  })
  json.finish()
  const fault = json.fault()
  return fault === undefined
    ? ok({ entries: [...entries.values()], metadata, defects: [...around, ...others, ...defects.all()] })
    : failed(fault)
}
