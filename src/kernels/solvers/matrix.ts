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

/** What is multiplied at a time: the order of additions depends on it, so it is the same on every machine. */
const [ROWS, COLUMNS, DEPTH] = [64, 128, 256]

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
  for (let i = 0; i < rows; i += 4) {
    const group = i * columns
    for (let r = 0; r < 4; r++) {
      let at = first + (i + r) * rowStep
      const there = i + r < rows
      for (let l = 0; l < columns; l++, at += columnStep) to[group + 4 * l + r] = there ? sign * values[at]! : 0
    }
  }
}

const multipleOf4 = (n: number): number => Math.ceil(n / 4) * 4

/**
 * Adds `sign · a·b` to `c`, in float64 and in a fixed order; 2·rows·columns·depth floating-point operations. With `lower`
 * only tiles that reach the diagonal or lie below it are computed.
 */
export const addProduct = (c: Matrix, a: Matrix, b: Matrix, sign: 1 | -1 = 1, lower = false): void => {
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
      const n = Math.min(COLUMNS, b.columns - column)
      pack(tileB, part(across, column, n, depth, k), 1)
      for (let row = 0; row < a.rows; row += ROWS) {
        const m = Math.min(ROWS, a.rows - row)
        if (lower && row + m <= column) continue
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
