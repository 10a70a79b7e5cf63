import { argumentWrong, optionUnknown } from '../base/catalogue/options.js'
import type { Diagnostic } from '../base/diagnostic.js'
import { isObject } from '../base/is-object.js'
import { failed, ok, type Result } from '../base/result.js'

/** What one option may be; `expected` is a noun phrase. */
export interface Rule {
  readonly expected: string
  fits(value: unknown): boolean
}

/** A rule for every option there is. */
export type Rules<T> = Readonly<Record<keyof T, Rule>>

const rule = (expected: string, fits: (value: unknown) => boolean): Rule => ({ expected, fits })

/** Rules that more than one option has. */
export const flag = rule('true or false', (value) => typeof value === 'boolean')
export const text = rule('a string', (value) => typeof value === 'string' && value !== '')
export const listener = rule('a function', (value) => typeof value === 'function')
export const params = rule(
  'an object of strings, such as { keep: "0.5" }',
  (value) => isObject(value) && Object.values(value).every((v) => typeof v === 'string'),
)
export const rows = rule(
  'a list of objects of strings, such as [{ keep: "0.5" }, { keep: "0.6" }]',
  (value) => Array.isArray(value) && value.every(params.fits),
)
export const signal = rule(
  'an AbortSignal',
  (value) =>
    isObject(value) && typeof value['aborted'] === 'boolean' && typeof value['addEventListener'] === 'function',
)

/** A whole number within bounds. */
export const wholeNumber = (least: number, most: number): Rule =>
  rule(
    `a whole number from ${least} to ${most}`,
    (value) => Number.isInteger(value) && (value as number) >= least && (value as number) <= most,
  )

/** A string of a certain form. */
export const textLike = (expected: string, pattern: RegExp): Rule =>
  rule(expected, (value) => typeof value === 'string' && pattern.test(value))

/** An object that one of the library's own functions makes, recognised by its methods. */
export const madeBy = (expected: string, methods: readonly string[]): Rule =>
  rule(expected, (value) => isObject(value) && methods.every((name) => value[name] !== undefined))

/** An object with some keys and no others; those left out or undefined are as if not there. */
export const objectOf = (
  expected: string,
  keys: Readonly<Record<string, Rule>>,
  required: readonly string[] = [],
): Rule =>
  rule(
    expected,
    (value) =>
      isObject(value) &&
      required.every((key) => value[key] !== undefined) &&
      Object.entries(value).every(([key, own]) => own === undefined || keys[key]?.fits(own) === true),
  )

/** A list of strings. */
export const texts = rule(
  'a list of strings',
  (value) => Array.isArray(value) && value.every((v) => typeof v === 'string'),
)

/** What a value is, for a message that says what was expected instead. */
const describe = (value: unknown): string => {
  if (value === undefined || value === null) return 'missing'
  if (Array.isArray(value)) return 'a list'
  if (typeof value === 'string') return value === '' ? 'an empty string' : `the string "${value.slice(0, 60)}"`
  if (typeof value === 'object' || typeof value === 'function')
    return typeof value === 'function'
      ? 'a function'
      : value.constructor?.name === 'Object'
        ? 'an object'
        : `a ${value.constructor?.name ?? 'bare object'}`
  return String(value)
}

/** Checks one argument of a library function; returns the problem, if any. */
export const checkArgument = (
  call: string,
  name: string,
  value: unknown,
  { expected, fits }: Rule,
): readonly Diagnostic[] => (fits(value) ? [] : [argumentWrong(call, name, expected, describe(value))])

/**
 * Checks options as recipes are checked: what is not known is an error, and so is another type. Options that are
 * undefined are as if not given.
 */
export const checkOptions = <T extends object>(call: string, options: T, rules: Rules<Required<T>>): Result<T> => {
  const whole = checkArgument(call, 'options', options, rule('an object', isObject))
  if (whole.length > 0) return failed(...whole)
  const given = Object.entries(options).filter(([, value]) => value !== undefined)
  const problems = given.flatMap(([name, value]) =>
    Object.hasOwn(rules, name)
      ? checkArgument(call, name, value, rules[name as keyof T])
      : [optionUnknown(call, name, Object.keys(rules))],
  )
  return problems.length > 0 ? failed(...problems) : ok(Object.fromEntries(given) as T)
}
