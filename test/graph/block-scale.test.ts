import { describe, expect, test } from 'vitest'
import { createGraph } from '#src/graph/graph.js'
import { interpret, type Data } from '#src/graph/interpret.js'
import { cutPasses } from '#src/graph/passes.js'
import { createFingerprints } from '#src/plan/fingerprint.js'
import type { TensorInfo } from '#src/tensor/info.js'

const info = (name: string, dtype: TensorInfo['dtype'], ...shape: number[]): TensorInfo => ({
  name,
  dtype,
  shape,
  file: 'f',
  begin: 0,
  end: 0,
})
const dataOf = (values: Readonly<Record<string, readonly number[]>>): Data => ({
  read: ({ name }) => Float64Array.from(values[name]!),
  bernoulli: () => new Uint8Array(),
  normal: () => new Float64Array(),
  uniform: () => new Float64Array(),
})
const [WEIGHT, SCALE] = [info('x', 'F8_E4M3', 3, 4), info('s', 'F32', 2, 2)]
const GRID = { shape: [3, 4], blocks: [2, 3] }
const NUMBERS = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]

test('a scaled tensor is each number times the scale of its block', () => {
  const g = createGraph()
  expect([
    ...(interpret(
      [g.scaled(WEIGHT, SCALE, GRID)],
      12,
      dataOf({ x: NUMBERS, s: [1, 10, 100, 1000] }),
    )[0] as Float64Array),
  ]).toEqual([1, 2, 3, 40, 5, 6, 7, 80, 900, 1000, 1100, 12000])
})

test('a tensor that is scaled again has the greatest magnitude of each block at 448, NaN and infinities aside', () => {
  const g = createGraph()
  const { stored, scale } = g.rescaled(g.read(WEIGHT), GRID)
  const data = dataOf({ x: [1, -2, 3, 0, 4, NaN, -6, 0, Infinity, 896, 1, 448] })
  const scales = interpret([scale], 12, data)[0] as Float64Array
  expect([...scales.subarray(0, 4)]).toEqual([6 / 448, 1, 2, 1])
  expect([...(interpret([stored], 12, data)[0] as Float64Array)]).toEqual(
    [1, -2, 3, 0, 4, NaN, -6, 0, Infinity, 896, 1, 448].map(
      (x, i) => x / scales[[0, 0, 0, 1, 0, 0, 0, 1, 2, 2, 2, 3][i]!]!,
    ),
  )
})

describe('the scale of a block', () => {
  const scaleOf = (peak: number): number => {
    const g = createGraph()
    const { scale } = g.rescaled(g.read(WEIGHT), { shape: [3, 4], blocks: [3, 4] })
    return (interpret([scale], 1, dataOf({ x: NUMBERS.map((_, i) => (i === 5 ? -peak : 0)) }))[0] as Float64Array)[0]!
  }
  test('is a 448th of its greatest magnitude, and 1 where all are 0', () => {
    expect([scaleOf(448), scaleOf(7), scaleOf(0)]).toEqual([1, 0.015625, 1])
  })
  test('is no less than the least number that float32 holds with all its digits, so that nothing is divided by 0', () => {
    expect([scaleOf(2 ** -149), scaleOf(2 ** -120)]).toEqual([2 ** -126, 2 ** -126])
  })
})

test('scales are found in a sweep before the one that divides by them', () => {
  const g = createGraph()
  const { stored } = g.rescaled(g.scaled(WEIGHT, SCALE, GRID), GRID)
  const { passes } = cutPasses([{ value: stored, dtype: 'F8_E4M3' }])
  expect(passes.map((p) => [p.takes.map((t) => t.stage), p.needs.length, p.draws.map((d) => d.type)])).toEqual([
    [['block-totals'], 0, ['spread']],
    [[], 1, ['spread', 'spread']],
  ])
})

test('a fingerprint is of the scale as it is of the numbers', () => {
  const g = createGraph()
  const made = (digests: Readonly<Record<string, string>>) =>
    createFingerprints(g.grouped, ({ name }) => digests[name]).of(g.scaled(WEIGHT, SCALE, GRID), {
      elements: 12,
      dtype: 'F32',
      allowNonFinite: false,
    })
  expect(made({ x: 'a', s: 'b' })).toBeDefined()
  expect(made({ x: 'a', s: 'b' })).not.toBe(made({ x: 'a', s: 'c' }))
  expect(made({ x: 'a' })).toBeUndefined()
})
