import { describe, expect, test } from 'vitest'
import { readModelspec } from '#src/architectures/modelspec.js'
import { blake3, toDigest, type Digest } from '#src/base/digest.js'
import { foldHistory } from '#src/plan/merge-history.js'
import { parentsOf, provenance, usedFiles, type ParentModel, type ProvenanceOf } from '#src/plan/provenance.js'
import { parse } from '#src/recipe/parse.js'
import type { Recipe } from '#src/recipe/recipe.js'
import { layoutFile } from '#src/safetensors/layout.js'
import { readTable } from '../architectures/tables.js'

const digestOf = (text: string): Digest => toDigest(blake3(text))
const NONE = digestOf('')
const SHA = 'AB'.repeat(32)

const recipeOf = (more: object): Recipe => {
  const text = JSON.stringify({
    smelt: 1,
    name: 'Dream',
    models: { a: 'models/Paint.safetensors', b: 'models/Read.safetensors' },
    ...more,
  })
  const parsed = parse({ path: 'recipe.yaml', text })
  if (parsed.type === 'failed') throw new Error(parsed.diagnostics.map((d) => d.message).join('\n'))
  return parsed.value
}

const BLEND = recipeOf({
  steps: { x: { op: 'merge.blend', a: 'a', b: 'b', keep: 0.9 } },
  outputs: { out: { from: 'x', path: 'out.safetensors', dtype: 'f16' } },
})

type Told = Readonly<Record<string, Partial<ParentModel>>>
const tell = (recipe: Recipe, told: Told): readonly ParentModel[] =>
  parentsOf(recipe, recipe.outputs.get('out')!.from.name, () => ({ metadata: new Map() }), digestOf).map((parent) => ({
    ...parent,
    ...told[parent.name],
  }))

const of = (recipe: Recipe, told: Told = {}, more: Partial<ProvenanceOf> = {}): Readonly<Record<string, string>> =>
  provenance({
    recipe,
    output: recipe.outputs.get('out')!,
    kind: 'weights',
    tensors: readTable('sd15'),
    build: digestOf('build'),
    parents: tell(recipe, told),
    ...more,
  })

const json = (text: string | undefined): Record<string, Record<string, unknown>> =>
  JSON.parse(text ?? 'null') as Record<string, Record<string, unknown>>
const metadata = (fields: Readonly<Record<string, unknown>>): ReadonlyMap<string, string> =>
  new Map(
    Object.entries(fields).map(([key, value]) => [key, typeof value === 'string' ? value : JSON.stringify(value)]),
  )
const headerBytes = (fields: Readonly<Record<string, string>>): number => layoutFile([], fields).header.length

