import type { Range, Source } from '../base/diagnostic.js'

/** A row of a CSV file: its values, and where it is written. */
export interface CsvRow {
  readonly cells: readonly string[]
  readonly range: Range
}

/** The rows of a CSV file, or where a quoted value begins that does not end. */
export type Csv =
  | { readonly type: 'rows'; readonly rows: readonly CsvRow[] }
  | { readonly type: 'unclosed'; readonly range: Range }

/** A quoted value or a plain one, and what ends it. */
const CELL = /(?:[ \t]*"((?:[^"]|"")*)"[ \t]*|([^",\r\n][^,\r\n]*)?)(,|\r?\n|\r|$)/y

/** Reads comma-separated values as RFC 4180 has them; empty lines are left out, and spaces around values. */
export const readCsv = (source: Source): Csv => {
  const { text } = source
  const rows: CsvRow[] = []
  let cells: string[] = []
  let start = text.startsWith('\ufeff') ? 1 : 0
  for (let at = start; at < text.length;) {
    CELL.lastIndex = at
    const found = CELL.exec(text)
    if (found === null) return { type: 'unclosed', range: { source, start: at, end: at + 1 } }
    const [, quoted, plain = '', end] = found
    cells.push(quoted?.replaceAll('""', '"') ?? plain.trim())
    at = CELL.lastIndex
    // A comma at the very end has an empty value behind it.
    if (end === ',' && at === text.length) cells.push('')
    if (end === ',' && at < text.length) continue
    if (cells.length > 1 || cells[0] !== '')
      rows.push({ cells, range: { source, start, end: at - (end === ',' ? 0 : end!.length) } })
    cells = []
    start = at
  }
  return { type: 'rows', rows }
}

/** Rows as a CSV file; values that need quotes have them. */
export const formatCsv = (rows: readonly (readonly string[])[]): string => {
  const cell = (text: string): string => (/[",\r\n]|^\s|\s$/.test(text) ? `"${text.replaceAll('"', '""')}"` : text)
  return rows.map((row) => `${row.map(cell).join(',')}\n`).join('')
}
