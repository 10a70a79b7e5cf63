import { writeFileSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { prepare } from '#src/run/prepare.js'
import { run } from '#src/run/run.js'
import { inFolder, readTensors } from '../support/build-run.js'
import { inlineWorker } from '../support/inline-worker.js'
import { writeSafetensors } from '../support/write-safetensors.js'
import { filled } from './bake.js'

const LAYERS = 3
const layer = (i: number) => `model.layers.${i}.self_attn.q_proj`

/** A LoRA of the second of four layers that are 0, 1, 1 and 2 of the base, by some steps. */
const built = (steps: object, config: object, from = 'baked') =>
  inFolder(async (folder) => {
    mkdirSync(join(folder, 'lora'))
    writeSafetensors(join(folder, 'base.safetensors'), {
      ...Object.fromEntries(Array.from({ length: LAYERS }, (_, i) => [`${layer(i)}.weight`, filled([2, 2], i)])),
      'model.embed_tokens.weight': filled([4, 2], 1),
      'model.norm.weight': filled([2], 1),
    })
    writeSafetensors(join(folder, 'lora/adapter_model.safetensors'), {
      [`base_model.model.${layer(2)}.lora_A.weight`]: filled([1, 2], 1),
      [`base_model.model.${layer(2)}.lora_B.weight`]: filled([2, 1], 0.5),
    })
    writeFileSync(join(folder, 'lora/adapter_config.json'), JSON.stringify({ r: 1, lora_alpha: 1, ...config }))
    const recipe = join(folder, 'recipe.yaml')
    writeFileSync(
      recipe,
      JSON.stringify({
        smelt: 1,
        models: { base: 'base.safetensors' },
        adapters: { lora: 'lora' },
        steps,
        outputs: { out: { from, path: 'out.safetensors' } },
      }),
    )
    const prepared = await prepare(recipe)
    if (prepared.type === 'failed') return { problems: prepared.diagnostics, values: [] }
    const result = await run(prepared.value.plan, { workers: 1, device: 'cpu', start: inlineWorker })
    expect(result.type).toBe('ok')
    const tensors = await readTensors(join(folder, 'out.safetensors'))
    return {
      problems: prepared.diagnostics,
      values: [0, 1, 2, 3].map((i) => tensors[`${layer(i)}.weight`]?.values[0]),
    }
  })

const REPLICATION = {
  layer_replication: [
    [0, 2],
    [1, 3],
  ],
}
const baked = (model: string) => ({ op: 'adapter.apply', model, adapter: 'lora' })
const stacked = (...ranges: readonly (readonly [number, number])[]) => ({
  op: 'model.stack',
  slices: ranges.map((layers) => ({ model: 'base', layers })),
})

test('a LoRA that repeats layers changes the stack of layers that it was trained on', async () => {
  const steps = { deep: stacked([0, 2], [1, 3]), baked: baked('deep') }
  expect(await built(steps, REPLICATION)).toEqual({ problems: [], values: [0, 1, 1.5, 2] })
})

test.each([
  ['the base itself', { baked: baked('base') }],
  ['another stack of as many layers', { deep: stacked([0, 3], [0, 1]), baked: baked('deep') }],
])('it is refused for %s, with the stack to make', async (_, steps) => {
  const { problems } = await built(steps, REPLICATION)
  expect(problems).toMatchObject([
    {
      code: 'adapter-layers',
      help: expect.stringContaining('slices: [{ model: …, layers: [0, 2] }, { model: …, layers: [1, 3] }]'),
    },
  ])
})

test.each([
  ['layer_replication', REPLICATION],
  ['target_parameters', { target_parameters: ['q_proj.weight'] }],
])('it is not merged with others, nor is one of parameters: %s', async (key, config) => {
  const steps = {
    both: { op: 'adapter.merge', adapters: ['lora', 'lora'] },
    baked: { ...baked('base'), adapter: 'both' },
  }
  const { problems } = await built(steps, config)
  expect(problems).toMatchObject([
    { code: 'not-plain-lora', message: expect.stringContaining(`\`${key}\` in its config`) },
  ])
})
