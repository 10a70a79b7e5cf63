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

/** |x| from its two bins. */
export const toMagnitude = (high: number, low: number): number =>
  new Float32Array(Uint32Array.of((high << 15) | low).buffer)[0]!

/** Adds the counts of some pairs to a histogram of float64, exact up to 2^53 elements. */
export const addPairs = (dense: Float64Array, pairs: Uint32Array): void => {
  for (let at = 0; at < pairs.length; at += 2) dense[pairs[at]!]! += pairs[at + 1]!
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
