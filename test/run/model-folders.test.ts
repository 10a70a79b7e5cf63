import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { describe, expect, test } from 'vitest'
import { reasonsOf } from '#src/plan/reasons.js'
import { planNow } from '#src/run/plan-now.js'
import { verify } from '#src/run/verify.js'
import type { Lock } from '#src/store/lock.js'
import { readTensors } from '../support/build-run.js'
import { inlineWorker } from '../support/inline-worker.js'
import type { TensorValues } from '../support/write-safetensors.js'
import { codesOf } from './support.js'
import { withBuildFixture, type BuildFixture } from './build-fixture.js'

const OUT = 'build/merged'
const CONFIG = `{
  "architectures": ["LlamaForCausalLM"],
  "num_hidden_layers": 2,
  "rms_norm_eps": 1e-05,
  "rope_theta": 10000.0,
  "torch_dtype": "float32"
}
`
const SIDES: Readonly<Record<string, string>> = {
  'config.json': CONFIG,
  'generation_config.json': '{"eos_token_id": 2}',
  'tokenizer.json': '{"version": "1.0"}',
  'tokenizer_config.json': '{"model_max_length": 1000000000000000019884624838656}',
  'chat_template.jinja': '{{ messages }}',
  LICENSE: 'as is',
  'training_args.bin': 'not for copies',
  'README.md': '---\nlicense: apache-2.0\n---\n# A\n',
}

const llama = (layers: number, head = true): Readonly<Record<string, TensorValues>> => {
  const tensor = (shape: readonly number[], values: number): TensorValues => ({ dtype: 'F32', shape, values })
  return {
    'model.embed_tokens.weight': tensor([8, 4], 1),
    'model.norm.weight': tensor([4], 2),
    ...(head ? { 'lm_head.weight': tensor([8, 4], 3) } : {}),
    ...Object.fromEntries(
      Array.from({ length: layers }, (_, i) => [
        [`model.layers.${i}.self_attn.q_proj.weight`, tensor([4, 4], i)],
        [`model.layers.${i}.mlp.up_proj.weight`, tensor([4, 4], i / 2)],
      ]).flat(),
    ),
  }
}

const put = (shop: BuildFixture, name: string, text: string): void => {
  mkdirSync(dirname(shop.at(name)), { recursive: true })
  writeFileSync(shop.at(name), text)
}

const withModels = (work: (shop: BuildFixture) => Promise<void>, sides = SIDES): Promise<void> =>
  withBuildFixture(async (shop) => {
    for (const name of ['a', 'b']) {
      for (const [side, text] of Object.entries(sides))
        put(shop, `models/org/${name}/${side}`, text.replace('# A', `# ${name}`))
      mkdirSync(shop.at(`models/org/${name}`), { recursive: true })
      await shop.model(`models/org/${name}/model.safetensors`, 0, llama(2))
    }
    await work(shop)
  })

const models = { a: 'models/org/a', b: 'models/org/b' }
const recipe = (output: object = {}, step: object = { op: 'merge.blend', a: 'a', b: 'b' }): object => ({
  name: 'ours',
  models,
  steps: { merged: step },
  outputs: { o: { from: 'merged', path: `${OUT}/`, ...output } },
})
const namesIn = (shop: BuildFixture): readonly string[] => readdirSync(shop.at(OUT)).sort()
const textOf = (shop: BuildFixture, name: string): string => readFileSync(shop.at(`${OUT}/${name}`), 'utf8')
const COPIED = ['LICENSE', 'chat_template.jinja', 'generation_config.json', 'tokenizer.json', 'tokenizer_config.json']
const ALL = ['LICENSE', 'README.md', 'chat_template.jinja', 'config.json', 'generation_config.json']

