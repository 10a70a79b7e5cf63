import { describe, expect, test } from 'vitest'
import { blake3 } from '#src/base/digest.js'
import { toEnds } from '#src/kernels/kernels.js'
import type { RandomKey } from '#src/kernels/key.js'
import * as reference from '#src/kernels/reference.js'
import { kernels, written } from './memory-of.js'

const key: RandomKey = { k0: 0x89abcdef, k1: 0xfedcba98 }
const SHARES = [0.2, 0, 3, 1.7, 0.001]

type Draw = {
  readonly bytes: number
  readonly run: (out: number, start: number, n: number, k: RandomKey) => void
  readonly twin: (start: number, n: number, k: RandomKey) => ArrayBufferView
}

const DRAWS: Readonly<Record<string, Draw>> = {
  randomBits: { bytes: 4, run: kernels.randomBits, twin: reference.randomBits },
  uniform: { bytes: 4, run: kernels.uniform, twin: reference.uniform },
  gaussian: { bytes: 4, run: kernels.gaussian, twin: reference.gaussian },
  bernoulli: {
    bytes: 1,
    run: (out, start, n, k) => kernels.bernoulli(out, start, n, k, 0.3),
    twin: (start, n, k) => reference.bernoulli(start, n, k, 0.3),
  },
  partition: {
    bytes: 1,
    run: (out, start, n, k) => kernels.partition(out, start, n, k, SHARES),
    twin: (start, n, k) => reference.partition(start, n, k, toEnds(SHARES)),
  },
}

const bytesOf = (view: ArrayBufferView): Buffer =>
  Buffer.from(view.buffer as ArrayBuffer, view.byteOffset, view.byteLength)

describe.each(Object.entries(DRAWS))('%s', (_, { bytes, run, twin }) => {
  const draw = (start: number, n: number, shift = 0): Buffer =>
    bytesOf(written(n * bytes, shift, (at) => run(at, start, n, key)))

  test('equals its twin at every length, start and alignment', () => {
    for (let n = 0; n <= 50; n++) expect(draw(7 * n, n, n % 16).equals(bytesOf(twin(7 * n, n, key)))).toBe(true)
  })

  test('equals its twin across the borders of 32 bits and near the largest index', () => {
    for (const start of [2 ** 31 - 9, 2 ** 32 - 9, 2 ** 32, 5 * 2 ** 32 - 3, Number.MAX_SAFE_INTEGER - 20]) {
      expect(draw(start, 20, 3).equals(bytesOf(twin(start, 20, key)))).toBe(true)
    }
  })

  test('gives the same bytes however a range is cut', () => {
    const whole = draw(2 ** 32 - 700, 1500)
    for (const size of [1, 3, 16, 61, 499]) {
      const pieces: Buffer[] = []
      for (let at = 0; at < 1500; at += size)
        pieces.push(draw(2 ** 32 - 700 + at, Math.min(size, 1500 - at), size % 16))
      expect(Buffer.concat(pieces).equals(whole)).toBe(true)
    }
  })
})

test('the bits of a key never change', () => {
  const bits = written(4 * 65536, 0, (at) => kernels.randomBits(at, 2 ** 32 - 30000, 65536, key))
  const values = written(4 * 65536, 0, (at) => kernels.gaussian(at, 2 ** 32 - 30000, 65536, key))
  const digests = [bits, values].map((bytes) => Buffer.from(blake3(bytes)).toString('hex').slice(0, 32))
  expect(digests).toEqual(['faf736a45a075a59dd6cc42d8ea77c45', '0af4e79585acedfc74a4515dc788b30b'])
})

test('a probability of 0 never happens and one of 1 always does', () => {
  const ones = (p: number): number =>
    written(100_003, 5, (at) => kernels.bernoulli(at, 0, 100_003, key, p)).reduce((sum, m) => sum + m, 0)
  expect([0, 2 ** -34, 1 - 2 ** -34, 1].map(ones)).toEqual([0, 0, 100_003, 100_003])
})

test('an element is chosen exactly when its bits, read as a fraction, are below the probability', () => {
  const bits = reference.drawOne(key, 12345)
  const at = (p: number): number => written(1, 0, (out) => kernels.bernoulli(out, 12345, 1, key, p))[0]!
  expect([at(bits / 2 ** 32), at((bits + 1) / 2 ** 32)]).toEqual([0, 1])
})

test('a part without a share is never chosen, also at either end', () => {
  const draw = (shares: readonly number[]): Uint8Array =>
    written(50_000, 0, (at) => kernels.partition(at, 0, 50_000, key, shares))
  const seen = (shares: readonly number[]): number[] => [...new Set(draw(shares))].sort((a, b) => a - b)
  expect(seen([0, 0, 1, 0, 2, 0])).toEqual([2, 4])
  expect(seen([1])).toEqual([0])
  expect(seen([0, 1])).toEqual([1])
  expect(seen(Array.from({ length: 256 }, () => 1))).toEqual(Array.from({ length: 256 }, (_, part) => part))
})

test('shares that add up to nothing, and more parts than fit a byte, are refused', () => {
  expect(() => toEnds([0, 0])).toThrow(RangeError)
  expect(() => toEnds([])).toThrow(RangeError)
  expect(() => toEnds([NaN, 1])).toThrow(RangeError)
  expect(() => toEnds(Array.from({ length: 257 }, () => 1))).toThrow(RangeError)
})
