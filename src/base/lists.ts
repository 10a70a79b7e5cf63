// A function takes no more arguments than the stack holds, so a list that may be long is never spread into a call.

/**
 * The greatest of some numbers, however many, or `atLeast` where none exceeds it; NaN where one is that, as `Math.max`.
 */
export const greatest = (numbers: Iterable<number>, atLeast = -Infinity): number => {
  let found = atLeast
  for (const x of numbers) found = Math.max(found, x)
  return found
}

/**
 * The least of some numbers, however many, or `atMost` where none is below it; NaN where one is that, as `Math.min`.
 */
export const least = (numbers: Iterable<number>, atMost = Infinity): number => {
  let found = atMost
  for (const x of numbers) found = Math.min(found, x)
  return found
}

/** Adds items to the end of a list, however many. */
export const append = <T>(list: T[], items: Iterable<T>): void => {
  for (const item of items) list.push(item)
}

/** Items by some key of each, in the order in which the keys come up. */
export const groupBy = <T>(items: Iterable<T>, keyOf: (item: T) => string): ReadonlyMap<string, readonly T[]> => {
  const groups = new Map<string, T[]>()
  for (const item of items) {
    const key = keyOf(item)
    const group = groups.get(key)
    if (group === undefined) groups.set(key, [item])
    else group.push(item)
  }
  return groups
}
