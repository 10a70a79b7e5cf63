import { Ajv } from 'ajv'
import { describe, expect, it } from 'vitest'
import { renderDiagnostics } from '#src/base/screen.js'
import type { JsonSchema } from '#src/document/schema.js'
import { validate } from '#src/document/validate.js'
import { growthOf, callsOf } from '../support/calls.js'
import { checkText, shown, valueOf } from './support.js'

const share: JsonSchema = { type: 'number', minimum: 0, maximum: 1 }

const operator = (id: string): JsonSchema => ({
  type: 'object',
  additionalProperties: false,
  required: ['op', 'a'],
  properties: {
    op: { const: id },
    a: { type: 'string', title: 'a model' },
    drop: share,
    above: { type: 'number', exclusiveMinimum: 0 },
    times: { type: 'integer', minimum: 1 },
    rescale: { type: 'boolean' },
    select: { enum: ['above', 'below', 'between'] },
    mbw: { type: 'array', items: { type: 'number' }, minItems: 3, maxItems: 3 },
    layers: { anyOf: [{ type: 'string' }, { type: 'array', items: { type: 'string' }, minItems: 1 }] },
    keep: { $ref: '#/definitions/keep' },
    dtype: { type: 'string' },
  },
})

const schemaOf = (operators: readonly string[]): JsonSchema => ({
  $schema: 'http://json-schema.org/draft-07/schema#',
  type: 'object',
  additionalProperties: false,
  required: ['smelt'],
  definitions: {
    keep: {
      anyOf: [
        { type: 'number', title: 'a number' },
        { type: 'string', title: 'the name of a weights step', pattern: '^\\$?\\w+$' },
        { $ref: '#/definitions/rules' },
      ],
    },
    rules: {
      title: 'rules',
      description: 'patterns with a number each',
      type: 'object',
      properties: { default: share },
      additionalProperties: { type: 'number' },
    },
  },
  properties: {
    smelt: { const: 1 },
    seed: { type: 'integer' },
    models: {
      type: 'object',
      propertyNames: { pattern: '^[a-z]\\w*$', title: 'a name' },
      additionalProperties: {
        anyOf: [
          { type: 'string', title: 'a path' },
          {
            type: 'object',
            title: 'a map with `path`',
            additionalProperties: false,
            required: ['path'],
            properties: {
              path: { type: 'string' },
              sha256: { type: 'string', pattern: '^[0-9a-f]{64}$', title: '64 hex digits' },
            },
          },
        ],
      },
    },
    steps: {
      type: 'object',
      additionalProperties: {
        type: 'object',
        required: ['op'],
        discriminator: { propertyName: 'op' },
        oneOf: operators.map(operator),
      },
    },
  },
})

const schema = schemaOf(['merge.dare', 'merge.ties', ...Array.from({ length: 58 }, (_, i) => `merge.op${i}`)])

const step = (...lines: string[]): string =>
  `smelt: 1\nsteps:\n  s:\n    op: merge.dare\n    a: x\n${lines.map((line) => `    ${line}\n`).join('')}`

