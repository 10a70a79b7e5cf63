import { factorize, solveRows } from './cholesky.js'
import { addProduct, matrixOf, transposed, type Matrix } from './matrix.js'

/** Iterations that bring even a singular value of 10⁻³⁰ to 1. */
const MOST_ITERATIONS = 40
/**
 * Smaller bounds count as this one. Its weights bring small values up 200 times, and lose four of the 16 digits of the
 * directions where equations are solved by Cholesky’s method; what is computed is rounded to seven.
 */
const LEAST_BOUND = 7e-4
/** From here on the weights are those of Halley’s iteration, whose error is about the third power of its change. */
const NEAR_1 = 0.99
const SMALL_CHANGE = 1e-5
const INVERSE_STEPS = 8

/**
 * The orthogonal matrix nearest to a square one, row by row: U·Vᵀ of its singular value decomposition U·Σ·Vᵀ. By the
 * dynamically weighted Halley iteration (Nakatsukasa, Bai and Gygi 2010), in float64 with a fixed order of operations:
 * about 3⅓·n³ for each of its steps, of which a well-conditioned matrix takes 3 and a nearly singular one 8. `norm` is
 * no less than the greatest singular value, and `least` a guess at the share of it that the least one is. Undefined for
 * a singular matrix.
 */
export const orthogonalPart = (
  m: Float64Array,
  n: number,
  norm: number,
  least = 0,
): Float64Array<ArrayBuffer> | undefined => {
  const x = Float64Array.from(m, (value) => value / norm)
  const [factor, next] = [new Float64Array(n * n), new Float64Array(n * n)]
  const [at, to, inverse] = [matrixOf(x, n, n), matrixOf(next, n, n), matrixOf(factor, n, n)]
  let bound = least
  for (let step = 0; step < MOST_ITERATIONS; step++) {
    const near = bound > NEAR_1
    const [a, b, c] = near ? [3, 1, 3] : weightsOf(bound)
    // X ← (b/c)·X + (a − b/c)·X·(I + c·XᵀX)⁻¹
    factor.fill(0)
    addProduct(inverse, transposed(at), at, 1, true)
    for (let i = 0; i < factor.length; i++) factor[i]! *= c
    for (let i = 0; i < n; i++) factor[i * (n + 1)]! += 1
    if (!factorize(inverse)) return undefined
    const found = Math.min(1, Math.sqrt(Math.max(0, leastEigenvalue(inverse) - 1) / c))
    next.set(x)
    solveRows(to, inverse)
    let change = 0
    for (let i = 0; i < x.length; i++) {
      const value = (b / c) * x[i]! + (a - b / c) * next[i]!
      change += (value - x[i]!) * (value - x[i]!)
      x[i] = value
    }
    bound = Math.min(1, (found * (a + b * found * found)) / (1 + c * found * found))
    if (near && found > NEAR_1 && Math.sqrt(change) < SMALL_CHANGE) return x
  }
  return undefined
}

/** The weights that bring all singular values from `bound` to 1 nearest to 1. */
const weightsOf = (bound: number): readonly [a: number, b: number, c: number] => {
  const least = Math.max(bound, LEAST_BOUND)
  const square = least * least
  const d = cubeRoot((4 * (1 - square)) / (square * square))
  const root = Math.sqrt(1 + d)
  const a = root + Math.sqrt(8 - 4 * d + (8 * (2 - square)) / (square * root)) / 2
  const b = ((a - 1) * (a - 1)) / 4
  return [a, b, a + b - 1]
}

/** By Newton’s method: the bits of the library’s function differ between machines. */
const cubeRoot = (x: number): number => {
  let root = Math.max(1, x)
  for (let i = 0; i < 100; i++) root -= (root - x / (root * root)) / 3
  return root
}

/** A vector that no direction of a matrix is likely to be at a right angle to. */
const anyVector = (n: number): Float64Array =>
  Float64Array.from({ length: n }, (_, i) => {
    const x = (i + 1) * 0.6180339887498949
    return x - Math.floor(x) - 0.45
  })

/**
 * A vector of length 1 along the eigenvector of least eigenvalue of a factorised matrix L·Lᵀ, and that eigenvalue, both
 * by inverse iteration.
 */
export const leastDirection = (
  factor: Matrix,
  steps: number,
): { readonly vector: Float64Array; readonly value: number } => {
  const n = factor.rows
  const vector = anyVector(n)
  const row = matrixOf(vector, 1, n)
  let length = normalize(vector)
  for (let i = 0; i < steps; i++) {
    solveRows(row, factor)
    length = normalize(vector)
  }
  return { vector, value: 1 / length }
}

const leastEigenvalue = (factor: Matrix): number => leastDirection(factor, INVERSE_STEPS).value

/** Divides a vector by its length, which it gives. */
const normalize = (x: Float64Array): number => {
  const length = Math.sqrt(x.reduce((sum, value) => sum + value * value, 0))
  for (let i = 0; i < x.length; i++) x[i]! /= length
  return length
}
