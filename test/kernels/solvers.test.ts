import { describe, expect, test } from 'vitest'
import type { Solver, SolverOperand } from '#src/graph/expression.js'
import { crossover } from '#src/kernels/solvers/crossover.js'
import { factorize, solveRows } from '#src/kernels/solvers/cholesky.js'
import { findSolver } from '#src/kernels/solvers/index.js'
import { addProduct, matrixOf, transposed } from '#src/kernels/solvers/matrix.js'
import { isReflection, orthogonalPower } from '#src/kernels/solvers/orthogonal-power.js'
import { orthogonalPart } from '#src/kernels/solvers/polar.js'
import { ranks } from '#src/kernels/solvers/ranks.js'
import { redistribution } from '#src/kernels/solvers/redistribution.js'
import { regmean } from '#src/kernels/solvers/regmean.js'
import { rotation } from '#src/kernels/solvers/rotation.js'

const of = (shape: readonly number[], ...values: readonly number[]): SolverOperand => ({
  shape,
  values: Float32Array.from(values),
})
/** The same numbers again, as solvers may overwrite theirs. */
const copied = ({ shape, values }: SolverOperand): SolverOperand => ({ shape, values: values.slice() })
/** Numbers from −1 to 1 that look random. */
const any = (n: number, seed: number): readonly number[] =>
  Array.from({ length: n }, (_, i) => Math.fround(Math.sin(seed * 12.9898 + (i + 1) * 78.233) * 43758.5453) % 1)
const result = (
  solver: Solver,
  operands: readonly SolverOperand[],
  settings: readonly number[],
  shape = operands[0]!.shape,
) => {
  const solved = solver.solve(operands, settings, shape)
  return typeof solved === 'string' ? solved : [...solved]
}
const close = (found: ArrayLike<number> | string, expected: ArrayLike<number>, most = 1e-9): void => {
  expect(typeof found).not.toBe('string')
  expect(found.length).toBe(expected.length)
  for (let i = 0; i < expected.length; i++)
    expect(Math.abs((found as ArrayLike<number>)[i]! - expected[i]!), `element ${i}`).toBeLessThanOrEqual(most)
}
const product = (x: Float64Array, y: Float64Array, n: number): Float64Array<ArrayBuffer> => {
  const sum = new Float64Array(n * n)
  for (let i = 0; i < n; i++)
    for (let j = 0; j < n; j++) for (let k = 0; k < n; k++) sum[i * n + j]! += x[i * n + k]! * y[k * n + j]!
  return sum
}
const flipped = (x: Float64Array, n: number): Float64Array<ArrayBuffer> =>
  Float64Array.from(x, (_, at) => x[(at % n) * n + Math.floor(at / n)]!)
const unit = (n: number): Float64Array => Float64Array.from({ length: n * n }, (_, at) => (at % (n + 1) === 0 ? 1 : 0))
const square = (n: number, seed: number): Float64Array<ArrayBuffer> => Float64Array.from(any(n * n, seed))
const normOf = (x: Float64Array): number => Math.sqrt(x.reduce((sum, value) => sum + value * value, 0))
const orthogonal = (n: number, seed: number): Float64Array<ArrayBuffer> => {
  const m = square(n, seed)
  return orthogonalPart(m, n, normOf(m))!
}
/** A rotation by an angle. */
const turn = (angle: number): Float64Array<ArrayBuffer> =>
  Float64Array.of(Math.cos(angle), Math.sin(angle), -Math.sin(angle), Math.cos(angle))

test('a solver is found by its name, and no other', () => {
  for (const solver of [crossover, ranks, redistribution, regmean, rotation])
    expect(findSolver(solver.name)).toBe(solver)
  expect(() => findSolver('inverse')).toThrow('inverse')
})

describe('products of matrices', () => {
  test.each([1, 3, 5, 64, 65, 130, 257])('of size %i equal sums in order', (n) => {
    const [x, y] = [square(n, 1), square(n, 2)]
    const sum = new Float64Array(n * n)
    addProduct(matrixOf(sum, n, n), matrixOf(x, n, n), matrixOf(y, n, n))
    close(sum, product(x, y, n), 1e-12 * n)
    addProduct(matrixOf(sum, n, n), transposed(matrixOf(flipped(x, n), n, n)), matrixOf(y, n, n), -1)
    close(sum, new Float64Array(n * n), 1e-12 * n)
  })
})

