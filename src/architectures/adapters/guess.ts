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

/** What trainers write into the header of the model that an adapter was trained on, in either of two entries. */
const STATED = ['ss_base_model_version', 'modelspec.architecture'] as const
const BY_STATEMENT: readonly (readonly [pattern: RegExp, guess: Guess])[] = [
  [/^(?:sd_?v?1|stable-diffusion-v1)/, SD1],
  [/^(?:sd_?v?2|stable-diffusion-v2)/, SD2],
  [/^(?:sdxl_base|stable-diffusion-xl-v1-base)/, SDXL],
  [/^(?:sd_?v?3|stable-diffusion-3|stable-diffusion-v3)/, SD3],
  [/^flux-?1/, FLUX],
]

/** kohya's scripts number the text encoders of these, and not the only one of others. */
const NUMBERED: Guess = {
  ids: [...SDXL.ids, ...SD3.ids, ...FLUX.ids],
  title: `${SDXL.title}, ${SD3.title} or ${FLUX.title}`,
}

/** Architectures of whole models, which adapters are told apart by. */
const WHOLE: readonly string[] = [SD1, SD2, SDXL, REFINER, SD3, FLUX, LANGUAGE].flatMap(({ ids }) => ids)

/**
 * What an adapter that fits a model of an architecture was made for, if names and shapes tell another, or its header
 * does where these tell nothing; undefined where nothing speaks against the model.
 */
export const otherBase = (
  tensors: ReadonlyMap<string, { readonly shape: readonly number[] }>,
  metadata: ReadonlyMap<string, string>,
  architecture: string,
): Guess | undefined => {
  if (!WHOLE.includes(architecture)) return undefined
  const stated = STATED.flatMap((key) => metadata.get(key)?.toLowerCase() ?? [])
  const guess =
    guessArchitecture(tensors) ??
    BY_STATEMENT.find(([pattern]) => stated.some((text) => pattern.test(text)))?.[1] ??
    ([...tensors.keys()].some((name) => name.startsWith('lora_te1_')) ? NUMBERED : undefined)
  return guess === undefined || guess.ids.includes(architecture) ? undefined : guess
}
