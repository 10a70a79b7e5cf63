/** Types of JSON as nouns. */
export const NOUNS: Readonly<Record<string, string>> = {
  object: 'a map',
  array: 'a list',
  string: 'a string',
  number: 'a number',
  integer: 'a whole number',
  boolean: 'true or false',
  null: 'nothing',
}

/** What is wrong with a value, if the schema's validator does not say. */
export const UNEXPECTED = 'is not valid here'

/** The bounds of a number, all optional. */
export interface Bounds {
  readonly minimum?: number
  readonly maximum?: number
  readonly exclusiveMinimum?: number
  readonly exclusiveMaximum?: number
}

/** A number and its bounds: `a whole number of at least 1`. */
export const numberWithin = (
  noun: string,
  { minimum, maximum, exclusiveMinimum, exclusiveMaximum }: Bounds,
): string => {
  if (minimum !== undefined && maximum !== undefined) return `${noun} between ${minimum} and ${maximum}`
  const low =
    exclusiveMinimum !== undefined
      ? `above ${exclusiveMinimum}`
      : minimum !== undefined
        ? `of at least ${minimum}`
        : undefined
  const high =
    exclusiveMaximum !== undefined
      ? `below ${exclusiveMaximum}`
      : maximum !== undefined
        ? `of at most ${maximum}`
        : undefined
  const bounds = [low, high].filter((bound) => bound !== undefined).join(' and ')
  return bounds === '' ? noun : `${noun} ${bounds}`
}
