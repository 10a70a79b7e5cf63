import { escapeControls } from '../../base/excerpt.js'
import { greatest } from '../../base/lists.js'
import type { Column, Fact, ReportDocument, Row, Section } from '../../operators/report-document.js'
import { widthOf } from '../../base/columns.js'
import { align, cutMiddle, paint, wrap, type Look } from '../text.js'
import { formatShort, formatValue } from './format.js'

const INDENT = '  '
const SHADES = [' ', '░', '▒', '▓', '█']
/** Columns that a heat map may have to be written in numbers; a finer one is written in shades. */
const NUMBERED_COLUMNS = 14
/** The least room that the names of a table get before its numbers go to a line of their own. */
const LEAST_NAME = 24
const BAR = 30

const facts = (list: readonly Fact[], look: Look): string[] => {
  const head = greatest(
    list.map((fact) => widthOf(fact.label)),
    0,
  )
  return list.flatMap(({ label, value, format }) =>
    wrap(formatValue(value, format), look.width - head - 4).map(
      (line, i) => `${INDENT}${paint(look, 'faint', (i === 0 ? label : '').padEnd(head))}  ${line}`,
    ),
  )
}

/**
 * Rows below a heading; the first column is cut to the room there is, or stands on a line of its own where there is
 * hardly any.
 */
const table = (columns: readonly Column[], rows: readonly Row[], look: Look): string[] => {
  const cells = rows.map((row) => row.cells.map((cell, i) => formatValue(cell, columns[i]!.format)))
  const right = columns.flatMap(({ format }, i) => (format === 'text' || i === 0 ? [] : [i - 1]))
  const rest = align([columns.slice(1).map((c) => c.label), ...cells.map((row) => row.slice(1))], right)
  const names = [columns[0]!.label, ...cells.map((row) => row[0]!)]
  const room = look.width - INDENT.length - 2 - greatest(rest.map(widthOf))
  const longest = greatest(names.map(widthOf))
  const beside = room >= Math.min(longest, LEAST_NAME)
  const width = Math.min(longest, room)
  const groups = rows.map((row) => row.group)
  return names.flatMap((name, i) => {
    const own = groups[i - 1]
    const group =
      i === 0 || own === undefined || own === groups[i - 2] ? [] : ['', `${INDENT}${paint(look, 'title', own)}`]
    const shown = beside ? cutMiddle(name, width) : name
    const lines = beside
      ? [`${INDENT}${shown}${' '.repeat(width - widthOf(shown))}  ${rest[i]!}`.trimEnd()]
      : [`${INDENT}${cutMiddle(name, look.width - 2)}`, `${INDENT}${INDENT}${rest[i]!}`]
    return i === 0 ? [paint(look, 'faint', beside ? lines[0]! : lines.at(-1)!)] : [...group, ...lines]
  })
}

const heatmap = (s: Extract<Section, { type: 'heatmap' }>, look: Look): string[] => {
  if (s.columns.length <= NUMBERED_COLUMNS) {
    const rows = s.values.map((row, i) => [s.rows[i]!, ...row.map((v) => (v === null ? '' : formatShort(v, s.format)))])
    const room = Math.max(8, look.width - INDENT.length - s.columns.length * 8)
    return align(
      [['', ...s.columns], ...rows].map(([name, ...row]) => [cutMiddle(name!, room), ...row]),
      s.columns.map((_, i) => i + 1),
      INDENT,
    )
  }
  const step = (value: number): number =>
    Math.min(SHADES.length - 1, Math.floor(((value - s.low) / (s.high - s.low || 1)) * SHADES.length))
  const head = greatest(s.rows.map(widthOf))
  return [
    ...s.values.map((row, i) =>
      `${INDENT}${s.rows[i]!.padStart(head)} ${row.map((v) => (v === null ? '·' : SHADES[step(v)]!)).join('')}`.trimEnd(),
    ),
    `${INDENT}${'from'.padStart(head)} ${formatValue(s.low, s.format)} (blank) to ${formatValue(s.high, s.format)} (${SHADES.at(-1)})`,
  ]
}

const bars = (
  items: readonly { readonly label: string; readonly value: number | null; readonly text: string }[],
  look: Look,
): string[] => {
  const most = greatest(
    items.map(({ value }) => Math.abs(value ?? 0)),
    0,
  )
  const room = Math.max(
    8,
    look.width -
      INDENT.length -
      BAR -
      4 -
      greatest(
        items.map(({ text }) => widthOf(text)),
        0,
      ),
  )
  return align(
    items.map(({ label, value, text }) => [
      cutMiddle(label, room),
      text,
      '█'.repeat(most === 0 || value === null ? 0 : Math.round((Math.abs(value) / most) * BAR)),
    ]),
    [1],
    INDENT,
  )
}

const binsOf = ({ low, high, counts }: Extract<Section, { type: 'histogram' }>) =>
  counts.map((value, i) => ({
    label: formatValue(low + ((high - low) * i) / counts.length, 'number'),
    value,
    text: formatValue(value, 'count'),
  }))

const body = (section: Section, look: Look): string[] => {
  switch (section.type) {
    case 'facts':
      return facts(section.facts, look)
    case 'table':
      return table(section.columns, section.rows, look)
    case 'heatmap':
      return heatmap(section, look)
    case 'curve':
      return bars(
        section.points.map((p) => ({ ...p, text: formatValue(p.value, section.format) })),
        look,
      )
    case 'bars':
      return bars(
        section.bars.map((b) => ({ ...b, text: formatValue(b.value, section.format) })),
        look,
      )
    case 'histogram':
      return bars(binsOf(section), look)
    case 'tags':
      return bars(
        section.tags.map(({ label, count }) => ({ label, value: count, text: formatValue(count, 'count') })),
        look,
      )
  }
}

/** A report with all control characters escaped, in names, tags, labels and notes from files. */
const escapeTexts = <T>(value: T): T => {
  if (typeof value === 'string') return escapeControls(value) as T
  if (Array.isArray(value)) return value.map(escapeTexts) as T
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([key, own]) => [key, escapeTexts(own)])) as T
}

/** A report for a terminal or a text file, without control characters. */
export const renderReportText = (report: ReportDocument, look: Look): string => renderEscaped(escapeTexts(report), look)

const renderEscaped = (document: ReportDocument, look: Look): string =>
  `${[
    paint(look, 'title', document.title),
    ...wrap(document.subject, look.width, INDENT).map((line) => (line.startsWith(INDENT) ? line : INDENT + line)),
    ...facts(document.facts, look),
    ...document.sections.flatMap((section) => [
      '',
      paint(look, 'title', section.title),
      ...(section.note === undefined ? [] : [`${INDENT}${paint(look, 'faint', section.note)}`]),
      ...body(section, look),
    ]),
  ].join('\n')}\n`
