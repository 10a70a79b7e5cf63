import { readFileSync } from 'node:fs'
import { Ajv } from 'ajv'
import { expect, test } from 'vitest'
import { shareSchemas } from '#src/document/share-schemas.js'
import { operators } from '#src/operators/index.js'
import { recipeSchema } from '#src/recipe/schema.js'
import { exampleRun } from '../support/examples.js'

const long = { title: 'x'.repeat(200), type: 'number' }

test('what is said twice is said once', () => {
  const shared = shareSchemas({ properties: { a: long, b: long, c: { anyOf: [long, { type: 'string' }] } } })
  const $ref = '#/definitions/shared-1'
  expect(shared).toEqual({
    properties: { a: { $ref }, b: { $ref }, c: { anyOf: [{ $ref }, { type: 'string' }] } },
    definitions: { 'shared-1': long },
  })
})

test('what is short or said once stays where it is, and definitions stay', () => {
  const schema = {
    definitions: { d: { type: 'string' } },
    properties: { a: long, b: { type: 'number' }, c: { type: 'number' } },
  }
  expect(shareSchemas(schema)).toEqual(schema)
})

test('the schema for editors accepts and refuses the same recipes', () => {
  const schema = recipeSchema(operators, { editor: true })
  const shared = shareSchemas(schema)
  expect(JSON.stringify(shared).length).toBeLessThan(JSON.stringify(schema).length / 2)
  const options = { strict: false, allErrors: true }
  const [whole, small] = [new Ajv(options).compile(schema), new Ajv(options).compile(shared)]
  const wrong = {
    smelt: 1,
    models: { a: 'a.safetensors' },
    steps: { r: { op: 'merge.blend', a: 'a', keep: [], wrong: 1 } },
    outputs: {},
  }
  const recipes = operators
    .filter(({ output }) => output !== 'report')
    .flatMap((operator) => operator.examples.map((example) => exampleRun(operator, example).recipe as object))
  for (const recipe of [...recipes, wrong]) expect(small(recipe)).toBe(whole(recipe))
  expect(recipes.filter((recipe) => !small(recipe))).toEqual([])
  expect(small(wrong)).toBe(false)
})

test('the schema of parts finds what it shares with that of recipes', () => {
  const read = (name: string): object =>
    JSON.parse(readFileSync(new URL(`../../schema/${name}`, import.meta.url), 'utf8')) as object
  const { $id: _, ...recipe } = read('recipe.schema.json') as { $id: string }
  const ajv = new Ajv({ strict: false, allErrors: true }).addSchema(recipe, 'recipe.schema.json')
  const accepts = ajv.compile(read('part.schema.json'))
  const part = {
    smelt: 1,
    params: { x: { type: 'model' } },
    presets: 'presets.yaml',
    steps: {
      w: { op: 'weights.mbw', like: 'x', preset: 'OF_THE_FILE' },
      r: { op: 'model.scale', model: 'x', factor: 2 },
    },
    results: { out: 'r' },
  }
  expect([accepts(part), accepts.errors]).toEqual([true, null])
  expect(accepts({ ...part, steps: { r: { op: 'model.scale', model: 'x', factr: 2 } } })).toBe(false)
})
