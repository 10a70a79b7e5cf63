import type { Solver } from '../../graph/expression.js'
import { sizeOf } from '../../tensor/info.js'

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
  workspace: (_, shape) => 16 * sizeOf(shape) + 4 * BINS,
  solve: ([first, second], [from = 0, to = 0, inside = 1]) => {
    const a = new Float32Array(first!.values)
    const sorted = a.slice().sort()
    const [low, high] = boundsOf(sorted, from, to)
    for (const [rank, at] of ascending(new Float32Array(second!.values)).entries()) {
      const [value, size] = [sorted[rank]!, Math.abs(sorted[rank]!)]
      if ((low <= size && size <= high) === (inside === 1)) a[at] = value
    }
    return a
  },
}

const boundsOf = (sorted: Float32Array, from: number, to: number): readonly [low: number, high: number] => {
  const sizes = sorted.map(Math.abs).sort()
  return [from > 0 ? sizes[from - 1]! : -1, to > 0 ? sizes[to - 1]! : -1]
}

const BINS = 1 << 16

/** The indices of numbers in ascending order, equal ones by index: sorted by the low half of their bits, then by the high. */
const ascending = (x: Float32Array<ArrayBuffer>): Uint32Array => {
  const keys = new Uint32Array(x.buffer)
  for (let i = 0; i < keys.length; i++) {
    // Both zeros are equal. Of negative numbers all bits are turned, so that the order is that of integers.
    const bits = keys[i] === 0x80000000 ? 0 : keys[i]!
    keys[i] = bits >= 0x80000000 ? ~bits : bits | 0x80000000
  }
  const order = new Uint32Array(keys.length)
  for (let i = 0; i < order.length; i++) order[i] = i
  return sortBy(
    sortBy(order, (i) => keys[i]! & (BINS - 1)),
    (i) => keys[i]! >>> 16,
  )
}

/** Sorts indices by a number below 65,536, equal ones in the order that they have. */
const sortBy = (order: Uint32Array, keyOf: (index: number) => number): Uint32Array => {
  const places = new Uint32Array(BINS)
  for (const i of order) places[keyOf(i)]! += 1
  let next = 0
  for (let key = 0; key < BINS; key++) {
    const count = places[key]!
    places[key] = next
    next += count
  }
  const sorted = new Uint32Array(order.length)
  for (const i of order) sorted[places[keyOf(i)]!++] = i
  return sorted
}
