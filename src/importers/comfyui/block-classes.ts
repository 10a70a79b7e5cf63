const range = (count: number, name: (i: number) => string): readonly string[] =>
  Array.from({ length: count }, (_, i) => name(i))

const sd1 = [
  'time_embed.',
  'label_emb.',
  ...range(12, (i) => `input_blocks.${i}.`),
  ...range(3, (i) => `middle_block.${i}.`),
  ...range(12, (i) => `output_blocks.${i}.`),
  'out.',
]

/** Blocks of SDXL that have transformers: as many as these in the middle block, the input and the output blocks. */
const MIDDLE = 10
const INPUTS: ReadonlyMap<number, number> = new Map([
  [4, 2],
  [5, 2],
  [7, 10],
  [8, 10],
])
const OUTPUTS: ReadonlyMap<number, number> = new Map([
  [0, 10],
  [1, 10],
  [2, 10],
  [3, 2],
  [4, 2],
  [5, 2],
])
const TRANSFORMER_PARTS =
  'norm1 attn1.to_q attn1.to_k attn1.to_v attn1.to_out ff.net norm2 attn2.to_q attn2.to_k attn2.to_v attn2.to_out norm3'.split(
    ' ',
  )

/** The widgets of a node with one for each transformer of SDXL, or one for each of `parts` of each. */
const sdxlTransformers = (parts: readonly string[]): readonly string[] => {
  const inside = (path: string, count: number): readonly string[] =>
    range(count, (i) => `${path}transformer_blocks.${i}.`).flatMap((one) => parts.map((part) => `${one}${part}`))
  const block = (path: string, count: number | undefined): readonly string[] => [
    `${path}.0.`,
    ...(count === undefined ? [] : [`${path}.1.`, ...inside(`${path}.1.`, count)]),
  ]
  return [
    'time_embed.',
    'label_emb.',
    ...range(9, (i) => `input_blocks.${i}`).flatMap((path, i) => block(path, INPUTS.get(i))),
    'middle_block.0.',
    'middle_block.1.',
    ...inside('middle_block.1.', MIDDLE),
    'middle_block.2.',
    ...range(9, (i) => `output_blocks.${i}`).flatMap((path, i) => block(path, OUTPUTS.get(i))),
    'out.',
  ]
}

const sd3 = (blocks: number): readonly string[] => [
  'pos_embed.',
  'x_embedder.',
  'context_embedder.',
  'y_embedder.',
  't_embedder.',
  ...range(blocks, (i) => `joint_blocks.${i}.`),
  'final_layer.',
]

const cosmos = (blocks: number): readonly string[] => [
  'pos_embedder.',
  'extra_pos_embedder.',
  'x_embedder.',
  't_embedder.',
  'affline_norm.',
  ...range(blocks, (i) => `blocks.block${i}.`),
  'final_layer.',
]

const cosmosPredict2 = (blocks: number): readonly string[] => [
  'pos_embedder.',
  'x_embedder.',
  't_embedder.',
  't_embedding_norm.',
  ...range(blocks, (i) => `blocks.${i}.`),
  'final_layer.',
]

/**
 * The widgets of ComfyUI's block merging nodes, in order. A widget is for the tensors whose names, inside the diffusion
 * model, begin with its own; tensors of no widget take the first one.
 */
export const BLOCK_CLASSES: Readonly<Record<string, readonly string[]>> = {
  ModelMergeBlocks: ['input', 'middle', 'out'],
  ModelMergeSD1: sd1,
  ModelMergeSD2: sd1,
  ModelMergeSDXL: [
    'time_embed.',
    'label_emb.',
    ...range(9, (i) => `input_blocks.${i}`),
    ...range(3, (i) => `middle_block.${i}`),
    ...range(9, (i) => `output_blocks.${i}`),
    'out.',
  ],
  ModelMergeBlockNumber: sd1,
  ModelMergeSDXLTransformers: sdxlTransformers(['']),
  ModelMergeSDXLDetailedTransformers: sdxlTransformers(TRANSFORMER_PARTS),
  ModelMergeSD3_2B: sd3(24),
  ModelMergeSD35_Large: sd3(38),
  ModelMergeAuraflow: [
    'init_x_linear.',
    'positional_encoding',
    'cond_seq_linear.',
    'register_tokens',
    't_embedder.',
    ...range(4, (i) => `double_layers.${i}.`),
    ...range(32, (i) => `single_layers.${i}.`),
    'modF.',
    'final_linear.',
  ],
  ModelMergeFlux1: [
    'img_in.',
    'time_in.',
    'guidance_in',
    'vector_in.',
    'txt_in.',
    ...range(19, (i) => `double_blocks.${i}.`),
    ...range(38, (i) => `single_blocks.${i}.`),
    'final_layer.',
  ],
  ModelMergeMochiPreview: [
    'pos_frequencies.',
    't_embedder.',
    't5_y_embedder.',
    't5_yproj.',
    ...range(48, (i) => `blocks.${i}.`),
    'final_layer.',
  ],
  ModelMergeLTXV: [
    'patchify_proj.',
    'adaln_single.',
    'caption_projection.',
    ...range(28, (i) => `transformer_blocks.${i}.`),
    'scale_shift_table',
    'proj_out.',
  ],
  ModelMergeCosmos7B: cosmos(28),
  ModelMergeCosmos14B: cosmos(36),
  ModelMergeCosmosPredict2_2B: cosmosPredict2(28),
  ModelMergeCosmosPredict2_14B: cosmosPredict2(36),
  ModelMergeWAN2_1: [
    'patch_embedding.',
    'time_embedding.',
    'time_projection.',
    'text_embedding.',
    'img_emb.',
    ...range(40, (i) => `blocks.${i}.`),
    'head.',
  ],
  ModelMergeKrea2: [
    'first.',
    'tmlp.',
    'txtmlp.',
    'tproj.',
    ...range(2, (i) => `txtfusion.layerwise_blocks.${i}.`),
    'txtfusion.projector.',
    ...range(2, (i) => `txtfusion.refiner_blocks.${i}.`),
    ...range(28, (i) => `blocks.${i}.`),
    'last.',
  ],
  ModelMergeQwenImage: [
    'pos_embeds.',
    'img_in.',
    'txt_norm.',
    'txt_in.',
    'time_text_embed.',
    ...range(60, (i) => `transformer_blocks.${i}.`),
    'proj_out.',
  ],
}

/**
 * Prefixes that some models of a class lack: SD 1 and most of SD 2 have no labels, FLUX.1 schnell no guidance, and the
 * text to video model of Wan 2.1 no images.
 */
export const MAY_BE_ABSENT: ReadonlySet<string> = new Set([
  'label_emb.',
  'guidance_in',
  'img_emb.',
  'extra_pos_embedder.',
  'affline_norm.',
])

/** Names of single tensors, which a prefix with a dot does not reach: they take the first widget. */
export const TENSORS: ReadonlySet<string> = new Set(['pos_embed.', 'pos_frequencies.'])
