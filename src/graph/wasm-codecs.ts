import type { Dtype } from '../tensor/dtype.js'
import type { Code } from './wasm-module.js'
import * as w from './wasm-simd.js'

/** Emits code that keeps a value in a local, and returns the code that loads it. */
export interface Values {
  /** Keeps a value of the current elements. */
  keep(value: Code): Code
  /** Keeps a constant, computed before the loop. */
  keepOnce(value: Code): Code
  /** The same 32 bits in each lane. */
  words(word: number): Code
  /** The same float32 in each lane. */
  floats(value: number): Code
}

/** Stored numbers as four float32, at an address and a fixed distance from it, in bytes. */
type Decoder = (address: Code, values: Values) => Code

const SIZE = 0x7fffffff
const INFINITY = 0x7f800000

/**
 * 16-bit floats: normal numbers by shifting the bit fields, subnormal ones as the difference of two normal numbers. The
 * smaller of the two results is always the right one.
 */
const decodeF16: Decoder = (address, v) => {
  const half = v.keep(w.load4Signed16(address, 0))
  const size = v.keep(w.shiftRight(w.shiftLeft(half, 17), 4))
  const normal = w.addWords(size, v.words(112 << 23))
  const small = w.sub(w.addWords(size, v.words(113 << 23)), v.floats(2 ** -14))
  const special = w.and(w.moreWords(size, v.words(0x7bff << 13)), v.words(INFINITY))
  return w.or(w.or(w.minWords(small, normal), special), w.and(half, v.words(0x80000000)))
}

const decodeBF16: Decoder = (address) => w.shiftLeft(w.load4Unsigned16(address, 0), 16)

/** 8-bit floats, as kernels/wasm/f8.ts has them. */
const decodeF8 =
  (mantissa: number, bias: number, step: number, special: number): Decoder =>
  (address, v) => {
    const codes = v.keep(w.load4Unsigned8(address, 0))
    const size = v.keep(w.and(codes, v.words(0x7f)))
    const normal = w.addWords(w.shiftLeft(size, 23 - mantissa), v.words((127 - bias) << 23))
    const small = w.mul(w.fromSigned(size), v.floats(step))
    const finite = w.select(small, normal, w.lessWords(size, v.words(1 << mantissa)))
    const nan = w.and(w.unequalWords(size, v.words(0x7c)), v.words(0x7fc00000))
    const value = w.select(w.or(nan, v.words(INFINITY)), finite, w.atLeastWords(size, v.words(special)))
    return w.or(value, w.shiftLeft(w.and(codes, v.words(0x80)), 24))
  }

const decodeF64: Decoder = (address) =>
  w.shuffle(w.demote(w.load128(address, 0)), w.demote(w.load128(address, 16)), [0, 1, 4, 5])

const DECODERS: Readonly<Partial<Record<Dtype, Decoder>>> = {
  F32: (address) => w.load128(address, 0),
  F16: decodeF16,
  BF16: decodeBF16,
  F8_E4M3: decodeF8(3, 7, 2 ** -9, 0x7f),
  F8_E5M2: decodeF8(2, 15, 2 ** -16, 0x7c),
  F64: decodeF64,
  BOOL: (address) => w.fromUnsigned(w.load4Unsigned8(address, 0)),
  U8: (address) => w.fromUnsigned(w.load4Unsigned8(address, 0)),
  I8: (address) => w.fromSigned(w.load4Signed8(address, 0)),
  I16: (address) => w.fromSigned(w.load4Signed16(address, 0)),
  U16: (address) => w.fromUnsigned(w.load4Unsigned16(address, 0)),
  I32: (address) => w.fromSigned(w.load128(address, 0)),
  U32: (address) => w.fromUnsigned(w.load128(address, 0)),
  I64: (address) => w.loadWide(address, true),
  U64: (address) => w.loadWide(address, false),
}

/** Four stored numbers as float32, each rounded at most once. `address` is that of the first. */
export const decode = (dtype: Dtype, address: Code, values: Values): Code => {
  const decoder = DECODERS[dtype]
  if (decoder === undefined) throw new Error(`no program reads ${dtype}`)
  return decoder(address, values)
}

/** Whether four stored numbers are not 0, as a mask; -0 is 0. */
export const decodeMask = (dtype: Dtype, address: Code, values: Values): Code => {
  // As float32 the least of them would be 0.
  if (dtype !== 'F64') return w.unequal(decode(dtype, address, values), values.floats(0))
  const [low, high] = [0, 16].map((at) => w.unequal64(w.load128(address, at), values.floats(0)))
  return w.shuffle(low!, high!, [0, 2, 4, 6])
}