const WRONG: readonly [name: string, text: string, problems: readonly string[], message: string][] = [
  ['an unknown key', step('dropp: 0.5'), ['unknown-key dropp'], '`s` has no parameter `dropp`'],
  ['__proto__', step('__proto__: {a: 1}'), ['unknown-key __proto__'], '`s` has no parameter `__proto__`'],
  ['constructor at the root', 'smelt: 1\nconstructor: 1', ['unknown-key constructor'], 'unknown key `constructor`'],
  ['a missing key', 'smelt: 1\nsteps:\n  s: {op: merge.ties}', ['missing-key s'], '`s` has no `a`'],
  ['a missing key of the root', 'seed: 3', ['missing-key seed'], 'the recipe has no `smelt`'],
  ['a misspelt required key', 'smelt: 1\nmodels: {m: {paht: x}}', ['unknown-key paht'], '`m` has no parameter `paht`'],
  [
    'a text for a number',
    step('drop: "high"'),
    ['wrong-type "high"'],
    '`drop`: expected a number between 0 and 1; found the string "high"',
  ],
  ['a number for a text', step('dtype: 1.10'), ['wrong-type 1.10'], '`dtype`: expected a string; found 1.1'],
  [
    'a fraction for a whole number',
    'smelt: 1\nseed: 1.5',
    ['wrong-type 1.5'],
    '`seed`: expected a whole number; found 1.5',
  ],
  [
    'nothing for a number',
    step('drop:'),
    ['wrong-type drop'],
    '`drop`: expected a number between 0 and 1; found nothing',
  ],
  ['a list for a map', 'smelt: 1\nsteps: []', ['wrong-type []'], '`steps`: expected a map; found an empty list'],
  [
    'an item of a list',
    step('mbw: [1, x, 2]'),
    ['wrong-type x'],
    'item 2 of `mbw`: expected a number; found the string "x"',
  ],
  ['a whole document', '- x', ['wrong-type - x'], 'expected a map; found a list'],
  ['a number too high', step('drop: 2'), ['out-of-range 2'], '`drop`: expected a number between 0 and 1; found 2'],
  ['a number too low', step('times: 0'), ['out-of-range 0'], '`times`: expected a whole number of at least 1; found 0'],
  ['a number on an open bound', step('above: 0'), ['out-of-range 0'], '`above`: expected a number above 0; found 0'],
  ['another constant', 'smelt: 2', ['not-one-of 2'], '`smelt`: expected `1`; found 2'],
  [
    'a text that is not listed',
    step('select: abov'),
    ['not-one-of abov'],
    '`select`: expected one of `above`, `below`, `between`; found the string "abov"',
  ],
  [
    'an unknown operator',
    'smelt: 1\nsteps: {s: {op: merge.dre, zzz: 1}}',
    ['unknown-choice merge.dre'],
    'unknown `op`: `merge.dre`',
  ],
  ['a missing operator', 'smelt: 1\nsteps: {s: {a: x}}', ['missing-key s'], '`s` has no `op`'],
  [
    'an operator that is no text',
    'smelt: 1\nsteps: {s: {op: 7}}',
    ['wrong-type 7'],
    '`op`: expected a string; found 7',
  ],
  ['a list too short', step('mbw: [1, 2]'), ['wrong-length [1, 2]'], '`mbw`: expected exactly 3 items; found 2'],
  ['an empty list in a union', step('layers: []'), ['wrong-length []'], '`layers`: expected at least 1 item; found 0'],
  ['a key that may not be one', 'smelt: 1\nmodels: {"x y": m}', ['wrong-name "x y"'], 'the key `x y` is not a name'],
  [
    'a text of the wrong form',
    'smelt: 1\nmodels: {m: {path: x, sha256: abc}}',
    ['wrong-pattern abc'],
    '`sha256`: expected 64 hex digits; found the string "abc"',
  ],
  [
    'a union by no type',
    'smelt: 1\nmodels: {m: 4}',
    ['no-such-form 4'],
    '`m`: expected a path, or a map with `path`; found 4',
  ],
  [
    'a union by its map',
    step('keep: {default: 3}'),
    ['out-of-range 3'],
    '`default`: expected a number between 0 and 1; found 3',
  ],
  ['a union by its list', step('layers: [a, 1]'), ['wrong-type 1'], 'item 2 of `layers`: expected a string; found 1'],
  [
    'a text in a union',
    step('keep: "a b"'),
    ['no-such-form "a b"'],
    '`keep`: expected a number, or the name of a weights step, or rules; found the string "a b"',
  ],
]

