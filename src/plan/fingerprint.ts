import { shortDigest } from '../base/digest.js'
import { greatest, groupBy } from '../base/lists.js'
import { atOnce, type Sliced } from '../base/slices.js'
import { argumentsOf, isMeasure, type Expression, type Measure, type Stream } from '../graph/expression.js'
import { groupKey, statisticOf } from '../graph/groups.js'
import { describeProduct } from '../graph/products.js'
import { walk } from '../graph/walk.js'
import type { Measured } from '../operators/value.js'
import type { Dtype } from '../tensor/dtype.js'
import type { TensorInfo } from '../tensor/info.js'
import { selectionText, viewLabel, wholeOf, type View } from '../tensor/view.js'

/**
 * A hash of everything that determines some bytes: an expression, the contents it reads, and how its result is written.
 * 32 hex digits.
 */
export type Fingerprint = string & { readonly __brand: 'Fingerprint' }

/** Identifies a stored tensor, for example by the digest of its bytes; undefined while that is unknown. */
export type Identify = (tensor: TensorInfo) => string | undefined

/**
 * The version of the arithmetic: raised when equal expressions give other bytes than before, so that no older result is
 * reused.
 */
const ARITHMETIC = 2

/** How the elements of a root become bytes. */
export interface Encoding {
  /** How many there are: the expression does not tell if it reads nothing, as constants and random numbers do. */
  readonly elements: number
  readonly dtype: Dtype
  readonly allowNonFinite: boolean
}

/**
 * Fingerprints of one graph, with one way to identify stored tensors. Paths and names of steps and files are not part
 * of them.
 */
export interface Fingerprints {
  /** Of the bytes of a root; undefined while something it reads is not identified. */
  of(value: Expression, encoding: Encoding): Fingerprint | undefined
  /**
   * Of a measure's result; of one over several tensors, the group's. Undefined for one over random or constant numbers
   * only.
   */
  ofMeasure(measure: Measure): Fingerprint | undefined
  /** Of all figures of a report; undefined while something they are computed from is not identified. */
  ofFigures(measured: readonly Measured[]): Fingerprint | undefined
  /**
   * Prepares the members of all groups, yielding after each; without this, the first fingerprint of a group does so at
   * once.
   */
  prepare(): Sliced<void>
}

/** The subjects of measures, cached, so that each measure of a chain is visited once. */
const subjects = new WeakMap<Measure, { readonly view: View | undefined }>()

/** The subject of an expression: the first view of a stored tensor that it reads. */
export const subjectOf = (root: Expression): View | undefined => {
  const seen = new Set<number>()
  let found: { readonly view: View | undefined } | undefined
  walk([root], {
    enter: (e) => {
      if (found !== undefined || seen.has(e.id)) return false
      seen.add(e.id)
      if (e.type === 'read' || e.type === 'read-mask') found = { view: e.view }
      const known = isMeasure(e) ? subjects.get(e) : undefined
      if (known?.view !== undefined) found = known
      return found === undefined && known === undefined
    },
  })
  if (isMeasure(root)) subjects.set(root, found ?? { view: undefined })
  return found?.view
}

const shapes = new WeakMap<Expression, { readonly shape: readonly number[] | undefined }>()

/**
 * The shape of what an expression computes for each element, or a measure reduces: that of the first view or result of a
 * solver whose elements are its own. What only enters by numbers of the whole or of blocks, such as a mean of fewer
 * rows, may have another; undefined where there is nothing else.
 */
export const elementsOf = (root: Expression): readonly number[] | undefined => {
  const known = shapes.get(root)
  if (known !== undefined) return known.shape
  const seen = new Set<number>()
  let shape: readonly number[] | undefined
  walk([root], {
    enter: (e) => {
      if (shape !== undefined || seen.has(e.id)) return false
      seen.add(e.id)
      if (e.type === 'read' || e.type === 'read-mask') shape = e.view.shape
      else if (e.type === 'solve' && e !== root) shape = e.shape
      return shape === undefined && (e === root || (e.kind !== 'scalar' && e.kind !== 'vector'))
    },
  })
  shapes.set(root, { shape })
  return shape
}

/** The name of a measure within its group. */
const nameIn = (m: Measure): string => {
  const subject = subjectOf(m)
  return m.over?.tensor ?? (subject === undefined ? '' : viewLabel(subject))
}

/** Numbers as JSON has none for: -0 and the infinities are not 0 and null. */
const exactly = (x: number): number | string =>
  Number.isFinite(x) && !Object.is(x, -0) ? x : String(Object.is(x, -0) ? '-0' : x)
const words = (s: Stream): readonly unknown[] => [s.seed, s.step, s.draw, s.tensor]

/**
 * The depth from which an expression is replaced by its digest, so that each part of a long chain is described once,
 * and not again for everything above it.
 */
const DEEPEST = 32

/** A value as JSON; most are the numbers of lines. */
const jsonOf = (x: unknown): string => (Number.isInteger(x) ? `${x as number}` : JSON.stringify(x))

