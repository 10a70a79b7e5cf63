import type { Diagnostic } from '#src/base/diagnostic.js'
import { findOperator } from '#src/operators/index.js'
import type { PlainRecipe, RecipeRun } from './recipe-run.js'

type Step = Readonly<Record<string, unknown>>

/** Keys of a step that name models, steps or adapters, besides the inputs of its operator. */
const NAMING = ['model', 'kept', 'statistics', 'mask', 'factor']

const prefixOf = (i: number): string => `run${i}_`

const renameKeys = <T>(record: Readonly<Record<string, T>>, prefix: string): Readonly<Record<string, T>> =>
  Object.fromEntries(Object.entries(record).map(([key, value]) => [`${prefix}${key}`, value]))

const mapValues = <T, U>(record: Readonly<Record<string, T>>, map: (value: T) => U): Readonly<Record<string, U>> =>
  Object.fromEntries(Object.entries(record).map(([key, value]) => [key, map(value)]))

/** The recipe of a run with a prefix before each of its names. */
const prefixed = ({ models, adapters = {}, steps, outputs }: PlainRecipe, i: number, nonFinite: 'allow' | 'error') => {
  const prefix = prefixOf(i)
  const names = new Set([models, adapters, steps].flatMap((record) => Object.keys(record)))
  const renamed = (value: unknown): unknown => {
    if (typeof value === 'string') return names.has(value.split('.')[0]!) ? `${prefix}${value}` : value
    if (Array.isArray(value)) return value.map(renamed)
    return value !== null && typeof value === 'object' ? renameStep(value as Step, NAMING) : value
  }
  const renameStep = (step: Step, keys: readonly string[]): Step =>
    Object.fromEntries(Object.entries(step).map(([key, value]) => [key, keys.includes(key) ? renamed(value) : value]))
  const inputsOf = ({ op }: Step): readonly string[] => Object.keys(findOperator(String(op))?.inputs ?? {})
  const toFile = (path: string): string => `${prefix}${path}`
  const kindOf = (from: string): string | undefined => findOperator(String(steps[from.split('.')[0]!]?.['op']))?.output
  return {
    models: renameKeys(mapValues(models, toFile), prefix),
    adapters: renameKeys(mapValues(adapters, toFile), prefix),
    steps: renameKeys(
      mapValues(steps, (step) => renameStep(step, [...inputsOf(step), ...NAMING])),
      prefix,
    ),
    outputs: renameKeys(
      mapValues(outputs, (output) => ({
        ...output,
        from: String(renamed(output.from)),
        path: `${i}.${kindOf(output.from) === 'report' ? 'json' : 'safetensors'}`,
        ...(kindOf(output.from) === 'model' ? { non_finite: nonFinite } : {}),
      })),
      prefix,
    ),
  }
}

/**
 * One run that does what several do, each of one output, in the order of these. Models that are written may have numbers
 * that are not finite where these are allowed.
 */
export const combineRuns = (runs: readonly RecipeRun[], nonFinite: 'allow' | 'error'): RecipeRun => {
  const recipes = runs.map(({ recipe }, i) => prefixed(recipe, i, nonFinite))
  const files = runs.map((run, i) => renameKeys(run.files, prefixOf(i)))
  const together = <T>(records: readonly Readonly<Record<string, T>>[]): Readonly<Record<string, T>> =>
    Object.assign({}, ...records) as Readonly<Record<string, T>>
  const adapters = together(recipes.map((recipe) => recipe.adapters))
  return {
    files: together(files),
    recipe: {
      smelt: 1,
      models: together(recipes.map(({ models }) => models)),
      ...(Object.keys(adapters).length === 0 ? {} : { adapters }),
      steps: together(recipes.map(({ steps }) => steps)),
      outputs: together(recipes.map(({ outputs }) => outputs)),
    },
    expect: 'refusal',
    tolerance: { rtol: 0, atol: 0 },
  }
}

/** Which of the combined runs a problem is in: the one that its message names, or else its place in the recipe. */
export const runNamedIn = ({ message, at }: Diagnostic): number => {
  const text = at?.type === 'text' ? at.range.source.text.slice(0, at.range.end) : ''
  const place = [...text.matchAll(/"run(\d+)_/g)].at(-1)
  return Number((/\brun(\d+)_/.exec(message) ?? place)?.[1])
}
