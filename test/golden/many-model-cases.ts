import { runOf, type PlainFile, type PlainRecipe, type RecipeRun } from '../support/recipe-run.js'
import { fileOf, files, number, numbered, zeros, type GoldenCase } from './case.js'

type Step = PlainRecipe['steps'][string]
type Mapping = (c: GoldenCase) => RecipeRun

const run = (c: GoldenCase, inputs: Readonly<Record<string, PlainFile>>, step: Step): RecipeRun =>
  runOf(inputs, { result: step }, fileOf(c.expected, 'result'), { tolerance: c.tolerance })

/** A step over all models of a case, with their weights, and with its base where it has one. */
const overAll =
  (op: string, settings: (c: GoldenCase) => Step = () => ({})): Mapping =>
  (c) => {
    const models = numbered(c.inputs, 'm')
    const base = 'base' in c.inputs ? ['base'] : []
    const weights = c.params['weight'] as readonly number[] | undefined
    return run(c, files(c, ...base, ...models), {
      op,
      ...(base.length === 0 ? {} : { base: 'base' }),
      models: weights === undefined ? models : models.map((model, i) => ({ model, weight: weights[i] })),
      ...settings(c),
    })
  }

/** Differences are models over a base of zeros. */
const stockOfDeltas: Mapping = (c) => {
  const models = numbered(c.inputs, 'delta_')
  return run(
    c,
    { ...files(c, ...models), zero: zeros(fileOf(c.inputs, models[0]!)) },
    { op: 'merge.model_stock', base: 'zero', models, over: 'row', pairs: 'consecutive' },
  )
}

const byCosine =
  (op: string): Mapping =>
  (c) =>
    run(c, files(c, 'a', 'b'), { op, a: 'a', b: 'b', keep: 1 - number(c, 'shift') })

/** What vectors of `nuslerp` are: everything, or what lies along one of the axes of its matrices. */
const axisOf = ({ params }: GoldenCase): string =>
  params['flatten'] === true ? 'tensor' : params['axis'] === 'last' ? 'row' : 'column'

/** The cases of operators on many models, and of those that compare the directions of two. */
export const MANY_MODELS: Readonly<Record<string, Mapping>> = {
  add_cosine_a: byCosine('merge.cosine_a'),
  add_cosine_b: byCosine('merge.cosine_b'),
  geometric_median: overAll('merge.geometric_median'),
  karcher_mean: overAll('merge.karcher', (c) => ({ iterations: c.params['max_iter'] })),
  model_stock: overAll('merge.model_stock', (c) => ({ over: c.params['per_row'] === true ? 'row' : 'tensor' })),
  model_stock_delta: stockOfDeltas,
  multislerp: overAll('merge.slerp_many', (c) => ({ normalize: c.params['normalize_weights'] })),
  nuslerp: overAll('merge.nuslerp', (c) => ({ over: axisOf(c) })),
  ram: overAll('merge.ram', (c) => ({ epsilon: c.params['epsilon'] })),
  ramplus_tl: overAll('merge.ram', (c) => ({
    epsilon: c.params['epsilon'],
    rescale: c.params['r'],
    limit: c.params['alpha'],
  })),
  sce: overAll('merge.sce', (c) => ({ density: c.params['select_topk'] })),
}
