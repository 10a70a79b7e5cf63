import { NOUNS, numberWithin } from '../base/catalogue/values.js'
import type { Value } from './value.js'

/**
 * A JSON Schema (draft 07). `title` is how messages name what it accepts, as a noun phrase: "a path", "a share between
 * 0 and 1".
 */
export interface JsonSchema {
  readonly $ref?: string
  readonly title?: string
  readonly description?: string
  readonly type?: string | readonly string[]
  readonly const?: unknown
  readonly enum?: readonly unknown[]
  readonly properties?: Readonly<Record<string, JsonSchema>>
  readonly required?: readonly string[]
  readonly anyOf?: readonly JsonSchema[]
  readonly oneOf?: readonly JsonSchema[]
  /** The key by which a map chooses its branch of `oneOf`; the schema must require it. */
  readonly discriminator?: { readonly propertyName: string }
  readonly minimum?: number
  readonly maximum?: number
  readonly exclusiveMinimum?: number
  readonly exclusiveMaximum?: number
  readonly definitions?: Readonly<Record<string, JsonSchema>>
  readonly $defs?: Readonly<Record<string, JsonSchema>>
  readonly [keyword: string]: unknown
}

/** Follows `$ref`s into the root's definitions; an unknown one gives a schema that accepts anything. */
export const resolveSchema = (schema: JsonSchema, root: JsonSchema): JsonSchema => {
  let at = schema
  for (let hops = 0; at.$ref !== undefined && hops < 16; hops++) {
    const [, place, name] = /^#\/(definitions|\$defs)\/(.+)$/.exec(at.$ref) ?? []
    at = (place === 'definitions' ? root.definitions : root.$defs)?.[decodePointer(name ?? '')] ?? {}
  }
  return at
}

/** One part of a JSON pointer as the key it stands for. */
export const decodePointer = (part: string): string => part.replaceAll('~1', '/').replaceAll('~0', '~')

/** The key that chooses among the branches of a schema; only for schemas that have a discriminator. */
export const discriminatorOf = (schema: JsonSchema): string => schema.discriminator!.propertyName

/** The branch of a discriminator that a map names; undefined where it names none. */
export const chosenBranch = (schema: JsonSchema, choice: unknown, root: JsonSchema): JsonSchema | undefined => {
  const key = discriminatorOf(schema)
  return schema.oneOf?.find((branch) => {
    const { const: constant, enum: constants = [constant] } = resolveSchema(
      resolveSchema(branch, root).properties?.[key] ?? {},
      root,
    )
    return constants.includes(choice)
  })
}

const TYPE: Readonly<Record<string, Value['type']>> = {
  object: 'map',
  array: 'list',
  string: 'string',
  number: 'number',
  integer: 'number',
  boolean: 'boolean',
  null: 'null',
}

const typeOfConstant = (value: unknown): Value['type'] =>
  value === null ? 'null' : Array.isArray(value) ? 'list' : (TYPE[typeof value] ?? 'map')

const list = <T>(value: T | readonly T[]): readonly T[] =>
  Array.isArray(value) ? (value as readonly T[]) : [value as T]

/** The types of value that a schema can accept. */
export const acceptedTypes = (schema: JsonSchema, root: JsonSchema): ReadonlySet<Value['type']> => {
  const at = resolveSchema(schema, root)
  const constants = at.enum ?? ('const' in at ? [at.const] : undefined)
  if (constants !== undefined) return new Set(constants.map(typeOfConstant))
  if (at.type !== undefined) return new Set(list<string>(at.type).map((type) => TYPE[type]!))
  const branches = at.anyOf ?? at.oneOf
  if (branches !== undefined) return new Set(branches.flatMap((branch) => [...acceptedTypes(branch, root)]))
  return new Set(Object.values(TYPE))
}

/** The texts that a schema lists as constants, its branches' among them. */
export const listedTexts = (schema: JsonSchema, root: JsonSchema): readonly string[] => {
  const at = resolveSchema(schema, root)
  const constants = [...(at.enum ?? []), at.const].filter((value) => typeof value === 'string')
  return [...constants, ...(at.anyOf ?? at.oneOf ?? []).flatMap((branch) => listedTexts(branch, root))]
}

/** What a schema accepts as a noun phrase: its `title`, or words made from its type, bounds, constants and branches. */
export const describeSchema = (schema: JsonSchema, root: JsonSchema): string => {
  const at = resolveSchema(schema, root)
  const title = schema.title ?? at.title
  if (title !== undefined) return title
  const constants = at.enum ?? ('const' in at ? [at.const] : undefined)
  if (constants !== undefined) return constants.map((value) => `\`${String(value)}\``).join(' or ')
  if (at.type !== undefined) {
    const nouns = list<string>(at.type).map((type) =>
      numberWithin(NOUNS[type] ?? type, TYPE[type] === 'number' ? at : {}),
    )
    return nouns.join(' or ')
  }
  const branches = at.anyOf ?? at.oneOf
  return branches === undefined
    ? 'a value'
    : [...new Set(branches.map((branch) => describeSchema(branch, root)))].join(' or ')
}
