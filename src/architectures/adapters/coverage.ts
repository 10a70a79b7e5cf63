import type { Family, Form } from './conventions.js'

/**
 * What a name of an adapter stands for in a model: a layer, some rows of one that is fused, several layers that the
 * adapter has as one, a layer that is stored transposed, or one whose halves are exchanged.
 */
export type Situation = 'whole' | 'rows' | 'several' | 'transposed' | 'swapped'

/**
 * Kinds of adapters that a table names together. Each is applied in every situation; convolutions are layers like others,
 * and the only ones with a Tucker core.
 */
export const COVERED_KINDS = [
  'LoRA, LoCon, LoHa, LoKr, (IA)³',
  'DoRA',
  'DoRA of inputs',
  'GLoRA',
  'OFT, BOFT of LyCORIS',
  'OFT, BOFT of PEFT',
  'differences',
  'whole tensors',
] as const

/** Some modules of a network, by their paths in its original form and in that of diffusers. */
export interface ModulePaths {
  /** Several where diffusers has as many modules in place of one. */
  readonly diffusers: readonly string[]
  readonly original: string
  /** True where diffusers has the two halves of the rows the other way round. */
  readonly swapped?: true
}

/** A network, and what its trainers are known to write. */
export interface NetworkCoverage {
  readonly title: string
  readonly family: Family
  /** Trainers of the conventions that do not train it. */
  readonly without: readonly string[]
  readonly modules: readonly ModulePaths[]
}

const one = (original: string, diffusers: string): ModulePaths => ({ original, diffusers: [diffusers] })
const several = (original: string, inside: string, names: readonly string[]): ModulePaths => ({
  original,
  diffusers: names.map((name) => `${inside}.${name}`),
})

const QKV = ['to_q', 'to_k', 'to_v']
const ADDED = ['add_q_proj', 'add_k_proj', 'add_v_proj']

const unet = (title: string, modules: readonly ModulePaths[]): NetworkCoverage => ({
  title,
  family: 'unet',
  without: [],
  modules: [
    one(
      'input_blocks.4.1.transformer_blocks.0.attn2.to_k',
      'down_blocks.1.attentions.0.transformer_blocks.0.attn2.to_k',
    ),
    one(
      'middle_block.1.transformer_blocks.0.ff.net.0.proj',
      'mid_block.attentions.0.transformer_blocks.0.ff.net.0.proj',
    ),
    one('input_blocks.1.0.emb_layers.1', 'down_blocks.0.resnets.0.time_emb_proj'),
    one('input_blocks.3.0.op', 'down_blocks.0.downsamplers.0.conv'),
    one('middle_block.2.out_layers.3', 'mid_block.resnets.1.conv2'),
    one('time_embed.0', 'time_embedding.linear_1'),
    ...modules,
  ],
})

const FOUR_LEVELS = [
  one('output_blocks.2.1.conv', 'up_blocks.0.upsamplers.0.conv'),
  one('output_blocks.11.1.proj_in', 'up_blocks.3.attentions.2.proj_in'),
  one('input_blocks.10.0.in_layers.2', 'down_blocks.3.resnets.0.conv1'),
]
const THREE_LEVELS = [
  one('output_blocks.2.2.conv', 'up_blocks.0.upsamplers.0.conv'),
  one('output_blocks.8.0.skip_connection', 'up_blocks.2.resnets.2.conv_shortcut'),
]