describe('ModelSpec', () => {
  test('is told of a checkpoint whose architecture is known', () => {
    const told = of(BLEND)
    expect(Object.fromEntries(Object.entries(told).filter(([key]) => key.startsWith('modelspec.')))).toEqual({
      'modelspec.sai_model_spec': '1.0.1',
      'modelspec.architecture': 'stable-diffusion-v1',
      'modelspec.implementation': 'https://github.com/Stability-AI/generative-models',
      'modelspec.resolution': '512x512',
      'modelspec.title': 'Dream',
      'modelspec.merged_from': 'Paint, Read',
    })
    expect(told['format']).toBe('pt')
  })

  test('knows no more than a title where the architecture is unknown', () => {
    const told = of(BLEND, {}, { tensors: new Map([['x', { shape: [2] }]]) })
    expect(Object.keys(told).filter((key) => key.startsWith('modelspec.'))).toEqual([
      'modelspec.merged_from',
      'modelspec.title',
    ])
  })

  test('takes from the first parent how the model is run, and nothing from the second', () => {
    const told = of(BLEND, {
      a: {
        metadata: metadata({
          'modelspec.title': 'Paint, the first',
          'modelspec.prediction_type': 'v',
          'modelspec.encoder_layer': '2',
          'modelspec.resolution': '768x768',
          'modelspec.license': 'X',
        }),
      },
      b: { metadata: metadata({ 'modelspec.prediction_type': 'epsilon', 'modelspec.timestep_range': '0,499' }) },
    })
    expect(told).toMatchObject({
      'modelspec.merged_from': 'Paint  the first, Read',
      'modelspec.prediction_type': 'v',
      'modelspec.encoder_layer': '2',
      'modelspec.resolution': '768x768',
    })
    expect(told).not.toHaveProperty('modelspec.timestep_range')
    expect(told).not.toHaveProperty('modelspec.license')
  })

  test('does not repeat a parent’s long or unreadable texts', () => {
    const told = of(BLEND, {
      a: {
        metadata: metadata({
          'modelspec.title': 'x'.repeat(257),
          'modelspec.prediction_type': 'v\nw',
          'modelspec.resolution': 'large',
        }),
      },
    })
    expect(told).toMatchObject({ 'modelspec.merged_from': 'Paint, Read', 'modelspec.resolution': '512x512' })
    expect(told).not.toHaveProperty('modelspec.prediction_type')
  })

  test('names outputs apart where a recipe writes several models', () => {
    const recipe = recipeOf({
      steps: { look: { op: 'report.model', model: 'a' } },
      outputs: {
        out: { from: 'a', path: 'out.safetensors' },
        other: { from: 'b', path: 'other.safetensors' },
        page: { from: 'look', path: 'look.txt' },
      },
    })
    expect(of(recipe)['modelspec.title']).toBe('Dream (out)')
    expect(of(BLEND)['modelspec.title']).toBe('Dream')
    expect(of(recipe)).not.toHaveProperty('modelspec.merged_from')
  })

  const CROSS = 'model.diffusion_model.input_blocks.4.1.transformer_blocks.0.attn2.to_k.weight'
  const tablesOf = {
    sd15: readTable('sd15'),
    sdxl: readTable('sdxl'),
    sd2: new Map(readTable('sd15')).set(CROSS, { shape: [640, 1024] }),
    llama: readTable('llama-2-7b'),
  } as const

  test.each([
    ['sd15', undefined, 'stable-diffusion-v1'],
    ['sd15', 'stable-diffusion-v1-inpainting', 'stable-diffusion-v1-inpainting'],
    ['sd15', 'flux-1-dev', 'stable-diffusion-v1'],
    ['sdxl', undefined, 'stable-diffusion-xl-v1-base'],
    ['sd2', undefined, undefined],
    ['sd2', 'stable-diffusion-v2-768-v', 'stable-diffusion-v2-768-v'],
    ['sd2', 'stable-diffusion-v1', undefined],
    ['llama', 'llama', undefined],
  ] as const)('%s of a parent that calls itself %s is %s', (table, claimed, id) => {
    expect(readModelspec(tablesOf[table], claimed)?.architecture).toBe(id)
  })

  test.each(['sd15', 'sdxl', 'flux-dev', 'sd3-medium'])('has an implementation and a resolution for %s', (table) => {
    expect(readModelspec(readTable(table), undefined)).toEqual({
      architecture: expect.any(String),
      implementation: expect.stringMatching(/^https:/),
      resolution: expect.stringMatching(/^\d+x\d+$/),
    })
  })

  test('an inpainting model is not called by the plain name', () => {
    const tensors = new Map(readTable('sd15')).set('model.diffusion_model.input_blocks.0.0.weight', {
      shape: [320, 9, 3, 3],
    })
    expect(
      ['stable-diffusion-v1', undefined, 'stable-diffusion-v1-inpainting'].map(
        (claimed) => readModelspec(tensors, claimed)?.architecture,
      ),
    ).toEqual([undefined, undefined, 'stable-diffusion-v1-inpainting'])
  })

  test('is not told of differences and masks, nor are they called merges', () => {
    for (const kind of ['delta', 'mask'] as const)
      expect(Object.keys(of(BLEND, {}, { kind }))).toEqual(['format', 'smelt.lock', 'smelt.recipe'])
  })
})

