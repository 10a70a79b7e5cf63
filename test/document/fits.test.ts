import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Ajv } from 'ajv'
import { describe, expect, test } from 'vitest'
import { fits } from '#src/document/fits.js'
import type { JsonSchema } from '#src/document/schema.js'
import { toPlain } from '#src/document/value.js'
import { operators } from '#src/operators/index.js'
import { recipeSchema } from '#src/recipe/schema.js'
import { lockSchema } from '#src/store/lock-schema.js'
import { valueOf } from './support.js'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))

const OPTIONS = { discriminator: true, allowUnionTypes: true, strictRequired: false, strictTypes: false } as const

/** What may stand in the place of anything: each type, and numbers and texts at the edge of what is allowed. */
const ODD: readonly unknown[] = [
  null,
  true,
  -1,
  0,
  0.5,
  1,
  2,
  1e300,
  '',
  'a',
  'a.1',
  'a b',
  '$x',
  'above',
  'f16',
  '5GB',
]
const ODD_SHAPES: readonly unknown[] = [
  [],
  ['a'],
  [0.5],
  {},
  { a: 'b' },
  { match: 'x' },
  { default: 0.5 },
  { path: '' },
]

/** A value with one thing changed, in every place and in many ways. */
function* changed(value: unknown): Generator<unknown> {
  yield* ODD
  yield* ODD_SHAPES
  if (Array.isArray(value)) {
    for (const [i, item] of value.entries()) {
      yield value.toSpliced(i, 1)
      for (const other of changed(item)) yield value.with(i, other)
    }
  } else if (typeof value === 'object' && value !== null) {
    yield { ...value, odd: 1 }
    for (const [key, item] of Object.entries(value)) {
      const { [key]: _, ...rest } = value as Record<string, unknown>
      yield rest
      yield { ...rest, [`${key} `]: item }
      for (const other of changed(item)) yield { ...rest, [key]: other }
    }
  }
}

type Verdict = (value: unknown) => boolean

/** Compares the verdicts on a value and on everything like it; gives how many were right and wrong. */
const compare = (standard: Verdict, schema: JsonSchema, value: unknown): readonly [right: number, wrong: number] => {
  let [right, wrong] = [0, 0]
  for (const one of [value, ...changed(value)]) {
    const verdict = standard(one)
    if (verdict !== fits(one, schema, schema)) throw new Error(`the standard says ${verdict} to ${JSON.stringify(one)}`)
    if (verdict) right++
    else wrong++
  }
  return [right, wrong]
}

describe('what a compiled validator accepts fits, and nothing else', () => {
  test('every recipe at hand, and every operator without anything', () => {
    const schema = recipeSchema(operators, { editor: false })
    const standard = new Ajv(OPTIONS).compile(schema)
    const recipes = readdirSync(join(ROOT, 'recipes'))
      .filter((name) => name.endsWith('.yaml'))
      .map((name) => toPlain(valueOf(readFileSync(join(ROOT, 'recipes', name), 'utf8'))))
    const bare = operators.map(({ id }) => ({ smelt: 1, models: {}, steps: { s: { op: id } }, outputs: {} }))
    const counts = [...recipes, ...bare].map((value) => compare(standard, schema, value))
    expect(recipes.length).toBeGreaterThan(10)
    expect(counts.reduce((n, [right]) => n + right, 0)).toBeGreaterThan(100)
    expect(counts.reduce((n, [, wrong]) => n + wrong, 0)).toBeGreaterThan(1000)
  })

  test('a lock', () => {
    const lock = JSON.parse(readFileSync(join(ROOT, 'examples/quickstart/recipe.lock.json'), 'utf8')) as unknown
    expect(compare(new Ajv(OPTIONS).compile(lockSchema), lockSchema, lock)[0]).toBeGreaterThan(10)
  })

  const string: JsonSchema = { type: 'string' }
  test.each<[JsonSchema, unknown]>([
    [{ type: 'string', minLength: 2, maxLength: 3 }, '𝐚𝐛'],
    [{ type: 'string', maxLength: 1 }, '𝐚'],
    [{ type: 'string', pattern: '^.$' }, '𝐚'],
    [{ type: 'number', exclusiveMinimum: 0, exclusiveMaximum: 1 }, 0.5],
    [{ type: 'number', minimum: 0, maximum: 1 }, 1],
    [{ type: ['integer', 'null'] }, 1],
    [{ type: 'array', items: string, minItems: 1, maxItems: 2 }, ['a', 'b']],
    [
      { type: 'object', minProperties: 1, maxProperties: 2, additionalProperties: string },
      { a: 'x', b: 'y' },
    ],
    [{ type: 'object', required: ['constructor'], properties: { valueOf: string } }, {}],
    [
      {
        oneOf: [
          { type: 'number', minimum: 0 },
          { type: 'number', maximum: 1 },
        ],
      },
      2,
    ],
    [{ $ref: '#/definitions/a', maxLength: 1, definitions: { a: string } }, 'a'],
    [{ enum: ['a', 1, null] }, 1],
  ])('%j', (one, value) => {
    compare(new Ajv(OPTIONS).compile(one), one, value)
  })
})

test('a keyword that is not known here fits nothing, so that the validator is asked', () => {
  expect(fits(4, { type: 'number', multipleOf: 2 }, {})).toBe(false)
})
