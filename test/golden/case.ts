import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { PlainFile, PlainTensor } from '../support/recipe-run.js'

/** The folder of reference cases: `SMELT_GOLDEN`, or the repo's own copy. */
export const GOLDEN_FOLDER = process.env['SMELT_GOLDEN'] ?? fileURLToPath(new URL('../data/golden/', import.meta.url))

export const SOURCES = ['daremerge', 'mergekit', 'sd-mecha', 'mergelm', 'lora'] as const

/**
 * A value of a case: a tensor, a list of tensor names, an error that must happen, or kinds that no mapped operation
 * uses.
 */
export type GoldenValue =
  | PlainTensor
  | { readonly type: 'keys'; readonly values?: readonly string[]; readonly ref?: string }
  | { readonly type: 'error'; readonly reason: string }
  | { readonly type: 'map'; readonly entries: Readonly<Record<string, number>> }
  | { readonly type: 'aligned'; readonly keys: string; readonly values: readonly (number | null)[] }

/** One reference case, as the files hold it. */
export interface GoldenCase {
  readonly id: string
  readonly op: string
  readonly params: Readonly<Record<string, unknown>>
  readonly inputs: Readonly<Record<string, GoldenValue>>
  readonly expected: Readonly<Record<string, GoldenValue>>
  readonly tolerance: { readonly rtol: number; readonly atol: number }
  readonly tags: readonly string[]
  readonly note: string
}

const readJson = (name: string): unknown => JSON.parse(readFileSync(join(GOLDEN_FOLDER, `${name}.json`), 'utf8'))

/** All cases of all sources. */
export const readCases = (): readonly GoldenCase[] =>
  SOURCES.flatMap((source) => readJson(source) as readonly GoldenCase[])

let keyLists: Readonly<Record<string, readonly string[]>> | undefined

/** The tensor names of a `keys` value, in their order. */
export const keysOf = (value: GoldenValue | undefined): readonly string[] => {
  if (value === undefined || !('type' in value) || value.type !== 'keys') throw new Error('not a list of names')
  if (value.values !== undefined) return value.values
  keyLists ??= readJson('keylists') as Readonly<Record<string, readonly string[]>>
  return keyLists[value.ref!]!
}

/** The numbers of a map by tensor name; an aligned one stands beside a list of names among the inputs. */
export const mapOf = (
  value: GoldenValue | undefined,
  inputs: GoldenCase['inputs'],
): Readonly<Record<string, number>> => {
  if (value === undefined || !('type' in value)) throw new Error('not a map')
  if (value.type === 'map') return value.entries
  if (value.type !== 'aligned') throw new Error('not a map')
  const names = keysOf(inputs[value.keys])
  return Object.fromEntries(value.values.flatMap((number, i) => (number === null ? [] : [[names[i]!, number]])))
}

/** The tensor of a name without a role. */
export const tensorOf = (value: GoldenValue | undefined): PlainTensor => {
  if (value === undefined || !('dtype' in value)) throw new Error('not a tensor')
  return value
}

/** The tensors of a role: `a:in.0.weight` is `in.0.weight` of `a`; a role alone is a single tensor, called `x`. */
export const fileOf = (values: Readonly<Record<string, GoldenValue>>, role: string): PlainFile =>
  Object.fromEntries(
    Object.entries(values).flatMap(([key, value]) => {
      const [found, ...name] = key.split(':')
      return found === role ? [[name.join(':') || 'x', tensorOf(value)]] : []
    }),
  )

/** The roles of a numbered family that a case has: `m1`, `m2`, … for the prefix `m`. */
export const numbered = (values: Readonly<Record<string, GoldenValue>>, prefix: string): readonly string[] => {
  const roles = new Set(Object.keys(values).map((key) => key.split(':')[0]!))
  return [...roles]
    .filter((role) => role.startsWith(prefix) && /^\d+$/.test(role.slice(prefix.length)))
    .sort((x, y) => Number(x.slice(prefix.length)) - Number(y.slice(prefix.length)))
}

/** The files of some roles. */
export const files = (c: GoldenCase, ...roles: readonly string[]): Readonly<Record<string, PlainFile>> =>
  Object.fromEntries(roles.map((role) => [role, fileOf(c.inputs, role)]))

/** A number among the params of a case. */
export const number = (c: GoldenCase, key: string): number => c.params[key] as number

/** A file with each of its tensors changed. */
export const mapFile = (file: PlainFile, change: (tensor: PlainTensor) => PlainTensor): PlainFile =>
  Object.fromEntries(Object.entries(file).map(([name, tensor]) => [name, change(tensor)]))

/** A file of zeros in the shapes of another. */
export const zeros = (file: PlainFile): PlainFile =>
  mapFile(file, (tensor) => ({ ...tensor, values: tensor.values.map(() => 0) }))