describe('the recipe for A1111 and its relatives', () => {
  test('says what is true, in their words', () => {
    const told = of(
      recipeOf({
        models: { a: { path: 'models/Paint.safetensors', sha256: SHA }, b: 'models/Read.safetensors' },
        steps: { x: { op: 'merge.blend', a: 'a', b: 'b', keep: 0.9 } },
        outputs: { out: { from: 'x', path: 'out.safetensors', dtype: 'f16' } },
      }),
    )
    expect(json(told['sd_merge_recipe'])).toEqual({
      type: 'smelt',
      primary_model_hash: SHA.toLowerCase(),
      secondary_model_hash: digestOf('b'),
      interp_method: 'merge.blend',
      multiplier: 0.1,
      save_as_half: true,
      custom_name: 'Dream',
    })
    expect(json(told['sd_merge_models'])).toEqual({
      [SHA.toLowerCase()]: { name: 'Paint.safetensors', legacy_hash: null, sd_merge_recipe: null },
      [digestOf('b')]: { name: 'Read.safetensors', legacy_hash: null, sd_merge_recipe: null },
    })
  })

  test.each([
    ['the strength of a difference', { op: 'merge.add_difference', a: 'a', b: 'b', c: 'a', strength: 0.7 }, 0.7],
    ['a default', { op: 'merge.blend', a: 'a', b: 'b' }, 0.5],
    ['nothing where numbers differ by layer', { op: 'merge.blend', a: 'a', b: 'b', keep: { '**': 0.2 } }, undefined],
    ['nothing where there is no such number', { op: 'merge.linear', models: { a: 1, b: 2 } }, undefined],
  ])('gives as multiplier %s', (_, step, multiplier) => {
    const told = of(recipeOf({ steps: { x: step }, outputs: { out: { from: 'x', path: 'out.safetensors' } } }))
    expect(json(told['sd_merge_recipe'])['multiplier']).toBe(multiplier)
    expect(json(told['sd_merge_recipe'])).not.toHaveProperty('save_as_half')
  })

  test('names only files that the output is made of, also through masks, weights and results of a step', () => {
    const recipe = recipeOf({
      models: { a: 'a', b: 'b', c: 'c', d: 'd', e: 'e' },
      adapters: { lora: 'lora.safetensors', other: 'other.safetensors' },
      steps: {
        deal: { op: 'mask.partition', like: 'd', parts: 2 },
        baked: { op: 'adapter.apply', model: 'b', adapter: 'lora' },
        x: { op: 'merge.blend', a: 'a', b: 'baked', mask: 'deal.2' },
        y: { op: 'merge.blend', a: 'c', b: 'x' },
      },
      outputs: {
        out: { from: 'x', path: 'out.safetensors' },
        y: { from: 'y', path: 'y.safetensors' },
        b: { from: 'b', path: 'b.safetensors' },
      },
    })
    expect(usedFiles(recipe, 'x')).toEqual(['a', 'b', 'lora', 'd'])
    expect(usedFiles(recipe, 'y')).toEqual(['c', 'a', 'b', 'lora', 'd'])
    expect(usedFiles(recipe, 'b')).toEqual(['b'])
    const told = of(recipe)
    expect(told['modelspec.merged_from']).toBe('a, b, lora, d')
    expect(json(told['sd_merge_recipe'])).toMatchObject({
      primary_model_hash: digestOf('a'),
      secondary_model_hash: digestOf('b'),
      tertiary_model_hash: digestOf('d'),
    })
  })

  test('publishes names of files, and no folders', () => {
    const told = of(BLEND, { a: { label: '/secret/Paint.safetensors' }, b: { label: '..\\me\\Read.safetensors' } })
    expect(told['sd_merge_models']).not.toMatch(/secret|me\\/)
    expect(
      Object.values(json(told['sd_merge_models']))
        .map((m) => m['name'])
        .sort(),
    ).toEqual(['Paint.safetensors', 'Read.safetensors'])
  })
})