/** An expression or a group as a text; `complete` is false while something it reads is not identified. */
interface Described {
  readonly text: string
  readonly complete: boolean
}

const NOTHING: readonly never[] = []

/**
 * The operands that a description includes: none for a total or quantile over a group, which is described by the group.
 */
const operandsOf = (e: Expression): readonly Expression[] =>
  (e.type === 'total' || e.type === 'quantile') && e.over !== undefined ? NOTHING : argumentsOf(e)

/** Makes fingerprints; `grouped` are all measures over several tensors that the graph has. */
export const createFingerprints = (grouped: () => readonly Measure[], identify: Identify): Fingerprints => {
  const groups = new Map<string, Described>()
  /** Deep expressions by their number. */
  const deep = new Map<number, Described>()
  let members: { readonly of: number; readonly byGroup: ReadonlyMap<string, readonly Measure[]> } | undefined
  /** False as soon as something is met that is not identified. */
  let complete = true

  const membersOf = (key: string): readonly Measure[] => {
    const all = grouped()
    if (members?.of !== all.length) members = { of: all.length, byGroup: groupBy(all, groupKey) }
    return members.byGroup.get(key) ?? []
  }

  const stored = (view: View): string => {
    const known = identify(view.tensor)
    if (known === undefined) complete = false
    return `${view.tensor.dtype} ${known ?? ''}${selectionText(view)}`
  }
  /** A group is described by its members' operands, in the order that splits equal magnitudes. */
  const group = (m: Measure): string => {
    const key = groupKey(m)
    atOnce(prepareGroup(key))
    const known = groups.get(key)!
    complete &&= known.complete
    return known.text
  }
  function* prepareGroup(key: string): Sliced<void> {
    // Groups below come first, and each is left before those above: whole models may be measured after each other,
    // deeper than the stack.
    for (const path = [key]; path.length > 0;) {
      const next = path.at(-1)!
      const missing = groups.has(next) ? [] : groupsBelow(next)
      for (const below of missing.toReversed()) path.push(below)
      if (missing.length > 0) continue
      path.pop()
      if (!groups.has(next)) groups.set(next, yield* describeGroup(next))
    }
  }
  /** The groups that the members of one are made of and that are not described yet, those below first. */
  const groupsBelow = (key: string): string[] => {
    const found = new Set<string>()
    const seen = new Set<number>()
    walk(membersOf(key).flatMap(argumentsOf), {
      enter: (e) => {
        if (seen.has(e.id) || deep.has(e.id) || (isMeasure(e) && e.over !== undefined && groups.has(groupKey(e))))
          return false
        seen.add(e.id)
        return true
      },
      leave: (e) => void (isMeasure(e) && e.over !== undefined && found.add(groupKey(e))),
    })
    return [...found]
  }
  function* describeGroup(key: string): Sliced<Described> {
    const described: (readonly [string, string])[] = []
    let whole = true
    for (const other of membersOf(key)) {
      yield
      const before = complete
      complete = true
      described.push([nameIn(other), shortDigest(describe(argumentsOf(other)))])
      whole = complete
      complete = before
      // What the others are made of cannot make it complete again.
      if (!whole) break
    }
    described.sort(([x, a], [y, b]) => (x < y ? -1 : x > y ? 1 : a < b ? -1 : 1))
    return { text: shortDigest(JSON.stringify(described)), complete: whole }
  }
  const detail = (e: Expression, ref: (e: Expression) => number): readonly unknown[] => {
    switch (e.type) {
      case 'literal':
        return [exactly(e.value)]
      case 'read':
      case 'read-mask':
        return [stored(e.view)]
      case 'normal':
      case 'uniform':
        return words(e.stream)
      case 'bernoulli':
        return [exactly(e.p), ...words(e.stream)]
      case 'position':
        return [e.stride, e.length]
      case 'product':
        return describeProduct(e.product, stored)
      case 'stored':
        return [stored(wholeOf(e.from))]
      case 'spread':
        return [ref(e.vector), e.grid.shape, e.grid.blocks]
      case 'block-totals':
        return [e.measure, e.grid.shape, e.grid.blocks, ...e.operands.map(ref)]
      case 'solve':
        return [e.solver.name, e.solver.version, e.shapes, e.settings.map(exactly), e.shape, ...e.operands.map(ref)]
      case 'result':
        return [e.of.fn.name, e.of.fn.version, e.index, ...e.of.args.map(ref)]
      case 'constant':
        return [e.value]
      case 'compute':
      case 'combine':
      case 'apply':
      case 'logic':
      case 'compare':
        return [e.op, ...argumentsOf(e).map(ref)]
      case 'fill':
      case 'choose':
        return argumentsOf(e).map(ref)
      case 'total':
        return e.over === undefined ? [e.measure, ...e.operands.map(ref)] : [e.measure, group(e)]
      case 'quantile':
        return [exactly(e.q), e.over === undefined ? ref(e.operand) : group(e)]
      // Which of a group's equal magnitudes are in depends on where the tensor comes in the group, which is by name.
      case 'top':
        return [
          exactly(e.density),
          ...argumentsOf(e).map(ref),
          ...(e.equal === 'first' ? [] : [e.equal]),
          ...(e.over === undefined ? [] : [group(e), nameIn(e)]),
        ]
      case 'tally':
        return [e.cells.by === 'place' ? e.cells : { by: e.cells.by, count: e.cells.count }, ...argumentsOf(e).map(ref)]
    }
  }
  /**
   * Digests every expression at the depth limit above stored tensors, or above other digested expressions, so that no
   * later description goes through it again.
   */
  const digestDeep = (roots: readonly Expression[]): void => {
    const depths = new Map<number, number>()
    walk(roots, {
      enter: (e) => !depths.has(e.id) && !deep.has(e.id),
      leave: (e) => {
        const below = greatest(
          operandsOf(e).map((x) => depths.get(x.id) ?? 0),
          0,
        )
        depths.set(e.id, below + 1)
        if (below + 1 < DEEPEST) return
        const before = complete
        complete = true
        deep.set(e.id, { text: shortDigest(textOf([e])), complete })
        complete = before
        depths.set(e.id, 0)
      },
      below: operandsOf,
    })
  }
  /**
   * The expressions below some roots as one text, each once, numbered in the order of the walk; deep ones are replaced
   * by their digest. Undefined as soon as they go deeper than `most`; empty as soon as they turn out not to be complete,
   * whose text is of no use.
   */
  const textWithin = (most: number, roots: readonly Expression[]): string | undefined => {
    const numbers = new Map<number, number>()
    const lines: string[] = []
    const depths: number[] = []
    const top = new Set(roots)
    const known = (e: Expression): Described | undefined => (top.has(e) ? undefined : deep.get(e.id))
    const numberOf = (e: Expression): number => numbers.get(e.id)!
    let within = true
    walk(roots, {
      enter: (e) => within && complete && !numbers.has(e.id),
      leave: (e) => {
        if (!within || !complete) return
        const described = known(e)
        let depth = 0
        let line = described?.text
        if (line === undefined) {
          for (const x of operandsOf(e)) depth = Math.max(depth, depths[numberOf(x)]!)
          depth += 1
          line = `["${e.kind}","${e.type}"`
          for (const x of detail(e, numberOf)) line += `,${jsonOf(x)}`
          line += ']'
        }
        complete &&= described?.complete ?? true
        within = depth <= most
        depths.push(depth)
        numbers.set(e.id, lines.push(line) - 1)
      },
      below: (e) => (known(e) === undefined ? operandsOf(e) : NOTHING),
    })
    if (!complete) return ''
    return within ? `${lines.join('\n')}\n${roots.map(numberOf).join()}` : undefined
  }
  const textOf = (roots: readonly Expression[]): string => textWithin(Infinity, roots)!
  const describe = (roots: readonly Expression[]): string => {
    const shallow = textWithin(DEEPEST - 1, roots)
    if (shallow !== undefined) return shallow
    digestDeep(roots)
    return textOf(roots)
  }
  const made = (make: () => string): Fingerprint | undefined => {
    complete = true
    const text = make()
    return complete ? (shortDigest(text) as Fingerprint) : undefined
  }

  /**
   * True where the first thing that an expression reads is not identified, as most are not before a first build; it is
   * not looked for far down.
   */
  const isUnread = (e: Expression): boolean => {
    let first: Expression | undefined = e
    for (let depth = 0; depth < DEEPEST && first !== undefined; depth++) {
      if (first.type === 'read' || first.type === 'read-mask') return identify(first.view.tensor) === undefined
      first = operandsOf(first)[0]
    }
    return false
  }

  return {
    *prepare() {
      for (const m of grouped()) yield* prepareGroup(groupKey(m))
    },
    of: (value, { elements, dtype, allowNonFinite }) =>
      isUnread(value)
        ? undefined
        : made(() => `${ARITHMETIC} ${elements} ${dtype} ${allowNonFinite}\n${describe([value])}`),
    // Without a stored tensor below it nothing tells how many elements it is over.
    ofMeasure: (m) =>
      subjectOf(m) === undefined || isUnread(m)
        ? undefined
        : made(
            () =>
              `${ARITHMETIC} ${m.type}\n${m.type === 'tally' || m.type === 'block-totals' || m.type === 'solve' || m.over === undefined ? describe([m]) : `${statisticOf(m)}: ${group(m)}`}`,
          ),
    ofFigures: (measured) =>
      made(() => {
        const named = measured.map(({ tensor, size, scalars, tallies = {} }) => [
          tensor,
          size,
          Object.keys(scalars),
          Object.keys(tallies),
        ])
        return `${ARITHMETIC} figures ${JSON.stringify(named)}\n${describe(measured.flatMap(({ scalars, tallies = {} }) => [...Object.values(scalars), ...Object.values(tallies)]))}`
      }),
  }
}
