// Draws by the hundred million, and streams against each other. Bounds are 4.5 standard errors: perfect randomness
// fails one in 150,000 such checks.
import { describe, expect, test } from 'vitest'
import { deriveKey, type RandomKey } from '#src/kernels/key.js'
import { kernels } from './memory-of.js'

const MANY = 100_000_000
const PIECE = 10_000_000
const SIGMAS = 4.5
/**
 * Kolmogorov's distribution exceeds this as rarely as a normal value exceeds 4.5 sigma on either side: √(ln(2 / 6.8e-6)
 * / 2).
 */
const KOLMOGOROV = 2.509

const words = { seed: 42, step: 'drop', draw: 0, tensor: 'blocks.0.weight' }
const key = deriveKey(words)
const out = kernels.alloc(4 * PIECE)

/** What was found, in standard errors from what is expected; printed where FIGURES=1, for docs/randomness.md. */
const within = (label: string, value: number, expected: number, error: number): void => {
  const sigmas = (value - expected) / error
  if (process.env['FIGURES'] === '1') console.log(`${label}: ${sigmas.toFixed(2)}`)
  expect(Math.abs(sigmas), label).toBeLessThan(SIGMAS)
}

/** A chi-square value as a normal one, by the cube root of Wilson and Hilferty. */
const chiWithin = (label: string, counts: ArrayLike<number>, expected: (bin: number) => number): void => {
  let chi = 0
  for (let bin = 0; bin < counts.length; bin++) chi += (counts[bin]! - expected(bin)) ** 2 / expected(bin)
  const freedom = counts.length - 1
  within(label, Math.cbrt(chi / freedom), 1 - 2 / (9 * freedom), Math.sqrt(2 / (9 * freedom)))
}

/** The largest distance of the share of values below each edge from the probability of being there, by √n. */
const expectDistribution = (label: string, counts: Float64Array, below: (bin: number) => number): void => {
  let [sum, worst] = [0, 0]
  for (let bin = 0; bin < counts.length - 1; bin++) {
    sum += counts[bin]!
    worst = Math.max(worst, Math.abs(sum / MANY - below(bin + 1)))
  }
  if (process.env['FIGURES'] === '1') console.log(`${label}: ${(worst * Math.sqrt(MANY)).toFixed(2)} (KS)`)
  expect(worst * Math.sqrt(MANY), label).toBeLessThan(KOLMOGOROV)
}

const eachPiece = (draw: (start: number, n: number) => void): void => {
  for (let start = 0; start < MANY; start += PIECE) draw(start, PIECE)
}

/** The probability that a normal value is below x, to 1e-14: a series near 0, a continued fraction beyond. */
const below = (x: number): number => {
  if (x < 0) return 1 - below(-x)
  const density = Math.exp((-x * x) / 2) / Math.sqrt(2 * Math.PI)
  if (x > 3) {
    let fraction = x
    for (let k = 60; k >= 1; k--) fraction = x + k / fraction
    return 1 - density / fraction
  }
  let [term, sum] = [x, x]
  for (let k = 1; k < 100; k++) sum += term *= (x * x) / (2 * k + 1)
  return 0.5 + density * sum
}

test('the distribution that normal values are compared with is right where tables have it', () => {
  const known: readonly (readonly [number, number])[] = [
    [0, 0.5],
    [1, 0.841344746068543],
    [2, 0.977249868051821],
    [3, 0.99865010196837],
    [3.5, 0.999767370920964],
    [-4, 3.16712418331199e-5],
    [5, 0.999999713348428],
  ]
  for (const [x, p] of known) expect(below(x)).toBeCloseTo(p, 13)
})

