import { expect, test } from 'vitest'
import { operators } from '#src/operators/index.js'
import type { Operator } from '#src/operators/operator.js'
import { buildRun } from '../support/build-run.js'
import { exampleRun } from '../support/examples.js'
import type { PlainFile, PlainTensor, RecipeRun } from '../support/recipe-run.js'

/**
 * Every example of every operator is computed again over numbers that nobody writes in examples. Whatever they are,
 * smelt answers with finite numbers or a refusal; `extreme-values.txt` keeps which refusals those are.
 */

/** Replaces a model's tensor; `i` counts the models of the example, `first` is the same tensor of the first model. */
type Filling = (tensor: PlainTensor, i: number, first: PlainTensor) => PlainTensor

const filled =
  (number: (k: number, i: number, first: readonly number[]) => number): Filling =>
  (tensor, i, first) => ({ ...tensor, values: tensor.values.map((_, k) => number(k, i, first.values)) })
const shaped =
  (shape: readonly number[], count: number): Filling =>
  (tensor) => ({ ...tensor, shape, values: tensor.values.slice(0, count) })

const [GREATEST, LEAST_NORMAL, LEAST] = [2 ** 127 * (2 - 2 ** -23), 2 ** -126, 2 ** -149]

const NUMBERS: Readonly<Record<string, Filling>> = {
  'equal models': filled((k, _, first) => first[k] ?? 0),
  'opposite models': filled((k, i, first) => (i % 2 === 0 ? 1 : -1) * (first[k] ?? 0)),
  zeros: filled(() => 0),
  'negative zeros': filled(() => -0),
  'zeros but in the first': filled((k, i, first) => (i === 0 ? (first[k] ?? 0) : 0)),
  'zeros but in the last': filled((k, i) => (i === 0 ? 0 : k + 1)),
  'the least numbers': filled((k, i) => LEAST * (k + i - 1)),
  'numbers at the edge of normal': filled((k, i) => LEAST_NORMAL * ((k % 3) - 1) * (1 + i / 2)),
}
const OVERFLOWING: Readonly<Record<string, Filling>> = {
  'the greatest number': filled(() => GREATEST),
  'the greatest numbers of both signs': filled((k, i) => GREATEST * ((k + i) % 2 === 0 ? 1 : -1)),
  'the greatest and the least': filled((k, i) => [GREATEST, LEAST, -0, 1, -GREATEST][(k + i) % 5]!),
}
const SHAPES: Readonly<Record<string, Filling>> = {
  'one element': shaped([1], 1),
  'no dimension': shaped([], 1),
  'no element': shaped([0], 0),
  'no row': shaped([0, 2], 0),
}

const isModel = (run: RecipeRun, path: string): boolean =>
  Object.values(run.recipe.models).includes(path) &&
  !path.includes('_statistics') &&
  Object.values(run.files[path]!).every(({ dtype }) => dtype !== 'bool' && dtype !== 'i64')

/** Fills the models of a run. Masks take the shape of what they are for, so that shapes alone are never refused. */
const fill = (run: RecipeRun, filling: Filling, rename = (name: string): string => name): RecipeRun => {
  const paths = Object.keys(run.files).filter((path) => isModel(run, path))
  const reshapes = Object.values(SHAPES).includes(filling)
  const refill = (path: string, file: PlainFile): PlainFile =>
    Object.fromEntries(
      Object.entries(file).map(([name, tensor]) => {
        const i = paths.indexOf(path)
        const stays = i < 0 && !(reshapes && tensor.dtype === 'bool')
        const first = run.files[paths[0] ?? path]?.[name] ?? tensor
        return [rename(name), stays ? tensor : filling(tensor, i, first)]
      }),
    )
  const files = Object.entries(run.files).map(([path, file]) => [path, refill(path, file)] as const)
  return { ...run, files: Object.fromEntries(files) }
}

