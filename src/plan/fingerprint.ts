import { shortDigest } from '../base/digest.js'
import { argumentsOf, groupOf, ownerOf, type BlockScales, type Expression, type Measure, type Over, type Product, type Stream } from '../graph/expression.js'
import { groupKey } from '../graph/passes.js'
import type { Measured } from '../operators/value.js'
import type { Dtype } from '../tensor/dtype.js'
import type { TensorInfo } from '../tensor/info.js'
import { selectionText, viewLabel, wholeOf, type View } from '../tensor/view.js'

/** What makes some bytes: 32 hex digits over an expression, the contents it reads, and how its result is written. */
export type Fingerprint = string & { readonly __brand: 'Fingerprint' }

/** What a stored tensor is known by, such as the digest of its bytes; undefined while that is not known. */
export type Identify = (tensor: TensorInfo) => string | undefined

/** The version of the arithmetic: raised when equal expressions begin to give other bytes, so that nothing made before is taken over. */
const ARITHMETIC = 1

/** How the elements of a root become bytes. */
export interface Encoding {
  /** How many there are: constants and random numbers do not tell. */
  readonly elements: number
  readonly dtype: Dtype
  readonly allowNonFinite: boolean
}

/** Fingerprints of one graph under one way to identify what is stored. Paths, names of steps and of files never enter. */
export interface Fingerprints {
  /** Of the bytes a root is written as; undefined while something it reads is not identified. */
  of(value: Expression, encoding: Encoding): Fingerprint | undefined
  /** Of a measure's outcome; of one over several tensors, the group's. Undefined for one of random or constant numbers only. */
  ofMeasure(measure: Measure): Fingerprint | undefined
  /** Of all figures that a report is drawn from; undefined while something they are taken over is not identified. */
  ofFigures(measured: readonly Measured[]): Fingerprint | undefined
}

/** What an expression is about: the first view of a stored tensor that it reads. */
export const subjectOf = (e: Expression): View | undefined => {
  if (e.type === 'read' || e.type === 'read-mask') return e.view
  for (const argument of argumentsOf(e)) {
    const found = subjectOf(argument)
    if (found !== undefined) return found
  }
  return undefined
}

/** What a measure over a group is called there. */
const nameIn = (m: Measure): string => {
  const subject = subjectOf(m)
  return ownerOf(m.over) ?? (subject === undefined ? '' : viewLabel(subject))
}

/** Numbers as JSON has none for: -0 and the infinities are not 0 and null. */
const exactly = (x: number): number | string => (Number.isFinite(x) && !Object.is(x, -0) ? x : String(Object.is(x, -0) ? '-0' : x))
const words = (s: Stream): readonly unknown[] => [s.seed, s.step, s.draw, s.tensor]

/** Makes fingerprints; `grouped` are all measures over several tensors that the graph has. */
export const createFingerprints = (grouped: () => readonly Measure[], identify: Identify): Fingerprints => {
  const groups = new Map<string, { readonly text: string; readonly complete: boolean }>()
  /** False as soon as something is met that is not identified. */
  let complete = true

  const stored = (view: View): string => {
    const known = identify(view.tensor)
    if (known === undefined) complete = false
    return `${view.tensor.dtype} ${known ?? ''}${selectionText(view)}`
  }
  const product = ({ up, down, mid, rank, columns, firstRow }: Product): readonly unknown[] =>
    [stored(up), stored(down), mid === undefined ? null : stored(mid), rank, columns, firstRow]

  const blockScale = ({ from, grid }: BlockScales, ref: (e: Expression) => number): readonly unknown[] =>
    ['kind' in from ? ref(from) : stored(wholeOf(from)), grid.shape, grid.blocks]

  /** A group is its members' operands, in the order in which equal numbers are told apart. */
  const group = (m: Measure & { readonly over: Over }): string => {
    const key = groupKey(m)
    const known = groups.get(key)
    if (known !== undefined) {
      complete &&= known.complete
      return known.text
    }
    const before = complete
    complete = true
    const members = grouped().filter((other) => groupKey(other) === key)
      .map((other) => [nameIn(other), shortDigest(describe(...argumentsOf(other)))] as const)
      .sort(([x, a], [y, b]) => (x < y ? -1 : x > y ? 1 : a < b ? -1 : 1))
    const text = shortDigest(JSON.stringify(members))
    groups.set(key, { text, complete })
    complete &&= before
    return text
  }
  const detail = (e: Expression, ref: (e: Expression) => number): readonly unknown[] => {
    switch (e.type) {
      case 'literal': return [exactly(e.value)]
      case 'read': case 'read-mask': return [stored(e.view)]
      case 'normal': case 'uniform': return words(e.stream)
      case 'bernoulli': return [exactly(e.p), ...words(e.stream)]
      case 'position': return [e.stride, e.length]
      case 'product': return product(e.product)
      case 'block-scale': return blockScale(e.scales, ref)
      case 'peaks': return [e.grid.shape, e.grid.blocks, ref(e.operand)]
      case 'constant': return [e.value]
      case 'compute': case 'apply': case 'logic': case 'compare': return [e.op, ...argumentsOf(e).map(ref)]
      case 'fill': case 'choose': return argumentsOf(e).map(ref)
      case 'total': return e.over === undefined ? [e.measure, ...e.operands.map(ref)] : [e.measure, group(e)]
      case 'quantile': return [exactly(e.q), e.over === undefined ? ref(e.operand) : group(e)]
      // Which of a group's equal magnitudes are in depends on where the tensor comes in the group, which is by name.
      case 'top': return [exactly(e.density), ref(e.operand), ...(e.over === undefined ? [] : [group(e), nameIn(e)])]
      case 'tally': return [e.cells.by === 'place' ? e.cells : { by: e.cells.by, count: e.cells.count }, ...argumentsOf(e).map(ref)]
    }
  }
  /** The expressions below some roots as one text, each once, numbered in the order they are met. */
  const describe = (...roots: readonly Expression[]): string => {
    const numbers = new Map<number, number>()
    const lines: string[] = []
    const visit = (e: Expression): number => {
      const known = numbers.get(e.id)
      if (known !== undefined) return known
      const line = JSON.stringify([e.kind, e.type, ...detail(e, visit)])
      const number = lines.push(line) - 1
      numbers.set(e.id, number)
      return number
    }
    const ends = roots.map(visit)
    return `${lines.join('\n')}\n${ends.join()}`
  }
  const made = (make: () => string): Fingerprint | undefined => {
    complete = true
    const text = make()
    return complete ? (shortDigest(text) as Fingerprint) : undefined
  }

  return {
    of: (value, { elements, dtype, allowNonFinite }) => made(() => `${ARITHMETIC} ${elements} ${dtype} ${allowNonFinite}\n${describe(value)}`),
    // Without a stored tensor below it nothing tells how many elements it is over.
    ofMeasure: (m) => (subjectOf(m) === undefined ? undefined : made(() => `${ARITHMETIC} ${m.type}\n${m.type === 'tally' || m.type === 'peaks' || m.over === undefined ? describe(m) : `${groupKey(m).replace(groupOf(m.over), '')} ${group(m)}`}`)),
    ofFigures: (measured) => made(() => {
      const named = measured.map(({ tensor, size, scalars, tallies = {} }) => [tensor, size, Object.keys(scalars), Object.keys(tallies)])
      return `${ARITHMETIC} figures ${JSON.stringify(named)}\n${describe(...measured.flatMap(({ scalars, tallies = {} }) => [...Object.values(scalars), ...Object.values(tallies)]))}`
    }),
  }
}