describe('the history of the parents', () => {
  const older = { type: 'webui', primary_model_hash: 'p1', multiplier: 0.3 }
  const webui = metadata({
    sd_merge_recipe: older,
    sd_merge_models: { p1: { name: 'old', legacy_hash: '01234567', sd_merge_recipe: null } },
  })

  test('is folded in', () => {
    const models = json(of(BLEND, { b: { metadata: webui } })['sd_merge_models'])
    expect(models[digestOf('b')]).toEqual({ name: 'Read.safetensors', legacy_hash: null, sd_merge_recipe: older })
    expect(models['p1']).toEqual({ name: 'old', legacy_hash: '01234567', sd_merge_recipe: null })
    expect(Object.keys(models)).toEqual([digestOf('a'), digestOf('b'), 'p1'].sort())
  })

  test('is passed on by a merge of a merge', () => {
    const first = of(BLEND, { b: { metadata: webui } })
    const second = json(
      of(BLEND, { a: { metadata: new Map(Object.entries(first)), digest: digestOf('first') } })['sd_merge_models'],
    )
    expect(Object.keys(second)).toEqual([digestOf('a'), digestOf('b'), digestOf('first'), 'p1'].sort())
    expect(second[digestOf('first')]!['sd_merge_recipe']).toEqual(json(first['sd_merge_recipe']))
  })

  const deep = `${'{"x":'.repeat(50_000)}1${'}'.repeat(50_000)}`
  test.each([
    ['no JSON', { sd_merge_recipe: '{', sd_merge_models: 'nonsense' }, { malformed: 2, too_large: 0 }],
    ['lists and numbers', { sd_merge_recipe: '[1]', sd_merge_models: '7' }, { malformed: 2, too_large: 0 }],
    [
      'depth without end',
      { sd_merge_recipe: deep, sd_merge_models: `{"k":{"name":"n","sd_merge_recipe":${deep}}}` },
      { malformed: 2, too_large: 0 },
    ],
    [
      'size without end',
      { sd_merge_recipe: `{"x":"${'y'.repeat(1_100_000)}"}`, sd_merge_models: ' '.repeat(5_000_000) },
      { malformed: 0, too_large: 2 },
    ],
    [
      'entries that are none',
      { sd_merge_models: { a: 1, b: null, c: {}, d: { name: 4 } } },
      { malformed: 4, too_large: 0 },
    ],
    [
      'the prototype as a key',
      { sd_merge_models: '{"__proto__":{"name":"evil","polluted":1},"constructor":{"name":"fine"}}' },
      { malformed: 1, too_large: 0 },
    ],
  ])('does no harm when it is %s', (_, fields, leftOut) => {
    const told = of(BLEND, { b: { metadata: metadata(fields) } })
    expect(json(told['smelt.history_left_out'])).toEqual(leftOut)
    expect(json(told['sd_merge_models'])[digestOf('b')]).toMatchObject({
      name: 'Read.safetensors',
      sd_merge_recipe: null,
    })
    expect(told['sd_merge_models']).not.toContain('__proto__')
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined()
  })

  test('drops a prototype deep inside a recipe', () => {
    const told = of(BLEND, {
      b: { metadata: metadata({ sd_merge_recipe: '{"type":"x","list":[{"__proto__":{"y":1},"z":2}]}' }) },
    })
    expect(json(told['sd_merge_models'])[digestOf('b')]!['sd_merge_recipe']).toEqual({ type: 'x', list: [{ z: 2 }] })
  })

  test('keeps the youngest of what does not fit, whatever the names sort like', () => {
    // z9 is the parent's parent, z8 its parent, and so on: names sort the other way round than ages.
    const entry = (i: number): [string, object] => [
      `z${i}`,
      { name: 'n'.repeat(40), sd_merge_recipe: i === 0 ? null : { primary_model_hash: `z${i - 1}` } },
    ]
    const parent = metadata({
      sd_merge_recipe: { primary_model_hash: 'z9' },
      sd_merge_models: Object.fromEntries(Array.from({ length: 10 }, (_, i) => entry(i))),
    })
    const whole = foldHistory([parent])
    expect([...whole.models.keys()]).toEqual([9, 8, 7, 6, 5, 4, 3, 2, 1, 0].map((i) => `z${i}`))
    const cut = foldHistory([parent], 450)
    expect([...cut.models.keys()]).toEqual(['z9', 'z8', 'z7', 'z6'])
    expect(cut).toMatchObject({ tooLarge: 6, malformed: 0, recipes: ['{"primary_model_hash":"z9"}'] })
  })
})

