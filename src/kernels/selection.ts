/** Bins of `histogramHigh`: the upper 16 bits of |x|. */
export const HIGH_BINS = 65536

/** Bins of `histogramLow`: the lower 15 bits of |x|. */
export const LOW_BINS = 32768

/** Bins of `histogramHigh` that one `histogramRange` looks into. */
export const RANGE = 7

/**
 * The bin of `histogramHigh` that infinity is in, and some NaN; every bin above holds NaN alone. No finite number
 * reaches it.
 */
export const FIRST_NON_FINITE_BIN = 0x7f800000 >>> 15

const number = new Float32Array(1)
const bits = new Uint32Array(number.buffer)

/** |x| from its two bins. */
export const toMagnitude = (high: number, low: number): number => {
  bits[0] = (high << 15) | low
  return number[0]!
}

/**
 * The bin that holds the element of a rank (0 is the smallest), and how many elements are before that bin. Throws a
 * RangeError beyond the last.
 */
export const selectBin = (
  dense: Float64Array | Uint32Array,
  rank: number,
): { readonly bin: number; readonly below: number } => {
  let below = 0
  for (let bin = 0; bin < dense.length; bin++) {
    const through = below + dense[bin]!
    if (rank < through) return { bin, below }
    below = through
  }
  throw new RangeError(`rank ${rank} of ${below} elements`)
}

/** Where the first pair of a bin that is not less stands; pairs are in the order of bins. */
export const firstFrom = (pairs: Uint32Array, bin: number): number => {
  let [low, high] = [0, pairs.length / 2]
  while (low < high) {
    const middle = (low + high) >>> 1
    if (pairs[2 * middle]! < bin) low = middle + 1
    else high = middle
  }
  return 2 * low
}

/** Counts by bin, exact up to 2^53 elements. */
export interface Histogram {
  /** Adds the counts of pairs of a bin and a count. */
  add(pairs: Uint32Array): void
  at(bin: number): number
  /** Like {@link selectBin}. */
  select(rank: number): ReturnType<typeof selectBin>
  /** Forgets all counts. */
  clear(): void
}

/** Bins whose counts are added up together: an exponent's, which is mostly all that a few counts are in. */
const BLOCK_BITS = 8
const BLOCK = 1 << BLOCK_BITS

/** A histogram without counts. Selecting and clearing touch the blocks that have counts, not all of half a megabyte. */
export const createHistogram = (): Histogram => {
  const counts = new Float64Array(HIGH_BINS)
  const blocks = new Float64Array(HIGH_BINS / BLOCK)
  return {
    add: (pairs) => {
      for (let at = 0; at < pairs.length; at += 2) {
        counts[pairs[at]!]! += pairs[at + 1]!
        blocks[pairs[at]! >>> BLOCK_BITS]! += pairs[at + 1]!
      }
    },
    at: (bin) => counts[bin]!,
    select: (rank) => {
      const block = selectBin(blocks, rank)
      const first = BLOCK * block.bin
      const { bin, below } = selectBin(counts.subarray(first, first + BLOCK), rank - block.below)
      return { bin: first + bin, below: block.below + below }
    },
    clear: () => {
      for (let block = 0; block < blocks.length; block++)
        if (blocks[block] !== 0) counts.fill(0, BLOCK * block, BLOCK * (block + 1))
      blocks.fill(0)
    },
  }
}
