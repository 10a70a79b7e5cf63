import type { FloatDtype } from '../tensor/dtype.js'

/** The floating-point dtypes below 32 bits. */
export type SmallFloat = Exclude<FloatDtype, 'F32' | 'F64'>

/**
 * `infinity` is the code of infinity, null where the dtype has none; `nan` is the code of the quiet NaN. Codes are
 * without the sign.
 */
type Format = {
  readonly bits: 8 | 16
  readonly mantissa: number
  readonly bias: number
  readonly infinity: number | null
  readonly nan: number
}

const FORMATS: { readonly [D in SmallFloat]: Format } = {
  F16: { bits: 16, mantissa: 10, bias: 15, infinity: 0x7c00, nan: 0x7e00 },
  BF16: { bits: 16, mantissa: 7, bias: 127, infinity: 0x7f80, nan: 0x7fc0 },
  F8_E4M3: { bits: 8, mantissa: 3, bias: 7, infinity: null, nan: 0x7f },
  F8_E5M2: { bits: 8, mantissa: 2, bias: 15, infinity: 0x7c, nan: 0x7f },
}

const F32_INFINITY = 0x7f800000
const F32_NAN = 0x7fc00000

const decodeOne = ({ mantissa, bias, infinity, nan }: Format, code: number): number => {
  if (infinity === null ? code === nan : code > infinity) return NaN
  if (code === infinity) return Infinity
  const exponent = code >>> mantissa
  const fraction = code & ((1 << mantissa) - 1)
  return exponent === 0
    ? fraction * 2 ** (1 - bias - mantissa)
    : (fraction + (1 << mantissa)) * 2 ** (exponent - bias - mantissa)
}

// Bit patterns, because a JavaScript engine may change a NaN's bits when it passes as a number.
const tabulate = (format: Format): Uint32Array => {
  const half = 1 << (format.bits - 1)
  const sizes = new Float32Array(half)
  for (let code = 0; code < half; code++) sizes[code] = decodeOne(format, code)
  const table = new Uint32Array(2 * half)
  new Uint32Array(sizes.buffer).forEach((bits, code) => {
    const size = bits > F32_INFINITY ? F32_NAN : bits
    table[code] = size
    table[code + half] = size | 0x80000000
  })
  return table
}

const tables = new Map<SmallFloat, Uint32Array>()

const tableOf = (dtype: SmallFloat): Uint32Array => {
  const known = tables.get(dtype)
  if (known !== undefined) return known
  const table = tabulate(FORMATS[dtype])
  tables.set(dtype, table)
  return table
}

/** The float32 values of codes; exact. Every NaN becomes the quiet NaN of its sign. */
export const decode = (dtype: SmallFloat, codes: Uint16Array | Uint8Array): Float32Array<ArrayBuffer> => {
  const table = tableOf(dtype)
  const out = new Float32Array(codes.length)
  const bits = new Uint32Array(out.buffer)
  for (let i = 0; i < codes.length; i++) bits[i] = table[codes[i]!]!
  return out
}

/** The float32 values of all codes of the dtypes that programs look up. */
export const decodingTables = (): { readonly [D in 'F8_E4M3' | 'F8_E5M2' | 'BF16']: Float32Array<ArrayBuffer> } => {
  const codes = Uint8Array.from({ length: 1 << 8 }, (_, code) => code)
  return {
    F8_E4M3: decode('F8_E4M3', codes),
    F8_E5M2: decode('F8_E5M2', codes),
    BF16: decode(
      'BF16',
      Uint16Array.from({ length: 1 << 16 }, (_, code) => code),
    ),
  }
}

/**
 * The codes of float32 values, rounded to nearest, ties to even. What is too large becomes infinity, and NaN in
 * F8_E4M3, which has none.
 * NaN becomes the quiet NaN of its sign.
 */
export const encode = (dtype: SmallFloat, values: Float32Array): Uint16Array<ArrayBuffer> | Uint8Array<ArrayBuffer> => {
  const { bits: width, mantissa, bias, infinity, nan } = FORMATS[dtype]
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length)
  const out = width === 16 ? new Uint16Array(values.length) : new Uint8Array(values.length)
  const shift = 23 - mantissa
  const offset = (1 << (shift - 1)) - 1 - ((127 - bias) << 23)
  const smallest = (128 - bias) << 23
  const largest = infinity ?? nan
  // A number whose last place is the format's smallest step: adding it rounds to that step.
  const magic = new Float32Array([2 ** (24 - bias - mantissa)])
  const magicBits = new Uint32Array(magic.buffer)[0]!
  const rounded = new Float32Array(1)
  const roundedBits = new Uint32Array(rounded.buffer)
  for (let i = 0; i < values.length; i++) {
    const size = bits[i]! & 0x7fffffff
    let code = nan
    if (size < smallest) {
      rounded[0] = Math.abs(values[i]!) + magic[0]!
      code = roundedBits[0]! - magicBits
    } else if (size <= F32_INFINITY) {
      code = Math.min((size + ((size >>> shift) & 1) + offset) >> shift, largest)
    }
    out[i] = code | ((bits[i]! >>> 31) << (width - 1))
  }
  return out
}
