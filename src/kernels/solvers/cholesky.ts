import { addProduct, part, transposed, type Matrix } from './matrix.js'

/** Columns that are worked on at a time. */
const PANEL = 64

/** A pivot below this share of the greatest element of the diagonal is nothing but rounding. */
const LEAST_PIVOT = 1e-13

/**
 * Replaces the lower triangle of a symmetric positive definite matrix, whose rows lie one after the other, by that of L
 * with L·Lᵀ equal to it; n³/3 floating-point operations. Gives false where the matrix is not positive definite.
 */
export const factorize = (s: Matrix): boolean => {
  const { values, rows: n } = s
  const at = (i: number, j: number): number => s.first + i * s.rowStep + j
  let greatest = 0
  for (let i = 0; i < n; i++) greatest = Math.max(greatest, values[at(i, i)]!)
  for (let start = 0; start < n; start += PANEL) {
    const end = Math.min(n, start + PANEL)
    for (let j = start; j < end; j++) {
      let pivot = values[at(j, j)]!
      for (let l = start; l < j; l++) pivot -= values[at(j, l)]! ** 2
      if (!(pivot > LEAST_PIVOT * greatest)) return false
      const root = Math.sqrt(pivot)
      values[at(j, j)] = root
      for (let i = j + 1; i < n; i++) {
        let sum = values[at(i, j)]!
        for (let l = start; l < j; l++) sum -= values[at(i, l)]! * values[at(j, l)]!
        values[at(i, j)] = sum / root
      }
    }
    const below = part(s, end, n - end, start, end - start)
    if (end < n) addProduct(part(s, end, n - end, end, n - end), below, transposed(below), -1, true)
  }
  return true
}

/**
 * Replaces each row x of a matrix by the y with y·L·Lᵀ = x, L the lower triangle of a factorised matrix; 2·rows·n²
 * floating-point operations.
 */
export const solveRows = (x: Matrix, factor: Matrix): void => {
  const { columns: n } = x
  const l = (i: number, j: number): number => factor.values[factor.first + i * factor.rowStep + j]!
  const starts = Array.from({ length: Math.ceil(n / PANEL) }, (_, i) => i * PANEL)
  const widthAt = (start: number): number => Math.min(PANEL, n - start)
  // z·Lᵀ = x, from the left: what is known is taken off the columns of a panel at once.
  for (const start of starts) {
    const width = widthAt(start)
    const own = part(x, 0, x.rows, start, width)
    if (start > 0) addProduct(own, part(x, 0, x.rows, 0, start), transposed(part(factor, start, width, 0, start)), -1)
    for (let row = 0; row < x.rows; row++) {
      const at = own.first + row * own.rowStep
      for (let j = 0; j < width; j++) {
        let sum = x.values[at + j]!
        for (let k = 0; k < j; k++) sum -= x.values[at + k]! * l(start + j, start + k)
        x.values[at + j] = sum / l(start + j, start + j)
      }
    }
  }
  // y·L = z, from the right.
  for (const start of starts.toReversed()) {
    const width = widthAt(start)
    const own = part(x, 0, x.rows, start, width)
    const end = start + width
    if (end < n) addProduct(own, part(x, 0, x.rows, end, n - end), part(factor, end, n - end, start, width), -1)
    for (let row = 0; row < x.rows; row++) {
      const at = own.first + row * own.rowStep
      for (let j = width - 1; j >= 0; j--) {
        let sum = x.values[at + j]!
        for (let k = j + 1; k < width; k++) sum -= x.values[at + k]! * l(start + k, start + j)
        x.values[at + j] = sum / l(start + j, start + j)
      }
    }
  }
}
