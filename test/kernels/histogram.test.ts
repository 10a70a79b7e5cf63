import { expect, test } from 'vitest'
import * as reference from '#src/kernels/reference.js'
import {
  createHistogram,
  FIRST_NON_FINITE_BIN,
  HIGH_BINS,
  LOW_BINS,
  RANGE,
  selectBin,
  toMagnitude,
} from '#src/kernels/selection.js'
import { anyFloats, kernels, normals, put, randomWords } from './memory-of.js'

const high = kernels.alloc(4 * HIGH_BINS)
const low = kernels.alloc(4 * LOW_BINS)
const range = kernels.alloc(4 * RANGE * LOW_BINS)

const countHigh = (x: Float32Array, shift = 0): Uint32Array => {
  const at = put(x, shift)
  kernels.view(Uint32Array, high, HIGH_BINS).fill(0)
  kernels.histogramHigh(at, x.length, high)
  return kernels.view(Uint32Array, high, HIGH_BINS).slice()
}

const countLow = (x: Float32Array, bin: number, shift = 0): Uint32Array => {
  const at = put(x, shift)
  kernels.view(Uint32Array, low, LOW_BINS).fill(0)
  kernels.histogramLow(at, x.length, bin, low)
  return kernels.view(Uint32Array, low, LOW_BINS).slice()
}

const countRange = (x: Float32Array, base: number, shift = 0): { below: number; hist: Uint32Array } => {
  const at = put(x, shift)
  kernels.view(Uint32Array, range, RANGE * LOW_BINS).fill(0)
  const below = kernels.histogramRange(at, x.length, base, range)
  return { below, hist: kernels.view(Uint32Array, range, RANGE * LOW_BINS).slice() }
}

const same = (a: Uint32Array, b: Uint32Array): boolean => Buffer.from(a.buffer).equals(Buffer.from(b.buffer))

const expectRange = (x: Float32Array, base: number, shift = 0): void => {
  const [found, expected] = [countRange(x, base, shift), reference.histogramRange(x, base)]
  expect(found.below).toBe(expected.below)
  expect(same(found.hist, expected.hist)).toBe(true)
}

test('all histograms equal their twins at every length and alignment', () => {
  for (let n = 0; n <= 20; n++) {
    const x = anyFloats(n, n)
    expect(same(countHigh(x, n % 16), reference.histogramHigh(x))).toBe(true)
    const bin = n === 0 ? 0 : (new Uint32Array(x.buffer)[n - 1]! & 0x7fffffff) >>> 15
    expect(same(countLow(x, bin, n % 16), reference.histogramLow(x, bin))).toBe(true)
    for (const base of [bin, Math.max(0, bin - 1), Math.max(0, bin - 6)]) expectRange(x, base, n % 16)
  }
  for (const some of [
    normals(10_001, 3),
    Float32Array.from(normals(999, 4), (v, i) => (i % 3 === 0 ? v : i % 2 === 0 ? 0 : -0)),
  ])
    for (const base of [0, 1, 0x3f00 * 2, 0x3f00 * 2 - 300]) expectRange(some, base)
  const x = anyFloats(100_003, 1)
  expect(same(countHigh(x), reference.histogramHigh(x))).toBe(true)
})

test('histograms add up over the pieces of a tensor', () => {
  const x = normals(30_001, 2)
  const at = put(x)
  kernels.view(Uint32Array, high, HIGH_BINS).fill(0)
  for (let start = 0; start < x.length; start += 7000)
    kernels.histogramHigh(at + 4 * start, Math.min(7000, x.length - start), high)
  expect(same(kernels.view(Uint32Array, high, HIGH_BINS).slice(), reference.histogramHigh(x))).toBe(true)
})

test('counts that are taken out are those of every bin that is not empty, and leave nothing', () => {
  const out = kernels.alloc(8 * HIGH_BINS)
  for (const x of [normals(5000, 9), new Float32Array(8), new Float32Array(0), Float32Array.of(1, 1, -1, NaN, 0)]) {
    const hist = countHigh(x)
    const pairs = kernels.takePairs(high, HIGH_BINS, out)
    expect(kernels.view(Uint32Array, out, 2 * pairs).slice()).toEqual(reference.toPairs(hist))
    expect(kernels.view(Uint32Array, high, HIGH_BINS).every((count) => count === 0)).toBe(true)
  }
})

test('pairs hold every bin that is not empty, in order, and add up to the whole', () => {
  const counts = createHistogram()
  const x = normals(50_000, 3)
  const hist = countHigh(x)
  const pairs = reference.toPairs(hist)
  const bins = pairs.filter((_, i) => i % 2 === 0)
  expect([...bins]).toEqual([...hist.keys()].filter((bin) => hist[bin] !== 0))
  counts.add(pairs)
  counts.add(pairs)
  expect(hist.every((count, bin) => counts.at(bin) === 2 * count)).toBe(true)
  counts.clear()
  expect(hist.every((_, bin) => counts.at(bin) === 0)).toBe(true)
  expect(reference.toPairs(new Uint32Array(LOW_BINS))).toEqual(new Uint32Array(0))
})

/** The value of a rank, by the two passes and over pieces. */
const select = (x: Float32Array, rank: number): number => {
  const counts = createHistogram()
  counts.add(reference.toPairs(countHigh(x)))
  const first = counts.select(rank)
  expect(selectBin(countHigh(x), rank)).toEqual(first)
  counts.clear()
  counts.add(reference.toPairs(countLow(x, first.bin)))
  return toMagnitude(first.bin, counts.select(rank - first.below).bin)
}

test.each([
  ['normal values', normals(9999, 4)],
  ['few values, often', Float32Array.from(randomWords(9999, 5), (word) => ((word % 7) - 3) / 8)],
  ['zeros of both signs', Float32Array.from(randomWords(999, 6), (word) => (word % 2 === 0 ? 0 : -0))],
  ['neighbouring floats', Float32Array.from(randomWords(9999, 7), (word) => 1 + (word % 50_000) * 2 ** -23)],
  ['denormals', Float32Array.from(randomWords(9999, 8), (word) => (word % 50_000) * 2 ** -149)],
])('the two passes find the same value as sorting: %s', (_, x) => {
  const sorted = x.map(Math.abs).sort()
  for (const rank of [0, 1, 17, x.length >> 1, x.length - 2, x.length - 1]) expect(select(x, rank)).toBe(sorted[rank])
})

test('a rank beyond the last element is a bug and says so', () => {
  expect(() => selectBin(Uint32Array.of(1, 2), 3)).toThrow(RangeError)
  const counts = createHistogram()
  counts.add(Uint32Array.of(7, 1, 65535, 2))
  expect(() => counts.select(3)).toThrow(RangeError)
  expect(counts.select(2)).toEqual({ bin: 65535, below: 1 })
})

test('NaN and infinity are in the bins from the first that no finite number reaches', () => {
  const bins = (value: number): number[] => [...reference.toPairs(countHigh(Float32Array.of(value, -value)))]
  expect(bins(Infinity)).toEqual([FIRST_NON_FINITE_BIN, 2])
  expect(bins(NaN)[0]).toBeGreaterThanOrEqual(FIRST_NON_FINITE_BIN)
  expect(bins(3.4028234663852886e38)).toEqual([FIRST_NON_FINITE_BIN - 1, 2])
})