describe('Cholesky’s method', () => {
  test.each([1, 2, 63, 64, 65, 150])('solves %i equations', (n) => {
    const m = square(n, 3)
    const s = product(m, flipped(m, n), n)
    for (let i = 0; i < n; i++) s[i * (n + 1)]! += 1
    const x = Float64Array.from(any(2 * n, 4))
    const right = new Float64Array(2 * n)
    addProduct(matrixOf(right, 2, n), matrixOf(x, 2, n), matrixOf(s, n, n))
    const factor = matrixOf(s, n, n)
    expect(factorize(factor)).toBe(true)
    solveRows(matrixOf(right, 2, n), factor)
    close(right, x, 1e-8)
  })

  test.each([
    ['zeros', [0, 0, 0, 0]],
    ['a singular matrix', [1, 1, 1, 1]],
    ['an indefinite matrix', [1, 2, 2, 1]],
    ['NaN', [NaN, 0, 0, 1]],
  ])('has no factor of %s', (_, values) => {
    expect(factorize(matrixOf(Float64Array.from(values), 2, 2))).toBe(false)
  })
})

describe('the orthogonal part', () => {
  test.each([1, 2, 5, 64, 70])(
    'of a matrix of size %i is orthogonal, and what is left is symmetric and positive',
    (n) => {
      const m = square(n, 5)
      const q = orthogonalPart(m, n, normOf(m))!
      close(product(flipped(q, n), q, n), unit(n), 1e-12)
      const h = product(flipped(q, n), m, n)
      close(h, flipped(h, n), 1e-12)
      for (let i = 0; i < n; i++) h[i * (n + 1)]! += 1e-9
      expect(factorize(matrixOf(h, n, n))).toBe(true)
    },
  )

  test('is found where one direction is 10¹² times as long as another', () => {
    const [q, p] = [orthogonal(4, 1), orthogonal(4, 2)]
    const lengths = new Float64Array(16)
    ;[1, 1e-3, 1e-8, 1e-12].forEach((length, i) => (lengths[5 * i] = length))
    const part = orthogonalPart(product(product(q, lengths, 4), p, 4), 4, 2)!
    close(part, product(q, p, 4), 1e-3)
    close(product(flipped(part, 4), part, 4), unit(4), 1e-12)
  })

  test('of an orthogonal matrix is itself, a reflection too', () => {
    close(orthogonalPart(turn(1), 2, 1, 1)!, turn(1), 1e-15)
    close(orthogonalPart(Float64Array.of(0, 1, 1, 0), 2, 1)!, [0, 1, 1, 0], 1e-14)
  })

  test('of a singular matrix does not exist', () => {
    expect(orthogonalPart(new Float64Array(4), 2, 1)).toBeUndefined()
    expect(orthogonalPart(Float64Array.of(1, 0, 0, 0), 2, 1)).toBeUndefined()
    expect(orthogonalPart(Float64Array.of(NaN, 0, 0, 1), 2, 1)).toBeUndefined()
  })
})

describe('a power of a rotation', () => {
  test.each([0.1, 1.5, 3, -2.9])('turns by a share of the angle %f', (angle) => {
    for (const power of [0.25, 1 / 3, 0.9]) close(orthogonalPower(turn(angle), 2, power)!, turn(angle * power), 1e-12)
  })

  test.each([3, 8, 20])('and the power that is left make the rotation again, in %i dimensions', (n) => {
    const q = orthogonal(n, 7)
    if (isReflection(q, n)) for (let i = 0; i < n; i++) q[i]! *= -1
    const [one, other] = [orthogonalPower(q, n, 0.3)!, orthogonalPower(q, n, 0.7)!]
    close(product(one, other, n), q, 1e-10)
    close(product(flipped(one, n), one, n), unit(n), 1e-12)
  })

  test('does not exist for half a turn or a reflection', () => {
    expect(orthogonalPower(turn(Math.PI - 1e-9), 2, 0.5)).toBeUndefined()
    close(orthogonalPower(turn(Math.PI - 1e-5), 2, 0.5)!, turn((Math.PI - 1e-5) / 2), 1e-9)
    expect(orthogonalPower(Float64Array.of(-1, 0, 0, -1), 2, 0.5)).toBeUndefined()
    expect(orthogonalPower(Float64Array.of(0, 1, 1, 0), 2, 0.5)).toBeUndefined()
  })

  test('a reflection is told by its determinant', () => {
    expect(isReflection(turn(2), 2)).toBe(false)
    expect(isReflection(Float64Array.of(0, 1, 1, 0), 2)).toBe(true)
    expect(isReflection(Float64Array.of(-1), 1)).toBe(true)
    expect(isReflection(Float64Array.of(0, 1, 0, 0, 0, 1, 1, 0, 0), 3)).toBe(false)
  })
})

