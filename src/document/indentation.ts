import * as say from '../base/catalogue/indentation.js'
import type { Diagnostic, Range, Source } from '../base/diagnostic.js'
import { lineAt } from '../base/position.js'

/** A line that begins an entry of a block map or list: its indentation and its name. */
interface Level {
  readonly indent: number
  readonly name: string
  readonly line: Line
  readonly list: boolean
  /** True if nothing is below its line. */
  readonly whole: boolean
  /** The levels that its line closed. */
  readonly closed: readonly Level[]
}

/** A significant line: neither blank, nor a comment, nor inside a longer value. */
interface Line {
  readonly number: number
  readonly start: number
  readonly text: string
  readonly indent: number
}

const KEY = /^("(?:[^"\\]|\\.)*"|'(?:[^']|'')*'|[^\s#&*!|>%@`"'{}[\],-][^#]*?):(?=\s|$)/
const TIGHT = /^([A-Za-z_][\w-]*):(?=[^\s:/\\])/
const DASH = /^-(?:\s+|$)/
const BLOCK_SCALAR = /(?:^|\s)[|>][-+\d]*\s*(?:#.*)?$/
/** A value that is still to come, on the lines below. */
const OPENS = /^(?:[&!]\S*\s*)*(?:#.*)?$/

/** The quotes and brackets that a text leaves open. */
const openAfter = (text: string, open: string): string => {
  let stack = open
  for (let i = 0; i < text.length; i++) {
    const c = text[i]!
    const top = stack.at(-1)
    if (top === '"') {
      if (c === '\\') i++
      else if (c === '"') stack = stack.slice(0, -1)
    } else if (top === "'") {
      if (c === "'") stack = stack.slice(0, -1)
    } else if (c === '#' && (i === 0 || /\s/.test(text[i - 1]!))) break
    else if ((c === '"' || c === "'") && /^[\s[{,:-]?$/.test(text[i - 1] ?? '')) stack += c
    else if ('[{'.includes(c) && (top !== undefined || /^[\s:-]?$/.test(text[i - 1] ?? ''))) stack += c
    else if (']}'.includes(c) && top !== undefined) stack = stack.slice(0, -1)
  }
  return stack
}

/** The lines whose indentation means something, in their order. */
const linesOf = ({ text }: Source): readonly Line[] => {
  const lines: Line[] = []
  let [start, open, scalar] = [0, '', -1]
  for (const [i, raw] of text.split('\n').entries()) {
    const line = raw.replace(/\r$/, '')
    const indent = /^[ \t]*/.exec(line)![0].length
    const content = line.slice(indent)
    const inside = open !== '' || (scalar >= 0 && indent > scalar)
    if (content !== '' && (open !== '' || !content.startsWith('#')) && !(scalar >= 0 && indent > scalar)) {
      if (!inside && !/^(?:---|\.\.\.|%)/.test(line)) lines.push({ number: i + 1, start, text: line, indent })
      open = openAfter(content, open)
      scalar = open === '' && BLOCK_SCALAR.test(content) ? indent : -1
    }
    start += raw.length + 1
  }
  return lines
}

const rangeIn = (source: Source, { start, text, indent }: Line): Range => {
  const content = text.slice(indent)
  const name = KEY.exec(content)?.[1] ?? /^\S+/.exec(content)![0]
  return { source, start: start + indent, end: start + indent + name.length }
}

const tabs = (source: Source, lines: readonly Line[]): Diagnostic | undefined => {
  const tabbed = lines.filter(({ text, indent }) => text.slice(0, indent).includes('\t'))
  const [first] = tabbed
  return first === undefined
    ? undefined
    : say.tabIndent(
        rangeIn(source, first),
        tabbed.map((line) => line.number),
      )
}

/** Continues a level with its latest line, or begins a new one. */
const enter = (levels: Level[], next: Level): void => {
  const last = levels.at(-1)
  if (last?.indent === next.indent && last.list === next.list) levels.pop()
  levels.push(next)
}

const like = ({ name, line, indent }: Level): say.Like => ({ name, line: line.number, indent })

/** What is wrong with the next line of a text, given the levels that are open at it and those that it closes. */
const judge = (
  source: Source,
  line: Line,
  before: Before,
  levels: readonly Level[],
  closed: readonly Level[],
): Diagnostic | undefined => {
  const content = line.text.slice(line.indent)
  const key = KEY.exec(content)?.[1]
  const [top, first] = [levels.at(-1), before.first]
  const isItem = DASH.test(content)
  if (!isItem && key === undefined) {
    if (before.scalar !== undefined) return say.indentText(rangeIn(source, line), before.scalar)
    return TIGHT.test(content) && !(before.opened && before.isLast)
      ? say.spaceAfterColon(rangeOfTight(source, line), TIGHT.exec(content)![1]!)
      : undefined
  }
  if (top === undefined)
    return closed.length === 0
      ? undefined
      : say.indentedStart(rangeIn(source, first), closed[0]!.indent, { name: key ?? '-', line: line.number })
  const deeper = top.indent < line.indent && !before.opened
  // The entry above left a level that this line goes on with: it is the one that stands at the wrong depth.
  const left = deeper && top.whole ? top.closed.find((level) => level.indent === line.indent) : undefined
  if (left !== undefined) return say.wrongIndent(rangeIn(source, top.line), top.name, top.line.indent, [like(left)])
  const keyInList = top.list && top.indent === line.indent && !isItem
  const itemInMap = !top.list && top.indent === line.indent && isItem && !before.opened
  if (!deeper && !keyInList && !itemInMap) return undefined
  const above = itemInMap && closed.length === 0 ? levels.findLast((level) => level.list) : undefined
  return say.wrongIndent(
    rangeIn(source, line),
    isItem ? '-' : key,
    line.indent,
    [...closed.slice(0, 1), ...(above === undefined ? [] : [above]), ...(deeper ? [top] : [])].map(like),
  )
}

/** What of the lines above matters to the next one. */
interface Before {
  readonly first: Line
  /** True where a value is still to come. */
  readonly opened: boolean
  /** The key of a text in a block that has not begun. */
  readonly scalar: say.Like | undefined
  /** True at the last line. */
  readonly isLast: boolean
}

/** Opens the levels that a line begins, and says what it leaves open. */
const enterLine = (levels: Level[], line: Line, closed: readonly Level[]): Pick<Before, 'opened' | 'scalar'> => {
  let [content, indent] = [line.text.slice(line.indent), line.indent]
  for (let dash = DASH.exec(content); dash !== null; dash = DASH.exec(content)) {
    enter(levels, { indent, name: '-', line, list: true, whole: false, closed })
    indent += dash[0].length
    content = content.slice(dash[0].length)
  }
  const found = KEY.exec(content)
  const value = found === null ? content : content.slice(found[0].length).trim()
  const opened = content === '' || (found !== null && OPENS.test(value))
  if (found !== null) enter(levels, { indent, name: found[1]!, line, list: false, whole: !opened, closed })
  return {
    opened,
    scalar: found !== null && BLOCK_SCALAR.test(value) ? { name: found[1]!, line: line.number, indent } : undefined,
  }
}

/**
 * The line that breaks the indentation of a text which is not YAML, or a key whose colon no space follows: one
 * sentence, where a parser
 * has several that blame the lines around it. Undefined where neither is the matter.
 */
export const findBadLine = (source: Source): Diagnostic | undefined => {
  const lines = linesOf(source)
  const tabbed = tabs(source, lines)
  const [first] = lines
  if (tabbed !== undefined || first === undefined) return tabbed
  const levels: Level[] = []
  let before: Before = { first, opened: true, scalar: undefined, isLast: false }
  for (const [i, line] of lines.entries()) {
    const closed: Level[] = []
    while (levels.length > 0 && levels.at(-1)!.indent > line.indent) closed.unshift(levels.pop()!)
    // A list may stand in the column of its key: the next key ends it.
    if (
      !DASH.test(line.text.slice(line.indent)) &&
      levels.at(-1)?.list === true &&
      levels.at(-2)?.indent === line.indent
    )
      closed.unshift(levels.pop()!)
    const problem = judge(source, line, { ...before, isLast: i === lines.length - 1 }, levels, closed)
    if (problem !== undefined) return problem
    before = { ...before, ...enterLine(levels, line, closed) }
  }
  return undefined
}

const rangeOfTight = (source: Source, line: Line): Range => {
  const end = line.start + line.indent + TIGHT.exec(line.text.slice(line.indent))![0].length
  return { source, start: end - 1, end: Math.min(end + 1, lineAt(source, end).end) }
}
