import { countOf, rankOf, type Measure } from '../graph/expression.js'
import { groupKey, type Stage } from '../graph/passes.js'
import { addPairs, FIRST_NON_FINITE_BIN, HIGH_BINS, LOW_BINS, selectBin, toMagnitude } from '../kernels/selection.js'
import type { Found } from './unit.js'

/** What is known of a measure once its stages are done. Order statistics carry the magnitude's bits; `cut` splits equal magnitudes. */
export type Outcome =
  | { readonly type: 'number'; readonly value: number }
  /** Magnitudes with greater bits are in; those with equal bits are in up to a job's limit, exclusive: Infinity for all, 0 for none. */
  | { readonly type: 'top'; readonly bits: number; limit(job: number): number }

/** Where equal magnitudes have to be told apart: the nth of those with these bits in a segment of a job. */
export interface Search {
  readonly measure: Measure
  readonly job: number
  readonly segment: number
  readonly bits: number
  readonly nth: number
}

interface Member { readonly job: number; readonly tensor: string; readonly measure: Measure; readonly segments: number; readonly elements: number }
interface Group {
  readonly measure: Measure
  readonly members: Member[]
  readonly parts: Map<string, Found>
  readonly dense: Float64Array
  bin: number | undefined
  below: number
  pending: number
  outcome: Outcome | undefined
}

/** The bits of infinity, which no magnitude exceeds. */
export const INFINITY = 0x7f800000

const bitsOf = (high: number, low: number): number => high * LOW_BINS + low

const countIn = (pairs: Uint32Array, bin: number): number => {
  for (let i = 0; i < pairs.length; i += 2) if (pairs[i] === bin) return pairs[i + 1]!
  return 0
}

const holdsNonFinite = (pairs: Uint32Array): boolean => {
  for (let i = 0; i < pairs.length; i += 2) if (pairs[i]! >= FIRST_NON_FINITE_BIN) return true
  return false
}

/** Collects what segments found and combines it: sums in element order whatever the order of arrival, histograms exactly. */
export interface Measures {
  /** Announces that a job takes a measure over so many elements in so many segments. Before anything is recorded. */
  announce(job: number, tensor: string, measure: Measure, elements: number, segments: number): void
  /** Records one segment's find. Returns a search when equal magnitudes remain to be told apart, or a tensor that holds a NaN or infinity. */
  record(job: number, measure: Measure, stage: Stage, segment: number, found: Found): Search | 'non-finite' | undefined
  /** The bin a `low` stage has to look into, once its `high` stage is done. */
  bin(measure: Measure): number | undefined
  outcome(measure: Measure): Outcome | undefined
}

/** An empty collection. */
export const createMeasures = (): Measures => {
  const groups = new Map<string, Group>()
  const groupOf = (m: Measure): Group => groups.get(groupKey(m))!

  const combineSums = (group: Group): Outcome => {
    let total = 0
    for (const member of group.members) {
      for (let s = 0; s < member.segments; s++) total += group.parts.get(`${member.job}:${s}`) as number
    }
    return { type: 'number', value: total }
  }
  const elementsOf = (group: Group): number => group.members.reduce((n, m) => n + m.elements, 0)
  const restart = (group: Group): void => {
    group.pending = group.members.reduce((n, m) => n + m.segments, 0)
    group.dense.fill(0)
    group.parts.clear()
  }
  const rankIn = (group: Group): number => {
    const n = elementsOf(group)
    const m = group.measure
    return m.type === 'top' ? n - countOf(m.density, n) : m.type === 'quantile' ? rankOf(m.q, n) : 0
  }
  const finishHigh = (group: Group): void => {
    const rank = rankIn(group)
    if (rank >= elementsOf(group)) {
      // Nothing is to be kept: no magnitude exceeds infinity.
      group.bin = FIRST_NON_FINITE_BIN
      group.outcome = { type: 'top', bits: INFINITY, limit: () => 0 }
      return
    }
    const { bin, below } = selectBin(group.dense, rank)
    group.bin = bin
    group.below = below
    restart(group)
  }
  const finishLow = (group: Group): Search | undefined => {
    const { bin: low, below } = selectBin(group.dense, rankIn(group) - group.below)
    const bits = bitsOf(group.bin!, low)
    if (group.measure.type === 'quantile') {
      group.outcome = { type: 'number', value: toMagnitude(group.bin!, low) }
      return undefined
    }
    const equal = group.dense[low]!
    let keep = group.below + below + equal - rankIn(group)
    if (keep === equal) {
      group.outcome = { type: 'top', bits, limit: () => Infinity }
      return undefined
    }
    for (const member of group.members) {
      for (let segment = 0; segment < member.segments; segment++) {
        const here = countIn(group.parts.get(`${member.job}:${segment}`) as Uint32Array, low)
        if (keep <= here) return { measure: member.measure, job: member.job, segment, bits, nth: keep }
        keep -= here
      }
    }
    throw new Error('equal magnitudes were counted and not found')
  }

  return {
    announce: (job, tensor, measure, elements, segments) => {
      const key = groupKey(measure)
      const group: Group = groups.get(key) ?? {
        measure, members: [], parts: new Map(), dense: new Float64Array(measure.type === 'total' ? 0 : HIGH_BINS),
        bin: undefined, below: 0, pending: 0, outcome: undefined,
      }
      groups.set(key, group)
      // By name, so that neither the order of files nor what else is built decides which of equal numbers come first.
      const after = group.members.findIndex((m) => m.tensor > tensor)
      group.members.splice(after < 0 ? group.members.length : after, 0, { job, tensor, measure, segments, elements })
      group.pending += segments
    },
    record: (job, measure, stage, segment, found) => {
      const group = groupOf(measure)
      if (stage === 'locate') {
        const at = found as number
        const bits = bitsOf(group.bin!, selectBin(group.dense, rankIn(group) - group.below).bin)
        const order = new Map(group.members.map((m, i) => [m.job, i] as const))
        const own = order.get(job)!
        group.outcome = { type: 'top', bits, limit: (other) => (order.get(other)! < own ? Infinity : other === job ? at + 1 : 0) }
        group.parts.clear()
        return undefined
      }
      // A stage that a settled group no longer needs (nothing to keep) still reports.
      if (group.outcome !== undefined) return undefined
      if (stage === 'high') {
        if (holdsNonFinite(found as Uint32Array)) return 'non-finite'
        addPairs(group.dense, found as Uint32Array)
      } else group.parts.set(`${job}:${segment}`, found)
      if (stage === 'low') addPairs(group.dense, found as Uint32Array)
      group.pending -= 1
      if (group.pending > 0) return undefined
      if (stage === 'high') return void finishHigh(group)
      if (stage === 'low') return finishLow(group)
      group.outcome = combineSums(group)
      group.parts.clear()
      return undefined
    },
    bin: (measure) => groupOf(measure).bin,
    outcome: (measure) => groupOf(measure).outcome,
  }
}
