import { addProduct, part, type Matrix } from './matrix.js'

/** Columns that are worked on at a time. */
const PANEL = 64

/**
 * Replaces the rows of `b` by those of the x with a·x = b, and `a` by its factors; 2·n³/3 + 2·n²·columns floating-point
 * operations. By elimination with the greatest pivot of each column; gives false where a pivot is 0 or not finite. Both
 * have their rows one after the other.
 */
export const solveColumns = (a: Matrix, b: Matrix): boolean => {
  const { rows: n } = a
  const at = (m: Matrix, i: number, j: number): number => m.first + i * m.rowStep + j
  for (let start = 0; start < n; start += PANEL) {
    const end = Math.min(n, start + PANEL)
    for (let j = start; j < end; j++) {
      let pivot = j
      for (let i = j + 1; i < n; i++)
        if (Math.abs(a.values[at(a, i, j)]!) > Math.abs(a.values[at(a, pivot, j)]!)) pivot = i
      const greatest = a.values[at(a, pivot, j)]!
      if (greatest === 0 || !Number.isFinite(greatest)) return false
      if (pivot !== j) for (const m of [a, b]) exchange(m, pivot, j)
      for (let i = j + 1; i < n; i++) {
        const factor = a.values[at(a, i, j)]! / greatest
        a.values[at(a, i, j)] = factor
        if (factor !== 0) for (let k = j + 1; k < end; k++) a.values[at(a, i, k)]! -= factor * a.values[at(a, j, k)]!
      }
    }
    // What is left of the rows of this panel, then of all rows below it.
    for (const [m, from] of [
      [a, end],
      [b, 0],
    ] as const) {
      for (let j = start; j < end; j++)
        for (let i = j + 1; i < end; i++) {
          const factor = a.values[at(a, i, j)]!
          for (let k = from; k < m.columns; k++) m.values[at(m, i, k)]! -= factor * m.values[at(m, j, k)]!
        }
      if (end < n && from < m.columns)
        addProduct(
          part(m, end, n - end, from, m.columns - from),
          part(a, end, n - end, start, end - start),
          part(m, start, end - start, from, m.columns - from),
          -1,
        )
    }
  }
  for (let end = n; end > 0;) {
    const start = Math.floor((end - 1) / PANEL) * PANEL
    for (let i = end - 1; i >= start; i--) {
      for (let j = i + 1; j < end; j++) {
        const factor = a.values[at(a, i, j)]!
        for (let k = 0; k < b.columns; k++) b.values[at(b, i, k)]! -= factor * b.values[at(b, j, k)]!
      }
      const pivot = a.values[at(a, i, i)]!
      for (let k = 0; k < b.columns; k++) b.values[at(b, i, k)]! /= pivot
    }
    if (start > 0)
      addProduct(
        part(b, 0, start, 0, b.columns),
        part(a, 0, start, start, end - start),
        part(b, start, end - start, 0, b.columns),
        -1,
      )
    end = start
  }
  return true
}

const exchange = (m: Matrix, i: number, j: number): void => {
  for (let k = 0; k < m.columns; k++) {
    const [x, y] = [m.first + i * m.rowStep + k, m.first + j * m.rowStep + k]
    const kept = m.values[x]!
    m.values[x] = m.values[y]!
    m.values[y] = kept
  }
}