/** Networks whose adapters are applied, each with modules of every sort that it has. */
export const NETWORK_COVERAGE: readonly NetworkCoverage[] = [
  unet('Stable Diffusion 1', FOUR_LEVELS),
  unet('Stable Diffusion 2', FOUR_LEVELS),
  unet('Stable Diffusion XL', [...THREE_LEVELS, one('label_emb.0.0', 'add_embedding.linear_1')]),
  unet('Stable Diffusion XL refiner', FOUR_LEVELS),
  unet('a smaller U-Net', [
    one('output_blocks.5.2.conv', 'up_blocks.1.upsamplers.0.conv'),
    one('output_blocks.8.1.proj_in', 'up_blocks.2.attentions.2.proj_in'),
  ]),
  {
    title: 'Stable Diffusion 3',
    family: 'transformer',
    without: ['XLabs', 'musubi-tuner', 'VideoX-Fun'],
    modules: [
      several('joint_blocks.3.x_block.attn.qkv', 'transformer_blocks.3.attn', QKV),
      several('joint_blocks.3.context_block.attn.qkv', 'transformer_blocks.3.attn', ADDED),
      one('joint_blocks.3.x_block.attn.proj', 'transformer_blocks.3.attn.to_out.0'),
      one('joint_blocks.3.context_block.mlp.fc1', 'transformer_blocks.3.ff_context.net.0.proj'),
      one('joint_blocks.3.x_block.adaLN_modulation.1', 'transformer_blocks.3.norm1.linear'),
      {
        ...one('joint_blocks.23.context_block.adaLN_modulation.1', 'transformer_blocks.23.norm1_context.linear'),
        swapped: true,
      },
      { ...one('final_layer.adaLN_modulation.1', 'norm_out.linear'), swapped: true },
      one('context_embedder', 'context_embedder'),
    ],
  },
  {
    title: 'Flux, Chroma',
    family: 'transformer',
    without: ['musubi-tuner', 'VideoX-Fun'],
    modules: [
      several('double_blocks.3.img_attn.qkv', 'transformer_blocks.3.attn', QKV),
      several('double_blocks.3.txt_attn.qkv', 'transformer_blocks.3.attn', ADDED),
      one('double_blocks.3.img_attn.proj', 'transformer_blocks.3.attn.to_out.0'),
      one('double_blocks.3.img_mod.lin', 'transformer_blocks.3.norm1.linear'),
      one('double_blocks.3.txt_mlp.2', 'transformer_blocks.3.ff_context.net.2'),
      {
        original: 'single_blocks.20.linear1',
        diffusers: [
          ...QKV.map((name) => `single_transformer_blocks.20.attn.${name}`),
          'single_transformer_blocks.20.proj_mlp',
        ],
      },
      one('single_blocks.20.linear2', 'single_transformer_blocks.20.proj_out'),
      one('single_blocks.20.modulation.lin', 'single_transformer_blocks.20.norm.linear'),
      one('img_in', 'x_embedder'),
      { ...one('final_layer.adaLN_modulation.1', 'norm_out.linear'), swapped: true },
    ],
  },
  {
    title: 'Wan',
    family: 'transformer',
    without: ['XLabs', 'kohya’s scripts'],
    modules: [
      one('blocks.3.self_attn.q', 'blocks.3.attn1.to_q'),
      one('blocks.3.cross_attn.o', 'blocks.3.attn2.to_out.0'),
      one('blocks.3.ffn.0', 'blocks.3.ffn.net.0.proj'),
      one('blocks.3.norm3', 'blocks.3.norm2'),
      one('head.head', 'proj_out'),
    ],
  },
  {
    title: 'Qwen-Image',
    family: 'transformer',
    without: ['XLabs', 'kohya’s scripts'],
    modules: [
      one('transformer_blocks.3.attn.to_q', 'transformer_blocks.3.attn.to_q'),
      one('transformer_blocks.3.attn.add_k_proj', 'transformer_blocks.3.attn.add_k_proj'),
      one('transformer_blocks.3.img_mlp.net.0.proj', 'transformer_blocks.3.img_mlp.net.0.proj'),
      one('transformer_blocks.3.img_mod.1', 'transformer_blocks.3.img_mod.1'),
      one('txt_in', 'txt_in'),
    ],
  },
  {
    title: 'Z-Image',
    family: 'transformer',
    without: ['XLabs', 'kohya’s scripts'],
    modules: [
      several('layers.3.attention.qkv', 'layers.3.attention', QKV),
      one('layers.3.attention.out', 'layers.3.attention.to_out.0'),
      one('layers.3.feed_forward.w1', 'layers.3.feed_forward.w1'),
      several('noise_refiner.0.attention.qkv', 'noise_refiner.0.attention', QKV),
      one('x_embedder', 'all_x_embedder.2-1'),
    ],
  },
]

