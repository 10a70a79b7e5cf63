import type { Kernels } from '../kernels/kernels.js'
import { HIGH_BINS, LOW_BINS, NEAR, selectBin, toPairs } from '../kernels/selection.js'
import { addPeaks, emptyPeaks } from './block-scales.js'
import { addElements, emptyTally } from './histograms.js'
import type { Found, Magnitudes, Peaked, TakeOrder, UnitOrder } from './unit.js'

/** Elements over which sums are taken at a time; fixed, since the order of additions decides bits. */
const SUM_SPAN = 65536

/**
 * What a measure has come to so far within a unit. Offsets are of the kernels' memory; `kept` is where the unit's
 * elements of the measured port lie.
 */
export interface Accumulator {
  sum: number
  met: number
  located: number
  readonly histogram: number
  /** Counts of low bits around an expected bin, where that was known before the unit began; 0 elsewhere. */
  readonly near: number
  readonly kept: number
  readonly bins: number
  readonly cells: Float64Array<ArrayBuffer> | undefined
  readonly peaked: Peaked | undefined
}

/**
 * A measure of which nothing is taken yet, over the elements of a unit; `reserve` gives room for its counts, where it
 * has some, by what they are of.
 */
export const createAccumulator = (
  kernels: Kernels,
  take: TakeOrder,
  { start, end }: Pick<UnitOrder, 'start' | 'end'>,
  kept: number,
  reserve: (purpose: string, bytes: number) => number,
): Accumulator => {
  const bins = take.stage === 'high' ? HIGH_BINS : LOW_BINS
  const histogram = take.stage === 'high' || take.stage === 'low' ? reserve('bins', 4 * HIGH_BINS) : 0
  const near = expectedBin(take) === undefined ? 0 : reserve('near', 4 * NEAR * LOW_BINS)
  if (histogram > 0) kernels.view(Uint32Array, histogram, bins).fill(0)
  if (near > 0) kernels.view(Uint32Array, near, NEAR * LOW_BINS).fill(0)
  const cells = take.stage === 'tally' ? emptyTally(take.cells) : undefined
  const sum = take.stage === 'min' ? Infinity : take.stage === 'max' ? -Infinity : 0
  const peaked = take.stage === 'peaks' ? emptyPeaks(take.grid, start, end) : undefined
  return { sum, met: 0, located: -1, histogram, near, kept, bins, cells, peaked }
}

/** True for measures that count elements, in whatever order and pieces. */
export const isCounted = ({ stage }: TakeOrder): boolean => stage === 'high' || stage === 'low'

/**
 * Takes a share of a measure: `n` elements of its operands at the offsets `staged`, the first of them element `from` of
 * the tensor.
 */
export const accumulate = (
  kernels: Kernels,
  take: TakeOrder,
  staged: readonly number[],
  n: number,
  sofar: Accumulator,
  from: number,
): void => {
  const x = staged[take.ports[0]!]!
  switch (take.stage) {
    case 'sum':
    case 'dot': {
      for (let at = 0; at < n; at += SUM_SPAN) {
        const length = Math.min(SUM_SPAN, n - at)
        sofar.sum +=
          take.stage === 'sum'
            ? kernels.sum(x + 4 * at, length)
            : kernels.dot(x + 4 * at, staged[take.ports[1] ?? take.ports[0]!]! + 4 * at, length)
      }
      return
    }
    case 'min':
    case 'max': {
      sofar.sum = extremeOf(kernels.view(Float32Array, x, n), take.stage === 'min' ? -1 : 1, sofar.sum)
      return
    }
    case 'peaks':
      return addPeaks(sofar.peaked!, take.grid, kernels.view(Float32Array, x, n), from)
    case 'tally':
      return addElements(sofar.cells!, take.cells, kernels.view(Float32Array, x, n), from)
    case 'high': {
      kernels.histogramHigh(x, n, sofar.histogram)
      const bin = expectedBin(take)
      // At once, while the numbers are in the processor's cache.
      if (bin !== undefined) kernels.histogramNear(x, n, baseOf(bin), sofar.near)
      return
    }
    case 'low':
      return kernels.histogramLow(x, n, take.bin, sofar.histogram)
    case 'locate': {
      if (sofar.located >= 0) return
      const words = kernels.view(Uint32Array, x, n)
      for (let i = 0; i < n; i++) {
        if ((words[i]! & 0x7fffffff) === take.bits && ++sofar.met === take.nth) {
          sofar.located = from + i
          return
        }
      }
    }
  }
}

/** What a measure came to over a unit of `n` elements; `near` is room for low bits that are counted in advance. */
export const partialResult = (
  kernels: Kernels,
  take: TakeOrder,
  taking: Accumulator,
  n: number,
  near: number,
): Found => {
  if (take.stage === 'tally') return taking.cells!
  if (take.stage === 'peaks') return taking.peaked!
  if (take.stage === 'sum' || take.stage === 'dot' || take.stage === 'min' || take.stage === 'max') return taking.sum
  if (take.stage === 'locate') return taking.located
  const counts = toPairs(kernels.view(Uint32Array, taking.histogram, taking.bins)) as Uint32Array<ArrayBuffer>
  if (take.stage !== 'high') return counts
  return {
    high: counts,
    near: take.near === undefined || n === 0 ? undefined : lookNear(kernels, take.near, taking, n, near),
  }
}

/** The bin where the answer is expected, if that is known before anything is counted. */
const expectedBin = (take: TakeOrder): number | undefined =>
  take.stage === 'high' && take.near !== undefined && 'bin' in take.near ? take.near.bin : undefined

/** The first of the bins whose low bits are counted. */
const baseOf = (bin: number): number => Math.max(0, bin - 1)

/** True where a measure looks at the numbers of a unit a second time, once the first look has told where. */
export const needsSecondLook = (take: TakeOrder): boolean =>
  take.stage === 'high' && take.near !== undefined && expectedBin(take) === undefined

/** The low bits of the magnitudes around the bin where the answer is expected. */
const lookNear = (
  kernels: Kernels,
  near: { readonly bin: number } | { readonly share: number },
  taking: Accumulator,
  n: number,
  room: number,
): NonNullable<Magnitudes['near']> => {
  const pairsAt = (offset: number) =>
    toPairs(kernels.view(Uint32Array, offset, NEAR * LOW_BINS)) as Uint32Array<ArrayBuffer>
  if ('bin' in near) return { base: baseOf(near.bin), low: pairsAt(taking.near) }
  const base = baseOf(
    selectBin(kernels.view(Uint32Array, taking.histogram, taking.bins), Math.min(n - 1, Math.floor(near.share * n)))
      .bin,
  )
  kernels.view(Uint32Array, room, NEAR * LOW_BINS).fill(0)
  kernels.histogramNear(taking.kept, n, base, room)
  return { base, low: pairsAt(room) }
}

/**
 * The greatest of some numbers and one found before, or the least for a sign of −1. NaN is passed over, since no
 * comparison with it holds.
 */
const extremeOf = (x: Float32Array, sign: 1 | -1, before: number): number => {
  let most = before
  if (sign === 1) for (let i = 0; i < x.length; i++) most = x[i]! > most ? x[i]! : most
  else for (let i = 0; i < x.length; i++) most = x[i]! < most ? x[i]! : most
  return most
}
