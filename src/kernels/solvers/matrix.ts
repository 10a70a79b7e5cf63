import { loadKernels, type Kernels } from '../kernels.js'

/** A matrix in memory, or a part or the transpose of one: element (i, j) is at `first + i·rowStep + j·columnStep`. */
export interface Matrix {
  readonly values: Float32Array | Float64Array
  readonly rows: number
  readonly columns: number
  readonly first: number
  readonly rowStep: number
  readonly columnStep: number
}

/** A matrix whose rows lie one after the other. */
export const matrixOf = (values: Matrix['values'], rows: number, columns: number): Matrix => ({
  values,
  rows,
  columns,
  first: 0,
  rowStep: columns,
  columnStep: 1,
})

/** A matrix in float64 whose rows lie one after the other. */
export type DenseMatrix = Matrix & { readonly values: Float64Array }

/** A matrix of zeros in float64. */
export const emptyMatrix = (rows: number, columns: number): DenseMatrix => ({
  values: new Float64Array(rows * columns),
  rows,
  columns,
  first: 0,
  rowStep: columns,
  columnStep: 1,
})

/** The same numbers with rows and columns exchanged. */
export const transposed = ({ rows, columns, rowStep, columnStep, ...rest }: Matrix): Matrix => ({
  ...rest,
  rows: columns,
  columns: rows,
  rowStep: columnStep,
  columnStep: rowStep,
})

/** Some rows and columns of a matrix. */
export const part = (m: Matrix, row: number, rows: number, column: number, columns: number): Matrix => ({
  ...m,
  rows,
  columns,
  first: m.first + row * m.rowStep + column * m.columnStep,
})

/** What is multiplied at a time: the order of additions depends on the depth, so it is the same on every machine. */
const [ROWS, COLUMNS, DEPTH] = [64, 512, 256]

interface Tiles {
  readonly kernels: Kernels
  readonly a: number
  readonly b: number
  readonly c: number
}

let instance: Kernels | undefined
let shared: Tiles | undefined

/** The kernels that solvers use, one instance per thread, which starts when it is first needed. */
export const solverKernels = (): Kernels => (instance ??= loadKernels())

/** Memory for one tile of each matrix, taken when it is first needed. */
const tiles = (): Tiles => {
  if (shared === undefined) {
    const kernels = solverKernels()
    const [a, b, c] = [ROWS * DEPTH, COLUMNS * DEPTH, ROWS * COLUMNS].map((n) => kernels.alloc(8 * n)) as [
      number,
      number,
      number,
    ]
    shared = { kernels, a, b, c }
  }
  return shared
}

/** Lays `m` out in groups of four rows, each along its columns; rows that are not there are 0. */
const pack = (to: Float64Array, { values, rows, columns, first, rowStep, columnStep }: Matrix, sign: number): void => {
  const whole = rows - (rows % 4)
  for (let i = 0, at = 0; i < whole; i += 4) {
    // Four rows at a time: those of a transposed matrix are next to each other.
    let p = first + i * rowStep
    for (let l = 0; l < columns; l++, at += 4, p += columnStep) {
      to[at] = sign * values[p]!
      to[at + 1] = sign * values[p + rowStep]!
      to[at + 2] = sign * values[p + 2 * rowStep]!
      to[at + 3] = sign * values[p + 3 * rowStep]!
    }
  }
  if (whole === rows) return
  to.fill(0, whole * columns, (whole + 4) * columns)
  for (let i = whole; i < rows; i++)
    for (
      let l = 0, at = whole * columns + (i - whole), p = first + i * rowStep;
      l < columns;
      l++, at += 4, p += columnStep
    )
      to[at] = sign * values[p]!
}

const multipleOf4 = (n: number): number => Math.ceil(n / 4) * 4

/** Rows that are too few to lay the other matrix out for. */
const FEW = 2

/**
 * Adds `sign · a·b` to `c`, in float64 and in a fixed order; 2·rows·columns·depth floating-point operations. With `lower`
 * only what is on the diagonal or below it is sure to be computed.
 */
