import type { Solver } from '../../graph/expression.js'
import type { Dtype } from '../../tensor/dtype.js'
import { sizeOf } from '../../tensor/info.js'
import { countedOrderBytes, putInOrder, type MagnitudeRegion } from './counted-order.js'
import { createSorter, sorterBytes } from './sort.js'

/** Tensors smaller than this are sorted: tables of all values would take longer. */
const SMALL = 1 << 16

/** Those of larger ones can be counted where they are stored so. */
const FEW_DIGITS: readonly Dtype[] = ['F16', 'BF16', 'F8_E4M3', 'F8_E5M2']

/**
 * Gives the elements of A the order of those of B: the r-th least element of B has, in the result, the r-th least of A,
 * if the magnitude of that lies in a region, and A's own element elsewhere. Equal elements of B are in the order of their
 * indices. Operands: A, B; settings: the magnitudes of A are numbered from 1 in ascending order; those from number
 * `from` up to number `to` are the region, or, with 0 for `inside`, all others.
 */
export const redistribution: Solver = {
  name: 'redistribution',
  version: 1,
  takes: 'all',
  overwrites: true,
  workspace: (_, shape, _settings, dtypes) => {
    const n = sizeOf(shape)
    const sorting = 8 * n + sorterBytes(n)
    if (n < SMALL) return sorting
    return countedOrderBytes(n) + (dtypes.every((dtype) => FEW_DIGITS.includes(dtype)) ? 0 : sorting)
  },
  solve: ([first, second], [from = 0, to = 0, inside = 1]) => {
    const [a, b] = [first!, second!].map(({ values }) =>
      values instanceof Float32Array ? values : new Float32Array(values),
    ) as [Float32Array, Float32Array]
    if (a.length < SMALL || !putInOrder(a, b, { from, to, inside: inside === 1 }))
      sortInOrder(a, b, { from, to, inside: inside === 1 })
    return a
  },
}

const sortInOrder = (a: Float32Array, b: Float32Array, { from, to, inside }: MagnitudeRegion): void => {
  const sort = createSorter(a.length)
  const sorted = inOrder(a, sort(keysOf(a)))
  const [low, high] = [magnitudeAt(sorted, from), magnitudeAt(sorted, to)]
  const order = sort(keysOf(b))
  for (let rank = 0; rank < order.length; rank++) {
    const [value, size] = [sorted[rank]!, Math.abs(sorted[rank]!)]
    if ((low <= size && size <= high) === inside) a[order[rank]!] = value
  }
}

const inOrder = (x: Float32Array, order: Uint32Array): Float32Array => {
  const sorted = new Float32Array(x.length)
  for (let i = 0; i < sorted.length; i++) sorted[i] = x[order[i]!]!
  return sorted
}

/** The k-th least magnitude, from 1, of numbers in ascending order; −1, which none reaches, for the 0-th. */
const magnitudeAt = (sorted: Float32Array, k: number): number => {
  let above = sorted.findIndex((x) => x >= 0)
  if (above < 0) above = sorted.length
  let below = above - 1
  let found = -1
  for (let taken = 0; taken < k; taken++) {
    const isBelow = above === sorted.length || (below >= 0 && -sorted[below]! < sorted[above]!)
    found = isBelow ? -sorted[below--]! : sorted[above++]!
  }
  return found
}

/** Integers in the order of numbers. Both zeros are equal; of negative numbers all bits are turned. */
const keysOf = (x: Float32Array): Uint32Array => {
  const keys = new Uint32Array(x.slice().buffer)
  for (let i = 0; i < keys.length; i++) {
    const bits = keys[i] === 0x80000000 ? 0 : keys[i]!
    keys[i] = bits >= 0x80000000 ? ~bits : bits | 0x80000000
  }
  return keys
}
