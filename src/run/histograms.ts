import { cellCount, TALLY_FIELDS, type Cells } from '../graph/expression.js'

/** The fields of a cell, by their place in it. */
const [COUNT, SUM, SQUARES, LEAST, GREATEST] = [0, 1, 2, 3, 4]

/** The cells of a tally before anything is counted in them. */
export const emptyTally = (cells: Cells<unknown>): Float64Array<ArrayBuffer> => {
  const values = new Float64Array(cellCount(cells) * TALLY_FIELDS)
  for (let at = 0; at < values.length; at += TALLY_FIELDS) {
    values[at + LEAST] = Infinity
    values[at + GREATEST] = -Infinity
  }
  return values
}

const addTo = (values: Float64Array, cell: number, x: number): void => {
  const at = cell * TALLY_FIELDS
  values[at + COUNT]! += 1
  values[at + SUM]! += x
  values[at + SQUARES]! += x * x
  if (x < values[at + LEAST]!) values[at + LEAST] = x
  if (x > values[at + GREATEST]!) values[at + GREATEST] = x
}

const known = new WeakMap<Cells<number>, Uint32Array>()

/** The column of cells that each column of a matrix lies in, worked out once for all pieces of a tensor. */
const columnCells = (cells: Extract<Cells<number>, { readonly by: 'place' }>): Uint32Array => {
  const { columns, gridColumns } = cells
  const table =
    known.get(cells) ??
    Uint32Array.from({ length: columns }, (_, column) => Math.floor((column * gridColumns) / columns))
  known.set(cells, table)
  return table
}

/**
 * Counts elements in: `x[0]` is element number `start` of the tensor. One after the other, so that cutting the tensor
 * changes
 * no bit within a segment.
 */
export const addElements = (values: Float64Array, cells: Cells<number>, x: Float32Array, start: number): void => {
  if (cells.by === 'value') {
    const { low, high, count } = cells
    const steps = high > low ? count / (high - low) : 0
    for (const value of x) {
      if (Number.isFinite(value))
        addTo(values, Math.min(count - 1, Math.max(0, Math.floor((value - low) * steps))), value)
    }
    return
  }
  const { rows, columns, gridRows, gridColumns } = cells
  const cellOf = columnCells(cells)
  for (let i = 0; i < x.length;) {
    const [row, column] = [Math.floor((start + i) / columns), (start + i) % columns]
    const first = Math.floor((row * gridRows) / rows) * gridColumns
    const length = Math.min(columns - column, x.length - i)
    for (let k = 0; k < length; k++) {
      const value = x[i + k]!
      if (Number.isFinite(value)) addTo(values, first + cellOf[column + k]!, value)
    }
    i += length
  }
}

/** Adds the cells that a later part of the tensor gave to those of all before it. */
export const addTally = (values: Float64Array, more: Float64Array): void => {
  for (let at = 0; at < values.length; at += TALLY_FIELDS) {
    for (const field of [COUNT, SUM, SQUARES]) values[at + field]! += more[at + field]!
    values[at + LEAST] = Math.min(values[at + LEAST]!, more[at + LEAST]!)
    values[at + GREATEST] = Math.max(values[at + GREATEST]!, more[at + GREATEST]!)
  }
}
