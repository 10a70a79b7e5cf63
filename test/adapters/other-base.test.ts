import { describe, expect, test } from 'vitest'
import { bake, filled, type Tensors } from './bake.js'

const SD1: Tensors = {
  'model.diffusion_model.input_blocks.0.0.weight': filled([320, 1, 1, 1], 1),
  'model.diffusion_model.input_blocks.4.1.transformer_blocks.0.attn2.to_k.weight': filled([2, 768], 1),
  'model.diffusion_model.middle_block.1.transformer_blocks.0.attn1.to_q.weight': filled([2, 2], 1),
  'model.diffusion_model.out.2.weight': filled([1, 2, 1, 1], 1),
  'cond_stage_model.transformer.text_model.encoder.layers.0.self_attn.q_proj.weight': filled([2, 2], 1),
}
const lora = (module: string, inputs = 2): Tensors => ({
  [`${module}.lora_up.weight`]: filled([2, 1], 1),
  [`${module}.lora_down.weight`]: filled([1, inputs], 1),
})
const MIDDLE = lora('lora_unet_mid_block_attentions_0_transformer_blocks_0_attn1_to_q')
const READS_TEXT = lora('lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_attn2_to_k', 768)
const text = (prefix: string): Tensors => lora(`${prefix}_text_model_encoder_layers_0_self_attn_q_proj`)

/** What is said of an adapter that fits the model. */
const saidOf = async (
  adapter: Tensors,
  metadata: Readonly<Record<string, string>> = {},
): Promise<readonly string[]> => {
  const { problems } = await bake({ model: SD1, adapter, metadata })
  expect(problems.every(({ severity, help }) => severity === 'warning' && help !== undefined)).toBe(true)
  return problems.map(({ code, message }) => `${code}: ${message}`)
}

describe('an adapter that fits a model is told if it was made for another', () => {
  test.each([
    ['by its header', MIDDLE, { ss_base_model_version: 'sdxl_base_v1-0' }, 'Stable Diffusion XL'],
    ['by ModelSpec', MIDDLE, { 'modelspec.architecture': 'stable-diffusion-xl-v1-base/lora' }, 'Stable Diffusion XL'],
    ['by numbered text encoders', text('lora_te1'), {}, 'Stable Diffusion XL, Stable Diffusion 3 or Flux.1'],
  ] as const)('%s', async (_, adapter, metadata, base) => {
    expect(await saidOf(adapter, metadata)).toEqual([
      expect.stringMatching(
        new RegExp(`^adapter-other-base: .* adapter for ${base}, and the model is Stable Diffusion 1$`),
      ),
    ])
  })

  test.each([
    ['its own header', MIDDLE, { ss_base_model_version: 'sd_v1' }],
    ['no header', { ...MIDDLE, ...text('lora_te') }, {}],
    // A header is what people copy; the width of the text is not.
    ['the width of its text', READS_TEXT, { ss_base_model_version: 'sdxl_base_v1-0' }],
  ] as const)('and not with %s', async (_, adapter, metadata) => {
    expect(await saidOf(adapter, metadata)).toEqual([])
  })
})

test('a strength for text encoders that has nothing to act on is told', async () => {
  const codesOf = async (adapter: Tensors, params: Readonly<Record<string, number>>) =>
    (await bake({ model: SD1, adapter, params })).problems.map(({ code, severity }) => `${severity}: ${code}`)
  expect(await codesOf(MIDDLE, { clip_strength: 0.5 })).toEqual(['warning: clip-strength-unused'])
  expect(await codesOf(MIDDLE, { strength: 0.5, clip_strength: 0.5 })).toEqual([])
  expect(await codesOf({ ...MIDDLE, ...text('lora_te') }, { clip_strength: 0.5 })).toEqual([])
})
