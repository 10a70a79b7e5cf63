import { absentLayers } from '../../base/catalogue/import-comfyui.js'
import type { Yaml } from '../../document/write.js'
import { below, findRoot } from '../../tensor/roots.js'
import type { DraftBuilder } from '../draft.js'
import type { Field } from '../importer.js'
import { rootOf, type Lane } from './lanes.js'

/** A number for the layers below a name, which some models may lack. */
export interface LayerNumber {
  readonly layers: string
  readonly value: number
  readonly mayBeAbsent?: boolean
}

/** True for the layers that a model has. */
export type HasLayers = (layers: string) => boolean

const prefixes = new WeakMap<readonly string[], ReadonlySet<string>>()

/** The layers of the diffusion model that a part comes from; undefined where its file was not found. */
export const layersOf = (draft: DraftBuilder, lane: Lane): HasLayers | undefined => {
  const names = draft.facts(rootOf(lane).file.write([]))?.tensors
  if (names === undefined) return undefined
  let found = prefixes.get(names)
  if (found === undefined) {
    const root = findRoot(names)
    const all = new Set<string>()
    for (const name of names) {
      const segments = below(root, name)?.split('.') ?? []
      for (let n = 1; n <= segments.length; n++) all.add(segments.slice(0, n).join('.'))
    }
    found = all
    prefixes.set(names, found)
  }
  return (layers) => found.has(layers)
}

/**
 * Numbers by layer as a recipe has them: one number where all are equal, else the rules that differ from the default. A
 * rule must select something: of a model that was found, only the layers it has get one; else a rule for layers that
 * may be absent also selects a neighbour, whose own rule follows.
 */
export const rulesOf = (
  fallback: number,
  all: readonly LayerNumber[],
  has?: HasLayers,
): number | ReadonlyMap<string, Yaml> => {
  const numbers =
    has === undefined
      ? all
      : all.filter((n) => has(n.layers)).map(({ layers, value }): LayerNumber => ({ layers, value }))
  const byLayers = new Map(numbers.map(({ layers, value }) => [layers, value]))
  /** What layers take without a rule of their own: the number of what they are within, which comes before them. */
  const without = (layers: string): number => {
    for (let end = layers.lastIndexOf('.'); end !== -1; end = layers.lastIndexOf('.', end - 1)) {
      const value = byLayers.get(layers.slice(0, end))
      if (value !== undefined) return value
    }
    return fallback
  }
  const different = numbers.filter((n) => n.value !== without(n.layers))
  if (different.length === 0) return fallback
  const rules = new Map<string, Yaml>([['default', fallback]])
  const neighbour = numbers.findLast((n) => n.mayBeAbsent !== true && !n.layers.includes('.'))
  const unsure = neighbour === undefined ? [] : different.filter((n) => n.mayBeAbsent === true)
  for (const { layers, value } of unsure) rules.set(`@(${layers}|${neighbour!.layers})`, value)
  if (unsure.length > 0) rules.set(neighbour!.layers, neighbour!.value)
  for (const [layers, value] of together(different.filter((n) => n.mayBeAbsent !== true))) rules.set(layers, value)
  return rules
}

/** Numbers one after another that are the same for layers with numbers in a row, as one: `input_blocks.{2..5}`. */
const together = (numbers: readonly LayerNumber[]): readonly (readonly [layers: string, value: number])[] => {
  const runs: { stem: string; from: number; to: number; value: number }[] = []
  for (const { layers, value } of numbers) {
    const [, stem, digits] = /^(.*?)(\d*)$/.exec(layers)!
    const number = digits === '' ? NaN : Number(digits)
    const last = runs.at(-1)
    if (last !== undefined && last.stem === stem && last.value === value && last.to + 1 === number) last.to = number
    else runs.push({ stem: stem!, from: number, to: number, value })
  }
  return runs.map(({ stem, from, to, value }) => [
    Number.isNaN(from) ? stem : from === to ? `${stem}${from}` : `${stem}{${from}${to === from + 1 ? ',' : '..'}${to}}`,
    value,
  ])
}

/** Numbers as a key of a step; why a rule names two layers is said beside them. */
export const numbersField = (key: string, numbers: Yaml): Field => {
  const names = numbers instanceof Map ? [...numbers.keys()].map(String) : []
  const pair = names.map((name) => /^@\((.*)\|(.*)\)$/.exec(name)).find((match) => match !== null)
  return pair == null ? [key, numbers] : [key, numbers, absentLayers(pair[1]!, pair[2]!)]
}
