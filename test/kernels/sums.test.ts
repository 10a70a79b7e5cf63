import { expect, test } from 'vitest'
import * as reference from '#src/kernels/reference.js'
import { kernels, normals, put, randomWords } from './memory-of.js'

const LENGTHS = [0, 1, 2, 3, 7, 8, 9, 15, 16, 17, 100, 4095, 4096, 4097, 8192, 12_345, 50_003]

/** Values of very different sizes, so that another order of adding gives another sum. */
const wild = (n: number, k1: number): Float32Array => {
  const words = randomWords(n, k1)
  return normals(n, k1).map((value, i) => value * 2 ** ((words[i]! % 40) - 20))
}

test('sums equal their twins in every bit, at every length and alignment', () => {
  LENGTHS.forEach((n, i) => {
    const x = wild(n, i)
    const y = wild(n, i + 100)
    const [px, py] = [put(x, i % 16), put(y, (3 * i) % 16)]
    const got = [kernels.sum(px, n), kernels.sumAbs(px, n), kernels.dot(px, py, n)]
    expect(got).toEqual([reference.sum(x), reference.sumAbs(x), reference.dot(x, y)])
  })
})

test('sums are added in the order that is promised', () => {
  // One big value makes the lane it is in forget small ones; only the lane's own small values may be lost.
  const x = new Float32Array(4096).fill(1)
  x[3] = 2 ** 60
  const at = put(x)
  expect(kernels.sum(at, 4096)).toBe(2 ** 60 + 7 * 512)
  expect(kernels.sum(at, 3) + kernels.sum(at + 16, 4)).toBe(7)
})

/** A float32 as a whole number of 2^-149. */
const exact = (value: number): bigint => {
  const [bits] = new Uint32Array(Float32Array.of(value).buffer) as unknown as [number]
  const exponent = (bits >>> 23) & 0xff
  const size = exponent === 0 ? BigInt(bits & 0x7fffff) : BigInt((bits & 0x7fffff) | 0x800000) << BigInt(exponent - 1)
  return bits >>> 31 === 0 ? size : -size
}

test('sums are as near to the exact sum as their additions allow', () => {
  const x = wild(20_000, 7)
  const y = wild(20_000, 8)
  const [px, py] = [put(x), put(y)]
  const bound = (512 + 3 + 5) * 2 ** -53
  const check = (got: number, terms: readonly bigint[], scale: number): void => {
    // The last 60 binary places are far below what a float64 of such a sum holds.
    const truth = Number(terms.reduce((a, b) => a + b, 0n) >> 60n) * 2 ** (60 + scale)
    const size = Number(terms.reduce((a, b) => a + (b < 0n ? -b : b), 0n) >> 60n) * 2 ** (60 + scale)
    expect(Math.abs(got - truth)).toBeLessThan(bound * size)
  }
  const [ex, ey] = [[...x].map(exact), [...y].map(exact)]
  check(kernels.sum(px, x.length), ex, -149)
  check(
    kernels.sumAbs(px, x.length),
    ex.map((v) => (v < 0n ? -v : v)),
    -149,
  )
  check(
    kernels.dot(px, py, x.length),
    ex.map((v, i) => v * ey[i]!),
    -298,
  )
})

test('a sum of nothing is positive zero, and so is one of negative zeros', () => {
  const at = put(new Float32Array(11).fill(-0))
  expect([kernels.sum(at, 0), kernels.sum(at, 11), kernels.dot(at, at, 11)]).toEqual([0, 0, 0])
})

test('NaN anywhere makes the sum NaN', () => {
  for (const place of [0, 5, 8, 12]) {
    const x = new Float32Array(13)
    x[place] = NaN
    expect(kernels.sum(put(x), 13)).toBeNaN()
  }
})

test('a mask counts its ones exactly, at every length and alignment', () => {
  LENGTHS.forEach((n, i) => {
    const m = Uint8Array.from(randomWords(n, i), (word) => word & 1)
    expect(kernels.sumMask(put(m, i % 16), n)).toBe(reference.sumMask(m))
  })
  const full = new Uint8Array(100_001).fill(255)
  expect(kernels.sumMask(put(full), full.length)).toBe(255 * 100_001)
})

test('the greatest and the least of numbers and one before pass over NaN, at every length and alignment', () => {
  LENGTHS.forEach((n, i) => {
    const x = wild(n, i)
    for (let at = i % 5; at < n; at += 5) x[at] = NaN
    const place = put(x, i % 16)
    for (const before of [-Infinity, Infinity, 0.5]) {
      const known = [...x.filter((value) => !Number.isNaN(value)), before]
      expect(kernels.greatest(place, n, before)).toBe(known.reduce((most, value) => Math.max(most, value)))
      expect(kernels.least(place, n, before)).toBe(known.reduce((most, value) => Math.min(most, value)))
    }
  })
})

test('the greatest and the least of zeros have no sign, wherever the zeros lie', () => {
  for (const zeros of [
    [-0, 0, -0, -0, -0],
    [0, -0, -0, -0, -0, -0, -0, -0, -0, -0],
  ]) {
    const place = put(Float32Array.from(zeros))
    expect(kernels.greatest(place, zeros.length, -Infinity)).toBe(0)
    expect(kernels.least(place, zeros.length, Infinity)).toBe(0)
  }
})
