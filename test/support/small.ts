import { evaluateRecipe } from './evaluate.js'
import { runOf, type PlainFile, type PlainRecipe, type PlainTensor } from './recipe-run.js'

/** A vector of float32 numbers. */
export const f32 = (...values: readonly number[]): PlainTensor => ({
  dtype: 'f32',
  shape: [values.length],
  values: [...Float32Array.from(values)],
})

/** A vector of truth values. */
export const bool = (...values: readonly (0 | 1)[]): PlainTensor => ({ dtype: 'bool', shape: [values.length], values })

/** What the last of some steps over some files makes of each tensor; throws the codes of what is wrong. */
export const evaluateLast = (
  files: Readonly<Record<string, PlainFile>>,
  steps: PlainRecipe['steps'],
  seed: number | string = 0,
): Readonly<Record<string, readonly number[]>> => {
  const run = runOf(files, steps, {})
  const result = evaluateRecipe({ ...run.recipe, seed }, run.files)
  if (result.type === 'failed') throw new Error(result.diagnostics.map((d) => d.code).join())
  return Object.fromEntries(Object.entries(result.value['out']!).map(([name, { values }]) => [name, values]))
}

/** The problems and warnings of some steps over some files, as `code @place`. */
export const problemsOf = (
  files: Readonly<Record<string, PlainFile>>,
  steps: PlainRecipe['steps'],
): readonly string[] => {
  const run = runOf(files, steps, {})
  return evaluateRecipe(run.recipe, run.files).diagnostics.map(
    (d) => `${d.severity} ${d.code} @${d.at?.type === 'option' ? d.at.name : ''}`,
  )
}
