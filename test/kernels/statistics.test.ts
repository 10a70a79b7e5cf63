import { describe, expect, test } from 'vitest'
import { deriveKey, type RandomKey } from '#src/kernels/key.js'
import { kernels } from './memory-of.js'

const N = 10_000_000
const PAIRS = 1_000_000
const key = deriveKey({ seed: 42, step: 'drop', draw: 0, tensor: 'blocks.0.weight' })
const out = kernels.alloc(4 * N)

const draw = (
  run: (out: number, start: number, n: number, key: RandomKey) => void,
  k: RandomKey,
  n: number,
  start = 0,
): Float32Array => {
  run(out, start, n, k)
  return kernels.view(Float32Array, out, n).slice()
}

const expectWithin = (value: number, expected: number, sigma: number): void => {
  expect(Math.abs(value - expected) / sigma).toBeLessThan(5)
}

test.each([0.5, 0.1, 0.9, 1e-4])('bernoulli(%f) comes out as often as it says', (p) => {
  kernels.bernoulli(out, 0, N, key, p)
  expectWithin(kernels.sumMask(out, N), N * p, Math.sqrt(N * p * (1 - p)))
})

test('partition gives every part its share', () => {
  const shares = [0.5, 0.2, 0.25, 0.05]
  kernels.partition(out, 0, N, key, shares)
  const counts = [0, 0, 0, 0]
  for (const part of kernels.view(Uint8Array, out, N)) counts[part]! += 1
  shares.forEach((share, part) => expectWithin(counts[part]!, N * share, Math.sqrt(N * share * (1 - share))))
})

test('uniform values have the mean, the variance and the even spread of their distribution', () => {
  kernels.uniform(out, 0, N, key)
  const counts = new Float64Array(64)
  let sum = 0
  let squares = 0
  let most = 0
  for (const u of kernels.view(Float32Array, out, N)) {
    sum += u
    squares += (u - 0.5) ** 2
    counts[Math.floor(u * 64)]! += 1
    if (u > most) most = u
  }
  expectWithin(sum / N, 0.5, Math.sqrt(1 / 12 / N))
  expectWithin(squares / N, 1 / 12, Math.sqrt(1 / 180 / N))
  expect(most).toBeLessThan(1)
  const chi = counts.reduce((total, count) => total + (count - N / 64) ** 2 / (N / 64), 0)
  expectWithin(chi, 63, Math.sqrt(126))
})

// The probability that a normal value is further from 0 than 1, 2, 3, 4 and 5 sigma.
const TAILS = [
  0.31731050786291415, 0.04550026389635842, 0.0026997960632601866, 6.334248366623996e-5, 5.733031437583869e-7,
]

test('gaussian values have the moments and the tails of their distribution', () => {
  kernels.gaussian(out, 0, N, key)
  const moments = [0, 0, 0, 0, 0]
  const beyond = [0, 0, 0, 0, 0, 0, 0]
  for (const z of kernels.view(Float32Array, out, N)) {
    const square = z * z
    moments[1]! += z
    moments[2]! += square
    moments[3]! += square * z
    moments[4]! += square * square
    beyond[Math.floor(Math.abs(z))]! += 1
  }
  expectWithin(moments[1]! / N, 0, Math.sqrt(1 / N))
  expectWithin(moments[2]! / N, 1, Math.sqrt(2 / N))
  expectWithin(moments[3]! / N, 0, Math.sqrt(15 / N))
  expectWithin(moments[4]! / N, 3, Math.sqrt(96 / N))
  TAILS.forEach((p, i) => {
    const count = beyond.slice(i + 1).reduce((sum, some) => sum + some, 0)
    expectWithin(count, N * p, Math.sqrt(N * p))
  })
})

const correlate = (x: Float32Array, y: Float32Array): number => {
  let product = 0
  for (let i = 0; i < x.length; i++) product += (x[i]! - 0.5) * (y[i]! - 0.5)
  return (12 * product) / x.length
}

