import type { Diagnostic } from '../base/diagnostic.js'
import { blockRange, visitRuns, type BlockGrid } from '../tensor/block-grid.js'
import { readNumbers } from './stored-numbers.js'
import type { GeneratedInputOrder, Peaked } from './unit.js'

type ScaleOrder = GeneratedInputOrder & { readonly type: 'block-scale' }

/** The factors of blocks that a unit needs, for each of its uses. */
export interface BlockScaleSource {
  /** Takes in the factors for elements `start` to `end`; stored ones are read. */
  load(use: number, order: ScaleOrder, start: number, end: number): Diagnostic | undefined
  /** Writes the factor of each element from `start` on. */
  fill(use: number, out: Float32Array, start: number): void
}

interface Loaded {
  readonly grid: BlockGrid
  readonly first: number
  readonly factors: Float32Array
}

/** Holds the scales of one unit at a time; of stored scales only those of the unit's blocks. */
export const createBlockScales = (open: (path: string) => number): BlockScaleSource => {
  const uses = new Map<number, Loaded>()
  return {
    load: (use, { from, grid }, start, end) => {
      const range = blockRange(grid, start, end)
      const factors = 'factors' in from ? from.factors : readNumbers(open(from.file), from, range.first, range.end)
      if ('code' in factors) return factors
      uses.set(use, { grid, first: range.first, factors })
      return undefined
    },
    fill: (use, out, start) => {
      const { grid, first, factors } = uses.get(use)!
      visitRuns(grid, start, out.length, (at, length, block) => void out.fill(factors[block - first]!, at, at + length))
    },
  }
}

/** Peaks before anything is looked at. */
export const emptyPeaks = (grid: BlockGrid, start: number, end: number): Peaked => {
  const range = blockRange(grid, start, end)
  return { first: range.first, peaks: new Float32Array(range.end - range.first) }
}

/** Looks at elements: `x[0]` is element number `start` of the tensor. The order of looking changes nothing. */
export const addPeaks = ({ first, peaks }: Peaked, grid: BlockGrid, x: Float32Array, start: number): void =>
  visitRuns(grid, start, x.length, (at, length, block) => {
    let most = peaks[block - first]!
    for (let i = at; i < at + length; i++) {
      const size = Math.abs(x[i]!)
      // No comparison with NaN holds.
      if (size > most && size < Infinity) most = size
    }
    peaks[block - first] = most
  })
