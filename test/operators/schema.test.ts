import { Ajv } from 'ajv'
import { describe, expect, test } from 'vitest'
import { operators } from '#src/operators/index.js'
import { exampleRun } from '../support/examples.js'
import { recipeSchema } from '#src/recipe/schema.js'

const OPTIONS = { strict: true, strictRequired: false, discriminator: true, allowUnionTypes: true } as const
const validate = new Ajv(OPTIONS).compile(recipeSchema(operators, { editor: false }))
const editor = new Ajv({ ...OPTIONS, strict: false }).compile(recipeSchema(operators, { editor: true }))
const recipe = (step: object) => ({
  smelt: 1,
  models: { a: 'a.safetensors', b: { path: 'b.safetensors' } },
  steps: { r: step },
  outputs: { o: { from: 'r', path: 'o.safetensors' } },
})
const blend = { op: 'merge.blend', a: 'a', b: 'b' }

test.each(
  operators.flatMap((operator) =>
    operator.examples.map((example, i) => [`${operator.id} ${i + 1}`, exampleRun(operator, example).recipe] as const),
  ),
)('the example is a sound recipe: %s', (_id, plain) => {
  expect([validate(plain), validate.errors]).toEqual([true, null])
  expect([editor(plain), editor.errors]).toEqual([true, null])
})

describe('steps', () => {
  test.each([
    ['a number out of range', { op: 'merge.dare', a: 'a', b: 'b', drop: 1.5 }],
    ['an unknown key', { ...blend, ratio: 0.5 }],
    ['a word that is no choice', { ...blend, method: 'linear' }],
    ['a missing input', { op: 'merge.blend', a: 'a' }],
    ['a missing number', { op: 'mask.magnitude', model: 'a', base: 'b' }],
    ['an unknown operator', { op: 'merge.all', a: 'a' }],
    ['no operator', { a: 'a' }],
    ['a rule that is no number', { ...blend, keep: { default: 'much' } }],
    ['a seed where nothing is drawn', { ...blend, seed: 1 }],
    ['a mask on what does not merge', { op: 'model.subtract', a: 'a', b: 'b', mask: 'm' }],
    ['too few masks', { op: 'mask.union', masks: ['m'] }],
    ['no model', { op: 'merge.linear', models: [] }],
    ['a preset that there is not', { op: 'weights.mbw', like: 'a', preset: 'GRAD_W' }],
    ['a preset that there is not, in rules', { ...blend, keep: { preset: 'GRAD_W' } }],
    ['block numbers that are no numbers', { op: 'weights.mbw', like: 'a', blocks: ['much'] }],
    ['a quantile beyond 1', { op: 'mask.magnitude', model: 'a', base: 'b', quantile: 1.2 }],
    ['a share beyond 1', { op: 'mask.partition', like: 'a', shares: [1.5, -0.5] }],
    ['a partition in one part', { op: 'mask.partition', like: 'a', parts: 1 }],
    ['no anchors', { op: 'weights.gradient', like: 'a', anchors: [] }],
    ['a part that is not dropped', { op: 'model.prune', model: 'a', drop: ['unet'] }],
    ['nothing to drop', { op: 'model.prune', model: 'a', drop: [] }],
    ['a dtype that there is not', { op: 'model.cast', model: 'a', dtype: { default: 'fp16' } }],
    ['no dtype', { op: 'model.cast', model: 'a' }],
    ['a new name that is a number', { op: 'model.rename', model: 'a', rules: { x: 1 } }],
    ['a rule without a new name', { op: 'model.rename', model: 'a', rules: [{ match: 'x' }] }],
    ['an empty root', { op: 'model.rename', model: 'a', add_root: '' }],
    ['a param that is left', { ...blend, keep: '$keep' }],
  ])('%s is refused', (_title, step) => {
    expect(validate(recipe(step))).toBe(false)
  })

  test.each([
    ['rules', { ...blend, keep: { default: 0.5, 'block:out.*': 0.25 } }],
    ['rules with anchors', { ...blend, keep: { default: 0.5, '**.attn2': [0, 0.5, 1] } }],
    ['rules by a preset', { ...blend, keep: { preset: 'SMOOTHSTEP*2', default: 1, '**.attn2': 0 } }],
    ['rules by block and by anchors', { ...blend, keep: { default: 0, mbw: [1, 0.5], gradient: [0, 1] } }],
    ['parts to drop', { op: 'model.prune', model: 'a', drop: ['ema', 'vae'] }],
    ['dtypes by layer', { op: 'model.cast', model: 'a', dtype: { '**.norm': 'f32' } }],
    ['rules of names', { op: 'model.rename', model: 'a', rules: { x: '', '*.y': 'y.$1' } }],
    ['rules in a list', { op: 'model.rename', model: 'a', rules: [{ match: 'x', to: 'y', optional: true }] }],
    ['the name of weights', { ...blend, keep: 'curve' }],
    ['patterns, one of them optional', { ...blend, layers: ['**.attn2', { match: 'nowhere', optional: true }] }],
    ['models with their weights', { op: 'merge.linear', models: { a: 1, b: { default: 0.5 } } }],
    ['models by name', { op: 'merge.ties', base: 'a', models: ['b', { model: 'c.2', density: 0.3 }] }],
  ])('%s are accepted', (_title, step) => {
    expect([validate(recipe(step)), validate.errors]).toEqual([true, null])
  })
})

test('an editor calls a wrong `op` a wrong value, shows those there are, and says nothing of the other keys', () => {
  expect(editor(recipe({ op: 'merge.blnd', a: 'a', keep: 0.5, wrong: 1 }))).toBe(false)
  expect(editor.errors!.map((e) => [e.keyword, e.instancePath])).toEqual([['enum', '/steps/r/op']])
  expect(editor.errors![0]!.params).toEqual({ allowedValues: operators.map((operator) => operator.id) })
  expect(editor(recipe({ ...blend, kepp: 1 }))).toBe(false)
  expect(editor.errors!.filter((e) => e.keyword !== 'if').map((e) => [e.keyword, e.instancePath, e.params])).toEqual([
    ['additionalProperties', '/steps/r', { additionalProperty: 'kepp' }],
  ])
})

test('an editor accepts params, and explains every key', () => {
  expect(editor(recipe({ ...blend, keep: '$keep', method: '$method' }))).toBe(true)
  const schema = JSON.stringify(recipeSchema(operators, { editor: true }))
  for (const { params } of operators)
    for (const { description } of Object.values(params)) expect(schema).toContain(JSON.stringify(description))
})

test('the schema inside the program carries no prose', () => {
  const holds = (editor: boolean): boolean =>
    JSON.stringify(recipeSchema(operators, { editor })).includes('markdownDescription')
  expect([holds(true), holds(false)]).toEqual([true, false])
})
