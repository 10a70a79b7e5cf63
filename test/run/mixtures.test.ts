import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { describe, expect, test } from 'vitest'
import { readTensors } from '../support/build-run.js'
import { toTokenizerJson } from '../support/tokenizers.js'
import type { TensorValues } from '../support/write-safetensors.js'
import { withBuildFixture, type BuildFixture } from './build-fixture.js'

const tensor = (shape: readonly number[], values: readonly number[] | number): TensorValues => ({
  dtype: 'F32',
  shape,
  values,
})

/** A dense model of one layer; of its MLP all numbers are `value`. */
const dense = (value: number): Readonly<Record<string, TensorValues>> => ({
  'model.embed_tokens.weight': tensor([4, 2], [0, 0, 3, 4, 0, 5, 5, 0]),
  'model.layers.0.self_attn.q_proj.weight': tensor([2, 2], 7),
  'model.layers.0.mlp.gate_proj.weight': tensor([3, 2], value),
  'model.layers.0.mlp.up_proj.weight': tensor([3, 2], 10 * value),
  'model.layers.0.mlp.down_proj.weight': tensor([2, 3], 100 * value),
  'lm_head.weight': tensor([4, 2], 9),
})

const LLAMA = `{
  "architectures": ["LlamaForCausalLM"],
  "model_type": "llama",
  "num_attention_heads": 1,
  "num_hidden_layers": 1,
  "rms_norm_eps": 1e-05,
  "torch_dtype": "float32"
}
`

const put = (shop: BuildFixture, name: string, text: string): void => {
  mkdirSync(dirname(shop.at(name)), { recursive: true })
  writeFileSync(shop.at(name), text)
}

const withModels = (work: (shop: BuildFixture) => Promise<void>, config = LLAMA): Promise<void> =>
  withBuildFixture(async (shop) => {
    for (const [name, value] of [
      ['a', 1],
      ['b', 2],
      ['c', 3],
    ] as const) {
      put(shop, `${name}/config.json`, config)
      await shop.model(`${name}/model.safetensors`, 0, dense(value))
    }
    await work(shop)
  })

const recipe = (step: object, output: object = {}): object => ({
  models: { a: 'a', b: 'b', c: 'c' },
  steps: { m: { op: 'model.moe', base: 'a', experts: ['b', 'c'], ...step } },
  outputs: { o: { from: 'm', path: 'out/', ...output } },
})
const configOf = (shop: BuildFixture): unknown => JSON.parse(readFileSync(shop.at('out/config.json'), 'utf8'))
const GATE = 'model.layers.0.block_sparse_moe.gate.weight'

describe('the folder of a mixture', () => {
  test('has the tensors of the base and of each expert, and routers', () =>
    withModels(async (shop) => {
      const experts = [
        { model: 'b', positive: [[1], [1, 1]], negative: [[3]] },
        { model: 'c', positive: [[2]], residual_scale: 0.5 },
      ]
      expect((await shop.build(recipe({ experts, gates: 'cheap_embed' }))).codes).toEqual([])
      const made = await readTensors(shop.at('out'))
      const expert = (name: string) => made[`model.layers.0.block_sparse_moe.experts.${name}.weight`]!.values
      expect(['0.w1', '0.w3', '0.w2', '1.w1', '1.w3', '1.w2'].map((name) => expert(name)[0])).toEqual([
        2, 20, 200, 3, 30, 150,
      ])
      expect(made['lm_head.weight']!.values[0]).toBe(9)
      // The first: [0.6, 0.8] less [1, 0], of length 1.
      const length = Math.hypot(0.4, 0.8)
      expect(made[GATE]!.values).toEqual([-0.4 / length, 0.8 / length, 0, 1].map((x) => expect.closeTo(x, 6)))
    }))

  test('has a config of the layout, which says what the type of the base has by default', () =>
    withModels(async (shop) => {
      await shop.build(recipe({ experts_per_token: 1 }))
      expect(configOf(shop)).toEqual({
        architectures: ['MixtralForCausalLM'],
        model_type: 'mixtral',
        num_attention_heads: 1,
        // Mixtral’s own defaults are 8 and a million.
        num_key_value_heads: 1,
        rope_theta: 10_000,
        max_position_embeddings: 2048,
        rms_norm_eps: 1e-5,
        vocab_size: 32_000,
        hidden_act: 'silu',
        initializer_range: 0.02,
        bos_token_id: 1,
        eos_token_id: 2,
        tie_word_embeddings: false,
        num_hidden_layers: 1,
        num_local_experts: 2,
        num_experts_per_tok: 1,
        output_router_logits: false,
        router_aux_loss_coef: 0.001,
        sliding_window: null,
        torch_dtype: 'float32',
      })
    }))

  test('keeps `rope_parameters` as they are', () =>
    withModels(
      async (shop) => {
        await shop.build(recipe({}))
        expect(configOf(shop)).not.toHaveProperty('rope_theta')
      },
      LLAMA.replace('"torch_dtype"', '"rope_parameters": {"rope_theta": 5e5}, "torch_dtype"'),
    ))

  test('has the config still after the mixture was merged, and not once it is another model', () =>
    withModels(async (shop) => {
      const { models, steps } = recipe({}) as { models: object; steps: object }
      const other = { op: 'model.moe', base: 'a', experts: ['c', 'b'] }
      const merged = { op: 'merge.blend', a: 'm', b: 'n', keep: 0.25 }
      const bare = { op: 'model.select', model: 'x', layers: ['**', '!**.block_sparse_moe'] }
      const all = { models, steps: { ...steps, n: other, x: merged, y: bare } }
      await shop.build({ ...all, outputs: { o: { from: 'x', path: 'out/' }, p: { from: 'y', path: 'bare/' } } })
      expect(configOf(shop)).toMatchObject({ model_type: 'mixtral', num_local_experts: 2 })
      expect(readFileSync(shop.at('bare/config.json'), 'utf8')).toBe(LLAMA)
      const made = await readTensors(shop.at('out'))
      expect(made['model.layers.0.block_sparse_moe.experts.0.w1.weight']!.values[0]).toBe(2.75)
    }))

  test('gives the same routers for the same seed, and others for another', () =>
    withModels(async (shop) => {
      const routers = async (step: object) => {
        expect((await shop.build(recipe(step))).codes).toEqual([])
        return (await readTensors(shop.at('out')))[GATE]!.values
      }
      const first = await routers({ seed: 1 })
      expect(await routers({ seed: 1 })).toEqual(first)
      expect(await routers({ seed: 2 })).not.toEqual(first)
      const even = await routers({ gates: 'uniform_random' })
      expect(Math.max(...even.map(Math.abs))).toBeLessThanOrEqual(Math.SQRT1_2)
      expect(new Set(even).size).toBe(4)
    }))

  test('takes routers from a file, and warns of those that are not numbers', () =>
    withModels(async (shop) => {
      const own = (values: readonly number[]) => shop.model('r.safetensors', 0, { [GATE]: tensor([2, 2], values) })
      const step = { ...recipe({ routers: 'r' }), models: { a: 'a', b: 'b', c: 'c', r: 'r.safetensors' } }
      await own([1, 2, 3, 4])
      expect((await shop.build(step)).codes).toEqual([])
      expect((await readTensors(shop.at('out')))[GATE]!.values).toEqual([1, 2, 3, 4])
      await own([1, NaN, 3, 4])
      expect((await shop.build(step)).codes).toEqual(['copied-non-finite'])
    }))
})

