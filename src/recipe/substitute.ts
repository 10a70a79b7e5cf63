import { paramExpects, paramNotAllowed } from '../base/catalogue/parts.js'
import { badArithmetic, paramWrongType, unknownOverride, unknownParam } from '../base/catalogue/recipe.js'
import type { Diagnostic, Place, Range } from '../base/diagnostic.js'
import { numberIn } from '../document/explain.js'
import type { MapValue, Value } from '../document/value.js'
import { computeArithmetic } from './arithmetic.js'
import { HUB_KEYS, INPUT_BLOCKS } from './inputs.js'
import { isAllowed, type Declarations } from './params.js'
import type { Scalar } from './recipe.js'

/** The params of a recipe by name; one that is no scalar, which the schema tells of, has no value. */
export type ParamValues = ReadonlyMap<string, Scalar | undefined>

/** The params of a recipe with overrides applied, and what is wrong with those, which are given at a place. */
export const readParams = (
  declarations: Declarations,
  overrides: Readonly<Record<string, string>>,
  at?: Place,
): { params: ParamValues; problems: Diagnostic[] } => {
  const params = new Map([...declarations].map(([name, declared]) => [name, declared.default]))
  const problems: Diagnostic[] = []
  for (const [name, text] of Object.entries(overrides)) {
    const [declared, expected] = [params.get(name), declarations.get(name)?.expected]
    const value = declared === undefined ? undefined : convert(text, declared)
    if (value !== undefined && expected !== undefined && !isAllowed(expected, value))
      problems.push(paramNotAllowed(name, text, paramExpects(expected), at))
    else if (value !== undefined) params.set(name, value)
    else if (declared !== undefined)
      problems.push(
        paramWrongType(
          name,
          text,
          typeof declared,
          typeof declared === 'number' ? numberIn(text)?.number : undefined,
          at,
        ),
      )
    else if (!params.has(name)) problems.push(unknownOverride(name, [...params.keys()], at))
  }
  return { params, problems }
}

/** Reads an override as the type its param has in the recipe. */
const convert = (text: string, like: Scalar): Scalar | undefined => {
  if (typeof like === 'string') return text
  if (typeof like === 'boolean') return text === 'true' ? true : text === 'false' ? false : undefined
  const number = Number(text)
  return text.trim() !== '' && Number.isFinite(number) ? number : undefined
}

/**
 * A recipe whose params are replaced; texts that stand at `open` name a param without a value, so nothing more can be
 * said of them.
 */
export interface Substituted {
  readonly value: Value
  readonly problems: readonly Diagnostic[]
  readonly open: readonly Range[]
  /** What each expression came to, by its text. */
  readonly computed: Readonly<Record<string, number>>
}

/**
 * Replaces `$name` and `${expression}` where they are a whole scalar, and `${name}` or `${expression}` inside the texts
 * under a `path` key, in a short model or in the name of one of a hub,
 * by the params' values. Places stay.
 */
export const substitute = (root: Value, params: ParamValues): Substituted => {
  const problems: Diagnostic[] = []
  const open: Range[] = []
  const computed: Record<string, number> = {}
  const lookUp = (name: string, range: Range): Scalar | undefined => {
    const value = params.get(name)
    if (value === undefined) open.push(range)
    if (!params.has(name)) problems.push(unknownParam(name, [...params.keys()], range))
    return value
  }
  const compute = (text: string, range: Range): number | undefined => {
    const result = computeArithmetic(text, (name) => {
      const value = params.get(name)
      return typeof value === 'number' ? value : undefined
    })
    if (result.type === 'value' && Number.isFinite(result.value)) {
      computed[text] = result.value
      return result.value
    }
    open.push(range)
    if (result.type === 'value') problems.push(badArithmetic(text, { type: 'infinite' }, range))
    else if (result.type !== 'name') problems.push(badArithmetic(text, result, range))
    else if (params.has(result.name))
      problems.push(badArithmetic(text, { type: 'not-a-number', name: result.name }, range))
    else if (result.name.split('-').every((part) => params.has(part) || /^\d*$/.test(part)))
      problems.push(badArithmetic(text, { type: 'minus-in-name', name: result.name }, range))
    else if (text.replaceAll(' ', '').includes(`${result.name}(`))
      problems.push(badArithmetic(text, { type: 'function', name: result.name }, range))
    else problems.push(unknownParam(result.name, [...params.keys()], range))
    return undefined
  }
  const scalar = (value: Value & { type: 'string' }, isPath: boolean): Value => {
    const { range } = value
    const whole = /^\$(?:([A-Za-z_][\w-]*)|\{([A-Za-z_][\w-]*)\})$/.exec(value.value)
    const name = whole?.[1] ?? (isPath ? undefined : whole?.[2])
    if (name !== undefined) {
      const found = lookUp(name, range)
      if (typeof found === 'number') return { type: 'number', value: found, range }
      if (typeof found === 'boolean') return { type: 'boolean', value: found, range }
      return { ...value, value: found ?? value.value }
    }
    if (isPath) {
      return {
        ...value,
        value: value.value.replace(/\$\{([^{}]*)\}/g, (all, text: string) =>
          String((/^[A-Za-z_][\w-]*$/.test(text) ? lookUp(text, range) : compute(text, range)) ?? all),
        ),
      }
    }
    const expression = /^\$\{([^{}]*)\}$/.exec(value.value)?.[1]
    const result = expression === undefined ? undefined : compute(expression, range)
    return result === undefined ? value : { type: 'number', value: result, range }
  }
  const walk = (value: Value, path: readonly string[]): Value => {
    switch (value.type) {
      case 'map':
        return {
          ...value,
          entries: new Map(
            [...value.entries].map(([key, e]) => [key, { key: e.key, value: walk(e.value, [...path, key]) }]),
          ),
        }
      case 'list':
        return { ...value, items: value.items.map((item) => walk(item, path)) }
      case 'string':
        return scalar(
          value,
          path.at(-1) === 'path' ||
            (Object.values(INPUT_BLOCKS).includes(path[0]!) &&
              (path.length === 2 || (path.length === 3 && HUB_KEYS.has(path[2]!)))),
        )
      default:
        return value
    }
  }
  if (root.type !== 'map') return { value: root, problems, open, computed }
  const entries = [...root.entries].map(
    ([key, e]) =>
      [
        key,
        { key: e.key, value: ['params', 'parts', 'presets', 'grid'].includes(key) ? e.value : walk(e.value, [key]) },
      ] as const,
  )
  return { value: { ...root, entries: new Map(entries) } satisfies MapValue, problems, open, computed }
}
