import type { Diagnostic } from '../base/diagnostic.js'
import { blockRange, turnsOf, visitRuns, type BlockGrid, type Turns } from '../tensor/block-grid.js'
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
      const turns = turnsOf(grid)
      if (turns !== undefined) fillTurns(out, numbers, turns, start, first)
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

/** Runs longer than this are filled by a call. */
const LONG = 32

const fillTurns = (out: Float32Array, numbers: Float32Array, { run, count }: Turns, start: number, first: number) => {
  if (run === 1) return fillSingles(out, numbers, count, start, first)
  let block = Math.floor(start / run) % count
  for (let at = 0; at < out.length;) {
    const end = Math.min(out.length, at + run - ((start + at) % run))
    const number = numbers[block - first]!
    if (end - at > LONG) out.fill(number, at, end)
    else for (let i = at; i < end; i++) out[i] = number
    at = end
    block = block + 1 === count ? 0 : block + 1
  }
}

/** Runs of one element: the numbers themselves, over and over. */
const fillSingles = (out: Float32Array, numbers: Float32Array, count: number, start: number, first: number): void => {
  for (let at = 0; at < out.length;) {
    const block = (start + at) % count
    const length = Math.min(out.length - at, count - block)
    out.set(numbers.subarray(block - first, block - first + length), at)
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
  const turns = turnsOf(grid)
  if (turns === undefined)
    return visitRuns(grid, from, x!.length, (at, length, block) => {
      numbers[block - first] = add(x!, y!, at, at + length, numbers[block - first]!)
    })
  const { run, count } = turns
  if (run === 1) return addSingles({ first, numbers }, measure, count, [x!, y!], from)
  let block = Math.floor(from / run) % count
  for (let at = 0; at < x!.length;) {
    const end = Math.min(x!.length, at + run - ((from + at) % run))
    numbers[block - first] = add(x!, y!, at, end, numbers[block - first]!)
    at = end
    block = block + 1 === count ? 0 : block + 1
  }
}

/** Runs of one element, such as those of columns: a stretch of elements is added to as many blocks at once. */
const addSingles = (
  { first, numbers }: BlockNumbers,
  measure: TotalsOrder['measure'],
  count: number,
  [x, y]: readonly [Float32Array, Float32Array],
  from: number,
): void => {
  const add = ADD_EACH[measure]
  for (let at = 0; at < x.length;) {
    const block = (from + at) % count
    const end = Math.min(x.length, at + count - block)
    add(x, y, at, end, numbers, block - first - at)
    at = end
  }
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

/** Adds each of some elements to the number that is `shift` places after its own. */
type AddEach = (x: Float32Array, y: Float32Array, at: number, end: number, numbers: Float64Array, shift: number) => void

const ADD_EACH: Readonly<Record<TotalsOrder['measure'], AddEach>> = {
  sum: (x, _, at, end, numbers, shift) => {
    for (let i = at; i < end; i++) numbers[i + shift]! += x[i]!
  },
  dot: (x, y, at, end, numbers, shift) => {
    for (let i = at; i < end; i++) numbers[i + shift]! += x[i]! * y[i]!
  },
  max: (x, _, at, end, numbers, shift) => {
    // No comparison with NaN holds.
    for (let i = at; i < end; i++) if (x[i]! > numbers[i + shift]!) numbers[i + shift] = x[i]!
  },
  peak: (x, _, at, end, numbers, shift) => {
    for (let i = at; i < end; i++) {
      const size = Math.abs(x[i]!)
      // No comparison with NaN holds.
      if (size > numbers[i + shift]! && size < Infinity) numbers[i + shift] = size
    }
  },
}
