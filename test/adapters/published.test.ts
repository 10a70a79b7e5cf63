import { describe, expect, test } from 'vitest'
import { describeAdapter } from '#src/architectures/adapters/describe.js'
import { matchAdapter, type Recipient } from '#src/architectures/adapters/match.js'
import { detectArchitecture } from '#src/architectures/detect.js'
import type { TensorInfo } from '#src/tensor/info.js'
import { readTable, type Shapes } from '../architectures/tables.js'
import { PUBLISHED, type Published } from './published.js'

type Shape = readonly number[]

/** A network that is not in the tables: layers by name, all of this width unless said. */
const layers = (...paths: readonly (string | readonly [string, Shape])[]): Shapes =>
  new Map(
    paths.flatMap((entry): [string, { shape: number[] }][] => {
      const [path, shape] = typeof entry === 'string' ? [entry, [8, 8]] : entry
      if (shape.length === 3) return [[path, { shape: [...shape] }]]
      return [
        [`${path}.weight`, { shape: [...shape] }],
        [`${path}.bias`, { shape: [shape[0]!] }],
      ]
    }),
  )

const WAN = layers(
  ['patch_embedding', [8, 4, 1, 2, 2]],
  'text_embedding.0',
  'time_projection.1',
  'blocks.0.self_attn.q',
  'blocks.0.self_attn.k',
  ['blocks.0.self_attn.norm_k', [8]],
  'blocks.0.cross_attn.q',
  'blocks.0.cross_attn.k_img',
  ['blocks.0.cross_attn.norm_k_img', [8]],
  'img_emb.proj.1',
  ['blocks.0.ffn.0', [16, 8]],
  ['blocks.0.modulation', [1, 6, 8]],
  ['head.head', [16, 8]],
)
const WAN_OF_DIFFUSERS = layers(
  'blocks.0.attn1.to_q',
  'blocks.0.attn2.to_q',
  'blocks.0.attn2.add_k_proj',
  'condition_embedder.text_embedder.linear_1',
  'condition_embedder.image_embedder.ff.net.0.proj',
  ['condition_embedder.image_embedder.norm2', [8]],
)
const HUNYUAN = layers(
  ['double_blocks.19.img_attn.qkv', [24, 8]],
  ['double_blocks.19.txt_mod.lin', [48, 8]],
  'guidance_in.in_layer',
)
const CHROMA = layers('distilled_guidance_layer.layers.0.in_layer', 'distilled_guidance_layer.layers.1.out_layer', [
  'double_blocks.0.img_attn.qkv',
  [24, 8],
])
const QWEN = layers(
  'transformer_blocks.0.attn.to_q',
  'transformer_blocks.0.attn.add_k_proj',
  'transformer_blocks.0.attn.to_out.0',
  ['transformer_blocks.0.img_mlp.net.0.proj', [32, 8]],
  ['transformer_blocks.0.img_mod.1', [48, 8]],
  ['txt_in', [8, 12]],
)
const Z_IMAGE = layers(
  ['layers.0.attention.qkv', [24, 8]],
  'layers.0.attention.out',
  ['layers.0.feed_forward.w1', [16, 8]],
  ['layers.0.adaLN_modulation.0', [32, 8]],
  ['noise_refiner.0.attention.qkv', [24, 8]],
  'cap_embedder.1',
)
const TABLES: Readonly<Record<string, () => Shapes>> = {
  'Stable Diffusion 1': () => readTable('sd15'),
  'Stable Diffusion XL': () => readTable('sdxl'),
  'Stable Diffusion 3': () => readTable('sd3-medium'),
  'Flux.1': () => readTable('flux-dev'),
  'Llama 2': () => readTable('llama-2-7b'),
  Wan: () => WAN,
  'Wan of diffusers': () => WAN_OF_DIFFUSERS,
  HunyuanVideo: () => HUNYUAN,
  Chroma: () => CHROMA,
  'Qwen-Image': () => QWEN,
  'Z-Image': () => Z_IMAGE,
}
const recipients = new Map<string, Recipient>()
const recipientOf = (network: string): Recipient => {
  const shapes = TABLES[network]!()
  const known = recipients.get(network) ?? {
    label: 'm',
    tensors: new Map([...shapes].map(([name, { shape }]) => [name, { shape, dtype: 'F16' as const }])),
    architecture: detectArchitecture(shapes),
  }
  recipients.set(network, known)
  return known
}

const RANK = 4

/** The tensors of an adapter, and what smelt makes of them. */
const read = ({ network, make, entries, config }: Published) => {
  const model = recipientOf(network)
  const infos = new Map(
    entries.flatMap(([module, tensor, own = make, rows]) => {
      const [out = 1, ...inner] = model.tensors.get(tensor)!.shape
      return Object.entries(own([rows?.[1] ?? out, ...inner], RANK)).map(([ending, shape]): [string, TensorInfo] => {
        const name = `${module}.${ending}`
        return [name, { name, dtype: 'F32', shape, file: '', begin: 0, end: 0 }]
      })
    }),
  )
  const alpha = new Uint8Array(Float32Array.of(RANK).buffer)
  const scalars = new Map(
    [...infos.keys()].flatMap((name): [string, Uint8Array][] =>
      name.endsWith('.alpha') ? [[name, alpha]] : name.endsWith('.on_input') ? [[name, new Uint8Array(4)]] : [],
    ),
  )
  const file = { path: '', files: [], tensors: infos, metadata: new Map(), bytes: 0, sides: [], scalars, config }
  return {
    match: matchAdapter({ label: 'a', file, alpha: undefined, at: { type: 'option', name: 'x' } }, model, true),
    description: describeAdapter(infos, new Map(), 'a.safetensors'),
  }
}

describe('the names of tensors in adapters that many use', () => {
  test.each(PUBLISHED)('are understood: $title', (published) => {
    const { match, description } = read(published)
    expect(match.diagnostics.map(({ message }) => message)).toEqual([])
    if (match.type === 'failed') return
    for (const [module, tensor, , rows] of published.entries) {
      const changes = (match.value.patches.get(tensor) ?? []).map(({ change }) => change)
      const firsts = changes.flatMap((change) =>
        change.type === 'products' ? change.terms.flat().map(({ firstRow }) => firstRow) : [0],
      )
      expect(firsts, module).toContain(rows?.[0] ?? 0)
    }
    const expected = published.entries.map(([, tensor]) => tensor)
    expect([...match.value.patches.keys()].filter((name) => !name.endsWith('.bias')).sort()).toEqual(
      [...new Set(expected)].sort(),
    )
    expect(description?.kind).toContain(published.kind ?? 'LoRA')
    expect(description?.network).toBe(published.shown === null ? undefined : (published.shown ?? published.network))
  })
})
