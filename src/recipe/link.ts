import { whichPartResult } from '../base/catalogue/parts.js'
import { cycle, nameTwice, unknownName, whichResult, wrongKind } from '../base/catalogue/recipe.js'
import type { Diagnostic, Place, Range } from '../base/diagnostic.js'
import type { MapValue, Value } from '../document/value.js'
import { countResults } from '../operators/count-results.js'
import { operators } from '../operators/index.js'
import type { Kind } from '../operators/value.js'
import { inputEntries } from './inputs.js'
import type { Step } from './recipe.js'
import { kindIn, stepOf, type Scope } from './scope.js'
import { usesOf } from './step.js'

/** Operators that make one mask, or weights, of a model. */
const makersOf = (kinds: readonly (Kind | 'param')[]): readonly string[] =>
  kinds.length > 1 || (kinds[0] !== 'mask' && kinds[0] !== 'weights')
    ? []
    : operators
        .filter(
          ({ output, results, inputs }) =>
            output === kinds[0] && results === undefined && Object.values(inputs).some((i) => i.type === 'model'),
        )
        .map(({ id }) => id)

interface Definition {
  readonly kind: Kind | 'param'
  readonly at: Place
  readonly results: number
  /** Of a step that uses a part with several results. */
  readonly names?: readonly string[]
}

const entriesOf = (
  root: Value,
  key: string,
): readonly (readonly [string, MapValue['entries'] extends ReadonlyMap<string, infer E> ? E : never])[] => {
  const block = root.type === 'map' ? root.entries.get(key)?.value : undefined
  return block?.type === 'map' ? [...block.entries] : []
}

const resultsOf = (step: Step): number =>
  countResults(
    step.operator,
    Object.fromEntries(Object.entries(step.params).map(([k, a]) => [k, a.type === 'value' ? a.value : undefined])),
    step.inputs,
  )

/**
 * Checks that every name of a document is defined once and used as the right kind. Works on recipes that have other
 * problems too.
 */
export const linkNames = (root: Value, scope: Scope): Diagnostic[] => {
  const { steps, uses, declarations } = scope
  const problems: Diagnostic[] = []
  const definitions = new Map<string, Definition>()
  const first = new Map<string, Range>()
  /**
   * Steps whose operator or part is unknown. They still define their name, so that its uses are not reported as unknown names.
   */
  const opaque = new Set<string>()
  const define = (name: string, key: Range, kind: Definition['kind'], results = 1): void => {
    const before = first.get(name)
    if (before !== undefined) return void problems.push(nameTwice(name, key, before))
    first.set(name, key)
    const at: Place = { type: 'text', range: key }
    definitions.set(name, { kind, at, results })
    if (results > 1) for (let i = 1; i <= results; i++) definitions.set(`${name}.${i}`, { kind, at, results: 1 })
  }
  const inputs = inputEntries(root)
  for (const { name, key, kind } of inputs) define(name, key, kind)
  for (const [name, e] of entriesOf(root, 'params')) {
    const expected = declarations.get(name)?.expected
    define(name, e.key, expected?.type === 'name' ? expected.kind : 'param')
  }
  const defineUse = (name: string, key: Range, inner: Scope): void => {
    const names = [...inner.results.keys()]
    define(name, key, kindIn(scope, name) ?? 'model')
    const at: Place = { type: 'text', range: key }
    if (names.length !== 1) definitions.set(name, { kind: 'model', at, results: names.length, names })
    for (const result of names) {
      const kind = kindIn(inner, inner.results.get(result)!) ?? 'model'
      definitions.set(`${name}.${result}`, { kind, at, results: 1 })
    }
  }
  for (const [name, e] of entriesOf(root, 'steps')) {
    const [step, inner] = [steps.get(name), uses.get(name)?.scope]
    if (inner !== undefined) {
      defineUse(name, e.key, inner)
      continue
    }
    if (step === undefined) opaque.add(name)
    define(name, e.key, step?.operator.output ?? 'model', step === undefined ? 1 : resultsOf(step))
  }
  const named = [...definitions].filter(([, d]) => d.kind !== 'param' && d.results === 1)
  const known = named.map(([name]) => name)
  const check = (name: string, at: Place, kinds: readonly Definition['kind'][], delta = false): void => {
    if (opaque.has(stepOf(name))) return
    const definition = definitions.get(name)
    const results = uses.get(stepOf(name))?.scope?.results
    if (results !== undefined && (definition === undefined || definition.names !== undefined))
      problems.push(whichPartResult(stepOf(name), [...results.keys()], name.slice(stepOf(name).length + 1), at))
    else if (definition === undefined)
      problems.push(
        unknownName(
          name,
          kinds,
          named.filter(([, d]) => kinds.includes(d.kind)).map(([fit]) => fit),
          known,
          at,
        ),
      )
    else if (definition.results > 1) problems.push(whichResult(name, definition.results, at))
    else if (!kinds.includes(definition.kind))
      problems.push(
        wrongKind(
          name,
          definition.kind,
          delta ? ['delta'] : kinds,
          at,
          definition.at,
          inputs.some((input) => input.kind === 'model' && input.name === name),
          delta ? [] : makersOf(kinds),
        ),
      )
  }
  const told = new Set<string>()
  // Of a part they are names of its users, which are checked there.
  for (const { expected, default: target, at, given } of scope.isRecipe ? declarations.values() : []) {
    if (expected.type !== 'name' || target === undefined) continue
    const place: Place = given ?? { type: 'text', range: at }
    const before = problems.length
    if (declarations.has(String(target))) problems.push(unknownName(String(target), [expected.kind], [], [], place))
    else check(String(target), place, [expected.kind])
    // What a param names wrongly is not told again where the param is used.
    if (problems.length > before) told.add(String(target))
  }
  const checkUse = (name: string, at: Place, kinds: readonly Definition['kind'][], delta = false): void => {
    if (!told.has(name)) check(name, at, kinds, delta)
  }
  for (const step of steps.values()) for (const use of usesOf(step)) checkUse(use.name, use.at, [use.kind], use.delta)
  for (const use of uses.values()) for (const { name, at, kind } of use.args.values()) checkUse(name, at, [kind])
  for (const [, { value }] of entriesOf(root, 'results'))
    if (value.type === 'string')
      check(value.value, { type: 'text', range: value.range }, ['model', 'mask', 'weights', 'adapter', 'report'])
  for (const [, e] of entriesOf(root, 'outputs')) {
    const from = e.value.type === 'map' ? e.value.entries.get('from')?.value : undefined
    // An adapter that is an input is a file already.
    if (from?.type === 'string')
      check(from.value, { type: 'text', range: from.range }, [
        'model',
        'mask',
        ...(steps.has(stepOf(from.value)) ? (['adapter'] as const) : []),
        'report',
      ])
    const files = e.value.type === 'map' ? e.value.entries.get('files')?.value : undefined
    if (files?.type === 'string') check(files.value, { type: 'text', range: files.range }, ['model'])
    const tags = e.value.type === 'map' ? e.value.entries.get('tags')?.value : undefined
    for (const item of tags?.type === 'list' ? tags.items : [tags])
      if (item?.type === 'string') check(item.value, { type: 'text', range: item.range }, ['adapter'])
  }
  return problems
}

