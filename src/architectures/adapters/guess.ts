import { LANGUAGE_MODELS } from './names.js'

/** An architecture that an adapter seems made for: the ids of models that fit, and what to call it. */
export interface Guess {
  readonly ids: readonly string[]
  readonly title: string
}

const SD1: Guess = { ids: ['sd1'], title: 'Stable Diffusion 1' }
const SD2: Guess = { ids: ['sd2'], title: 'Stable Diffusion 2' }
const SDXL: Guess = { ids: ['sdxl', 'sdxl-small'], title: 'Stable Diffusion XL' }
const REFINER: Guess = { ids: ['sdxl-refiner'], title: 'Stable Diffusion XL refiner' }
const SD3: Guess = { ids: ['sd3'], title: 'Stable Diffusion 3' }
const FLUX: Guess = { ids: ['flux', 'chroma'], title: 'Flux.1' }
/** Networks that are not told apart by more than their names. */
const WAN: Guess = { ids: [], title: 'Wan' }
const QWEN_IMAGE: Guess = { ids: [], title: 'Qwen-Image' }
const Z_IMAGE: Guess = { ids: [], title: 'Z-Image or Lumina 2' }
const HUNYUAN: Guess = { ids: [], title: 'HunyuanVideo' }
const LANGUAGE: Guess = { ids: LANGUAGE_MODELS, title: 'a language model' }

/** By the width of the text embeddings that a U-Net attends to. */
const BY_TEXT_WIDTH: Readonly<Record<number, Guess>> = { 768: SD1, 1024: SD2, 2048: SDXL, 1280: REFINER }

const BY_NAME: readonly (readonly [pattern: RegExp, guess: Guess])[] = [
  // It has one block of two streams more than Flux, and two of one stream.
  [/(?:^|[._])(?:double_blocks[._]19|single_blocks[._]3[89])[._]/, HUNYUAN],
  [/(?:^|[._])(?:double_blocks|single_blocks|single_transformer_blocks)[._]\d/, FLUX],
  [/(?:^|[._])joint_blocks[._]\d/, SD3],
  [/(?:^|\.)model\.layers\.\d+\.(?:self_attn|mlp)\./, LANGUAGE],
  [/(?:^|[._])blocks[._]\d+[._](?:self|cross)_attn[._][qkvo](?:_img)?\.(?:lora|alpha|diff|hada|lokr|dora)/, WAN],
  [/(?:^|[._])transformer_blocks[._]\d+[._](?:img|txt)_(?:mlp|mod)[._]/, QWEN_IMAGE],
  [/(?:^|[._])layers[._]\d+[._]attention[._](?:to_[qkv]|to_out|qkv|out)[._]/, Z_IMAGE],
  [/^(?:lora_te2_text_model|text_encoder_2\.text_model)/, SDXL],
]

/** Factors that are as wide as the text: of what attends to it, and of the text encoder itself. */
const READS_TEXT: readonly RegExp[] = [
  /attn2[._](?:processor\.)?to_[kv][._](?:.*[._])?(?:down|A|hada_w1_b)(?:\.\w+)?(?:\.weight)?$/,
  /^lora_te_text_model_.*_q_proj\.lora_down\.weight$/,
]

/** What plans show for an adapter in place of an architecture. */
export const adapterTitle = (tensors: ReadonlyMap<string, { readonly shape: readonly number[] }>): string => {
  const guess = guessArchitecture(tensors)
  return guess === undefined ? 'adapter' : `adapter for ${guess.title}`
}

/** Guesses, from names and shapes, the architecture that an adapter was trained for; undefined if they do not tell. */
export const guessArchitecture = (
  tensors: ReadonlyMap<string, { readonly shape: readonly number[] }>,
): Guess | undefined => {
  for (const [pattern, guess] of BY_NAME) for (const name of tensors.keys()) if (pattern.test(name)) return guess
  for (const pattern of READS_TEXT) {
    for (const [name, { shape }] of tensors) {
      const guess = pattern.test(name) ? BY_TEXT_WIDTH[shape[1] ?? 0] : undefined
      if (guess !== undefined) return guess
    }
  }
  return undefined
}