describe('rotation', () => {
  const points = (rows: number, columns: number, seed: number) => of([rows, columns], ...any(rows * columns, seed))
  /** Points, turned by an orthogonal matrix and moved. */
  const moved = ({ shape, values }: SolverOperand, q: Float64Array, by: number): SolverOperand => {
    const [rows, n] = shape as [number, number]
    const sum = new Float64Array(values.length).fill(by)
    addProduct(matrixOf(sum, rows, n), matrixOf(values, rows, n), matrixOf(q, n, n))
    return { shape, values: sum }
  }

  test.each([
    [7, 3],
    [3, 3],
    [100, 66],
  ])('of %i points of %i numbers finds how they were turned and moved', (rows, n) => {
    const a = points(rows, n, 1)
    const b = moved(a, orthogonal(n, 2), 0.5)
    close(result(rotation, [a, b], [1, 0, 1])!, b.values, 1e-7)
  })

  test('keeps the distances of the points from their centre', () => {
    const [a, b] = [points(9, 4, 1), points(9, 4, 2)]
    for (const alignment of [0.2, 1]) {
      const turned = result(rotation, [a, b], [alignment, 0, 1]) as number[]
      const spread = (values: ArrayLike<number>) => {
        const all = Array.from(values)
        const centre = [0, 1, 2, 3].map((j) => all.reduce((sum, x, i) => (i % 4 === j ? sum + x / 9 : sum), 0))
        return all.reduce((sum, x, i) => sum + (x - centre[i % 4]!) ** 2, 0)
      }
      expect(spread(turned)).toBeCloseTo(spread(a.values), 6)
    }
  })

  test('turns a wide matrix as it turns the columns of a tall one', () => {
    const [a, b] = [points(6, 3, 1), points(6, 3, 2)]
    const flip = ({ values }: SolverOperand): SolverOperand =>
      of([3, 6], ...Array.from({ length: 18 }, (_, at) => values[(at % 6) * 3 + Math.floor(at / 6)]!))
    for (const settings of [
      [1, 0, 1],
      [0.4, 0.5, 1],
    ]) {
      const tall = Float64Array.from(result(rotation, [a, b], settings) as number[])
      close(result(rotation, [flip(a), flip(b)], settings), flip({ shape: [6, 3], values: tall }).values, 1e-7)
    }
  })

  test('with alpha 1 and alignment 1 gives the other points, and with alpha alone their shape', () => {
    const [a, b] = [points(9, 4, 1), points(9, 4, 2)]
    close(result(rotation, [a, b], [1, 1, 1]), b.values, 1e-12)
    const unturned = Float64Array.from(result(rotation, [a, b], [0, 1, 1]) as number[])
    close(result(rotation, [{ shape: [9, 4], values: unturned }, b], [1, 0, 1]), b.values, 1e-9)
  })

  test('gives equal points bit for bit', () => {
    const a = points(70, 66, 1)
    for (const settings of [
      [1, 0, 1],
      [0.5, 0.5, 1],
    ])
      expect(Float32Array.from(result(rotation, [a, a], settings) as number[])).toEqual(a.values)
  })

  test.each([
    ['one number', of([1, 1], 2), of([1, 1], -3), [1, 0, 1], [-3]],
    ['zeros', of([2, 2], 0, 0, 0, 0), of([2, 2], 0, 0, 0, 0), [0.5, 0.5, 1], [0, 0, 0, 0]],
    ['zeros, toward others', of([2, 2], 0, 0, 0, 0), of([2, 2], 1, 2, 3, 4), [1, 0, 0], [0, 0, 0, 0]],
    [
      'points with a column of zeros',
      of([3, 2], 1, 0, 2, 0, 3, 0),
      of([3, 2], 0, 1, 0, 2, 0, 3),
      [1, 0, 0],
      [0, 1, 0, 2, 0, 3],
    ],
    ['points toward zeros', of([2, 1], 1, -2), of([2, 1], 0, 0), [0.5, 0, 0], [1, -2]],
  ] as const)('of %s', (_, a, b, settings, expected) => {
    close(result(rotation, [a, b], settings), expected, 1e-9)
  })

  test('of a mirror image does without the mirror where it turns by a share', () => {
    // Mirrored along the second axis, in which the points hardly extend.
    const a = of([4, 2], 1, 0.1, -1, 0.2, 2, -0.1, -2, -0.2)
    const b = of([4, 2], 1, -0.1, -1, -0.2, 2, 0.1, -2, 0.2)
    close(result(rotation, [a, b], [1, 0, 1]), b.values, 1e-7)
    close(result(rotation, [a, b], [0.5, 0, 1]), a.values, 1e-1)
  })

  test('says why there is none', () => {
    const a = points(5, 2, 1)
    const opposite = of([5, 2], ...Array.from(a.values, (x) => -x))
    expect(result(rotation, [a, opposite], [0.5, 0, 1])).toBe('half-turn')
    close(result(rotation, [a, opposite], [1, 0, 1]), opposite.values, 1e-7)
    expect(result(rotation, [a, of([5, 2], ...any(9, 1), NaN)], [1, 0, 1])).toBe('not-finite')
    expect(result(rotation, [of([5, 2], ...any(9, 1), Infinity), a], [1, 0, 1])).toBe('not-finite')
  })
})

