import type { JsonSchema } from './schema.js'

/** Schemas whose text is shorter stand where they are: a reference would be as long. */
const SHORT = 160

type Plain = Readonly<Record<string, unknown>>

const isPlain = (x: unknown): x is Plain => typeof x === 'object' && x !== null && !Array.isArray(x)

/** Keys whose value is a schema, a list of schemas, or schemas by name. */
const ONE = new Set(['additionalProperties', 'items', 'then', 'if', 'not', 'propertyNames'])
const LIST = new Set(['anyOf', 'oneOf', 'allOf'])
const NAMED = new Set(['properties', 'patternProperties'])

/** Rebuilds a schema with what `change` makes of each schema right inside it. */
const mapInside = (schema: Plain, change: (inner: unknown) => unknown): Plain =>
  Object.fromEntries(
    Object.entries(schema).map(([key, value]) => {
      if (ONE.has(key)) return [key, change(value)]
      if (LIST.has(key) && Array.isArray(value)) return [key, value.map(change)]
      if (NAMED.has(key) && isPlain(value))
        return [key, Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, change(inner)]))]
      return [key, value]
    }),
  )

/**
 * The same schema, in which what it says several times stands under `definitions` once. For files that people and
 * editors read: descriptions repeat in hundreds of places.
 */
export const shareSchemas = (schema: JsonSchema): JsonSchema => {
  const counts = new Map<string, number>()
  const count = (inner: unknown): unknown => {
    if (!isPlain(inner)) return inner
    const text = JSON.stringify(inner)
    const before = counts.get(text) ?? 0
    counts.set(text, before + 1)
    // What is inside a repeated schema is repeated with it, and counts once.
    if (before === 0) mapInside(inner, count)
    return inner
  }
  mapInside(schema, count)
  const shared = new Map<string, { readonly name: string; readonly schema: Plain }>()
  const share = (inner: unknown): unknown => {
    if (!isPlain(inner)) return inner
    const text = JSON.stringify(inner)
    if (text.length < SHORT || (counts.get(text) ?? 0) < 2) return mapInside(inner, share)
    const known = shared.get(text) ?? { name: `shared-${shared.size + 1}`, schema: {} }
    if (!shared.has(text)) {
      shared.set(text, known)
      shared.set(text, { ...known, schema: mapInside(inner, share) })
    }
    return { $ref: `#/definitions/${known.name}` }
  }
  const { definitions = {}, ...rest } = mapInside(schema, share) as JsonSchema
  const added = Object.fromEntries([...shared.values()].map((one) => [one.name, one.schema as JsonSchema]))
  return { ...rest, definitions: { ...definitions, ...added } }
}
