import { expect, test } from 'vitest'
import { createGraph } from '#src/graph/graph.js'
import { interpret } from '#src/graph/interpret.js'
import type { TensorInfo } from '#src/tensor/info.js'
import { NO_ROW, rowRuns, toRowMap, ZERO_ROW } from '#src/tensor/row-map.js'
import {
  chooseRows,
  cutChosen,
  forEachRange,
  isRun,
  isWhole,
  selectionOf,
  selectionText,
  sliceOf,
  viewBytes,
  wholeOf,
} from '#src/tensor/view.js'

const matrix: TensorInfo = { name: 't', dtype: 'F16', shape: [4, 3], file: 'f', begin: 0, end: 24 }
const mapOf = (...rows: readonly number[]) => toRowMap(Int32Array.from(rows))
const SHUFFLED = [2, 3, NO_ROW, NO_ROW, 0, ZERO_ROW, 1]

/** Ranges as pairs of a first number and a count. */
const rangesOf = (rows: readonly number[], from: number, to: number): (readonly [number, number])[] => {
  const found: (readonly [number, number])[] = []
  const selection = cutChosen(selectionOf(chooseRows(matrix, mapOf(...rows))), from, to)
  forEachRange(selection, from, to, (first, count) => void found.push([first, count]))
  return found
}

test('rows that follow each other are one range, and those that are not stored are one of their code', () => {
  expect(rangesOf(SHUFFLED, 0, 21)).toEqual([
    [6, 6],
    [NO_ROW, 6],
    [0, 3],
    [ZERO_ROW, 3],
    [3, 3],
  ])
})

test('every part of chosen rows is the same numbers', () => {
  const numbers = (from: number, to: number): number[] =>
    rangesOf(SHUFFLED, from, to).flatMap(([first, count]) =>
      Array.from({ length: count }, (_, i) => (first < 0 ? first : first + i)),
    )
  const all = numbers(0, 21)
  for (let from = 0; from < 21; from++)
    for (let to = from + 1; to <= 21; to++) expect(numbers(from, to)).toEqual(all.slice(from, to))
})

test('a part holds no more rows than it needs', () => {
  const { chosen } = cutChosen(selectionOf(chooseRows(matrix, mapOf(...SHUFFLED))), 4, 8)
  expect(chosen).toEqual({ width: 3, from: 1, rows: Int32Array.of(3, NO_ROW) })
  expect(chosen!.rows.buffer.byteLength).toBe(8)
})

test('all rows in their order are the whole tensor', () => {
  expect(chooseRows(matrix, mapOf(0, 1, 2, 3))).toEqual(wholeOf(matrix))
  for (const rows of [
    [0, 1, 2],
    [0, 1, 2, 3, NO_ROW],
    [0, 1, 3, 2],
  ]) {
    const view = chooseRows(matrix, mapOf(...rows))
    expect([isWhole(view), isRun(selectionOf(view))]).toEqual([false, false])
  }
})

test('equal rows have one text, others another, and only what is stored has bytes', () => {
  const text = (...rows: readonly number[]): string => selectionText(chooseRows(matrix, mapOf(...rows)))
  expect(text(1, 0)).toBe(text(1, 0))
  expect(new Set([text(1, 0), text(0), text(1, 0, NO_ROW), text(1, 0, ZERO_ROW)]).size).toBe(4)
  expect(viewBytes(chooseRows(matrix, mapOf(...SHUFFLED)))).toBe(4 * 3 * 2)
})

test('rows that a tensor lacks, parts of chosen rows, and numbers of less than a byte are mistakes of a caller', () => {
  expect(() => chooseRows(matrix, mapOf(4))).toThrow('row 4')
  expect(() => mapOf(-3)).toThrow('-3')
  expect(() => sliceOf(chooseRows(matrix, mapOf(1, 0)), 0, 0, 1)).toThrow('chosen rows')
  expect(() => chooseRows({ ...matrix, packed: true }, mapOf(1))).toThrow('less than a byte')
})

test('sums of chosen rows are each number as it is, −0 too', () => {
  const g = createGraph()
  const [x, y] = [chooseRows(matrix, mapOf(1, NO_ROW, 0)), chooseRows(matrix, mapOf(NO_ROW, ZERO_ROW, NO_ROW))]
  const numbers = Float64Array.of(1, -0, 3, 4, 5, -6, 7, 8, 9, 10, 11, 12)
  const [sum] = interpret([g.add(g.read(x), g.read(y))], 9, { read: () => numbers } as never)
  expect([...(sum as Float64Array)]).toEqual([4, 5, -6, 0, 0, 0, 1, -0, 3])
})

test('vectors have rows of one number', () => {
  const found: number[] = []
  rowRuns({ width: 1, from: 0, rows: Int32Array.of(3, 4, 9, NO_ROW) }, 0, 4, (...range) => void found.push(...range))
  expect(found).toEqual([3, 2, 9, 1, NO_ROW, 1])
})
