import { under } from '../../tensor/roots.js'
import type { Spelling } from './spelling.js'

type Tensors = ReadonlyMap<string, { readonly shape: readonly number[] }>

/** A part of a path in its original name and in that of diffusers; of a fused one, which of three equal runs of rows. */
type Renamed = readonly [original: string, diffusers: string, third?: 0 | 1 | 2]

/** What a network is told by, and what diffusers renamed in it. */
interface Renaming {
  /** Tensors that all models of the kind have. */
  readonly when: readonly string[]
  /** By whole paths; # stands for a number. */
  readonly paths: readonly Renamed[]
}

const attention = (original: string, diffusers: string): readonly Renamed[] => [
  [`${original}.q`, `${diffusers}.to_q`],
  [`${original}.k`, `${diffusers}.to_k`],
  [`${original}.v`, `${diffusers}.to_v`],
  [`${original}.o`, `${diffusers}.to_out.0`],
  [`${original}.norm_q`, `${diffusers}.norm_q`],
  [`${original}.norm_k`, `${diffusers}.norm_k`],
]

/** Wan 2.1 and 2.2, whose second and third norm diffusers exchanged. */
const WAN: Renaming = {
  when: ['blocks.0.self_attn.q.weight', 'blocks.0.cross_attn.q.weight', 'text_embedding.0.weight'],
  paths: [
    ...attention('blocks.#.self_attn', 'blocks.#.attn1'),
    ...attention('blocks.#.cross_attn', 'blocks.#.attn2'),
    ['blocks.#.cross_attn.k_img', 'blocks.#.attn2.add_k_proj'],
    ['blocks.#.cross_attn.v_img', 'blocks.#.attn2.add_v_proj'],
    ['blocks.#.cross_attn.norm_k_img', 'blocks.#.attn2.norm_added_k'],
    ['blocks.#.ffn.0', 'blocks.#.ffn.net.0.proj'],
    ['blocks.#.ffn.2', 'blocks.#.ffn.net.2'],
    ['blocks.#.modulation', 'blocks.#.scale_shift_table'],
    ['blocks.#.norm3', 'blocks.#.norm2'],
    ['text_embedding.0', 'condition_embedder.text_embedder.linear_1'],
    ['text_embedding.2', 'condition_embedder.text_embedder.linear_2'],
    ['time_embedding.0', 'condition_embedder.time_embedder.linear_1'],
    ['time_embedding.2', 'condition_embedder.time_embedder.linear_2'],
    ['time_projection.1', 'condition_embedder.time_proj'],
    ['head.head', 'proj_out'],
    ['head.modulation', 'scale_shift_table'],
  ],
}

const zImageBlocks = ['layers', 'context_refiner', 'noise_refiner'].flatMap((blocks): readonly Renamed[] => [
  [`${blocks}.#.attention.qkv`, `${blocks}.#.attention.to_q`, 0],
  [`${blocks}.#.attention.qkv`, `${blocks}.#.attention.to_k`, 1],
  [`${blocks}.#.attention.qkv`, `${blocks}.#.attention.to_v`, 2],
  [`${blocks}.#.attention.out`, `${blocks}.#.attention.to_out.0`],
  [`${blocks}.#.attention.q_norm`, `${blocks}.#.attention.norm_q`],
  [`${blocks}.#.attention.k_norm`, `${blocks}.#.attention.norm_k`],
])

/** Z-Image, whose attention is fused where it does not come from diffusers. */
const Z_IMAGE: Renaming = {
  when: ['layers.0.attention.qkv.weight', 'noise_refiner.0.attention.qkv.weight', 'cap_embedder.1.weight'],
  paths: [
    ...zImageBlocks,
    ['x_embedder', 'all_x_embedder.2-1'],
    ['final_layer.linear', 'all_final_layer.2-1.linear'],
    ['final_layer.adaLN_modulation.1', 'all_final_layer.2-1.adaLN_modulation.1'],
  ],
}

/**
 * Says how diffusers spells the modules of a network that is in its original form, of those whose architecture smelt
 * does not tell, below the root of the network; undefined where it renamed nothing.
 */
export const renamedByDiffusers = (
  tensors: Tensors,
  root: string,
): ((path: string) => readonly Spelling[]) | undefined => {
  const known = [WAN, Z_IMAGE].find(({ when }) => when.every((name) => tensors.has(under(root, name))))
  if (known === undefined) return undefined
  const byPath = new Map<string, Renamed[]>()
  for (const row of known.paths) byPath.set(row[0], [...(byPath.get(row[0]) ?? []), row])
  return (path) => {
    const number = /^[a-z_]+\.(\d+)\./.exec(path)?.[1]
    const rows =
      byPath.get(path) ?? (number === undefined ? [] : (byPath.get(path.replace(`.${number}.`, '.#.')) ?? []))
    const height = tensors.get(under(root, `${path}.weight`))?.shape[0] ?? 0
    return rows.map(([, diffusers, third]) => ({
      path: number === undefined ? diffusers : diffusers.replace('#', number),
      ...(third === undefined ? {} : { rows: { first: (third * height) / 3, count: height / 3 } }),
    }))
  }
}
