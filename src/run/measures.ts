import { countOf, rankOf, type Measure, type Scalar, type Solve } from '../graph/expression.js'
import { groupKey } from '../graph/groups.js'
import type { Stage } from '../graph/passes.js'
import {
  createHistogram,
  FIRST_NON_FINITE_BIN,
  firstFrom,
  LOW_BINS,
  RANGE,
  toMagnitude,
  type Histogram,
} from '../kernels/selection.js'
import type { Cut, StoredOutcome } from '../store/outcomes.js'
import { blockCount } from '../tensor/block-grid.js'
import { addTally, emptyTally } from './histograms.js'
import type { BlockNumbers, Found, Magnitudes, Pairs } from './unit.js'

/** The result of a measure. Order statistics are given as the bits of a magnitude; `cut` splits equal magnitudes. */
export type Outcome =
  | { readonly type: 'number'; readonly value: number }
  | { readonly type: 'cells'; readonly values: Float64Array }
  /** The numbers of all blocks of a tensor. */
  | { readonly type: 'blocks'; readonly values: Float64Array }
  /** The result of a solver stands in the scratch file. */
  | { readonly type: 'solved' }
  /** Magnitudes with greater bits are in; of those with equal bits, the ones before the cut. */
  | { readonly type: 'top'; readonly bits: number; readonly cut: Cut }

/** The element of a tensor up to which, exclusive, equal magnitudes are in: Infinity for all, 0 for none. */
export const limitOf = (cut: Cut, tensor: string): number => {
  if (cut === 'all') return Infinity
  if (cut === 'none') return 0
  if (cut.tensor === undefined || tensor === cut.tensor) return cut.at
  return tensor < cut.tensor ? Infinity : 0
}

/** A search for the element that splits equal magnitudes: the nth with these bits in a segment of a job. */
export interface Search {
  readonly measure: Measure
  readonly job: number
  readonly segment: number
  readonly bits: number
  readonly nth: number
}

interface Member {
  readonly job: number
  readonly tensor: string
  readonly measure: Measure
  readonly segments: number
  readonly elements: number
}
interface Group {
  readonly measure: Measure
  /**
   * By name once anything is recorded, so that neither the order of files nor what else is built decides which of equal
   * numbers come first.
   */
  readonly members: Member[]
  sorted: boolean
  readonly parts: Map<string, Found>
  /** Counts by bin, only while they are collected: half a megabyte for each group that is under way. */
  counts: Histogram | undefined
  /** The greatest x or |x| of each block so far, only while they are collected. */
  peaks: Float64Array | undefined
  /** Where the first segment expects the answer. */
  guess: number | undefined
  /** What segments have counted around the guess alone. */
  readonly ranges: Map<string, Ranged>
  /** True once the answer was not around the guess: all magnitudes are counted then. */
  missed: boolean
  /** Low bits that were counted in advance, since the bin was known to be the one. */
  early: { readonly part: string; readonly bin: number; readonly pairs: Pairs } | undefined
  bin: number | undefined
  below: number
  /** The bits of the least magnitude that is in, once known. */
  bits: number
  pending: number
  outcome: Outcome | undefined
}

const SOLVED: Outcome = { type: 'solved' }

/** The bits of infinity, which no magnitude exceeds. */
export const INFINITY = 0x7f800000

const bitsOf = (high: number, low: number): number => high * LOW_BINS + low

const countIn = (pairs: Pairs, bin: number): number => {
  const at = firstFrom(pairs, bin)
  return pairs[at] === bin ? pairs[at + 1]! : 0
}

type Ranged = Extract<Magnitudes, { type: 'range' }>

const holdsNonFinite = (pairs: Pairs): boolean => (pairs.at(-2) ?? 0) >= FIRST_NON_FINITE_BIN

/**
 * Combines the partial results of segments: totals in element order whatever the order of arrival, histograms exactly.
 */
