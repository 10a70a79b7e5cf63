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

describe.each([
  [0, 0, 1],
  [1, 40, 1],
  [50, 100, 1],
  [50, 100, 0],
  [1, 300, 1],
])('numbers in the order of others, from the %i-th to the %i-th magnitude, inside: %i', (from, to, inside) => {
  test('are as they are by sorting', () => {
    const [a, b] = [numbers(300, 1), numbers(300, 2)]
    const sorted = [...a].sort((x, y) => x - y)
    const sizes = [...a].map(Math.abs).sort((x, y) => x - y)
    const [low, high] = [from > 0 ? sizes[from - 1]! : -1, to > 0 ? sizes[to - 1]! : -1]
    const wanted = [...a]
    const order = [...indices(300)].sort((i, j) => b[i]! - b[j]! || i - j)
    order.forEach((at, rank) => {
      const size = Math.abs(sorted[rank]!)
      if ((low <= size && size <= high) === (inside === 1)) wanted[at] = sorted[rank]!
    })
    const found = redistribution.solve([{ values: a } as never, { values: b } as never], [from, to, inside], [300])
    expect([...(found as Float32Array)].map((x) => x + 0)).toEqual(wanted.map((x) => x + 0))
  })
})