describe('100,000,000 draws', () => {
  test.each([0.5, 0.1, 0.3, 0.999, 1e-3, 1e-6])(
    'are yes with probability %f, and as unevenly in blocks as chance has it',
    (p) => {
      const block = 100_000
      const counts = new Float64Array(MANY / block)
      eachPiece((start, n) => {
        kernels.bernoulli(out, start, n, key, p)
        for (let at = 0; at < n; at += block) counts[(start + at) / block] = kernels.sumMask(out + at, block)
      })
      const total = counts.reduce((x, y) => x + y)
      const variance = p * (1 - p)
      within(`bernoulli ${p}, count`, total, MANY * p, Math.sqrt(MANY * variance))
      // With too few in a block the sum of squares is no chi-square; the whole is counted above all the same.
      if (block * variance < 50) return
      const chi = counts.reduce((sum, count) => sum + (count - block * p) ** 2, 0) / (block * variance)
      within(`bernoulli ${p}, blocks`, chi, counts.length, Math.sqrt(2 * counts.length))
    },
  )

  test.each<[string, readonly number[]]>([
    ['four uneven', [0.5, 0.2, 0.25, 0.05]],
    ['four equal', [0.25, 0.25, 0.25, 0.25]],
    ['64 rising', Array.from({ length: 64 }, (_, i) => (i + 1) / 2080)],
  ])('are dealt out in %s shares', (_, shares) => {
    const counts = new Float64Array(256)
    eachPiece((start, n) => {
      kernels.partition(out, start, n, key, shares)
      for (const part of kernels.view(Uint8Array, out, n)) counts[part]! += 1
    })
    expect(counts.subarray(shares.length).every((count) => count === 0)).toBe(true)
    chiWithin(`partition of ${shares.length}`, counts.subarray(0, shares.length), (part) => MANY * shares[part]!)
  })

  test('are uniform: mean, variance, 65,536 equal bins, distribution, and pairs of neighbours', () => {
    const bins = new Float64Array(65_536)
    const pairs = new Float64Array(65_536)
    let [sum, squares] = [0, 0]
    eachPiece((start, n) => {
      kernels.uniform(out, start, n, key)
      const x = kernels.view(Float32Array, out, n)
      for (let i = 0; i < n; i += 2) {
        const u = x[i]!
        const v = x[i + 1]!
        sum += u - 0.5 + (v - 0.5)
        squares += (u - 0.5) ** 2 + (v - 0.5) ** 2
        bins[(u * 65_536) | 0]! += 1
        bins[(v * 65_536) | 0]! += 1
        pairs[(((u * 256) | 0) << 8) | ((v * 256) | 0)]! += 1
      }
    })
    // Values are the lower ends of 2^24 steps.
    const step = 2 ** -24
    within('uniform, mean', sum / MANY, -step / 2, Math.sqrt(1 / 12 / MANY))
    within('uniform, variance', squares / MANY, 1 / 12, Math.sqrt(1 / 180 / MANY))
    chiWithin('uniform, bins', bins, () => MANY / 65_536)
    chiWithin('uniform, pairs', pairs, () => MANY / 2 / 65_536)
    expectDistribution('uniform, distribution', bins, (bin) => bin / 65_536)
  })

  test('are normal: mean, variance, skewness, kurtosis, tails and distribution', () => {
    const [edge, fine] = [8, 1024]
    const bins = new Float64Array(2 * edge * fine)
    let [s1, s2, s3, s4] = [0, 0, 0, 0]
    eachPiece((start, n) => {
      kernels.gaussian(out, start, n, key)
      let [p1, p2, p3, p4] = [0, 0, 0, 0]
      const x = kernels.view(Float32Array, out, n)
      for (let i = 0; i < n; i++) {
        const z = x[i]!
        const square = z * z
        p1 += z
        p2 += square
        p3 += square * z
        p4 += square * square
        bins[Math.floor((z + edge) * fine)]! += 1
      }
      s1 += p1
      s2 += p2
      s3 += p3
      s4 += p4
    })
    const mean = s1 / MANY
    const variance = s2 / MANY - mean ** 2
    const skewness = (s3 / MANY - (3 * mean * s2) / MANY + 2 * mean ** 3) / variance ** 1.5
    const kurtosis = (s4 / MANY - (4 * mean * s3) / MANY + (6 * mean ** 2 * s2) / MANY - 3 * mean ** 4) / variance ** 2
    within('normal, mean', mean, 0, Math.sqrt(1 / MANY))
    within('normal, variance', variance, 1, Math.sqrt(2 / MANY))
    within('normal, skewness', skewness, 0, Math.sqrt(6 / MANY))
    within('normal, kurtosis', kurtosis, 3, Math.sqrt(24 / MANY))
    for (const far of [0.5, 1, 1.5, 2, 2.5, 3, 3.5, 4, 4.5, 5]) {
      const p = below(-far)
      const count = (from: number, to: number): number =>
        bins.subarray((from + edge) * fine, (to + edge) * fine).reduce((x, y) => x + y, 0)
      within(`normal, below −${far}`, count(-edge, -far), MANY * p, Math.sqrt(MANY * p * (1 - p)))
      within(`normal, above ${far}`, count(far, edge), MANY * p, Math.sqrt(MANY * p * (1 - p)))
    }
    expectDistribution('normal, distribution', bins, (bin) => below(bin / fine - edge))
  })
})

