import { besideKinds } from '../../base/catalogue/adapter-tensors.js'

/** What programs load beside a model, by names that tell it: the whole name of every tensor, or the start of one. */
const BESIDE: readonly (readonly [kind: string, tells: (names: readonly string[]) => boolean])[] = [
  [besideKinds.embedding, (names) => names.every((name) => /^(?:emb_params|clip_[lg]|t5xxl)$/.test(name))],
  [besideKinds.lllite, (names) => names.some((name) => name.startsWith('lllite_'))],
  [besideKinds.imagePrompt, (names) => names.some((name) => /^(?:image_proj|ip_adapter)\./.test(name))],
  [
    besideKinds.controlNet,
    (names) => names.some((name) => /^(?:control_model|controlnet_(?:cond_embedding|down_blocks|blocks))\./.test(name)),
  ],
  [besideKinds.motion, (names) => names.some((name) => /(?:^|\.)motion_modules\./.test(name))],
]

/** What a file is that programs load beside a model, and that no weights can take; undefined for any other. */
export const kindBeside = (names: readonly string[]): string | undefined =>
  names.length === 0 ? undefined : BESIDE.find(([, tells]) => tells(names))?.[0]

/** How names of the modules of text encoders begin, whoever trains them. */
const OF_TEXT = /^(?:lora_te\d?[._]|lycoris_te\d?_|text_encoders?(?:_\d)?\.|clip_[glh]\.|t5\.)/

/** True for tensors that are all of text encoders, by their names. */
export const isOfText = (names: readonly string[]): boolean => names.every((name) => OF_TEXT.test(name))