interface Edge {
  readonly from: string
  readonly to: string
  readonly at: Place
}

/** The steps a step uses, each once, at the first place it is named. */
const edgesOf = (step: Step, steps: ReadonlyMap<string, Step>): Edge[] => {
  const edges = usesOf(step)
    .map((u): Edge => ({ from: step.name, to: stepOf(u.name), at: u.at }))
    .filter((e) => steps.has(e.to))
  return [...new Map(edges.toReversed().map((e) => [e.to, e])).values()].toReversed()
}

/**
 * Visits steps depth first, each after those it uses, without recursion; `around` hears of an edge that leads back into
 * the path, as the edges along that.
 */
const visitSteps = (
  steps: ReadonlyMap<string, Step>,
  wanted: Iterable<string>,
  leave: (step: Step) => void,
  around: (path: readonly Edge[]) => void,
): void => {
  const done = new Set<string>()
  const open = new Set<string>()
  for (const root of wanted) {
    const path: { readonly step: Step; readonly edges: readonly Edge[]; next: number }[] = []
    const enter = (name: string): void => {
      const step = steps.get(name)
      if (step === undefined || done.has(name)) return
      if (!open.has(name)) {
        open.add(name)
        path.push({ step, edges: edgesOf(step, steps), next: 0 })
      } else around(path.slice(path.findIndex((p) => p.step.name === name)).map((p) => p.edges[p.next - 1]!))
    }
    enter(root)
    for (let last = path.at(-1); last !== undefined; last = path.at(-1)) {
      const edge = last.edges[last.next++]
      if (edge !== undefined) enter(edge.to)
      else {
        path.pop()
        open.delete(last.step.name)
        done.add(last.step.name)
        leave(last.step)
      }
    }
  }
}

/**
 * The circles in which steps depend on each other, each once, as the edges along it; but for those through a step whose
 * name is also `defined` elsewhere, where nobody can tell which is meant.
 */
export const findCycles = (steps: ReadonlyMap<string, Step>, defined: (name: string) => boolean): Diagnostic[] => {
  const found: Diagnostic[] = []
  visitSteps(
    steps,
    steps.keys(),
    () => undefined,
    (path) => {
      if (!path.some(({ to }) => defined(to))) found.push(cycle(path))
    },
  )
  return found
}

/** The steps some names need, each after what it uses; otherwise in the order they are written. */
export const orderSteps = (steps: ReadonlyMap<string, Step>, wanted: readonly string[]): Step[] => {
  const needed: Step[] = []
  visitSteps(
    steps,
    wanted.map(stepOf),
    (step) => needed.push(step),
    () => undefined,
  )
  return needed
}
