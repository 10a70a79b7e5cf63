import { escapeControls } from '../../base/excerpt.js'
import { widthOf } from '../../base/columns.js'
import { cutEnd, cutMiddle, STYLES, type Style } from '../text.js'

/** How a stretch of a line looks: plain, one of the sixteen colours by what it means, or the line that is selected. */
export type Tone = Style | 'plain' | 'busy' | 'chosen'

/** A stretch of a line. Its text holds no control characters. */
export interface Span {
  readonly text: string
  readonly tone: Tone
}

/** One line of the screen. */
export type Line = readonly Span[]

/** A row of the screen: one line, or lines side by side that change at different times. */
export type Row = readonly Line[]

/** Only codes that every terminal with sixteen colours has; none says what a glyph or a word does not say too. */
const SGR: Readonly<Record<Tone, string>> = { ...STYLES, plain: '', busy: '36', chosen: '7' }

/** A stretch of text that comes from outside: control characters in it are written out. */
export const span = (text: string, tone: Tone = 'plain'): Span => ({ text: escapeControls(text), tone })

/** Terminal columns of a line. */
export const lineWidth = (line: Line): number => line.reduce((n, { text }) => n + widthOf(text), 0)

/** A text in exactly `width` columns: cut in the middle, or padded (on the left where `right`). */
export const fitText = (text: string, width: number, right = false): string => {
  const cut = cutMiddle(escapeControls(text), Math.max(0, width))
  const pad = ' '.repeat(Math.max(0, width - widthOf(cut)))
  return right ? pad + cut : cut + pad
}

/**
 * A tensor's name in exactly `width` columns. If it is too long, its words are shortened to their first letters, the
 * longest first, so that its numbers and its end, which distinguish it, stay; the middle is cut only if that is not
 * enough.
 */
export const fitName = (name: string, width: number): string => {
  const words = escapeControls(name).split('.')
  const order = words
    .slice(0, -2)
    .flatMap((word, i) => (/^\d*$/.test(word) ? [] : [{ i, size: word.length }]))
    .sort((x, y) => y.size - x.size)
  for (const { i } of order) {
    if (widthOf(words.join('.')) <= width) break
    words[i] = [...words[i]!][0]!
  }
  return fitText(words.join('.'), width)
}

/** A line cut at `width` columns. */
export const cutLine = (line: Line, width: number): Line => {
  const out: Span[] = []
  let room = width
  for (const { text, tone } of line) {
    if (room <= 0) break
    const size = widthOf(text)
    out.push({ text: cutEnd(text, room), tone })
    room -= size
  }
  return out
}

/** A line of exactly `width` columns. */
export const fitLine = (line: Line, width: number): Line => {
  const cut = cutLine(line, width)
  const missing = width - lineWidth(cut)
  return missing > 0 ? [...cut, { text: ' '.repeat(missing), tone: 'plain' }] : cut
}

/** Lines of exactly `height` rows of `width` columns. */
export const fitBlock = (lines: readonly Line[], width: number, height: number): readonly Line[] =>
  Array.from({ length: Math.max(0, height) }, (_, i) => fitLine(lines[i] ?? [], width))

/** A line of `width` columns with a left and a right part; the left one is cut if needed. */
export const spread = (left: Line, right: Line, width: number): Line => {
  const room = Math.max(0, width - lineWidth(right) - 1)
  return cutLine([...fitLine(left, room), { text: ' ', tone: 'plain' }, ...right], width)
}

/** The line as the selected one. Without colour a mark at its start has to say so. */
export const choose = (line: Line): Line => line.map(({ text }) => ({ text, tone: 'chosen' as const }))

/** A line as text, with or without colours; colours are reset at its end. */
export const paintLine = (line: Line, color: boolean): string =>
  line
    .map(({ text, tone }) => (color && SGR[tone] !== '' && text !== '' ? `\u001b[${SGR[tone]}m${text}\u001b[0m` : text))
    .join('')
