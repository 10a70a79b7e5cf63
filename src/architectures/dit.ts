import { DIFFUSION_ROOTS } from '../tensor/roots.js'
import { numbered, words, type Family } from './family.js'

const transformer = {
  roots: DIFFUSION_ROOTS,
  component: 'transformer',
  diffusion: true,
  encoders: { clip: 'clip', t5: 't5' },
} as const satisfies Partial<Family>

const flux = {
  ...transformer,
  words: words(
    'img_in txt_in vector_in time_in guidance_in in_layer out_layer double_blocks single_blocks img_attn txt_attn img_mlp txt_mlp img_mod txt_mod',
    'qkv proj norm query_norm key_norm lin linear linear1 linear2 modulation final_layer adaLN_modulation',
    'distilled_guidance_layer in_proj out_proj layers norms',
  ),
  blocks: [
    ['img_in', 'io'],
    ['txt_in', 'io'],
    ['vector_in', 'io'],
    ['time_in', 'io'],
    ['guidance_in', 'io'],
    ['distilled_guidance_layer', 'io'],
    ['double_blocks.#', 'double.#'],
    ['single_blocks.#', 'single.#'],
    ['final_layer', 'final'],
  ],
  groups: [
    ['attn', 'img_attn.qkv', 'img_attn.proj', 'txt_attn.qkv', 'txt_attn.proj'],
    ['ff', 'img_mlp', 'txt_mlp'],
    ['mlp', 'img_mlp', 'txt_mlp'],
    ['norm', 'query_norm', 'key_norm'],
    ['mod', 'img_mod', 'txt_mod', 'modulation', 'adaLN_modulation'],
    ['fused', 'linear1', 'linear2'],
    ['emb', 'time_in', 'vector_in', 'guidance_in', 'distilled_guidance_layer'],
    ['io', 'img_in', 'txt_in', 'final_layer.linear'],
  ],
  mbw: [['clip', 't5', 'io', ...numbered('double', 0, 18), ...numbered('single', 0, 37), 'final']],
} as const satisfies Partial<Family>

const sd3 = {
  ...transformer,
  id: 'sd3',
  words: words(
    'x_embedder context_embedder y_embedder t_embedder pos_embed joint_blocks x_block context_block attn attn2 qkv proj ln_q ln_k',
    'mlp fc1 fc2 linear adaLN_modulation final_layer',
  ),
  blocks: [
    ['x_embedder', 'io'],
    ['context_embedder', 'io'],
    ['y_embedder', 'io'],
    ['t_embedder', 'io'],
    ['pos_embed', 'io'],
    ['joint_blocks.#', 'joint.#'],
    ['final_layer', 'final'],
  ],
  groups: [
    ['attn', 'attn', 'attn2'],
    ['ff', 'x_block.mlp', 'context_block.mlp'],
    ['mlp', 'x_block.mlp', 'context_block.mlp'],
    ['norm', 'ln_q', 'ln_k'],
    ['mod', 'adaLN_modulation'],
    ['emb', 't_embedder', 'y_embedder', 'pos_embed'],
    ['io', 'x_embedder', 'context_embedder', 'final_layer.linear'],
  ],
  mbw: [],
} as const satisfies Partial<Family>

const FLUX = { 'double_blocks.0.img_attn.norm.key_norm.scale': [], 'img_in.weight': [] }
const SD3 = { 'joint_blocks.0.context_block.attn.qkv.weight': [], 'x_embedder.proj.weight': [] }

/** The diffusion transformers: Flux and its relatives, and Stable Diffusion 3. */
export const DITS: readonly Family[] = [
  {
    ...flux,
    id: 'chroma',
    title: 'Chroma',
    modelspec: 'chroma',
    when: { ...FLUX, 'distilled_guidance_layer.in_proj.weight': [] },
    mbw: [],
  },
  {
    ...flux,
    id: 'flux',
    title: 'Flux.1 dev',
    modelspec: 'flux-1-dev',
    when: { ...FLUX, 'guidance_in.in_layer.weight': [] },
  },
  { ...flux, id: 'flux', title: 'Flux.1 schnell', modelspec: 'flux-1-schnell', when: FLUX },
  {
    ...sd3,
    title: 'Stable Diffusion 3 medium',
    modelspec: 'stable-diffusion-v3-medium',
    when: { ...SD3, 'x_embedder.proj.weight': [1536], 'joint_blocks.0.x_block.attn.ln_q.weight': false },
  },
  { ...sd3, title: 'Stable Diffusion 3', when: SD3 },
]
