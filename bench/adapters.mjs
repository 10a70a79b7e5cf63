// `npm run bench -- --adapters`: baking into SDXL and extracting from SD1.5, beside the floor and the same in PyTorch.
import { readTable } from './checkpoint.mjs'
import { measureOn } from './merges.mjs'
import { OUT } from './recipes.mjs'

const write = (models, adapters, steps) => (folder) =>
  JSON.stringify({
    smelt: 1,
    models: Object.fromEntries(models.map((name) => [name, `${folder}/${name}.safetensors`])),
    adapters: Object.fromEntries(adapters.map((name) => [name, `${folder}/${name}.safetensors`])),
    steps,
    outputs: { result: { from: 'result', path: OUT } },
  })

const BAKE = {
  name: 'bake',
  title: 'a LoRA of rank 32 baked into SDXL',
  reads: ['a', 'lora32'],
  target: 2,
  write: write(['a'], ['lora32'], { result: { op: 'adapter.apply', model: 'a', adapter: 'lora32' } }),
  // The script knows the names of SD1.5 only.
  peers: () => [],
}

const EXTRACT = {
  name: 'extract',
  title: 'a LoRA of rank 32 extracted from the attention of SD1.5',
  reads: ['a', 'base'],
  target: undefined,
  write: write(['a', 'base'], [], {
    result: {
      op: 'adapter.extract',
      model: 'a',
      base: 'base',
      rank: 32,
      layers: ['model.diffusion_model.**.attn1.to_*', 'model.diffusion_model.**.attn2.to_*'],
    },
  }),
  // A LoRA is much smaller than a model.
  bytes: () => 100_000,
}

/** The tables of the two cases, or the one that is asked for. */
export const measureAdapters = async ({ only, small, ...options }) => {
  const chosen = (work) => (only === undefined || only === work.name ? [work] : [])
  return [
    ...(await measureOn(readTable('sdxl', { shrink: small }), chosen(BAKE), options)),
    ...(await measureOn(readTable('sd15', { shrink: small }), chosen(EXTRACT), options)),
  ]
}