describe('what the recipe says itself', () => {
  const parsed = recipeOf({
    params: { q: 2, p: 'x' },
    outputs: {
      out: {
        from: 'a',
        path: 'out.safetensors',
        metadata: { format: 'other', 'modelspec.title': 'Mine', author: 'me' },
      },
    },
  })
  const out = parsed.outputs.get('out')!
  // A recipe from a text cannot say this; one made in code can.
  const withOwn: Recipe = {
    ...parsed,
    outputs: new Map([['out', { ...out, metadata: { ...out.metadata, 'smelt.lock': 'forged', 'smelt.extra': 'x' } }]]),
  }

  test('is refused where it uses smelt’s own names', () => {
    for (const name of ['smelt.lock', 'smelt.extra', 'smelt.']) {
      const text = JSON.stringify({
        smelt: 1,
        models: { a: 'a.safetensors' },
        outputs: { out: { from: 'a', path: 'out.safetensors', metadata: { [name]: 'x' } } },
      })
      expect(parse({ path: 'recipe.yaml', text }).diagnostics.map((d) => [d.severity, d.message])).toEqual([
        ['error', `the key \`${name}\` is not a name of yours: those that begin with \`smelt.\` are smelt’s own`],
      ])
    }
  })

  test('wins over everything but smelt’s own entries', () => {
    const told = of(withOwn)
    expect(told).toMatchObject({
      format: 'other',
      'modelspec.title': 'Mine',
      author: 'me',
      'smelt.lock': digestOf('build'),
      'smelt.params': '{"p":"x","q":2}',
      'smelt.recipe': withOwn.source.text,
    })
    expect(told).not.toHaveProperty('smelt.extra')
  })

  test('comes in sorted order, and all of it is text', () => {
    const told = of(withOwn)
    expect(Object.keys(told)).toEqual(Object.keys(told).sort())
    expect(Object.values(told).every((text) => typeof text === 'string')).toBe(true)
  })
})

describe('the length of the header', () => {
  const three = recipeOf({
    models: { a: 'a.safetensors', b: 'b.safetensors', c: 'c "é".safetensors' },
    steps: { x: { op: 'merge.linear', models: ['a', 'b', 'c'] } },
    outputs: { out: { from: 'x', path: 'out.safetensors' } },
  })
  const past = (key: string) =>
    metadata({ sd_merge_models: { [key]: { name: 'Ünïcode "quoted" \\ and \u{1f600}' }, k: { name: 'k' } } })

  test('is the same whichever digests are equal, to each other or to one of the past', () => {
    const told = (digests: readonly [Digest, Digest, Digest]): Readonly<Record<string, string>> =>
      of(three, {
        a: { digest: digests[0], metadata: past(digestOf('old')) },
        b: { digest: digests[1], metadata: past(digestOf('older')) },
        c: { digest: digests[2] },
      })
    const placeholder = told([NONE, NONE, NONE])
    const cases: readonly (readonly [Digest, Digest, Digest])[] = [
      [digestOf('a'), digestOf('b'), digestOf('c')],
      [digestOf('a'), digestOf('a'), digestOf('c')],
      [digestOf('old'), digestOf('b'), digestOf('older')],
      [digestOf('older'), digestOf('older'), digestOf('older')],
    ]
    for (const digests of cases) {
      const real = told(digests)
      expect(headerBytes(real)).toBe(headerBytes(placeholder))
      const models = json(real['sd_merge_models'])
      expect(Object.keys(models).sort()).toEqual(
        [...new Set([...digests, digestOf('old'), digestOf('older'), 'k'])].sort(),
      )
      // A parent of today stands before what others told of it.
      expect(models[digests[0]]).toMatchObject({ name: 'a.safetensors' })
    }
    expect(headerBytes(of(three, {}, { build: NONE }))).toBe(headerBytes(of(three, {}, { build: digestOf('other') })))
  })

  test('and the text are the same every time', () => {
    const twice = [0, 1].map(() => of(three, { a: { metadata: past('x') } }))
    expect(twice[0]).toEqual(twice[1])
  })
})
