import { expect, test } from 'vitest'
import { bake, f32, filled } from './bake.js'

const config = { r: 1, lora_alpha: 1 }
const Q = 'layers.0.self_attn.q_proj'
const V = 'blocks.0.attn.qkv'

/** Models as checkpoints have them, and the names that their modules have in memory, by version of transformers. */
test.each<readonly [what: string, tensors: readonly string[], changed: string, module: string]>([
  ['Qwen2-VL, since 4.52', [`model.${Q}`, `visual.${V}`], `model.${Q}`, `model.language_model.${Q}`],
  ['Qwen2-VL, its tower', [`model.${Q}`, `visual.${V}`], `visual.${V}`, `model.visual.${V}`],
  ['Qwen2-VL without its head', [`model.${Q}`, `visual.${V}`], `model.${Q}`, `language_model.${Q}`],
  ['Qwen2-VL, before', [`model.language_model.${Q}`, `model.visual.${V}`], `model.language_model.${Q}`, `model.${Q}`],
  [
    'Gemma 3',
    [`language_model.model.${Q}`, `vision_tower.${V}`],
    `language_model.model.${Q}`,
    `model.language_model.${Q}`,
  ],
  [
    'Gemma 3, its text alone',
    [`language_model.model.${Q}`, `vision_tower.${V}`],
    `language_model.model.${Q}`,
    `model.${Q}`,
  ],
  [
    'Gemma 3, before',
    [`model.language_model.${Q}`, `model.vision_tower.${V}`],
    `model.language_model.${Q}`,
    `language_model.model.${Q}`,
  ],
  ['LLaVA, its head', [`language_model.model.${Q}`, 'language_model.lm_head'], 'language_model.lm_head', 'lm_head'],
  ['Mistral without its head', [`model.${Q}`], `model.${Q}`, Q],
  ['a model without its head', [Q], Q, `model.${Q}`],
])(
  'PEFT’s names for a language model in memory are found in its checkpoint: %s',
  async (_, tensors, changed, module) => {
    const { problems, tensors: baked } = await bake({
      model: Object.fromEntries(tensors.map((name) => [`${name}.weight`, filled([2, 2], 0)])),
      adapter: {
        [`base_model.model.${module}.lora_A.weight`]: f32([1, 2], 1, 2),
        [`base_model.model.${module}.lora_B.weight`]: f32([2, 1], 1, 1),
      },
      config,
    })
    expect(problems.map(({ message }) => message)).toEqual([])
    expect(Object.fromEntries(Object.entries(baked).filter(([, values]) => values[0] !== 0))).toEqual({
      [`${changed}.weight`]: [1, 2, 1, 2],
    })
  },
)

test('a module that the model has itself is not taken for another', async () => {
  const { tensors } = await bake({
    model: { [`model.${Q}.weight`]: filled([2, 2], 0), [`${Q}.weight`]: filled([2, 2], 0) },
    adapter: {
      [`base_model.model.${Q}.lora_A.weight`]: f32([1, 2], 1, 2),
      [`base_model.model.${Q}.lora_B.weight`]: f32([2, 1], 1, 1),
    },
    config,
  })
  expect(tensors).toEqual({ [`model.${Q}.weight`]: [0, 0, 0, 0], [`${Q}.weight`]: [1, 2, 1, 2] })
})
