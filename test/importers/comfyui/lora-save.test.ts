import { expect, test } from 'vitest'
import { importAndBuild, type Numbers } from '../../support/imported.js'
import { sd1File, tinySd1 } from '../../support/tiny-sd1.js'
import { createWorkflow, importJson, type TestWorkflow } from '../../support/workflows.js'

const FILES = {
  'models/checkpoints/a.safetensors': sd1File(1),
  'models/checkpoints/b.safetensors': sd1File(2),
}

/** A workflow that extracts the LoRA of `multiplier · (a − b)`, of the text encoder too if it has another multiplier. */
const extracting = (
  multiplier: number,
  clip?: number,
  widgets: Readonly<Record<string, string | number | boolean>> = {},
): TestWorkflow => {
  const flow = createWorkflow()
  const [a, b] = ['a', 'b'].map((name) => flow.add('CheckpointLoaderSimple', { ckpt_name: `${name}.safetensors` }))
  const model = flow.add('ModelMergeSubtract', { multiplier }, { model1: [a!, 0], model2: [b!, 0] })
  const encoder =
    clip === undefined
      ? undefined
      : flow.add('CLIPMergeSubtract', { multiplier: clip }, { clip1: [a!, 1], clip2: [b!, 1] })
  flow.add(
    'LoraSave',
    { filename_prefix: 'loras/mine', rank: 4, lora_type: 'standard', bias_diff: true, ...widgets },
    { model_diff: [model, 0], ...(encoder === undefined ? {} : { text_encoder_diff: [encoder, 0] }) },
  )
  return flow
}

const KEY = 'lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_attn2_to_k'
const TENSOR = 'model.diffusion_model.input_blocks.4.1.transformer_blocks.0.attn2.to_k.weight'

/** What the LoRA adds to the tensor, of one row. */
const added = (lora: Numbers): readonly number[] => {
  const [up, down] = [lora[`${KEY}.lora_up.weight`]!, lora[`${KEY}.lora_down.weight`]!]
  expect(up).toHaveLength(1)
  return down.map((x) => x * up[0]!)
}

test.each([
  ['the difference', 1],
  ['a multiple of it', 0.5],
])('LoraSave of %s gives a LoRA that adds it', async (_, multiplier) => {
  const { recipe, numbers, code } = await importAndBuild(
    'workflow.json',
    JSON.stringify(extracting(multiplier).api()),
    FILES,
  )
  expect(code).toBe(0)
  expect(recipe).toMatch(/op: adapter\.extract\n {4}model: \w+\n {4}base: b\n {4}rank: 4\n {4}vectors: true\n/)
  expect(recipe).toContain('path: build/loras/mine.safetensors')
  const [a, b] = [tinySd1(1)[TENSOR]!, tinySd1(2)[TENSOR]!]
  for (const [i, x] of added(numbers).entries()) expect(Math.abs(x - multiplier * (a[i]! - b[i]!))).toBeLessThan(5e-3)
  expect(Object.keys(numbers).filter((name) => name.startsWith('lora_te'))).toEqual([])
})

test('LoraSave of the text encoder too is one step on both', () => {
  const { recipe, missing } = importJson(extracting(1, 1).api())
  expect(missing).toEqual([])
  expect(recipe!.match(/op: /g)).toHaveLength(1)
  expect(recipe).toContain('layers: ["component:diffusion", "component:clip"]')
})

test.each([
  ['whole differences', extracting(1, undefined, { lora_type: 'full_diff' }), 'factors of a rank'],
  ['two multipliers', extracting(1, 2), 'other multipliers'],
])('LoraSave of %s is told', (_, flow, why) => {
  const { recipe, missing } = importJson(flow.api())
  expect(recipe).toBeUndefined()
  expect(missing).toEqual([expect.objectContaining({ why: expect.stringContaining(why) })])
})
