import type { Place, Range } from '../base/diagnostic.js'
import { toPlain, type MapValue, type Value } from '../document/value.js'
import type { PlacedPattern, Operator, Rules, TextRules } from '../operators/operator.js'
import type { InputSpec, ParamSpec } from '../operators/params.js'
import { isPreset } from '../operators/presets.js'
import type { Name, RawArgument, Step } from './recipe.js'

const place = (range: Range): Place => ({ type: 'text', range })
const nameOf = (value: Value): Name | undefined =>
  value.type === 'string' ? { name: value.value, at: place(value.range) } : undefined
const isName = (name: Name | undefined): name is Name => name !== undefined

/** Reads layer patterns: one, or a list of texts and `{match, optional}`. */
export const readLayers = (value: Value): readonly PlacedPattern[] => {
  const items = value.type === 'list' ? value.items : [value]
  return items.flatMap((item): PlacedPattern[] => {
    if (item.type === 'string') return [{ text: item.value, optional: false, at: place(item.range) }]
    const match = item.type === 'map' ? item.entries.get('match')?.value : undefined
    const optional = item.type === 'map' ? item.entries.get('optional')?.value : undefined
    return match?.type === 'string'
      ? [{ text: match.value, optional: optional?.type === 'boolean' && optional.value, at: place(match.range) }]
      : []
  })
}

const numbersOf = (value: Value | undefined): readonly number[] | undefined =>
  value?.type === 'list' ? value.items.flatMap((item) => (item.type === 'number' ? [item.value] : [])) : undefined

/** The keys of in-place rules that are no patterns. */
export const RULE_WORDS = ['default', 'mbw', 'preset', 'gradient'] as const

/** Reads per-layer rules written in place: `default`, `mbw`, `preset`, `gradient`, and patterns. */
export const readRules = (value: MapValue): Rules => {
  const fallback = value.entries.get('default')?.value
  const preset = value.entries.get('preset')?.value
  const [mbw, gradient] = [numbersOf(value.entries.get('mbw')?.value), numbersOf(value.entries.get('gradient')?.value)]
  return {
    default: fallback?.type === 'number' ? fallback.value : undefined,
    entries: [...value.entries].flatMap(([key, e]) => {
      const own = e.value.type === 'number' ? e.value.value : numbersOf(e.value)
      return (RULE_WORDS as readonly string[]).includes(key) || own === undefined
        ? []
        : [{ pattern: { text: key, optional: false, at: place(e.key) }, value: own }]
    }),
    ...(mbw === undefined ? {} : { mbw }),
    ...(preset?.type === 'string' && isPreset(preset.value) ? { preset: preset.value } : {}),
    ...(gradient === undefined ? {} : { gradient }),
  }
}

/** Reads dtypes by layer: one for all, or a map from patterns, with a `default`. */
export const readDtypes = (value: Value | undefined): TextRules =>
  value?.type === 'string'
    ? { default: value.value, entries: [] }
    : {
        default: textOf(value?.type === 'map' ? value.entries.get('default')?.value : undefined),
        entries: textsIn(value).filter(({ pattern }) => pattern.text !== 'default'),
      }

/** Reads new names: a map from patterns, or a list of `{match, to, optional}`. */
const readNames = (value: Value): TextRules => ({
  default: undefined,
  entries:
    value.type !== 'list'
      ? textsIn(value)
      : value.items.flatMap((item) => {
          const to = item.type === 'map' ? item.entries.get('to')?.value : undefined
          return to?.type === 'string'
            ? readLayers(item).map((pattern) => ({ pattern, text: to.value, at: place(to.range) }))
            : []
        }),
})

const textOf = (value: Value | undefined): string | undefined => (value?.type === 'string' ? value.value : undefined)

/** The entries of a map whose values are strings, in their order. */
const textsIn = (value: Value | undefined): TextRules['entries'] =>
  [...(value?.type === 'map' ? value.entries : [])].flatMap(([key, e]) =>
    e.value.type === 'string'
      ? [
          {
            pattern: { text: key, optional: false, at: place(e.key) },
            text: e.value.value,
            at: place(e.value.range),
          },
        ]
      : [],
  )

const readArgument = (spec: ParamSpec, value: Value): RawArgument => {
  const at = place(value.range)
  if (spec.type === 'layers') return { type: 'layers', patterns: readLayers(value), at }
  if (spec.type === 'dtypes') return { type: 'texts', rules: readDtypes(value), at }
  if (spec.type === 'names') return { type: 'texts', rules: readNames(value), at }
  if (
    value.type === 'string' &&
    (spec.type === 'masks' || spec.type === 'statistics' || ('per' in spec && spec.per === 'layer'))
  )
    return { type: 'name', name: value.value, at }
  if (value.type === 'map' && 'per' in spec && spec.per === 'layer')
    return { type: 'rules', rules: readRules(value), at }
  return { type: 'value', value: toPlain(value), at }
}

const readArguments = (specs: Readonly<Record<string, ParamSpec>>, map: MapValue): Record<string, RawArgument> =>
  Object.fromEntries(
    Object.entries(specs).flatMap(([key, spec]) => {
      const found = map.entries.get(key)
      return found === undefined ? [] : [[key, readArgument(spec, found.value)]]
    }),
  )