/** All fillings in one run, each in a tensor of its own; undefined if the run's tensors need their names. */
const fillAll = (run: RecipeRun, fillings: readonly Filling[]): RecipeRun | undefined => {
  const named = Object.values(run.files).some((file) => Object.keys(file).join() !== 'x')
  if (named || JSON.stringify(run.recipe.steps).includes('"x"')) return undefined
  const runs = fillings.map((filling, i) => fill(run, filling, (name) => `${name}${i}`))
  const paths = Object.keys(run.files)
  const together = (path: string): PlainFile => Object.assign({}, ...runs.map(({ files }) => files[path])) as PlainFile
  return { ...run, files: Object.fromEntries(paths.map((path) => [path, together(path)])) }
}

/** The step under test with the first model of its list alone. */
const withOneModel = (run: RecipeRun, operator: Operator): RecipeRun | undefined => {
  const list = Object.keys(operator.inputs).find((key) => operator.inputs[key]!.many)
  const step = run.recipe.steps['result']!
  if (list === undefined || !Array.isArray(step[list])) return undefined
  const steps = { ...run.recipe.steps, result: { ...step, [list]: step[list].slice(0, 1) } }
  return { ...run, recipe: { ...run.recipe, steps } }
}

/** All models under their own names, and one file for all of them. */
const withOneFile = (run: RecipeRun): RecipeRun => {
  const paths = Object.keys(run.files).filter((path) => isModel(run, path))
  const models = Object.fromEntries(
    Object.entries(run.recipe.models).map(([name, path]) => [name, paths.includes(path) ? paths[0]! : path]),
  )
  return { ...run, recipe: { ...run.recipe, models } }
}

const NOT_FINITE = 'written, and not finite'

const isFinite = (file: PlainFile): boolean => Object.values(file).every(({ values }) => values.every(Number.isFinite))

/** What comes of a build: undefined when its numbers are finite, else the codes of the refusal. */
const refusal = async (run: RecipeRun): Promise<string | undefined> => {
  const built = await buildRun(run)
  if (built.type === 'ok') return isFinite(built.value) ? undefined : NOT_FINITE
  return built.diagnostics
    .filter(({ severity }) => severity === 'error')
    .map(({ code }) => code)
    .join(' ')
}

/** The refusals of a run under several fillings, which are built together where nothing is refused. */
const refusals = async (
  run: RecipeRun,
  fillings: Readonly<Record<string, Filling>>,
): Promise<readonly (readonly [name: string, codes: string])[]> => {
  const together = fillAll(run, Object.values(fillings))
  if (together !== undefined && (await refusal(together)) === undefined) return []
  const found: (readonly [string, string])[] = []
  for (const [name, filling] of Object.entries(fillings)) {
    const codes = await refusal(fill(run, filling))
    if (codes !== undefined) found.push([name, codes])
  }
  return found
}

const OPERATORS = operators.filter(({ output }) => output === 'model' || output === 'mask')

test('no operator crashes on extreme models or writes numbers that are not finite', { timeout: 300_000 }, async () => {
  const all = new Map<string, Set<string>>()
  for (const operator of OPERATORS)
    for (const run of operator.examples.map((example) => exampleRun(operator, example))) {
      const one = withOneModel(run, operator)
      const single = one === undefined ? undefined : await refusal(one)
      const shared = await refusal(withOneFile(run))
      const found = [
        ...(await refusals(run, NUMBERS)),
        ...(await refusals(run, OVERFLOWING)),
        ...(await refusals(run, SHAPES)),
        ...(single === undefined ? [] : [['one model', single] as const]),
        ...(shared === undefined ? [] : [['one file for all models', shared] as const]),
      ]
      for (const [name, codes] of found) {
        const key = `${operator.id}: ${codes}`
        all.set(key, (all.get(key) ?? new Set()).add(name))
      }
    }
  const text = [...all].map(([key, names]) => `${key}\n${[...names].map((name) => `  ${name}\n`).join('')}`).join('')
  expect(text).not.toContain(NOT_FINITE)
  await expect(text).toMatchFileSnapshot('extreme-values.txt')
})