export const addProduct = (c: Matrix, a: Matrix, b: Matrix, sign: 1 | -1 = 1, lower = false): void => {
  if (a.rows <= FEW) return addRows(c, a, b, sign)
  const { kernels, ...at } = tiles()
  const [tileA, tileB, tileC] = [
    kernels.view(Float64Array, at.a, ROWS * DEPTH),
    kernels.view(Float64Array, at.b, COLUMNS * DEPTH),
    kernels.view(Float64Array, at.c, ROWS * COLUMNS),
  ]
  const across = transposed(b)
  for (let depth = 0; depth < a.columns; depth += DEPTH) {
    const k = Math.min(DEPTH, a.columns - depth)
    for (let column = 0; column < b.columns; column += COLUMNS) {
      const most = Math.min(COLUMNS, b.columns - column)
      pack(tileB, part(across, column, most, depth, k), 1)
      for (let row = 0; row < a.rows; row += ROWS) {
        const m = Math.min(ROWS, a.rows - row)
        const n = lower ? Math.min(most, row + m - column) : most
        if (n <= 0) continue
        pack(tileA, part(a, row, m, depth, k), sign)
        const width = multipleOf4(n)
        kernels.multiply(at.c, at.a, at.b, multipleOf4(m), width, k)
        for (let i = 0; i < m; i++) {
          let to = c.first + (row + i) * c.rowStep + column * c.columnStep
          for (let j = 0; j < n; j++, to += c.columnStep) c.values[to]! += tileC[i * width + j]!
        }
      }
    }
  }
}

/** What {@link addProduct} does, in the same order, without laying anything out. */
const addRows = (c: Matrix, a: Matrix, b: Matrix, sign: number): void => {
  const [left, sums] = [new Float64Array(DEPTH), new Float64Array(b.columns)]
  for (let depth = 0; depth < a.columns; depth += DEPTH) {
    const k = Math.min(DEPTH, a.columns - depth)
    const below = part(b, depth, k, 0, b.columns)
    for (let i = 0; i < a.rows; i++) {
      for (let l = 0; l < k; l++) left[l] = sign * a.values[a.first + i * a.rowStep + (depth + l) * a.columnStep]!
      if (below.rowStep === 1) sumColumns(sums, left, below)
      else sumRows(sums, left, below)
      let to = c.first + i * c.rowStep
      for (let j = 0; j < sums.length; j++, to += c.columnStep) c.values[to]! += sums[j]!
    }
  }
}

/** The products of a row and a matrix: column by column, four at a time. */
const sumColumns = (
  sums: Float64Array,
  x: Float64Array,
  { values, rows, columns, first, columnStep }: Matrix,
): void => {
  for (let j = 0; j < columns; j += 4) {
    // Past the last column the last one again.
    const [p, q, r, s] = [0, 1, 2, 3].map((next) => first + Math.min(columns - 1, j + next) * columnStep) as Four
    let [pSum, qSum, rSum, sSum] = [0, 0, 0, 0]
    for (let l = 0; l < rows; l++) {
      const own = x[l]!
      pSum += own * values[p + l]!
      qSum += own * values[q + l]!
      rSum += own * values[r + l]!
      sSum += own * values[s + l]!
    }
    sums[j] = pSum
    if (j + 1 < columns) sums[j + 1] = qSum
    if (j + 2 < columns) sums[j + 2] = rSum
    if (j + 3 < columns) sums[j + 3] = sSum
  }
}

type Four = [number, number, number, number]

/** The products of a row and a matrix: row by row. */
const sumRows = (sums: Float64Array, x: Float64Array, { values, rows, first, rowStep, columnStep }: Matrix): void => {
  sums.fill(0)
  for (let l = 0; l < rows; l++) {
    const own = x[l]!
    let at = first + l * rowStep
    for (let j = 0; j < sums.length; j++, at += columnStep) sums[j]! += own * values[at]!
  }
}
