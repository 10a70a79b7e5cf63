const sorted = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(sorted)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value)
      .sort(([x], [y]) => (x < y ? -1 : 1))
      .map(([key, v]) => [key, sorted(v)]),
  )
}

/** A value as JSON with the keys of every object sorted by code unit, so that equal values give equal texts. */
export const canonicalJson = (value: unknown, indent?: number): string =>
  JSON.stringify(sorted(value), undefined, indent)

/** A number as JSON, which has no word for −0, NaN and the infinities. */
const exactly = (x: number): unknown =>
  Number.isFinite(x) && !Object.is(x, -0) ? x : { number: Object.is(x, -0) ? '-0' : String(x) }

/**
 * A value as JSON in which every number is told apart from every other, and from null: for fingerprints. Keys stay in
 * their order.
 */
export const exactJson = (value: unknown): string =>
  JSON.stringify(value, (_, x: unknown) => (typeof x === 'number' ? exactly(x) : x))
