import { badParam, paramExpects, type ParamExpectation } from '../base/catalogue/parts.js'
import type { Diagnostic, Place, Range } from '../base/diagnostic.js'
import { find, toPlain, type Value } from '../document/value.js'
import type { Scalar } from './recipe.js'

/** The kinds of value that a param can pass by name. */
export const NAMED_KINDS = ['model', 'mask', 'weights', 'adapter'] as const
export type NamedKind = (typeof NAMED_KINDS)[number]

/** The types that a declaration can state. */
export const PARAM_TYPES = ['number', 'text', 'boolean', 'choice', ...NAMED_KINDS] as const

/** A param as a recipe or a part declares it. */
export interface Declaration {
  readonly name: string
  readonly key: Range
  /** Where its default stands; its key, where it has none. */
  readonly at: Range
  readonly expected: ParamExpectation
  /** Undefined where whoever uses the part has to give a value; or the value is no scalar, which the schema tells of. */
  readonly default: Scalar | undefined
  readonly description: string | undefined
  /** Where its value is given, if not in the recipe. */
  readonly given?: Place
}

/** The params that a document declares, by name. */
export type Declarations = ReadonlyMap<string, Declaration>

const SHORT = { number: 'number', string: 'text', boolean: 'boolean' } as const

const numberAt = (value: Value, key: string): number | undefined => {
  const found = find(value, [key])
  return found?.type === 'number' ? found.value : undefined
}

const expectationOf = (value: Value): ParamExpectation => {
  const type = find(value, ['type'])
  const word = type?.type === 'string' ? type.value : ''
  const kind = NAMED_KINDS.find((known) => known === word)
  if (kind !== undefined) return { type: 'name', kind }
  if (word === 'number') return { type: 'number', min: numberAt(value, 'min'), max: numberAt(value, 'max') }
  if (word === 'boolean') return { type: 'boolean' }
  if (word !== 'choice') return { type: 'text' }
  const choices = find(value, ['choices'])
  const texts = choices?.type === 'list' ? choices.items.map((item) => String(toPlain(item))) : []
  return { type: 'choice', choices: texts }
}

/** True where a param can have a value. */
export const isAllowed = (expected: ParamExpectation, value: Scalar): boolean => {
  switch (expected.type) {
    case 'number':
      return typeof value === 'number' && value >= (expected.min ?? -Infinity) && value <= (expected.max ?? Infinity)
    case 'boolean':
      return typeof value === 'boolean'
    case 'choice':
      return typeof value === 'string' && expected.choices.includes(value)
    case 'text':
    case 'name':
      return typeof value === 'string'
  }
}

/** Reads the `params` of a recipe, or of a part, whose users have to give those without a default. */
export const readDeclarations = (
  root: Value,
  isPart: boolean,
): { readonly declarations: Declarations; readonly problems: readonly Diagnostic[] } => {
  const problems: Diagnostic[] = []
  const block = find(root, ['params'])
  const declare = (name: string, key: Range, value: Value): Declaration => {
    if (value.type === 'string' || value.type === 'number' || value.type === 'boolean')
      return {
        name,
        key,
        at: value.range,
        expected:
          value.type === 'number' ? { type: 'number', min: undefined, max: undefined } : { type: SHORT[value.type] },
        default: value.value,
        description: undefined,
      }
    const [expected, given, description] = [
      expectationOf(value),
      find(value, ['default']),
      find(value, ['description']),
    ]
    const plain = given === undefined ? undefined : (toPlain(given) as Scalar)
    if (expected.type === 'choice' && expected.choices.length === 0)
      problems.push(badParam(name, { type: 'choices' }, key))
    else if (
      given !== undefined &&
      find(value, ['type']) !== undefined &&
      plain !== undefined &&
      plain !== null &&
      !isAllowed(expected, plain)
    )
      problems.push(badParam(name, { type: 'default', expected: paramExpects(expected) }, given.range))
    if (value.type === 'map' && given === undefined && !isPart)
      problems.push(badParam(name, { type: 'no-default' }, key))
    return {
      name,
      key,
      at: given?.range ?? key,
      expected,
      default: typeof plain === 'object' ? undefined : plain,
      description: description?.type === 'string' ? description.value : undefined,
    }
  }
  const declarations = new Map(
    [...(block?.type === 'map' ? block.entries : [])].map(([name, { key, value }]) => [
      name,
      declare(name, key, value),
    ]),
  )
  return { declarations, problems }
}