const N = 4_000_000
const LAGS = 16

const drawn = <T extends Uint32Array | Float32Array>(
  type: { new (n: number): T },
  run: (out: number, start: number, n: number, key: RandomKey) => void,
  of: RandomKey,
): T => {
  run(out, 0, N + LAGS, of)
  const copy = new type(N + LAGS)
  new Uint8Array(copy.buffer).set(kernels.view(Uint8Array, out, copy.byteLength))
  return copy
}

const ones = (x: number): number => {
  x -= (x >>> 1) & 0x55555555
  x = (x & 0x33333333) + ((x >>> 2) & 0x33333333)
  return Math.imul((x + (x >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24
}

/** How the bits and the normal values of two streams go together when one is `lag` elements ahead of the other. */
const expectUnrelated = (label: string, a: RandomKey, b: RandomKey): void => {
  const [x, y] = [drawn(Uint32Array, kernels.randomBits, a), drawn(Uint32Array, kernels.randomBits, b)]
  const [u, v] = [drawn(Float32Array, kernels.gaussian, a), drawn(Float32Array, kernels.gaussian, b)]
  const own = a === b
  for (let lag = own ? 1 : 0; lag <= LAGS; lag++) {
    for (const [way, p, q, r, s] of [
      ['ahead', x, y, u, v],
      ['behind', y, x, v, u],
    ] as const) {
      if (way === 'behind' && (own || lag === 0)) continue
      let [differ, product] = [0, 0]
      for (let i = 0; i < N; i++) {
        differ += ones(p[i + lag]! ^ q[i]!)
        product += r[i + lag]! * s[i]!
      }
      within(`${label}, bits, ${lag} ${way}`, differ, 16 * N, Math.sqrt(8 * N))
      within(`${label}, normal values, ${lag} ${way}`, product / N, 0, Math.sqrt(1 / N))
    }
  }
  if (own) return
  // Every bit by itself: a lane that is copied would hide among 32.
  const lanes = new Float64Array(32)
  for (let i = 0; i < N; i++) for (let bit = 0, d = x[i]! ^ y[i]!; bit < 32; bit++) lanes[bit]! += (d >>> bit) & 1
  lanes.forEach((count, bit) => within(`${label}, bit ${bit}`, count, N / 2, Math.sqrt(N / 4)))
}

describe('bits and normal values of two streams are unrelated, up to 16 elements apart', () => {
  test.each<[string, Partial<typeof words>]>([
    ['two tensors of one step', { tensor: 'blocks.1.weight' }],
    ['neighbouring seeds', { seed: 43 }],
    ['draw 0 and draw 1', { draw: 1 }],
    ['two steps', { step: 'drop2' }],
  ])('%s', (label, other) => expectUnrelated(label, key, deriveKey({ ...words, ...other })))

  test('one stream and itself', () => expectUnrelated('itself', key, key))

  test('and a copy of a stream is found out', () =>
    expect(() => expectUnrelated('a copy', key, { ...key })).toThrow('a copy, bits, 0 ahead'))
})
