import type { Kernels } from '../kernels/kernels.js'
import { HIGH_BINS, LOW_BINS, RANGE, selectBin } from '../kernels/selection.js'
import { addToBlocks, addToHeld, emptyBlocks, holdBlocks, takeHeld, type Held } from './block-vectors.js'
import { addElements, emptyTally } from './histograms.js'
import type { ComputeOrder, Found, BlockNumbers, Pairs, TakeOrder } from './unit.js'

/** Elements over which sums are taken at a time; fixed, since the order of additions decides bits. */
const SUM_SPAN = 65536

/** The state of a measure within a unit. Offsets are into the kernels' memory. */
export interface Accumulator {
  sum: number
  /** The sum of the span of {@link SUM_SPAN} elements that is under way, and how many of them there are. */
  span: number
  spanned: number
  met: number
  located: number
  /** Magnitudes below `base`; less than 0 once one is no number. */
  below: number
  readonly histogram: number
  readonly bins: number
  /** True if only a few bins are counted, from that of `base` on. */
  readonly ranged: boolean
  base: number
  readonly cells: Float64Array<ArrayBuffer> | undefined
  readonly blocks: BlockNumbers | undefined
  /** The numbers of blocks in the kernels' memory, in place of `blocks`. */
  readonly held: Held | undefined
}

/**
 * The initial state of a measure over the elements of a unit. `reserve` allocates memory for its counts, by purpose; they
 * are 0 at first, and again once they are taken out.
 */
export const createAccumulator = (
  kernels: Kernels,
  take: TakeOrder,
  { start, end }: Pick<ComputeOrder, 'start' | 'end'>,
  reserve: (purpose: string, bytes: number) => number,
): Accumulator => {
  const ranged = isRanged(take, end - start)
  const byBlock = take.stage === 'block-totals' ? take : undefined
  const held = byBlock && holdBlocks(kernels, byBlock, start, end, (bytes) => reserve('blocks', bytes))
  const bins = ranged ? RANGE * LOW_BINS : take.stage === 'high' ? HIGH_BINS : take.stage === 'low' ? LOW_BINS : 0
  const histogram = bins === 0 ? 0 : reserve(ranged ? 'range' : 'bins', 4 * Math.max(bins, HIGH_BINS))
  return {
    sum: take.stage === 'min' ? Infinity : take.stage === 'max' ? -Infinity : 0,
    span: 0,
    spanned: 0,
    met: 0,
    located: -1,
    below: 0,
    histogram,
    bins,
    ranged,
    base: take.stage === 'high' && take.near !== undefined && 'bin' in take.near ? baseOf(take.near.bin) : 0,
    cells: take.stage === 'tally' ? emptyTally(take.cells) : undefined,
    blocks: byBlock && held === undefined ? emptyBlocks(byBlock.grid, start, end) : undefined,
    held,
  }
}

/** True for a measure whose pieces have to begin at multiples of {@link SUM_BLOCK} elements. */
export const isSummed = ({ stage }: TakeOrder): boolean => stage === 'sum' || stage === 'dot'

