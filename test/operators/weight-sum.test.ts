import { describe, expect, test } from 'vitest'
import { proportionsOf, sumWeights } from '#src/operators/weight-sum.js'
import { buildRun } from '../support/build-run.js'
import { runOf, type PlainRecipe } from '../support/recipe-run.js'
import { evaluateRecipe } from '../support/evaluate.js'
import { f32, problemsOf } from '../support/small.js'

test.each([
  ['nothing', [], 0],
  ['plain numbers', [0.5, 0.25, 2], 2.75],
  ['decimals that cancel, though their rounding does not', [0.1, 0.2, -0.3], 0],
  ['very small ones', [1e-30], 1e-30],
  ['very small ones that cancel', [1e-30, 2e-30, -3e-30], 0],
  ['one that disappears beside others that cancel', [1, 1e-20, -1], 1e-20],
  ['numbers of many digits', [1 / 3, 1 / 3, -2 / 3], 0.3333333333333333 + 0.3333333333333333 - 0.6666666666666666],
  ['subnormal ones', [5e-324, 5e-324, -1e-323], 0],
  ['the largest ones', [1.7976931348623157e308, -1.7976931348623157e308], 0],
])('the sum of %s is that of the numbers as they are written', (_what, weights, sum) => {
  expect(sumWeights(weights)).toBe(sum)
})

test('proportions stay, and are near 1', () => {
  for (const size of [5e-324, 1e-300, 1e-30, 0.3, 7, 1e30, 1e300]) {
    const { weights, sum } = proportionsOf([size, 2 * size, -size])
    expect([weights[1]! / weights[0]!, weights[2]! / weights[0]!]).toEqual([2, -1])
    expect(sum / weights[0]!).toBeCloseTo(2, 12)
    expect(Math.abs(Math.log2(weights[0]!))).toBeLessThan(40)
  }
  expect(proportionsOf([0.3, 0.6])).toEqual({ weights: [0.3, 0.6], sum: 0.3 + 0.6 })
})

const FILES = { base: { x: f32(1, 1) }, a: { x: f32(3, 5) }, b: { x: f32(7, -3) } }
const outcome = (step: object): readonly number[] | readonly string[] => {
  const { recipe, files } = runOf(FILES, { r: step } as PlainRecipe['steps'], {})
  const made = evaluateRecipe(recipe, files)
  return made.type === 'ok' ? Object.values(made.value)[0]!['x']!.values : made.diagnostics.map((d) => d.code)
}
const models = (...weights: readonly number[]) => ['a', 'b'].map((model, i) => ({ model, weight: weights[i] }))

describe.each([
  'merge.linear',
  'merge.task_arithmetic',
  'merge.breadcrumbs',
  'merge.dare_linear',
  'merge.ties',
  'merge.dare_ties',
  'merge.breadcrumbs_ties',
])('%s, where only proportions count,', (op) => {
  const sparse = op.startsWith('merge.linear') || op.startsWith('merge.task') ? {} : { density: 1 }
  const merge = (...weights: readonly number[]) => ({
    op,
    ...(op === 'merge.linear' ? {} : { base: 'base' }),
    models: models(...weights).map((m) => ({ ...m, ...sparse })),
    normalize: true,
  })

  test('gives the same for weights of any size', () => {
    const plain = outcome(merge(1, 3))
    expect(plain).toHaveLength(2)
    for (const size of [1e-30, 1e-42, 1e-300, 1e30, 1e300]) expect(outcome(merge(size, 3 * size))).toEqual(plain)
  })

  test('does so in float32 too, whose numbers end before those of a recipe', async () => {
    const built = async (size: number) => {
      const made = await buildRun(runOf(FILES, { r: merge(size, 3 * size) } as PlainRecipe['steps'], {}))
      return made.type === 'ok' ? made.value['x']!.values : made.diagnostics.map((d) => d.code)
    }
    const plain = await built(1)
    for (const found of [await built(1e-42), await built(1e42)])
      found.forEach((x, i) => expect(x).toBeCloseTo(plain[i] as number, 5))
  })

  test('takes one model alone as it is, however small its weight', () => {
    expect(outcome(merge(1e-30, 0))).toEqual([3, 5])
  })
})

describe.each(['merge.linear', 'merge.task_arithmetic'])('%s', (op) => {
  const merge = (weights: readonly number[], normalize = true) => ({
    op,
    ...(op === 'merge.linear' ? {} : { base: 'base' }),
    models: models(...weights),
    normalize,
  })

  test('refuses weights that cancel, and none that are only small', () => {
    expect(outcome(merge([0.1, -0.1]))).toEqual(['zero-weight-sum'])
    expect(problemsOf(FILES, { r: merge([0.1, -0.1]) })).toEqual(['error zero-weight-sum @r.models'])
    expect(outcome(merge([0.1, -0.1], false))).toHaveLength(2)
    expect(outcome(merge([1e-31, -2e-31]))).toHaveLength(2)
  })
})

test('without a model of any weight a family gives its base, and an average is refused', () => {
  expect(outcome({ op: 'merge.task_arithmetic', base: 'base', models: models(0, 0), normalize: true })).toEqual([1, 1])
  expect(outcome({ op: 'merge.linear', models: models(0, 0) })).toEqual(['zero-weight-sum'])
})

test('where weights of those that agree cancel, nothing is divided', () => {
  const step = {
    op: 'merge.ties',
    base: 'base',
    models: [
      { model: 'a', weight: 0.5, density: 1 },
      { model: 'b', weight: -0.5, density: 1 },
    ],
    normalize: true,
  }
  // Of the first numbers the differences are 2 and 6, of the second 4 and −4.
  expect(outcome(step)).toEqual([1 + 6, 1 + 4])
})
