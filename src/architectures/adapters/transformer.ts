import type { Spelling } from './spelling.js'

/**
 * A module in its original name and in that of diffusers; where several modules are fused into one, its rows in
 * multiples of the width.
 */
type Row = readonly [original: string, diffusers: string, rows?: readonly [first: number, count: number]]

/** The projections of attention, fused into one module. */
const fused = (original: string, inside: string, names: readonly string[]): readonly Row[] =>
  names.map((name, i) => [original, `${inside}.${name}`, [i, 1]] as const)

const QKV = ['to_q', 'to_k', 'to_v']
const ADDED_QKV = ['add_q_proj', 'add_k_proj', 'add_v_proj']

const FLUX: readonly Row[] = [
  ...fused('double_blocks.#.img_attn.qkv', 'transformer_blocks.#.attn', QKV),
  ...fused('double_blocks.#.txt_attn.qkv', 'transformer_blocks.#.attn', ADDED_QKV),
  ['double_blocks.#.img_attn.proj', 'transformer_blocks.#.attn.to_out.0'],
  ['double_blocks.#.txt_attn.proj', 'transformer_blocks.#.attn.to_add_out'],
  ['double_blocks.#.img_attn.norm.query_norm', 'transformer_blocks.#.attn.norm_q'],
  ['double_blocks.#.img_attn.norm.key_norm', 'transformer_blocks.#.attn.norm_k'],
  ['double_blocks.#.txt_attn.norm.query_norm', 'transformer_blocks.#.attn.norm_added_q'],
  ['double_blocks.#.txt_attn.norm.key_norm', 'transformer_blocks.#.attn.norm_added_k'],
  ['double_blocks.#.img_mod.lin', 'transformer_blocks.#.norm1.linear'],
  ['double_blocks.#.txt_mod.lin', 'transformer_blocks.#.norm1_context.linear'],
  ['double_blocks.#.img_mlp.0', 'transformer_blocks.#.ff.net.0.proj'],
  ['double_blocks.#.img_mlp.2', 'transformer_blocks.#.ff.net.2'],
  ['double_blocks.#.txt_mlp.0', 'transformer_blocks.#.ff_context.net.0.proj'],
  ['double_blocks.#.txt_mlp.2', 'transformer_blocks.#.ff_context.net.2'],
  ...fused('single_blocks.#.linear1', 'single_transformer_blocks.#.attn', QKV),
  ['single_blocks.#.linear1', 'single_transformer_blocks.#.proj_mlp', [3, 4]],
  ['single_blocks.#.linear2', 'single_transformer_blocks.#.proj_out'],
  ['single_blocks.#.modulation.lin', 'single_transformer_blocks.#.norm.linear'],
  ['single_blocks.#.norm.query_norm', 'single_transformer_blocks.#.attn.norm_q'],
  ['single_blocks.#.norm.key_norm', 'single_transformer_blocks.#.attn.norm_k'],
  ['img_in', 'x_embedder'],
  ['txt_in', 'context_embedder'],
  ...[
    ['time', 'timestep'],
    ['vector', 'text'],
    ['guidance', 'guidance'],
  ].flatMap(([original, diffusers]): readonly Row[] => [
    [`${original}_in.in_layer`, `time_text_embed.${diffusers}_embedder.linear_1`],
    [`${original}_in.out_layer`, `time_text_embed.${diffusers}_embedder.linear_2`],
  ]),
  ['final_layer.adaLN_modulation.1', 'norm_out.linear'],
  ['final_layer.linear', 'proj_out'],
]

const SD3: readonly Row[] = [
  ...fused('joint_blocks.#.x_block.attn.qkv', 'transformer_blocks.#.attn', QKV),
  ...fused('joint_blocks.#.x_block.attn2.qkv', 'transformer_blocks.#.attn2', QKV),
  ...fused('joint_blocks.#.context_block.attn.qkv', 'transformer_blocks.#.attn', ADDED_QKV),
  ['joint_blocks.#.x_block.attn.proj', 'transformer_blocks.#.attn.to_out.0'],
  ['joint_blocks.#.x_block.attn2.proj', 'transformer_blocks.#.attn2.to_out.0'],
  ['joint_blocks.#.context_block.attn.proj', 'transformer_blocks.#.attn.to_add_out'],
  ['joint_blocks.#.x_block.mlp.fc1', 'transformer_blocks.#.ff.net.0.proj'],
  ['joint_blocks.#.x_block.mlp.fc2', 'transformer_blocks.#.ff.net.2'],
  ['joint_blocks.#.context_block.mlp.fc1', 'transformer_blocks.#.ff_context.net.0.proj'],
  ['joint_blocks.#.context_block.mlp.fc2', 'transformer_blocks.#.ff_context.net.2'],
  ['joint_blocks.#.x_block.adaLN_modulation.1', 'transformer_blocks.#.norm1.linear'],
  ['joint_blocks.#.context_block.adaLN_modulation.1', 'transformer_blocks.#.norm1_context.linear'],
  ['final_layer.adaLN_modulation.1', 'norm_out.linear'],
  ['final_layer.linear', 'proj_out'],
  ['x_embedder.proj', 'pos_embed.proj'],
  ['context_embedder', 'context_embedder'],
  ['t_embedder.mlp.0', 'time_text_embed.timestep_embedder.linear_1'],
  ['t_embedder.mlp.2', 'time_text_embed.timestep_embedder.linear_2'],
  ['y_embedder.mlp.0', 'time_text_embed.text_embedder.linear_1'],
  ['y_embedder.mlp.2', 'time_text_embed.text_embedder.linear_2'],
]

/** Diffusion transformers by architecture: the tensor whose rows are the width, and their modules. */
const TRANSFORMERS: Readonly<Record<string, { readonly width: string; readonly rows: readonly Row[] }>> = {
  flux: { width: 'img_in.weight', rows: FLUX },
  chroma: { width: 'img_in.weight', rows: FLUX },
  sd3: { width: 'x_embedder.proj.weight', rows: SD3 },
}

/** Modulations of two parts: diffusers stores scale before shift, the original shift before scale. */
const MODULATION = /adaLN_modulation\.1$/

/**
 * Says how diffusers spells the modules of a diffusion transformer; `rowsOf` gives the rows of a tensor below the
 * diffusion model's prefix.
 * Undefined for architectures that are none.
 */
export const transformerNames = (
  id: string,
  rowsOf: (tensor: string) => number,
): ((path: string) => readonly Spelling[]) | undefined => {
  const known = TRANSFORMERS[id]
  if (known === undefined) return undefined
  const width = rowsOf(known.width)
  const byName = new Map<string, Row[]>()
  for (const row of known.rows) byName.set(row[0], [...(byName.get(row[0]) ?? []), row])
  return (path) => {
    const number = /\.(\d+)\./.exec(path)?.[1] ?? ''
    const swapped = MODULATION.test(path) && rowsOf(`${path}.weight`) === 2 * width
    const rows = byName.get(path) ?? byName.get(path.replace(`.${number}.`, '.#.')) ?? []
    return rows.map(([, diffusers, part]) => ({
      path: diffusers.replace('#', number),
      ...(part === undefined ? {} : { rows: { first: part[0] * width, count: part[1] * width } }),
      ...(swapped ? { change: 'halves-swapped' as const } : {}),
    }))
  }
}
