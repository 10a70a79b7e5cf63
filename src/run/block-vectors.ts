import type { Diagnostic } from '../base/diagnostic.js'
import type { Kernels } from '../kernels/kernels.js'
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
export const LONG = 32

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

/** Numbers of blocks up to which a unit keeps them in the kernels' memory: what is never touched costs nothing. */
const MOST_HELD = 1 << 20

/** The numbers of a unit's blocks, which take turns, in the kernels' memory. */
export interface Held {
  readonly turns: Turns
  readonly offset: number
  readonly first: number
  readonly length: number
}

/** Begins to hold the numbers of a unit's blocks, unless they do not take turns or are too many. */
export const holdBlocks = (
  kernels: Kernels,
  { measure, grid }: TotalsOrder,
  start: number,
  end: number,
  reserve: (bytes: number) => number,
): Held | undefined => {
  const turns = turnsOf(grid)
  const range = blockRange(grid, start, end)
  const length = range.end - range.first
  if (turns === undefined || length > MOST_HELD) return undefined
  const offset = reserve(8 * MOST_HELD)
  kernels.view(Float64Array, offset, length).fill(startOf(measure))
  return { turns, offset, first: range.first, length }
}

const KERNEL = { sum: 'sumTurns', dot: 'dotTurns', max: 'maxTurns', peak: 'peakTurns' } as const

/** Like {@link addToBlocks}, of `n` elements whose operands lie at the offsets `staged`. */
export const addToHeld = (
  kernels: Kernels,
  { turns: { run, count }, offset, first }: Held,
  { measure, ports: [x, y = x] }: TotalsOrder,
  staged: readonly number[],
  n: number,
  from: number,
): void => {
  const turn = Math.floor(from / run)
  // Where the first block of a unit is not that of the tensor, no block has a second turn.
  const [blocks, block] = [count - first, (turn % count) - first]
  kernels[KERNEL[measure]](staged[x!]!, staged[y!]!, n, offset, blocks, block, run, run - (from - turn * run))
}

/** What is held, for good. */
export const takeHeld = (kernels: Kernels, { offset, first, length }: Held): BlockNumbers => ({
  first,
  numbers: kernels.view(Float64Array, offset, length).slice(),
})

/** Adds the elements `from` on of a tensor to the numbers of their blocks, one after the other. */
export const addToBlocks = (
  { first, numbers }: BlockNumbers,
  { measure, grid }: TotalsOrder,
  [x, y = x]: readonly Float32Array[],
  from: number,
): void => {
  const add = ADD[measure]
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
