import { describe, expect, test } from 'vitest'
import type { PlainTensor } from '../support/recipe-run.js'
import { evaluateLast } from '../support/small.js'

/** Numbers that look random, from −1 to 1. */
const numbers = (n: number, seed: number): number[] =>
  Array.from({ length: n }, (_, i) => Math.fround(Math.sin(12.9898 * (i + 1) + 78.233 * seed)))

const truncate = (shape: readonly number[], values: readonly number[], ratio: number): readonly number[] => {
  const x: PlainTensor = { dtype: 'f32', shape, values: [...values] }
  return evaluateLast({ m: { x } }, { r: { op: 'model.truncate_kronecker', model: 'm', ratio } })['x']!
}

/** A ⊗ B in loops, the kernel in B. */
const kronecker = (
  [rows, columns]: readonly [number, number],
  a: readonly number[],
  [height, width, kernel]: readonly [number, number, number],
  b: readonly number[],
): number[] => {
  const product: number[] = []
  for (let i = 0; i < rows * height; i++)
    for (let j = 0; j < columns * width; j++)
      for (let p = 0; p < kernel; p++)
        product.push(
          Math.fround(
            a[Math.floor(i / height) * columns + Math.floor(j / width)]! *
              b[((i % height) * width + (j % width)) * kernel + p]!,
          ),
        )
  return product
}

const squares = (x: readonly number[]): number => x.reduce((sum, y) => sum + y * y, 0)
const minus = (x: readonly number[], y: readonly number[]): number[] => x.map((n, i) => n - y[i]!)

/** The square of the least error of A ⊗ B, by alternating least squares from many starts. */
const leastError = (
  sides: readonly [number, number],
  inner: readonly [number, number, number],
  x: readonly number[],
): number => {
  const [[rows, columns], [height, width, kernel]] = [sides, inner]
  const place = (i: number, j: number, k: number, l: number): number =>
    (i * height + k) * columns * width * kernel + j * width * kernel + l
  const errors = Array.from({ length: 5 }, (_, start) => {
    let a = numbers(rows * columns, 100 + start)
    let b: number[] = []
    for (let turn = 0; turn < 400; turn++) {
      const ofA = squares(a)
      b = Array.from({ length: height * width * kernel }, (_, at) => {
        const [k, l] = [Math.floor(at / (width * kernel)), at % (width * kernel)]
        return a.reduce((s, y, n) => s + y * x[place(Math.floor(n / columns), n % columns, k, l)]!, 0) / ofA
      })
      const ofB = squares(b)
      a = a.map((_, n) => {
        const [i, j] = [Math.floor(n / columns), n % columns]
        return (
          b.reduce((s, y, at) => s + y * x[place(i, j, Math.floor(at / (width * kernel)), at % (width * kernel))]!, 0) /
          ofB
        )
      })
    }
    return squares(minus(x, kronecker(sides, a, inner, b)))
  })
  return Math.min(...errors)
}

describe('the nearest Kronecker product', () => {
  test.each([
    { shape: [6, 6], sides: [2, 3] as const },
    { shape: [4, 9], sides: [2, 3] as const },
    { shape: [96, 96], sides: [8, 12] as const },
  ])('of a product of $sides and the rest of $shape is the product', ({ shape, sides }) => {
    const [height, width] = [shape[0]! / sides[0], shape[1]! / sides[1]]
    const x = kronecker(sides, numbers(sides[0] * sides[1], 1), [height, width, 1], numbers(height * width, 2))
    const found = truncate(shape, x, 0.5)
    for (const [i, y] of found.entries()) expect(y).toBeCloseTo(x[i]!, 6)
  })

  test.each([
    { shape: [4, 4], sides: [2, 2] as const, inner: [2, 2, 1] as const },
    { shape: [9, 4], sides: [3, 2] as const, inner: [3, 2, 1] as const },
    { shape: [6, 4, 3, 3], sides: [3, 4] as const, inner: [2, 1, 9] as const },
    { shape: [4, 4, 1, 1], sides: [2, 2] as const, inner: [2, 2, 1] as const },
  ])('is as near as can be: $shape', ({ shape, sides, inner }) => {
    const x = numbers(
      shape.reduce((n, d) => n * d, 1),
      3,
    )
    const found = squares(minus(x, truncate(shape, x, 0.5)))
    const least = leastError(sides, inner, x)
    expect(found).toBeLessThan(1.01 ** 2 * least)
    expect(found).toBeGreaterThan(0.99 ** 2 * least)
  })

  test('changes nothing where one of the factors is a single number', () => {
    const x = numbers(24, 4)
    for (const ratio of [0, 1]) {
      const found = truncate([4, 6], x, ratio)
      for (const [i, y] of found.entries()) expect(y).toBeCloseTo(x[i]!, 6)
    }
  })

  test('leaves zeros and vectors as they are', () => {
    expect(truncate([4, 6], Array<number>(24).fill(0), 0.5)).toEqual(Array<number>(24).fill(0))
    expect(truncate([5], numbers(5, 1), 0.5)).toEqual(numbers(5, 1))
  })
})
