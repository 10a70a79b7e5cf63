import { describe, expect, test } from 'vitest'
import { createOptimizer } from '#src/search/optimizer.js'

type Loss = (x: readonly number[]) => number | undefined

const minimize = (
  loss: Loss,
  start: readonly number[],
  trials: number,
  seed: string | number = 1,
): { readonly best: number; readonly points: readonly (readonly number[])[] } => {
  const optimizer = createOptimizer(start, seed)
  const points: (readonly number[])[] = []
  let best = Infinity
  for (let i = 0; i < trials; i++) {
    const point = optimizer.ask()
    points.push(point)
    const value = loss(point)
    if (value !== undefined) best = Math.min(best, value)
    optimizer.tell(value)
  }
  return { best, points }
}

const sphere = (centre: readonly number[]): ((x: readonly number[]) => number) => {
  return (x) => x.reduce((sum, v, i) => sum + (v - centre[i]!) ** 2, 0)
}
/** Rosenbrock's valley over [-2, 2]², whose floor is at (0.75, 0.75) of the unit square. */
const rosenbrock = (unit: readonly number[]): number => {
  const [x, y] = unit.map((u) => 4 * u - 2) as [number, number]
  return 100 * (y - x * x) ** 2 + (1 - x) ** 2
}

describe('the optimizer', () => {
  test.each([1, 2, 3, 4, 5])('finds the bottom of a sphere, with seed %i', (seed) => {
    const centre = [0.2, 0.7, 0.55]
    expect(minimize(sphere(centre), [0.9, 0.1, 0.1], 300, seed).best).toBeLessThan(1e-6)
  })

  test.each([1, 2, 3, 4, 5])('follows Rosenbrock’s bent valley, with seed %i', (seed) => {
    expect(rosenbrock([0.2, 0.8])).toBeGreaterThan(1)
    expect(minimize(rosenbrock, [0.2, 0.8], 800, seed).best).toBeLessThan(1e-3)
  })

  test('learns the shape of a long ellipse, which steps of one length in all directions are too slow for', () => {
    const ellipse: Loss = ([x, y]) => (x! - 0.4) ** 2 + 1e4 * (y! - x!) ** 2
    expect(minimize(ellipse, [0.9, 0.1], 600).best).toBeLessThan(1e-6)
  })

  test('finds an optimum in a corner, and never leaves the cube', () => {
    const { best, points } = minimize(([x, y]) => x! + y!, [0.5, 0.5], 200)
    expect(best).toBeLessThan(0.01)
    expect(points.flat().every((x) => x >= 0 && x <= 1)).toBe(true)
  })

  test('begins at the start, and goes on after points without a loss', () => {
    const centre = [0.3, 0.3]
    const flaky: Loss = (x) => (x[0]! > 0.5 ? undefined : sphere(centre)(x))
    const { best, points } = minimize(flaky, [0.5, 0.5], 300)
    expect(points[0]).toEqual([0.5, 0.5])
    expect(best).toBeLessThan(1e-5)
  })

  test('leaves a bound of nothing but failures without an error', () => {
    const { points } = minimize(() => undefined, [0.5], 100)
    expect(points.flat().every((x) => x >= 0 && x <= 1)).toBe(true)
  })

  test('gives the same points to the same seed, others to another, and these on every machine', () => {
    const points = (seed: string | number) => minimize(rosenbrock, [0.2, 0.8], 50, seed).points
    expect(points(7)).toEqual(points(7))
    expect(points('7')[1]).not.toEqual(points(7)[1])
    expect(points(8)[1]).not.toEqual(points(7)[1])
    expect(points(7).slice(1, 3).concat(points(7).slice(-1))).toMatchInlineSnapshot(`
      [
        [
          0.5445820964801353,
          0.8344354525535729,
        ],
        [
          0.016698025138760425,
          0.6672373749953163,
        ],
        [
          0.6900388261296365,
          0.6453490823449598,
        ],
      ]
    `)
  })
})