/** A text encoder: what each trainer writes before its paths, in what stands alone or in a checkpoint. */
export interface EncoderCoverage {
  readonly title: string
  /** By trainer; a prefix that ends in `_` makes underscores of the dots. */
  readonly prefixes: Readonly<Record<string, readonly string[]>>
  readonly paths: readonly string[]
}

const CLIP = [
  ...['q', 'k', 'v', 'out'].map((x) => `text_model.encoder.layers.3.self_attn.${x}_proj`),
  'text_model.encoder.layers.3.mlp.fc1',
  'text_model.encoder.layers.3.mlp.fc2',
]

const encoder = (
  title: string,
  te: readonly string[],
  pipeline: readonly string[],
  omi: string,
  paths: readonly string[],
): EncoderCoverage => ({
  title,
  prefixes: {
    'kohya’s scripts': te,
    diffusers: pipeline,
    PEFT: pipeline.map((prefix) => `${prefix}base_model.model.`),
    OneTrainer: te.flatMap((prefix) => [prefix, prefix.replace(/_$/, '.')]),
    'OneTrainer (OMI)': [`${omi}.`],
    ComfyUI: [`text_encoders.${omi === 't5' ? 't5xxl' : omi}.transformer.`],
  },
  paths,
})

/** Text encoders whose adapters are applied. */
export const ENCODER_COVERAGE: readonly EncoderCoverage[] = [
  encoder('CLIP-L of Stable Diffusion 1', ['lora_te_'], ['text_encoder.'], 'clip_l', CLIP),
  encoder('CLIP-L of Stable Diffusion XL, Stable Diffusion 3, Flux', ['lora_te1_'], ['text_encoder.'], 'clip_l', CLIP),
  encoder('OpenCLIP-H of Stable Diffusion 2', ['lora_te_'], ['text_encoder.'], 'clip_h', CLIP),
  encoder('CLIP-G of Stable Diffusion XL, Stable Diffusion 3', ['lora_te2_'], ['text_encoder_2.'], 'clip_g', [
    ...CLIP,
    'text_projection',
  ]),
  encoder('T5 of Flux', ['lora_te2_', 'lora_te3_'], ['text_encoder_2.'], 't5', [
    'encoder.block.3.layer.0.SelfAttention.q',
    'encoder.block.3.layer.1.DenseReluDense.wi_0',
  ]),
  encoder('T5 of Stable Diffusion 3', ['lora_te3_'], ['text_encoder_3.'], 't5', [
    'encoder.block.3.layer.0.SelfAttention.q',
    'encoder.block.3.layer.1.DenseReluDense.wi_0',
  ]),
]

/** What a name in a form stands for in a model that has another form, or the same; undefined where there is none. */
export const situationOf = (
  { diffusers, swapped }: ModulePaths,
  names: Form,
  layout: 'original' | 'diffusers',
): Situation | undefined => {
  const fused = diffusers.length > 1
  if (names === 'parts' && !fused) return undefined
  if (names === 'processor' && !diffusers.some((path) => /\.to_(?:q|k|v|out\.0)$/.test(path))) return undefined
  const isPart = names === 'diffusers' || names === 'processor' || names === 'parts'
  if (fused && isPart) return layout === 'original' ? 'rows' : 'whole'
  if (fused) return layout === 'original' ? 'whole' : 'several'
  const isOther = (names === 'diffusers') !== (layout === 'diffusers')
  return swapped && isOther && names !== 'processor' ? 'swapped' : 'whole'
}
