import type { RandomKey } from './key.js'
import { normalTable } from './normal-table.js'

const MASK = (1n << 64n) - 1n
const GOLDEN = 0x9e3779b97f4a7c15n

const spread = (word: bigint): bigint => {
  const once = ((word ^ (word >> 30n)) * 0xbf58476d1ce4e5b9n) & MASK
  const twice = ((once ^ (once >> 27n)) * 0x94d049bb133111ebn) & MASK
  return twice ^ (twice >> 31n)
}

const schedule = ({ k0, k1 }: RandomKey, hi: number): readonly [number, number] => {
  const key = spread((BigInt(k0) + (BigInt(k1) << 32n) + GOLDEN) & MASK)
  const keys = spread((key + BigInt(hi) * GOLDEN) & MASK)
  return [Number(keys & 0xffffffffn), Number(keys >> 32n)]
}

const round = (x: number, [s, m, t, n, u]: readonly [number, number, number, number, number]): number => {
  const once = Math.imul(x ^ (x >>> s), m)
  const twice = Math.imul(once ^ (once >>> t), n)
  return twice ^ (twice >>> u)
}

/** The 32 random bits of one element of a key's stream. */
export const drawOne = (key: RandomKey, index: number): number => {
  const [a, b] = schedule(key, Math.floor(index / 2 ** 32))
  const first = round(index ^ a, [16, 0x21f0aaad, 15, 0xd35a2d97, 15])
  return (round(first + b, [16, 0x7feb352d, 15, 0x846ca68b, 16]) + first) >>> 0
}

const draw = (key: RandomKey, start: number, n: number): number[] =>
  Array.from({ length: n }, (_, i) => drawOne(key, start + i))

/** The twin of `randomBits`. */
export const randomBits = (start: number, n: number, key: RandomKey): Uint32Array =>
  Uint32Array.from(draw(key, start, n))

/** The twin of `bernoulli`. */
export const bernoulli = (start: number, n: number, key: RandomKey, p: number): Uint8Array =>
  Uint8Array.from(draw(key, start, n), (bits) => (bits < Math.round(p * 2 ** 32) ? 1 : 0))

/** The twin of `uniform`. */
export const uniform = (start: number, n: number, key: RandomKey): Float32Array =>
  Float32Array.from(draw(key, start, n), (bits) => (bits >>> 8) / 2 ** 24)

/** The twin of `partition`; `ends` are the parts' cumulative shares times 2^32, the last one left out. */
export const partition = (start: number, n: number, key: RandomKey, ends: readonly number[]): Uint8Array =>
  Uint8Array.from(draw(key, start, n), (bits) => ends.filter((end) => bits >= end).length)

/** The normal value of 32 random bits: what `gaussian` makes of a draw. */
export const normalOf = (bits: number): number => {
  const tail = Math.fround((bits & 0x7fffffff) | 1)
  const exponent = 31 - Math.clz32(tail)
  const scaled = tail / 2 ** exponent
  const piece = Math.floor((scaled - 1) * 32)
  // Inside its segment: the distance from the middle, in segments.
  const t = Math.fround((scaled - 1) * 32 - piece - 0.5)
  const [c0, c1, c2, c3] = normalTable().subarray(4 * (32 * exponent + piece)) as unknown as [
    number,
    number,
    number,
    number,
  ]
  const f = Math.fround
  const size = f(f(f(f(f(f(t * c3) + c2) * t) + c1) * t) + c0)
  return bits >>> 31 === 0 ? size : -size
}

/** The twin of `gaussian`. */
export const gaussian = (start: number, n: number, key: RandomKey): Float32Array =>
  Float32Array.from(draw(key, start, n), normalOf)

const patterns = (x: Float32Array): Uint32Array => new Uint32Array(x.slice().buffer)

/** The twin of `histogramHigh`, from an empty histogram. */
export const histogramHigh = (x: Float32Array): Uint32Array => {
  const hist = new Uint32Array(65536)
  for (const bits of patterns(x)) hist[(bits & 0x7fffffff) >>> 15]! += 1
  return hist
}

/** The twin of `histogramLow`, from an empty histogram. */
export const histogramLow = (x: Float32Array, high: number): Uint32Array => {
  const hist = new Uint32Array(32768)
  for (const bits of patterns(x)) if ((bits & 0x7fffffff) >>> 15 === high) hist[bits & 0x7fff]! += 1
  return hist
}

/** The twin of `histogramRange`, from an empty histogram. */
export const histogramRange = (
  x: Float32Array,
  base: number,
): { readonly below: number; readonly hist: Uint32Array } => {
  const hist = new Uint32Array(7 * 32768)
  let below = 0
  let finite = true
  for (const bits of patterns(x)) {
    const at = (bits & 0x7fffffff) - base * 32768
    if (at < 0) below += 1
    else if (at < hist.length) hist[at]! += 1
    finite &&= (bits & 0x7fffffff) < 0x7f800000
  }
  return { below: finite ? below : -1, hist }
}

/** The twin of `takePairs`; takes a multiple of 8 bins. */
export const toPairs = (hist: Uint32Array): Uint32Array<ArrayBuffer> => {
  const pairs: number[] = []
  for (let from = 0; from < hist.length; from += 8) {
    // Nearly all bins are empty.
    const [h, b] = [hist, from]
    if (!(h[b]! | h[b + 1]! | h[b + 2]! | h[b + 3]! | h[b + 4]! | h[b + 5]! | h[b + 6]! | h[b + 7]!)) continue
    for (let bin = from; bin < from + 8; bin++) if (hist[bin] !== 0) pairs.push(bin, hist[bin]!)
  }
  return Uint32Array.from(pairs)
}

const total = (terms: Float64Array): number => {
  let running = 0
  for (let start = 0; start < terms.length; start += 4096) {
    const lanes: [number, number, number, number, number, number, number, number] = [0, 0, 0, 0, 0, 0, 0, 0]
    terms.subarray(start, start + 4096).forEach((term, j) => (lanes[j % 8]! += term))
    const [a, b, c, d, e, f, g, h] = lanes
    running += a + b + (c + d) + (e + f + (g + h))
  }
  return running
}

/** The twin of `sum`. */
export const sum = (x: Float32Array): number => total(Float64Array.from(x))

/** The twin of `sumAbs`. */
export const sumAbs = (x: Float32Array): number => total(Float64Array.from(x, Math.abs))

/** The twin of `dot`. */
export const dot = (x: Float32Array, y: Float32Array): number =>
  total(Float64Array.from(x, (value, i) => value * y[i]!))

/** The twin of `sumMask`. */
export const sumMask = (m: Uint8Array): number => m.reduce((count, value) => count + value, 0)

/** The twin of `packBits`. */
export const packBits = (m: Uint8Array): Uint8Array => {
  const out = new Uint8Array(Math.ceil(m.length / 8))
  m.forEach((value, i) => (out[i >> 3]! |= (value === 0 ? 0 : 1) << (i & 7)))
  return out
}

/** The twin of `unpackBits`. */
export const unpackBits = (packed: Uint8Array, n: number): Uint8Array =>
  Uint8Array.from({ length: n }, (_, i) => (packed[i >> 3]! >> (i & 7)) & 1)
