/** Keys are sorted 11 bits at a time, the least first. */
const DIGITS = [0, 11, 22]
const RADIX = 2 ** 11

/** Finds the order of so many keys; what it returns is good until it is called again. */
export type Sorter = (keys: Uint32Array) => Uint32Array

/** Bytes that a sorter of `n` keys holds. */
export const sorterBytes = (n: number): number => 16 * n + 4 * RADIX * DIGITS.length

/**
 * Sorts by radix: the indices of `n` keys in ascending order, equal keys by index. Takes time in proportion to `n`,
 * and its arrays are there for every call.
 */
export const createSorter = (n: number): Sorter => {
  const places = DIGITS.map(() => new Uint32Array(RADIX))
  // Keys move along with their indices: looking them up by index would miss the cache every time.
  let [order, next] = [new Uint32Array(n), new Uint32Array(n)]
  let [ordered, following] = [new Uint32Array(n), new Uint32Array(n)]
  const sortBy = (shift: number, place: Uint32Array): void => {
    for (let i = 0; i < n; i++) {
      const key = ordered[i]!
      const at = place[(key >>> shift) % RADIX]!++
      following[at] = key
      next[at] = order[i]!
    }
    ;[order, next] = [next, order]
    ;[ordered, following] = [following, ordered]
  }
  return (keys) => {
    countDigits(keys, places)
    ordered.set(keys)
    for (let i = 0; i < n; i++) order[i] = i
    DIGITS.forEach((shift, digit) => sortBy(shift, places[digit]!))
    return order
  }
}

/** Of each value of each digit, how many keys have a lower one. */
const countDigits = (keys: Uint32Array, places: readonly Uint32Array[]): void => {
  const [low, middle, high] = places as [Uint32Array, Uint32Array, Uint32Array]
  for (const place of places) place.fill(0)
  for (let i = 0; i < keys.length; i++) {
    const key = keys[i]!
    low[key % RADIX]!++
    middle[(key >>> DIGITS[1]!) % RADIX]!++
    high[key >>> DIGITS[2]!]!++
  }
  for (const place of places) {
    let below = 0
    for (let value = 0; value < RADIX; value++) {
      const count = place[value]!
      place[value] = below
      below += count
    }
  }
}
