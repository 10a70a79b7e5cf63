/** A name that other programs have for an operator, which programs these are, and what to set for the same. */
export interface OtherName {
  readonly name: string
  readonly id: string
  /** None for a name that belongs to no program. */
  readonly from: readonly string[]
  readonly settings?: string
}

const list = (words: readonly string[]): string =>
  words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} and ${words.at(-1)}`

/** What smelt calls what other programs have: the first in full, and where to look for the others. */
export const inOurWords = (
  [{ name, id, from, settings }, ...others]: readonly [OtherName, ...OtherName[]],
  write: (id: string) => string,
): string => {
  const of = from.length === 0 ? '' : ` of ${list(from)}`
  const how = settings === undefined ? '' : `: ${settings}`
  const more = list([...new Set(others.flatMap((other) => other.from))])
  const rest = more === '' ? '' : `; \`smelt ops ${name}\` shows how for ${more}`
  return `${write(id)}, which is what smelt calls \`${name}\`${of}${how}${rest}`
}
