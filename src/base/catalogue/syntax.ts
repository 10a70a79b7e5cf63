import type { Diagnostic, Range } from '../diagnostic.js'
import { entry } from './entry.js'

const SYNTAX_HELP: Readonly<Record<string, string>> = {
  BAD_DQ_ESCAPE:
    'inside double quotes a backslash starts an escape: write `\\\\` for a backslash, or use single quotes',
  BAD_INDENT: 'give all entries of a map or list the same indent, deeper than the key they belong to',
  BAD_SCALAR_START: 'put the value in quotes',
  BLOCK_AS_IMPLICIT_KEY: 'start each key on a line of its own; put a string that contains `: ` in quotes',
  MISSING_CHAR: 'close the quote or bracket that is open here, and end each key with a colon and a space',
  MULTILINE_IMPLICIT_KEY: 'write the key and its colon on one line',
  TAB_AS_INDENT: 'indent with spaces; YAML does not allow tabs there',
  UNEXPECTED_TOKEN: 'put a string that contains brackets, quotes, `#` or `: ` in quotes',
}

/** Text that is not YAML; `rule` is the parser's wording and `name` its code for it. */
export const syntax = (at: Range, rule: string, name: string): Diagnostic => {
  const bracket = /end with a ([\]}])/.exec(rule)?.[1]
  return entry('syntax', `this is not YAML: ${rule.slice(0, 160)}`, {
    at: { type: 'text', range: at },
    help:
      bracket === undefined
        ? (SYNTAX_HELP[name] ?? 'check the indentation, quotes and brackets around this place')
        : `add the \`${bracket}\` that is missing before this place, or indent what is between the brackets`,
  })
}
