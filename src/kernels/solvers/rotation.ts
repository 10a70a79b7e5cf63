import type { Solver } from '../../graph/expression.js'
import { sizeOf } from '../../tensor/info.js'
import { factorize } from './cholesky.js'
import { addProduct, matrixOf, transposed, type Matrix } from './matrix.js'
import { isReflection, orthogonalPower } from './orthogonal-power.js'
import { leastDirection, orthogonalPart } from './polar.js'

/** What of the greatest possible is added to the diagonal, far above rounding and far below float32. */
const RIDGE = 2 ** -36
const INVERSE_STEPS = 40

/**
 * Rotates the points of A toward those of B: `Y·Qᵗ` around a centre between theirs, with Q the orthogonal matrix for
 * which `A·Q` is nearest to B, and `Y = A + alpha·(B·Qᵀ − A)`. Rows are points, or columns where a matrix has more of
 * them. Operands: A, B, both as matrices; settings: the power t of Q, alpha, and how far both are moved to their
 * centres, 1 unless given. What A and B leave open is not rotated. For N points of n numbers about 4·N·n² + 30·n³
 * floating-point operations, with a t between 0 and 1 about 130·n³, and with an alpha 4·N·n² more.
 */
export const rotation: Solver = {
  name: 'rotation',
  version: 1,
  takes: 'all',
  workspace: ([shape]) => 8 * (3 * sizeOf(shape!) + 8 * Math.min(shape![0]!, shape![1]!) ** 2),
  solve: ([first, second], [power = 1, alpha = 0, centring = 1]) => {
    const [rows, columns] = first!.shape as readonly [number, number]
    const turned = columns > rows
    const [points, n] = turned ? [columns, rows] : [rows, columns]
    const pointsOf = (values: Matrix['values']): Matrix =>
      turned ? transposed(matrixOf(values, rows, columns)) : matrixOf(values, rows, columns)
    if (first!.values.every((x, i) => x === second!.values[i])) return first!.values
    if (![first!, second!].every(({ values }) => values.every(Number.isFinite))) return 'not-finite'
    const [a, b] = [Float64Array.from(first!.values), Float64Array.from(second!.values)]
    const [A, B] = [pointsOf(a), pointsOf(b)]
    const [centreA, centreB] = [A, B].map((m) => takeOffCentre(m, centring)) as [Float64Array, Float64Array]
    const matrix = new Float64Array(n * n)
    addProduct(matrixOf(matrix, n, n), transposed(A), B)
    const fractional = power !== 0 && power !== 1
    const q = nearestRotation(matrix, n, fractional)
    if (q === undefined) return 'singular-rotation'
    const turn = power === 0 ? identity(n) : fractional ? orthogonalPower(q, n, power) : q
    if (turn === undefined) return 'half-turn'
    // As a change of A: what hardly turns keeps its digits.
    const change = new Float64Array(a.length)
    if (alpha !== 0) {
      const unturned = new Float64Array(a.length)
      addProduct(pointsOf(unturned), B, transposed(matrixOf(q, n, n)))
      for (let i = 0; i < unturned.length; i++) unturned[i] = alpha * (unturned[i]! - a[i]!)
      addProduct(pointsOf(change), pointsOf(unturned), matrixOf(turn, n, n))
    }
    for (let i = 0; i < n; i++) turn[i * (n + 1)]! -= 1
    addProduct(pointsOf(change), A, matrixOf(turn, n, n))
    const { rowStep, columnStep } = A
    for (let i = 0; i < points; i++) {
      for (let j = 0; j < n; j++) change[i * rowStep + j * columnStep]! += power * (centreB[j]! - centreA[j]!)
    }
    for (let i = 0; i < change.length; i++) change[i]! += first!.values[i]!
    return change
  },
}

/** Subtracts a share of the mean of all points from each; gives what was subtracted. */
const takeOffCentre = ({ values, rows, columns, rowStep, columnStep }: Matrix, share: number): Float64Array => {
  const centre = new Float64Array(columns)
  for (let i = 0; i < rows; i++) for (let j = 0; j < columns; j++) centre[j]! += values[i * rowStep + j * columnStep]!
  for (let j = 0; j < columns; j++) centre[j]! *= share / rows
  for (let i = 0; i < rows; i++) for (let j = 0; j < columns; j++) values[i * rowStep + j * columnStep]! -= centre[j]!
  return centre
}

const identity = (n: number): Float64Array<ArrayBuffer> => {
  const result = new Float64Array(n * n)
  for (let i = 0; i < n; i++) result[i * (n + 1)] = 1
  return result
}

/** A bound of the greatest singular value. */
const boundOf = (m: Float64Array): number => Math.sqrt(m.reduce((sum, x) => sum + x * x, 0))

/**
 * The orthogonal part of a matrix, which it changes; of those that are as near, one near to the identity. With `proper`
 * a reflection is undone in the direction in which that matters least.
 */
const nearestRotation = (m: Float64Array, n: number, proper: boolean): Float64Array<ArrayBuffer> | undefined => {
  const norm = boundOf(m)
  if (norm === 0) return identity(n)
  for (let i = 0; i < n; i++) m[i * (n + 1)]! += RIDGE * norm
  const q = orthogonalPart(m, n, norm * (1 + RIDGE))
  if (q === undefined || !proper || !isReflection(q, n)) return q
  // m = q·h with a symmetric h, whose least eigenvector is the direction.
  const h = new Float64Array(n * n)
  addProduct(matrixOf(h, n, n), transposed(matrixOf(q, n, n)), matrixOf(m, n, n))
  for (let i = 0; i < n; i++) h[i * (n + 1)]! += RIDGE * norm
  const factor = matrixOf(h, n, n)
  if (!factorize(factor)) return undefined
  const { vector } = leastDirection(factor, INVERSE_STEPS)
  for (let i = 0; i < n; i++) {
    let along = 0
    for (let j = 0; j < n; j++) along += q[i * n + j]! * vector[j]!
    for (let j = 0; j < n; j++) q[i * n + j]! -= 2 * along * vector[j]!
  }
  return q
}
