import { runOf, type RecipeRun } from '../support/recipe-run.js'
import { fileOf, numbered, type GoldenCase } from './case.js'

/** A merge of models of which each has a file of statistics, `<prefix>_1`, `<prefix>_2`, … */
const withStatistics =
  (
    op: string,
    prefix: string,
    params: (c: GoldenCase) => Readonly<Record<string, unknown>>,
    weights = 'coefficients',
  ) =>
  (c: GoldenCase): RecipeRun => {
    const models = numbered(c.inputs, 'm')
    const statistics = numbered(c.inputs, prefix)
    const files = Object.fromEntries([...models, ...statistics].map((role) => [role, fileOf(c.inputs, role)]))
    const given = c.params[weights] as readonly number[] | undefined
    const list = models.map((model, i) => ({
      model,
      statistics: statistics[i]!,
      ...(given === undefined ? {} : { weight: given[i]! }),
    }))
    return runOf(files, { result: { op, models: list, ...params(c) } }, fileOf(c.expected, 'result'), {
      tolerance: c.tolerance,
    })
  }

/** Merges by statistics of the models. */
export const STATISTICS = {
  fisher_merge: withStatistics('merge.fisher', 'fisher_', ({ params }) => ({
    epsilon: params['eps'],
    normalize: params['normalize'],
  })),
  regmean: withStatistics('merge.regmean', 'gram_', ({ params }) => ({ alpha: params['non_diagonal'] })),
}
