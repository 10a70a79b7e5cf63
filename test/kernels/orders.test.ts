import { describe, expect, test } from 'vitest'
import { ranks } from '#src/kernels/solvers/ranks.js'
import { redistribution } from '#src/kernels/solvers/redistribution.js'
import { createSorter } from '#src/kernels/solvers/sort.js'

/** Numbers of few distinct values, so that many are equal, of both signs and with both zeros. */
const numbers = (n: number, seed: number): Float64Array =>
  Float64Array.from({ length: n }, (_, i) => {
    const x = Math.round(Math.sin(seed + i * 12.9898) * 43758.5453) % 97
    return Math.fround(x / 16)
  })

const indices = (n: number): readonly number[] => Array.from({ length: n }, (_, i) => i)

test('a radix sort keeps equal keys in order, over all bits of a key', () => {
  const keys = Uint32Array.from(indices(5000), (i) => Math.imul(i % 700, 0x9e3779b1) >>> (i % 3 === 0 ? 0 : 20))
  const sort = createSorter(keys.length)
  const wanted = [...indices(keys.length)].sort((i, j) => keys[i]! - keys[j]! || i - j)
  expect([...sort(keys)]).toEqual(wanted)
  // A second call must not depend on the first.
  expect([...sort(keys.toReversed())]).toEqual(
    [...indices(keys.length)].sort((i, j) => keys.at(-1 - i)! - keys.at(-1 - j)! || i - j),
  )
})

describe.each([1, 2, 40, 3000, 70_000])('rows of %i', (width) => {
  test('are ranked by magnitude, equal ones by index', () => {
    const values = numbers(3 * width, width)
    const found = ranks.solve([{ values } as never], [], [3, width])
    const wanted = [0, 1, 2].flatMap((row) => {
      const own = values.subarray(row * width, (row + 1) * width)
      const order = [...indices(width)].sort((i, j) => Math.abs(own[i]!) - Math.abs(own[j]!) || i - j)
      const rank = new Array<number>(width)
      order.forEach((i, at) => (rank[i] = at))
      return rank
    })
    expect([...(found as Float32Array)]).toEqual(wanted)
  })
})

test('ranks are by all bits of a magnitude, infinity and NaN last, however far apart they are', () => {
  const random = new Float32Array(Uint32Array.from(indices(6000), (i) => Math.imul(i + 1, 0x9e3779b1)).buffer)
  const values = Float32Array.from([...random.slice(0, 2998), 0, 2 ** -149, ...random.slice(3000)])
  const sizes = new Uint32Array(values.buffer).map((bits) => bits & 0x7fffffff)
  const wanted = [0, 1].flatMap((row) => {
    const order = indices(3000).toSorted((i, j) => sizes[3000 * row + i]! - sizes[3000 * row + j]! || i - j)
    return indices(3000).map((i) => order.indexOf(i))
  })
  expect([...(ranks.solve([{ values } as never], [], [2, 3000]) as Float32Array)]).toEqual(wanted)
})

/** Numbers with few digits, as those of f16 are, of both signs and with both zeros; and the same with a digit more. */
const few = (n: number, seed: number): Float32Array =>
  Float32Array.from(numbers(n, seed), (x, i) => (x === 0 && i % 2 === 1 ? -0 : x))
const many = (n: number, seed: number): Float32Array => few(n, seed).map((x) => x * (1 + 2 ** -20))

describe.each([
  ['a few', 300, few, few],
  ['many of few digits', 70_000, few, few],
  ['many of many digits', 70_000, many, few],
  ['many in the order of those of many digits', 70_000, few, many],
])('numbers in the order of others: %s', (_, n, own, other) => {
  test.each([
    [0, 0, 1],
    [1, 40, 1],
    [n / 6, n / 3, 1],
    [n / 6, n / 3, 0],
    [1, n, 1],
    [0, n, 0],
  ])('from the %i-th to the %i-th magnitude, inside: %i', (first, last, inside) => {
    const [from, to] = [Math.floor(first), Math.floor(last)]
    const [a, b] = [own(n, 1), other(n, 2)]
    const inOrder = (x: Float32Array): readonly number[] => indices(n).toSorted((i, j) => x[i]! - x[j]! || i - j)
    const sorted = inOrder(a).map((i) => a[i]!)
    const sizes = a.map(Math.abs).sort()
    const [low, high] = [from > 0 ? sizes[from - 1]! : -1, to > 0 ? sizes[to - 1]! : -1]
    const wanted = a.slice()
    inOrder(b).forEach((at, rank) => {
      const size = Math.abs(sorted[rank]!)
      if ((low <= size && size <= high) === (inside === 1)) wanted[at] = sorted[rank]!
    })
    const operands = [a, b].map((values) => ({ shape: [n], values }))
    const found = redistribution.solve(operands, [from, to, inside], [n]) as Float32Array
    expect(found.every((x, i) => Object.is(x, wanted[i]))).toBe(true)
  })
})

test('numbers in their own order are the same in every bit', () => {
  const a = few(70_000, 1)
  const found = redistribution.solve(
    [a.slice(), a].map((values) => ({ shape: [a.length], values })),
    [0, a.length, 1],
    [a.length],
  ) as Float32Array
  expect(found.every((x, i) => Object.is(x, a[i]))).toBe(true)
})
