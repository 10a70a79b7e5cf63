import { argumentsOf, groupOf, isMeasure, type Expression, type Measure } from './expression.js'
import { createAssembler, type Assembler, type Assembly, type Uniform, type Wanted } from './program.js'

/** How a measure is taken: totals, tallies and peaks in one pass; order statistics by the high and then the low bits of the magnitudes. */
export type Stage = 'sum' | 'dot' | 'min' | 'max' | 'tally' | 'peaks' | 'high' | 'low' | 'locate'

/** One measure taken by a pass, and the program outputs (float32) that hold its operands. */
export interface Taken {
  readonly measure: Measure
  readonly stage: Stage
  readonly ports: readonly number[]
}

/** One sweep over the elements of a tensor: what it reads and computes, which measures it takes, which roots it writes. */
export interface Pass extends Assembly {
  readonly takes: readonly Taken[]
  /** Program output `port` holds root number `root`. */
  readonly writes: readonly { readonly root: number; readonly port: number }[]
  /** The measures whose results it must know before it starts; a `low` stage also needs the `high` stage of its own measure. */
  readonly needs: readonly Measure[]
}

/** The passes that compute some roots of equal length: sweeps that measure, in order, and the last, which writes. */
export interface Sweeps {
  readonly passes: readonly Pass[]
  /** For each `top` mask the program that finds, in one segment, the element where equal magnitudes are cut. */
  readonly locates: ReadonlyMap<number, Pass>
}

/** The level of an expression: how many sweeps over its own tensor must have finished before it can be computed. */
const levels = (isGiven: (e: Expression) => boolean): ((e: Expression) => number) => {
  const known = new Map<number, number>()
  const level = (e: Expression): number => {
    const found = known.get(e.id)
    if (found !== undefined) return found
    if (isGiven(e)) return 0
    const below = Math.max(0, ...argumentsOf(e).map(level))
    const own = e.type === 'total' || e.type === 'tally' || e.type === 'peaks' ? below + 1 : e.type === 'quantile' || e.type === 'top' ? below + 2 : below
    known.set(e.id, own)
    return own
  }
  return level
}

/** Every measure below some expressions, each once, operands before users; what is known, and all below it, is passed over. */
export const measuresOf = (roots: readonly Expression[], isKnown: (e: Expression) => boolean = () => false): Measure[] => {
  const seen = new Set<number>()
  const found: Measure[] = []
  const visit = (e: Expression): void => {
    if (seen.has(e.id) || isKnown(e)) return
    seen.add(e.id)
    argumentsOf(e).forEach(visit)
    if (isMeasure(e)) found.push(e)
  }
  roots.forEach(visit)
  return found
}

const operandsOf = (measure: Measure) => (measure.type === 'total' ? measure.operands : [measure.operand])

/** The measures that a number fed to a pass depends on. */
const behind = (uniform: Uniform): Measure[] => {
  if (uniform.type === 'top') return [uniform]
  const found: Measure[] = []
  const visit = (e: Expression): void => {
    if (isMeasure(e)) found.push(e)
    else argumentsOf(e).forEach(visit)
  }
  visit(uniform)
  return found
}

const makePass = (assemble: Assembler, taking: readonly { measure: Measure; stage: Stage }[], writing: readonly { root: number; wanted: Wanted }[]): Pass => {
  const wanted: Wanted[] = []
  const portOf = new Map<number, number>()
  const takes = taking.map(({ measure, stage }): Taken => ({
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
  const writes = writing.map(({ root, wanted: w }) => ({ root, port: wanted.push(w) - 1 }))
  const assembly = assemble(wanted)
  const bounds = taking.flatMap(({ measure: m }) => (m.type === 'tally' && m.cells.by === 'value' ? [m.cells.low, m.cells.high] : []))
  const peaks = assembly.draws.flatMap((d) => (d.type === 'block-scale' && 'kind' in d.scales.from ? [d.scales.from] : []))
  const needs = [...new Map([...[...assembly.uniforms, ...bounds].flatMap(behind), ...peaks].map((m) => [m.id, m])).values()]
  return { ...assembly, takes, writes, needs }
}

/** What groups measures over several tensors; one of a single tensor has a group of its own. */
export const groupKey = (m: Measure): string => {
  if (m.type === 'tally' || m.type === 'peaks' || m.over === undefined) return `#${m.id}`
  const detail = m.type === 'total' ? m.measure : m.type === 'top' ? m.density : m.q
  return `${m.type}:${detail}:${groupOf(m.over)}`
}

/**
 * Cuts the roots of one tensor into as few sweeps as their measures allow; the last pass writes all roots.
 * `measures` are all that are to be taken of this tensor. What `isGiven` takes no sweep of it: measures that are known or taken of other
 * tensors, which are waited for, and masks that are at hand.
 */
export const cutPasses = (
  roots: readonly Wanted[], measures: readonly Measure[] = measuresOf(roots.map((r) => r.value)),
  isGiven: (e: Expression) => boolean = () => false,
  assemble: Assembler = createAssembler(),
): Sweeps => {
  const level = levels(isGiven)
  const start = (m: Measure): number => Math.max(0, ...argumentsOf(m).map(level))
  const depth = Math.max(0, ...roots.map((r) => level(r.value)), ...measures.map(level))
  const sweeps = Array.from({ length: depth }, (_, at) =>
    measures.flatMap((measure): { measure: Measure; stage: Stage }[] => {
      const first = start(measure)
      if (measure.type !== 'quantile' && measure.type !== 'top') return first === at ? [{ measure, stage: measure.type === 'total' ? measure.measure : measure.type }] : []
      return first === at ? [{ measure, stage: 'high' }] : first + 1 === at ? [{ measure, stage: 'low' }] : []
    }))
  return {
    passes: [
      ...sweeps.map((taking) => makePass(assemble, taking, [])),
      ...(roots.length === 0 ? [] : [makePass(assemble, [], roots.map((wanted, root) => ({ root, wanted })))]),
    ],
    locates: new Map(measures.filter((m) => m.type === 'top').map((m) => [m.id, makePass(assemble, [{ measure: m, stage: 'locate' }], [])])),
  }
}
