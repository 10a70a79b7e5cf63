import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { operators } from '#src/operators/index.js'
import type { Operator } from '#src/operators/operator.js'
import { build } from '#src/run/build.js'
import { renderReport } from '#src/view/report/render.js'
import { inFolder, readTensors } from '../support/build-run.js'
import { combineRuns, runNamedIn } from '../support/combine-runs.js'
import { exampleRun } from '../support/examples.js'
import { inlineWorker } from '../support/inline-worker.js'
import type { PlainFile, PlainTensor, RecipeRun } from '../support/recipe-run.js'
import { writeRun } from '../support/write-run.js'

/**
 * Every example of every operator is computed again over numbers that nobody writes in examples. Whatever they are,
 * smelt answers with finite numbers or a refusal; `extreme-values.txt` keeps which refusals those are.
 */

/** Replaces a tensor of a model or an adapter; `i` counts the models of the example, `first` is the same tensor of the first model. */
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

const isAdapter = (run: RecipeRun, path: string): boolean => Object.values(run.recipe.adapters ?? {}).includes(path)

/**
 * Fills the models of a run, and its adapters with numbers. Masks take the shape of what they are for, so that shapes
 * alone are never refused.
 */
const fill = (run: RecipeRun, filling: Filling, rename = (name: string): string => name): RecipeRun => {
  const reshapes = Object.values(SHAPES).includes(filling)
  const paths = Object.keys(run.files).filter((path) => isModel(run, path) || (!reshapes && isAdapter(run, path)))
  const refill = (path: string, file: PlainFile): PlainFile =>
    Object.fromEntries(
      Object.entries(file).map(([name, tensor]) => {
        const i = paths.indexOf(path)
        const stays = name.endsWith('.alpha') || (i < 0 && !(reshapes && tensor.dtype === 'bool'))
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

const NOT_FINITE = 'non-finite'

/** Something to build, by its name, or several as tensors of one run, which are built apart if that is refused. */
interface Case {
  readonly name: string
  readonly run: RecipeRun
  readonly apart?: readonly Case[]
}

/** A run under several fillings: as one case, where its tensors may have other names. */
const casesOf = (run: RecipeRun, fillings: Readonly<Record<string, Filling>>): readonly Case[] => {
  const apart = Object.entries(fillings).map(([name, filling]): Case => ({ name, run: fill(run, filling) }))
  const together = fillAll(run, Object.values(fillings))
  return together === undefined ? apart : [{ name: 'all', run: together, apart }]
}

/** Whether an output has finite numbers alone. */
const isFinite = async (path: string): Promise<boolean> => {
  if (path.endsWith('.json')) return !/NaN|Infinity|undefined/.test(readFileSync(path, 'utf8'))
  return Object.values(await readTensors(path)).every(({ values }) => values.every(Number.isFinite))
}

/**
 * Builds cases in one recipe; gives which are refused, with the codes, or else have numbers that are not finite, if these
 * are allowed.
 */
const buildTogether = (
  cases: readonly Case[],
  nonFinite: 'allow' | 'error',
): Promise<ReadonlyMap<Case, readonly string[]>> =>
  inFolder(async (folder) => {
    const run = combineRuns(
      cases.map((one) => one.run),
      nonFinite,
    )
    const built = await build(writeRun(folder, run), { workers: 1, start: inlineWorker, render: renderReport })
    const found = new Map<Case, readonly string[]>()
    if (built.type === 'ok') {
      for (const [i, { path }] of Object.values(run.recipe.outputs).entries())
        if (!(await isFinite(join(folder, path)))) found.set(cases[i]!, [NOT_FINITE])
      return found
    }
    for (const problem of built.diagnostics.filter(({ severity }) => severity === 'error')) {
      const one = cases[runNamedIn(problem)]
      if (one === undefined) throw new Error(`no case is to blame for ${problem.code}: ${problem.message}`)
      found.set(one, [...(found.get(one) ?? []), problem.code])
    }
    return found
  })

/**
 * What is wrong with cases, by their names: those that are refused are taken out until the others can be built, and what
 * has several tensors is built apart, since one of them may spoil the others.
 */
const problemsOf = async (cases: readonly Case[]): Promise<readonly (readonly [name: string, codes: string])[]> => {
  const found = await buildTogether(cases, 'allow')
  const built = [...found.values()].every(([code]) => code === NOT_FINITE)
  const again = cases.flatMap((one) => (found.has(one) ? (one.apart ?? []) : built ? [] : [one]))
  return [
    ...[...found].flatMap(([{ name, apart }, codes]) =>
      apart === undefined ? [[name, codes.join(' ')] as const] : [],
    ),
    ...(again.length === 0 ? [] : await problemsOf(again)),
  ]
}

const casesFor = (operator: Operator): readonly Case[] =>
  operator.examples.flatMap((example): readonly Case[] => {
    const run = exampleRun(operator, example)
    const one = withOneModel(run, operator)
    return [
      ...[NUMBERS, OVERFLOWING, SHAPES].flatMap((fillings) => casesOf(run, fillings)),
      ...(one === undefined ? [] : [{ name: 'one model', run: one }]),
      { name: 'one file for all models', run: withOneFile(run) },
    ]
  })

const ORDER = [...Object.keys({ ...NUMBERS, ...OVERFLOWING, ...SHAPES }), 'one model', 'one file for all models']

test('no operator crashes on extreme inputs or writes numbers that are not finite', { timeout: 300_000 }, async () => {
  const lines: string[] = []
  for (const operator of operators) {
    const cases = casesFor(operator)
    const found = await problemsOf(cases)
    // What is not finite was written only because the outputs allowed it.
    if (found.some(([, codes]) => codes === NOT_FINITE)) {
      const overflowing = operator.examples.flatMap((example) => casesOf(exampleRun(operator, example), OVERFLOWING))
      const refused = await buildTogether(overflowing, 'error')
      expect([...refused.values()].flat()).not.toEqual([])
    }
    for (const codes of [...new Set(found.map(([, of]) => of))].toSorted()) {
      const names = new Set(found.filter(([, of]) => of === codes).map(([name]) => name))
      lines.push(`${operator.id}: ${codes}`, ...ORDER.filter((name) => names.has(name)).map((name) => `  ${name}`))
    }
  }
  await expect(`${lines.join('\n')}\n`).toMatchFileSnapshot('extreme-values.txt')
})
