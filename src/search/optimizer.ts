import { shortDigest } from '../base/digest.js'

/**
 * Proposes points of the unit cube and hears how good each one was. The same seed and the same losses give the same
 * points, bit for bit on every machine: it uses nothing but `+ − × ÷ √`, and numbers from BLAKE3.
 */
export interface Optimizer {
  /** The next point, one number from 0 to 1 for each dimension. The first is the start. */
  ask(): readonly number[]
  /** The loss of the point asked for last, of which less is better; undefined where there is none. */
  tell(loss: number | undefined): void
}

/** How far the first steps go, in the width of the cube. */
const FIRST_STEP = 0.25
/** Where steps are this small, the search begins anew around the best point. */
const LEAST_STEP = 2e-4

/** eˣ for small x, by ten squarings: within 0.2 % for |x| ≤ 1, with the same bits everywhere. */
const exp = (x: number): number => {
  let y = 1 + x / 1024
  for (let i = 0; i < 10; i++) y *= y
  return y
}

/** A number from 0 to below 1 that depends on a few words only. */
const uniform = (...words: readonly (string | number)[]): number =>
  Number.parseInt(shortDigest(JSON.stringify(words)).slice(0, 13), 16) / 2 ** 52

/** A number of nearly normal distribution: twelve uniform ones less their mean, which needs no logarithm. */
const normal = (...words: readonly (string | number)[]): number => {
  let sum = -6
  for (let i = 0; i < 12; i++) sum += uniform(...words, i)
  return sum
}

/** A coordinate that left the cube, mirrored at its walls. */
const fold = (x: number): number => {
  const y = Math.abs(x) % 2
  return y > 1 ? 2 - y : y
}

type Matrix = readonly (readonly number[])[]

const identity = (n: number): Matrix =>
  Array.from({ length: n }, (_, i) => Array.from({ length: n }, (_, j) => (i === j ? 1 : 0)))

/** The lower triangular root of a symmetric matrix; undefined where rounding has made it indefinite. */
const cholesky = (matrix: Matrix): Matrix | undefined => {
  const root: number[][] = []
  for (const [i, row] of matrix.entries()) {
    const made: number[] = []
    for (let j = 0; j <= i; j++) {
      let rest = row[j]!
      for (let k = 0; k < j; k++) rest -= made[k]! * (j === i ? made[k]! : root[j]![k]!)
      if (j === i && !(rest > 0)) return undefined
      made.push(j === i ? Math.sqrt(rest) : rest / root[j]![j]!)
    }
    root.push(made)
  }
  return root
}

/**
 * A (1+1)-CMA-ES: an evolution strategy that steps from the best point so far, and learns the length and the shape of
 * its steps from those that succeeded. Points beyond the cube are mirrored into it. Source: Igel, Suttorp and Hansen
 * 2006, “A computational efficient covariance matrix update and a (1+1)-CMA for evolution strategies”, with its
 * constants; the root of the covariance matrix is computed anew each time, as there are few dimensions.
 */
export const createOptimizer = (start: readonly number[], seed: string | number): Optimizer => {
  const n = start.length
  const [damping, successAim, successRate] = [1 + n / 2, 2 / 11, 1 / 12]
  const [pathRate, shapeRate, stallAt] = [2 / (n + 2), 2 / (n * n + 6), 0.44]
  let best: { readonly point: readonly number[]; readonly loss: number } = { point: start, loss: Infinity }
  let asked = start
  let trial = 0
  let [size, success] = [FIRST_STEP, successAim]
  let [shape, root] = [identity(n), identity(n)]
  let path: readonly number[] = start.map(() => 0)

  const startAnew = (): void => {
    ;[size, success] = [FIRST_STEP, successAim]
    ;[shape, root] = [identity(n), identity(n)]
    path = start.map(() => 0)
  }
  /** Moves the shape of steps toward one that succeeded. */
  const learn = (step: readonly number[]): void => {
    const stalled = success >= stallAt
    const weight = stalled ? 0 : Math.sqrt(pathRate * (2 - pathRate))
    path = path.map((p, i) => (1 - pathRate) * p + weight * step[i]!)
    const kept = 1 - shapeRate + (stalled ? shapeRate * pathRate * (2 - pathRate) : 0)
    const next = shape.map((row, i) => row.map((c, j) => kept * c + shapeRate * path[i]! * path[j]!))
    const nextRoot = cholesky(next)
    if (nextRoot === undefined) startAnew()
    else [shape, root] = [next, nextRoot]
  }
  return {
    ask: () => {
      if (trial > 0) {
        const draws = start.map((_, i) => normal(seed, trial, i))
        asked = root.map((row, i) =>
          fold(best.point[i]! + size * row.reduce((sum, r, k) => sum + (k <= i ? r * draws[k]! : 0), 0)),
        )
      }
      return asked
    },
    tell: (loss) => {
      trial += 1
      const succeeded = loss !== undefined && loss <= best.loss
      if (trial > 1) {
        success = (1 - successRate) * success + (succeeded ? successRate : 0)
        const step = asked.map((x, i) => (x - best.point[i]!) / size)
        size *= exp((success - successAim) / ((1 - successAim) * damping))
        if (succeeded) learn(step)
        if (size < LEAST_STEP) startAnew()
      }
      if (succeeded) best = { point: asked, loss }
    },
  }
}
