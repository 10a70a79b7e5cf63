import type { Solver } from '../../graph/expression.js'
import { sizeOf } from '../../tensor/info.js'
import { createSorter, sorterBytes } from './sort.js'

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
  workspace: (_, shape) => 16 * sizeOf(shape) + sorterBytes(sizeOf(shape)),
  solve: ([first, second], [from = 0, to = 0, inside = 1]) => {
    const a = new Float32Array(first!.values)
    const sort = createSorter(a.length)
    const sorted = inOrder(a, sort(keysOf(a)))
    const [low, high] = [magnitudeAt(sorted, from), magnitudeAt(sorted, to)]
    const order = sort(keysOf(new Float32Array(second!.values)))
    for (let rank = 0; rank < order.length; rank++) {
      const [value, size] = [sorted[rank]!, Math.abs(sorted[rank]!)]
      if ((low <= size && size <= high) === (inside === 1)) a[order[rank]!] = value
    }
    return a
  },
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
  const keys = new Uint32Array(new Float32Array(x).buffer)
  for (let i = 0; i < keys.length; i++) {
    const bits = keys[i] === 0x80000000 ? 0 : keys[i]!
    keys[i] = bits >= 0x80000000 ? ~bits : bits | 0x80000000
  }
  return keys
}
