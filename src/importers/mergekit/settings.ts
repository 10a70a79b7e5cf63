import { mergekitLacks, mergekitSays } from '../../base/catalogue/import-mergekit.js'
import type { ForeignMap, ForeignValue } from '../../document/foreign.js'
import type { Yaml } from '../../document/write.js'
import type { DraftBuilder } from '../draft.js'
import { listOf, mapOf, textOf } from './config.js'

/** A number or one number for each anchor, of the tensors that a filter selects; of all without one. */
interface Entry {
  readonly filter: string | undefined
  readonly value: number | boolean | readonly number[]
  readonly line: number
}

/** A parameter as mergekit finds it: the first entry whose filter fits a tensor, which the last does always. */
export type Setting = readonly Entry[]

/** What the numbers of a step are written with. */
export interface SettingContext {
  readonly draft: DraftBuilder
  /** A model whose tensors the numbers are for. */
  readonly like: string
  /** Layers of a slice over which gradients run; undefined where they run over all layers. */
  readonly layers: readonly [number, number] | undefined
}

const lineOf = (line: number): string => `line ${line}`

const scalarOf = (value: ForeignValue): number | boolean | undefined => {
  if (typeof value.value === 'number' || typeof value.value === 'boolean') return value.value
  // What has no dot in front of its exponent is a text to PyYAML, and a number again to mergekit.
  return typeof value.value === 'string' && /^[-+]?[\d.]+(e[-+]?\d+)?$/i.test(value.value.trim())
    ? Number(value.value)
    : undefined
}

const valueOf = (value: ForeignValue): number | boolean | readonly number[] | undefined => {
  const list = listOf(value)
  if (list === undefined) {
    const scalar = scalarOf(value)
    return typeof scalar === 'number' && !Number.isFinite(scalar) ? undefined : scalar
  }
  const numbers = list.map(scalarOf)
  return numbers.length > 0 && numbers.every((n): n is number => typeof n === 'number' && Number.isFinite(n))
    ? numbers.length === 1
      ? numbers[0]!
      : numbers
    : undefined
}

/** Filters of a popular template that select nothing. */
const DEAD_FILTERS = new Set(['modelnorm'])

/**
 * A parameter from the narrowest level to the widest, then its default; of `names`, the tensors of a model, filters that
 * fit none are left out. Undefined where it is nowhere, or cannot be
 * read, which is told.
 */
export const findSetting = (
  draft: DraftBuilder,
  key: string,
  levels: readonly (ForeignMap | undefined)[],
  fallback?: number | boolean,
  names?: readonly string[],
): Setting | undefined => {
  const found: Entry[] = []
  for (const level of levels) {
    const given = level?.get(key)
    if (given === undefined || given.value === null) continue
    const conditional = listOf(given)?.map(mapOf)
    if (conditional === undefined || conditional.some((map) => map === undefined)) {
      const value = valueOf(given)
      if (value === undefined) {
        draft.missing(lineOf(given.line), `\`${key}\``, mergekitLacks.notNumber)
        return undefined
      }
      found.push({ filter: undefined, value, line: given.line })
      return found
    }
    for (const map of conditional) {
      const filter = textOf(map!.get('filter'))
      const inner = map!.get('value')
      const value = inner === undefined ? undefined : valueOf(inner)
      if (value === undefined) {
        draft.missing(lineOf(given.line), `\`${key}\``, mergekitLacks.notNumber)
        return undefined
      }
      const line = inner!.line
      if (filter === undefined || filter === '*') {
        found.push({ filter: undefined, value, line })
        return found
      }
      if (names === undefined ? DEAD_FILTERS.has(filter) : !names.some((name) => name.includes(filter)))
        draft.note(lineOf(line), mergekitSays.deadFilter(filter))
      else if (found.some((e) => e.filter !== undefined && filter.includes(e.filter)))
        draft.note(lineOf(line), mergekitSays.emptyFilter(filter))
      else found.push({ filter, value, line })
    }
  }
  if (fallback === undefined) return undefined
  found.push({ filter: undefined, value: fallback, line: 0 })
  return found
}

