import type { Measure, Scalar, Tally } from '../graph/expression.js'
import { groupKey } from '../graph/groups.js'
import type { Pass } from '../graph/passes.js'
import { createEvaluator } from '../graph/scalar.js'
import { subjectOf } from '../plan/fingerprint.js'
import type { Job } from '../plan/plan.js'
import { bytesOfSolve, panelsOf, solvingBytes } from '../plan/scratch.js'
import type { StoredOutcome } from '../store/outcomes.js'
import { sizeOf } from '../tensor/info.js'
import { viewLabel } from '../tensor/view.js'
import { createLedger, segmentsOf, type Ledger } from './digest-ledger.js'
import { createMeasures, type Search } from './measures.js'
import { emptyTally } from './histograms.js'
import { countsNear, createUnitOrders, isSingle, type ScheduledWork, type SegmentRun } from './unit-orders.js'
import { COUNTED_SEGMENTS, isCount, type Found, type UnitOrder, type UnitResult } from './unit.js'

/**
 * Hands out units in an order that respects what depends on what, and takes in their results. Knows no threads and no
 * files.
 */
export interface Schedule {
  /**
   * The next unit that can start now, of at most so many segments; undefined when all others wait for results or there
   * are none.
   */
  next(most?: number): UnitOrder | undefined
  /** Elements that no unit has been given yet, as far as can be foreseen. */
  readonly left: number
  /** Takes a result in. Returns the tensor whose magnitudes cannot be ordered, if the unit found one. */
  finish(result: UnitResult): { readonly nonFinite: Job; readonly step: string } | undefined
  readonly finished: boolean
  /** How often it was asked whether a phase can start: in proportion to the phases, whatever waits. Tests count it. */
  readonly looked: number
  /** The value of a scalar whose measures have all been taken. */
  valueOf(scalar: Scalar): number
  /** The cells of a tally that has been taken. */
  cellsOf(tally: Tally): Float64Array
  /** The digests of tensors that were read or written whole. */
  readonly ledger: Ledger
  /** What measures came to, those that were known beforehand aside. */
  outcomes(): ReadonlyMap<Measure, StoredOutcome>
}

/** Phases of type `digest` count the tensors that are read for their digests alone, not jobs. */
interface Phase {
  readonly job: number
  readonly type: 'copy' | 'pass' | 'solve' | 'digest'
  readonly pass: number
  next: number
  open: number
}
interface Issued {
  readonly job: number
  readonly size: number
  readonly run: SegmentRun
  readonly pass: Pass | undefined
  readonly order: UnitOrder
  readonly phase: Phase | undefined
}

/**
 * What a measure over no elements comes to, which no job takes. That any other was not taken is a mistake of the plan.
 */
const nothing = (m: Measure): number => {
  const subject = subjectOf(m)
  if (subject !== undefined && sizeOf(subject.shape) > 0)
    throw new Error(`a ${m.type} over ${viewLabel(subject)} is used and nobody took it`)
  if (m.type !== 'total') return NaN
  return m.measure === 'min' ? Infinity : m.measure === 'max' ? -Infinity : 0
}

/**
 * Prepares the units of a plan. `keeping` are the paths of the files for masks that are kept, in the order of the plan;
 * without them none is.
 */
