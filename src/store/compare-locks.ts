import { changes } from '../base/catalogue/reasons.js'
import { canonicalJson } from '../base/canonical.js'
import type { Lock, LockedBuild, LockedInput, LockedStep, OutputPlace } from './lock.js'

/** One difference between two locks. */
export interface LockChange {
  readonly of: 'lock' | 'recipe' | 'input' | 'param' | 'step' | 'output'
  readonly name: string
  /**
   * Which fact of a step or an output, or `metadata` or `sides.NAME` of an input; undefined if the thing itself was
   * added, removed or changed.
   */
  readonly fact?: string
  readonly was: unknown
  readonly is: unknown
}

const same = (x: unknown, y: unknown): boolean =>
  x === undefined || y === undefined ? x === y : canonicalJson(x) === canonicalJson(y)

const keysOf = (...records: readonly (object | undefined)[]): readonly string[] => [
  ...new Set(records.flatMap((r) => Object.keys(r ?? {}))),
]

const compareRecords = <T>(
  of: LockChange['of'],
  was: Readonly<Record<string, T>> | undefined,
  is: Readonly<Record<string, T>> | undefined,
  pick: (x: T) => unknown = (x) => x,
): LockChange[] =>
  keysOf(was, is).flatMap((name): LockChange[] => {
    const [x, y] = [was?.[name], is?.[name]].map((v) => (v === undefined ? undefined : pick(v)))
    return same(x, y) ? [] : [{ of, name, was: x, is: y }]
  })

/** The facts of a step, one level down: `params.keep`, `inputs.a`, `mask`, … */
const flatten = (step: LockedStep | undefined): Readonly<Record<string, unknown>> | undefined => {
  if (step === undefined) return undefined
  const { fingerprint: _, inputs, params, ...rest } = step
  const under = (key: string, record: Readonly<Record<string, unknown>>) =>
    Object.entries(record).map(([k, v]) => [`${key}.${k}`, v] as const)
  return Object.fromEntries([...Object.entries(rest), ...under('inputs', inputs), ...under('params', params)])
}

/** What changed in a step itself, fact by fact; empty if only something it uses has changed. */
export const compareSteps = (
  name: string,
  was: LockedStep | undefined,
  is: LockedStep | undefined,
): readonly LockChange[] => {
  if (was === undefined || is === undefined)
    return same(was, is) ? [] : [{ of: 'step', name, was: was?.op, is: is?.op }]
  const [before, now] = [flatten(was)!, flatten(is)!]
  return keysOf(before, now)
    .filter((fact) => !same(before[fact], now[fact]))
    .map((fact) => ({ of: 'step', name, fact, was: before[fact], is: now[fact] }))
}

type Sides = Readonly<Record<string, unknown>> | undefined

/** What changed in the files beside an input or an output. */
export const compareSides = (of: LockChange['of'], name: string, was: Sides, is: Sides): readonly LockChange[] =>
  keysOf(was, is).flatMap((side): LockChange[] => {
    const [before, now] = [was?.[side] ?? undefined, is?.[side] ?? undefined]
    return before === now ? [] : [{ of, name, fact: `sides.${side}`, was: before, is: now }]
  })

/** What changed in an input besides its tensors: its metadata, and files beside it. */
export const compareAside = (
  name: string,
  was: Pick<LockedInput, 'metadata' | 'sides'>,
  is: Pick<LockedInput, 'metadata' | 'sides'>,
): readonly LockChange[] => [
  ...(was.metadata === is.metadata
    ? []
    : [{ of: 'input', name, fact: 'metadata', was: was.metadata, is: is.metadata } as const]),
  ...compareSides('input', name, was.sides, is.sides),
]

/** What changed in how and where an output is written. */
export const comparePlaces = (name: string, was: OutputPlace | undefined, is: OutputPlace): readonly LockChange[] => {
  if (was === undefined) return [{ of: 'output', name, was: undefined, is: is.path }]
  return (['path', 'dtype', 'shard_size'] as const)
    .filter((fact) => !same(was[fact], is[fact]))
    .map((fact) => ({ of: 'output', name, fact, was: was[fact], is: is[fact] }))
}

