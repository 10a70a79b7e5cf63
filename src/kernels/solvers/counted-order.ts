import { solverKernels } from './matrix.js'
import { roomFor } from './room.js'

/** Values that numbers may have whose lower 13 bits are 0, such as all of f16, bf16 and f8: kernels number them in ascending order. */
const VALUES = 2 ** 19
const LOWER = 2 ** 13 - 1
const NEGATIVE_ZERO = VALUES / 2 - 1

/** Numbers that are copied to the kernels' memory at a time. */
const CHUNK = 1 << 14
/** Bytes of the kernels' memory for so many numbers: counts, places, runs, signs of zeros, and what is at work. */
export const countedOrderBytes = (n: number): number => (4 + 8 + 12) * VALUES + 8 * CHUNK + Math.ceil(n / 8)

/** Magnitudes in ascending order, numbered from 1: those from one to another, or all others. */
export interface MagnitudeRegion {
  readonly from: number
  readonly to: number
  readonly inside: boolean
}

/**
 * Gives the numbers of a whose magnitudes are in a region the order of those of b, as `redistribution` does, if all
 * numbers are of few enough values to be counted; else gives false and leaves a as it is.
 */
export const putInOrder = (a: Float32Array, b: Float32Array, region: MagnitudeRegion): boolean => {
  const kernels = solverKernels()
  const counts = roomFor(countedOrderBytes(a.length))
  const places = counts + 4 * VALUES
  const runs = places + 8 * VALUES
  const x = runs + 12 * VALUES
  const y = x + 4 * CHUNK
  const signs = y + 4 * CHUNK
  const count = (numbers: Float32Array): Uint32Array | undefined => {
    const found = kernels.view(Uint32Array, counts, VALUES).fill(0)
    for (let start = 0; start < numbers.length; start += CHUNK) {
      const part = numbers.subarray(start, start + CHUNK)
      kernels.view(Float32Array, x, CHUNK).set(part)
      if ((kernels.countOrdered(x, part.length, counts) & LOWER) !== 0) return undefined
    }
    return found
  }
  const own = count(a)
  if (own === undefined) return false
  const hasSigns = own[NEGATIVE_ZERO]! > 0
  if (hasSigns) writeSigns(a, kernels.view(Uint8Array, signs, Math.ceil(a.length / 8)))
  joinZeros(own)
  const written = writeRuns(own, kernels.view(Uint32Array, runs, 3 * VALUES))
  const others = count(b)
  if (others === undefined) return false
  joinZeros(others)
  limitTo(region, written)
  writePlaces(others, written, kernels.view(Uint32Array, places, 2 * VALUES), runs)
  const zero = firstAbove(written)
  const [zeros, first] = [hasSigns ? runs + 4 * zero : 0, zero === 0 ? 0 : written[zero - 3]!]
  for (let start = 0; start < b.length; start += CHUNK) {
    const to = a.subarray(start, start + CHUNK)
    kernels.view(Float32Array, x, CHUNK).set(b.subarray(start, start + CHUNK))
    kernels.view(Float32Array, y, CHUNK).set(to)
    kernels.putRanked(y, x, to.length, places, zeros, first, signs)
    to.set(kernels.view(Float32Array, y, to.length))
  }
  return true
}

/** The bits of the n-th value in ascending order. */
const bitsOf = (value: number): number =>
  (value <= NEGATIVE_ZERO ? ~(value * (LOWER + 1) + LOWER) : value * (LOWER + 1) - 2 ** 31) >>> 0

/** Writes a bit for each zero, set where it is negative. */
const writeSigns = (x: Float32Array, signs: Uint8Array): void => {
  signs.fill(0)
  const bits = new Int32Array(x.buffer, x.byteOffset, x.length)
  let zeros = 0
  for (let i = 0; i < bits.length; i++) {
    if (bits[i]! << 1 !== 0) continue
    if (bits[i] !== 0) signs[zeros >>> 3]! |= 1 << (zeros & 7)
    zeros += 1
  }
}

/** Adds negative zeros to the positive ones, with which they are in the order of their indices. */
const joinZeros = (counts: Uint32Array): void => {
  counts[NEGATIVE_ZERO + 1]! += counts[NEGATIVE_ZERO]!
  counts[NEGATIVE_ZERO] = 0
}

/**
 * Writes numbers in ascending order as runs of equal ones: the first rank after each, its bits, and bits that are all set.
 * Gives what is written.
 */
const writeRuns = (counts: Uint32Array, runs: Uint32Array): Uint32Array => {
  let [at, end] = [0, 0]
  for (let value = 0; value < VALUES; value++) {
    if (counts[value] === 0) continue
    end += counts[value]!
    runs[at] = end
    runs[at + 1] = bitsOf(value)
    runs[at + 2] = 2 ** 32 - 1
    at += 3
  }
  return runs.subarray(0, at)
}

/** Clears the bits to replace of runs whose magnitudes are not in a region. */
const limitTo = ({ from, to, inside }: MagnitudeRegion, runs: Uint32Array): void => {
  const [low, high] = [magnitudeAt(runs, from), magnitudeAt(runs, to)]
  for (let at = 0; at < runs.length; at += 3) {
    const size = sizeBits(runs[at + 1]!)
    if ((low <= size && size <= high) !== inside) runs[at + 2] = 0
  }
}

/** The bits of a magnitude: integers in the order of magnitudes. */
const sizeBits = (bits: number): number => bits & (2 ** 31 - 1)

/** Where the first run is that is not below 0. */
const firstAbove = (runs: Uint32Array): number => {
  let at = 0
  while (at < runs.length && runs[at + 1]! >= 2 ** 31) at += 3
  return at
}

/** The bits of the k-th least magnitude, from 1; −1, which none reaches, for the 0-th. */
const magnitudeAt = (runs: Uint32Array, k: number): number => {
  let above = firstAbove(runs)
  let below = above - 3
  let found = -1
  for (let taken = 0; taken < k;) {
    const isBelow = above === runs.length || (below >= 0 && sizeBits(runs[below + 1]!) < sizeBits(runs[above + 1]!))
    const at = isBelow ? below : above
    taken += runs[at]! - (at === 0 ? 0 : runs[at - 3]!)
    found = sizeBits(runs[at + 1]!)
    if (isBelow) below -= 3
    else above += 3
  }
  return found
}

/** Writes for each value the rank of the first number that has it and where in memory the run is in which that rank lies. */
const writePlaces = (counts: Uint32Array, runs: Uint32Array, places: Uint32Array, runsAt: number): void => {
  let [rank, run] = [0, 0]
  for (let value = 0; value < VALUES; value++) {
    if (counts[value] === 0) continue
    while (runs[run]! <= rank) run += 3
    places[2 * value] = rank
    places[2 * value + 1] = runsAt + 4 * run
    rank += counts[value]!
  }
}
