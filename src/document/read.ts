import { Composer, type CST, type Document, type YAMLError } from 'yaml'
import * as say from '../base/catalogue/document.js'
import { syntax } from '../base/catalogue/syntax.js'
import type { Diagnostic, Range, Source } from '../base/diagnostic.js'
import { lineAt } from '../base/position.js'
import { failed, ok, type Result } from '../base/result.js'
import { buildValue } from './build.js'
import { findBadLine } from './indentation.js'
import { orderProblems } from './report.js'
import { scan } from './scan.js'
import { MOST_BYTES } from './source.js'
import type { Value } from './value.js'

const OPTIONS = {
  version: '1.2',
  schema: 'core',
  merge: false,
  stringKeys: true,
  // The parser's own check is quadratic; building the values finds duplicates in linear time.
  uniqueKeys: false,
  strict: true,
  intAsBigInt: true,
  resolveKnownTags: false,
  // Quadratic in the number of errors.
  prettyErrors: false,
  logLevel: 'error',
} as const

const compose = (tokens: readonly CST.Token[], length: number): readonly Document.Parsed[] => {
  const limit = Error.stackTraceLimit
  // Every problem is an Error to the parser: with stack traces a hostile text of brackets takes seconds.
  Error.stackTraceLimit = 0
  try {
    return [...new Composer(OPTIONS).compose(tokens, true, length)]
  } finally {
    Error.stackTraceLimit = limit
  }
}

const errorRange = (source: Source, [start, end]: readonly [number, number]): Range => {
  // A text that ends too early is shown where it ends, not on the blank lines after.
  const last = source.text.trimEnd().length
  return start >= last
    ? { source, start: last, end: last }
    : { source, start, end: Math.max(start, Math.min(end, last)) }
}

/** An expression whose brace ends a string, between other braces or brackets. */
const unquotedExpression = (source: Source, errors: readonly YAMLError[]): Diagnostic | undefined => {
  const brace = errors.map(({ pos }) => pos[0]).find((at) => source.text.startsWith('${', at - 1))
  if (brace === undefined) return undefined
  const [text] = /^\$\{[^}\n]*\}?/.exec(source.text.slice(brace - 1))!
  return say.expressionUnquoted({ source, start: brace - 1, end: brace - 1 + text.length }, text)
}

const explainError = (source: Source, { code, message, pos }: YAMLError): Diagnostic => {
  const range = errorRange(source, pos)
  const text = source.text.slice(range.start, range.end)
  if (code === 'TAG_RESOLVE_FAILED') return say.tag(range, text)
  if (code === 'BAD_DIRECTIVE') return say.directive(range, text)
  return syntax(range, message.charAt(0).toLowerCase() + message.slice(1), code)
}

// One slip in the syntax is often complained about several times; the first complaint of a line is the useful one, and
// what is known of its values better still.
const oncePerLine = (problems: readonly Diagnostic[], told: readonly Diagnostic[]): Diagnostic[] => {
  const seen = new Set(
    told.flatMap(({ at }) => (at?.type === 'text' ? [lineAt(at.range.source, at.range.start).number] : [])),
  )
  return problems.filter(({ code, at }) => {
    if (code !== 'syntax' || at?.type !== 'text') return true
    const { number } = lineAt(at.range.source, at.range.start)
    return !seen.has(number) && seen.add(number)
  })
}

const secondDocument = (tokens: readonly CST.Token[], source: Source): Diagnostic[] => {
  const second = tokens.filter((token) => token.type === 'document')[1]
  return second === undefined
    ? []
    : [say.manyDocuments({ source, start: second.offset, end: lineAt(source, second.offset).end })]
}

/**
 * Reads a YAML 1.2 text of one document into values with their places. Never throws, whatever the text: size, depth,
 * values and
 * what aliases expand to are bounded, and all that is wrong with the text is reported at once, in order of place.
 */
export const readDocument = (source: Source): Result<Value> => {
  const bytes = Buffer.byteLength(source.text)
  if (bytes > MOST_BYTES) return failed(say.documentTooLarge(source.path, bytes, MOST_BYTES))
  const { tokens, problems } = scan(source)
  if (tokens === undefined) return failed(...orderProblems(problems))
  const [document] = compose(tokens, source.text.length)
  const { value, problems: found } = buildValue(document!, source)
  // Building reports a key that is no text as a whole; the parser knows only where it starts.
  const errors = [...document!.errors, ...document!.warnings].filter(({ code }) => code !== 'NON_STRING_KEY')
  const unquoted = unquotedExpression(source, errors)
  if (unquoted !== undefined) return failed(unquoted)
  const told = errors.map((error) => explainError(source, error))
  const badLine = told.some(({ code }) => code === 'syntax') ? findBadLine(source) : undefined
  if (badLine !== undefined) return failed(badLine)
  const all = [...problems, ...secondDocument(tokens, source), ...oncePerLine(told, found), ...found]
  return all.length === 0 ? ok(value) : failed(...orderProblems(all))
}
