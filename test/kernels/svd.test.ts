// References are numpy's, in float64: numpy.linalg.svd of matrices of float32 numbers.
import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { eigenOf } from '#src/kernels/solvers/eigen.js'
import { matrixOf, transposed, type Matrix } from '#src/kernels/solvers/matrix.js'
import { nearestOrthonormal, product, svdOf, truncatedSvd, type Svd } from '#src/kernels/solvers/svd.js'

interface Reference {
  readonly shape: readonly [number, number]
  readonly matrix: readonly number[]
  readonly values: readonly number[]
  /** The nearest matrix with orthonormal rows or columns. */
  readonly orthonormal: readonly number[]
}

const { singular } = JSON.parse(readFileSync(new URL('../data/svd/references.json', import.meta.url), 'utf8')) as {
  readonly singular: readonly Reference[]
}

/** Numbers of a normal distribution, nearly: the same in every run. */
const normals = (count: number, seed: number): Float32Array => {
  let state = seed
  const even = (): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state / 2 ** 31 - 1
  }
  return Float32Array.from({ length: count }, () => even() + even() + even())
}
const random = (rows: number, columns: number, seed = 1): Matrix =>
  matrixOf(normals(rows * columns, seed), rows, columns)

const elements = ({ values, rows, columns, first, rowStep, columnStep }: Matrix): readonly number[] =>
  Array.from(
    { length: rows * columns },
    (_, at) => values[first + Math.floor(at / columns) * rowStep + (at % columns) * columnStep]!,
  )
const furthest = (x: readonly number[], y: readonly number[]): number =>
  x.reduce((most, value, i) => Math.max(most, Math.abs(value - y[i]!)), 0)
const identity = (n: number): readonly number[] =>
  Array.from({ length: n * n }, (_, at) => (at % (n + 1) === 0 ? 1 : 0))
const distanceFromOrthonormal = (columns: Matrix): number =>
  furthest(elements(product(transposed(columns), columns)), identity(columns.columns))
const rebuilt = ({ u, s, vt }: Svd): readonly number[] =>
  elements(
    product(
      u,
      matrixOf(
        Float64Array.from(elements(vt), (x, at) => x * s[Math.floor(at / vt.columns)]!),
        s.length,
        vt.columns,
      ),
    ),
  )
const squares = (x: Iterable<number>): number => [...x].reduce((sum, value) => sum + value * value, 0)

describe('the singular value decomposition', () => {
  test.each(singular)('is numpy’s: $shape', ({ shape: [rows, columns], matrix, values, orthonormal }) => {
    const a = matrixOf(Float32Array.from(matrix), rows, columns)
    const svd = svdOf(a)
    expect(furthest([...svd.s], values)).toBeLessThan(1e-8 * values[0]!)
    expect(furthest(rebuilt(svd), matrix)).toBeLessThan(1e-11 * values[0]!)
    expect(distanceFromOrthonormal(svd.u)).toBeLessThan(1e-12)
    expect(distanceFromOrthonormal(transposed(svd.vt))).toBeLessThan(1e-12)
    expect(furthest(elements(nearestOrthonormal(a)), orthonormal)).toBeLessThan(2 ** -24)
  })

  test('of a matrix of low rank has no values that are only rounding', () => {
    const a = product(random(30, 4), random(4, 50, 2))
    const svd = svdOf(matrixOf(Float32Array.from(a.values), 30, 50))
    expect(svd.s).toHaveLength(4)
    expect(distanceFromOrthonormal(svd.u)).toBeLessThan(1e-12)
  })

  test('of zeros is empty, and of what is not finite is NaN', () => {
    expect(svdOf(matrixOf(new Float32Array(6), 2, 3)).s).toHaveLength(0)
    expect(elements(nearestOrthonormal(matrixOf(new Float32Array(6), 2, 3)))).toEqual([0, 0, 0, 0, 0, 0])
    for (const value of [NaN, Infinity]) {
      const { s } = svdOf(matrixOf(Float32Array.of(1, 2, value, 4, 5, 6), 3, 2))
      expect([...s]).toEqual([NaN, NaN])
    }
  })

  test.each([1e-30, 1e30])('is as precise where all numbers are multiplied by %s', (scale) => {
    const a = random(20, 15)
    const scaled = svdOf({ ...a, values: a.values.map((x) => x * scale) })
    const plain = svdOf(a)
    expect(
      furthest(
        [...scaled.s].map((s) => s / scale),
        [...plain.s],
      ),
    ).toBeLessThan(1e-5)
  })
})

describe('the eigenvalues of a symmetric matrix', () => {
  test.each([1, 2, 3, 8, 31, 32, 33, 64, 65, 100])('of %i rows satisfy their equation', (n) => {
    const half = random(n, n)
    const s = product(half, transposed(half))
    const { values, vectors } = eigenOf(Float64Array.from(s.values), n)
    const found = elements(product(vectors, s))
    const expected = elements(vectors).map((x, at) => x * values[Math.floor(at / n)]!)
    expect(furthest(found, expected)).toBeLessThan(1e-11 * values[0]!)
    expect(distanceFromOrthonormal(transposed(vectors))).toBeLessThan(1e-12)
    expect([...values]).toEqual([...values].sort((x, y) => y - x))
  })

  test('may all be equal', () => {
    const { values } = eigenOf(Float64Array.from(identity(40)), 40)
    expect([...values]).toEqual(Array.from({ length: 40 }, () => 1))
  })
})

describe('the strongest directions', () => {
  // The spectrum of random numbers is as flat as that of any difference of models.
  test.each([
    [200, 300, 12],
    [300, 200, 20],
  ])(
    'of %i × %i random numbers come with an error at most a hundredth above the least: rank %i',
    (rows, columns, rank) => {
      const a = random(rows, columns)
      const nearly = truncatedSvd(a, rank)
      const exact = svdOf(a, rank)
      const [near, least] = [nearly, exact].map(({ s }) => squares(a.values) - squares(s))
      expect(near! / least!).toBeLessThan(1.01 ** 2)
      const approximation = rebuilt(nearly)
      expect(squares(elements(a).map((x, i) => x - approximation[i]!)) / near!).toBeCloseTo(1, 9)
    },
  )

  test('of a matrix of that rank are the matrix', () => {
    const exact = product(random(200, 6), random(6, 300, 2))
    const a = matrixOf(Float32Array.from(exact.values), 200, 300)
    expect(furthest(rebuilt(truncatedSvd(a, 8)), [...a.values])).toBeLessThan(1e-5)
  })

  test('are the same in every bit when they are found again', () => {
    const a = random(150, 170)
    expect(rebuilt(truncatedSvd(a, 9))).toEqual(rebuilt(truncatedSvd(a, 9)))
  })
})