describe('two streams have nothing to do with each other', () => {
  const words = { seed: 42, step: 'drop', draw: 0, tensor: 'blocks.0.weight' }
  const base = { k0: 0x12345678, k1: 0x9abcdef0 }
  const pairs: Readonly<Record<string, readonly [RandomKey, RandomKey]>> = {
    'keys one apart in the first half': [base, { ...base, k0: base.k0 + 1 }],
    'keys one apart in the second half': [base, { ...base, k1: base.k1 + 1 }],
    'keys one top bit apart': [base, { ...base, k0: (base.k0 ^ 0x80000000) >>> 0 }],
    'keys with exchanged halves': [base, { k0: base.k1, k1: base.k0 }],
    'names of neighbouring tensors': [deriveKey(words), deriveKey({ ...words, tensor: 'blocks.1.weight' })],
    'neighbouring draws': [deriveKey(words), deriveKey({ ...words, draw: 1 })],
    'neighbouring seeds': [deriveKey(words), deriveKey({ ...words, seed: 43 })],
    'two steps': [deriveKey(words), deriveKey({ ...words, step: 'drop2' })],
  }

  test.each(Object.entries(pairs))('%s', (_, [a, b]) => {
    const x = draw(kernels.uniform, a, PAIRS)
    const y = draw(kernels.uniform, b, PAIRS)
    expectWithin(correlate(x, y), 0, 1 / Math.sqrt(PAIRS))
    expectWithin(correlate(x.subarray(1), y.subarray(0, -1)), 0, 1 / Math.sqrt(PAIRS))
    // Equal upper halves by chance only.
    const equal = x.reduce((count, u, i) => count + (Math.floor(u * 65536) === Math.floor(y[i]! * 65536) ? 1 : 0), 0)
    expectWithin(equal, PAIRS / 65536, Math.sqrt(PAIRS / 65536))
  })

  test('the elements before and after 2^32 of one tensor', () => {
    const x = draw(kernels.uniform, key, PAIRS)
    expectWithin(correlate(x, draw(kernels.uniform, key, PAIRS, 2 ** 32)), 0, 1 / Math.sqrt(PAIRS))
    expectWithin(correlate(x, draw(kernels.uniform, key, PAIRS, 2 ** 33)), 0, 1 / Math.sqrt(PAIRS))
  })
})

test('elements at any small distance of one stream do not depend on each other', () => {
  const x = draw(kernels.uniform, key, PAIRS)
  for (const lag of [1, 2, 3, 4, 7, 8, 16, 64, 320, 4096]) {
    expectWithin(correlate(x.subarray(lag), x.subarray(0, -lag)), 0, 1 / Math.sqrt(PAIRS - lag))
  }
})

test('a stream repeats values as often as chance would', () => {
  const n = 2 ** 20
  kernels.randomBits(out, 0, n, key)
  const sorted = kernels.view(Uint32Array, out, n).slice().sort()
  let repeats = 0
  for (let i = 1; i < n; i++) if (sorted[i] === sorted[i - 1]) repeats++
  expectWithin(repeats, 128, Math.sqrt(128))
})

describe('turning one input bit over turns every bit of the draw over half the time', () => {
  const n = 8192
  const bits = (k: RandomKey, start: number): Uint32Array => {
    kernels.randomBits(out, start, n, k)
    return kernels.view(Uint32Array, out, n).slice()
  }
  const base = bits(key, 0)

  const expectHalf = (other: Uint32Array): void => {
    const turned = new Float64Array(32)
    for (let i = 0; i < n; i++) {
      const changed = base[i]! ^ other[i]!
      for (let bit = 0; bit < 32; bit++) turned[bit]! += (changed >>> bit) & 1
    }
    for (const count of turned) expectWithin(count, n / 2, Math.sqrt(n / 4))
  }

  test('of the element', () => {
    for (let bit = 0; bit < 45; bit++) {
      const far = 2 ** bit >= n
      expectHalf(far ? bits(key, 2 ** bit) : base.map((_, i) => base[i ^ (1 << bit)]!))
    }
  })

  test('of the key', () => {
    for (let bit = 0; bit < 32; bit++) {
      expectHalf(bits({ ...key, k0: (key.k0 ^ (1 << bit)) >>> 0 }, 0))
      expectHalf(bits({ ...key, k1: (key.k1 ^ (1 << bit)) >>> 0 }, 0))
    }
  })
})
