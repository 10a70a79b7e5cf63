import { addProduct, part, solverKernels, transposed, type Matrix } from './matrix.js'

/** Columns that are worked on at a time. */
const PANEL = 64

/** Rows whose equations are solved at a time. */
const STRIP = 8

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
      for (let i = j + 1; i < end; i++) {
        let sum = values[at(i, j)]!
        for (let l = start; l < j; l++) sum -= values[at(i, l)]! * values[at(j, l)]!
        values[at(i, j)] = sum / root
      }
    }
    const below = part(s, end, n - end, start, end - start)
    solveTriangle(below, part(s, start, end - start, start, end - start), false)
    if (end < n) addProduct(part(s, end, n - end, end, n - end), below, transposed(below), -1, true)
  }
  return true
}

let room: { readonly strip: number; readonly factors: number } | undefined

/**
 * Replaces each row x of a matrix by the y with y·Lᵀ = x, or y·L = x if `backward`, L the lower triangle of a matrix of at
 * most {@link PANEL} rows.
 */
const solveTriangle = (
  x: Matrix,
  { values, rows: width, first, rowStep, columnStep }: Matrix,
  backward: boolean,
): void => {
  const kernels = solverKernels()
  room ??= { strip: kernels.alloc(8 * STRIP * PANEL), factors: kernels.alloc(8 * PANEL * PANEL) }
  const strip = kernels.view(Float64Array, room.strip, STRIP * width)
  const factors = kernels.view(Float64Array, room.factors, width * width)
  for (let i = 0; i < width; i++)
    for (let j = 0; j <= i; j++)
      factors[backward ? j * width + i : i * width + j] = values[first + i * rowStep + j * columnStep]!
  for (let row = 0; row < x.rows; row += STRIP) {
    const height = Math.min(STRIP, x.rows - row)
    if (height < STRIP) strip.fill(0)
    const start = x.first + row * x.rowStep
    for (let i = 0; i < height; i++)
      for (let j = 0; j < width; j++) strip[j * STRIP + i] = x.values[start + i * x.rowStep + j * x.columnStep]!
    kernels.solveStrip(room.strip, room.factors, width, backward ? 1 : 0)
    for (let i = 0; i < height; i++)
      for (let j = 0; j < width; j++) x.values[start + i * x.rowStep + j * x.columnStep] = strip[j * STRIP + i]!
  }
}

/**
 * Replaces each row x of a matrix by the y with y·L·Lᵀ = x, L the lower triangle of a factorised matrix; 2·rows·n²
 * floating-point operations.
 */
export const solveRows = (x: Matrix, factor: Matrix): void => {
  const { columns: n } = x
  const starts = Array.from({ length: Math.ceil(n / PANEL) }, (_, i) => i * PANEL)
  const widthAt = (start: number): number => Math.min(PANEL, n - start)
  // z·Lᵀ = x, from the left: what is known is taken off the columns of a panel at once.
  for (const start of starts) {
    const width = widthAt(start)
    const own = part(x, 0, x.rows, start, width)
    if (start > 0) addProduct(own, part(x, 0, x.rows, 0, start), transposed(part(factor, start, width, 0, start)), -1)
    solveTriangle(own, part(factor, start, width, start, width), false)
  }
  // y·L = z, from the right.
  for (const start of starts.toReversed()) {
    const width = widthAt(start)
    const own = part(x, 0, x.rows, start, width)
    const end = start + width
    if (end < n) addProduct(own, part(x, 0, x.rows, end, n - end), part(factor, end, n - end, start, width), -1)
    solveTriangle(own, part(factor, start, width, start, width), true)
  }
}