describe('an output whose path ends in a slash', () => {
  test('is a folder with the model and the side files of the first model', () =>
    withModels(async (shop) => {
      expect((await shop.build(recipe())).codes).toEqual([])
      expect(namesIn(shop)).toEqual([...ALL, 'model.safetensors', 'tokenizer.json', 'tokenizer_config.json'])
      for (const name of COPIED) expect(textOf(shop, name)).toBe(SIDES[name])
      expect(textOf(shop, 'config.json')).toBe(CONFIG)
      expect(Object.keys(await readTensors(shop.at(OUT)))).toEqual(
        Object.keys(await readTensors(shop.at('models/org/a'))),
      )
      const lock = JSON.parse(shop.read('recipe.lock.json').toString()) as Lock
      expect(Object.keys(lock.builds[0]!.outputs['o']!.sides!)).toEqual([
        ...ALL,
        'tokenizer.json',
        'tokenizer_config.json',
      ])
    }))

  test('has shards with their index where it is split', () =>
    withModels(async (shop) => {
      await shop.build(recipe({ shard_size: '200B' }))
      const names = namesIn(shop)
      expect(names).toContain('model.safetensors.index.json')
      expect(names.filter((name) => /^model-\d{5}-of-\d{5}\.safetensors$/.test(name)).length).toBeGreaterThan(2)
      expect(Object.keys(await readTensors(shop.at(OUT))).length).toBe(7)
    }))

  test('takes its files from the model that `files` names', () =>
    withModels(async (shop) => {
      put(shop, 'models/org/b/tokenizer.json', 'of b')
      await shop.build(recipe({ files: 'b' }))
      expect(textOf(shop, 'tokenizer.json')).toBe('of b')
    }))

  test('is left alone by a second build, and written again once a side file changed', () =>
    withModels(async (shop) => {
      await shop.build(recipe())
      const again = await shop.build(recipe())
      expect(again.result).toMatchObject({ value: { writtenBytes: 0, outputs: [{ kept: true }] } })
      put(shop, 'models/org/a/tokenizer.json', 'new')
      const changed = await shop.build(recipe())
      expect(changed.codes).toEqual([])
      expect(changed.started).toMatchObject({ reused: 7 })
      expect(textOf(shop, 'tokenizer.json')).toBe('new')
      rmSync(shop.at(`${OUT}/tokenizer.json`))
      await shop.build(recipe())
      expect(textOf(shop, 'tokenizer.json')).toBe('new')
    }))

  test('is refused by a frozen build, and by `verify`, once a side file differs from the lock', () =>
    withModels(async (shop) => {
      await shop.build(recipe())
      const check = () => verify(shop.at('recipe.yaml'), { workers: 1, device: 'cpu', start: inlineWorker })
      expect((await check()).type).toBe('ok')
      put(shop, 'models/org/a/tokenizer.json', 'new')
      const frozen = await shop.build(recipe(), { frozen: true })
      expect(frozen.result.diagnostics.map((d) => d.message)).toEqual([
        'the lock does not match: `tokenizer.json` of input `models/org/a` changed',
      ])
      expect(textOf(shop, 'tokenizer.json')).toBe(SIDES['tokenizer.json'])
      put(shop, `${OUT}/LICENSE`, 'other')
      put(shop, 'models/org/b/vocab.json', '{}')
      expect((await check()).diagnostics.map((d) => d.message)).toEqual([
        'models/org/a does not match the lock: `tokenizer.json` of input `models/org/a` changed',
        'models/org/b does not match the lock: `vocab.json` of input `models/org/b` is new',
        `${OUT}/ does not match the lock: \`LICENSE\` of output \`${OUT}/\` changed`,
      ])
      const planned = await planNow(shop.at('recipe.yaml'), { reading: 'always' })
      if (planned.type === 'failed') throw new Error(codesOf(planned).join())
      const { plan, lock } = planned.value
      expect(reasonsOf(plan, lock)(plan.steps[0]!)).toMatchObject([
        { type: 'input-facts', path: 'models/org/a', changes: [{ fact: 'sides.tokenizer.json' }] },
        { type: 'input-facts', path: 'models/org/b', changes: [{ fact: 'sides.vocab.json' }] },
      ])
    }))

  test('with a lock of version 2, which tells nothing of files beside models, builds as before', () =>
    withModels(async (shop) => {
      await shop.build(recipe())
      const lock = JSON.parse(readFileSync(shop.at('recipe.lock.json'), 'utf8')) as Lock
      expect(Object.keys(lock.inputs['models/org/b']!.sides!)).toContain('tokenizer.json')
      const { inputs } = JSON.parse(JSON.stringify(lock)) as { inputs: Record<string, { sides?: object }> }
      for (const input of Object.values(inputs)) delete input.sides
      put(shop, 'recipe.lock.json', JSON.stringify({ ...lock, lock: 2, inputs }))
      const check = () => verify(shop.at('recipe.yaml'), { workers: 1, device: 'cpu', start: inlineWorker })
      expect((await check()).diagnostics).toEqual([])
      expect((await shop.build(recipe())).codes).toEqual([])
      expect(JSON.parse(readFileSync(shop.at('recipe.lock.json'), 'utf8'))).toEqual(lock)
    }))

  test('tells of what an earlier build left in it', () =>
    withModels(async (shop) => {
      put(shop, 'models/org/a/vocab.json', '{}')
      await shop.build(recipe())
      const { codes, result } = await shop.build(recipe({ files: 'b', shard_size: '200B' }))
      expect(codes).toEqual(['shards-left', 'sides-left'])
      expect(result.diagnostics.map((d) => d.message)).toEqual([
        `${OUT}/ has files of an earlier build, with other shards, beside it: \`model.safetensors\``,
        `${OUT}/ also has files that are not of this build: \`vocab.json\``,
      ])
    }))

  test('gives the same bytes in another place', () =>
    withModels(async (shop) => {
      const files = [...ALL, 'model.safetensors'].map((name) => `${OUT}/${name}`)
      await shop.build(recipe())
      expect(shop.read(...files)).toEqual(await shop.fresh(recipe(), files))
    }))

  test('a failing build leaves nothing of it, and no old file changed', () =>
    withModels(async (shop) => {
      await shop.build(recipe())
      const before = shop.read(`${OUT}/config.json`, `${OUT}/model.safetensors`, `${OUT}/README.md`)
      const failing = recipe({ dtype: 'f16' }, { op: 'model.scale', model: 'a', factor: 1e38 })
      expect((await shop.build(failing)).codes).toContain('non-finite')
      expect(shop.read(`${OUT}/config.json`, `${OUT}/model.safetensors`, `${OUT}/README.md`)).toEqual(before)
      expect(namesIn(shop).filter((name) => name.startsWith('.'))).toEqual([])
    }))
})

