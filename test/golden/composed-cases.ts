import { runOf, type PlainFile, type PlainTensor, type RecipeRun } from '../support/recipe-run.js'
import { fileOf, files, mapFile, number, numbered, zeros, type GoldenCase } from './case.js'

type Mapping = (c: GoldenCase) => RecipeRun | string
type Steps = Record<string, Readonly<Record<string, unknown>>>

/** The probability of an element is seen by what `rescale: density` divides it by, if all are kept. */
const dellaProbability: Mapping = (c) => {
  const delta = fileOf(c.inputs, 'delta')
  if (Object.values(delta)[0]!.shape.length > 2)
    return 'to merge.della a row of a convolution is a filter, to mergekit one line along its inputs'
  const probability = fileOf(c.expected, 'probability')
  const expected = mapFile(delta, (tensor): PlainTensor => ({
    ...tensor,
    values: tensor.values.map((x, i) => x / Object.values(probability)[0]!.values[i]!),
  }))
  const all: PlainFile = mapFile(delta, (tensor) => ({ ...tensor, dtype: 'bool', values: tensor.values.map(() => 1) }))
  const { density, epsilon } = { density: number(c, 'density'), epsilon: number(c, 'epsilon') }
  return runOf(
    { delta, all, zero: zeros(delta) },
    {
      everything: { op: 'mask.load', file: 'all' },
      result: {
        op: 'merge.della_linear',
        base: 'zero',
        models: [{ model: 'delta', density, epsilon, kept: 'everything' }],
        rescale: 'density',
        normalize: false,
      },
    },
    expected,
    { tolerance: c.tolerance },
  )
}

/**
 * TIES, and the factor of model stock by row, of what TIES keeps of each difference: model stock divides the sum by the
 * number of models, and where fewer agree than that, by their number instead.
 */
const tiesMeanStock: Mapping = (c) => {
  const deltas = numbered(c.inputs, 'delta_')
  const [first] = Object.values(fileOf(c.inputs, deltas[0]!))
  const density = number(c, 'keep') / first!.values.length
  const ties = { op: 'merge.ties', base: 'zero', equal: 'all', elect: c.params['vote'], undecided: 'none' }
  const own = Object.fromEntries(
    deltas.flatMap((delta): [string, Steps[string]][] => [
      [`${delta}_trimmed`, { ...ties, models: [{ model: delta, density }] }],
      [`${delta}_agrees`, { op: 'mask.sign_agreement', base: 'zero', models: [`${delta}_trimmed`, 'elected'] }],
      [`${delta}_kept`, { op: 'merge.blend', a: 'zero', b: `${delta}_trimmed`, keep: 0, mask: `${delta}_agrees` }],
    ]),
  )
  const steps: Steps = {
    elected: { ...ties, models: deltas.map((model) => ({ model, density })) },
    ...own,
    agreeing_0: {
      op: 'merge.model_stock',
      base: 'zero',
      models: deltas.map((delta) => `${delta}_kept`),
      over: 'row',
      pairs: 'consecutive',
    },
  }
  for (const [i] of deltas.entries()) {
    const k = i + 1
    steps[`at_least_${k}`] = { op: 'mask.at_least', masks: deltas.map((delta) => `${delta}_agrees`), k }
    steps[`divided_${k}`] = { op: 'merge.passthrough', model: 'agreeing_0', scale: deltas.length / k }
    steps[`agreeing_${k}`] = {
      op: 'merge.blend',
      a: `agreeing_${i}`,
      b: `divided_${k}`,
      keep: 0,
      mask: `at_least_${k}`,
    }
  }
  return runOf(
    { ...files(c, ...deltas), zero: zeros(fileOf(c.inputs, deltas[0]!)) },
    steps,
    fileOf(c.expected, 'result'),
    { tolerance: c.tolerance },
  )
}

/** Cases whose operation is part of an operator here, or several steps. */
export const COMPOSED: Readonly<Record<string, Mapping>> = {
  della_keep_probability: dellaProbability,
  ties_mean_stock: tiesMeanStock,
}
