import { createRequire } from 'node:module'
import type * as AjvModule from 'ajv'
import type { Ajv, AnySchemaObject, ErrorObject, FuncKeywordDefinition, ValidateFunction } from 'ajv'
import { UNEXPECTED } from '../base/catalogue/values.js'
import * as say from '../base/catalogue/document.js'
import type { Diagnostic } from '../base/diagnostic.js'
import { didYouMean } from '../base/catalogue/did-you-mean.js'
import { failed, ok, type Result } from '../base/result.js'
import { describeValue, explainError, meantNumber, nameOf, type ValidationContext } from './explain.js'
import { fits } from './fits.js'
import { findMisplaced } from './misplaced.js'
import { orderProblems } from './report.js'
import {
  acceptedTypes,
  chosenBranch,
  decodePointer,
  describeSchema,
  discriminatorOf,
  listedTexts,
  resolveSchema,
  type JsonSchema,
} from './schema.js'
import { find, rangeOf, toPlain, type Path, type Value } from './value.js'

const OPTIONS = {
  allErrors: true,
  verbose: true,
  discriminator: true,
  strict: true,
  // The key that chooses a branch is required beside the branches that define it.
  strictRequired: false,
  allowUnionTypes: true,
  // Halves the time to compile, which is most of the time spent on a document of this size.
  code: { optimize: false },
  // Schemas are the program's own: checking them against the meta-schema is for tests, and would cost every start.
  meta: false,
  validateSchema: false,
} as const

// One per root schema, because a branch may be shared by roots with other definitions.
interface Compiler {
  readonly ajv: Ajv
  readonly validators: WeakMap<JsonSchema, ValidateFunction>
}

const compilers = new WeakMap<JsonSchema, Compiler>()

// Branches are compiled by themselves at their first use: a recipe uses few of many operators, and compiling all would
// cost every start.
const discriminator = (root: JsonSchema): FuncKeywordDefinition => ({
  keyword: 'discriminator',
  type: 'object',
  schemaType: 'object',
  errors: false,
  validate: (
    { propertyName }: { propertyName: string },
    data: Readonly<Record<string, unknown>>,
    parent?: AnySchemaObject,
  ): boolean => {
    const branch = chosenBranch(parent as JsonSchema, data[propertyName], root)
    return branch !== undefined && validatorOf(branch, root)(data)
  },
})

const openCompiler = (root: JsonSchema): Compiler => {
  // Required late: only a document with mistakes needs it.
  const { Ajv } = createRequire(import.meta.url)('ajv') as typeof AjvModule
  const ajv = new Ajv(OPTIONS)
  // With the option on, `oneOf` leaves its branches to this keyword.
  ajv.removeKeyword('discriminator').addKeyword(discriminator(root))
  return { ajv, validators: new WeakMap() }
}

const validatorOf = (schema: JsonSchema, root: JsonSchema): ValidateFunction => {
  const compiler = compilers.get(root) ?? openCompiler(root)
  compilers.set(root, compiler)
  const known = compiler.validators.get(schema)
  if (known !== undefined) return known
  const { definitions = {}, $defs = {} } = root
  const { $schema: _, ...whole } = schema === root ? root : { ...schema, definitions, $defs }
  const validator = compiler.ajv.compile(whole)
  compiler.validators.set(schema, validator)
  return validator
}

const isUnion = ({ keyword }: ErrorObject): boolean => keyword === 'anyOf' || keyword === 'oneOf'

// A union's error comes right after those of its branches; rules beside the union belong to the same schema as the
// union.
const unionStart = (errors: readonly ErrorObject[], at: number): number => {
  const { instancePath, parentSchema } = errors[at]!
  const ofBranch = (error: ErrorObject): boolean =>
    (error.instancePath === instancePath || error.instancePath.startsWith(`${instancePath}/`)) &&
    error.parentSchema !== parentSchema
  let start = at
  while (start > 0 && ofBranch(errors[start - 1]!)) start--
  return start
}

const withoutBranches = (errors: readonly ErrorObject[]): ErrorObject[] => {
  const kept: ErrorObject[] = []
  for (let at = errors.length - 1; at >= 0; at--) {
    kept.push(errors[at]!)
    if (isUnion(errors[at]!)) at = unionStart(errors, at)
  }
  return kept.reverse()
}

const ABOUT_VALUE =
  /^(type|const|enum|pattern|format|multipleOf|(exclusive)?(Max|Min)imum|(max|min)(imum|Length|Items))$/

// Of the rules that one schema sets for one value, the first that is broken is enough: a text is not also out of range.
const oncePerValue = (errors: readonly ErrorObject[]): ErrorObject[] => {
  const told = new Map<unknown, Set<string>>()
  return errors.filter(({ keyword, parentSchema, instancePath, propertyName }) => {
    if (!ABOUT_VALUE.test(keyword)) return true
    const places = told.get(parentSchema) ?? new Set()
    told.set(parentSchema, places)
    const place = `${instancePath}\n${propertyName ?? ''}`
    return !places.has(place) && places.add(place)
  })
}