export interface Measures {
  /**
   * Announces that a job computes a measure over this many elements and segments. Call it before anything is recorded.
   */
  announce(job: number, tensor: string, measure: Measure, elements: number, segments: number): void
  /**
   * Records the partial result of one segment. Returns `known` if the measure's bin or result is now decided, `more` if
   * not yet, `non-finite` if it never will be, or a search if equal magnitudes must be split.
   */
  record(
    job: number,
    measure: Measure,
    stage: Stage,
    segment: number,
    found: Found,
  ): Search | 'known' | 'more' | 'non-finite'
  /**
   * The bin where the first segment expects the answer, so that others can count low bits around it in the same pass.
   */
  guess(measure: Measure): number | undefined
  /** True if the answer was not around the guess, and the `high` stage must run again over all magnitudes. */
  missed(measure: Measure): boolean
  /** The bin that the `low` stage counts, once the `high` stage is complete. */
  bin(measure: Measure): number | undefined
  /** True when every segment has its low bits counted, so that a `low` stage has nothing to do. */
  lowDone(measure: Measure): boolean
  outcome(measure: Measure): Outcome | undefined
  /** Records that the result of a solver stands in the scratch file. */
  settle(solve: Solve): void
  /** How many of `n` magnitudes a mask keeps. */
  keptOf(measure: Measure & { readonly type: 'top' }, n: number): number
  /** All results except tallies and the numbers of blocks, for the cache. */
  taken(): ReadonlyMap<Measure, StoredOutcome>
}

/**
 * Creates the collection, with the results that are known already. `valueOf` gives the counts that other measures
 * decide.
 */
