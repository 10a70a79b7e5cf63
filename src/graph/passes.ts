import {
  argumentsOf,
  isMeasure,
  operandsOf,
  type Expression,
  type Measure,
  type Scalar,
  type Tensor,
  type Vector,
} from './expression.js'
import { createAssembler, type Assembler, type Assembly, type ScalarInput, type ProgramOutput } from './assemble.js'
import { walk, type IdSet } from './walk.js'

/**
 * The stages of measures: totals and tallies need one pass; order statistics count by the high bits of the
 * magnitudes, then by the low bits.
 */
export type Stage = 'sum' | 'dot' | 'min' | 'max' | 'tally' | 'block-totals' | 'high' | 'low' | 'locate'

/** One stage of a measure in a pass, and the program outputs (float32) that hold its operands. */
export interface PlannedReduction {
  readonly measure: Measure
  readonly stage: Stage
  readonly ports: readonly number[]
}

/**
 * One pass over the elements of a tensor: what it reads and computes, which measures it computes, which roots it
 * writes.
 */
export interface Pass extends Assembly {
  readonly takes: readonly PlannedReduction[]
  /** Program output `port` holds root number `root`. */
  readonly writes: readonly { readonly root: number; readonly port: number }[]
  /**
   * The measures that must be complete before it starts; a `low` stage also needs the `high` stage of its own measure.
   */
  readonly needs: readonly Measure[]
}

/** The passes that compute some roots of equal length: those with measures, in order, and the last, which writes. */
export interface Sweeps {
  readonly passes: readonly Pass[]
  /** For each `top` mask, the pass that finds, in one segment, the element that splits equal magnitudes. */
  readonly locates: ReadonlyMap<number, Pass>
}

/** One empty list, shared by all passes. */
const NONE: readonly never[] = []
/** Stands for the pass without measures, which writes. */
const WRITING: readonly Taking[] = []
const NO_LOCATES: Sweeps['locates'] = new Map()

/** The level of an expression: how many passes over its own tensor must have finished before it can be computed. */
const levels = (isGiven: (e: Expression) => boolean): ((e: Expression) => number) => {
  const known = new Map<number, number>()
  const levelOf = (e: Expression): number => known.get(e.id) ?? 0
  const settle = (e: Expression): void => {
    const below = highest(argumentsOf(e), levelOf)
    known.set(e.id, e.type === 'quantile' || e.type === 'top' ? below + 2 : isMeasure(e) ? below + 1 : below)
  }
  const visitor = { enter: (e: Expression): boolean => !known.has(e.id) && !isGiven(e), leave: settle }
  return (e) => {
    walk([e], visitor)
    return levelOf(e)
  }
}

/** The greatest of some levels; 0 if there are none. */
const highest = <T>(all: readonly T[], level: (x: T) => number): number => {
  let most = 0
  for (let i = 0; i < all.length; i++) most = Math.max(most, level(all[i]!))
  return most
}

/**
 * Every measure below some expressions, each once, operands before users. Known measures, everything below them, and
 * everything in `seen` are skipped.
 */
export const measuresOf = (
  roots: readonly Expression[],
  isKnown: (e: Expression) => boolean = () => false,
  seen: IdSet = new Set<number>(),
): Measure[] => {
  const found: Measure[] = []
  walk(roots, {
    enter: (e) => {
      if (seen.has(e.id) || isKnown(e)) return false
      seen.add(e.id)
      return true
    },
    leave: (e) => void (isMeasure(e) && found.push(e)),
  })
  return found
}

/** The measures that the numbers fed to a pass depend on, each once. */
const behind = (uniforms: readonly (ScalarInput | Vector)[]): readonly Measure[] => {
  if (uniforms.length === 0) return NONE
  const found: Measure[] = []
  const seen = new Set<number>()
  walk(uniforms, {
    enter: (e) => {
      if (seen.has(e.id)) return false
      seen.add(e.id)
      if (isMeasure(e)) found.push(e)
      return !isMeasure(e)
    },
  })
  return found
}

interface Taking {
  readonly measure: Measure
  readonly stage: Stage
}

