import { expect, test } from 'vitest'
import type { Shapes } from '../architectures/tables.js'
import { readTable } from '../architectures/tables.js'
import { bake, f32, filled, type Bake, type Tensors } from './bake.js'

const model: Tensors = { 'net.fc.weight': filled([2, 3], 1), 'net.fc.bias': f32([2], 1, 1) }
const up = filled([2, 2], 1)
const down = filled([2, 3], 1)
const lora: Tensors = { 'net.fc.lora_up.weight': up, 'net.fc.lora_down.weight': down }
const peft: Tensors = { 'base_model.model.net.fc.lora_A.weight': down, 'base_model.model.net.fc.lora_B.weight': up }

/**
 * The code and message of the one problem that a bake has, which stands where the recipe names the adapter or in one of
 * its files.
 */
const problemOf = async (given: Omit<Bake, 'model'> & { readonly model?: Tensors }): Promise<string> => {
  const { problems } = await bake({ model, ...given })
  expect(problems).toHaveLength(1)
  const [{ code, message, help, at, severity }] = problems as [(typeof problems)[number]]
  expect([severity, help === undefined, at?.type]).toEqual(['error', false, 'text'])
  return `${code}: ${message}`
}

test.each([
  ['an alpha of 0', { ...lora, 'net.fc.alpha': f32([], 0) }, /^bad-alpha: alpha `net\.fc\.alpha` .* is 0;/],
  ['a negative alpha', { ...lora, 'net.fc.alpha': f32([], -4) }, /^bad-alpha: .* is -4;/],
  ['an alpha that is no number', { ...lora, 'net.fc.alpha': f32([], NaN) }, /^bad-alpha: .* is NaN;/],
  [
    'an alpha of several numbers',
    { ...lora, 'net.fc.alpha': f32([2], 1, 1) },
    /^bad-alpha: `net\.fc\.alpha` of `lora` .* is \[2\]; an alpha is a single number$/,
  ],
  [
    'an alpha that is a matrix of one',
    { ...lora, 'net.fc.alpha': f32([1, 1], 1) },
    /^bad-alpha: .* is \[1, 1\]; an alpha is a single number$/,
  ],
  ['an infinite alpha', { ...lora, 'net.fc.alpha': f32([], Infinity) }, /^bad-alpha: .* is Infinity;/],
  ['an alpha of booleans', { ...lora, 'net.fc.alpha': { dtype: 'BOOL', shape: [], values: 1 } }, /^bad-alpha: /],
  [
    'factors that cannot be multiplied',
    { ...lora, 'net.fc.lora_up.weight': filled([2, 3], 1) },
    /^adapter-shape: `net\.fc\.lora_up\.weight` .* is \[2, 3\], but `net\.fc` needs \[2, 2\]: its rank is 2/,
  ],
  [
    'a rank of 0',
    { ...lora, 'net.fc.lora_up.weight': filled([2, 0], 1), 'net.fc.lora_down.weight': filled([0, 3], 1) },
    /^bad-rank: .*`net\.fc` .*: their rank is 0$/,
  ],
  [
    'a middle factor of another rank',
    { ...lora, 'net.fc.lora_mid.weight': filled([3, 3, 1, 1], 1) },
    /^adapter-shape: `net\.fc\.lora_mid\.weight` .* is \[3, 3, 1, 1\], but `net\.fc` needs \[2, 2\]/,
  ],
  [
    'a factor without the other',
    { 'net.fc.lora_up.weight': up },
    /^factor-missing: `net\.fc` .* has no `lora_down` or `lora_A`/,
  ],
  [
    'a LoHa without a factor',
    { 'net.fc.hada_w1_a': up, 'net.fc.hada_w1_b': down, 'net.fc.hada_w2_b': down },
    /^factor-missing: .* has no `hada_w2_a`/,
  ],
  [
    'factors of another width',
    { ...lora, 'net.fc.lora_down.weight': filled([2, 4], 1) },
    /^adapter-shape: `net\.fc\.lora_down\.weight` .* is \[2, 4\], but `net\.fc` needs \[2, 3\]: .* `net\.fc\.weight`, which is \[2, 3\]$/,
  ],
  [
    'factors of another height',
    { ...lora, 'net.fc.lora_up.weight': filled([3, 2], 1) },
    /^adapter-shape: `net\.fc\.lora_up\.weight` .* is \[3, 2\], but `net\.fc` needs \[2, 2\]/,
  ],
  ['a difference of another shape', { 'net.fc.diff': filled([3, 2], 1) }, /^adapter-shape: `net\.fc\.diff`/],
  [
    'factors of whole numbers',
    { ...lora, 'net.fc.lora_up.weight': { dtype: 'I64', shape: [2, 2], values: 1 } },
    /^adapter-dtype: `net\.fc\.lora_up\.weight` of `lora` .* is I64/,
  ],
  [
    'a tensor without a target',
    { ...lora, 'net.gone.lora_up.weight': up, 'net.gone.alpha': f32([], 1), stray: up },
    /^adapter-unmatched: 3 of 5 tensors .*: `stray`, `net\.gone\.[^;]*$/,
  ],
  ['a bias for a module that has none', { ...lora, 'net.fc.diff_b': f32([2], 1, 1) }, undefined],
  [
    'nothing that fits',
    { 'other.lora_up.weight': up, 'other.lora_down.weight': down },
    /^adapter-matches-nothing: no tensor of `lora` .* has a target in `base`/,
  ],
  ['a checkpoint in its place', model, /^not-an-adapter: .*`net\.fc\.bias`, `net\.fc\.weight`/],
  [
    'a layout that is not known',
    { 'net.fc.lora.Q': up, 'net.fc.lora.R': down },
    /^adapter-layout-unknown: `lora` .* looks like an adapter, but smelt does not know its layout; .*`net\.fc\.lora\.Q`, `net\.fc\.lora\.R`$/,
  ],
  [
    'factors without a word before them',
    { 'net.fc.down.weight': down, 'net.fc.up.weight': up },
    /^adapter-layout-unknown: /,
  ],
  ['a checkpoint with parameters called alpha', { ...model, 'net.snake.alpha': f32([], 1) }, /^not-an-adapter: /],
  [
    'two adapters in one file',
    { 'unet.net.fc.lora_A.one.weight': down, 'unet.net.fc.lora_A.two.weight': down },
    /^two-adapters: .*`unet\.net\.fc\.lora_A\.two\.weight`/,
  ],
  ['PEFT’s factors without a config', peft, /^adapter-config-missing: `lora`/],
] as const)('%s is refused', async (_what, adapter, expected) => {
  if (expected !== undefined) return expect(await problemOf({ adapter })).toMatch(expected)
  expect(await problemOf({ adapter, model: { 'net.fc.weight': filled([2, 3], 1) } })).toMatch(
    /^adapter-unmatched: 1 of 3 tensors .*: `net\.fc\.diff_b`/,
  )
})

test('factors for a module that is only a bias have no target', async () => {
  expect(
    await problemOf({
      model: { ...model, 'lone.bias': f32([2], 1, 1) },
      adapter: { ...lora, 'lone.lora_up.weight': up, 'lone.lora_down.weight': down },
    }),
  ).toMatch(/^adapter-unmatched: 2 of 4 tensors .*: `lone\.lora_down\.weight`, `lone\.lora_up\.weight`$/)
})

test.each([
  ['an early OFT', 'net.fc.oft_diag', /holds early OFT, as `net\.fc\.oft_diag` shows/],
  ['an early OFT of PEFT', 'base_model.model.net.fc.oft_r.default', /holds OFT of PEFT before 0\.16/],
  ['GLoRA with a core', 'net.fc.bm.weight', /holds GLoRA with a Tucker core/],
  ['VeRA', 'base_model.model.net.fc.vera_lambda_b', /holds VeRA/],
  ['FourierFT', 'base_model.model.net.fc.fourierft_spectrum', /holds FourierFT/],
  ['a LyCORIS with a factor beside', 'net.fc.scalar', /holds LyCORIS with trained factors/],
  ['a LoRA in parts', 'lora_unet_net_fc.lora_up.0.weight', /holds LoRA in numbered parts/],
  ['trained tokens', 'base_model.model.net.fc.trainable_tokens_delta', /holds trained tokens/],
])('%s is refused by name', async (_what, tensor, expected) => {
  expect(await problemOf({ adapter: { ...lora, [tensor]: up } })).toMatch(expected)
})

test.each([
  [
    'of another kind',
    { r: 2, lora_alpha: 2, peft_type: 'VERA' },
    /^adapter-unsupported: `lora` .* is an adapter of type `VERA` \(`peft_type` in `adapter_config\.json`\)/,
  ],
  [
    'with a setting that changes the meaning',
    { r: 2, lora_alpha: 2, use_qalora: true },
    /^adapter-unsupported: .*`use_qalora`/,
  ],
  [
    'without a rank',
    { lora_alpha: 2 },
    /^bad-adapter-config: `r` in `adapter_config\.json` of `lora` .* is missing; expected a whole number above 0$/,
  ],
  [
    'without an alpha',
    { r: 2, lora_alpha: '2' },
    /^bad-adapter-config: `lora_alpha` .* is "2"; expected a number above 0$/,
  ],
  [
    'with ranks that are none',
    { r: 2, lora_alpha: 2, rank_pattern: { fc: 'x' } },
    /^bad-adapter-config: `rank_pattern` .* is \{"fc":"x"\}; expected a map of names to whole numbers above 0$/,
  ],
  [
    'with alphas that are none',
    { r: 2, lora_alpha: 2, alpha_pattern: [1] },
    /^bad-adapter-config: `alpha_pattern` .* is \[1\]; expected a map of names to numbers above 0$/,
  ],
  ['that says another rank', { r: 8, lora_alpha: 2 }, /^bad-rank: .* their rank is 2, but the config says 8/],
  ['with an alpha of 0', { r: 2, lora_alpha: 0 }, /^bad-adapter-config: `lora_alpha` .* is 0;/],
  ['that is no JSON', '{', /^adapter-config-not-json: .*adapter_config\.json is not JSON/],
] as const)('a config %s is refused', async (_what, config, expected) => {
  expect(await problemOf({ adapter: peft, config })).toMatch(expected)
})

test.each([
  ['no JSON', '{'],
  ['a list', '[]'],
  ['a number', '1'],
])('a config in the header that is %s is refused, and is not taken for none', async (_what, text) => {
  const adapter: Tensors = { 'unet.net.fc.lora_A.weight': down, 'unet.net.fc.lora_B.weight': up }
  expect(await problemOf({ adapter, metadata: { lora_adapter_metadata: text } })).toMatch(
    /^bad-adapter-config: `lora_adapter_metadata` in the header of `lora` .* is not a JSON object/,
  )
})

test('a model of whole numbers cannot be changed', async () => {
  const quantised: Tensors = { 'net.fc.weight': { dtype: 'I64', shape: [2, 3], values: 1 } }
  expect(await problemOf({ model: quantised, adapter: lora })).toMatch(
    /^adapter-dtype: `net\.fc\.weight` of `base` .* is I64/,
  )
})

test('a name that can mean two modules is refused', async () => {
  const twins: Tensors = { 'a.b_c.weight': filled([2, 3], 1), 'a_b.c.weight': filled([2, 3], 1) }
  expect(
    await problemOf({
      model: twins,
      adapter: { 'lora_unet_a_b_c.lora_up.weight': up, 'lora_unet_a_b_c.lora_down.weight': down },
    }),
  ).toMatch(/^ambiguous-adapter-name: `lora_unet_a_b_c` .* can mean `a\.b_c\.weight`, `a_b\.c\.weight`/)
})

/** A checkpoint with the names of an architecture, its shapes shrunk but for those that tell it. */
const checkpoint = (architecture: string, width: number): Tensors => {
  const table: Shapes = readTable(architecture)
  return Object.fromEntries(
    [...table].map(([name, { shape }]) => {
      if (name.endsWith('.input_blocks.0.0.weight')) return [name, filled([shape[0]!, 1, 1, 1], 0)]
      if (/attn2\.to_[kv]\.weight$/.test(name)) return [name, filled([2, width], 0)]
      return [
        name,
        filled(
          shape.map((d) => Math.min(d, 2)),
          0,
        ),
      ]
    }),
  )
}

const SD1 = checkpoint('sd15', 768)

test('an adapter for another architecture says for which', async () => {
  const sdxl = (name: string): Tensors => ({
    [`${name}.lora_up.weight`]: filled([2, 1], 1),
    [`${name}.lora_down.weight`]: filled([1, 2048], 1),
  })
  const deep = await problemOf({
    model: SD1,
    adapter: { ...sdxl('lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_attn2_to_k') },
  })
  expect(deep).toMatch(
    /^adapter-shape: .*; it looks like an adapter for Stable Diffusion XL, and the model is Stable Diffusion 1$/,
  )
  const unknown = await problemOf({
    model: SD1,
    adapter: sdxl('lora_unet_down_blocks_1_attentions_0_transformer_blocks_1_attn2_to_k'),
  })
  expect(unknown).toMatch(/^adapter-matches-nothing: .*; it looks like an adapter for Stable Diffusion XL,/)
  const flux = await problemOf({
    model: SD1,
    adapter: {
      'lora_unet_double_blocks_0_img_attn_qkv.lora_up.weight': up,
      'lora_unet_double_blocks_0_img_attn_qkv.lora_down.weight': down,
    },
  })
  expect(flux).toMatch(/it looks like an adapter for Flux\.1,/)
})

test('an adapter with both kinds of tensors lists the first ten without a target', async () => {
  const unrecognised = Object.fromEntries(
    Array.from({ length: 12 }, (_, i) => [`lora_te2_layer_${i}.lora_up.weight`, filled([1, 1], 1)]),
  )
  const fits = { 'lora_unet_conv_out.diff_b': f32([2], 1, 1) }
  const told = await problemOf({ model: SD1, adapter: { ...unrecognised, ...fits } })
  expect(told).toMatch(/^adapter-unmatched: 12 of 13 tensors .*`lora_te2_layer_0\.lora_up\.weight`.* and 2 more$/)
})

test.each([
  ['a ControlNet-LLLite', 'lllite_unet_input_blocks_4_1_transformer_blocks_0_attn1_to_q.down.0.weight'],
  ['a ControlNet', 'control_model.input_blocks.0.0.weight'],
  ['an IP-Adapter', 'ip_adapter.1.to_k_ip.weight'],
  ['an embedding of a trigger word (textual inversion)', 'emb_params'],
  ['an embedding of a trigger word (textual inversion)', 'clip_g'],
  ['a motion module (AnimateDiff)', 'down_blocks.0.motion_modules.0.temporal_transformer.norm.weight'],
])('%s in the place of an adapter is told as that', async (kind, tensor) => {
  expect(await problemOf({ adapter: { [tensor]: filled([2, 2], 1) } })).toBe(
    `not-an-adapter: \`lora\` (adapter.safetensors) is ${kind}, which no weights of a model can take`,
  )
})

test('an adapter of text encoders, all of it or in part, is told as that for a model without', async () => {
  const encoder = {
    'lora_te_text_model_encoder_layers_0_mlp_fc1.lora_up.weight': up,
    'lora_te_text_model_encoder_layers_0_mlp_fc1.lora_down.weight': down,
  }
  expect(await problemOf({ adapter: encoder })).toMatch(
    /^adapter-matches-nothing: .*; all of them are of text encoders$/,
  )
  const helpFor = async (adapter: Tensors): Promise<string> => (await bake({ model, adapter })).problems[0]!.help!
  expect(await helpFor({ ...lora, ...encoder })).toMatch(/^these are of a text encoder that is not in this model/)
  expect(await helpFor({ ...lora, 'net.to.lora_up.weight': up, 'net.to.lora_down.weight': down })).toMatch(
    /`exclude: "net\.to"` leaves out a module by name/,
  )
})
