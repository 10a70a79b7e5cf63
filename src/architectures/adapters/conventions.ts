import type { Prefixes } from './spelling.js'

/**
 * Which of a module's names a trainer writes: that of the network's own code, that of diffusers, diffusers' through the
 * processor of attention, that of XLabs' trainer, or the original with a number for each part of a fused module.
 */
export type Form = 'original' | 'diffusers' | 'processor' | 'xlabs' | 'parts'

/** How a trainer names modules: a form, behind prefixes. One that ends in `_` makes underscores of the dots. */
export interface Convention {
  readonly trainer: string
  readonly form: Form
  readonly prefixes: readonly string[]
}

/** Networks that are named in the same way. */
export type Family = 'unet' | 'transformer'

const KOHYA = 'kohya’s scripts'
const DIFFUSERS = 'diffusers'
const PEFT = 'PEFT'
const LYCORIS = 'LyCORIS'
const COMFYUI = 'ComfyUI'
const ONE_TRAINER = 'OneTrainer'
const OMI = 'OneTrainer (OMI)'
const AI_TOOLKIT = 'ai-toolkit'
const SIMPLE_TUNER = 'SimpleTuner'
const MUSUBI = 'musubi-tuner'
const XLABS = 'XLabs'
const VIDEOX_FUN = 'VideoX-Fun'
const BARE = 'no prefix'

const named = (trainer: string, form: Form, ...prefixes: readonly string[]): Convention => ({ trainer, form, prefixes })

/**
 * The names of modules by trainer. Of two that differ in the prefix alone the likelier comes first: what smelt writes
 * takes that.
 */
export const CONVENTIONS: Readonly<Record<Family, readonly Convention[]>> = {
  unet: [
    named(KOHYA, 'original', 'lora_unet_', 'oft_unet_'),
    named(LYCORIS, 'original', 'lycoris_'),
    named(COMFYUI, 'original', 'diffusion_model.', 'model.diffusion_model.'),
    named(OMI, 'original', 'unet.'),
    named(PEFT, 'original', 'base_model.model.'),
    named(BARE, 'original', ''),
    named(KOHYA, 'diffusers', 'lora_unet_', 'oft_unet_'),
    named(DIFFUSERS, 'diffusers', 'unet.'),
    named(`${DIFFUSERS}, old`, 'processor', 'unet.', ''),
    named(PEFT, 'diffusers', 'base_model.model.', 'unet.base_model.model.'),
    named(LYCORIS, 'diffusers', 'lycoris_'),
    named(ONE_TRAINER, 'diffusers', 'lora_unet_', 'lora_unet.'),
    named(SIMPLE_TUNER, 'diffusers', 'unet.', 'lycoris_'),
    named(AI_TOOLKIT, 'diffusers', 'unet.', 'lora_unet_', 'diffusion_model.'),
    named(BARE, 'diffusers', ''),
  ],
  transformer: [
    named(KOHYA, 'original', 'lora_unet_', 'oft_unet_'),
    named(MUSUBI, 'original', 'lora_unet_'),
    named(VIDEOX_FUN, 'original', 'lora_unet__'),
    named(LYCORIS, 'original', 'lycoris_'),
    named(COMFYUI, 'original', 'diffusion_model.', 'model.diffusion_model.'),
    named(AI_TOOLKIT, 'original', 'diffusion_model.', 'transformer.'),
    named(PEFT, 'original', 'base_model.model.'),
    named(OMI, 'original', 'transformer.'),
    named(OMI, 'parts', 'transformer.'),
    named(BARE, 'original', ''),
    named(XLABS, 'xlabs', '', 'transformer.', 'diffusion_model.'),
    named(DIFFUSERS, 'diffusers', 'transformer.'),
    named(PEFT, 'diffusers', 'transformer.base_model.model.', 'base_model.model.'),
    named(ONE_TRAINER, 'diffusers', 'lora_transformer_', 'lora_transformer.'),
    named(AI_TOOLKIT, 'diffusers', 'transformer.', 'diffusion_model.'),
    named(SIMPLE_TUNER, 'diffusers', 'transformer.', 'lycoris_'),
    named(MUSUBI, 'diffusers', 'lora_unet_'),
    named(BARE, 'diffusers', ''),
  ],
}

/** Every prefix of some conventions, each once. */
const prefixesIn = (conventions: readonly Convention[]): Prefixes => {
  const all = [...new Set(conventions.flatMap(({ prefixes }) => prefixes))]
  const isUnderscored = (prefix: string): boolean => prefix.endsWith('_')
  return { dotted: all.filter((prefix) => !isUnderscored(prefix)), underscored: all.filter(isUnderscored) }
}

/** The prefixes that stand before a form of the modules' names, whoever writes them. */
export const prefixesOf = (families: readonly Family[], forms: readonly Form[]): Prefixes =>
  prefixesIn(families.flatMap((family) => CONVENTIONS[family].filter(({ form }) => forms.includes(form))))
