import { eigenOf } from './eigen.js'
import { addProduct, emptyMatrix, matrixOf, transposed, type DenseMatrix, type Matrix } from './matrix.js'

/** Singular values below this share of the greatest are rounding: float32 holds nothing of them. */
const LEAST_SHARE = 2 ** -24
/** Columns are orthonormal if no dot product is further from 0, and no square of a norm from 1. */
const ORTHONORMAL = 1e-13
/** Each step squares the distance from orthonormal. */
const MOST_STEPS = 8
/** Directions that are looked for besides those that are wanted, and how often they are turned to the strongest. */
const [OVERSAMPLING, POWER_ITERATIONS] = [10, 5]
/** Up to this share of all directions, looking for the strongest is quicker than finding all. */
const FEW = 1 / 5

/** Singular vectors and values: the sum of `sᵢ·uᵢ·vᵢᵀ` is the matrix, or its best approximation of that rank. */
export interface Svd {
  /** rows × rank; its columns are orthonormal. */
  readonly u: Matrix
  /** Descending; values that are only rounding are left out. */
  readonly s: Float64Array
  /** rank × columns; its rows are orthonormal. */
  readonly vt: Matrix
}

/**
 * The singular value decomposition of a matrix of float32 numbers, but for values below 2⁻²⁴ of the greatest, which are
 * rounding; or its `most` greatest values. By the eigenvalues of aᵀa or aaᵀ in float64, which holds what float32 does. With
 * n the lesser of rows and columns and m the greater, about 8n³ + 4mn² floating-point operations and 16n² + 8mn bytes.
 * Every number is NaN if one of the matrix is not finite.
 */
export const svdOf = (a: Matrix, most = Math.min(a.rows, a.columns)): Svd => {
  if (a.rows < a.columns) {
    const { u, s, vt } = svdOf(transposed(a), most)
    return { u: transposed(vt), s, vt: transposed(u) }
  }
  const { vectors } = eigenOf(gramOf(a), a.columns, Math.min(most, a.columns))
  return fromRight(a, vectors)
}

/**
 * The decomposition of the `rank` greatest singular values, nearly: the error of the approximation is at most a few
 * thousandths above the least that is possible. A randomised range finder (Halko, Martinsson & Tropp 2011, arXiv
 * 0909.4061) with power iterations, whose random numbers are always the same; about 24·rows·columns·(rank + 10)
 * floating-point operations. Where the rank is no small share of all, it is exact.
 */
export const truncatedSvd = (a: Matrix, rank: number): Svd => {
  const width = widthFor(a, rank)
  if (width === undefined) return svdOf(a, rank)
  let range = orthonormal(product(a, testMatrix(a.columns, width)))
  for (let i = 0; i < POWER_ITERATIONS; i++) range = orthonormal(product(a, orthonormal(product(transposed(a), range))))
  const { u, s, vt } = svdOf(product(transposed(range), a), rank)
  return { u: product(range, u), s, vt }
}

/** How many directions are looked for; undefined where all are. */
const widthFor = ({ rows, columns }: Pick<Matrix, 'rows' | 'columns'>, rank: number): number | undefined =>
  rank + OVERSAMPLING >= FEW * Math.min(rows, columns) ? undefined : rank + OVERSAMPLING

/** Bytes that {@link truncatedSvd} takes at most besides the matrix. */
export const truncationBytes = (rows: number, columns: number, rank: number): number => {
  const width = widthFor({ rows, columns }, rank) ?? Math.min(rows, columns)
  return 8 * width * (4 * width + 6 * (rows + columns))
}

/** The matrix nearest to a with orthonormal rows or columns, U·Vᵀ, but for directions that are only rounding. */
export const nearestOrthonormal = (a: Matrix): Matrix => {
  const { u, vt } = svdOf(a)
  return product(u, vt)
}

/** a·b. */
export const product = (a: Matrix, b: Matrix): DenseMatrix => {
  const c = emptyMatrix(a.rows, b.columns)
  addProduct(c, a, b)
  return c
}

/** The lower triangle of aᵀa. */
const gramOf = (a: Matrix): Float64Array => {
  const gram = emptyMatrix(a.columns, a.columns)
  addProduct(gram, transposed(a), a, 1, true)
  return gram.values
}

/** The decomposition that has the given right vectors, each a row. */
const fromRight = (a: Matrix, vectors: Matrix): Svd => {
  const scaled = product(a, transposed(vectors))
  const norms = normsOf(scaled)
  const order = Array.from(norms.keys()).sort((i, j) => norms[j]! - norms[i]! || i - j)
  const strongest = norms[order[0] ?? 0] ?? 0
  // What is not a number stays, so that it is seen.
  const kept = order.filter((i) => !(norms[i]! <= LEAST_SHARE * strongest))
  const [u, vt] = [emptyMatrix(a.rows, kept.length), emptyMatrix(kept.length, a.columns)]
  for (const [to, from] of kept.entries()) {
    for (let i = 0; i < a.rows; i++)
      u.values[i * kept.length + to] = scaled.values[i * norms.length + from]! / norms[from]!
    vt.values.set(vectors.values.subarray(from * a.columns, (from + 1) * a.columns), to * a.columns)
  }
  return { u: refined(u), s: Float64Array.from(kept, (i) => norms[i]!), vt }
}

/** The norms of the columns of a matrix whose rows lie one after the other. */
const normsOf = ({ values, rows, columns }: Matrix): Float64Array => {
  const squares = new Float64Array(columns)
  for (let i = 0; i < rows; i++)
    for (let j = 0; j < columns; j++) squares[j]! += values[i * columns + j]! * values[i * columns + j]!
  return squares.map(Math.sqrt)
}

/** Makes columns that are nearly orthonormal so, by the iteration of Newton and Schulz: u·(3 − uᵀu)/2. */
const refined = (nearly: Matrix): Matrix => {
  let u = nearly
  const n = u.columns
  for (let step = 0; step < MOST_STEPS; step++) {
    const gram = gramOf(u)
    let furthest = 0
    for (let i = 0; i < n; i++) {
      for (let j = 0; j <= i; j++) {
        const distance = gram[i * n + j]! - (i === j ? 1 : 0)
        furthest = Math.max(furthest, Math.abs(distance))
        gram[i * n + j] = gram[j * n + i] = -distance / 2
      }
    }
    if (!(furthest > ORTHONORMAL)) break
    const next = { ...u, values: u.values.slice() }
    addProduct(next, u, matrixOf(gram, n, n))
    u = next
  }
  return u
}

/** Orthonormal columns that span what the given ones do, but for rounding. */
const orthonormal = (y: Matrix): Matrix => svdOf(y).u

/** Numbers that look random, from −1 to 1, the same on every machine and for every matrix of that shape. */
const testMatrix = (rows: number, columns: number): Matrix => {
  const m = emptyMatrix(rows, columns)
  for (let i = 0; i < m.values.length; i++) {
    let bits = Math.imul(i + 1, 0x9e3779b1)
    bits = Math.imul(bits ^ (bits >>> 16), 0x85ebca6b)
    bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35)
    m.values[i] = ((bits ^ (bits >>> 16)) | 0) / 2 ** 31
  }
  return m
}
