import { describe, expect, test } from 'vitest'
import { buildRun } from '../support/build-run.js'
import { runOf } from '../support/recipe-run.js'
import { evaluateLast, f32 } from '../support/small.js'

const any = (n: number, seed: number): readonly number[] =>
  Array.from({ length: n }, (_, i) => (Math.sin(seed * 12.9898 + i * 78.233) * 43758.5453) % 1)
const SIZE = 37
const deltas = [1, 2, 3].map((seed) => any(SIZE, seed))
const files = {
  base: { x: f32(...any(20, 9)), y: f32(...any(SIZE - 20, 8)) },
  ...Object.fromEntries(
    deltas.map((delta, i) => [
      `m${i}`,
      {
        x: f32(...any(20, 9).map((x, k) => x + delta[k]!)),
        y: f32(...any(SIZE - 20, 8).map((x, k) => x + delta[20 + k]!)),
      },
    ]),
  ),
}
const pcb = { op: 'merge.pcb', base: 'base', models: ['m0', 'm1', 'm2'] }

const at = (sorted: readonly number[], q: number): number => sorted[Math.ceil(q * (sorted.length - 1) - 1e-9)]!
const ascending = (x: readonly number[]): readonly number[] => [...x].sort((a, b) => a - b)

/** The formulas, for differences of one tensor. */
const balanced = (all: readonly (readonly number[])[], density: number, clip: number): readonly number[] => {
  const sum = all[0]!.map((_, k) => all.reduce((total, delta) => total + delta[k]!, 0))
  const parts = all.map((delta) => {
    const sizes = ascending(delta.map(Math.abs))
    const [low, high] = [at(sizes, clip), at(sizes, 1 - clip)]
    const clipped = delta.map((x) => Math.sign(x) * Math.min(high, Math.max(low, Math.abs(x))))
    const balance = clipped.map(
      (x, k) => Math.exp(all.length * ((Math.abs(x) - low) / (high - low)) ** 2) * Math.tanh(delta[k]! * sum[k]!),
    )
    const sorted = ascending(balance)
    const found = at(sorted, 1 - density)
    const least = found > 0 ? found : sorted[Math.floor((1 - density) * (SIZE - 1) + 1e-9)]!
    return { clipped, share: balance.map((x) => Math.max(0, (x - least) / (sorted.at(-1)! - least))) }
  })
  return sum.map((_, k) => {
    const shares = parts.reduce((total, { share }) => total + share[k]!, 0)
    return parts.reduce((total, { clipped, share }) => total + clipped[k]! * share[k]!, 0) / Math.max(shares, 1e-12)
  })
}

describe('merge.pcb', () => {
  test.each([
    [0.1, 0],
    [0.3, 0.05],
    [0.5, 0.0001],
    // Thresholds below 0.
    [0.85, 0.1],
    [1, 0],
  ])('is what its formulas say, over all tensors: density %d, clip %d', (density, clip) => {
    const found = evaluateLast(files, { r: { ...pcb, density, clip } })
    const expected = balanced(deltas, density, clip)
    const base = [...files.base.x.values, ...files.base.y.values]
    ;[...found['x']!, ...found['y']!].forEach((x, k) => expect(x).toBeCloseTo(base[k]! + expected[k]!, 5))
  })

  test('compiled and in ONNX Runtime, it gives the same', async () => {
    for (const step of [pcb, { ...pcb, density: 0.9, scope: 'tensor', lambda: 1.2 }]) {
      const [made, other] = [
        await buildRun(runOf(files, { r: step }, {})),
        await buildRun(runOf(files, { r: step }, {}), { engine: 'onnx' }),
      ]
      if (made.type === 'failed' || other.type === 'failed') throw new Error('the build failed')
      expect(other.value).toEqual(made.value)
      const plain = evaluateLast(files, { r: step })
      for (const name of ['x', 'y'])
        made.value[name]!.values.forEach((x, k) => expect(x).toBeCloseTo(plain[name]![k]!, 5))
    }
  })

  test('weights multiply differences, and do not normalise', () => {
    const twice = { ...pcb, models: pcb.models.map((model) => ({ model, weight: 2 })) }
    const [one, two] = [pcb, twice].map((step) => evaluateLast(files, { r: step })['x']!)
    files.base.x.values.forEach((x, k) => expect(two![k]! - x).toBeCloseTo(2 * (one![k]! - x), 5))
    expect(evaluateLast(files, { r: { ...pcb, lambda: 2 } })['x']).toEqual(two)
  })

  test.each([
    ['nothing is kept', files, { density: 0 }],
    ['lambda is 0', files, { lambda: 0 }],
    ['no model differs', { ...files, m0: files.base, m1: files.base, m2: files.base }, {}],
  ])('gives the base where %s', (_, inputs, settings) => {
    expect(evaluateLast(inputs, { r: { ...pcb, ...settings } })['x']).toEqual(files.base.x.values)
  })

  test('of one number moves it by the mean of all', () => {
    const one = (x: number) => ({ x: f32(x) })
    const inputs = { base: one(1), m0: one(3), m1: one(5), m2: one(0.5) }
    expect(evaluateLast(inputs, { r: { ...pcb, scope: 'tensor' } })['x']![0]).toBeCloseTo(1 + (2 + 4 - 0.5) / 3, 6)
  })

  test('a number that is NaN stops the build, naming the tensor', async () => {
    const made = await buildRun(runOf({ ...files, m1: { ...files.base, x: f32(NaN, ...any(19, 1)) } }, { r: pcb }, {}))
    expect(made.diagnostics.map(({ code }) => code)).toEqual(['unordered'])
  })
})