describe('validate', () => {
  it.each(WRONG)('%s is one problem at its place', (_, text, problems, message) => {
    const diagnostics = checkText(text, schema)
    expect(shown(diagnostics)).toEqual(problems)
    expect(diagnostics[0]?.message).toBe(message)
    expect(diagnostics[0]?.help).not.toBe(undefined)
  })

  it('passes a right document on', () => {
    const value = valueOf(
      step('drop: 0.5', 'keep: {default: 0.5, "block:in.0": 1}', 'layers: ["**.attn2"]', 'mbw: [1, 2, 3]'),
    )
    expect(validate(value, schema)).toEqual({ type: 'ok', value, diagnostics: [] })
  })

  it.each([
    [step('dropp: 0.5'), 'did you mean `drop`?'],
    [step('select: abov'), 'did you mean `above`?'],
    ['smelt: 1\nsteps: {s: {op: merge.tise}}', 'did you mean `merge.ties`'],
    ['smelt: 1\nsteps: {s: {op: nothing.like.it}}', 'use one of `merge.dare`, `merge.ties`'],
    [step('dtype: 1.10'), 'put it in quotes: "1.10"'],
    [step('keep: []'), 'rules: patterns with a number each'],
    ['smelt: 1\nsteps: {s: {op: merge.ties}}', 'add the key `a`: a model'],
  ])('tells what to do about %j', (text, help) => {
    expect(checkText(text, schema)[0]?.help).toContain(help)
  })

  it('reports everything at once, in order of place', () => {
    const text = `seed: x\nmodels: {m: 4}\nsteps:\n  s: {op: merge.dare, a: 1, drop: 2, foo: 3}\n  t: {op: merge.no}\n`
    expect(shown(checkText(text, schema))).toEqual([
      'missing-key seed',
      'wrong-type x',
      'no-such-form 4',
      'wrong-type 1',
      'out-of-range 2',
      'unknown-key foo',
      'unknown-choice merge.no',
    ])
  })

  it('tells once what is wrong with a value that aliases repeat', () => {
    expect(shown(checkText('smelt: 1\nsteps:\n  s: &s {op: merge.dare, a: x, drop: 2}\n  t: *s\n', schema))).toEqual([
      'out-of-range 2',
    ])
  })

  it('validates as the standard keywords do', () => {
    const standard = new Ajv({ discriminator: true, strict: true, strictRequired: false }).compile(
      schemaOf(['merge.dare', 'merge.ties']),
    )
    const right = [
      'smelt: 1',
      step('drop: 0'),
      step('keep: $detail', 'layers: x'),
      'smelt: 1\nmodels: {m: {path: x}, n: y}',
    ]
    for (const text of [...WRONG.map(([, wrong]) => wrong), ...right])
      expect([text, standard(plainOf(text))]).toEqual([text, checkText(text, schema).length === 0])
  })

  it('chooses among maps of a union by the keys they require', () => {
    const either: JsonSchema = {
      anyOf: [
        { type: 'object', required: ['x'], properties: { x: share } },
        { type: 'object', required: ['y'] },
      ],
    }
    expect(shown(checkText('x: 2', either))).toEqual(['out-of-range 2'])
    expect(shown(checkText('z: 2', either))).toEqual(['no-such-form z: 2'])
  })

  it('finds the nearest text among the branches of a union', () => {
    const mode: JsonSchema = { anyOf: [{ enum: ['same', 'f16'] }, { type: 'object' }] }
    expect(checkText('smae', mode)[0]).toMatchObject({ code: 'no-such-form', help: 'did you mean `same`?' })
  })

  it('keeps rules beside a union apart from its branches', () => {
    const both: JsonSchema = {
      type: 'object',
      properties: { n: share },
      anyOf: [
        { required: ['x'], title: 'a map with `x`' },
        { required: ['y'], title: 'a map with `y`' },
      ],
    }
    expect(shown(checkText('n: 2', both))).toEqual(['no-such-form n: 2', 'out-of-range 2'])
  })

  it('reports a value that fits two branches, a missing partner, counts and rules without a sentence of their own', () => {
    const two: JsonSchema = {
      oneOf: [
        { type: 'number', minimum: 0 },
        { type: 'number', maximum: 1 },
      ],
    }
    expect(shown(checkText('0.5', two))).toEqual(['ambiguous-form 0.5'])
    expect(shown(checkText('a: 1', { type: 'object', dependencies: { a: ['b'] } }))).toEqual(['missing-partner a'])
    expect(shown(checkText('{}', { type: 'object', minProperties: 1 }))).toEqual(['wrong-length {}'])
    expect(checkText('"abcd"', { type: 'string', maxLength: 3 })[0]?.message).toBe(
      'expected at most 3 characters; found 4',
    )
    expect(shown(checkText('3', { type: 'number', multipleOf: 2 }))).toEqual(['rule-broken 3'])
    expect(
      shown(
        checkText('a: 1', { type: 'object', if: { required: ['a'] }, then: { properties: { a: { type: 'string' } } } }),
      ),
    ).toEqual(['wrong-type 1'])
  })

  it('cuts the list after fifty and counts the rest', () => {
    const problems = checkText(step(...Array.from({ length: 60 }, (_, i) => `x${i}: 1`)), schema)
    expect(problems.length).toBe(51)
    expect(problems.at(-1)?.code).toBe('more-problems')
  })

  it('refuses a schema with a keyword that does not exist', () => {
    expect(() => validate(valueOf('1'), { typo: 1 })).toThrow(/unknown keyword/)
  })

  it('shows a recipe with three mistakes', () => {
    const text =
      'smelt: 1\nmodels:\n  anime: 4\nsteps:\n  blend:\n    op: merge.dare\n    a: anime\n    dorp: 0.9\n    keep:\n      default: 1.5\n'
    expect(renderDiagnostics(checkText(text, schema), { color: false })).toMatchInlineSnapshot(`
      "error[no-such-form]: \`anime\`: expected a path, or a map with \`path\`; found 4
       --> recipe.yaml:3:10
        |
      3 |   anime: 4
        |          ^
      help: write a path

      error[unknown-key]: \`blend\` has no parameter \`dorp\`
       --> recipe.yaml:8:5
        |
      8 |     dorp: 0.9
        |     ^^^^
      help: did you mean \`drop\`?

      error[out-of-range]: \`default\`: expected a number between 0 and 1; found 1.5
        --> recipe.yaml:10:16
         |
      10 |       default: 1.5
         |                ^^^
      help: choose a number within these bounds

      3 errors
      "
    `)
  })
})