describe('config.json', () => {
  test('has the number of layers and the dtype that are written, and is otherwise as it was', () =>
    withModels(async (shop) => {
      await shop.build(recipe({ dtype: 'bf16' }, { op: 'model.stack', slices: ['a', { model: 'b', layers: [0, 1] }] }))
      expect(textOf(shop, 'config.json')).toBe(
        CONFIG.replace('"num_hidden_layers": 2', '"num_hidden_layers": 3').replace('float32', 'bfloat16'),
      )
    }))

  test.each([
    ['{ "dtype": "float32" }', '{ "dtype": "bfloat16" }'],
    ['{}', '{\n  "torch_dtype": "bfloat16"\n}'],
    ['{"n_layer": 2, "torch_dtype": "bfloat16"}', '{"n_layer": 4, "torch_dtype": "bfloat16"}'],
    [
      '{"text_config": {"num_hidden_layers": 2, "dtype": "float32", "layer_types": ["full", "full"]}}',
      '{"text_config": {"num_hidden_layers": 4, "dtype": "bfloat16", "layer_types": ["full","full","full","full"]}}',
    ],
    // A file may have layers that its config does not count.
    ['{"num_hidden_layers": 1, "dtype": "bfloat16"}', '{"num_hidden_layers": 3, "dtype": "bfloat16"}'],
  ])('%s of stacked layers becomes %s', (before, after) =>
    withModels(
      async (shop) => {
        expect((await shop.build(recipe({ dtype: 'bf16' }, { op: 'model.stack', slices: ['a', 'b'] }))).codes).toEqual(
          [],
        )
        expect(textOf(shop, 'config.json')).toBe(after)
      },
      { 'config.json': before },
    ),
  )

  test('says whether the output head is tied', () =>
    withModels(async (shop) => {
      put(shop, 'models/org/a/config.json', '{"torch_dtype": "float32", "tie_word_embeddings": false}')
      await shop.build(recipe({}, { op: 'model.select', model: 'a', layers: ['**', '!lm_head'] }))
      expect(textOf(shop, 'config.json')).toBe('{"torch_dtype": "float32", "tie_word_embeddings": true}')
    }))

  test.each([
    ['{"quantization_config": {"quant_method": "fp8"}, "torch_dtype": "bfloat16"}', '{ "torch_dtype": "bfloat16"}'],
    ['{"torch_dtype": "bfloat16", "quantization_config": {}}', '{"torch_dtype": "bfloat16"}'],
  ])('%s of a model that is written without scales becomes %s', (before, after) =>
    withModels(
      async (shop) => {
        const scaled = {
          'model.layers.0.mlp.up_proj.weight': { dtype: 'F8_E4M3', shape: [4, 4], values: 1 },
          'model.layers.0.mlp.up_proj.weight_scale': { dtype: 'F32', shape: [], values: [0.5] },
        } as const
        for (const name of ['a', 'b']) await shop.model(`models/org/${name}/model.safetensors`, 0, scaled)
        expect((await shop.build(recipe({ dtype: 'bf16' }))).codes).toEqual([])
        expect(textOf(shop, 'config.json')).toBe(after)
        await shop.build(recipe({ dtype: 'f8_e4m3_scaled' }))
        expect(textOf(shop, 'config.json')).toBe(before)
      },
      { 'config.json': before },
    ),
  )

  test.each([
    ['as its list says', '"layer_types": ["full", "sliding"]', '"layer_types": ["sliding","full","sliding"]'],
    // Of these networks, the number decides where there is no list.
    [
      'of Gemma 2',
      '"model_type": "gemma2"',
      '"model_type": "gemma2"',
      '["full_attention","sliding_attention","full_attention"]',
    ],
    [
      'of Qwen2',
      '"model_type": "qwen2", "use_sliding_window": true, "max_window_layers": 1',
      '"model_type": "qwen2", "use_sliding_window": true, "max_window_layers": 1',
      '["sliding_attention","full_attention","sliding_attention"]',
    ],
    ['where all are alike', '"model_type": "llama"', '"model_type": "llama"'],
  ])('keeps the kind of attention of each stacked layer: %s', (_name, before, after, added = undefined) =>
    withModels(
      async (shop) => {
        const slices = [{ model: 'a', layers: [1, 2] }, 'b']
        expect((await shop.build(recipe({}, { op: 'model.stack', slices }))).codes).toEqual([])
        const front = added === undefined ? '' : `\n  "layer_types": ${added},`
        expect(textOf(shop, 'config.json')).toBe(`{${front}"num_hidden_layers": 3, "dtype": "float32", ${after}}`)
      },
      { 'config.json': `{"num_hidden_layers": 2, "dtype": "float32", ${before}}` },
    ),
  )

  test('keeps the kinds of stacked layers in the steps behind, and of stacks of stacks', () =>
    withModels(
      async (shop) => {
        const steps = {
          one: { op: 'model.stack', slices: [{ model: 'a', layers: [1, 2] }, 'b'] },
          two: { op: 'model.stack', slices: [{ model: 'one', layers: [0, 2] }] },
          merged: { op: 'merge.blend', a: 'two', b: 'b' },
        }
        expect((await shop.build({ ...recipe(), steps })).codes).toEqual([])
        expect(textOf(shop, 'config.json')).toContain('["sliding","full"]')
      },
      { 'config.json': '{"num_hidden_layers": 2, "dtype": "float32", "layer_types": ["full", "sliding"]}' },
    ))

  test('warns of kinds of layers that it cannot bring to another number', () =>
    withModels(
      async (shop) => {
        const { codes } = await shop.build(
          recipe({}, { op: 'model.select', model: 'a', layers: ['**', '!model.layers.1'] }),
        )
        expect(codes).toEqual(['layer-types-left'])
      },
      { 'config.json': '{"num_hidden_layers": 2, "dtype": "float32", "layer_types": ["full", "sliding"]}' },
    ))

  test('that is missing is a warning, and nothing else of that folder is copied', () =>
    withModels(
      async (shop) => {
        expect((await shop.build(recipe())).codes).toEqual(['no-model-config'])
        expect(namesIn(shop)).toEqual(['README.md', 'model.safetensors'])
        expect(textOf(shop, 'README.md')).not.toContain('library_name')
      },
      { 'tokenizer.json': '{}' },
    ))

  test('of another network is refused', () =>
    withModels(
      async (shop) => {
        expect((await shop.build(recipe())).codes).toEqual(['config-unlike-model'])
        expect(existsSync(shop.at(OUT))).toBe(false)
      },
      { 'config.json': '{"model_type": "gpt2"}' },
    ))

  test('that is no JSON object is refused', () =>
    withModels(
      async (shop) => {
        expect((await shop.build(recipe())).codes).toEqual(['config-invalid'])
        expect(existsSync(shop.at(OUT))).toBe(false)
      },
      { 'config.json': '[]' },
    ))
})

