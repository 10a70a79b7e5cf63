import { describe, expect, test } from 'vitest'
import { createGraph } from '#src/graph/graph.js'
import { interpret } from '#src/graph/interpret.js'
import {
  addToBlocks,
  addToHeld,
  createBlockVectors,
  emptyBlocks,
  holdBlocks,
  takeHeld,
} from '#src/run/block-vectors.js'
import { kernels, put } from '../kernels/memory-of.js'
import { columnsOf, fibersOf, rowsOf, visitRuns, type BlockGrid } from '#src/tensor/block-grid.js'

const SIZE = 6 * 35
const GRIDS: Readonly<Record<string, BlockGrid>> = {
  rows: { shape: [6, 35], blocks: [1, 35] },
  columns: { shape: [6, 35], blocks: [6, 1] },
  blocks: { shape: [6, 35], blocks: [4, 8] },
  'inputs of a convolution': columnsOf([6, 5, 7]),
  'fibers of a convolution': fibersOf([6, 5, 7]),
  'the whole tensor': { shape: [1, SIZE], blocks: [1, SIZE] },
}
const numbers = (seed: number): Float32Array =>
  Float32Array.from({ length: SIZE }, (_, i) => Math.fround(Math.sin(seed + i * i) * 10))
const [X, Y] = [numbers(1), numbers(2)]
const info = (name: string) => ({ name, dtype: 'F32', shape: [6, 35], file: 'f', begin: 0, end: 4 * SIZE }) as const
type TotalsMeasure = 'sum' | 'dot' | 'peak'
const DATA = {
  read: ({ name }: { name: string }) => Float64Array.from(name === 'x' ? X : Y),
  bernoulli: () => new Uint8Array(),
  normal: () => new Float64Array(),
  uniform: () => new Float64Array(),
}

/**
 * The totals of parts that begin at the given elements, added part by part. Kernels that can hold a part give the same.
 */
const inParts = (grid: BlockGrid, measure: TotalsMeasure, starts: readonly number[]): number[] => {
  const all: number[] = []
  starts.forEach((start, i) => {
    const end = starts[i + 1] ?? SIZE
    const take = { stage: 'block-totals', ports: [0, 1], measure, grid } as const
    const part = emptyBlocks(grid, start, end)
    const held = holdBlocks(kernels, take, start, end, kernels.alloc)
    const middle = start + Math.floor((end - start) / 3)
    for (const [from, to] of [
      [start, middle],
      [middle, end],
    ] as const) {
      const [x, y] = [X.subarray(from, to), Y.subarray(from, to)]
      addToBlocks(part, take, [x, y], from)
      if (held !== undefined) addToHeld(kernels, held, take, [put(x), put(y)], to - from, from)
    }
    if (held !== undefined) expect(takeHeld(kernels, held)).toEqual(part)
    part.numbers.forEach((x, at) => {
      const known = all[part.first + at]
      all[part.first + at] = known === undefined ? x : measure === 'peak' ? Math.max(known, x) : known + x
    })
  })
  return all
}

describe.each(Object.entries(GRIDS))('by %s', (_, grid) => {
  const g = createGraph()
  const [x, y] = [g.read(info('x')), g.read(info('y'))]

  test('sums and dot products are those of the interpreter, however the tensor is divided', () => {
    const roots = [g.sumBy(x, grid), g.dotBy(x, y, grid)]
    const [sums, dots] = interpret(roots, SIZE, DATA) as Float64Array[]
    expect(inParts(grid, 'sum', [0])).toEqual([...sums!])
    expect(inParts(grid, 'dot', [0])).toEqual([...dots!])
    inParts(grid, 'dot', [0, 17, 100, 171]).forEach((total, i) => expect(total).toBeCloseTo(dots![i]!, 9))
  })

  test('every element gets the number of its block', () => {
    const spread = interpret([g.spread(g.sumBy(x, grid), grid)], SIZE, DATA)[0] as Float64Array
    const totals = Float32Array.from(inParts(grid, 'sum', [0]))
    const vectors = createBlockVectors(() => 0)
    for (const [start, end] of [
      [0, SIZE],
      [3, 4],
      [33, 142],
    ] as const) {
      const { first, numbers: met } = emptyBlocks(grid, start, end)
      vectors.load(
        0,
        { type: 'spread', grid, from: { numbers: totals.subarray(first, first + met.length) } },
        start,
        end,
      )
      const out = new Float32Array(end - start)
      vectors.fill(0, out, start)
      expect(out).toEqual(Float32Array.from(spread.subarray(start, end)))
    }
  })
})

test('the greatest size passes over what is no number, and over infinity', () => {
  const x = Float32Array.of(NaN, -3, 2, -Infinity, 1, -0, NaN, 2, -4, 5)
  for (const [grid, found] of [
    [columnsOf([2, 5]), [0, 3, 2, 4, 5]],
    [rowsOf([2, 5]), [3, 5]],
  ] as const) {
    const take = { stage: 'block-totals', ports: [0], measure: 'peak', grid } as const
    const held = holdBlocks(kernels, take, 0, 10, kernels.alloc)!
    addToHeld(kernels, held, take, [put(x)], 10, 0)
    const plain = emptyBlocks(grid, 0, 10)
    addToBlocks(plain, take, [x], 0)
    expect(takeHeld(kernels, held)).toEqual(plain)
    expect([...plain.numbers]).toEqual(found)
  }
})

test('rows, columns and fibers of a convolution are blocks of it', () => {
  const blocksOf = (grid: BlockGrid): readonly number[] => {
    const found: number[] = []
    visitRuns(grid, 0, 12, (_, length, block) => void found.push(...Array<number>(length).fill(block)))
    return found
  }
  const shape = [2, 3, 2]
  expect(blocksOf(rowsOf(shape))).toEqual([0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1])
  expect(blocksOf(columnsOf(shape))).toEqual([0, 0, 1, 1, 2, 2, 0, 0, 1, 1, 2, 2])
  expect(blocksOf(fibersOf(shape))).toEqual([0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 4, 5])
})

test('numbers of whole tensors are combined and spread like those of blocks', () => {
  const g = createGraph()
  const x = g.read(info('x'))
  expect(g.combine('add', g.sum(x), 1)).toBe(g.add(g.sum(x), 1))
  expect(g.spread(g.sum(x), rowsOf([6, 35]))).toBe(g.fill(g.sum(x)))
  expect(g.combine('mul', g.sumBy(x, rowsOf([6, 35])), g.sum(x))).toMatchObject({ kind: 'vector' })
})

test('the results of a function of numbers are expressions of their own', () => {
  const g = createGraph()
  const fn = {
    name: 'sort',
    version: 1,
    evaluate: (args: readonly number[]) => args.toSorted((p, q) => p - q),
  }
  const [least, greatest] = g.evaluate(fn, [g.number(3), 1, 2], 3).filter((_, i) => i !== 1)
  expect(interpret([least!, greatest!], 1, DATA)).toEqual([1, 3])
  expect(g.evaluate(fn, [3, 1, 2], 1)[0]).toBe(least)
})

test('as many of the largest magnitudes as another measure counts are kept', () => {
  const g = createGraph()
  const x = g.read(info('x'))
  const kept = g.largest(x, g.mul(g.count(g.compare('greater', x, 0)), 0.5))
  const mask = interpret([kept], SIZE, DATA)[0] as Uint8Array
  expect(mask.reduce((n, bit) => n + bit, 0)).toBe(Math.floor(X.filter((v) => v > 0).length / 2))
})
