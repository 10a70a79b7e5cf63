/**
 * A module in its original name and in that of diffusers, # for a number. Where the original fuses several modules into
 * one, the share of its rows that the module of diffusers is: from which of so many equal runs on, and how many of them.
 */
export type Row = readonly [original: string, diffusers: string, share?: Share]

/** Some of the equal runs of rows that a fused module is made of. */
export type Share = readonly [first: number, count: number, of: number]

/** A diffusion transformer whose modules diffusers renamed. */
export interface Transformer {
  /** Its architectures, of which smelt tells the original form. */
  readonly ids?: readonly string[]
  /** Tensors that all of its models have, in the original form and in that of diffusers. */
  readonly original: readonly string[]
  readonly diffusers: readonly string[]
  readonly rows: readonly Row[]
  /** Modules that OneTrainer's OMI format calls otherwise. */
  readonly omi?: Readonly<Record<string, string>>
  /**
   * Two names of the tensor whose rows are the width, which each run of rows of a fused module has; only where
   * modulations have their halves exchanged.
   */
  readonly width?: readonly [original: string, diffusers: string]
}

/** Projections of attention, fused into one module of so many runs of rows. */
const fused = (original: string, inside: string, names: readonly string[], of = 3): readonly Row[] =>
  names.map((name, i) => [original, `${inside}.${name}`, [i, 1, of]] as const)

const QKV = ['to_q', 'to_k', 'to_v']
const ADDED_QKV = ['add_q_proj', 'add_k_proj', 'add_v_proj']

const FLUX: Transformer = {
  ids: ['flux', 'chroma'],
  original: ['double_blocks.0.img_attn.qkv.weight', 'img_in.weight'],
  diffusers: [
    'transformer_blocks.0.attn.add_q_proj.weight',
    'single_transformer_blocks.0.attn.to_q.weight',
    'single_transformer_blocks.0.proj_mlp.weight',
    'x_embedder.weight',
  ],
  omi: { img_in: 'img_in.proj' },
  width: ['img_in.weight', 'x_embedder.weight'],
  rows: [
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
    ...fused('single_blocks.#.linear1', 'single_transformer_blocks.#.attn', QKV, 7),
    ['single_blocks.#.linear1', 'single_transformer_blocks.#.proj_mlp', [3, 4, 7]],
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
  ],
}

const SD3: Transformer = {
  ids: ['sd3'],
  original: ['joint_blocks.0.context_block.attn.qkv.weight', 'x_embedder.proj.weight'],
  diffusers: ['transformer_blocks.0.attn.add_q_proj.weight', 'pos_embed.proj.weight', 'context_embedder.weight'],
  width: ['x_embedder.proj.weight', 'pos_embed.proj.weight'],
  rows: [
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
  ],
}

const attention = (original: string, diffusers: string): readonly Row[] => [
  [`${original}.q`, `${diffusers}.to_q`],
  [`${original}.k`, `${diffusers}.to_k`],
  [`${original}.v`, `${diffusers}.to_v`],
  [`${original}.o`, `${diffusers}.to_out.0`],
  [`${original}.norm_q`, `${diffusers}.norm_q`],
  [`${original}.norm_k`, `${diffusers}.norm_k`],
]

/** Wan 2.1 and 2.2, whose second and third norm diffusers exchanged. */
const WAN: Transformer = {
  original: ['blocks.0.self_attn.q.weight', 'blocks.0.cross_attn.q.weight', 'text_embedding.0.weight'],
  diffusers: [
    'blocks.0.attn1.to_q.weight',
    'blocks.0.attn2.to_q.weight',
    'condition_embedder.text_embedder.linear_1.weight',
  ],
  rows: [
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
    ['img_emb.proj.0', 'condition_embedder.image_embedder.norm1'],
    ['img_emb.proj.1', 'condition_embedder.image_embedder.ff.net.0.proj'],
    ['img_emb.proj.3', 'condition_embedder.image_embedder.ff.net.2'],
    ['img_emb.proj.4', 'condition_embedder.image_embedder.norm2'],
    ['head.head', 'proj_out'],
    ['head.modulation', 'scale_shift_table'],
  ],
}

/** Z-Image, whose attention is fused where it does not come from diffusers. */
const Z_IMAGE: Transformer = {
  original: ['layers.0.attention.qkv.weight', 'noise_refiner.0.attention.qkv.weight', 'cap_embedder.1.weight'],
  diffusers: ['layers.0.attention.to_q.weight', 'noise_refiner.0.attention.to_q.weight', 'cap_embedder.1.weight'],
  rows: [
    ...['layers', 'context_refiner', 'noise_refiner'].flatMap((blocks): readonly Row[] => [
      ...fused(`${blocks}.#.attention.qkv`, `${blocks}.#.attention`, QKV),
      [`${blocks}.#.attention.out`, `${blocks}.#.attention.to_out.0`],
      [`${blocks}.#.attention.q_norm`, `${blocks}.#.attention.norm_q`],
      [`${blocks}.#.attention.k_norm`, `${blocks}.#.attention.norm_k`],
    ]),
    ['x_embedder', 'all_x_embedder.2-1'],
    ['final_layer.linear', 'all_final_layer.2-1.linear'],
    ['final_layer.adaLN_modulation.1', 'all_final_layer.2-1.adaLN_modulation.1'],
  ],
}

/** The transformers that diffusers renamed. */
export const TRANSFORMERS: readonly Transformer[] = [FLUX, SD3, WAN, Z_IMAGE]