describe('regmean', () => {
  const layer = (...values: readonly number[]) => of([1, values.length], ...values)
  const gram = (n: number, ...values: readonly number[]) => of([n, n], ...values)

  test('of one input weighs by what each model has seen of it', () => {
    close(result(regmean, [layer(1), gram(1, 3), layer(5), gram(1, 1)], [1, 1, 1]), [2], 1e-12)
  })

  test('averages inputs that no example has, and all where there are no examples', () => {
    const none = gram(2, 0, 0, 0, 0)
    close(result(regmean, [layer(1, 2), none, layer(5, 4), none], [1, 1, 3]), [4, 3.5], 1e-12)
    const first = gram(2, 2, 0, 0, 0)
    close(result(regmean, [layer(1, 2), first, layer(5, 4), first], [1, 1, 1]), [3, 3], 1e-12)
  })

  test('gives equal models bit for bit', () => {
    const [w, g] = [layer(1 / 3, 1 / 7), gram(2, 2, 1, 1, 3)]
    expect(result(regmean, [w, g, w, g], [0.9, 1, 1])).toEqual([...w.values])
  })

  test('says why there is no solution', () => {
    const w = layer(1, 2)
    const merged = (...values: readonly number[]) =>
      result(regmean, [w, gram(2, ...values), layer(3, 5), gram(2, ...values)], [1, 1, 1])
    expect(merged(1, 1, 1, 1)).toBe('singular')
    expect(merged(1, 0.5, 0, 1)).toBe('asymmetric')
    expect(merged(NaN, 0, 0, 1)).toBe('not-finite')
    expect(merged(1, 0, 0, Infinity)).toBe('not-finite')
  })
})

describe('ranks', () => {
  test.each([
    ['one number', of([1], -3), [0]],
    ['no row', of([0, 3]), []],
    ['equal magnitudes, by index', of([4], 2, -2, 2, -2), [0, 1, 2, 3]],
    ['both zeros and the smallest number', of([3], 2 ** -149, -0, 0), [2, 0, 1]],
    ['rows by themselves', of([2, 2], 9, -1, 3, 4), [1, 0, 0, 1]],
    ['infinity and NaN, which are the greatest', of([4], NaN, -Infinity, 1, 3e38), [3, 2, 0, 1]],
  ])('of %s', (_, operand, expected) => {
    expect(result(ranks, [operand], [])).toEqual(expected)
  })
})

describe('redistribution', () => {
  test('of one number is that number', () => {
    expect(result(redistribution, [of([1], 5), of([1], 7)], [0, 1, 1])).toEqual([5])
  })

  test('orders equal numbers by index, whatever the sign of a zero', () => {
    expect(result(redistribution, [of([3], 3, 1, 2), of([3], 0, -0, 0)], [0, 3, 1])).toEqual([1, 2, 3])
  })

  test('puts negative numbers below positive ones', () => {
    expect(result(redistribution, [of([4], 1, 2, 3, 4), of([4], 2, -1, 1, -2)], [0, 4, 1])).toEqual([4, 2, 3, 1])
  })
})

