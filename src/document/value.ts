import type { Range } from '../base/diagnostic.js'

/** A key of a map with the place it is written at. */
export interface Entry {
  readonly key: Range
  readonly value: Value
}

/** A map of a document, in the order written; any text can be a key, `__proto__` too. */
export interface MapValue {
  readonly type: 'map'
  readonly entries: ReadonlyMap<string, Entry>
  readonly range: Range
}

/** A list of a document. */
export interface ListValue {
  readonly type: 'list'
  readonly items: readonly Value[]
  readonly range: Range
}

/**
 * A scalar of a document. Numbers are finite, and whole ones exact; a key without a value holds null and has the key's
 * range.
 */
export type ScalarValue =
  | { readonly type: 'string'; readonly value: string; readonly range: Range }
  | { readonly type: 'number'; readonly value: number; readonly range: Range }
  | { readonly type: 'boolean'; readonly value: boolean; readonly range: Range }
  | { readonly type: 'null'; readonly value: null; readonly range: Range }

/**
 * A value of a document and where it is written. What an alias stands for is shared; only its outermost range is the
 * alias's.
 */
export type Value = MapValue | ListValue | ScalarValue

/** True for the value of a key without a value. */
export const isOmitted = (value: Value, key: Range): boolean => value.type === 'null' && value.range.start === key.start

/** The way from a value to one inside it: keys of maps, indexes of lists. */
export type Path = readonly (string | number)[]

const step = (value: Value | undefined, part: string | number): Value | undefined => {
  if (value?.type === 'map') return value.entries.get(String(part))?.value
  return value?.type === 'list' ? value.items[Number(part)] : undefined
}

/** The value at a path, or undefined where there is none. */
export const find = (value: Value, path: Path): Value | undefined => path.reduce<Value | undefined>(step, value)

/** The range of the value at a path, or of the innermost value around it that exists. */
export const rangeOf = (value: Value, path: Path): Range => {
  let at = value
  for (const part of path) {
    const next = step(at, part)
    if (next === undefined) break
    at = next
  }
  return at.range
}

/** The range of the last key of a path; where that is no key of a map, what {@link rangeOf} gives. */
export const keyRangeOf = (value: Value, path: Path): Range => {
  const owner = find(value, path.slice(0, -1))
  const entry = owner?.type === 'map' && path.length > 0 ? owner.entries.get(String(path.at(-1))) : undefined
  return entry?.key ?? rangeOf(value, path)
}

/** The plain value, without positions: null-prototype objects, arrays and scalars. */
export const toPlain = (value: Value): unknown => {
  if (value.type === 'list') return value.items.map(toPlain)
  if (value.type !== 'map') return value.value
  const plain = Object.create(null) as Record<string, unknown>
  for (const [key, entry] of value.entries) plain[key] = toPlain(entry.value)
  return plain
}
