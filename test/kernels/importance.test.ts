import { expect, test } from 'vitest'
import { importance } from '#src/kernels/solvers/importance.js'

const solve = (shape: readonly number[], x: Float32Array, base: Float32Array): readonly number[] => [
  ...(importance.solve(
    [
      { values: x, shape },
      { values: base, shape },
    ],
    [],
    shape,
  ) as Float32Array),
]
/** Numbers from −1 to 1 that look random. */
const any = (n: number, seed: number): Float32Array =>
  Float32Array.from({ length: n }, (_, i) => (Math.sin(seed * 12.9898 + (i + 1) * 78.233) * 43758.5453) % 1)

/** |x − base|·KL of one row, by differences from their mean, so that nearly equal rows do not cancel. */
const expected = (x: Float32Array, base: Float32Array): Float64Array => {
  const top = base.reduce((most, y) => Math.max(most, y))
  const powers = Float64Array.from(base, (y) => Math.exp(y - top))
  const all = powers.reduce((sum, y) => sum + y)
  const shares = powers.map((y) => y / all)
  const moved = Float64Array.from(x, (y, i) => y - base[i]!)
  const mean = moved.reduce((sum, y, i) => sum + y * shares[i]!, 0)
  const grown = moved.map((y) => Math.expm1(y - mean))
  const total = grown.reduce((sum, y, i) => sum + y * shares[i]!, 0)
  const divergence =
    grown.reduce((sum, y, i) => sum + y * (moved[i]! - mean) * shares[i]!, 0) / (1 + total) -
    Math.log1p(grown.reduce((sum, y, i) => sum + (y - (moved[i]! - mean)) * shares[i]!, 0))
  return moved.map((y) => Math.abs(y) * divergence)
}

test.each([
  [3, 0.02, 0.02],
  [3, 5, 0.3],
  [27, 0.05, 0.01],
  [768, 2, 0.1],
  [9000, 0.05, 0.02],
  [70_000, 1, 0.1],
])(
  'importances of rows of %i, of numbers up to %d that moved by up to %d, are those of the formula',
  (width, scale, move) => {
    const rows = width > 100 ? 3 : 1000
    const base = any(rows * width, width).map((y) => y * scale)
    const x = base.map((y, i) => y + move * Math.sin(i * 1.7))
    const found = solve([rows, width], x, base)
    for (let row = 0; row < rows; row++) {
      const [start, end] = [row * width, (row + 1) * width]
      const wanted = expected(x.subarray(start, end), base.subarray(start, end))
      const worst = wanted.reduce(
        (most, y, at) => Math.max(most, Math.abs(found[start + at]! - y) / (1e-6 * y + 1e-15)),
        0,
      )
      expect(worst, `row ${row}`).toBeLessThanOrEqual(1)
    }
  },
)

test('a row that did not change is of no importance, in a row of one number nothing is, and what is no number makes its row none', () => {
  const x = Float32Array.of(1, 2, 3, 1, NaN, 3, 3e38, 0, -3e38, 0, 1, 1000)
  const base = Float32Array.of(1, 2, 3, 1, 2, 3, -3e38, 0, 3e38, 0, 1, 0)
  expect(solve([4, 3], x, base)).toEqual([
    0,
    0,
    0,
    NaN,
    NaN,
    NaN,
    Infinity,
    0,
    Infinity,
    0,
    0,
    Math.fround(1000 * Math.log(2 + Math.E)),
  ])
  expect(solve([2, 1], Float32Array.of(1, 5), Float32Array.of(1, 2))).toEqual([0, 0])
  expect(solve([0, 3], new Float32Array(), new Float32Array())).toEqual([])
  expect(solve([], Float32Array.of(7), Float32Array.of(1))).toEqual([0])
})