describe('crossover', () => {
  const sizeOf = (shape: readonly number[]): number => shape.reduce((n, d) => n * d, 1)

  test.each([[[1]], [[1, 1]], [[3]], [[4, 5]], [[7, 2, 3]]])('of equal tensors %j is that tensor', (shape) => {
    const x = of(shape, ...any(sizeOf(shape), 3))
    expect(result(crossover, [x, copied(x)], [0.4, 0.5])).toEqual([...x.values])
  })

  /** The same by its definition: each frequency is a sum over all elements. */
  const byDefinition = (d: Float32Array, shape: readonly number[], share: (f: number) => number): readonly number[] => {
    const axes = shape.map((n, axis) => ({ n, step: sizeOf(shape.slice(axis + 1)) }))
    const along = (i: number): readonly number[] => axes.map(({ n, step }) => Math.floor(i / step) % n)
    const places = Array.from(d, (_, i) => along(i))
    const angle = (x: readonly number[], k: readonly number[]): number =>
      2 * Math.PI * x.reduce((sum, at, axis) => sum + ((at * k[axis]!) % shape[axis]!) / shape[axis]!, 0)
    const frequencies = places.map((k) => {
      const squares = k.map((at, axis) => {
        const n = shape[axis]!
        return n === 1 ? 0 : (Math.min(at, n - at) / Math.floor(n / 2)) ** 2
      })
      const weight = share(Math.sqrt(squares.reduce((a, b) => a + b, 0) / shape.length)) / d.length
      const sum = (part: (x: number) => number): number =>
        weight * places.reduce((total, x, i) => total + d[i]! * part(angle(x, k)), 0)
      return [sum(Math.cos), -sum(Math.sin)] as const
    })
    return places.map((x) =>
      frequencies.reduce((sum, [re, im], k) => {
        const turn = angle(x, places[k]!)
        return sum + re * Math.cos(turn) - im * Math.sin(turn)
      }, 0),
    )
  }

  // Radices that kernels know and do not know, factors beyond them, axes that are filled up, and axes of three.
  const SHAPES = [[2], [3], [4], [5], [61], [67], [134], [6, 7], [3, 11], [13, 3], [67, 5], [3, 71], [5, 3, 3, 3]]
  test.each([...SHAPES, [2, 1, 9, 4]].map((shape) => ({ shape })))(
    'is what its definition says: $shape',
    ({ shape }) => {
      const [x, y] = [1, 2].map((seed) => of(shape, ...any(sizeOf(shape), seed))) as [SolverOperand, SolverOperand]
      const d = Float32Array.from(y.values, (value, i) => value - x.values[i]!)
      const steps = [
        [0.4, 0, (f: number) => (f > 0.6 ? 1 : 0)],
        [0.3, 2, (f: number) => (f < 0.7 ? 1 : 0)],
        [0.4, 0.5, (f: number) => Math.min(1, Math.max(0, 0.4 + f - 0.6))],
        [0.4, 3.5, (f: number) => Math.min(1, Math.max(0, 0.4 + f - 0.6))],
      ] as const
      for (const [alpha, tilt, share] of steps) {
        const wanted = byDefinition(d, shape, share).map((change, i) => x.values[i]! + change)
        close(result(crossover, [copied(x), copied(y)], [alpha, tilt]), wanted, 3e-7)
      }
    },
  )

  test('of axes that are transformed by themselves, and of more columns than one line of the cache', () => {
    // Of a signal along one axis the others are no more than repetitions.
    for (const [shape, axis] of [
      [[3, 200, 170], 0],
      [[3, 200, 170], 1],
      [[3, 200, 170], 2],
      [[5, 33, 40, 30], 1],
    ] as const) {
      const [n, inner] = [shape[axis]!, sizeOf(shape.slice(axis + 1))]
      const line = Float32Array.from(any(n, 5))
      const changed = byDefinition(line, [n], (f) => Math.min(1, Math.max(0, 0.3 + f / Math.sqrt(shape.length) - 0.7)))
      const at = (i: number): number => Math.floor(i / inner) % n
      const d = Float32Array.from({ length: sizeOf(shape) }, (_, i) => line[at(i)]!)
      const zeros = { shape, values: new Float32Array(d.length) }
      const found = crossover.solve([zeros, { shape, values: d }], [0.3, 0.5], shape) as Float32Array
      const furthest = found.reduce((most, x, i) => Math.max(most, Math.abs(x - changed[at(i)]!)), 0)
      expect(furthest).toBeLessThan(3e-7)
    }
  })
})
