import { describe, expect, test } from 'vitest'
import { sizeOf, type TensorInfo } from '#src/tensor/info.js'
import {
  forEachRange,
  isRun,
  isWhole,
  selectionOf,
  selectionText,
  sliceOf,
  stridesOf,
  viewBytes,
  viewKey,
  viewLabel,
  wholeOf,
  type View,
} from '#src/tensor/view.js'

const info = (shape: readonly number[], dtype: TensorInfo['dtype'] = 'F32'): TensorInfo => ({
  name: 't',
  dtype,
  shape,
  file: 'f',
  begin: 0,
  end: 4 * sizeOf(shape),
})
const matrix = wholeOf(info([4, 6]))
/** Rows for columns, as a view that some later operator may make. */
const transposed: View = { ...matrix, shape: [6, 4], strides: [1, 6] }

/** Every number of a view, found one by one. */
const numbersOf = (view: View): number[] =>
  view.shape.reduce<number[]>(
    (found, length, d) => found.flatMap((at) => Array.from({ length }, (_, i) => at + i * stridesOf(view)[d]!)),
    [view.first],
  )

/** The same numbers by ranges. */
const rangesOf = (view: View, from: number, to: number): number[] => {
  const found: number[] = []
  forEachRange(selectionOf(view), from, to, (first, count) =>
    found.push(...Array.from({ length: count }, (_, i) => first + i)),
  )
  return found
}

const cube = wholeOf(info([3, 4, 5]))
const VIEWS: readonly (readonly [what: string, view: View])[] = [
  ['all', matrix],
  ['rows', sliceOf(matrix, 0, 1, 2)],
  ['columns', sliceOf(matrix, 1, 2, 3)],
  ['one column', sliceOf(matrix, 1, 5, 1)],
  ['rows of columns', sliceOf(sliceOf(matrix, 1, 1, 4), 0, 2, 2)],
  ['no rows', sliceOf(matrix, 0, 2, 0)],
  ['a middle dimension', sliceOf(cube, 1, 1, 2)],
  ['the last dimension', sliceOf(cube, 2, 3, 2)],
  ['one index of each', sliceOf(sliceOf(sliceOf(cube, 0, 2, 1), 1, 3, 1), 2, 4, 1)],
  ['a transposition', transposed],
  ['rows of a transposition', sliceOf(transposed, 0, 1, 3)],
  ['rows of rows of a matrix', sliceOf(sliceOf(cube, 0, 1, 2), 0, 1, 1)],
  ['a scalar', wholeOf(info([]))],
]

describe('the ranges of a view are its numbers in order', () => {
  test.each(VIEWS)('%s', (_what, view) => {
    const all = numbersOf(view)
    expect(all).toHaveLength(sizeOf(view.shape))
    for (let from = 0; from <= all.length; from++)
      for (let to = from; to <= all.length; to++) expect(rangesOf(view, from, to)).toEqual(all.slice(from, to))
  })
})

test('a range is as long as it can be', () => {
  const lengths = (view: View): number[] => {
    const found: number[] = []
    forEachRange(selectionOf(view), 0, sizeOf(view.shape), (_, count) => found.push(count))
    return found
  }
  expect([
    lengths(matrix),
    lengths(sliceOf(matrix, 0, 1, 2)),
    lengths(sliceOf(matrix, 1, 1, 2)),
    lengths(sliceOf(cube, 1, 1, 2)),
  ]).toEqual([[24], [12], [2, 2, 2, 2], [10, 10, 10]])
})

describe('what a view selects is told apart', () => {
  test('from all else that it could select, and by nothing else', () => {
    const texts = VIEWS.filter(([, v]) => v.tensor === matrix.tensor && sizeOf(v.shape) > 0).map(([, view]) =>
      selectionText(view),
    )
    expect(new Set(texts).size).toBe(texts.length)
    expect(selectionText(sliceOf(sliceOf(matrix, 0, 1, 3), 0, 0, 2))).toBe(selectionText(sliceOf(matrix, 0, 1, 2)))
    const reshaped: View = { ...matrix, shape: [2, 2, 6], strides: [12, 6, 1] }
    expect([viewKey(reshaped), isWhole(reshaped)]).toEqual([viewKey(matrix), true])
  })

  test('and a whole tensor is its own name', () => {
    expect([viewLabel(matrix), viewLabel(sliceOf(matrix, 0, 0, 4)), viewLabel(sliceOf(matrix, 0, 1, 2))]).toEqual([
      't',
      't',
      't[6+12*1]',
    ])
    expect(VIEWS.filter(([, view]) => isWhole(view)).map(([what]) => what)).toEqual(['all', 'a scalar'])
    expect(VIEWS.filter(([, view]) => isRun(selectionOf(view))).map(([what]) => what)).toEqual([
      'all',
      'rows',
      'no rows',
      'one index of each',
      'rows of rows of a matrix',
      'a scalar',
    ])
  })
})

test('a view takes the bytes of its numbers', () => {
  expect([
    viewBytes(matrix),
    viewBytes(sliceOf(matrix, 1, 0, 2)),
    viewBytes(wholeOf({ ...info([24], 'BOOL'), end: 3, packed: true })),
  ]).toEqual([96, 32, 3])
})

test('what is no part of a tensor, or no whole byte, is a mistake of the program', () => {
  expect(() => sliceOf(matrix, 0, 3, 2)).toThrow('3 to 5 is no part of dimension 0 of t')
  expect(() => sliceOf(matrix, 2, 0, 1)).toThrow('no part')
  expect(() => sliceOf(matrix, 0, 0.5, 2)).toThrow('no part')
  expect(() => sliceOf(wholeOf(info([4], 'F4')), 0, 0, 2)).toThrow('only read whole')
})
