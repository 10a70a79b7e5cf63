// Models of very many tensors and recipes of very many steps: what memory and time grow with besides bytes.
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/**
 * Writes a model of so many tensors of four numbers, as a mixture of experts names them, in shards of a thousand; gives
 * the path of its index.
 */
export const writeMany = (folder, name, count) => {
  mkdirSync(folder, { recursive: true })
  const shards = Math.ceil(count / 1000)
  const places = {}
  for (let shard = 0; shard < shards; shard++) {
    const file = `${name}-${String(shard + 1).padStart(5, '0')}-of-${String(shards).padStart(5, '0')}.safetensors`
    const header = {}
    const here = Math.min(1000, count - 1000 * shard)
    for (let i = 0; i < here; i++) {
      const n = 1000 * shard + i
      const tensor = `model.layers.${Math.floor(n / 300)}.mlp.experts.${Math.floor(n / 3) % 100}.w${n % 3}.weight`
      header[tensor] = { dtype: 'F32', shape: [4], data_offsets: [16 * i, 16 * (i + 1)] }
      places[tensor] = file
    }
    const json = Buffer.from(JSON.stringify(header))
    const prefix = Buffer.alloc(8)
    prefix.writeBigUInt64LE(BigInt(json.length))
    writeFileSync(
      join(folder, file),
      Buffer.concat([prefix, json, Buffer.from(Float32Array.from({ length: 4 * here }, (_, i) => (i % 7) - 3).buffer)]),
    )
  }
  const index = join(folder, `${name}.safetensors.index.json`)
  writeFileSync(index, JSON.stringify({ metadata: { total_size: 16 * count }, weight_map: places }))
  return index
}

const MERGES = {
  linear: '{ op: merge.linear, models: [a, b] }',
  ties: '{ op: merge.ties, base: a, models: [{ model: b, density: 0.5 }], scope: model }',
}

/** A recipe over two models of so many tensors, which it writes. */
export const manyTensors = (folder, count, kind) => `smelt: 1
models: { a: ${writeMany(join(folder, `many-${count}-a`), 'a', count)}, b: ${writeMany(join(folder, `many-${count}-b`), 'b', count)} }
steps: { merged: ${MERGES[kind]} }
outputs: { merged: { from: merged, path: OUT.safetensors } }
`

/** A recipe of so many steps, each upon the one before, over two models of ten tensors. */
export const longChain = (folder, steps) => `smelt: 1
models: { a: ${writeMany(join(folder, 'few-a'), 'a', 10)}, b: ${writeMany(join(folder, 'few-b'), 'b', 10)} }
steps:
${Array.from({ length: steps }, (_, i) => `  s${i}: { op: merge.linear, models: [${i === 0 ? 'a' : `s${i - 1}`}, b] }`).join('\n')}
outputs: { merged: { from: s${steps - 1}, path: OUT.safetensors } }
`
