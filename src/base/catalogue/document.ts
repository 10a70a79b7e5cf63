import type { Diagnostic, Place, Range, Severity } from '../diagnostic.js'
import { didYouMean } from './did-you-mean.js'
import { entry } from './entry.js'

const MOST_LISTED = 12

/** Extensions of files that people pass in place of a recipe. */
const MODEL = /\.(?:safetensors|sft|ckpt|pt|pth|bin|gguf)$/i
const NAME_A_RECIPE =
  'pass a recipe: `smelt init` writes one for the models in a folder, and `smelt inspect` shows what a model holds'

const inText = (range: Range): Place => ({ type: 'text', range })

const cut = (text: string, most = 60): string => {
  const points = [...text.slice(0, 4 * most)]
  return points.length > most || text.length > 4 * most ? `${points.slice(0, most).join('')}…` : text
}

const code = (text: string): string => `\`${cut(text)}\``

const about = (subject: string | undefined): string => (subject === undefined ? '' : `${subject}: `)

const list = (names: readonly string[]): string =>
  names.slice(0, MOST_LISTED).map(code).join(', ') +
  (names.length > MOST_LISTED ? ` and ${names.length - MOST_LISTED} more` : '')

/** True for what can follow a `*` or `!` in a layer pattern, but not in an alias or tag. */
const isPattern = (rest: string): boolean => /^[^!]*[*.:?{[]/.test(rest)

const amount = (count: number, noun: string): string => `${count} ${noun}${count === 1 ? '' : 's'}`

/** An alias that would make the document, with everything expanded, larger than `limit` values. */
export const aliasTooLarge = (at: Range, name: string, limit: number): Diagnostic =>
  entry('alias-too-large', `the alias ${code(`*${name}`)} expands the document past ${limit} values`, {
    at: inText(at),
    help: 'write the repeated part once as a step of its own and refer to that by name',
  })

/** A value that fits several forms but must fit exactly one. */
export const ambiguousForm = (at: Range, subject: string | undefined, forms: readonly string[]): Diagnostic =>
  entry('ambiguous-form', `${about(subject)}this can be read in more than one way`, {
    at: inText(at),
    help: `write only one of: ${forms.map((form) => cut(form, 200)).join('; ')}`,
  })

/** A character that YAML does not allow in a text, such as NUL or a lone surrogate. */
export const controlCharacter = (at: Range, point: number): Diagnostic => {
  const name = `U+${point.toString(16).toUpperCase().padStart(4, '0')}`
  return entry('control-character', `the unprintable character ${name} is not allowed in YAML`, {
    at: inText(at),
    help: 'delete it; inside double quotes it can be written as an escape',
  })
}

/** A number with a decimal comma in a flow map or list, where commas separate. */
export const decimalComma = (at: Range, text: string): Diagnostic =>
  entry('decimal-comma', `${code(text)} is two values: a comma separates values`, {
    at: inText(at),
    help: `write the number with a decimal point: ${code(text.replace(',', '.'))}`,
  })

/** A `%` line other than `%YAML 1.2`. */
export const directive = (at: Range, text: string): Diagnostic =>
  entry('directive', `the directive ${code(text)} is not supported`, {
    at: inText(at),
    help: 'delete the line; documents are YAML 1.2',
  })

/** A document over the size limit. */
export const documentTooLarge = (path: string, bytes: number, limit: number): Diagnostic =>
  entry(
    'document-too-large',
    MODEL.test(path) ? `${path} is a model, not a recipe` : `${path} has ${bytes} bytes, and the limit is ${limit}`,
    {
      at: { type: 'file', path },
      help: MODEL.test(path)
        ? NAME_A_RECIPE
        : 'check that this is the recipe and not a model; split a recipe that is really this long',
    },
  )

/** The same key twice in one map. */
export const duplicateKey = (at: Range, key: string, first: Range): Diagnostic =>
  entry('duplicate-key', `the key ${code(key)} is given twice`, {
    at: inText(at),
    related: [{ at: inText(first), message: 'first given here' }],
    help: 'keep one of the two, or rename one',
  })

/** A key that is missing or empty. */
export const emptyKey = (at: Range): Diagnostic =>
  entry('empty-key', 'a key is empty', { at: inText(at), help: 'write a name before the colon, or delete the colon' })

/** An expression between braces or brackets, where YAML ends a string at its brace. */
export const expressionUnquoted = (at: Range, text: string): Diagnostic =>
  entry('syntax', `this is not YAML: between braces or brackets, ${code(text)} needs quotes`, {
    at: inText(at),
    help: `write ${code(`"${text}"`)}`,
  })

/** A whole number that a double cannot hold exactly. */
export const integerTooLarge = (at: Range, text: string): Diagnostic =>
  entry('integer-too-large', `${code(text)} is too large to be held exactly`, {
    at: inText(at),
    help: 'whole numbers go from -9007199254740991 to 9007199254740991; put it in quotes if it is a string',
  })

/** More than one document in a file. */
export const manyDocuments = (at: Range): Diagnostic =>
  entry('many-documents', 'a second document starts here', {
    at: inText(at),
    help: 'delete the `---` or `...` line, or move what follows into a file of its own',
  })

/** A merge key, which YAML 1.2 no longer has. */
export const mergeKey = (at: Range): Diagnostic =>
  entry('merge-key', 'merge keys (`<<`) are not supported', {
    at: inText(at),
    help: 'write the keys out, or share a whole value with an anchor (`&name`) and an alias (`*name`)',
  })

/** A map without a key it must have; `expected` says what the key's value is. */
export const missingKey = (
  at: Range,
  subject: string | undefined,
  key: string,
  expected: string | undefined,
): Diagnostic =>
  entry('missing-key', `${subject ?? 'the recipe'} has no ${code(key)}`, {
    at: inText(at),
    help: `add the key ${code(key)}${expected === undefined ? '' : `: ${cut(expected, 200)}`}`,
  })

/** True if the problem is that a map lacks this key. */
export const tellsMissing = ({ code: name, message }: Diagnostic, key: string): boolean =>
  name === 'missing-key' && message.endsWith(`has no ${code(key)}`)

/** A key that is only allowed together with another. */
export const missingPartner = (at: Range, key: string, partner: string): Diagnostic =>
  entry('missing-partner', `${code(key)} needs ${code(partner)} beside it`, {
    at: inText(at),
    help: `add ${code(partner)}, or delete ${code(key)}`,
  })

/** How many problems of a document are not shown; `severity` is that of the worst. */
export const moreProblems = (count: number, at: Place | undefined, severity: Severity): Diagnostic =>
  entry(
    'more-problems',
    `and ${amount(count, severity === 'error' ? 'more problem' : 'more warning')}, the first of them here`,
    {
      at,
      severity,
      help: severity === 'error' ? 'fix the errors above first' : 'look into the warnings above first',
    },
  )

/** Maps and lists inside each other, deeper than `limit`. */
export const nestedTooDeep = (at: Range, limit: number): Diagnostic =>
  entry('nested-too-deep', `values are nested deeper than ${limit} levels`, {
    at: inText(at),
    help: 'look for an unclosed bracket or a line indented too far',
  })

/** An infinity, a NaN, or a number too large for a double. */
export const nonFinite = (at: Range, text: string): Diagnostic =>
  entry('non-finite', `${code(text)} is not a finite number`, {
    at: inText(at),
    help: 'write a finite number (at most 1.8e308), or put it in quotes if it is a string',
  })

/** A key that YAML reads as a number, a boolean, null, a map, a list or an alias. */
export const nonStringKey = (at: Range, text: string): Diagnostic =>
  entry(
    'non-string-key',
    text.startsWith('*')
      ? `${code(text.replace(/:$/, ''))} begins with \`*\`, which YAML reads as an alias`
      : `the key ${code(text)} is not a string`,
    {
      at: inText(at),
      help: text.startsWith('*')
        ? `put the pattern in quotes: ${code(`"${text.replace(/:$/, '')}"`)}`
        : 'put the key in quotes',
    },
  )

/** A value that fits none of several forms; `similar` suggests what was meant. */
export const noSuchForm = (
  at: Range,
  subject: string | undefined,
  found: string,
  forms: readonly { readonly expected: string; readonly description?: string | undefined }[],
  similar: string | undefined,
): Diagnostic => {
  const expected = [...new Set(forms.map((form) => cut(form.expected, 120)))]
  const explained = forms
    .filter((form) => form.description !== undefined)
    .map((form) => `${cut(form.expected, 120)}: ${cut(form.description!, 200)}`)
  return entry('no-such-form', `${about(subject)}expected ${expected.join(', or ')}; found ${found}`, {
    at: inText(at),
    help: similar ?? (explained.length > 0 ? `write ${explained.join('; or ')}` : `write ${expected[0]!}`),
  })
}

/** A string that is not one of the allowed ones. */
export const notOneOf = (
  at: Range,
  subject: string | undefined,
  found: string,
  written: string,
  allowed: readonly string[],
): Diagnostic => {
  const choices =
    allowed.length > MOST_LISTED
      ? `one of ${allowed.length} names`
      : allowed.length > 1
        ? `one of ${list(allowed)}`
        : list(allowed)
  return entry('not-one-of', `${about(subject)}expected ${choices}; found ${found}`, {
    at: inText(at),
    help:
      didYouMean(written, allowed) ??
      (allowed.length === 1 ? `write ${list(allowed)}` : `write one of ${list(allowed)}`),
  })
}

/** Bytes that are not UTF-8. */
export const notUtf8 = (path: string): Diagnostic =>
  entry('not-utf8', MODEL.test(path) ? `${path} is a model, not a recipe` : `${path} is not UTF-8 text`, {
    at: { type: 'file', path },
    help: MODEL.test(path) ? NAME_A_RECIPE : 'check that this is the recipe and not a model; save the recipe as UTF-8',
  })

/** The number that a string was meant to be, and what is wrong with it. */
export interface MeantNumber {
  readonly number: number
  readonly flaw: keyof typeof NUMBER_FLAWS
}

const NUMBER_FLAWS = {
  comma: 'with a decimal point',
  fraction: 'as a decimal number',
  percent: 'as a share of 1, without `%`',
  quotes: 'without quotes',
} as const

/** A number in a notation that YAML reads as a string. */
export const numberAsText = (
  at: Range,
  subject: string | undefined,
  found: string,
  { number, flaw }: MeantNumber,
): Diagnostic =>
  entry('number-as-text', `${about(subject)}expected a number; found ${found}`, {
    at: inText(at),
    help: `write it ${NUMBER_FLAWS[flaw]}: \`${number}\``,
  })

/** A number outside its bounds; `percent` is what it would be as a percentage. */
export const outOfRange = (
  at: Range,
  subject: string | undefined,
  expected: string,
  found: string,
  percent?: number,
): Diagnostic =>
  entry('out-of-range', `${about(subject)}expected ${cut(expected, 200)}; found ${found}`, {
    at: inText(at),
    help: percent === undefined ? 'choose a number within these bounds' : `write \`${percent}\` for ${found} percent`,
  })

/** An alias inside the value that it stands for. */
export const recursiveAlias = (at: Range, name: string): Diagnostic =>
  entry('recursive-alias', `the alias ${code(`*${name}`)} is inside the value it stands for`, {
    at: inText(at),
    help: 'write the inner value out',
  })

/** A rule of the schema without a message of its own; `rule` is the validator's wording. */
export const ruleBroken = (at: Range, subject: string | undefined, rule: string): Diagnostic =>
  entry('rule-broken', `${about(subject)}${rule}`, {
    at: inText(at),
    help: 'change the value to follow this rule',
  })

/** An explicit type (`!!str`, `!name`). */
export const tag = (at: Range, text: string): Diagnostic =>
  entry(
    'tag',
    isPattern(text.slice(1))
      ? `${code(text)} begins with \`!\`, which YAML reads as a tag`
      : `the tag ${code(text)} is not supported`,
    {
      at: inText(at),
      help: isPattern(text.slice(1))
        ? `put the pattern in quotes: ${code(`"${text}"`)}`
        : 'delete it; a value in quotes is a string',
    },
  )

/** A document of more than `limit` values. */
export const tooManyValues = (at: Range, limit: number): Diagnostic =>
  entry('too-many-values', `the document holds more than ${limit} values`, { at: inText(at), help: 'split it' })

/** An alias whose anchor is not written before it. */
export const unknownAnchor = (at: Range, name: string, anchors: Iterable<string>): Diagnostic =>
  entry(
    'unknown-anchor',
    isPattern(name)
      ? `${code(`*${name}`)} begins with \`*\`, which YAML reads as an alias`
      : `the alias ${code(`*${name}`)} has no anchor before it`,
    {
      at: inText(at),
      help:
        didYouMean(name, anchors) ??
        (isPattern(name)
          ? `put the pattern in quotes: ${code(`"*${name}"`)}`
          : `mark a value above with ${code(`&${name}`)}, or put the string in quotes`),
    },
  )

/** A key that selects the kind of a map, with an unknown kind. */
export const unknownChoice = (at: Range, key: string, found: string, choices: readonly string[]): Diagnostic =>
  entry('unknown-choice', `unknown \`${key}\`: ${code(found)}`, {
    at: inText(at),
    help: didYouMean(found, choices) ?? `use one of ${list(choices)}`,
  })

/** A key that its map does not have. */
export const unknownKey = (
  at: Range,
  subject: string | undefined,
  key: string,
  allowed: readonly string[],
): Diagnostic =>
  entry(
    'unknown-key',
    subject === undefined ? `unknown key ${code(key)}` : `${subject} has no parameter ${code(key)}`,
    {
      at: inText(at),
      help:
        didYouMean(key, allowed) ?? (allowed.length === 0 ? 'delete it' : `use one of ${list(allowed)}, or delete it`),
    },
  )

/** A list, text or map with too few or too many parts. */
export const wrongLength = (at: Range, subject: string | undefined, expected: string, found: number): Diagnostic =>
  entry('wrong-length', `${about(subject)}expected ${expected}; found ${found}`, {
    at: inText(at),
    help: 'add or delete until the count is right',
  })

/** A key with a name that is not allowed there. */
export const wrongName = (at: Range, name: string, expected: string): Diagnostic =>
  entry('wrong-name', `the key ${code(name)} is not ${cut(expected, 200)}`, { at: inText(at), help: 'rename it' })

/** A string in the wrong form. */
export const wrongPattern = (at: Range, subject: string | undefined, expected: string, found: string): Diagnostic =>
  entry('wrong-pattern', `${about(subject)}expected ${cut(expected, 200)}; found ${found}`, {
    at: inText(at),
    help: `write ${cut(expected, 200)}`,
  })

/** A value of the wrong type. */
export const wrongType = (
  at: Range,
  subject: string | undefined,
  expected: string,
  found: string,
  quoted: string | undefined,
): Diagnostic =>
  entry('wrong-type', `${about(subject)}expected ${cut(expected, 200)}; found ${found}`, {
    at: inText(at),
    // No name is a number or a boolean.
    help:
      quoted === undefined || expected.startsWith('the name of ')
        ? `write ${cut(expected, 200)} here`
        : `put it in quotes: "${cut(quoted)}"`,
  })
