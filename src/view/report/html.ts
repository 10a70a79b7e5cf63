import { chartWords } from '../../base/catalogue/dashboard.js'
import type { Column, Fact, ReportDocument, Row, Section } from '../../operators/report-document.js'
import { plural } from '../text.js'
import { drawChart, isDrawable, type ChartStyle } from './charts.js'
import { escapeMarkup, formatValue } from './format.js'

/** Charts take the colour of the text around them, so that one page serves light and dark. */
const STYLE: ChartStyle = { ink: 'currentColor', font: 'system-ui, sans-serif' }

const CSS = `
:root { color-scheme: light dark; --ink: #1c1e21; --paper: #ffffff; --faint: #5b616b; --line: #dcdfe4; --panel: #f5f6f8 }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e8eb; --paper: #15171a; --faint: #9aa1ac; --line: #32363d; --panel: #1d2024 } }
* { box-sizing: border-box }
body { margin: 0 auto; max-width: 72rem; padding: 2rem 1.5rem 4rem; font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper) }
h1 { margin: 0; font-size: 1.7rem; line-height: 1.2 }
h2 { margin: 2.5rem 0 .6rem; font-size: 1.15rem; overflow-wrap: anywhere }
p { margin: .3rem 0; color: var(--faint); overflow-wrap: anywhere }
dl { display: grid; grid-template-columns: repeat(auto-fill, minmax(11rem, 1fr)); gap: .6rem; margin: 1.2rem 0 0 }
dl > div { padding: .55rem .8rem; border-radius: 6px; background: var(--panel) }
dt { font-size: .8rem; color: var(--faint) }
dd { margin: 0; font-variant-numeric: tabular-nums; overflow-wrap: anywhere }
.scroll { overflow-x: auto }
.scroll svg { display: block }
table { border-collapse: collapse; font-size: .87rem; font-variant-numeric: tabular-nums }
th, td { padding: .2rem 1.1rem .2rem 0; border-bottom: 1px solid var(--line); text-align: left; white-space: nowrap }
th { font-weight: 500; color: var(--faint) }
.n { text-align: right }
td:first-child:not(.wordy td) { font-family: ui-monospace, monospace; font-size: .82rem }
td.wrap { white-space: normal; min-width: 16rem; max-width: 34rem }
[title] { cursor: help; text-decoration: underline dotted var(--faint); text-underline-offset: 3px }
.wordy td { white-space: normal; overflow-wrap: anywhere }
details { border-bottom: 1px solid var(--line); padding: .25rem 0 }
summary { cursor: pointer; padding: .2rem 0 }
summary span { color: var(--faint); margin-left: .6rem }
:focus-visible { outline: 2px solid #3987e5; outline-offset: 2px }
`

/** Characters that are shown of a text that may be shortened. */
const MOST_SHOWN = 44

const valueOf = ({ value, format }: Fact): string => escapeMarkup(formatValue(value, format))

const facts = (list: readonly Fact[]): string =>
  `<dl>${list.map((f) => `<div><dt>${escapeMarkup(f.label)}</dt><dd>${valueOf(f)}</dd></div>`).join('')}</dl>`

/** Facts that may be long texts. */
const wordy = (list: readonly Fact[]): string => {
  const rows = list.map((f) => `<tr><th scope="row">${escapeMarkup(f.label)}</th><td>${valueOf(f)}</td></tr>`)
  return `<table class="wordy"><tbody>\n${rows.join('\n')}\n</tbody></table>`
}

/** What may be wider than the screen, in a box of its own that keys can scroll. */
export const scrolling = (label: string, content: string): string =>
  `<div class="scroll" tabindex="0" role="region" aria-label="${escapeMarkup(label)}">${content}</div>`

