import { absentLayers } from '../../base/catalogue/import-comfyui.js'
import type { Yaml } from '../../document/write.js'
import type { Field } from '../importer.js'

/** A number for the layers below a name, which some models may lack. */
export interface LayerNumber {
  readonly layers: string
  readonly value: number
  readonly mayBeAbsent?: boolean
}

/**
 * Numbers by layer as a recipe has them: one number where all are equal, else the rules that differ from the default. A
 * rule must select something, so one for layers that may be absent also selects a neighbour, whose own rule follows.
 */
export const rulesOf = (fallback: number, numbers: readonly LayerNumber[]): number | ReadonlyMap<string, Yaml> => {
  const different = numbers.filter((n) => n.value !== fallback)
  if (different.length === 0) return fallback
  const rules = new Map<string, Yaml>([['default', fallback]])
  const neighbour = numbers.findLast((n) => n.mayBeAbsent !== true && !n.layers.includes('.'))
  const unsure = neighbour === undefined ? [] : different.filter((n) => n.mayBeAbsent === true)
  for (const { layers, value } of unsure) rules.set(`@(${layers}|${neighbour!.layers})`, value)
  if (unsure.length > 0) rules.set(neighbour!.layers, neighbour!.value)
  for (const { layers, value, mayBeAbsent } of different) if (mayBeAbsent !== true) rules.set(layers, value)
  return rules
}

/** Numbers as a key of a step; why a rule names two layers is said beside them. */
export const numbersField = (key: string, numbers: Yaml): Field => {
  const names = numbers instanceof Map ? [...numbers.keys()].map(String) : []
  const pair = names.map((name) => /^@\((.*)\|(.*)\)$/.exec(name)).find((match) => match !== null)
  return pair == null ? [key, numbers] : [key, numbers, absentLayers(pair[1]!, pair[2]!)]
}
