import * as say from '../base/catalogue/indentation.js'
import type { Diagnostic, Range } from '../base/diagnostic.js'
import { lineAt, positionOf } from '../base/position.js'
import { nearest } from '../base/suggest.js'
import { acceptedTypes, chosenBranch, resolveSchema, type JsonSchema } from './schema.js'
import { isOmitted, type Entry, type MapValue, type Value } from './value.js'

/** A map and what its schema allows. */
interface Owner {
  readonly map: MapValue
  readonly schema: JsonSchema | undefined
  /** The key whose value it is; undefined for the whole document. */
  readonly name: string | undefined
}

type Item = readonly [key: string, entry: Entry]

/** The schema of a map: of several forms, the one for maps; of several kinds, the one that the map names. */
const mapSchema = (
  schema: JsonSchema | undefined,
  value: Value | undefined,
  root: JsonSchema,
): JsonSchema | undefined => {
  if (schema === undefined) return undefined
  const at = resolveSchema(schema, root)
  if (at.discriminator !== undefined) {
    const choice = value?.type === 'map' ? value.entries.get(at.discriminator.propertyName)?.value : undefined
    return (
      (choice === undefined
        ? undefined
        : chosenBranch(at, choice.type === 'string' ? choice.value : undefined, root)) ?? at
    )
  }
  const form = (at.anyOf ?? at.oneOf)?.find((branch) => acceptedTypes(branch, root).has('map'))
  return form === undefined ? (acceptedTypes(at, root).has('map') ? at : undefined) : mapSchema(form, value, root)
}

const knows = (schema: JsonSchema | undefined, key: string): boolean => Object.hasOwn(schema?.properties ?? {}, key)

const childSchema = (schema: JsonSchema | undefined, key: string): JsonSchema | undefined => {
  const own = schema?.properties?.[key] ?? schema?.['additionalProperties']
  return typeof own === 'object' && own !== null ? (own as JsonSchema) : undefined
}

const isMisspelt = (name: string, { map, schema }: Owner): boolean =>
  nearest(
    name,
    Object.keys(schema?.properties ?? {}).filter((key) => !map.entries.has(key) && key[0] === name[0]),
  ).length > 0

const NAME = /^[A-Za-z_][\w-]*$/

/** The texts of a document that may be names of something in it; `$name` is a param. */
const textsIn = (value: Value, texts: Set<string> = new Set()): Set<string> => {
  if (value.type === 'map') for (const entry of value.entries.values()) textsIn(entry.value, texts)
  else if (value.type === 'list') for (const item of value.items) textsIn(item, texts)
  else if (value.type === 'string') texts.add(value.value.replace(/^\$/, ''))
  return texts
}

/** True if one of some sorted numbers is between two others. */
const anyBetween = (sorted: readonly number[], from: number, to: number): boolean => {
  let [low, high] = [0, sorted.length]
  while (low < high) {
    const middle = (low + high) >> 1
    if (sorted[middle]! < from) low = middle + 1
    else high = middle
  }
  return low < sorted.length && sorted[low]! < to
}

const columnOf = (range: Range): number => positionOf(range.source, range.start).column - 1
const lineOf = (range: Range): number => lineAt(range.source, range.start).number
/** False in flow maps, where indentation means nothing. */
const startsLine = ({ key }: Entry): boolean =>
  /^[ -]*$/.test(key.source.text.slice(lineAt(key.source, key.start).start, key.start))

/**
 * Keys at the wrong indentation, which YAML reads as part of something else: reported once, in place of all the errors
 * they cause. `problems` are the places of the schema's errors.
 */
export const findMisplaced = (
  root: Value,
  schema: JsonSchema,
  problems: readonly Diagnostic[],
): readonly Diagnostic[] => {
  const starts = problems.flatMap(({ at }) => (at?.type === 'text' ? [at.range.start] : [])).sort((x, y) => x - y)
  const isWrong = ({ key, value }: Entry): boolean => anyBetween(starts, key.start, Math.max(key.end, value.range.end))
  const found: Diagnostic[] = []
  let texts: Set<string> | undefined
  const isMentioned = (name: string): boolean => (texts ??= textsIn(root)).has(name)

  /** True if `key`, which is not allowed where it is, would be allowed below the entry before it. */
  const belongsBelow = ([name, { key, value }]: Item, next: string, owner: Owner): JsonSchema | undefined => {
    const below = mapSchema(childSchema(owner.schema, name), value, schema)
    if (below === undefined) return undefined
    if (isOmitted(value, key)) return below
    if (value.type !== 'map' || value.entries.has(next)) return undefined
    const named = childSchema(below, next)
    const fits =
      !knows(below, next) &&
      named !== undefined &&
      acceptedTypes(named, schema).has(owner.map.entries.get(next)!.value.type)
    // Maps of any names take this one where something refers to it, or where it is no name for anything else.
    return knows(below, next) || (fits && (!NAME.test(next) || isMentioned(next))) ? below : undefined
  }

  const visit = (owner: Owner, above: readonly Owner[]): void => {
    const items = [...owner.map.entries]
    for (let i = 0; i < items.length; i++) {
      const [name, entry] = items[i]!
      if (!isWrong(entry)) continue
      // A misspelt key stands where it should.
      const stray = !knows(owner.schema, name) && startsLine(entry) && !isMisspelt(name, owner)
      const before = items[i - 1]
      if (stray && before !== undefined && belongsBelow(before, name, owner) !== undefined) {
        let last = i
        while (
          last + 1 < items.length &&
          isWrong(items[last + 1]![1]) &&
          !knows(owner.schema, items[last + 1]![0]) &&
          belongsBelow(before, items[last + 1]![0], owner) !== undefined
        )
          last++
        const inside = before[1].value.type === 'map' ? [...before[1].value.entries.values()][0] : undefined
        const by = (inside === undefined ? columnOf(before[1].key) + 2 : columnOf(inside.key)) - columnOf(entry.key)
        found.push(
          say.indentMore(entry.key, name, before[0], [lineOf(entry.key), lastLine(items[last]![1])], Math.max(1, by)),
        )
        i = last
        continue
      }
      const home =
        stray && owner.name !== undefined
          ? above.find((a) => knows(a.schema, name) && !a.map.entries.has(name))
          : undefined
      if (home !== undefined) {
        const [like, first] = [...home.map.entries][0]!
        const by = columnOf(entry.key) - columnOf(first.key)
        if (by > 0) {
          found.push(
            say.indentLess(
              entry.key,
              name,
              owner.name!,
              { name: like, line: lineOf(first.key), indent: columnOf(first.key) },
              [lineOf(entry.key), lastLine(entry)],
              by,
            ),
          )
          // What stands below it seems to stand beside it.
          if (isOmitted(entry.value, entry.key)) while (i + 1 < items.length && isWrong(items[i + 1]![1])) i++
          continue
        }
      }
      descend(entry.value, childSchema(owner.schema, name), name, [owner, ...above])
    }
  }

  const descend = (value: Value, own: JsonSchema | undefined, name: string, above: readonly Owner[]): void => {
    if (value.type === 'map') visit({ map: value, schema: mapSchema(own, value, schema), name }, above)
  }

  if (root.type === 'map') visit({ map: root, schema: mapSchema(schema, root, schema), name: undefined }, [])
  return found
}

const lastLine = ({ key, value }: Entry): number => lineAt(key.source, Math.max(key.start, value.range.end - 1)).number
