import { greatest } from '../base/lists.js'
/** Characters of JSON that the folded history of all parents may have. */
export const HISTORY_LIMIT = 1_000_000

/** A text longer than this is not even parsed. */
const PARSE_LIMIT = 4 * HISTORY_LIMIT
/** Deeper than any tool nests; what is deeper could exhaust a reader's stack. */
const MAX_DEPTH = 32

/** What the metadata of some models tells of the merges they come from, as JSON texts with sorted keys. */
export interface MergeHistory {
  /** Each parent's own `sd_merge_recipe`, parallel to the parents; undefined where it has none that can be used. */
  readonly recipes: readonly (string | undefined)[]
  /** Entries of the parents' `sd_merge_models` by key, the youngest first. */
  readonly models: ReadonlyMap<string, string>
  /** Texts and entries left out since they are not what tools write. */
  readonly malformed: number
  /** Texts and entries left out since the limit was reached. */
  readonly tooLarge: number
}

type JsonObject = Readonly<Record<string, unknown>>

/**
 * JSON without spaces, keys sorted by code unit. A key `__proto__` is left out: it would become the prototype in
 * careless readers.
 */
export const toSortedJson = (value: unknown): string => {
  if (Array.isArray(value)) return `[${value.map(toSortedJson).join()}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value ?? null)
  const entries = Object.entries(value).filter(([key, item]) => key !== '__proto__' && item !== undefined)
  return toJsonObject(entries.map(([key, item]) => [key, toSortedJson(item)]))
}

/** An object of values that are JSON already, keys sorted by code unit. */
export const toJsonObject = (entries: readonly (readonly [key: string, json: string])[]): string =>
  `{${[...entries]
    .sort(([x], [y]) => (x < y ? -1 : Number(x > y)))
    .map(([key, json]) => `${JSON.stringify(key)}:${json}`)
    .join()}}`

const isObject = (value: unknown): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const isShallow = (value: unknown, left = MAX_DEPTH): boolean =>
  typeof value !== 'object' ||
  value === null ||
  (left > 0 && Object.values(value).every((item) => isShallow(item, left - 1)))

/** Every text in a value, which is where recipes name the models they merged. */
const textsIn = (value: unknown): readonly string[] => {
  if (typeof value === 'string') return [value]
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(textsIn) : []
}

type Read = JsonObject | 'absent' | 'malformed' | 'too-large'

const readObject = (text: string | undefined): Read => {
  if (text === undefined || text === 'null') return 'absent'
  if (text.length > PARSE_LIMIT) return 'too-large'
  try {
    const value: unknown = JSON.parse(text)
    return isObject(value) && isShallow(value) ? value : 'malformed'
  } catch {
    return 'malformed'
  }
}

const isEntry = (value: unknown): boolean => isObject(value) && typeof value['name'] === 'string'

/**
 * The keys of a parent's models by generation, as their recipes name each other; what no recipe leads to counts as the
 * oldest.
 */
const generationsOf = (recipe: Read, models: ReadonlyMap<string, unknown>): readonly (readonly string[])[] => {
  const left = new Set(models.keys())
  const generations: string[][] = []
  let named = textsIn(typeof recipe === 'string' ? undefined : recipe)
  for (;;) {
    const found = [...new Set(named)].filter((key) => left.delete(key)).sort()
    if (found.length === 0) return left.size === 0 ? generations : [...generations, [...left].sort()]
    generations.push(found)
    named = found.flatMap((key) => textsIn(models.get(key)))
  }
}

/**
 * Folds the merge histories of parents into one. Their metadata is anybody's: what is not as tools write it is left
 * out, and so is
 * what exceeds `limit`, the oldest first. Never throws. The result depends on nothing but the texts.
 */
export const foldHistory = (parents: readonly ReadonlyMap<string, string>[], limit = HISTORY_LIMIT): MergeHistory => {
  let [malformed, tooLarge, used] = [0, 0, 0]
  const take = (text: string): boolean => {
    const fits = used + text.length <= limit
    if (fits) used += text.length
    else tooLarge++
    return fits
  }
  const read = (metadata: ReadonlyMap<string, string>, key: string): Read => {
    const found = readObject(metadata.get(key))
    if (found === 'malformed') malformed++
    if (found === 'too-large') tooLarge++
    return found
  }
  const known = parents.map((metadata) => {
    const recipe = read(metadata, 'sd_merge_recipe')
    const entries = read(metadata, 'sd_merge_models')
    const all = typeof entries === 'string' ? [] : Object.entries(entries)
    const models = new Map(all.filter(([key, entry]) => key !== '__proto__' && isEntry(entry)))
    malformed += all.length - models.size
    return { recipe, models, generations: generationsOf(recipe, models) }
  })
  const recipes = known.map(({ recipe }) => {
    const text = typeof recipe === 'string' ? undefined : toSortedJson(recipe)
    return text !== undefined && take(text) ? text : undefined
  })
  const models = new Map<string, string>()
  const met = new Set<string>()
  const oldest = greatest(
    known.map(({ generations }) => generations.length),
    0,
  )
  for (let age = 0; age < oldest; age++) {
    for (const parent of known) {
      for (const key of parent.generations[age] ?? []) {
        if (met.has(key)) continue
        met.add(key)
        const text = toSortedJson(parent.models.get(key))
        if (take(JSON.stringify(key) + text)) models.set(key, text)
      }
    }
  }
  return { recipes, models, malformed, tooLarge }
}