/** The one value of a setting; undefined where it differs by layer. */
export const constantOf = (setting: Setting): number | boolean | undefined => {
  const [first] = setting
  return first !== undefined && !Array.isArray(first.value) && setting.every((e) => e.value === first.value)
    ? (first.value as number | boolean)
    : undefined
}

/** The pattern of the tensors whose names contain a text. */
export const filterPattern = (filter: string): string => {
  const parts = filter.split('.').map((part) => part.replace(/[[\]{}?!*@+()|\\]/g, (c) => `[${c}]`))
  const [first, ...rest] = parts
  const start = first === '' ? '' : `*${first!}`
  const end = rest.at(-1)
  const middle = [start, ...rest.slice(0, -1)]
  const all = rest.length === 0 ? [`${start}*`] : end === '' ? middle : [...middle, `${end!}*`]
  return `**.${all.filter((part) => part !== '').join('.')}`
}

type Transform = (x: number) => number

const numberOf = (value: number | boolean): number => Number(value)

/** Anchors over the layers, as mergekit has them: outside of the layers the first. */
const gradient = (anchors: readonly number[], layers: SettingContext['layers']): ReadonlyMap<string, Yaml> => {
  if (layers === undefined)
    return new Map<string, Yaml>([
      ['default', anchors[0]!],
      ['gradient', anchors],
    ])
  const [from, to] = layers
  const rules = new Map<string, Yaml>([['default', anchors[0]!]])
  for (let layer = from; layer < to; layer++) {
    const t = to - from === 1 ? 1 : (layer - from) / (to - from - 1)
    const at = Math.min(t * (anchors.length - 1), anchors.length - 1)
    const low = Math.min(Math.floor(at), anchors.length - 2)
    const value = anchors[low]! + (at - low) * (anchors[low + 1]! - anchors[low]!)
    rules.set(`model.layers.${layer}`, Number(value.toFixed(12)))
  }
  return rules
}

/** Rules from entries, the first of which wins; in smelt the last does. `ones` gives each entry its number. */
const rulesOf = (setting: Setting, ones: (entry: Entry) => number): Yaml => {
  const rules = new Map<string, Yaml>([['default', ones(setting.at(-1)!)]])
  for (const entry of setting.slice(0, -1).toReversed()) rules.set(filterPattern(entry.filter!), ones(entry))
  return rules.size === 1 ? ones(setting.at(-1)!) : rules
}

/**
 * A setting as a step's number per layer. Gradients below filters become steps of their own, named after `title`: each
 * counts only where its filter is the first that fits, and their sum is the number.
 */
export const writeSetting = (
  { draft, like, layers }: SettingContext,
  title: string,
  setting: Setting,
  transform: Transform = (x) => x,
): Yaml => {
  const entries = setting.map((e) => ({
    ...e,
    value: Array.isArray(e.value) ? e.value.map(transform) : transform(numberOf(e.value as number | boolean)),
  }))
  const last = entries.at(-1)!
  const listed = entries.filter((e) => typeof e.value !== 'number')
  if (listed.length === 0) return rulesOf(entries, (e) => e.value as number)
  if (listed.length === 1 && typeof last.value !== 'number') {
    const rules = new Map(gradient(last.value, layers))
    for (const entry of entries.slice(0, -1).toReversed())
      rules.set(filterPattern(entry.filter!), entry.value as number)
    return rules
  }
  const parts: Yaml[] = listed.map((part) =>
    draft.step(`${title}_${part.filter ?? 'rest'}`, 'weights.combine', [
      ['like', like],
      ['a', gradient(part.value as readonly number[], layers)],
      [
        'b',
        rulesOf(entries.slice(0, entries.indexOf(part) + 1).concat(part === last ? [] : [{ ...last, value: 0 }]), (e) =>
          e.line === part.line && e.filter === part.filter ? 1 : 0,
        ),
      ],
      ['operation', 'multiply'],
    ]),
  )
  const constant = rulesOf(entries, (e) => (typeof e.value === 'number' ? e.value : 0))
  if (constant !== 0) parts.push(constant)
  return parts.reduce((sum, part, i) =>
    draft.step(i === parts.length - 1 ? title : `${title}_${i + 1}`, 'weights.combine', [
      ['like', like],
      ['a', sum],
      ['b', part],
      ['operation', 'add'],
    ]),
  )
}