const measuringPass = (assemble: Assembler, taking: readonly Taking[]): Pass => {
  const wanted: ProgramOutput[] = []
  const portOf = new Map<number, number>()
  const takes = taking.map(({ measure, stage }): PlannedReduction => ({
    measure,
    stage,
    ports: operandsOf(measure).map((operand) => {
      const known = portOf.get(operand.id)
      if (known !== undefined) return known
      wanted.push({ value: operand, dtype: 'F32' })
      portOf.set(operand.id, wanted.length - 1)
      return wanted.length - 1
    }),
  }))
  const bounds = taking.flatMap(({ measure: m }) =>
    m.type === 'tally' && m.cells.by === 'value'
      ? [m.cells.low, m.cells.high]
      : m.type === 'top' && m.count !== undefined
        ? [m.count]
        : [],
  )
  return makePass(assemble(wanted), takes, NONE, bounds)
}

const writesOf = new Map<number, Pass['writes']>()

/** A pass that computes nothing but an operand of a solver, at port 0. */
export const operandPass = (assemble: Assembler, operand: Tensor): Pass =>
  makePass(assemble([{ value: operand, dtype: 'F32' }]), NONE, NONE, NONE)

/** The last pass: port n returns root n. */
const writingPass = (assemble: Assembler, roots: readonly ProgramOutput[]): Pass => {
  const writes = writesOf.get(roots.length) ?? roots.map((_, i) => ({ root: i, port: i }))
  writesOf.set(roots.length, writes)
  return makePass(assemble(roots), NONE, writes, NONE)
}

/** The vectors that a pass is fed. */
const vectorsOf = (draws: Assembly['draws']): readonly Vector[] =>
  draws.some((d) => d.type === 'spread') ? draws.flatMap((d) => (d.type === 'spread' ? [d.vector] : [])) : NONE

const makePass = (
  { program, reads, draws, uniforms, needsLength, solves }: Assembly,
  takes: Pass['takes'],
  writes: Pass['writes'],
  bounds: readonly Scalar[],
): Pass => {
  const vectors = vectorsOf(draws)
  const measured = behind(bounds.length + vectors.length === 0 ? uniforms : [...uniforms, ...bounds, ...vectors])
  const needs = solves.length === 0 ? measured : [...measured, ...solves]
  // Written out: of what is spread every one would get a layout of its own, which takes more memory than the object.
  return { program, reads, draws, uniforms, needsLength, solves, takes, writes, needs }
}

/**
 * Divides the work on the roots of one tensor into as few passes as their measures allow; the last pass writes all
 * roots. `measures` are all that this tensor needs. Expressions that are given need no pass here: measures that are
 * known or belong to other tensors, and cached masks.
 */
export const cutPasses = (
  roots: readonly ProgramOutput[],
  measures: readonly Measure[] = measuresOf(roots.map((r) => r.value)),
  isGiven: (e: Expression) => boolean = () => false,
  assemble: Assembler = createAssembler(),
): Sweeps => {
  const level = levels(isGiven)
  // A root has to wait for the measures below it, which are given or among these.
  const depth = highest(measures, level)
  const sweeps = Array.from({ length: depth }, (): Taking[] => [])
  for (const measure of measures) {
    if (measure.type === 'solve') throw new Error('what a solver makes has a job of its own')
    const first = highest(argumentsOf(measure), level)
    if (measure.type !== 'quantile' && measure.type !== 'top')
      sweeps[first]?.push({ measure, stage: measure.type === 'total' ? measure.measure : measure.type })
    else {
      sweeps[first]?.push({ measure, stage: 'high' })
      sweeps[first + 1]?.push({ measure, stage: 'low' })
    }
  }
  /** Both stages of one measure read and compute the same. */
  let last: { readonly wanted: readonly ProgramOutput[]; readonly assembly: Assembly } | undefined
  const assembleAgain: Assembler = (wanted) => {
    const isSame =
      last?.wanted.length === wanted.length && wanted.every(({ value }, i) => last!.wanted[i]!.value === value)
    if (!isSame) last = { wanted, assembly: assemble(wanted) }
    return last!.assembly
  }
  return {
    passes: [...sweeps, ...(roots.length === 0 ? NONE : [WRITING])].map((taking) =>
      taking === WRITING ? writingPass(assemble, roots) : measuringPass(assembleAgain, taking),
    ),
    locates: measures.some((m) => m.type === 'top')
      ? new Map(
          measures
            .filter((m) => m.type === 'top')
            .map((m) => [m.id, measuringPass(assemble, [{ measure: m, stage: 'locate' }])]),
        )
      : NO_LOCATES,
  }
}
