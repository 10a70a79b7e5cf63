import { badSetFile, SET_FILE_PLACE } from '../base/catalogue/settings.js'
import type { Place, Source } from '../base/diagnostic.js'
import { failed, ok, type Result } from '../base/result.js'
import { readCsv } from '../document/csv.js'

/** Beside the rows, which callers of the library write as plain objects. */
const places = new WeakMap<Readonly<Record<string, string>>, Place>()

/** Where a row is written: a line of a file, or the option for a row that is from none. */
export const placeOfRow = (row: Readonly<Record<string, string>>): Place => places.get(row) ?? SET_FILE_PLACE

/**
 * Reads a CSV file of settings: the first line names params, each line below is a setting. A param whose value is left
 * empty keeps the one it has without the file.
 */
export const readSetFile = (source: Source): Result<readonly Readonly<Record<string, string>>[]> => {
  const csv = readCsv(source)
  if (csv.type === 'unclosed') return failed(badSetFile({ type: 'quote' }, { type: 'text', range: csv.range }))
  const [head, ...rows] = csv.rows
  if (head === undefined || rows.length === 0)
    return failed(badSetFile({ type: 'empty' }, { type: 'file', path: source.path }))
  const only = head.cells.length === 1 ? head.cells[0]! : ''
  if (/[;\t]/.test(only))
    return failed(
      badSetFile(
        { type: 'separator', found: only.includes(';') ? 'semicolons' : 'tabs' },
        { type: 'text', range: head.range },
      ),
    )
  const names = head.cells.map((name) => name.trim())
  const wrong = names.find((name, i) => name === '' || names.indexOf(name) !== i)
  if (wrong !== undefined) return failed(badSetFile({ type: 'name', name: wrong }, { type: 'text', range: head.range }))
  const ragged = rows.filter(({ cells }) => cells.length !== names.length)
  if (ragged.length > 0)
    return failed(
      ...ragged.map(({ cells, range }) =>
        badSetFile({ type: 'cells', found: cells.length, expected: names.length }, { type: 'text', range }),
      ),
    )
  return ok(
    rows.map(({ cells, range }) => {
      const row = Object.fromEntries(names.flatMap((name, i) => (cells[i] === '' ? [] : [[name, cells[i]!] as const])))
      places.set(row, { type: 'text', range })
      return row
    }),
  )
}
