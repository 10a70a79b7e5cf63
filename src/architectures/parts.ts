import type { Component, Family } from './family.js'

const part = (block: string) => ({ diffusion: false, blocks: [['', block]], encoders: { clip: block, t5: block }, mbw: [] }) as const

const clip = {
  ...part('te'),
  roots: ['', 'transformer', 'cond_stage_model.transformer'],
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
  ...part('te'),
  roots: ['', 'model', 'cond_stage_model.model'],
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
  { ...clip, id: 'clip-g', title: 'CLIP-G text encoder', component: 'clip_g', when: { [layer(0)]: [], [layer(31)]: [] } },
  { ...clip, id: 'clip-h', title: 'CLIP-H text encoder', component: 'clip_h', when: { [layer(0)]: [], [layer(22)]: [] } },
  { ...clip, id: 'clip-l', title: 'CLIP-L text encoder', component: 'clip_l', when: { [layer(0)]: [] } },
  { ...openClip, id: 'openclip-g', title: 'OpenCLIP-G text encoder', component: 'clip_g', when: { [resblock(0)]: [], [resblock(31)]: [] } },
  { ...openClip, id: 'openclip-h', title: 'OpenCLIP-H text encoder', component: 'clip_h', when: { [resblock(0)]: [], [resblock(22)]: [] } },
  { ...openClip, id: 'openclip-l', title: 'OpenCLIP-L text encoder', component: 'clip_l', when: { [resblock(0)]: [] } },
  {
    ...part('te'),
    id: 't5',
    title: 'T5 text encoder',
    component: 't5',
    roots: ['', 'transformer'],
    when: { 'encoder.block.0.layer.0.SelfAttention.q.weight': [] },
    groups: [
      ['attn', 'SelfAttention', 'EncDecAttention'],
      ['ff', 'DenseReluDense'],
      ['mlp', 'DenseReluDense'],
      ['norm', 'layer_norm', 'final_layer_norm'],
      ['emb', 'shared', 'embed_tokens'],
    ],
  },
  {
    ...part('vae'),
    id: 'vae',
    title: 'VAE',
    component: 'vae',
    roots: ['', 'first_stage_model', 'vae'],
    when: { 'encoder.conv_in.weight': [], 'decoder.conv_in.weight': [], 'decoder.mid.attn_1.q.weight': [] },
    groups: [
      ['attn', 'attn_1'],
      ['norm', 'norm', 'norm1', 'norm2', 'norm_out'],
      ['conv', 'conv', 'conv1', 'conv2', 'nin_shortcut', 'quant_conv', 'post_quant_conv'],
      ['io', 'conv_in', 'conv_out'],
    ],
  },
]

/** What lies beside the diffusion model in a checkpoint, by its prefix; a longer prefix comes before one that it begins with. */
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

/** The components that `component:clip` names together: what its users call the text encoder, T5 included. */
export const TEXT_ENCODERS: readonly Component[] = ['clip_l', 'clip_g', 'clip_h', 't5']
