import { blake3 } from '../base/digest.js'

/**
 * Which row of a tensor each row of a view is. A row that is not stored is {@link NO_ROW} or {@link ZERO_ROW}. Views of
 * one shape are put together by adding them: of the rows at one place all but one are `NO_ROW`.
 */
export interface RowMap {
  readonly rows: Int32Array
  /** Of `rows`: maps of one digest are equal. */
  readonly digest: string
  /** How many rows are stored. */
  readonly stored: number
  /** The greatest row, or a code below 0 where none is stored. */
  readonly last: number
  /** How many rows at the beginning are those of the tensor in their order. */
  readonly ordered: number
}

/** A row of −0, which leaves every number as it is that it is added to, 0 and −0 too. */
export const NO_ROW = -1
/** A row of 0. */
export const ZERO_ROW = -2

/** Describes rows, which must not change any more. Throws for a row that is neither a number nor a code. */
export const toRowMap = (rows: Int32Array): RowMap => {
  let [stored, last, ordered] = [0, NO_ROW, 0]
  for (let i = 0; i < rows.length; i++) {
    const row = rows[i]!
    if (row < ZERO_ROW) throw new Error(`${row} is no row`)
    if (row >= 0) stored++
    if (row > last) last = row
    if (row === i && ordered === i) ordered++
  }
  const bytes = new Uint8Array(rows.length * 4)
  const view = new DataView(bytes.buffer)
  rows.forEach((row, i) => view.setInt32(4 * i, row, true))
  return { rows, digest: Buffer.from(blake3(bytes)).toString('hex', 0, 16), stored, last, ordered }
}

/** Rows of which each has `width` numbers, from row `from` of a view on. */
interface Rows {
  readonly width: number
  readonly from: number
  readonly rows: Int32Array
}

/**
 * Calls `visit` with the first number and the count of every run of adjacent numbers in elements `from` to `to`; with
 * the code of the row in place of the first number where rows are not stored.
 */
export const rowRuns = (
  { width, from: skipped, rows }: Rows,
  from: number,
  to: number,
  visit: (first: number, count: number) => void,
): void => {
  for (let element = from; element < to;) {
    const row = Math.floor(element / width)
    const source = rows[row - skipped]!
    let next = row + 1
    while (next * width < to && rows[next - skipped] === (source < 0 ? source : source + next - row)) next++
    const count = Math.min(to, next * width) - element
    visit(source < 0 ? source : source * width + element - row * width, count)
    element += count
  }
}