/** A byte-level tokenizer of some words, and a beginning token. */
const TOKENIZER = toTokenizerJson({
  tokens: ['S', 't', 'at', 'b', 'a'],
  merges: [['a', 't']],
  added: [{ id: 0, content: 'S', special: true }],
})

describe('prompts that are texts', () => {
  const experts = [
    { model: 'b', positive: ['at', 'bt'], negative: ['b'] },
    { model: 'c', positive: [[2], 't'] },
  ]

  test('are the tokens that the tokenizer of the base makes of them, the beginning token in front', () =>
    withModels(async (shop) => {
      put(shop, 'a/tokenizer.json', TOKENIZER)
      put(shop, 'a/tokenizer_config.json', '{"bos_token": {"content": "S"}}')
      const gateOf = async (own: object) => {
        expect(
          (await shop.build(recipe({ experts: own, gates: 'cheap_embed' }, { path: 'out.safetensors' }))).codes,
        ).toEqual([])
        return (await readTensors(shop.at('out.safetensors')))[GATE]!.values
      }
      const texts = await gateOf(experts)
      const ids = [
        {
          model: 'b',
          positive: [
            [0, 2],
            [0, 3, 1],
          ],
          negative: [[0, 3]],
        },
        { model: 'c', positive: [[2], [0, 1]] },
      ]
      expect(await gateOf(ids)).toEqual(texts)
      ids[0]!.positive = [[0, 1]]
      expect(await gateOf(ids)).not.toEqual(texts)
    }))

  test('need a tokenizer that can be read', () =>
    withModels(async (shop) => {
      expect((await shop.build(recipe({ experts, gates: 'cheap_embed' }))).codes).toEqual(['no-tokenizer'])
      put(shop, 'a/tokenizer.json', '{"model": {"type": "Magic"}}')
      expect((await shop.build(recipe({ experts, gates: 'cheap_embed' }))).codes).toEqual(['tokenizer-fails'])
    }))
})

describe('configs that do not fit are refused', () => {
  test.each([
    ['a base of another type', 'a', { model_type: 'gemma' }, 'config-unfit'],
    ['a base without a type', 'a', {}, 'config-unfit'],
    ['an expert of another type', 'c', { model_type: 'phi' }, 'config-unfit'],
    ['an expert with another activation', 'b', { model_type: 'llama', hidden_act: 'gelu' }, 'configs-differ'],
  ])('%s', (_name, model, config, code) =>
    withModels(async (shop) => {
      put(shop, `${model}/config.json`, JSON.stringify(config))
      expect((await shop.build(recipe({}))).codes).toEqual([code])
      expect(existsSync(shop.at('out'))).toBe(false)
    }),
  )

  test('but Mistral and Llama fit together', () =>
    withModels(async (shop) => {
      put(shop, 'c/config.json', '{"model_type": "mistral"}')
      expect((await shop.build(recipe({}))).codes).toEqual([])
    }))
})
