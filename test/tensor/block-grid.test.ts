import { describe, expect, it } from 'vitest'
import { blockCount, blockRange, foldAxes, turnsOf, visitRuns, type BlockGrid } from '#src/tensor/block-grid.js'

/** The block of an element, from its coordinates. */
const blockOf = ({ shape, blocks }: BlockGrid, element: number): number => {
  const coordinates = shape.map(
    (_, axis) => Math.floor(element / shape.slice(axis + 1).reduce((n, d) => n * d, 1)) % shape[axis]!,
  )
  return coordinates.reduce(
    (block, c, axis) => block * Math.ceil(shape[axis]! / blocks[axis]!) + Math.floor(c / blocks[axis]!),
    0,
  )
}

const visited = (grid: BlockGrid, start: number, n: number): number[] => {
  const found: number[] = []
  visitRuns(grid, start, n, (at, length, block) => {
    expect(at).toBe(found.length)
    for (let i = 0; i < length; i++) found.push(block)
  })
  return found
}

const GRIDS: readonly (readonly [name: string, grid: BlockGrid])[] = [
  ['one block', { shape: [3, 5], blocks: [3, 5] }],
  ['a block a row', { shape: [4, 3], blocks: [1, 3] }],
  ['a block a row of a convolution', { shape: [3, 2, 2, 2], blocks: [1, 2, 2, 2] }],
  ['a block a column', { shape: [3, 4], blocks: [3, 1] }],
  ['a block an input of a convolution', { shape: [3, 4, 2, 2], blocks: [3, 1, 2, 2] }],
  ['a block a run along the last axis', { shape: [3, 4, 2], blocks: [1, 1, 2] }],
  ['a block a fibre along the first axis', { shape: [3, 4, 2], blocks: [3, 1, 1] }],
  ['an axis of one element between two that are cut', { shape: [3, 1, 2], blocks: [1, 1, 1] }],
  ['a whole axis between two that are cut', { shape: [3, 4, 2], blocks: [1, 4, 1] }],
  ['blocks larger than the tensor', { shape: [3, 4], blocks: [8, 1] }],
  ['blocks that fill no whole number of times', { shape: [5, 7], blocks: [2, 3] }],
  ['blocks of one of several matrices', { shape: [3, 5, 4], blocks: [1, 2, 3] }],
  ['blocks over several matrices', { shape: [3, 5, 4], blocks: [2, 5, 3] }],
]

describe.each(GRIDS)('%s', (_, grid) => {
  const size = grid.shape.reduce((n, d) => n * d, 1)
  it('are walked element by element, wherever one begins', () => {
    for (let start = 0; start < size; start++) {
      for (const n of new Set([1, 2, size - start])) {
        if (start + n > size) continue
        const wanted = Array.from({ length: n }, (_unused, i) => blockOf(grid, start + i))
        expect(visited(grid, start, n)).toEqual(wanted)
        expect(visited(foldAxes(grid), start, n)).toEqual(wanted)
        const range = blockRange(grid, start, start + n)
        expect(wanted.every((block) => block >= range.first && block < range.end)).toBe(true)
      }
    }
  })
  it('take turns, where they are said to', () => {
    const turns = turnsOf(grid)
    if (turns === undefined) return
    const wanted = Array.from({ length: size }, (_unused, i) => blockOf(grid, i))
    expect(wanted.map((_unused, i) => Math.floor(i / turns.run) % turns.count)).toEqual(wanted)
    expect(turnsOf(foldAxes(grid))).toEqual(turns)
  })
  it('are as many with fewer axes', () => {
    expect(blockCount(foldAxes(grid))).toBe(blockCount(grid))
    expect(blockCount(grid)).toBe(new Set(visited(grid, 0, size)).size)
  })
})

it('axes that no block is cut along become one', () => {
  expect(foldAxes({ shape: [4, 3, 2], blocks: [4, 3, 2] })).toEqual({ shape: [24], blocks: [24] })
  expect(foldAxes({ shape: [4, 3, 2], blocks: [1, 3, 2] })).toEqual({ shape: [24], blocks: [6] })
  expect(foldAxes({ shape: [], blocks: [] })).toEqual({ shape: [1], blocks: [1] })
  expect(foldAxes({ shape: [300, 200], blocks: [128, 128] })).toEqual({ shape: [300, 200], blocks: [128, 128] })
})

it('rows, columns and runs take turns; tiles do not', () => {
  expect(turnsOf({ shape: [4, 3, 2], blocks: [1, 3, 2] })).toEqual({ run: 6, count: 4 })
  expect(turnsOf({ shape: [4, 3, 2], blocks: [4, 1, 2] })).toEqual({ run: 2, count: 3 })
  expect(turnsOf({ shape: [4, 3, 2], blocks: [1, 1, 2] })).toEqual({ run: 2, count: 12 })
  expect(turnsOf({ shape: [4, 3, 2], blocks: [4, 1, 1] })).toEqual({ run: 1, count: 6 })
  expect(turnsOf({ shape: [24], blocks: [6] })).toEqual({ run: 6, count: 4 })
  expect(turnsOf({ shape: [2, 24], blocks: [2, 6] })).toEqual({ run: 6, count: 4 })
  expect(turnsOf({ shape: [24], blocks: [7] })).toBeUndefined()
  expect(turnsOf({ shape: [], blocks: [] })).toEqual({ run: 1, count: 1 })
  expect(turnsOf({ shape: [4, 3, 2], blocks: [1, 3, 1] })).toBeUndefined()
  expect(turnsOf({ shape: [300, 200], blocks: [128, 128] })).toBeUndefined()
})
