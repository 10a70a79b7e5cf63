import { describe, expect, test } from 'vitest'
import type { Cells } from '#src/graph/expression.js'
import { createGraph } from '#src/graph/graph.js'
import { interpret, type Data } from '#src/graph/interpret.js'
import { cutPasses } from '#src/graph/passes.js'
import { addElements, addTally, emptyTally } from '#src/run/histograms.js'

const info = (size: number) => ({ name: 'x', dtype: 'F32', shape: [size], file: 'f', begin: 0, end: 4 * size }) as const
const dataOf = (values: readonly number[]): Data => ({
  read: () => Float64Array.from(values),
  bernoulli: () => new Uint8Array(),
  normal: () => new Float64Array(),
  uniform: () => new Float64Array(),
})

test('the least and the greatest pass over NaN, and are infinities where there is no number', () => {
  const g = createGraph()
  const x = g.read(info(3))
  const roots = [g.least(x), g.greatest(x)]
  expect(interpret(roots, 3, dataOf([2, NaN, -3]))).toEqual([-3, 2])
  expect(interpret(roots, 3, dataOf([NaN, NaN, NaN]))).toEqual([Infinity, -Infinity])
})

test('a tally by place has count, sum, squares, least and greatest of every cell', () => {
  const g = createGraph()
  const tally = g.tally(g.read(info(6)), { by: 'place', rows: 2, columns: 3, gridRows: 1, gridColumns: 2 })
  // Columns 0 and 1 are the first cell, column 2 the second.
  expect([...(interpret([tally], 6, dataOf([1, 2, 10, 3, -4, NaN]))[0] as Float64Array)]).toEqual([
    4, 2, 30, -4, 3, 1, 10, 100, 10, 10,
  ])
})

test('a tally by value counts the greatest number in the last cell', () => {
  const g = createGraph()
  const x = g.read(info(5))
  const tally = g.tally(x, { by: 'value', low: g.least(x), high: g.greatest(x), count: 4 })
  const found = interpret([tally], 5, dataOf([0, 1, 2, 3, 4]))[0] as Float64Array
  expect([0, 1, 2, 3].map((cell) => found[cell * 5])).toEqual([1, 1, 1, 2])
})

test('the bounds of a tally are found in a sweep before it, together with what else needs one', () => {
  const g = createGraph()
  const x = g.read(info(5))
  const [low, high] = [g.least(x), g.greatest(x)]
  const tally = g.tally(x, { by: 'value', low, high, count: 4 })
  const { passes } = cutPasses(
    [],
    [low, high, g.sum(x), tally].filter((e) => e.type !== 'literal') as Parameters<typeof cutPasses>[1],
  )
  expect(passes.map((pass) => pass.takes.map((t) => t.stage))).toEqual([['min', 'max', 'sum'], ['tally']])
  expect(passes[1]!.needs.map((m) => m.id)).toEqual([low.id, high.id])
})

test('equal tallies are one', () => {
  const g = createGraph()
  const [x, cells] = [g.read(info(6)), { by: 'place', rows: 2, columns: 3, gridRows: 1, gridColumns: 2 } as const]
  expect(g.tally(x, cells)).toBe(g.tally(x, { ...cells }))
  expect(g.tally(x, cells)).not.toBe(g.tally(x, { ...cells, gridRows: 2 }))
})

describe('what workers count agrees with the interpreter, however the tensor is cut', () => {
  const values = Float32Array.from({ length: 13 * 29 }, (_, i) =>
    i % 17 === 0 ? NaN : i % 53 === 0 ? Infinity : Math.round(1e4 * Math.sin(i)) / 64,
  )
  test.each([
    { by: 'place', rows: 13, columns: 29, gridRows: 4, gridColumns: 7 },
    { by: 'place', rows: 13, columns: 29, gridRows: 13, gridColumns: 29 },
    { by: 'value', low: -150, high: 150, count: 11 },
    { by: 'value', low: 1, high: 1, count: 3 },
  ] as readonly Cells<number>[])('%o', (cells) => {
    const g = createGraph()
    const wanted = cells.by === 'place' ? cells : { ...cells, low: g.number(cells.low), high: g.number(cells.high) }
    const [expected] = interpret([g.tally(g.read(info(values.length)), wanted)], values.length, dataOf([...values]))
    for (const cut of [1, 10, 100, 1000]) {
      const [first, second] = [emptyTally(cells), emptyTally(cells)]
      const half = 5 * cut
      for (let at = 0; at < values.length; at += cut)
        addElements(at < half ? first : second, cells, values.subarray(at, at + cut), at)
      addTally(first, second)
      expect(first).toEqual(expected)
    }
  })
})