/**
 * Adds `n` elements to a measure: those of its operands at the offsets `staged`, the first being element `from` of the
 * tensor.
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
      const y = staged[take.ports[1] ?? take.ports[0]!]!
      for (let at = 0; at < n;) {
        const length = Math.min(SUM_SPAN - sofar.spanned, n - at)
        sofar.span =
          take.stage === 'sum'
            ? kernels.sum(x + 4 * at, length, sofar.span)
            : kernels.dot(x + 4 * at, y + 4 * at, length, sofar.span)
        sofar.spanned += length
        at += length
        if (sofar.spanned === SUM_SPAN) endSpan(sofar)
      }
      return
    }
    case 'min':
      sofar.sum = kernels.least(x, n, sofar.sum)
      return
    case 'max':
      sofar.sum = kernels.greatest(x, n, sofar.sum)
      return
    case 'block-totals': {
      if (sofar.held !== undefined) return addToHeld(kernels, sofar.held, take, staged, n, from)
      const operands = take.ports.map((port) => kernels.view(Float32Array, staged[port]!, n))
      return addToBlocks(sofar.blocks!, take, operands, from)
    }
    case 'tally':
      return addElements(sofar.cells!, take.cells, kernels.view(Float32Array, x, n), from)
    case 'high': {
      if (!sofar.ranged) return kernels.histogramHigh(x, n, sofar.histogram)
      const below = kernels.histogramRange(x, n, sofar.base, sofar.histogram)
      sofar.below = below < 0 || sofar.below < 0 ? -1 : sofar.below + below
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

const endSpan = (sofar: Accumulator): void => {
  sofar.sum += sofar.span
  sofar.span = 0
  sofar.spanned = 0
}

/**
 * The partial result of a measure over a unit of `n` elements. `room` has {@link PAIRS_BYTES} for counts that are taken
 * out. If all elements are still in memory and the answer is among them alone, `kept` says where: then the low bits of its
 * bin are counted at once.
 */
export const partialResult = (
  kernels: Kernels,
  take: TakeOrder,
  taking: Accumulator,
  n: number,
  room: number,
  kept: { readonly offset: number; readonly counts: number } | undefined,
): Found => {
  if (take.stage === 'tally') return taking.cells!
  if (take.stage === 'block-totals') return taking.held === undefined ? taking.blocks! : takeHeld(kernels, taking.held)
  if (isSummed(take) && taking.spanned > 0) endSpan(taking)
  if (take.stage === 'sum' || take.stage === 'dot' || take.stage === 'min' || take.stage === 'max') return taking.sum
  if (take.stage === 'locate') return taking.located
  const near = take.stage === 'high' ? take.near : undefined
  const share = near !== undefined && 'share' in near ? near.share : undefined
  const bin =
    kept === undefined || share === undefined || n === 0 ? undefined : binAt(kernels, taking.histogram, share, n)
  const pairs = takePairs(kernels, taking.histogram, taking.bins, room)
  if (take.stage === 'low') return pairs
  if (taking.ranged) return { type: 'range', base: taking.base, below: taking.below, pairs, finite: taking.below >= 0 }
  if (bin === undefined) return { type: 'all', high: pairs, low: undefined }
  kernels.histogramLow(kept!.offset, n, bin, kept!.counts)
  return { type: 'all', high: pairs, low: { bin, pairs: takePairs(kernels, kept!.counts, LOW_BINS, room) } }
}

/** Bytes of the room that pairs are written to: in the worst case no bin is empty. */
export const PAIRS_BYTES = 8 * RANGE * LOW_BINS

const takePairs = (kernels: Kernels, counts: number, bins: number, room: number): Pairs =>
  kernels.view(Uint32Array, room, 2 * kernels.takePairs(counts, bins, room)).slice()

/** The bin, of magnitudes counted by their high bits, where a share of `n` of them lies below. */
export const binAt = (kernels: Kernels, histogram: number, share: number, n: number): number =>
  selectBin(kernels.view(Uint32Array, histogram, HIGH_BINS), Math.min(n - 1, Math.floor(share * n))).bin

/** The first bin of a range that has the bin where the answer is expected in its middle. */
export const baseOf = (bin: number): number => Math.max(0, bin - (RANGE >> 1))

/** The most elements of a unit that are kept in memory and read twice; for larger units, a sample is read first. */
export const MOST_KEPT = 1 << 18

/** True for a measure that counts only around its expected answer. */
export const isRanged = (take: TakeOrder, elements: number): boolean =>
  take.stage === 'high' && take.near !== undefined && !needsSecondLook(take, elements)

/** True if a measure reads the numbers of a unit a second time, after the first has shown where to count. */
export const needsSecondLook = (take: TakeOrder, elements: number): boolean =>
  take.stage === 'high' && take.near !== undefined && 'share' in take.near && elements <= MOST_KEPT
