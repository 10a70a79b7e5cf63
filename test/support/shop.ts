import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { writeSafetensors, type TensorValues } from './write-safetensors.js'

/** The one tensor of each model in a shop. */
export const MODEL: Readonly<Record<string, TensorValues>> = {
  w: { dtype: 'F32', shape: [2, 2], values: [1, 2, 3, 4] },
}
const LORA: Readonly<Record<string, TensorValues>> = {
  'base_model.model.w.lora_A.weight': { dtype: 'F32', shape: [1, 2], values: 1 },
  'base_model.model.w.lora_B.weight': { dtype: 'F32', shape: [2, 1], values: 1 },
}

/** The only shard of the sharded model in a shop. */
export const SHARD = 'model-00001-of-00001.safetensors'

/** A recipe over a file, a sharded model and an adapter with a config beside it. */
export const RECIPE = {
  smelt: 1,
  models: { a: 'a.safetensors', b: 'b/model.safetensors.index.json' },
  adapters: { l: 'l' },
  steps: {
    blended: { op: 'merge.blend', a: 'a', b: 'b' },
    x: { op: 'adapter.apply', model: 'blended', adapter: 'l' },
    look: { op: 'report.model', model: 'x' },
  },
  outputs: {
    o: { from: 'x', path: 'o.safetensors' },
    s: { from: 'x', path: 's.safetensors', shard_size: '1MB' },
    r: { from: 'look', path: 'r.json' },
  },
}

/** Writes what {@link RECIPE} reads, a file of each kind, into a folder that is there. */
export const stockShop = (folder: string): void => {
  for (const name of ['b', 'l', 'sub']) mkdirSync(join(folder, name))
  writeSafetensors(join(folder, 'a.safetensors'), MODEL)
  writeSafetensors(join(folder, 'b', SHARD), MODEL)
  writeFileSync(
    join(folder, 'b/model.safetensors.index.json'),
    JSON.stringify({ metadata: {}, weight_map: { w: SHARD } }),
  )
  writeSafetensors(join(folder, 'l/adapter_model.safetensors'), LORA)
  writeFileSync(join(folder, 'l/adapter_config.json'), JSON.stringify({ r: 1, lora_alpha: 1 }))
}