export const createMeasures = (
  known: ReadonlyMap<Measure, StoredOutcome> = new Map(),
  valueOf: (count: Scalar) => number = () => NaN,
): Measures => {
  const keptOf: Measures['keptOf'] = ({ density, count }, n) => {
    if (count === undefined) return countOf(density, n)
    const most = Math.floor(valueOf(count))
    return most > 0 ? Math.min(n, most) : 0
  }
  const given = new Map([...known].map(([m, outcome]) => [groupKey(m), outcome] as const))
  const groups = new Map<string, Group>()
  const solved = new Set<number>()
  /** By the number of a measure that a job takes. */
  const groupsTaken = new Map<number, Group>()
  const groupOf = (m: Measure): Group => groupsTaken.get(m.id)!
  /**
   * Histograms for reuse: allocating and collecting half a megabyte for each of thousands of tensors takes longer than
   * counting.
   */
  const spare: Histogram[] = []

  const sortMembers = (group: Group): void => {
    if (!group.sorted) group.members.sort((x, y) => (x.tensor < y.tensor ? -1 : x.tensor > y.tensor ? 1 : 0))
    group.sorted = true
  }
  const partsOf = (group: Group): Found[] =>
    group.members.flatMap((member) =>
      Array.from({ length: member.segments }, (_, s) => group.parts.get(`${member.job}:${s}`)!),
    )
  const combineTotals = (group: Group): Outcome => {
    const { measure } = group
    if (measure.type === 'tally') {
      const values = emptyTally(measure.cells)
      for (const part of partsOf(group)) addTally(values, part as Float64Array)
      return { type: 'cells', values }
    }
    if (measure.type === 'block-totals') return { type: 'blocks', values: group.peaks ?? sumBlocks(group) }
    const parts = partsOf(group) as number[]
    const kind = measure.type === 'total' ? measure.measure : 'sum'
    if (kind === 'min') return { type: 'number', value: parts.reduce((x, y) => Math.min(x, y), Infinity) }
    if (kind === 'max') return { type: 'number', value: parts.reduce((x, y) => Math.max(x, y), -Infinity) }
    return { type: 'number', value: parts.reduce((x, y) => x + y, 0) }
  }
  const count = (group: Group, pairs: Uint32Array): void => {
    group.counts ??= spare.pop() ?? createHistogram()
    group.counts.add(pairs)
  }
  const emptyBlocks = ({ measure }: Group): Float64Array => {
    if (measure.type !== 'block-totals') throw new Error('numbers of blocks were found where none were asked for')
    return new Float64Array(blockCount(measure.grid))
  }
  const raise = (group: Group, { first, numbers }: BlockNumbers): void => {
    const all = (group.peaks ??= emptyBlocks(group))
    for (let i = 0; i < numbers.length; i++) all[first + i] = Math.max(all[first + i]!, numbers[i]!)
  }
  /** Segment by segment: the order of additions decides bits. */
  const sumBlocks = (group: Group): Float64Array => {
    const all = emptyBlocks(group)
    for (const part of partsOf(group)) {
      const { first, numbers } = part as BlockNumbers
      for (let i = 0; i < numbers.length; i++) all[first + i]! += numbers[i]!
    }
    return all
  }
  const releaseCounts = (group: Group): void => {
    group.counts?.clear()
    if (group.counts !== undefined) spare.push(group.counts)
    group.counts = undefined
  }
  /** Lets go of what was collected. */
  const empty = (group: Group): void => {
    releaseCounts(group)
    group.peaks = undefined
    group.parts.clear()
  }
  const settle = (group: Group, outcome: Outcome): 'known' => {
    group.outcome = outcome
    empty(group)
    return 'known'
  }
  const elementsOf = (group: Group): number => group.members.reduce((n, m) => n + m.elements, 0)
  const restart = (group: Group): void => {
    group.pending = group.members.reduce((n, m) => n + m.segments, 0)
    empty(group)
  }
  const rankIn = (group: Group): number => {
    const n = elementsOf(group)
    const m = group.measure
    return m.type === 'top' ? n - keptOf(m, n) : m.type === 'quantile' ? rankOf(m.q, n) : 0
  }
  /** Nothing is to be kept: no magnitude exceeds infinity. */
  const keepNone = (group: Group): 'known' => {
    group.bin = FIRST_NON_FINITE_BIN
    group.ranges.clear()
    return settle(group, { type: 'top', bits: INFINITY, cut: 'none' })
  }
  const finishHigh = (group: Group): Search | 'known' => {
    const rank = rankIn(group)
    if (rank >= elementsOf(group)) return keepNone(group)
    const { bin, below } = group.counts!.select(rank)
    const { early } = group
    enterBin(group, bin, below)
    if (early?.bin !== bin) return 'known'
    addLow(group, early.part, early.pairs)
    return finishLow(group)
  }
  /** From here on low bits of one bin are collected. */
  const enterBin = (group: Group, bin: number, below: number): void => {
    group.bin = bin
    group.below = below
    group.early = undefined
    group.ranges.clear()
    restart(group)
  }
  const addLow = (group: Group, part: string, pairs: Pairs): void => {
    group.parts.set(part, pairs)
    count(group, pairs)
    group.pending -= 1
  }
  /** Finds the bin among those that were counted, and what its low bits are; all is to be counted where it is not there. */
  const finishRanges = (group: Group): Search | 'known' | 'more' => {
    const rank = rankIn(group)
    if (rank >= elementsOf(group)) return keepNone(group)
    const ranges = new Map(group.ranges)
    let below = [...ranges.values()].reduce((n, r) => n + r.below, 0)
    const { base } = [...ranges.values()][0]!
    const counts = new Float64Array(RANGE)
    for (const { pairs } of ranges.values())
      for (let i = 0; i < pairs.length; i += 2) counts[pairs[i]! >>> 15]! += pairs[i + 1]!
    const bin = rank < below ? -1 : counts.findIndex((n) => rank < below + n || ((below += n), false))
    if (bin < 0) {
      group.missed = true
      group.ranges.clear()
      restart(group)
      return 'more'
    }
    enterBin(group, base + bin, below)
    for (const [part, { pairs }] of ranges) {
      const own = pairs.slice(firstFrom(pairs, bin * LOW_BINS), firstFrom(pairs, (bin + 1) * LOW_BINS))
      for (let i = 0; i < own.length; i += 2) own[i]! -= bin * LOW_BINS
      addLow(group, part, own)
    }
    return finishLow(group)
  }
  const recordHigh = (group: Group, part: string, found: Magnitudes): ReturnType<Measures['record']> => {
    // All of a pass are taken again when one of them is.
    if (group.bin !== undefined) return 'more'
    if (found.type === 'range' ? !found.finite : holdsNonFinite(found.high)) return 'non-finite'
    group.pending -= 1
    if (found.type === 'all') {
      count(group, found.high)
      if (found.low !== undefined) group.early = { part, ...found.low }
      return group.pending === 0 ? finishHigh(group) : 'more'
    }
    group.ranges.set(part, found)
    if (group.pending === 0) return finishRanges(group)
    if (group.guess !== undefined) return 'more'
    group.guess = found.base + (RANGE >> 1)
    return 'known'
  }
  const finishLow = (group: Group): Search | 'known' => {
    const { measure } = group
    const { bin: low, below } = group.counts!.select(rankIn(group) - group.below)
    if (measure.type !== 'top') return settle(group, { type: 'number', value: toMagnitude(group.bin!, low) })
    const bits = bitsOf(group.bin!, low)
    const equal = group.counts!.at(low)
    let keep = group.below + below + equal - rankIn(group)
    if (keep === equal) return settle(group, { type: 'top', bits, cut: 'all' })
    if (measure.equal !== 'first') return settle(group, { type: 'top', bits, cut: measure.equal })
    group.bits = bits
    for (const member of group.members) {
      for (let segment = 0; segment < member.segments; segment++) {
        const here = countIn(group.parts.get(`${member.job}:${segment}`) as Pairs, low)
        if (keep <= here) {
          // What was collected stays: other measures of the pass may have it counted once more.
          releaseCounts(group)
          return { measure: member.measure, job: member.job, segment, bits, nth: keep }
        }
        keep -= here
      }
    }
    throw new Error('equal magnitudes were counted and not found')
  }

  return {
    announce: (job, tensor, measure, elements, segments) => {
      const key = groupKey(measure)
      const group: Group = groups.get(key) ?? {
        measure,
        members: [],
        sorted: false,
        parts: new Map(),
        counts: undefined,
        guess: undefined,
        ranges: new Map(),
        missed: false,
        early: undefined,
        bin: undefined,
        below: 0,
        bits: 0,
        pending: 0,
        outcome: undefined,
        peaks: undefined,
      }
      groups.set(key, group)
      groupsTaken.set(measure.id, group)
      group.members.push({ job, tensor, measure, segments, elements })
      group.pending += segments
    },
    record: (job, measure, stage, segment, found) => {
      const group = groupOf(measure)
      sortMembers(group)
      if (stage === 'locate') {
        const at = (found as number) + 1
        const cut =
          measure.over === undefined ? { at } : { tensor: group.members.find((m) => m.job === job)!.tensor, at }
        return settle(group, { type: 'top', bits: group.bits, cut })
      }
      // A stage that a settled group no longer needs (nothing to keep) still reports.
      if (group.outcome !== undefined) return 'known'
      const part = `${job}:${segment}`
      if (stage === 'high') return recordHigh(group, part, found as Magnitudes)
      if (group.parts.has(part)) return 'more'
      if (stage === 'low') count(group, found as Uint32Array)
      // At once, for a part has as many peaks as it meets blocks, and there may be hundreds of parts.
      const isPeak = measure.type === 'block-totals' && measure.measure === 'peak'
      if (isPeak) raise(group, found as BlockNumbers)
      group.parts.set(part, isPeak ? 0 : found)
      group.pending -= 1
      if (group.pending > 0) return 'more'
      return stage === 'low' ? finishLow(group) : settle(group, combineTotals(group))
    },
    keptOf,
    guess: (measure) => groupOf(measure).guess,
    missed: (measure) => {
      const { missed, bin } = groupOf(measure)
      return missed && bin === undefined
    },
    bin: (measure) => groupOf(measure).bin,
    lowDone: (measure) => {
      const { bin, outcome, pending } = groupOf(measure)
      return outcome !== undefined || (bin !== undefined && pending === 0)
    },
    settle: (solve) => void solved.add(solve.id),
    outcome: (measure) =>
      measure.type === 'solve'
        ? solved.has(measure.id)
          ? SOLVED
          : undefined
        : ((groupsTaken.get(measure.id) ?? groups.get(groupKey(measure)))?.outcome ?? given.get(groupKey(measure))),
    taken: () =>
      new Map(
        [...groups.values()].flatMap(({ measure, outcome }) =>
          outcome === undefined || outcome.type === 'cells' || outcome.type === 'blocks' || outcome.type === 'solved'
            ? []
            : [[measure, outcome] as const],
        ),
      ),
  }
}