/** 16 bits of four float32, to nearest, ties to even, in the lower half of each lane; NaN becomes a quiet NaN. */
const encodeF16 = (x: Code, v: Values): Code => {
  const size = v.keep(w.and(x, v.words(SIZE)))
  const sign = w.and(w.shiftRight(x, 16), v.words(0x8000))
  const even = w.and(w.shiftRight(size, 13), v.words(1))
  // Below the least normal number, 2^-14, the difference is negative, and very large once it is shifted.
  const shifted = w.shiftRight(w.addWords(w.addWords(size, even), v.words(0xfff - (113 << 23))), 13)
  const normal = w.addWords(shifted, v.words(0x400))
  // Adding a number whose last place is the smallest step of a half rounds to that step; of larger numbers this gives
  // no less than their code.
  const small = w.subWords(w.add(size, v.floats(0.5)), v.floats(0.5))
  const finite = w.minWords(w.minWords(small, normal), v.words(0x7c00))
  const nan = w.and(w.moreWords(size, v.words(INFINITY)), v.words(0x200))
  return w.or(w.or(finite, nan), sign)
}

/** As kernels/wasm/bf16.ts has it, but for the signs of NaN. */
const encodeBF16 = (x: Code, v: Values): Code => {
  const even = w.and(w.shiftRight(x, 16), v.words(1))
  const rounded = w.shiftRight(w.addWords(w.addWords(x, even), v.words(0x7fff)), 16)
  const isNaN = w.moreWords(w.and(x, v.words(SIZE)), v.words(INFINITY))
  return w.or(rounded, w.and(isNaN, v.words(0x7fc0)))
}

/** As kernels/wasm/f8.ts has them. */
const encodeF8 =
  (mantissa: number, bias: number, magic: number, limit: number) =>
  (x: Code, v: Values): Code => {
    const size = v.keep(w.and(x, v.words(SIZE)))
    const shift = 23 - mantissa
    const even = w.and(w.shiftRight(size, shift), v.words(1))
    const rounded = w.addWords(w.addWords(size, even), v.words((1 << (shift - 1)) - 1 - ((127 - bias) << 23)))
    const normal = w.minWords(w.shiftRightSigned(rounded, shift), v.words(limit))
    const small = w.subWords(w.add(size, v.floats(magic)), v.floats(magic))
    const finite = w.select(small, normal, w.lessWords(size, v.words((128 - bias) << 23)))
    const code = w.select(v.words(0x7f), finite, w.moreWords(size, v.words(INFINITY)))
    return w.or(code, w.and(w.shiftRight(x, 24), v.words(0x80)))
  }

/** Stores four numbers at an address; getting them has no effect. */
type Encoder = (address: Code, x: Code, values: Values) => Code

const as16 =
  (codesOf: (x: Code, values: Values) => Code): Encoder =>
  (address, x, v) => {
    const codes = v.keep(codesOf(x, v))
    return w.store64(address, 0, w.narrowTo16(codes, codes))
  }
const as8 =
  (codesOf: (x: Code, values: Values) => Code): Encoder =>
  (address, x, v) => {
    const codes = v.keep(codesOf(x, v))
    return w.store32(address, 0, w.takeLowBytes(codes))
  }

const ENCODERS: Readonly<Partial<Record<Dtype, Encoder>>> = {
  F32: (address, x) => w.store128(address, 0, x),
  F16: as16(encodeF16),
  BF16: as16(encodeBF16),
  F8_E4M3: as8(encodeF8(3, 7, 16384, 0x7f)),
  F8_E5M2: as8(encodeF8(2, 15, 128, 0x7c)),
  F64: (address, x) => [
    w.store128(address, 0, w.promote(x)),
    w.store128(address, 16, w.promote(w.shuffle(x, x, [2, 3, 2, 3]))),
  ],
  I64: (address, x) => w.storeWide(address, x),
  // A mask: its lanes are all ones or all zeros.
  BOOL: as8((x, v) => w.and(x, v.words(1))),
}

/** Stores four float32, or a mask for BOOL, as numbers of a dtype: to nearest, ties to even. `x` is kept. */
export const encode = (dtype: Dtype, address: Code, x: Code, values: Values): Code => {
  const encoder = ENCODERS[dtype]
  if (encoder === undefined) throw new Error(`no program writes ${dtype}`)
  return encoder(address, x, values)
}