const rowsTable = (columns: readonly Column[], rows: readonly Row[], caption: string): string => {
  const kind = ({ format }: Column): string => (format === 'text' ? '' : ' class="n"')
  const head = columns.map((c) => `<th scope="col"${kind(c)}>${escapeMarkup(c.label)}</th>`).join('')
  const cell = (value: string | number | null, i: number): string => {
    const column = columns[i]!
    const text = formatValue(value, column.format)
    if (column.long === 'wrap') return `<td class="wrap">${escapeMarkup(text)}</td>`
    if (column.long !== 'shorten' || text.length <= MOST_SHOWN) return `<td${kind(column)}>${escapeMarkup(text)}</td>`
    return `<td><span title="${escapeMarkup(text)}" tabindex="0">${escapeMarkup(`${text.slice(0, MOST_SHOWN - 1)}…`)}</span></td>`
  }
  const lines = rows.map((row) => `<tr>${row.cells.map(cell).join('')}</tr>`)
  return scrolling(caption, `<table><thead><tr>${head}</tr></thead><tbody>\n${lines.join('\n')}\n</tbody></table>`)
}

/** Rows that belong to groups are folded away by group: a model has thousands of them. */
const table = ({ columns, rows, title }: Extract<Section, { type: 'table' }>): string => {
  const groups = new Map<string, Row[]>()
  for (const row of rows) groups.set(row.group ?? '', [...(groups.get(row.group ?? '') ?? []), row])
  return [...groups]
    .map(([group, members]) => {
      if (group === '') return rowsTable(columns, members, title)
      const summary = `<summary>${escapeMarkup(group)}<span>${plural(members.length, 'row')}</span></summary>`
      return `<details>${summary}\n${rowsTable(columns, members, `${title} of ${group}`)}</details>`
    })
    .join('\n')
}

/** What a chart says to those who cannot see it; the numbers are in the tables. */
const describe = (section: Section): string => {
  switch (section.type) {
    case 'heatmap': {
      const { rows, columns, low, high, format } = section
      return chartWords.heatmap(rows.length, columns.length, formatValue(low, format), formatValue(high, format))
    }
    case 'curve':
      return chartWords.curve(plural(section.points.length, 'point'))
    case 'bars':
      return `${plural(section.bars.length, 'bar')}`
    case 'histogram':
      return chartWords.histogram(formatValue(section.low, 'number'), formatValue(section.high, 'number'))
    case 'tags':
      return chartWords.tags(plural(section.tags.length, 'tag'))
    default:
      return ''
  }
}

/** Every tag, where a picture shows the first. */
const allTags = (section: Section): string =>
  section.type !== 'tags'
    ? ''
    : table({
        type: 'table',
        title: section.title,
        columns: [
          { label: 'tag', format: 'text' },
          { label: 'images', format: 'count' },
        ],
        rows: section.tags.map(({ label, count }) => ({ group: 'All tags', cells: [label, count] })),
      })

const body = async (section: Section, id: string): Promise<string> => {
  if (isDrawable(section)) {
    const { svg } = await drawChart(section, STYLE, id)
    const label = escapeMarkup(`${section.title}. ${describe(section)}.`)
    return `${scrolling(
      section.title,
      svg.replace('<svg ', () => `<svg role="img" aria-label="${label}" `),
    )}${allTags(section)}`
  }
  return section.type === 'facts' ? wordy(section.facts) : table(section)
}

/**
 * A report as one page that needs nothing else: no script, no font, no request; light or dark as the reader's system
 * is. `before` is markup that stands before the sections.
 */
export const renderReportHtml = async (document: ReportDocument, before = ''): Promise<string> => {
  const sections: string[] = []
  for (const [i, section] of document.sections.entries()) {
    const note = section.note === undefined ? '' : `<p>${escapeMarkup(section.note)}</p>`
    sections.push(`<section><h2>${escapeMarkup(section.title)}</h2>${note}\n${await body(section, `s${i}`)}</section>`)
  }
  return [
    '<!doctype html>',
    '<html lang="en">',
    '<head>',
    '<meta charset="utf-8">',
    '<meta name="viewport" content="width=device-width, initial-scale=1">',
    `<title>${escapeMarkup(`${document.title}: ${document.subject}`)}</title>`,
    `<style>${CSS}</style>`,
    '</head>',
    '<body>',
    '<main>',
    `<header><h1>${escapeMarkup(document.title)}</h1><p>${escapeMarkup(document.subject)}</p>\n${facts(document.facts)}</header>`,
    ...(before === '' ? [] : [before]),
    ...sections,
    '</main>',
    '</body>',
    '</html>',
    '',
  ].join('\n')
}