export const createSchedule = (plan: ScheduledWork, keeping: readonly string[] = []): Schedule => {
  const measures = createMeasures(plan.outcomes, (count) => evaluator.scalar(count))
  const ledger = createLedger()
  const issued = new Map<number, Issued>()
  const searches: Search[] = []
  /** Phases that may start, later passes of begun jobs first, so that few jobs are open at a time. */
  const ready: Phase[] = []
  /**
   * Phases that may not, by the group of the first measure they lack: only what that comes to makes it worth looking at
   * them again.
   */
  const waiting = new Map<string, Phase[]>()
  let looked = 0
  let nextJob = 0
  let nextDigest = 0
  let open = 0
  let left =
    plan.jobs.reduce((n, { size, copies, sweeps }) => n + size * (copies.length + (sweeps?.passes.length ?? 0)), 0) +
    plan.undigested.reduce((n, { shape }) => n + sizeOf(shape), 0)

  plan.jobs.forEach((job, index) => {
    const seen = new Set<number>()
    for (const pass of job.sweeps?.passes ?? []) {
      for (const { measure } of pass.takes) {
        if (seen.has(measure.id)) continue
        seen.add(measure.id)
        measures.announce(index, job.tensor, measure, job.size, segmentsOf(job.size))
      }
    }
  })

  /** Bytes of the solvers that are at work, and how many there may be. */
  let solving = 0
  const mostSolving = solvingBytes(plan.jobs.flatMap(({ solve }) => solve ?? []))

  const passOf = ({ job, type, pass }: Phase): Pass | undefined =>
    type === 'pass' ? plan.jobs[job]!.sweeps!.passes[pass] : undefined
  /** A measure that a phase has to wait for before its next segment; undefined when that can start. */
  const missing = (phase: Phase): Measure | undefined => {
    looked += 1
    if (phase.type === 'solve')
      return plan.jobs[phase.job]!.solve!.operands.flatMap((p) => p.needs).find(
        (m) => measures.outcome(m) === undefined,
      )
    const pass = passOf(phase)
    if (pass === undefined) return undefined
    if (phase.next > 0) return probesOf(phase, pass).find((m) => measures.guess(m) === undefined)
    return (
      pass.needs.find((m) => measures.outcome(m) === undefined) ??
      pass.takes.find((t) => t.stage === 'low' && measures.bin(t.measure) === undefined)?.measure
    )
  }
  /** The measures of a pass whose first segment tells the others where to look. */
  const probesOf = ({ job }: Phase, { takes }: Pass): readonly Measure[] => {
    const { size } = plan.jobs[job]!
    return segmentsOf(size) === 1
      ? []
      : takes
          .filter((t) => t.stage === 'high' && countsNear(t.measure, size) && !measures.missed(t.measure))
          .map((t) => t.measure)
  }
  const hasNothingToDo = (phase: Phase): boolean => {
    const takes = passOf(phase)?.takes ?? []
    return takes.length > 0 && takes.every((t) => t.stage === 'low' && measures.lowDone(t.measure))
  }
  /** Lines a phase up: with those that may start, or with those that lack the same. */
  const lineUp = (phase: Phase): void => {
    const lacks = missing(phase)
    if (lacks === undefined) return void ready.push(phase)
    const held = waiting.get(groupKey(lacks))
    if (held === undefined) waiting.set(groupKey(lacks), [phase])
    else held.push(phase)
  }
  const enter = (phase: Phase): void => {
    if (!hasNothingToDo(phase)) return lineUp(phase)
    left -= elementsOf(phase)
    enterNext(phase)
  }
  const enterNext = (phase: Phase): void => {
    if (phase.pass + 1 < plan.jobs[phase.job]!.sweeps!.passes.length)
      enter({ job: phase.job, type: phase.type, pass: phase.pass + 1, next: 0, open: 0 })
  }
  const bytesOf = ({ job }: Phase): number => bytesOfSolve(plan.jobs[job]!.solve!)
  const wake = (group: string): void => {
    const held = waiting.get(group)
    waiting.delete(group)
    held?.forEach(lineUp)
  }
  const phasesOf = (job: number): Phase[] => {
    const { copies, sweeps, solve } = plan.jobs[job]!
    if (solve !== undefined) return [{ job, type: 'solve', pass: 0, next: 0, open: 0 }]
    return [
      ...copies.map((_, i): Phase => ({ job, type: 'copy', pass: i, next: 0, open: 0 })),
      ...(sweeps === undefined ? [] : [{ job, type: 'pass', pass: 0, next: 0, open: 0 } as const]),
    ]
  }

  /** Units of a phase. */
  const unitsOf = (phase: Phase): number =>
    phase.type === 'solve' ? panelsOf(plan.jobs[phase.job]!.solve!) : segmentsOf(elementsOf(phase))
  const elementsOf = ({ job, type }: Phase): number =>
    type === 'digest' ? sizeOf(plan.undigested[job]!.shape) : plan.jobs[job]!.size
  const evaluator = createEvaluator({
    number: (m) => {
      const outcome = measures.outcome(m as Measure)
      return outcome?.type === 'number' ? outcome.value : nothing(m as Measure)
    },
    blocks: (m) => {
      const outcome = measures.outcome(m as Measure)
      if (outcome?.type !== 'blocks') throw new Error('a pass began before the numbers of its blocks were known')
      return outcome.values
    },
  })
  const { passUnit, solveUnit, copyUnit, digestUnit } = createUnitOrders(plan, measures, ledger, evaluator, keeping)
  const issue = (order: UnitOrder, rest: Omit<Issued, 'order'>): UnitOrder => {
    issued.set(order.id, { ...rest, order })
    open += 1
    return order
  }

  /** How many segments a phase goes on with: one that tells the others where to look goes alone. */
  const lengthOf = (phase: Phase, pass: Pass | undefined, most: number): number => {
    if (phase.type === 'solve' || (pass !== undefined && isSingle(pass))) return 1
    if (phase.next === 0 && pass !== undefined && probesOf(phase, pass).some((m) => measures.guess(m) === undefined))
      return 1
    const counts = pass?.takes.some(isCount) === true
    return Math.min(counts ? Math.min(most, COUNTED_SEGMENTS) : most, unitsOf(phase) - phase.next)
  }
  const nextUnit = (most: number): UnitOrder | undefined => {
    const search = searches.pop()
    if (search !== undefined) {
      const pass = plan.jobs[search.job]!.sweeps!.locates.get(search.measure.id)!
      const run = { first: search.segment, count: 1 }
      return issue(passUnit(search.job, pass, run, search), {
        job: search.job,
        size: plan.jobs[search.job]!.size,
        run,
        pass,
        phase: undefined,
      })
    }
    const at = ready.findLastIndex((p) => p.type !== 'solve' || solving + bytesOf(p) <= mostSolving)
    const phase = ready[at]
    if (phase === undefined) return undefined
    const pass = passOf(phase)
    const run = { first: phase.next, count: lengthOf(phase, pass, most) }
    phase.next += run.count
    phase.open += 1
    if (phase.next >= unitsOf(phase)) ready.splice(at, 1)
    else if (missing(phase) !== undefined) ready.splice(at, 1).forEach(lineUp)
    if (phase.type === 'solve') {
      solving += bytesOf(phase)
      const { size } = plan.jobs[phase.job]!
      return issue(solveUnit(phase.job, run.first), { job: phase.job, size, run, pass: undefined, phase })
    }
    const order =
      pass !== undefined
        ? passUnit(phase.job, pass, run)
        : phase.type === 'digest'
          ? digestUnit(phase.job, run)
          : copyUnit(phase.job, phase.pass, run)
    left -= order.end - order.start
    return issue(order, { job: phase.job, size: elementsOf(phase), run, pass, phase })
  }

  const closePhase = (phase: Phase): void => {
    phase.open -= 1
    if (phase.type === 'solve') solving -= bytesOf(phase)
    if (phase.open > 0 || phase.next < unitsOf(phase)) return
    if (phase.type === 'solve') {
      const { measure } = plan.jobs[phase.job]!.solve!
      measures.settle(measure)
      wake(groupKey(measure))
    }
    if (phase.type !== 'pass') return
    // A measure that did not come out where it was expected is taken again, along with all others of its pass.
    if (passOf(phase)!.takes.some((t) => t.stage === 'high' && measures.missed(t.measure)))
      enter({ ...phase, next: 0, open: 0 })
    else enterNext(phase)
  }
  const takeIn = (unit: Issued, found: readonly Found[]): ReturnType<Schedule['finish']> => {
    const takes = unit.pass?.takes ?? []
    const settled = new Set<string>()
    for (let i = 0; i < unit.run.count * takes.length; i++) {
      const { measure, stage } = takes[i % takes.length]!
      const segment = unit.run.first + Math.floor(i / takes.length)
      const outcome = measures.record(unit.job, measure, stage, segment, found[i]!)
      if (outcome === 'non-finite') {
        const job = plan.jobs[unit.job]!
        return { nonFinite: job, step: measure.over?.step ?? job.askers?.get(measure.id) ?? job.step }
      }
      if (outcome === 'known') settled.add(groupKey(measure))
      else if (outcome !== 'more') searches.push(outcome)
    }
    settled.forEach(wake)
    return undefined
  }

  return {
    next: (most = 1) => {
      for (;;) {
        const unit = nextUnit(most)
        if (unit !== undefined) return unit
        if (nextJob < plan.jobs.length) phasesOf(nextJob++).reverse().forEach(enter)
        else if (nextDigest < plan.undigested.length)
          enter({ job: nextDigest++, type: 'digest', pass: 0, next: 0, open: 0 })
        else break
      }
      if (open === 0 && waiting.size > 0) throw new Error('the passes of the plan wait for each other')
      return undefined
    },
    finish: (result) => {
      const unit = issued.get(result.id)!
      issued.delete(result.id)
      open -= 1
      const segments = segmentsOf(unit.size)
      unit.order.reads.forEach((r, i) => {
        if (r.digest) ledger.record(r.input ?? r.path, r.tensor, segments, unit.run.first, result.readDigests[i]!)
      })
      unit.order.writes.forEach((w, i) => {
        const digest = result.writeDigests[i]
        if (digest !== undefined) ledger.record(w.path, w.tensor, segments, unit.run.first, digest)
      })
      const trouble = takeIn(unit, result.found)
      if (unit.phase !== undefined) closePhase(unit.phase)
      return trouble
    },
    get left() {
      return left
    },
    get finished() {
      return (
        nextJob >= plan.jobs.length &&
        nextDigest >= plan.undigested.length &&
        ready.length === 0 &&
        waiting.size === 0 &&
        searches.length === 0 &&
        open === 0
      )
    },
    valueOf: evaluator.scalar,
    cellsOf: (tally) => {
      const outcome = measures.outcome(tally)
      if (outcome?.type === 'cells') return outcome.values
      nothing(tally)
      return emptyTally(tally.cells)
    },
    get looked() {
      return looked
    },
    ledger,
    outcomes: () => measures.taken(),
  }
}