const hasKeys = (value: Value, keys: readonly string[]): boolean =>
  value.type === 'map' && keys.every((key) => value.entries.has(key))

// The one branch a value was meant for, by its type and then by its keys.
const meantBranch = (value: Value, branches: readonly JsonSchema[], root: JsonSchema): JsonSchema | undefined => {
  const byType = branches.filter((branch) => acceptedTypes(branch, root).has(value.type))
  const byKeys = byType.filter((branch) => hasKeys(value, resolveSchema(branch, root).required ?? []))
  const meant = byType.length > 1 ? byKeys : byType
  // Where a text does not fit, the other forms are as likely meant, so all are listed.
  return meant.length === 1 && value.type !== 'string' ? meant[0] : undefined
}

const explainUnion = (error: ErrorObject, path: Path, scene: ValidationContext): readonly Diagnostic[] => {
  const { document, root } = scene
  const branches = error.schema as readonly JsonSchema[]
  const value = find(document, path) ?? document
  const range = rangeOf(document, path)
  const forms = branches.map((branch) => ({
    expected: describeSchema(branch, root),
    description: branch.description ?? resolveSchema(branch, root).description,
  }))
  if (Array.isArray(error.params['passingSchemas']))
    return [
      say.ambiguousForm(
        range,
        nameOf(path),
        forms.map((form) => form.expected),
      ),
    ]
  const branch = meantBranch(value, branches, root)
  if (branch !== undefined) return check(document, path, branch, root)
  const meant = branches.some((each) => acceptedTypes(each, root).has('number')) ? meantNumber(value) : undefined
  if (meant !== undefined) return [say.numberAsText(range, nameOf(path), describeValue(value), meant)]
  const texts = branches.flatMap((each) => listedTexts(each, root))
  const similar = value.type === 'string' ? didYouMean(value.value, texts) : undefined
  return [say.noSuchForm(range, nameOf(path), describeValue(value), forms, similar)]
}

// The schema requires the key, so its absence is reported as a missing key.
const explainChoice = (
  error: ErrorObject,
  path: Path,
  { document, root }: ValidationContext,
): readonly Diagnostic[] => {
  const schema = error.parentSchema as JsonSchema
  const key = discriminatorOf(schema)
  const found = find(document, [...path, key])
  if (found === undefined) return []
  if (found.type !== 'string')
    return [say.wrongType(found.range, nameOf([key]), 'a string', describeValue(found), undefined)]
  const branch = chosenBranch(schema, found.value, root)
  if (branch !== undefined) return check(document, path, branch, root)
  const choices = (schema.oneOf ?? []).flatMap((each) =>
    listedTexts(resolveSchema(each, root).properties?.[key] ?? {}, root),
  )
  return [say.unknownChoice(found.range, key, found.value, choices)]
}

const pathOf = (document: Value, base: Path, pointer: string): Path => {
  const path = [...base]
  for (const part of pointer.split('/').slice(1)) {
    const key = decodePointer(part)
    path.push(find(document, path)?.type === 'list' ? Number(key) : key)
  }
  return path
}

const check = (document: Value, base: Path, schema: JsonSchema, root: JsonSchema): readonly Diagnostic[] => {
  const plain = toPlain(find(document, base) ?? document)
  if (fits(plain, schema, root)) return []
  const validator = validatorOf(schema, root)
  if (validator(plain)) return []
  const errors = oncePerValue(withoutBranches(validator.errors ?? []))
  const scene: ValidationContext = { document, root, errors }
  return errors.flatMap((error) => {
    const path = pathOf(document, base, error.instancePath)
    if (error.keyword === 'discriminator') return explainChoice(error, path, scene)
    return isUnion(error) ? explainUnion(error, path, scene) : (explainError(error, path, scene) ?? [])
  })
}

/**
 * Checks a document against a JSON Schema (draft 07, with `discriminator`) and reports every problem at its place, in
 * order of place;
 * a value that fits no branch of a union is one problem, and so is a key at the wrong depth, in place of all others.
 * Validators are compiled once per schema object, when a document first has a mistake, and those of a discriminator's
 * branches when one first needs them. Throws when a schema it needs is wrong.
 */
export const validate = (value: Value, schema: JsonSchema): Result<Value> => {
  const problems = check(value, [], schema, schema)
  if (problems.length === 0) return ok(value)
  const misplaced = findMisplaced(value, schema, problems)
  return failed(...orderProblems(misplaced.length > 0 ? misplaced : problems))
}

/**
 * The first thing about a plain value that a schema forbids, in words for people who know JSON; undefined when it fits.
 * For what programs write.
 */
export const firstViolation = (value: unknown, schema: JsonSchema): string | undefined => {
  if (fits(value, schema, schema)) return undefined
  const validator = validatorOf(schema, schema)
  if (validator(value)) return undefined
  const { instancePath = '', message = UNEXPECTED } = validator.errors?.[0] ?? {}
  return `${instancePath === '' ? 'it' : instancePath} ${message}`
}
