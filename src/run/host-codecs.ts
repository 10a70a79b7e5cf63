import type { Kernels } from '../kernels/kernels.js'
import type { Dtype, FloatDtype } from '../tensor/dtype.js'

type Recoder = (kernels: Kernels, from: number, n: number, to: number) => void

/** A typed array over a part of the kernels' memory. */
type View<T> = new (buffer: ArrayBuffer, byteOffset: number, length: number) => T

/** Moves numbers of another type to float32, rounding once; 64-bit integers are rounded to float64 first. */
const widen =
  (type: View<ArrayLike<number>>): Recoder =>
  (kernels, from, n, to) =>
    kernels.view(Float32Array, to, n).set(kernels.view(type, from, n))
const shorten =
  (type: View<ArrayLike<bigint>>): Recoder =>
  (kernels, from, n, to) => {
    const [out, numbers] = [kernels.view(Float32Array, to, n), kernels.view(type, from, n)]
    for (let i = 0; i < n; i++) out[i] = Number(numbers[i])
  }

const DECODERS: Readonly<Partial<Record<Dtype, Recoder>>> = {
  BF16: (kernels, from, n, to) => kernels.decodeBF16(from, n, to),
  F8_E4M3: (kernels, from, n, to) => kernels.decodeF8E4M3(from, n, to),
  F8_E5M2: (kernels, from, n, to) => kernels.decodeF8E5M2(from, n, to),
  F64: widen(Float64Array),
  I8: widen(Int8Array),
  I16: widen(Int16Array),
  U16: widen(Uint16Array),
  I32: widen(Int32Array),
  U32: widen(Uint32Array),
  I64: shorten(BigInt64Array),
  U64: shorten(BigUint64Array),
}

const ENCODERS: Readonly<Partial<Record<Dtype, Recoder>>> = {
  BF16: (kernels, from, n, to) => kernels.encodeBF16(from, n, to),
  F8_E4M3: (kernels, from, n, to) => kernels.encodeF8E4M3(from, n, to),
  F8_E5M2: (kernels, from, n, to) => kernels.encodeF8E5M2(from, n, to),
  F64: (kernels, from, n, to) => kernels.view(Float64Array, to, n).set(kernels.view(Float32Array, from, n)),
  I64: (kernels, from, n, to) => {
    const [out, numbers] = [kernels.view(BigInt64Array, to, n), kernels.view(Float32Array, from, n)]
    for (let i = 0; i < n; i++) out[i] = BigInt(Math.trunc(numbers[i]!))
  },
}

/** Turns `n` stored numbers at one offset of the kernels' memory into float32 at another, for providers that cannot. */
export const decodeAt = (kernels: Kernels, dtype: Dtype, from: number, n: number, to: number): void => {
  const recode = DECODERS[dtype]
  if (recode === undefined) throw new Error(`the host does not decode ${dtype}`)
  recode(kernels, from, n, to)
}

/** Turns `n` float32 at one offset of the kernels' memory into stored numbers at another, to nearest, ties to even. */
export const encodeAt = (kernels: Kernels, dtype: Dtype, from: number, n: number, to: number): void => {
  const recode = ENCODERS[dtype]
  if (recode === undefined) throw new Error(`the host does not encode ${dtype}`)
  recode(kernels, from, n, to)
}

type Words = Uint8Array | Uint16Array | Uint32Array

/** The bits of the canonical NaN, and the greatest bits that are not a NaN; for F64 those of the upper half. */
const NAN: Readonly<
  Record<
    FloatDtype,
    { readonly words: View<Words>; readonly sign: number; readonly infinity: number; readonly nan: number }
  >
> = {
  F8_E4M3: { words: Uint8Array, sign: 0x80, infinity: 0x7e, nan: 0x7f },
  F8_E5M2: { words: Uint8Array, sign: 0x80, infinity: 0x7c, nan: 0x7f },
  F16: { words: Uint16Array, sign: 0x8000, infinity: 0x7c00, nan: 0x7e00 },
  BF16: { words: Uint16Array, sign: 0x8000, infinity: 0x7f80, nan: 0x7fc0 },
  F32: { words: Uint32Array, sign: 0x80000000, infinity: 0x7f800000, nan: 0x7fc00000 },
  F64: { words: Uint32Array, sign: 0x80000000, infinity: 0x7ff00000, nan: 0x7ff80000 },
}

/**
 * Gives every NaN from element `first` on, among `n` stored numbers, the same bits: processors differ in the sign and
 * payload of a NaN that arithmetic produces.
 */
export const canonicalizeNaNs = (
  kernels: Kernels,
  dtype: FloatDtype,
  offset: number,
  n: number,
  first: number,
): void => {
  const { words, sign, infinity, nan } = NAN[dtype]
  const all = kernels.view(words, offset, dtype === 'F64' ? 2 * n : n)
  if (dtype !== 'F64') {
    for (let i = first; i < n; i++) if ((all[i]! & (sign - 1)) > infinity) all[i] = nan
    return
  }
  for (let i = 2 * first; i < 2 * n; i += 2) {
    const [low, high] = [all[i]!, all[i + 1]! & (sign - 1)]
    if (high < infinity || (high === infinity && low === 0)) continue
    all[i] = 0
    all[i + 1] = nan
  }
}