interface ReadInput {
  readonly names: Name | readonly Name[]
  readonly each: readonly Readonly<Record<string, RawArgument>>[]
}

/** `models:` is a list of names, of maps with a `model` key, or a map from name to weight. */
const readModels = (spec: InputSpec & { type: 'model'; many: true }, value: Value): ReadInput => {
  const entries: { name: Name; each: Record<string, RawArgument> }[] = []
  if (value.type === 'map') {
    const weight = spec.each['weight']
    for (const [key, e] of value.entries) {
      entries.push({
        name: { name: key, at: place(e.key) },
        each: weight === undefined ? {} : { weight: readArgument(weight, e.value) },
      })
    }
  }
  for (const item of value.type === 'list' ? value.items : []) {
    const name = item.type === 'map' ? item.entries.get('model')?.value : item
    const read = name === undefined ? undefined : nameOf(name)
    if (read !== undefined)
      entries.push({ name: read, each: item.type === 'map' ? readArguments(spec.each, item) : {} })
  }
  return { names: entries.map((e) => e.name), each: entries.map((e) => e.each) }
}

const readInput = (spec: InputSpec, value: Value): ReadInput | undefined => {
  if (spec.type === 'model' && spec.many) return readModels(spec, value)
  if (!spec.many) {
    const name = nameOf(value)
    return name === undefined ? undefined : { names: name, each: [] }
  }
  return { names: (value.type === 'list' ? value.items : [value]).map(nameOf).filter(isName), each: [] }
}

const choiceOf = <T extends string>(value: Value | undefined, choices: readonly [T, ...T[]]): T =>
  value?.type === 'string' ? (choices.find((c) => c === value.value) ?? choices[0]) : choices[0]

/** Reads the valid parts of a step; the schema reports the rest. */
export const readStep = (name: string, key: Range, map: MapValue, operator: Operator): Step => {
  const get = (k: string): Value | undefined => map.entries.get(k)?.value
  const inputs = Object.entries(operator.inputs).flatMap(([k, spec]): (readonly [string, ReadInput])[] => {
    const value = get(k)
    const read = value === undefined ? undefined : readInput(spec, value)
    return read === undefined ? [] : [[k, read]]
  })
  const seed = get('seed')
  const [layers, mask] = operator.merges ? [get('layers'), get('mask')] : []
  return {
    name,
    operator,
    at: place(key),
    keys: new Map([...map.entries].map(([k, e]) => [k, place(e.value.range)])),
    seed: seed?.type === 'number' || seed?.type === 'string' ? seed.value : undefined,
    inputs: Object.fromEntries(inputs.map(([k, read]) => [k, read.names])),
    each: inputs.flatMap(([, read]) => read.each),
    params: readArguments(operator.params, map),
    layers:
      layers === undefined ? undefined : { type: 'layers', patterns: readLayers(layers), at: place(layers.range) },
    mask: mask === undefined ? undefined : nameOf(mask),
    unmasked: choiceOf(get('unmasked'), ['keep', 'merge']),
    missing: choiceOf(get('missing'), ['error', 'keep']),
    mismatch: choiceOf(get('mismatch'), ['error', 'keep']),
    architectures: choiceOf(get('architectures'), ['error', 'mixed']),
  }
}

/** The kind of value that a param's name stands for; of any other it is weights. */
const KINDS: Readonly<Record<string, 'mask' | 'model'>> = { masks: 'mask', statistics: 'model' }

/** A name that a step uses, and the kind that is needed there; `delta` where that is a difference of models. */
interface UsedName extends Name {
  readonly kind: 'model' | 'mask' | 'weights' | 'adapter'
  readonly delta?: boolean
}

const uses = new WeakMap<Step, readonly UsedName[]>()

/** Every name a step uses, with the kind that is needed there; found once. */
export const usesOf = (step: Step): readonly UsedName[] => {
  const known = uses.get(step) ?? findUses(step)
  uses.set(step, known)
  return known
}

const findUses = (step: Step): readonly UsedName[] => {
  const fromInputs = Object.entries(step.inputs).flatMap(([key, names]) => {
    const spec = step.operator.inputs[key]!
    const delta = 'space' in spec && spec.space === 'delta'
    return [names].flat().map((n): UsedName => ({ ...(n as Name), kind: spec.type, ...(delta ? { delta } : {}) }))
  })
  const many = Object.values(step.operator.inputs).find((i) => i.type === 'model' && i.many)
  const eachSpecs = many !== undefined && many.type === 'model' && many.many ? many.each : {}
  const fromArguments = (specs: Readonly<Record<string, ParamSpec>>, args: Readonly<Record<string, RawArgument>>) =>
    Object.entries(args).flatMap(([key, a]) =>
      a.type === 'name'
        ? [{ name: a.name, at: a.at, kind: KINDS[specs[key]?.type ?? ''] ?? ('weights' as const) }]
        : [],
    )
  return [
    ...fromInputs,
    ...fromArguments(step.operator.params, step.params),
    ...step.each.flatMap((args) => fromArguments(eachSpecs, args)),
    ...(step.mask === undefined ? [] : [{ ...step.mask, kind: 'mask' as const }]),
  ]
}