const plainOf = (text: string): unknown => {
  const plain = (value: ReturnType<typeof valueOf>): unknown => {
    if (value.type === 'list') return value.items.map(plain)
    return value.type === 'map'
      ? Object.fromEntries([...value.entries].map(([key, { value: inner }]) => [key, plain(inner)]))
      : value.value
  }
  return plain(valueOf(text))
}

describe('speed', () => {
  const recipe = (operators: number): string =>
    `smelt: 1\nsteps:\n${Array.from({ length: 100 }, (_, i) => `  s${i}:\n    op: merge.op${i % operators}\n    a: x\n    drop: 0.5\n    keep: {default: 1}\n`).join('')}`

  it('of sixty operators only the ten that a recipe has are compiled, once, and none for a recipe without mistakes', async () => {
    const [ten, sixty] = [valueOf(`${recipe(10)}wrong: 1`), valueOf(`${recipe(60)}wrong: 1`)]
    const costs = (value: typeof ten, fresh: JsonSchema): Promise<number> => callsOf(() => validate(value, fresh))
    const fresh = { ...schema }
    const [first, again] = [await costs(ten, fresh), await costs(ten, fresh)]
    expect(again).toBeLessThan(first / 5)
    expect(first).toBeLessThan((await costs(sixty, { ...schema })) / 2)
    expect(await costs(valueOf(recipe(58)), { ...schema })).toBeLessThan(first / 5)
  })

  it('unknown keys are reported with work that grows as they do', async () => {
    const unknown = (n: number) => valueOf(step(...Array.from({ length: n }, (_, i) => `k${i}: 1`)))
    const [half, whole] = [unknown(500), unknown(1000)]
    expect(
      await growthOf(
        () => validate(half, schema),
        () => validate(whole, schema),
      ),
    ).toBeLessThan(2.5)
  })
})
