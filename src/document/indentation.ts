import * as say from '../base/catalogue/indentation.js'
import type { Diagnostic, Range, Source } from '../base/diagnostic.js'
import { lineAt } from '../base/position.js'

/** A line of a block map or list that begins something: how far it is indented, and what it is called. */
interface Level {
  readonly indent: number
  readonly name: string
  readonly line: number
  readonly list: boolean
}

/** A line that counts: neither blank, nor a comment, nor inside a longer value. */
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

/** What quotes and brackets a text leaves open behind it. */
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
  return first === undefined ? undefined : say.tabIndent(rangeIn(source, first), tabbed.map((line) => line.number))
}

/** A level goes on with its latest line, or a new one begins. */
const enter = (levels: Level[], next: Level): void => {
  const last = levels.at(-1)
  if (last?.indent === next.indent && last.list === next.list) levels.pop()
  levels.push(next)
}

/**
 * The line that breaks the indentation of a text which is not YAML, or a key whose colon no space follows: one sentence, where a parser
 * has several that blame the lines around it. Undefined where neither is the matter.
 */
export const findBadLine = (source: Source): Diagnostic | undefined => {
  const lines = linesOf(source)
  const tabbed = tabs(source, lines)
  if (tabbed !== undefined) return tabbed
  const levels: Level[] = []
  let opened = true
  for (const line of lines) {
    const closed: Level[] = []
    while (levels.length > 0 && levels.at(-1)!.indent > line.indent) closed.unshift(levels.pop()!)
    let [content, indent] = [line.text.slice(line.indent), line.indent]
    if (!DASH.test(content) && levels.at(-1)?.list === true && levels.at(-1)!.indent === indent && levels.at(-2)?.indent === indent) levels.pop()
    const top = levels.at(-1)
    const entry = DASH.test(content) || KEY.test(content)
    const key = KEY.exec(content)?.[1]
    if (!entry) {
      if (TIGHT.test(content) && !(opened && lines.at(-1) === line)) return say.spaceAfterColon(rangeOfTight(source, line), TIGHT.exec(content)![1]!)
      opened = false
      continue
    }
    const like = (level: Level) => ({ name: level.name, line: level.line, indent: level.indent })
    if (top === undefined && closed.length > 0) return say.indentedStart(rangeIn(source, lines[0]!), closed[0]!.indent, { name: key ?? '-', line: line.number })
    const beside = top !== undefined && top.indent < indent && !opened
    const inList = top?.list === true && top.indent === indent && key !== undefined
    if (beside || inList) return say.wrongIndent(rangeIn(source, line), key, line.indent, [...closed.slice(0, 1), ...(inList || top === undefined ? [] : [top])].map(like))
    for (let dash = DASH.exec(content); dash !== null; dash = DASH.exec(content)) {
      enter(levels, { indent, name: '-', line: line.number, list: true })
      indent += dash[0].length
      content = content.slice(dash[0].length)
    }
    const found = KEY.exec(content)
    if (found !== null) enter(levels, { indent, name: found[1]!, line: line.number, list: false })
    opened = content === '' || (found !== null && OPENS.test(content.slice(found[0].length).trim()))
  }
  return undefined
}

const rangeOfTight = (source: Source, line: Line): Range => {
  const end = line.start + line.indent + TIGHT.exec(line.text.slice(line.indent))![0].length
  return { source, start: end - 1, end: Math.min(end + 1, lineAt(source, end).end) }
}
