import type { Diagnostic } from '../base/diagnostic.js'
import { blockRange, visitRuns, type BlockGrid } from '../tensor/block-grid.js'
import { readNumbers } from './stored-numbers.js'
import type { BlockNumbers, GeneratedInputOrder, TakeOrder } from './unit.js'

type SpreadOrder = GeneratedInputOrder & { readonly type: 'spread' }
type TotalsOrder = TakeOrder & { readonly stage: 'block-totals' }

/** The numbers of blocks that a unit is fed, for each of its uses. */
export interface BlockVectors {
  /** Takes in the numbers for elements `start` to `end`; stored ones are read. */
  load(use: number, order: SpreadOrder, start: number, end: number): Diagnostic | undefined
  /** Writes the number of the block of each element from `start` on. */
  fill(use: number, out: Float32Array, start: number): void
}

interface Loaded {
  readonly grid: BlockGrid
  readonly first: number
  readonly numbers: Float32Array
}

/** True for a matrix whose blocks are its columns, in which no two adjacent elements share a block. */
const isByColumn = ({ shape, blocks }: BlockGrid): boolean =>
  shape.length === 2 && blocks[0] === shape[0] && blocks[1] === 1

/** Holds the vectors of one unit at a time; of each only the numbers of the unit's blocks. */
export const createBlockVectors = (open: (path: string) => number): BlockVectors => {
  const uses = new Map<number, Loaded>()
  return {
    load: (use, { from, grid }, start, end) => {
      const range = blockRange(grid, start, end)
      const numbers = 'numbers' in from ? from.numbers : readNumbers(open(from.file), from, range.first, range.end)
      if ('code' in numbers) return numbers
      uses.set(use, { grid, first: range.first, numbers })
      return undefined
    },
    fill: (use, out, start) => {
      const { grid, first, numbers } = uses.get(use)!
      if (isByColumn(grid)) fillColumns(out, numbers, start)
      else
        visitRuns(
          grid,
          start,
          out.length,
          (at, length, block) => void out.fill(numbers[block - first]!, at, at + length),
        )
    },
  }
}

const fillColumns = (out: Float32Array, numbers: Float32Array, start: number): void => {
  for (let at = 0; at < out.length;) {
    const column = (start + at) % numbers.length
    const length = Math.min(out.length - at, numbers.length - column)
    out.set(numbers.subarray(column, column + length), at)
    at += length
  }
}

/** The number of a block before anything is added. */
export const startOf = (measure: TotalsOrder['measure']): number => (measure === 'max' ? -Infinity : 0)

/** The numbers of blocks before anything is added. */
export const emptyBlocks = (
  grid: BlockGrid,
  start: number,
  end: number,
  measure: TotalsOrder['measure'] = 'sum',
): BlockNumbers => {
  const range = blockRange(grid, start, end)
  return { first: range.first, numbers: new Float64Array(range.end - range.first).fill(startOf(measure)) }
}

/** Adds the elements `from` on of a tensor to the numbers of their blocks, one after the other. */
export const addToBlocks = (
  { first, numbers }: BlockNumbers,
  { measure, grid }: TotalsOrder,
  [x, y = x]: readonly Float32Array[],
  from: number,
): void => {
  const add = ADD[measure]
  if ((measure === 'sum' || measure === 'dot') && isByColumn(grid))
    return addColumns(numbers, x!, measure === 'dot' ? y : undefined, from)
  visitRuns(grid, from, x!.length, (at, length, block) => {
    numbers[block - first] = add(x!, y!, at, at + length, numbers[block - first]!)
  })
}

type Add = (x: Float32Array, y: Float32Array, at: number, end: number, sofar: number) => number

const ADD: Readonly<Record<TotalsOrder['measure'], Add>> = {
  sum: (x, _, at, end, sofar) => {
    let sum = sofar
    for (let i = at; i < end; i++) sum += x[i]!
    return sum
  },
  dot: (x, y, at, end, sofar) => {
    let sum = sofar
    for (let i = at; i < end; i++) sum += x[i]! * y[i]!
    return sum
  },
  max: (x, _, at, end, sofar) => {
    let most = sofar
    // No comparison with NaN holds.
    for (let i = at; i < end; i++) if (x[i]! > most) most = x[i]!
    return most
  },
  peak: (x, _, at, end, sofar) => {
    let most = sofar
    for (let i = at; i < end; i++) {
      const size = Math.abs(x[i]!)
      // No comparison with NaN holds.
      if (size > most && size < Infinity) most = size
    }
    return most
  },
}

const addColumns = (numbers: Float64Array, x: Float32Array, y: Float32Array | undefined, from: number): void => {
  let column = from % numbers.length
  for (let i = 0; i < x.length; i++) {
    numbers[column]! += y === undefined ? x[i]! : x[i]! * y[i]!
    column = column + 1 === numbers.length ? 0 : column + 1
  }
}