describe('the model card', () => {
  test('names the models, their licence, the steps and the recipe', () =>
    withModels(async (shop) => {
      await shop.build(recipe())
      const text = JSON.stringify({ smelt: 1, ...recipe() })
      expect(textOf(shop, 'README.md')).toBe(`---
base_model:
- org/a
- org/b
library_name: transformers
license: apache-2.0
tags:
- merge
- smelt
---

# ours

This model was merged with smelt from the models below. The recipe at the end rebuilds it.

## Models

| name | model |
| --- | --- |
| \`a\` | org/a |
| \`b\` | org/b |

## Steps

| step | operator | from |
| --- | --- | --- |
| \`merged\` | \`merge.blend\` | \`a\`, \`b\` |

## Recipe

\`\`\`yaml
${text}
\`\`\`
`)
    }))

  test.each([
    ['other', '---\nlicense: mit\n---\n', ['licences-differ']],
    ['no', '# without front matter\n', []],
  ])('names none where another model has %s licence', (_, card, codes) =>
    withModels(async (shop) => {
      put(shop, 'models/org/b/README.md', card)
      expect((await shop.build(recipe())).codes).toEqual(codes)
      expect(textOf(shop, 'README.md')).not.toContain('license:')
    }),
  )
})

describe('files of others are not replaced', () => {
  test.each(['README.md', 'config.json'])('a %s that smelt did not write stops the build', (name) =>
    withModels(async (shop) => {
      put(shop, `${OUT}/${name}`, 'mine')
      const refused = await shop.build(recipe())
      expect([refused.codes, refused.started]).toEqual([['foreign-file'], undefined])
      expect([textOf(shop, name), namesIn(shop)]).toEqual(['mine', [name]])
    }),
  )

  test('nor one that was edited since', () =>
    withModels(async (shop) => {
      await shop.build(recipe())
      put(shop, `${OUT}/README.md`, 'my own words')
      expect((await shop.build(recipe())).codes).toEqual(['foreign-file'])
      expect(textOf(shop, 'README.md')).toBe('my own words')
    }))

  test('what an earlier build wrote is replaced, with the lock or the cache to tell', () =>
    withModels(async (shop) => {
      await shop.build(recipe())
      const other = recipe({}, { op: 'merge.blend', a: 'a', b: 'b', keep: 0.25 })
      expect((await shop.build(other, { lock: false })).codes).toEqual([])
      rmSync(shop.storeFolder, { recursive: true })
      await shop.build(other)
      rmSync(shop.storeFolder, { recursive: true })
      expect((await shop.build(recipe())).codes).toEqual([])
      expect(textOf(shop, 'README.md')).not.toContain('0.25')
    }))

  test('an input’s own folder is refused', () =>
    withModels(async (shop) => {
      expect((await shop.build(recipe({ path: 'models/org/b/' }))).codes).toEqual(['output-is-input'])
    }))
})

describe('mistakes', () => {
  test.each([
    [recipe({ path: 'out.safetensors', files: 'a' }), ['files-without-folder']],
    [recipe({ files: 'merged' }), ['files-of-step']],
    [recipe({ files: 'c' }), ['unknown-name']],
    [recipe({ delta: true }, { op: 'model.subtract', a: 'a', b: 'b' }), ['folder-of-other']],
    [recipe({ path: './' }), ['output-names-folder']],
    [recipe({}, { op: 'mask.compare', a: 'a', b: 'b', base: 'a' }), ['output-names-folder']],
  ])('%j', (wrong, codes) =>
    withModels(async (shop) => {
      expect((await shop.build(wrong)).codes).toEqual(codes)
    }),
  )
})