/** An input with what an earlier lock tells, too. */
const comparable = ({ sides, ...rest }: LockedInput, was: Lock): LockedInput =>
  sides === undefined || (was.lock === 2 && Object.hasOwn(sides, 'config.json')) ? rest : { ...rest, sides }

/**
 * Locks of version 1 do not say what an input has besides its tensors, and those of version 2 not what stands beside
 * models.
 */
const compareInputs = (was: Lock, is: Lock): readonly LockChange[] => [
  ...compareRecords('input', was.inputs, is.inputs, (i) => i.digest),
  ...(was.lock === 1 || is.lock === 1
    ? []
    : Object.keys(is.inputs)
        .filter((name) => was.inputs[name] !== undefined)
        .flatMap((name) => compareAside(name, was.inputs[name]!, comparable(is.inputs[name]!, was)))),
]

const compareBuilds = (was: LockedBuild | undefined, is: LockedBuild | undefined): LockChange[] => [
  ...compareRecords('param', was?.params, is?.params),
  ...keysOf(was?.steps, is?.steps).flatMap((name) => compareSteps(name, was?.steps[name], is?.steps[name])),
  ...compareRecords('output', was?.outputs, is?.outputs, (o) => o.digest),
  ...keysOf(was?.outputs, is?.outputs).flatMap((name) => {
    const [before, now] = [was?.outputs[name], is?.outputs[name]]
    return before === undefined || now === undefined ? [] : compareSides('output', name, before.sides, now.sides)
  }),
]

/** All differences between two locks, except the version of the program; a missing lock counts as empty. */
export const compareLocks = (was: Lock | undefined, is: Lock): readonly LockChange[] => {
  if (was === undefined) return [{ of: 'lock', name: 'lock', was: undefined, is: 'new' }]
  const builds =
    was.builds.length === is.builds.length
      ? is.builds.flatMap((build, i) => compareBuilds(was.builds[i], build))
      : [{ of: 'lock', name: 'settings', was: was.builds.length, is: is.builds.length } as const]
  return [
    ...(was.recipe === is.recipe ? [] : [{ of: 'recipe', name: 'recipe', was: was.recipe, is: is.recipe } as const]),
    ...compareInputs(was, is),
    ...builds,
  ]
}

const shown = (value: unknown): string => {
  if (typeof value === 'string') return value.startsWith('blake3:') ? `${value.slice(0, 15)}…` : value
  const text = JSON.stringify(value)
  return text.length > 60 ? `${text.slice(0, 59)}…` : text
}

const kindWords = {
  lock: 'the lock',
  recipe: 'the recipe',
  input: 'input',
  param: 'param',
  step: 'step',
  output: 'output',
} as const

/** A change in words: `param \`keep\` changed from 0.3 to 0.5`. */
export const describeChange = ({ of, name, fact, was, is }: LockChange): string => {
  if (of === 'lock') return name === 'lock' ? changes.lock : changes.between(name, shown(was), shown(is))
  if (of === 'recipe') return changes.recipe
  if (fact !== undefined && (of === 'input' || fact.startsWith('sides.'))) {
    const what =
      fact === 'metadata'
        ? changes.metadata(name)
        : changes.of(fact.replace(/^sides\./, ''), `${kindWords[of]} \`${name}\``)
    return was === undefined ? changes.new(what) : is === undefined ? changes.removed(what) : changes.changed(what)
  }
  const thing = `${kindWords[of]} \`${name}\``
  if (fact === undefined) {
    if (was === undefined) return changes.new(thing)
    return is === undefined ? changes.removed(thing) : changes.between(thing, shown(was), shown(is))
  }
  const what = changes.of(fact.replace(/^params\./, ''), thing)
  if (was === undefined) return changes.added(what, shown(is))
  return is === undefined ? changes.dropped(what, shown(was)) : changes.between(what, shown(was), shown(is))
}
