import { CST, Lexer, Parser } from 'yaml'
import * as say from '../base/catalogue/document.js'
import type { Diagnostic, Range, Source } from '../base/diagnostic.js'

/**
 * How deep maps and lists may nest. Checked while reading tokens, because composing is recursive and can end the
 * process.
 */
export const MOST_LEVELS = 64

// The parser's stack also holds the document and a scalar in progress.
const tooDeep = ({ stack }: Parser): boolean =>
  stack.length > MOST_LEVELS && stack.filter((token) => 'items' in token).length > MOST_LEVELS

// What YAML calls printable, the byte order mark among it.
const UNPRINTABLE = /[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/gu

/**
 * The tokens of a text, and the problems that can be seen in them alone. `tokens` is undefined when composing them
 * would be unsafe.
 */
export interface Scan {
  readonly tokens: readonly CST.Token[] | undefined
  readonly problems: readonly Diagnostic[]
}

const unprintable = (source: Source): Diagnostic[] =>
  [...source.text.matchAll(UNPRINTABLE)].map((match) =>
    say.controlCharacter({ source, start: match.index, end: match.index + match[0].length }, match[0].codePointAt(0)!),
  )

/**
 * Splits a text into tokens, iteratively. Reports unprintable characters, tags, directives and nesting deeper than
 * {@link MOST_LEVELS}.
 */
export const scan = (source: Source): Scan => {
  const problems = unprintable(source)
  const tokens: CST.Token[] = []
  const parser = new Parser()
  let inScalar = false
  for (const lexeme of new Lexer().lex(source.text)) {
    const type = inScalar ? 'scalar' : CST.tokenType(lexeme)
    // The lexer announces a scalar with a mark; what follows the mark is content, whatever it looks like.
    inScalar = lexeme === CST.SCALAR
    const range: Range = { source, start: parser.offset, end: parser.offset + lexeme.length }
    if (type === 'tag') problems.push(say.tag(range, lexeme))
    if (type === 'directive-line' && !/^%YAML\s+1\.2(\s|$)/.test(lexeme)) problems.push(say.directive(range, lexeme))
    for (const token of parser.next(lexeme)) tokens.push(token)
    if (tooDeep(parser)) {
      problems.push(say.nestedTooDeep(range, MOST_LEVELS))
      return { tokens: undefined, problems }
    }
  }
  for (const token of parser.end()) tokens.push(token)
  return { tokens, problems }
}
