import { mergekitLacks, mergekitSays } from '../../base/catalogue/import-mergekit.js'
import type { ForeignMap, ForeignValue } from '../../document/foreign.js'
import type { Yaml } from '../../document/write.js'
import type { DraftBuilder } from '../draft.js'
import { listOf, mapOf, textOf } from './config.js'
import { filterPattern, layerPatterns, slicePattern, type SliceLayers } from './filters.js'

/** A number or one number for each anchor, of the tensors that a filter selects; of all without one. */
interface Entry {
  readonly filter: string | undefined
  readonly value: number | boolean | readonly number[]
  readonly line: number
}

/** A parameter as mergekit finds it: the first entry whose filter fits a tensor, which the last does always. */
export type Setting = readonly Entry[]

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
 * fit none are left out. Undefined where it is nowhere, or cannot be read, which is told.
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
    const conditional = (mapOf(given) === undefined ? listOf(given) : [given])?.map(mapOf)
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

/** The number of each layer of a slice: of one, or on a line through anchors. */
const alongSlice = (anchors: readonly number[], { from, to }: SliceLayers): readonly (readonly [number, number])[] =>
  Array.from({ length: to - from }, (_, i) => {
    const t = to - from === 1 ? 1 : i / (to - from - 1)
    const at = t * (anchors.length - 1)
    const low = Math.max(0, Math.min(Math.floor(at), anchors.length - 2))
    const value = anchors[low]! + (at - low) * ((anchors[low + 1] ?? anchors[low]!) - anchors[low]!)
    return [from + i, Number(value.toFixed(12))]
  })

/**
 * A setting as a step's number per layer: a number, or rules, of which the last that fits wins, where the first does in
 * mergekit. Outside of the layers, both take the first anchor. `names` are the tensors, as far as they are known.
 */
export const writeSetting = (
  setting: Setting,
  slice: SliceLayers | undefined,
  names: readonly string[] | undefined,
  transform: (x: number) => number = (x) => x,
): Yaml => {
  const rules = new Map<string, Yaml>()
  const add = (pattern: string, value: Yaml): void => {
    // A rule counts where it was last written.
    rules.delete(pattern)
    rules.set(pattern, value)
  }
  for (const { filter, value } of setting.toReversed()) {
    const numbers = [value].flat().map((x) => transform(Number(x)))
    const [first] = numbers as [number]
    if (slice === undefined) {
      if (filter === undefined || numbers.length === 1)
        add(filter === undefined ? 'default' : filterPattern(filter), first)
      if (numbers.length > 1) add(filter === undefined ? 'gradient' : filterPattern(filter), numbers)
      continue
    }
    const general = filter === undefined ? 'default' : slicePattern(filter, slice, names)
    if (general !== undefined) add(general, first)
    if (general !== undefined && numbers.length === 1) continue
    for (const [layer, number] of alongSlice(numbers, slice))
      for (const pattern of filter === undefined
        ? [`model.layers.${layer}`]
        : layerPatterns(filter, slice, layer, names))
        add(pattern, number)
  }
  return rules.size === 1 && rules.has('default') ? rules.get('default')! : rules
}
