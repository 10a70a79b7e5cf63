import type { Diagnostic, Range } from '../diagnostic.js'
import { entry } from './entry.js'

/** A line that another one lines up with. */
export interface Like {
  readonly name: string
  readonly line: number
  readonly indent: number
}

const spaces = (count: number): string => (count === 0 ? 'no spaces' : count === 1 ? '1 space' : `${count} spaces`)
const code = (name: string): string => `\`${name.length > 40 ? `${name.slice(0, 40)}…` : name}\``
const named = ({ name, line }: Pick<Like, 'name' | 'line'>): string =>
  name === '-' ? `the \`-\` in line ${line}` : `${code(name)} in line ${line}`
const inText = (at: Range) => ({ at: { type: 'text', range: at } }) as const

/** A first line that is indented, and later ones that are not. */
export const indentedStart = (at: Range, found: number, below: Pick<Like, 'name' | 'line'>): Diagnostic =>
  entry('indent', `the recipe begins with an indent of ${spaces(found)}, and ${named(below)} has none`, {
    ...inText(at),
    help: 'remove the spaces in front of this line: the outermost keys begin in the first column',
  })

/** Keys that are not indented below the key they belong to: `lines` are the first and the last of them. */
export const indentMore = (
  at: Range,
  key: string,
  owner: string,
  lines: readonly [number, number],
  by: number,
): Diagnostic =>
  entry('indent', `${code(key)} is not indented deeper than ${code(owner)}, so it is not part of it`, {
    ...inText(at),
    help: `indent ${lines[0] === lines[1] ? `line ${lines[0]}` : `lines ${lines[0]} to ${lines[1]}`} by ${spaces(by)} more`,
  })

/** A key that is indented into another one's value. */
export const indentLess = (
  at: Range,
  key: string,
  owner: string,
  like: Like,
  lines: readonly [number, number],
  by: number,
): Diagnostic =>
  entry('indent', `${code(key)} is indented, which makes it part of ${code(owner)}`, {
    ...inText(at),
    help: `move ${lines[0] === lines[1] ? `line ${lines[0]}` : `lines ${lines[0]} to ${lines[1]}`} to the left by ${spaces(by)}, so that ${code(key)} lines up with ${named(like)}`,
  })

/** A key without a value, followed by keys that the map above already has. */
export const indentedKey = (at: Range, key: string, again: string, line: number): Diagnostic =>
  entry('indent', `there is nothing below ${code(key)}, and ${code(again)} in line ${line} is given a second time`, {
    ...inText(at),
    help: `indent the lines that belong to ${code(key)} deeper than it is, or move ${code(key)} to the left`,
  })

/** A text in a block that is not indented deeper than its key. */
export const indentText = (at: Range, owner: Like): Diagnostic =>
  entry('indent', `this line is not indented deeper than ${named(owner)}, although it is part of its text`, {
    ...inText(at),
    help: `indent it by ${spaces(owner.indent + 2)}`,
  })

/** A colon that YAML reads as part of a string. */
export const spaceAfterColon = (at: Range, key: string): Diagnostic =>
  entry('space-after-colon', `there is no space after the colon of ${code(key)}`, {
    ...inText(at),
    help: `write \`${key}: \` with a space in front of the value`,
  })

/** Lines that are indented with tabs. */
export const tabIndent = (at: Range, lines: readonly number[]): Diagnostic => {
  const others =
    lines.length === 1
      ? ''
      : `, here and in ${lines.length === 2 ? `line ${lines[1]}` : `${lines.length - 1} lines below`}`
  return entry('indent', `this line is indented with a tab, and YAML allows only spaces`, {
    ...inText(at),
    help: `indent with 2 spaces for each level${others}`,
  })
}

/**
 * A line that begins in a column where nothing above it does; `like` are the lines that it may be meant to line up
 * with.
 */
export const wrongIndent = (at: Range, key: string | undefined, found: number, like: readonly Like[]): Diagnostic => {
  const [first, second] = like
  const other =
    second === undefined || second.indent === 0 || second.indent === first?.indent
      ? ''
      : `, or by ${spaces(second.indent)}, like ${named(second)}`
  return entry(
    'indent',
    `${key === undefined || key === '-' ? 'this line' : code(key)} is indented by ${spaces(found)}, which does not line up with the lines above`,
    {
      ...inText(at),
      help:
        first === undefined
          ? 'indent it like the lines that it belongs to'
          : `indent it by ${spaces(first.indent)}, like ${named(first)}${other}`,
    },
  )
}
