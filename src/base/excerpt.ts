import { graphemesOf, widthOf } from './columns.js'
import type { Range } from './diagnostic.js'
import { lineAt, type Line } from './position.js'

/** A line of a source as a terminal shows it, and the columns (0-based, `end` exclusive) to underline. */
export interface Excerpt {
  readonly line: number
  readonly text: string
  readonly start: number
  readonly end: number
}

const TAB = '    '
const HOSTILE = /(?![\u200c\u200d])[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu
const PLAIN = new RegExp(`(^\\r\u001b\\[K|[\n\t])|${HOSTILE.source}`, 'gu')
const COLORED = new RegExp(`(^\\r\u001b\\[K|\u001b\\[[0-9;]*m|[\n\t])|${HOSTILE.source}`, 'gu')

/**
 * Makes characters that drive or disorder a terminal visible, as `\u{1b}`: controls, bidi marks, invisible formats,
 * line separators,
 * lone surrogates. Every name and text that smelt shows to people goes through here.
 */
export const escapeControls = (text: string): string =>
  text.replace(HOSTILE, (c) =>
    c === '\n' ? '\\n' : c === '\t' ? '\\t' : c === '\r' ? '\\r' : `\\u{${c.codePointAt(0)!.toString(16)}}`,
  )

/**
 * {@link escapeControls} for a whole screen, the last guard in front of a terminal: line breaks and tabs stay, and of
 * smelt's own sequences
 * the one that redraws a line, where `text` begins with it, and colours, where there are any.
 */
export const escapeScreen = (text: string, color: boolean): string =>
  text.replace(color ? COLORED : PLAIN, (found, own: string | undefined) => own ?? escapeControls(found))

/** The same for JSON, as `\u001b`: a terminal shows it as it is, and a reader of JSON gets the character itself. */
export const escapeJson = (json: string): string =>
  json.replace(HOSTILE, (found) =>
    found === '\n'
      ? found
      : found
          .split('')
          .map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
          .join(''),
  )

interface Cell {
  readonly text: string
  readonly width: number
  readonly start: number
  readonly end: number
}

const toCell = (text: string, start: number): Cell => {
  const shown = text === '\t' ? TAB : escapeControls(text)
  return { text: shown, width: widthOf(shown), start, end: start + text.length }
}

const columnsOf = (cells: readonly Cell[]): number => cells.reduce((sum, cell) => sum + cell.width, 0)

// Only what can be seen around the place is cut into graphemes: a line may be the whole file.
const nearby = (
  text: string,
  line: Line,
  place: number,
  width: number,
): { cells: Cell[]; before: boolean; after: boolean } => {
  const from = Math.max(line.start, place - 2 * width)
  const to = Math.min(line.end, place + 2 * width)
  const cells = graphemesOf(text.slice(from, to)).map(({ segment, index }) => toCell(segment, from + index))
  return { cells, before: from > line.start, after: to < line.end }
}

const cut = (text: string, line: Line, start: number, end: number, width: number): Excerpt => {
  const { cells, before, after } = nearby(text, line, start, width)
  const first = cells.findIndex((cell) => cell.end > start)
  const at = first === -1 ? cells.length : first
  let from = 0
  let to = cells.length
  if (before || after || columnsOf(cells) > width) {
    const room = width - 2
    from = at
    for (let used = 0; from > 0 && (used += cells[from - 1]!.width) <= room / 3;) from--
    to = from
    for (let used = 0; to < cells.length && (used += cells[to]!.width) <= room;) to++
  }
  const left = before || from > 0 ? '…' : ''
  const right = after || to < cells.length ? '…' : ''
  const shown = cells.slice(from, to)
  const offset = left.length + columnsOf(shown.filter((cell) => cell.end <= start))
  const marked = columnsOf(shown.filter((cell) => cell.end > start && cell.start < end))
  return {
    line: line.number,
    text: left + shown.map((cell) => cell.text).join('') + right,
    start: offset,
    end: offset + Math.max(1, marked),
  }
}

/**
 * The lines that show a range: its line, or its first and last where it spans several. Tabs are widened, wide and
 * combining
 * characters counted as terminals draw them, and lines longer than `width` columns cut around the place.
 */
export const excerptsOf = ({ source, start, end }: Range, width: number): readonly Excerpt[] => {
  const first = lineAt(source, start)
  const last = lineAt(source, Math.max(start, end - 1))
  if (first.number === last.number) return [cut(source.text, first, start, end, width)]
  const indent = /^\s*/.exec(source.text.slice(last.start, Math.min(end, last.start + width)))![0].length
  return [cut(source.text, first, start, first.end, width), cut(source.text, last, last.start + indent, end, width)]
}
