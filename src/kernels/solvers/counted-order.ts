import { solverKernels } from './matrix.js'
import { roomFor } from './room.js'

/** Values that numbers may have whose lower 13 bits are 0, such as all of f16, bf16 and f8: kernels number them in ascending order. */
const VALUES = 2 ** 19
const LOWER = 2 ** 13 - 1
const NEGATIVE_ZERO = VALUES / 2 - 1

/** Numbers that are copied to the kernels' memory at a time. */
const CHUNK = 1 << 14
/** The most runs of equal numbers: each value is one, and zeros of both signs by turns may be many. */
const MOST_RUNS = 1.25 * VALUES

/** Bytes of the tables in the kernels' memory. */
export const COUNTED_ORDER_BYTES = 4 * VALUES + 8 * VALUES + 12 * MOST_RUNS + 8 * CHUNK

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
  const counts = roomFor(COUNTED_ORDER_BYTES)
  const places = counts + 4 * VALUES
  const runs = places + 8 * VALUES
  const x = runs + 12 * MOST_RUNS
  const y = x + 4 * CHUNK
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
  const written = own === undefined ? undefined : writeRuns(a, own, kernels.view(Uint32Array, runs, 3 * MOST_RUNS))
  const others = written === undefined ? undefined : count(b)
  if (written === undefined || others === undefined) return false
  limitTo(region, written)
  writePlaces(others, written, kernels.view(Uint32Array, places, 2 * VALUES), runs)
  for (let start = 0; start < b.length; start += CHUNK) {
    const [from, to] = [b.subarray(start, start + CHUNK), a.subarray(start, start + CHUNK)]
    kernels.view(Float32Array, x, CHUNK).set(from)
    kernels.view(Float32Array, y, CHUNK).set(to)
    kernels.putRanked(y, x, to.length, places)
    to.set(kernels.view(Float32Array, y, to.length))
  }
  return true
}

/** The bits of the n-th value in ascending order. */
const bitsOf = (value: number): number =>
  (value <= NEGATIVE_ZERO ? ~(value * (LOWER + 1) + LOWER) : value * (LOWER + 1) - 2 ** 31) >>> 0

/** How many zeros of one sign follow each other, by turns and first those of +0; undefined if their sign changes too often. */
const signsOfZeros = (x: Float32Array): readonly number[] | undefined => {
  const bits = new Int32Array(x.buffer, x.byteOffset, x.length)
  const lengths = [0]
  for (let i = 0; i < bits.length; i++) {
    if (bits[i]! << 1 !== 0) continue
    if ((bits[i] === 0) === (lengths.length % 2 === 1)) lengths[lengths.length - 1]! += 1
    else if (lengths.push(1) > MOST_RUNS - VALUES) return undefined
  }
  return lengths
}

/**
 * Writes numbers in ascending order as runs of equal ones: the first rank after each, its bits, and bits that are all set.
 * Zeros of both signs are in the order of their indices. Gives what is written; undefined if it is too much.
 */
const writeRuns = (x: Float32Array, counts: Uint32Array, runs: Uint32Array): Uint32Array | undefined => {
  const signs = counts[NEGATIVE_ZERO] === 0 ? [counts[NEGATIVE_ZERO + 1]!] : signsOfZeros(x)
  if (signs === undefined) return undefined
  let [at, end] = [0, 0]
  const add = (count: number, bits: number): void => {
    if (count === 0) return
    end += count
    runs[at] = end
    runs[at + 1] = bits
    runs[at + 2] = 2 ** 32 - 1
    at += 3
  }
  for (let value = 0; value < NEGATIVE_ZERO; value++) add(counts[value]!, bitsOf(value))
  for (const [turn, length] of signs.entries()) add(length, turn % 2 === 0 ? 0 : 2 ** 31)
  for (let value = NEGATIVE_ZERO + 2; value < VALUES; value++) add(counts[value]!, bitsOf(value))
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

/** The bits of the k-th least magnitude, from 1; −1, which none reaches, for the 0-th. */
const magnitudeAt = (runs: Uint32Array, k: number): number => {
  let above = 0
  while (above < runs.length && runs[above + 1]! > 2 ** 31) above += 3
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
  counts[NEGATIVE_ZERO + 1]! += counts[NEGATIVE_ZERO]!
  counts[NEGATIVE_ZERO] = 0
  let [rank, run] = [0, 0]
  for (let value = 0; value < VALUES; value++) {
    if (counts[value] === 0) continue
    while (runs[run]! <= rank) run += 3
    places[2 * value] = rank
    places[2 * value + 1] = runsAt + 4 * run
    rank += counts[value]!
  }
}
