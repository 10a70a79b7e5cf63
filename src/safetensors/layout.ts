import { DTYPES } from '../tensor/dtype.js'
import type { Dtype } from '../tensor/dtype.js'
import { sizeOf } from '../tensor/info.js'
import type { TensorInfo } from '../tensor/info.js'
import { MAX_HEADER, PREFIX } from './header.js'
import { compareNames } from './name-order.js'

/** A tensor to be written: everything but its numbers. */
export type TensorOutline = Pick<TensorInfo, 'name' | 'dtype' | 'shape'>

/** Where everything in a file to be written goes; offsets are from the start of the file. */
export interface FileLayout {
  /** The file's first bytes: the length, the header, and its padding. */
  readonly header: Uint8Array
  /** In the order of the bytes. */
  readonly offsets: ReadonlyMap<string, { readonly begin: number; readonly end: number }>
  /** Length of the whole file. */
  readonly bytes: number
}

const LONE = /[\u{d800}-\u{dfff}]/u
const ORDER = new Map(Object.keys(DTYPES).map((dtype, i) => [dtype as Dtype, i]))

/**
 * Lays out a file as the reference does: widest dtypes first, then by name, compact JSON, padded with spaces to a
 * multiple of 8;
 * metadata keys are sorted, so that equal arguments give equal bytes. Throws on what no reader would take: a name
 * twice,
 * `__metadata__` as a name, bits that fill no whole byte.
 */
export const layoutFile = (
  tensors: readonly TensorOutline[],
  metadata: Readonly<Record<string, string>>,
): FileLayout => {
  const sorted = [...tensors].sort(
    (x, y) => (ORDER.get(y.dtype) ?? 0) - (ORDER.get(x.dtype) ?? 0) || compareNames(x.name, y.name),
  )
  const offsets = new Map<string, { begin: number; end: number }>()
  const fields: string[] = []
  const texts = Object.entries(metadata).sort(([x], [y]) => compareNames(x, y))
  if (texts.length > 0)
    fields.push(`"__metadata__":{${texts.map(([key, text]) => `${quote(key)}:${quote(text)}`).join()}}`)
  let end = 0
  for (const tensor of sorted) {
    const { name, dtype, shape } = tensor
    if (name === '__metadata__' || offsets.has(name) || LONE.test(name))
      throw new Error(`tensor name cannot be written: ${name}`)
    const begin = end
    end += bytesOf(tensor)
    offsets.set(name, { begin, end })
    // BigInt, for a dimension of 2^60 must not be rounded in print.
    const dimensions = shape.every(Number.isSafeInteger) ? shape.join() : shape.map((d) => BigInt(d)).join()
    fields.push(`${quote(name)}:{"dtype":"${dtype}","shape":[${dimensions}],"data_offsets":[${begin},${end}]}`)
  }
  const json = Buffer.from(`{${fields.join()}}`)
  const length = Math.ceil(json.length / 8) * 8
  if (length > MAX_HEADER || !Number.isSafeInteger(end))
    throw new Error(`cannot write a header of ${length} bytes for ${end} of data`)
  const header = Buffer.alloc(PREFIX + length, 0x20)
  header.writeBigUInt64LE(BigInt(length))
  header.set(json, PREFIX)
  for (const range of offsets.values()) {
    range.begin += header.length
    range.end += header.length
  }
  return { header, offsets, bytes: header.length + end }
}

/** Bytes of a tensor's data; throws where they are not whole. */
export const bytesOf = ({ name, dtype, shape }: TensorOutline): number => {
  const bytes = (sizeOf(shape) * DTYPES[dtype].bits) / 8
  if (!Number.isSafeInteger(bytes)) throw new Error(`tensor ${name} has ${bytes} bytes`)
  return bytes
}

/** A JSON string as the reference prints it; a lone surrogate, which no UTF-8 can hold, becomes U+FFFD. */
export const quote = (text: string): string =>
  JSON.stringify(LONE.test(text) ? text.replace(new RegExp(LONE, 'gu'), '\ufffd') : text)
