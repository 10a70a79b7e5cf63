import type { Source } from './diagnostic.js'

/** A place as people count it: both 1-based, the column in code points. */
export interface Position {
  readonly line: number
  readonly column: number
}

/** One line of a source without its line break, in UTF-16 offsets; `number` is 1-based. */
export interface Line {
  readonly number: number
  readonly start: number
  readonly end: number
}

const starts = new WeakMap<Source, readonly number[]>()

const lineStarts = (source: Source): readonly number[] => {
  const known = starts.get(source)
  if (known !== undefined) return known
  const found = [0]
  for (let at = source.text.indexOf('\n'); at !== -1; at = source.text.indexOf('\n', at + 1)) found.push(at + 1)
  starts.set(source, found)
  return found
}

/**
 * The line that holds an offset; an offset on a line break belongs to the line it ends, one past the text to the last
 * line.
 */
export const lineAt = (source: Source, offset: number): Line => {
  const lines = lineStarts(source)
  let low = 0
  let high = lines.length - 1
  while (low < high) {
    const middle = (low + high + 1) >> 1
    if (lines[middle]! <= offset) low = middle
    else high = middle - 1
  }
  const start = lines[low]!
  const next = lines[low + 1]
  const brk = next === undefined ? source.text.length : next - 1
  return {
    number: low + 1,
    start,
    end: next !== undefined && source.text[brk - 1] === '\r' && brk > start ? brk - 1 : brk,
  }
}

/** Line and column of an offset. Costs one pass over the line. */
export const positionOf = (source: Source, offset: number): Position => {
  const { number, start } = lineAt(source, offset)
  let column = 1
  for (const _ of source.text.slice(start, offset)) column++
  return { line: number, column }
}
