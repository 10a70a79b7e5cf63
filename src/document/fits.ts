import { chosenBranch, discriminatorOf, resolveSchema, type JsonSchema } from './schema.js'

type Plain = Readonly<Record<string, unknown>>

const isMap = (value: unknown): value is Plain => typeof value === 'object' && value !== null && !Array.isArray(value)

const IS_TYPE: Readonly<Record<string, (value: unknown) => boolean>> = {
  object: isMap,
  array: Array.isArray,
  string: (value) => typeof value === 'string',
  number: Number.isFinite,
  integer: Number.isInteger,
  boolean: (value) => typeof value === 'boolean',
  null: (value) => value === null,
}

const patterns = new Map<string, RegExp>()

const matches = (text: string, pattern: string): boolean => {
  const known = patterns.get(pattern) ?? new RegExp(pattern, 'u')
  patterns.set(pattern, known)
  return known.test(text)
}

/** Characters as JSON Schema counts them: code points. */
const lengthOf = (text: string): number => {
  let length = 0
  for (const _ of text) length++
  return length
}

type Rule = (value: unknown, limit: never, schema: JsonSchema, root: JsonSchema) => boolean

const ofText =
  <T>(rule: (text: string, limit: T) => boolean) =>
  (value: unknown, limit: T): boolean =>
    typeof value !== 'string' || rule(value, limit)
const ofNumber =
  (rule: (number: number, limit: number) => boolean) =>
  (value: unknown, limit: number): boolean =>
    typeof value !== 'number' || rule(value, limit)
const ofList =
  <T>(rule: (list: readonly unknown[], limit: T, root: JsonSchema) => boolean) =>
  (value: unknown, limit: T, _: JsonSchema, root: JsonSchema): boolean =>
    !Array.isArray(value) || rule(value, limit, root)
const ofMap =
  <T>(rule: (map: Plain, limit: T, schema: JsonSchema, root: JsonSchema) => boolean) =>
  (value: unknown, limit: T, schema: JsonSchema, root: JsonSchema): boolean =>
    !isMap(value) || rule(value, limit, schema, root)

const says = (): boolean => true

/** The check of each keyword. */
const RULES: Readonly<Record<string, Rule>> = {
  $schema: says,
  title: says,
  description: says,
  default: says,
  examples: says,
  definitions: says,
  $defs: says,
  discriminator: says,
  $ref: (value, _, schema, root) => fits(value, resolveSchema(schema, root), root),
  type: (value, types: string | readonly string[]) => [types].flat().some((type) => IS_TYPE[type]?.(value) === true),
  const: (value, constant: unknown) => value === constant,
  enum: (value, constants: readonly unknown[]) => constants.includes(value),
  minimum: ofNumber((number, limit) => number >= limit),
  maximum: ofNumber((number, limit) => number <= limit),
  exclusiveMinimum: ofNumber((number, limit) => number > limit),
  exclusiveMaximum: ofNumber((number, limit) => number < limit),
  minLength: ofText((text, limit: number) => lengthOf(text) >= limit),
  maxLength: ofText((text, limit: number) => lengthOf(text) <= limit),
  pattern: ofText(matches),
  minItems: ofList((list, limit: number) => list.length >= limit),
  maxItems: ofList((list, limit: number) => list.length <= limit),
  items: ofList((list, schema: JsonSchema, root) => !Array.isArray(schema) && list.every((v) => fits(v, schema, root))),
  minProperties: ofMap((map, limit: number) => Object.keys(map).length >= limit),
  maxProperties: ofMap((map, limit: number) => Object.keys(map).length <= limit),
  required: ofMap((map, keys: readonly string[]) => keys.every((key) => Object.hasOwn(map, key))),
  properties: ofMap((map, schemas: Readonly<Record<string, JsonSchema>>, _, root) =>
    Object.entries(schemas).every(([key, schema]) => !Object.hasOwn(map, key) || fits(map[key], schema, root)),
  ),
  additionalProperties: ofMap((map, allowed: JsonSchema | boolean, { properties = {} }, root) =>
    Object.keys(map).every(
      (key) =>
        Object.hasOwn(properties, key) || (typeof allowed === 'boolean' ? allowed : fits(map[key], allowed, root)),
    ),
  ),
  dependencies: ofMap((map, partners: Readonly<Record<string, readonly string[]>>) =>
    Object.entries(partners).every(
      ([key, needed]) => !Object.hasOwn(map, key) || needed.every((other) => Object.hasOwn(map, other)),
    ),
  ),
  propertyNames: ofMap((map, schema: JsonSchema, _, root) => Object.keys(map).every((key) => fits(key, schema, root))),
  anyOf: (value, branches: readonly JsonSchema[], _, root) => branches.some((branch) => fits(value, branch, root)),
  oneOf: (value, branches: readonly JsonSchema[], schema, root) => {
    if (schema.discriminator === undefined) return branches.filter((branch) => fits(value, branch, root)).length === 1
    if (!isMap(value)) return true
    const branch = chosenBranch(schema, value[discriminatorOf(schema)], root)
    return branch !== undefined && fits(value, branch, root)
  },
}

/**
 * True only for a plain value that a schema accepts. False if it does not, or if the schema has a keyword that is not
 * supported here; the compiled validator then finds out what is wrong, if anything. Most documents are valid, and
 * loading and compiling the validator would take most of the time of checking them.
 */
export const fits = (value: unknown, schema: JsonSchema, root: JsonSchema): boolean =>
  Object.entries(schema).every(([keyword, limit]) => RULES[keyword]?.(value, limit as never, schema, root) === true)
