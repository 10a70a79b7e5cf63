import type { ErrorObject } from 'ajv'
import * as say from '../base/catalogue/document.js'
import type { Diagnostic, Range } from '../base/diagnostic.js'
import { nearest } from '../base/suggest.js'
import { acceptedTypes, describeSchema, type JsonSchema } from './schema.js'
import { find, keyRangeOf, rangeOf, type Path, type Value } from './value.js'

/** What explaining a validator's error needs: the whole document, and the root of the schema. */
export interface ValidationContext {
  readonly document: Value
  readonly root: JsonSchema
  /** All errors of the same validation, because one slip can break two rules. */
  readonly errors: readonly ErrorObject[]
}

/** A validator's error at its place. */
interface Finding {
  readonly error: ErrorObject
  readonly schema: JsonSchema
  readonly path: Path
  readonly value: Value
  readonly range: Range
  readonly scene: ValidationContext
}

/** What a message calls the value at a path: its key, or its number in a list; undefined for the whole document. */
export const nameOf = (path: Path): string | undefined => {
  const last = path.at(-1)
  if (last === undefined) return undefined
  if (typeof last === 'string') return `\`${last.length > 60 ? `${last.slice(0, 60)}…` : last}\``
  const owner = nameOf(path.slice(0, -1))
  return `item ${last + 1}${owner === undefined ? '' : ` of ${owner}`}`
}

/** What is there, in words. */
export const describeValue = (value: Value): string => {
  if (value.type === 'map') return value.entries.size === 0 ? 'an empty map' : 'a map'
  if (value.type === 'list') return value.items.length === 0 ? 'an empty list' : 'a list'
  if (value.type === 'null') return 'nothing'
  if (value.type === 'string')
    return `the string ${JSON.stringify(value.value.length > 40 ? `${value.value.slice(0, 40)}…` : value.value)}`
  return String(value.value)
}

// A whole map is a poor thing to underline for what it lacks; its key, or its first line, says where to write.
const ownerRange = ({ scene, path, value, range }: Finding): Range => {
  if (typeof path.at(-1) === 'string') return keyRangeOf(scene.document, path)
  const first = value.type === 'map' ? value.entries.values().next().value : undefined
  return first?.key ?? range
}

const inside = (finding: Finding, key: string): Range => keyRangeOf(finding.scene.document, [...finding.path, key])

const expected = ({ schema, scene }: Finding): string => describeSchema(schema, scene.root)

const explainUnknownKey = (finding: Finding, key: string): Diagnostic => {
  const allowed = Object.keys(finding.schema.properties ?? {}).filter(
    (name) => find(finding.value, [name]) === undefined,
  )
  return say.unknownKey(inside(finding, key), nameOf(finding.path), key, allowed)
}

const explainMissing = (finding: Finding, key: string): Diagnostic | undefined => {
  // A misspelt key is both unknown and missing; the suggestion beside the unknown one says it all.
  const misspelt = finding.scene.errors.some(
    ({ keyword, instancePath, params }) =>
      keyword === 'additionalProperties' &&
      instancePath === finding.error.instancePath &&
      nearest(params['additionalProperty'], [key]).length > 0,
  )
  if (misspelt) return undefined
  const property = finding.schema.properties?.[key]
  return say.missingKey(
    ownerRange(finding),
    nameOf(finding.path),
    key,
    property === undefined ? undefined : describeSchema(property, finding.scene.root),
  )
}

/** The number that a text was meant for, and what is in its way. */
export const meantNumber = (value: Value): say.MeantNumber | undefined =>
  value.type === 'string' ? numberIn(value.value.trim()) : undefined

/** The number that a text stands for as people write numbers: `0,5`, `50%`, `1/2`. */
export const numberIn = (text: string): say.MeantNumber | undefined => {
  const [, number, percent] = /^([-+]?\d*\.?\d+)\s*(%?)$/.exec(text) ?? []
  if (number !== undefined)
    return percent === '%'
      ? { number: hundredth(Number(number)), flaw: 'percent' }
      : { number: Number(number), flaw: 'quotes' }
  if (/^[-+]?\d+,\d+$/.test(text)) return { number: Number(text.replace(',', '.')), flaw: 'comma' }
  const [, above, below] = /^(\d+)\s*\/\s*(\d+)$/.exec(text) ?? []
  return below === undefined || Number(below) === 0
    ? undefined
    : { number: Number((Number(above) / Number(below)).toPrecision(6)), flaw: 'fraction' }
}

