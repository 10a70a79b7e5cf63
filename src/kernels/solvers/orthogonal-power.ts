import { factorize } from './cholesky.js'
import { addProduct, matrixOf, transposed } from './matrix.js'
import { orthogonalPart } from './polar.js'

type Elements = Float64Array<ArrayBuffer>

/**
 * After so many square roots no angle is above π/16. For each, about the cosine of half the greatest angle that it is
 * taken of.
 */
const ROOTS = [0, 0.7, 0.92, 0.98]
/** asin x = x·Σ cₖx²ᵏ; what follows is below 10⁻¹⁵ for x up to sin π/16. */
const ARCSINE = [1, 1 / 6, 3 / 40, 5 / 112, 35 / 1152, 63 / 2816, 231 / 13312, 143 / 10240, 6435 / 557056]
/** Of the exponential series; what follows is below 10⁻¹⁵ for up to π/16. */
const EXPONENTIAL_TERMS = 10
/** Angles nearer to half a circle than this have no direction that rounding would not change. */
const HALF_TURN = 1e-7

const product = (x: Elements, y: Elements, n: number): Elements => {
  const result = new Float64Array(n * n)
  addProduct(matrixOf(result, n, n), matrixOf(x, n, n), matrixOf(y, n, n))
  return result
}

const addToDiagonal = (x: Elements, n: number, value: number): Elements => {
  for (let i = 0; i < n; i++) x[i * (n + 1)]! += value
  return x
}

/** c₀ + c₁X + c₂X² + … */
const polynomial = (x: Elements, n: number, coefficients: readonly number[]): Elements => {
  const [last, ...others] = coefficients.toReversed()
  return others.reduce(
    (sum, c) => addToDiagonal(product(sum, x, n), n, c),
    addToDiagonal(new Float64Array(n * n), n, last!),
  )
}

/**
 * A rotation by `power` of the angles that an orthogonal matrix [n, n] rotates by, 0 to 1: exp(power·log Q), in float64
 * with a fixed order of operations. Square roots, each the orthogonal part of I + Q, bring all angles to where the
 * series of the logarithm and of the exponential converge; squares undo them. About 100·n³ floating-point operations.
 * Undefined where Q turns a plane by half a circle, which has no shorter way: so does any reflection.
 */
export const orthogonalPower = (q: Elements, n: number, power: number): Elements | undefined => {
  let root = q
  for (const least of ROOTS) {
    const sum = addToDiagonal(root.slice(), n, 1)
    const half = orthogonalPart(sum, n, 2, least)
    if (half === undefined || (root === q && isNearlySingular(half, sum, n))) return undefined
    root = half
  }
  // The antisymmetric part is the sine of the angles.
  const sine = new Float64Array(n * n)
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < n; j++) sine[i * n + j] = (root[i * n + j]! - root[j * n + i]!) / 2
  }
  const squared = new Float64Array(n * n)
  addProduct(matrixOf(squared, n, n), matrixOf(sine, n, n), transposed(matrixOf(sine, n, n)))
  const angle = product(sine, polynomial(squared, n, ARCSINE), n)
  for (let i = 0; i < angle.length; i++) angle[i]! *= power
  const series: number[] = [1]
  for (let k = 1; k <= EXPONENTIAL_TERMS; k++) series.push(series.at(-1)! / k)
  let result = polynomial(angle, n, series)
  for (const _ of ROOTS) result = product(result, result, n)
  return result
}

/** Whether a matrix, with its orthogonal part, has a singular value that is no more than rounding. */
const isNearlySingular = (part: Elements, matrix: Elements, n: number): boolean => {
  const sizes = new Float64Array(n * n)
  addProduct(matrixOf(sizes, n, n), transposed(matrixOf(part, n, n)), matrixOf(matrix, n, n))
  return !factorize(matrixOf(addToDiagonal(sizes, n, -HALF_TURN), n, n))
}

/** Whether an orthogonal matrix [n, n] reflects: its determinant is −1. By elimination, ⅔·n³ operations. */
export const isReflection = (q: Elements, n: number): boolean => {
  const rows = q.slice()
  let negative = false
  for (let k = 0; k < n; k++) {
    let pivot = k
    for (let i = k + 1; i < n; i++) if (Math.abs(rows[i * n + k]!) > Math.abs(rows[pivot * n + k]!)) pivot = i
    if (pivot !== k) {
      negative = !negative
      for (let j = k; j < n; j++) {
        const other = rows[pivot * n + j]!
        rows[pivot * n + j] = rows[k * n + j]!
        rows[k * n + j] = other
      }
    }
    if (rows[k * n + k]! < 0) negative = !negative
    for (let i = k + 1; i < n; i++) {
      const factor = rows[i * n + k]! / rows[k * n + k]!
      if (factor !== 0) for (let j = k + 1; j < n; j++) rows[i * n + j]! -= factor * rows[k * n + j]!
    }
  }
  return negative
}
