import { DIFFUSION_ROOTS } from '../tensor/roots.js'
import { numbered, words, type Family } from './family.js'

const unet = {
  roots: DIFFUSION_ROOTS,
  component: 'unet',
  words: words(
    'time_embed label_emb input_blocks middle_block output_blocks out in_layers emb_layers out_layers skip_connection op conv',
    'norm norm1 norm2 norm3 proj_in proj_out transformer_blocks attn1 attn2 to_q to_k to_v to_out ff net proj',
  ),
  diffusion: true,
  blocks: [
    ['time_embed', 'time'],
    ['label_emb', 'label'],
    ['input_blocks.#', 'in.#'],
    ['middle_block', 'mid'],
    ['output_blocks.#', 'out.#'],
    ['out', 'final'],
  ],
  groups: [
    ['attn', 'attn1', 'attn2'],
    ['attn1', 'attn1'],
    ['attn2', 'attn2'],
    ['ff', 'ff.net'],
    ['norm', 'norm', 'norm1', 'norm2', 'norm3', 'in_layers.0', 'out_layers.0'],
    ['norm-transformer', 'norm', 'norm1', 'norm2', 'norm3'],
    ['norm-resnet', 'in_layers.0', 'out_layers.0'],
    ['proj', 'proj_in', 'proj_out'],
    ['conv', 'in_layers.2', 'out_layers.3', 'skip_connection', 'op', 'conv'],
    ['emb', 'emb_layers.1', 'time_embed', 'label_emb'],
    ['io', 'input_blocks.0', 'out'],
  ],
  encoders: { clip: 'te', t5: 'te' },
} as const satisfies Partial<Family>

const FIRST = 'input_blocks.0.0.weight'
const LAST = 'out.2.weight'
const CROSS = 'input_blocks.4.1.transformer_blocks.0.attn2.to_k.weight'
const DEEPEST_XL = 'input_blocks.8.1.transformer_blocks.9.attn2.to_k.weight'

const FOUR_LEVELS = ['te', ...numbered('in', 0, 11), 'mid', ...numbered('out', 0, 11)]
const THREE_LEVELS = ['te', ...numbered('in', 0, 8), 'mid', ...numbered('out', 0, 8)]

// Fixed by the field's onion masks; the general rule would move in.8 and out.8 one shell inward and outward.
const SD_SHELLS: Family['shells'] = {
  exterior: [...numbered('in', 0, 3), ...numbered('out', 9, 11)],
  interior: [...numbered('in', 4, 8), ...numbered('out', 4, 8)],
  core: [...numbered('in', 9, 11), 'mid', ...numbered('out', 0, 3)],
}

// As the tools do that the lists come from: what computes before the first block goes with it, what computes after the
// last with that.
// Lists of 26 also give the VAE the number of the text encoder; lists for SDXL have a 21st number for it.
const EMBEDDINGS = { time: 'in.0', label: 'in.0' }
const four = { ...unet, mbw: [FOUR_LEVELS], followers: { ...EMBEDDINGS, final: 'out.11', vae: 'te' } }
const sd = { ...four, shells: SD_SHELLS }
// A list of 26 is that of Stable Diffusion 1, of which supermerger takes what SDXL has; the VAE stays as it is.
const FOUR_LEVELS_CUT = FOUR_LEVELS.map((block) => (THREE_LEVELS.includes(block) ? block : ''))
const xl = {
  ...unet,
  mbw: [THREE_LEVELS, [...THREE_LEVELS, 'vae'], FOUR_LEVELS_CUT],
  followers: { ...EMBEDDINGS, final: 'out.8' },
}

/**
 * The U-Nets of Stable Diffusion, told apart by their width and the width of the text they attend to; any number of
 * input channels.
 */
export const UNETS: readonly Family[] = [
  {
    ...sd,
    id: 'sd1',
    title: 'Stable Diffusion 1',
    modelspec: 'stable-diffusion-v1',
    when: { [FIRST]: [320], [LAST]: [], [CROSS]: [0, 768] },
  },
  { ...sd, id: 'sd2', title: 'Stable Diffusion 2', when: { [FIRST]: [320], [LAST]: [], [CROSS]: [0, 1024] } },
  {
    ...xl,
    id: 'sdxl',
    title: 'Stable Diffusion XL',
    modelspec: 'stable-diffusion-xl-v1-base',
    when: { [FIRST]: [320], [LAST]: [], [CROSS]: [0, 2048], [DEEPEST_XL]: [] },
  },
  {
    ...xl,
    id: 'sdxl-small',
    title: 'Stable Diffusion XL, distilled',
    when: { [FIRST]: [320], [LAST]: [], [CROSS]: [0, 2048] },
  },
  {
    ...four,
    id: 'sdxl-refiner',
    title: 'Stable Diffusion XL refiner',
    modelspec: 'stable-diffusion-xl-v1-refiner',
    when: { [FIRST]: [384], [LAST]: [], [CROSS]: [0, 1280] },
  },
]
