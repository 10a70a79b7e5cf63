import { words, type Component, type Family } from './family.js'

const part = (block: string, ...paths: readonly string[]) =>
  ({
    diffusion: false,
    blocks: paths.map((path) => [path, block] as const),
    encoders: { clip: block, t5: block },
    mbw: [],
  }) as const

const clip = {
  ...part('te', 'text_model', 'text_projection', 'logit_scale'),
  roots: ['', 'transformer', 'cond_stage_model.transformer'],
  words: words(
    'text_model text_projection embeddings position_embedding token_embedding encoder layers layer_norm1 layer_norm2 final_layer_norm',
    'self_attn q_proj k_proj v_proj out_proj mlp fc1 fc2',
  ),
  groups: [
    ['attn', 'self_attn'],
    ['ff', 'mlp'],
    ['mlp', 'mlp'],
    ['norm', 'layer_norm1', 'layer_norm2', 'final_layer_norm'],
    ['emb', 'embeddings'],
    ['proj', 'text_projection'],
  ],
} as const satisfies Partial<Family>

const openClip = {
  ...part(
    'te',
    'transformer.resblocks',
    'token_embedding',
    'positional_embedding',
    'ln_final',
    'text_projection',
    'logit_scale',
    'attn_mask',
  ),
  roots: ['', 'model', 'cond_stage_model.model'],
  words: words(
    'transformer resblocks token_embedding positional_embedding text_projection ln_1 ln_2 ln_final attn in_proj_weight in_proj_bias out_proj mlp c_fc c_proj',
  ),
  groups: [
    ['attn', 'attn'],
    ['ff', 'mlp'],
    ['mlp', 'mlp'],
    ['norm', 'ln_1', 'ln_2', 'ln_final'],
    ['emb', 'token_embedding', 'positional_embedding'],
    ['proj', 'text_projection'],
  ],
} as const satisfies Partial<Family>

const layer = (n: number) => `text_model.encoder.layers.${n}.self_attn.q_proj.weight`
const resblock = (n: number) => `transformer.resblocks.${n}.attn.in_proj_weight`

/** Text encoders and VAEs in files of their own. The CLIPs are told apart by their number of layers: 12, 24 and 32. */
export const PARTS: readonly Family[] = [
  {
    ...clip,
    id: 'clip-g',
    title: 'CLIP-G text encoder',
    component: 'clip_g',
    when: { [layer(0)]: [], [layer(31)]: [] },
  },
  {
    ...clip,
    id: 'clip-h',
    title: 'CLIP-H text encoder',
    component: 'clip_h',
    when: { [layer(0)]: [], [layer(22)]: [] },
  },
  { ...clip, id: 'clip-l', title: 'CLIP-L text encoder', component: 'clip_l', when: { [layer(0)]: [] } },
  {
    ...openClip,
    id: 'openclip-g',
    title: 'OpenCLIP-G text encoder',
    component: 'clip_g',
    when: { [resblock(0)]: [], [resblock(31)]: [] },
  },
  {
    ...openClip,
    id: 'openclip-h',
    title: 'OpenCLIP-H text encoder',
    component: 'clip_h',
    when: { [resblock(0)]: [], [resblock(22)]: [] },
  },
  { ...openClip, id: 'openclip-l', title: 'OpenCLIP-L text encoder', component: 'clip_l', when: { [resblock(0)]: [] } },
  {
    ...part('te', 'shared', 'encoder', 'decoder', 'lm_head', 'logit_scale'),
    id: 't5',
    title: 'T5 text encoder',
    component: 't5',
    roots: ['', 'transformer'],
    words: words(
      'shared embed_tokens lm_head encoder decoder block layer layer_norm final_layer_norm SelfAttention EncDecAttention relative_attention_bias q k v o DenseReluDense wi wi_0 wi_1 wo',
    ),
    when: { 'encoder.block.0.layer.0.SelfAttention.q.weight': [] },
    groups: [
      ['attn', 'SelfAttention', 'EncDecAttention'],
      ['ff', 'DenseReluDense'],
      ['mlp', 'DenseReluDense'],
      ['norm', 'layer_norm', 'final_layer_norm'],
      ['emb', 'shared', 'embed_tokens'],
      ['head', 'lm_head'],
    ],
  },
  {
    ...part('vae', 'encoder', 'decoder', 'quant_conv', 'post_quant_conv'),
    id: 'vae',
    title: 'VAE',
    component: 'vae',
    roots: ['', 'first_stage_model', 'vae'],
    words: words(
      'encoder decoder quant_conv post_quant_conv conv_in conv_out down up mid block block_1 block_2 attn attn_1 upsample downsample',
      'conv conv1 conv2 nin_shortcut norm norm1 norm2 norm_out q k v proj_out',
    ),
    when: {
      'encoder.conv_in.weight': [],
      'decoder.conv_in.weight': [],
      'decoder.mid.attn_1.q.weight': [],
      'quantize.embedding.weight': false,
    },
    groups: [
      ['attn', 'attn_1'],
      ['norm', 'norm', 'norm1', 'norm2', 'norm_out'],
      ['conv', 'conv', 'conv1', 'conv2', 'nin_shortcut', 'quant_conv', 'post_quant_conv'],
      ['io', 'conv_in', 'conv_out'],
    ],
  },
]

/**
 * What lies beside the diffusion model in a checkpoint, by its prefix; a longer prefix comes before one that it begins
 * with.
 */
export const COMPANIONS: readonly (readonly [prefix: string, component: Component])[] = [
  ['first_stage_model', 'vae'],
  ['vae', 'vae'],
  ['cond_stage_model.model', 'clip_h'],
  ['cond_stage_model', 'clip_l'],
  ['conditioner.embedders.0.model', 'clip_g'],
  ['conditioner.embedders.0', 'clip_l'],
  ['conditioner.embedders.1', 'clip_g'],
  ['text_encoders.clip_l', 'clip_l'],
  ['text_encoders.clip_g', 'clip_g'],
  ['text_encoders.t5xxl', 't5'],
]

/** Where checkpoints keep the networks that also come in files of their own. */
export const PART_ROOTS: readonly string[] = [
  'first_stage_model',
  'vae',
  'cond_stage_model.transformer',
  'cond_stage_model.model',
  'conditioner.embedders.0.transformer',
  'conditioner.embedders.0.model',
  'conditioner.embedders.1.model',
  'text_encoders.clip_l.transformer',
  'text_encoders.clip_g.transformer',
  'text_encoders.t5xxl.transformer',
]

/** The components that `component:clip` names together: what its users call the text encoder, T5 included. */
export const TEXT_ENCODERS: readonly Component[] = ['clip_l', 'clip_g', 'clip_h', 't5']
