import { chartWords } from '../../base/catalogue/dashboard.js'
import { greatest } from '../../base/lists.js'
import type { Column, Fact, ReportDocument, Row, Section } from '../../operators/report-document.js'
import { cutMiddle, plural } from '../text.js'
import { drawChart, isDrawable, type ChartStyle } from './charts.js'
import { escapeMarkup, formatValue } from './format.js'

/** The family that pictures are drawn with: Roboto where it is, as in the PNG, and what is like it elsewhere. */
const STYLE: ChartStyle = { ink: '#1c1e21', font: 'Roboto, Segoe UI, Helvetica Neue, Arial, sans-serif' }
const [MARGIN, LINE, GAP, LEAST_WIDTH] = [28, 18, 22, 640]
/** Pixels between the columns of a table. */
const GUTTER = 18
/** Characters of one fact that a picture has room for. */
const LONGEST = 110
/** Rows that a table may have to be drawn in a picture. */
const MOST_ROWS = 60

/** A stretch of a picture: its elements, drawn from (0, 0), and the room they take. */
interface Piece {
  readonly markup: string
  readonly width: number
  readonly height: number
}

/** Pixels that a text of 12 pixels takes, for room to be left; nearly all texts take less. */
const widthOf = (text: string): number => 6.8 * [...text].length

const FAINT = ' opacity="0.7"'

const text = (x: number, y: number, content: string, more = ''): string =>
  `<text x="${Math.round(x)}" y="${Math.round(y)}"${more}>${escapeMarkup(content)}</text>`

const heading = (title: string, note: string | undefined): Piece => ({
  markup: `${text(0, 14, title, ' font-size="15" font-weight="500"')}${note === undefined ? '' : text(0, 32, note, FAINT)}`,
  width: Math.max(1.3 * widthOf(title), widthOf(note ?? '')),
  height: note === undefined ? 24 : 42,
})

const drawFacts = (facts: readonly Fact[]): Piece => {
  const head =
    greatest(
      facts.map((f) => widthOf(f.label)),
      0,
    ) + 12
  const values = facts.map((f) => cutMiddle(formatValue(f.value, f.format), LONGEST))
  return {
    markup: facts
      .map((f, i) => text(0, 13 + i * LINE, f.label, FAINT) + text(head, 13 + i * LINE, values[i]!))
      .join(''),
    width: head + greatest(values.map(widthOf), 0),
    height: facts.length * LINE,
  }
}

const drawTable = (columns: readonly Column[], rows: readonly Row[]): Piece => {
  if (rows.length > MOST_ROWS) {
    const elsewhere = chartWords.longTable(plural(rows.length, 'row'))
    return { markup: text(0, 13, elsewhere, FAINT), width: widthOf(elsewhere), height: LINE }
  }
  const cells = [
    columns.map((c) => c.label),
    ...rows.map((row) => row.cells.map((cell, i) => formatValue(cell, columns[i]!.format))),
  ]
  const widths = columns.map((_, i) => greatest(cells.map((row) => widthOf(row[i]!))) + GUTTER)
  const starts = widths.map((_, i) => widths.slice(0, i).reduce((n, w) => n + w, 0))
  const draw = (row: readonly string[], y: number, more: string): string =>
    row
      .map((cell, i) => {
        const left = i === 0 || columns[i]!.format === 'text'
        return left
          ? text(starts[i]!, y, cell, more)
          : text(starts[i]! + widths[i]! - GUTTER, y, cell, `${more} text-anchor="end"`)
      })
      .join('')
  const width = widths.reduce((n, w) => n + w, 0)
  return {
    markup: [
      ...cells.map((row, i) => draw(row, 13 + i * LINE, i === 0 ? FAINT : '')),
      `<path d="M0 ${LINE}H${Math.round(width - GUTTER)}" stroke="${STYLE.ink}" opacity="0.25"/>`,
    ].join(''),
    width,
    height: cells.length * LINE + 4,
  }
}

const body = async (section: Section, id: string): Promise<Piece> => {
  if (isDrawable(section)) {
    const { svg, width, height } = await drawChart(section, STYLE, id)
    return { markup: svg, width, height }
  }
  return section.type === 'facts' ? drawFacts(section.facts) : drawTable(section.columns, section.rows)
}

const stack = (pieces: readonly Piece[]): Piece => {
  let height = 0
  const placed = pieces.map((piece) => {
    const at = height
    height += piece.height
    return `<g transform="translate(0 ${Math.round(at)})">${piece.markup}</g>`
  })
  return {
    markup: placed.join('\n'),
    width: greatest(
      pieces.map((p) => p.width),
      0,
    ),
    height,
  }
}

const spaced = (piece: Piece): Piece => ({ ...piece, height: piece.height + GAP })

/** A report as one picture: its facts, charts and short tables one below the other. Every text in it is a text. */
export const renderReportSvg = async (document: ReportDocument): Promise<string> => {
  const sections: Piece[] = []
  for (const [i, section] of document.sections.entries()) {
    sections.push(spaced(stack([heading(section.title, section.note), await body(section, `s${i}`)])))
  }
  const all = stack([
    {
      markup: text(0, 20, document.title, ' font-size="22" font-weight="500"') + text(0, 42, document.subject, FAINT),
      width: widthOf(document.subject),
      height: 60,
    },
    spaced(drawFacts(document.facts)),
    ...sections,
  ])
  const [width, height] = [
    Math.ceil(Math.max(LEAST_WIDTH, all.width + 2 * MARGIN)),
    Math.ceil(all.height + 2 * MARGIN - GAP),
  ]
  const size = `width="${width}" height="${height}"`
  const look = `font-family="${STYLE.font}" font-size="12" fill="${STYLE.ink}"`
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" ${size} viewBox="0 0 ${width} ${height}" role="img" ${look}>`,
    `<title>${escapeMarkup(`${document.title}: ${document.subject}`)}</title>`,
    `<rect ${size} fill="#ffffff"/>`,
    `<g transform="translate(${MARGIN} ${MARGIN})">${all.markup}</g>`,
    '</svg>',
    '',
  ].join('\n')
}
