import type { Diagnostic, Place } from '../diagnostic.js'
import { entry } from './entry.js'

/** The help for a part that has another name in smelt. */
export const partNamed = (scheme: string, asked: string, name: string, known: readonly string[]): string =>
  `write \`${scheme}:${name}\`, which is what smelt calls \`${asked}\`; this model has ${list(known.filter((id) => id !== 'other'))}`

/** A pattern that is empty, only a `!`, or only empty braces. */
export const emptyPattern = (pattern: string, at?: Place): Diagnostic =>
  entry(
    'empty-pattern',
    pattern === '' ? 'a layer pattern is empty' : `the layer pattern \`${shorten(pattern)}\` matches no name at all`,
    { at, help: 'write a tensor name, a glob such as `**.attn2`, or `*` for every tensor' },
  )

/** A `block:`, `group:` or `component:` pattern over tensors of no known architecture. */
export const patternNeedsArchitecture = (pattern: string, scheme: string, seen: string, at?: Place): Diagnostic =>
  entry(
    'pattern-needs-architecture',
    `\`${pattern}\` asks for a ${scheme}, but smelt does not know the architecture of these tensors${seen === '' ? '' : `: ${seen}`}`,
    {
      at,
      help: `select by tensor names instead, for example \`**.attn2\`; \`smelt inspect\` lists them`,
    },
  )

/** A pattern that matches no tensor; `suggestion` is a complete question, `tops` the first segments of the names. */
export const patternSelectsNothing = (
  pattern: string,
  suggestion: string | undefined,
  tops: readonly string[],
  /** True for the left side of a rule, which cannot be optional. */
  isRule: boolean,
  at?: Place,
): Diagnostic =>
  entry('pattern-selects-nothing', `\`${pattern}\` selects no tensor`, {
    at,
    help: `${suggestion ?? beginnings(tops)}${emptyAllowed(pattern, isRule, at)}`,
  })

/** How to say that a pattern may select nothing; on the command line there is no way to. */
const emptyAllowed = (pattern: string, isRule: boolean, at: Place | undefined): string =>
  at?.type === 'option'
    ? ''
    : isRule
      ? ' Delete the rule if the model has no such layers.'
      : ` If it may select nothing, write \`{ match: "${pattern}", optional: true }\`.`

/** A pattern that is too long. */
export const patternTooLong = (length: number, most: number, at?: Place): Diagnostic =>
  entry('pattern-too-long', `a layer pattern of ${length} characters is longer than the ${most} allowed`, {
    at,
    help: 'split it into a list of several patterns',
  })

/** A pattern whose braces expand to too many alternatives. */
export const patternTooManyAlternatives = (pattern: string, most: number, at?: Place): Diagnostic =>
  entry(
    'pattern-too-many-alternatives',
    `the braces of \`${shorten(pattern)}\` expand to more than ${most} alternatives`,
    {
      at,
      help: 'use `*` or `[0-9]` in place of long braces, or split the pattern into several',
    },
  )

/** A pattern with too many extended globs. */
export const patternTooManyExtglobs = (pattern: string, most: number, at?: Place): Diagnostic =>
  entry(
    'pattern-too-many-extglobs',
    `\`${shorten(pattern)}\` holds more than ${most} groups such as \`!(…)\` or \`+(…)\``,
    {
      at,
      help: 'split it into several patterns, or list the alternatives in braces',
    },
  )

/** A `block:`, `group:` or `component:` that the architecture does not have. */
export const unknownPart = (
  scheme: string,
  id: string,
  architecture: string,
  known: readonly string[],
  suggestion: string | undefined,
  at?: Place,
): Diagnostic =>
  entry(`unknown-${scheme}`, `${architecture} has no ${scheme} \`${id}\` here`, {
    at,
    help:
      suggestion ??
      (known.length === 0 ? `this model has no ${scheme}s; select by tensor names` : `it has ${list(known)}`),
  })

const beginnings = (tops: readonly string[]): string =>
  tops.length === 0
    ? 'There are no tensors to select from.'
    : `The names begin with ${list(tops)}; \`smelt inspect\` lists them.`

const list = (names: readonly string[], most = 12): string =>
  names
    .slice(0, most)
    .map((n) => `\`${n}\``)
    .join(', ') + (names.length > most ? ', …' : '')

const shorten = (text: string): string => (text.length <= 60 ? text : `${text.slice(0, 60)}…`)