const hundredth = (number: number): number => Number((number / 100).toPrecision(12))

const explainType = (finding: Finding): Diagnostic => {
  const { value, range, schema, path } = finding
  const meant = acceptedTypes(schema, finding.scene.root).has('number') ? meantNumber(value) : undefined
  if (meant !== undefined) return say.numberAsText(range, nameOf(path), describeValue(value), meant)
  const wantsText = schema.type === 'string' && (value.type === 'number' || value.type === 'boolean')
  const quoted = wantsText ? range.source.text.slice(range.start, range.end) : undefined
  return say.wrongType(range, nameOf(path), expected(finding), describeValue(value), quoted)
}

const explainConstant = (finding: Finding): Diagnostic => {
  const { schema, value, range, path } = finding
  const allowed = (schema.enum ?? [schema.const]).map(String)
  return say.notOneOf(range, nameOf(path), describeValue(value), value.type === 'string' ? value.value : '', allowed)
}

/** What a number beyond its bounds is as a percentage, where that would fit. */
const asPercent = ({ value, schema }: Finding): number | undefined => {
  const share = value.type === 'number' && value.value >= 5 && value.value <= 100 ? hundredth(value.value) : undefined
  return share !== undefined && share >= (schema.minimum ?? 0) && share <= (schema.maximum ?? 0) ? share : undefined
}

const explainBound = (finding: Finding): Diagnostic =>
  say.outOfRange(
    finding.range,
    nameOf(finding.path),
    expected(finding),
    describeValue(finding.value),
    asPercent(finding),
  )

const explainCount =
  (noun: string) =>
  (finding: Finding): Diagnostic => {
    const { error, value, range, path } = finding
    const limit = Number(error.params['limit'])
    const bound = error.keyword.startsWith('min') ? 'at least' : 'at most'
    const count =
      value.type === 'list'
        ? value.items.length
        : value.type === 'map'
          ? value.entries.size
          : [...String(value.value)].length
    const fixed = finding.schema['minItems'] === finding.schema['maxItems'] && value.type === 'list'
    return say.wrongLength(
      range,
      nameOf(path),
      `${fixed ? 'exactly' : bound} ${limit} ${noun}${limit === 1 ? '' : 's'}`,
      count,
    )
  }

const explainRule = ({ error, range, path }: Finding): Diagnostic =>
  say.ruleBroken(range, nameOf(path), error.message ?? error.keyword)

const EXPLAIN: Readonly<Record<string, (finding: Finding) => Diagnostic | undefined>> = {
  additionalProperties: (f) => explainUnknownKey(f, f.error.params['additionalProperty']),
  const: explainConstant,
  dependencies: (f) =>
    say.missingPartner(
      inside(f, f.error.params['property']),
      f.error.params['property'],
      f.error.params['missingProperty'],
    ),
  enum: explainConstant,
  exclusiveMaximum: explainBound,
  exclusiveMinimum: explainBound,
  // The branch that `if` chose has told what is wrong.
  if: () => undefined,
  maxItems: explainCount('item'),
  maxLength: explainCount('character'),
  maxProperties: explainCount('key'),
  maximum: explainBound,
  minItems: explainCount('item'),
  minLength: explainCount('character'),
  minProperties: explainCount('key'),
  minimum: explainBound,
  pattern: (f) => say.wrongPattern(f.range, nameOf(f.path), expected(f), describeValue(f.value)),
  // The rule inside it that a key breaks is reported at that key.
  propertyNames: () => undefined,
  required: (f) => explainMissing(f, f.error.params['missingProperty']),
  type: explainType,
}

/** One diagnostic for one error of the validator, at its place; undefined where another error tells the same. */
export const explainError = (error: ErrorObject, path: Path, scene: ValidationContext): Diagnostic | undefined => {
  const schema = error.parentSchema as JsonSchema
  const value = find(scene.document, path) ?? scene.document
  const finding: Finding = { error, schema, path, value, range: rangeOf(scene.document, path), scene }
  if (error.propertyName !== undefined)
    return say.wrongName(inside(finding, error.propertyName), error.propertyName, expected(finding))
  return (EXPLAIN[error.keyword] ?? explainRule)(finding)
}
