import { Ajv } from 'ajv'
import { describe, expect, test } from 'vitest'
import { readDocument } from '#src/document/read.js'
import { toPlain } from '#src/document/value.js'
import { operators } from '#src/operators/index.js'
import { recipeSchema } from '#src/recipe/schema.js'
import { growthOf } from '../support/calls.js'
import { parseText, placeText, problemsOf, recipeOf, tell } from './support.js'

const HEAD = 'smelt: 1\nmodels: { base: base.safetensors, anime: anime.safetensors }\n'

test('all problems of a recipe are told at once, in order of place', () => {
  const problems = problemsOf(`smelt: 2
models:
  base: base.safetensors
  anime: { path: anime.safetensors, sha256: beef }
steps:
  blend: { op: merge.blend, a: bass, b: anime, keep: $none, colour: red }
  dare: { op: merge.dare, a: blend, b: anime, drop: 2, mask: base }
  loop: { op: model.scale, model: loop, factor: 1 }
outputs:
  out: { from: dare, path: out.safetensors, shard_size: 5 apples, dtype: f15 }
`)
  expect(tell(problems)).toEqual([
    'not-one-of @ 1: 2',
    'wrong-pattern @ 4: beef',
    'unknown-name @ 6: bass',
    'unknown-param @ 6: $none',
    'unknown-key @ 6: colour',
    'out-of-range @ 7: 2',
    'wrong-kind @ 7: base',
    'cycle @ 8: loop',
    'size-not-understood @ 10: 5 apples',
    'no-such-form @ 10: f15',
  ])
})

test.each([
  ['0', 'size-not-understood @ 3: 0'],
  ['-5', 'size-not-understood @ 3: -5'],
  ['1.5', 'size-without-unit @ 3: 1.5'],
  ['""', 'size-not-understood @ 3: ""'],
])('a size of shards of %s is one problem', (size, told) => {
  const outputs = `outputs: { out: { from: anime, path: out.safetensors, shard_size: ${size} } }\n`
  expect(tell(problemsOf(`${HEAD}${outputs}`))).toEqual([told])
})

test('a recipe without its parts is told which', () => {
  expect(
    problemsOf('smelt: 1\n')
      .map((p) => p.message)
      .join('\n'),
  ).toMatch(/models[^]*outputs/)
  expect(tell(problemsOf(`${HEAD}outputs: {}\n`)).length).toBe(1)
})

test('defaults are filled in', () => {
  const recipe = recipeOf(`${HEAD}outputs: { out: { from: base, path: out.safetensors } }\n`)
  expect(recipe).toMatchObject({ name: 'recipe', seed: 0, params: {} })
  expect(recipe.outputs.get('out')).toMatchObject({
    dtype: 'same',
    dtypeRules: [],
    shardBytes: undefined,
    delta: false,
    nonFinite: 'error',
    metadata: {},
  })
})

test('an output is read with everything it can say', () => {
  const recipe = recipeOf(`${HEAD}seed: lucky
outputs:
  out:
    from: anime
    path: out.safetensors
    dtype: { default: f16, "*.bias": f32, head: same }
    shard_size: 1.5 MB
    delta: true
    non_finite: allow
    metadata: { author: me, "__proto__": "a word like any other" }
`)
  const output = recipe.outputs.get('out')!
  expect(recipe.seed).toBe('lucky')
  expect(output).toMatchObject({ dtype: 'f16', shardBytes: 1_500_000, delta: true, nonFinite: 'allow' })
  expect(output.dtypeRules.map((r) => [r.pattern.text, r.dtype])).toEqual([
    ['*.bias', 'f32'],
    ['head', 'same'],
  ])
  expect(Object.entries(output.metadata)).toEqual([
    ['author', 'me'],
    ['__proto__', 'a word like any other'],
  ])
})

