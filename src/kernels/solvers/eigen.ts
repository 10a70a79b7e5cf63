import { matrixOf, solverKernels, type Matrix } from './matrix.js'
import { tridiagonalize } from './tridiagonal.js'

/** Rows that are turned at a time. */
const STRIP = 8
/** Rotations that are gathered before they turn all rows. */
const BATCH = 1 << 15
/** More steps than any eigenvalue takes. */
const MOST_STEPS = 60
/** What lies beside the diagonal is 0 if it is below this share of its neighbours, or of the whole by the other. */
const [NEIGHBOURS, WHOLE] = [2 ** -52, 2 ** -56]

/** The greatest eigenvalues of a symmetric matrix in descending order, and their vectors. */
export interface Eigen {
  readonly values: Float64Array
  /** The vectors, each a row, orthonormal. */
  readonly vectors: Matrix
}

/**
 * The `count` greatest eigenvalues of a symmetric n × n matrix, of which the lower triangle is given row by row and is
 * overwritten, to about 1e-15 of the greatest; by Householder reduction and the implicit QL algorithm, about 8n³
 * floating-point operations and 8n² bytes. All are NaN where a number is not finite.
 */
export const eigenOf = (s: Float64Array, n: number, count = n): Eigen => {
  const { diagonal, beside, q } = tridiagonalize(s, n)
  // The reduced matrix is no longer needed.
  const strips = toStrips(q, n, s)
  const isFound = diagonalize(diagonal, beside, n, createTurner(strips, n))
  const order = Array.from(diagonal.keys())
    .sort((i, j) => diagonal[j]! - diagonal[i]! || i - j)
    .slice(0, count)
  const vectors = new Float64Array(count * n)
  for (const [row, j] of order.entries())
    for (let i = 0; i < n; i++) vectors[row * n + i] = isFound ? elementOf(strips, n, i, j) : NaN
  return {
    values: Float64Array.from(order, (j) => (isFound ? diagonal[j]! : NaN)),
    vectors: matrixOf(vectors, count, n),
  }
}

/** A matrix of n columns by strips of eight rows, each column by column; the last one is shorter. */
const toStrips = (q: Float64Array, n: number, strips: Float64Array): Float64Array => {
  for (let first = 0; first < n; first += STRIP) {
    const height = Math.min(STRIP, n - first)
    for (let j = 0; j < n; j++)
      for (let r = 0; r < height; r++) strips[first * n + j * height + r] = q[(first + r) * n + j]!
  }
  return strips
}

const elementOf = (strips: Float64Array, n: number, i: number, j: number): number => {
  const first = i - (i % STRIP)
  const height = Math.min(STRIP, n - first)
  return strips[first * n + j * height + (i - first)]!
}

/** Turns columns of a matrix: each sweep from column `top` down, as `rotate` of the kernels does. */
interface Turner {
  /** Where the next sweep's cosines and sines go, in pairs; there is room for `n` pairs. */
  readonly next: (n: number) => Float64Array
  readonly add: (top: number, count: number) => void
  readonly finish: () => void
}

let taken: { readonly bytes: number; readonly at: number } | undefined

/** Memory of the kernels for a strip of n columns and the rotations; kept, as it cannot be given back. */
const reserve = (n: number): { readonly strip: number; readonly turns: number } => {
  const turnBytes = 16 * (BATCH + n)
  const bytes = 8 * STRIP * n + turnBytes
  if (taken === undefined || taken.bytes < bytes) taken = { bytes, at: solverKernels().alloc(bytes) }
  return { turns: taken.at, strip: taken.at + turnBytes }
}

const createTurner = (strips: Float64Array, n: number): Turner => {
  const kernels = solverKernels()
  const { strip, turns } = reserve(n)
  let sweeps: { readonly top: number; readonly count: number; readonly first: number }[] = []
  let used = 0
  const finish = (): void => {
    const tile = kernels.view(Float64Array, strip, STRIP * n)
    for (let first = 0; first < n; first += STRIP) {
      const height = Math.min(STRIP, n - first)
      const own = strips.subarray(first * n, (first + height) * n)
      if (height === STRIP) tile.set(own)
      else for (let at = 0; at < own.length; at++) tile[Math.floor(at / height) * STRIP + (at % height)] = own[at]!
      for (const { top, count, first: from } of sweeps) kernels.rotate(strip, top, count, turns + 16 * from)
      if (height === STRIP) own.set(tile)
      else for (let at = 0; at < own.length; at++) own[at] = tile[Math.floor(at / height) * STRIP + (at % height)]!
    }
    sweeps = []
    used = 0
  }
  return {
    next: (count) => kernels.view(Float64Array, turns + 16 * used, 2 * count),
    add: (top, count) => {
      sweeps.push({ top, count, first: used })
      used += count
      if (used >= BATCH) finish()
    },
    finish,
  }
}

/** Replaces the diagonal by the eigenvalues; false where they are not found because a number is not finite. */
const diagonalize = (d: Float64Array, e: Float64Array, n: number, turner: Turner): boolean => {
  let norm = 0
  for (let i = 0; i < n; i++) norm = Math.max(norm, Math.abs(d[i]!) + Math.abs(e[i]!))
  if (!Number.isFinite(norm)) return false
  const isNothing = (i: number): boolean => {
    const size = Math.abs(e[i]!)
    return size <= WHOLE * norm || size <= NEIGHBOURS * (Math.abs(d[i]!) + Math.abs(d[i + 1]!))
  }
  for (let l = 0; l < n; l++) {
    for (let step = 0; ; step++) {
      let m = l
      while (m < n - 1 && !isNothing(m)) m++
      if (m === l) break
      if (step === MOST_STEPS) return false
      turner.add(m, sweep(d, e, l, m, turner.next(m - l)))
    }
  }
  turner.finish()
  return true
}

/** One implicit QL step with Wilkinson's shift from m down to l; gives how many rotations it took. */
const sweep = (d: Float64Array, e: Float64Array, l: number, m: number, turns: Float64Array): number => {
  const slope = (d[l + 1]! - d[l]!) / (2 * e[l]!)
  const root = Math.sqrt(slope * slope + 1)
  let g = d[m]! - d[l]! + e[l]! / (slope + (slope < 0 ? -root : root))
  let [s, c, p] = [1, 1, 0]
  for (let i = m - 1; i >= l; i--) {
    const [f, b] = [s * e[i]!, c * e[i]!]
    const r = Math.sqrt(f * f + g * g)
    e[i + 1] = r
    if (r === 0) {
      d[i + 1]! -= p
      e[m] = 0
      return m - 1 - i
    }
    s = f / r
    c = g / r
    const rest = d[i + 1]! - p
    const t = (d[i]! - rest) * s + 2 * c * b
    p = s * t
    d[i + 1] = rest + p
    g = c * t - b
    turns[2 * (m - 1 - i)] = c
    turns[2 * (m - 1 - i) + 1] = s
  }
  d[l]! -= p
  e[l] = g
  e[m] = 0
  return m - l
}
