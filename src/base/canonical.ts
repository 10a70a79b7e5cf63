const sorted = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(sorted)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).sort(([x], [y]) => (x < y ? -1 : 1)).map(([key, v]) => [key, sorted(v)]))
}

/** A value as JSON with the keys of every object sorted by code unit, so that equal values give equal texts. */
export const canonicalJson = (value: unknown, indent?: number): string => JSON.stringify(sorted(value), undefined, indent)