describe('a step', () => {
  const stepOf = (step: string) =>
    recipeOf(`${HEAD}steps:\n  x: ${step}\noutputs: { out: { from: x, path: out.safetensors } }\n`).steps.get('x')!

  test('reads per-layer rules in their order, with `default`, `mbw` and `gradient` apart', () => {
    const { keep } = stepOf(
      '{ op: merge.blend, a: base, b: anime, keep: { "block:out.*": 0.4, default: 0.6, "**.attn2": 1, mbw: [1, 2], gradient: [0, 0.5] } }',
    ).params
    expect(keep).toMatchObject({ type: 'rules', rules: { default: 0.6, mbw: [1, 2], gradient: [0, 0.5] } })
    const { entries } = (keep as Extract<typeof keep, { type: 'rules' }>).rules
    expect(entries.map((e) => [e.pattern.text, e.value, placeText(e.pattern.at)])).toEqual([
      ['block:out.*', 0.4, '4: "block:out.*"'],
      ['**.attn2', 1, '4: "**.attn2"'],
    ])
  })

  test('reads a list of a rule as anchors', () => {
    const { keep } = stepOf('{ op: merge.blend, a: base, b: anime, keep: { default: 1, "**.attn2": [0, 0.5] } }').params
    const { entries } = (keep as Extract<typeof keep, { type: 'rules' }>).rules
    expect(entries.map((e) => [e.pattern.text, e.value])).toEqual([['**.attn2', [0, 0.5]]])
  })

  test('reads layers as one pattern, a list, or patterns that may select nothing', () => {
    const patterns = (layers: string) =>
      stepOf(`{ op: merge.blend, a: base, b: anime, layers: ${layers} }`).layers!.patterns.map((p) => [
        p.text,
        p.optional,
      ])
    expect(patterns('"*.bias"')).toEqual([['*.bias', false]])
    expect(patterns('["**", "!head", { match: tail, optional: true }, { match: neck }]')).toEqual([
      ['**', false],
      ['!head', false],
      ['tail', true],
      ['neck', false],
    ])
  })

  test('reads models as names, as maps, and as a map of weights', () => {
    const shape = (models: string) => {
      const { inputs, each } = stepOf(`{ op: merge.ties, base: base, models: ${models} }`)
      return {
        names: (inputs['models'] as readonly { name: string }[]).map((n) => n.name),
        each: each.map((e) =>
          Object.fromEntries(Object.entries(e).map(([k, a]) => [k, a.type === 'value' ? a.value : a.type])),
        ),
      }
    }
    expect(shape('[anime, { model: base, weight: 0.5, density: { default: 0.1 } }]')).toEqual({
      names: ['anime', 'base'],
      each: [{}, { weight: 0.5, density: 'rules' }],
    })
    expect(shape('{ anime: 1, base: -0.5 }')).toEqual({
      names: ['anime', 'base'],
      each: [{ weight: 1 }, { weight: -0.5 }],
    })
  })

  test('keeps what becomes of tensors that do not fit, and its own seed', () => {
    expect(
      stepOf('{ op: merge.dare, a: base, b: anime, missing: keep, mismatch: keep, unmasked: merge, seed: 3 }'),
    ).toMatchObject({ missing: 'keep', mismatch: 'keep', unmasked: 'merge', seed: 3 })
    expect(stepOf('{ op: merge.dare, a: base, b: anime }')).toMatchObject({
      missing: 'error',
      mismatch: 'error',
      unmasked: 'keep',
      seed: undefined,
    })
  })
})

describe('the schema', () => {
  const compile = (editor: boolean) =>
    new Ajv({ strict: false, discriminator: true, validateSchema: false }).compile(recipeSchema(operators, { editor }))
  const [inEditor, inProgram] = [compile(true), compile(false)]
  const accepts = (schema: typeof inEditor, text: string): boolean => {
    const document = readDocument({ path: 'recipe.yaml', text })
    return document.type === 'ok' && schema(toPlain(document.value))
  }
  const withStep = (step: string): string =>
    `${HEAD}steps:\n  x: ${step}\noutputs: { out: { from: x, path: out.safetensors } }\n`

  test.each([
    '{ op: merge.blend, a: $one, b: anime }',
    '{ op: merge.blend, a: base, b: anime, keep: $keep }',
    '{ op: merge.blend, a: base, b: anime, keep: { default: $keep, mbw: [$keep] } }',
    '{ op: merge.blend, a: base, b: anime, method: $method }',
    '{ op: merge.dare, a: base, b: anime, drop: $drop, seed: $seed, iterations: $n }',
    '{ op: merge.linear, models: { base: $keep, anime: 1 }, normalize: $flag }',
    '{ op: merge.linear, models: [{ model: base, weight: $keep }] }',
    '{ op: mask.fill, like: base, gaussian: { mean: $mean } }',
  ])('an editor accepts a param where the program, which has replaced them, does not: %s', (step) => {
    expect([accepts(inEditor, withStep(step)), accepts(inProgram, withStep(step))]).toEqual([true, false])
  })

  test('an editor accepts params in an output', () => {
    const text = `${HEAD}outputs: { out: { from: $from, path: "\${dir}/x", dtype: { default: $t, head: $t }, shard_size: $size, delta: $d, non_finite: $n } }\n`
    expect([accepts(inEditor, text), accepts(inProgram, text)]).toEqual([true, false])
  })

  test('an editor still refuses what is no param', () => {
    for (const word of ['half', '$2', '$', '"a $name"']) {
      expect(accepts(inEditor, withStep(`{ op: merge.dare, a: base, b: anime, drop: ${word} }`)), word).toBe(false)
    }
  })

  test('what the program accepts, an editor accepts', () => {
    const text = `${HEAD}name: n\ndescription: d\nseed: 3\nparams: { a: 1 }\nsteps:\n  x: { op: merge.ties, base: base, models: [anime], scope: model }\noutputs: { out: { from: x, path: o.safetensors, shard_size: 5GB } }\n`
    expect(parseText(text).type).toBe('ok')
    expect([accepts(inEditor, text), accepts(inProgram, text)]).toEqual([true, true])
  })
})

test('a recipe of 500 lines is parsed and checked with twice the work of half of it', async () => {
  const step = (i: number): string =>
    `  step${i}:\n    op: merge.dare\n    a: ${i === 0 ? 'base' : `step${i - 1}`}\n    b: anime\n    drop: 0.5\n    layers:\n      - "**.attn2"\n    keep:\n      default: 0.5\n      "block:in.${i % 12}": 0.25\n`
  const text = (steps: number): string =>
    `${HEAD}steps:\n${Array.from({ length: steps }, (_, i) => step(i)).join('')}outputs: { out: { from: step${steps - 1}, path: out.safetensors } }\n`
  expect(text(50).split('\n').length).toBeGreaterThan(500)
  const read = (steps: number) => () => expect(parseText(text(steps)).type).toBe('ok')
  expect(await growthOf(read(25), read(50))).toBeLessThan(2.5)
})
