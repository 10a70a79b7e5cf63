import type { Prefixes, Spelling } from './spelling.js'

/** How the tensors of a text encoder are laid out: as Hugging Face has them, as OpenCLIP has them, or a T5. */
type Form = 'hugging-face' | 'open-clip' | 't5'

interface Encoder extends Prefixes {
  readonly form: Form
}

/** `omi` is what the OMI format, which OneTrainer writes, calls an encoder. */
const named = (
  form: Form,
  underscored: readonly string[],
  dotted: readonly string[],
  omi: readonly string[] = [],
): Encoder => ({
  form,
  underscored,
  dotted: [
    ...dotted.flatMap((prefix) => [prefix, `${prefix}base_model.model.`]),
    ...omi.flatMap((name) => [`${name}.`, `text_encoders.${name}.transformer.`]),
    // OneTrainer's raw names have dots behind kohya's prefixes.
    ...underscored.map((prefix) => prefix.replace(/_$/, '.')),
  ],
})

const L = ['clip_l']
const G = ['clip_g']
const T5 = ['t5', 't5xxl']

/** Text encoders inside checkpoints, by the prefix of their tensors. */
const INSIDE: readonly (readonly [prefix: string, encoder: Encoder])[] = [
  ['cond_stage_model.transformer.', named('hugging-face', ['lora_te_', 'lora_te1_'], ['text_encoder.'], L)],
  ['cond_stage_model.model.', named('open-clip', ['lora_te_', 'lora_te1_'], ['text_encoder.'], ['clip_h'])],
  ['conditioner.embedders.0.transformer.', named('hugging-face', ['lora_te1_'], ['text_encoder.'], L)],
  ['conditioner.embedders.0.model.', named('open-clip', ['lora_te_'], ['text_encoder.', 'text_encoder_2.'], G)],
  ['conditioner.embedders.1.model.', named('open-clip', ['lora_te2_'], ['text_encoder_2.'], G)],
  ['text_encoders.clip_l.transformer.', named('hugging-face', ['lora_te1_'], ['text_encoder.'], L)],
  ['text_encoders.clip_g.transformer.', named('hugging-face', ['lora_te2_'], ['text_encoder_2.'], G)],
  // The second encoder of Flux and the third of SD3; a T5's paths are never a CLIP's, so both names are free.
  [
    'text_encoders.t5xxl.transformer.',
    named('t5', ['lora_te2_', 'lora_te3_'], ['text_encoder_2.', 'text_encoder_3.'], T5),
  ],
]

const FIRST = ['lora_te_', 'lora_te1_']
const SECOND = ['lora_te_', 'lora_te2_']
const PIPELINE = ['text_encoder.', 'text_encoder_2.', 'text_encoder_3.', '']

/**
 * Text encoders in files of their own, by architecture: what begins their names besides their paths, and what they are
 * called.
 */
const ALONE: Readonly<Record<string, readonly [prefix: RegExp, encoder: Encoder]>> = {
  'clip-l': [/^(?:cond_stage_model\.)?transformer\./, named('hugging-face', FIRST, PIPELINE, L)],
  'clip-h': [/^(?:cond_stage_model\.)?transformer\./, named('hugging-face', FIRST, PIPELINE, ['clip_h'])],
  'clip-g': [/^(?:cond_stage_model\.)?transformer\./, named('hugging-face', SECOND, PIPELINE, G)],
  'openclip-l': [/^(?:cond_stage_model\.)?model\./, named('open-clip', FIRST, PIPELINE, L)],
  'openclip-h': [/^(?:cond_stage_model\.)?model\./, named('open-clip', FIRST, PIPELINE, ['clip_h'])],
  'openclip-g': [/^(?:cond_stage_model\.)?model\./, named('open-clip', SECOND, PIPELINE, G)],
  t5: [/^transformer\./, named('t5', ['lora_te2_', 'lora_te3_'], PIPELINE, T5)],
}

/**
 * A module's path below its text encoder, and that encoder; undefined for modules of no text encoder. `architecture` is
 * the file's; undefined where smelt does not tell it.
 */
export const findEncoder = (
  module: string,
  architecture: string | undefined,
): { readonly path: string; readonly encoder: Encoder } | undefined => {
  const alone = ALONE[architecture ?? '']
  if (alone !== undefined) return { path: module.replace(alone[0], ''), encoder: alone[1] }
  const inside = INSIDE.find(([prefix]) => module.startsWith(prefix))
  return inside === undefined ? undefined : { path: module.slice(inside[0].length), encoder: inside[1] }
}

const OPEN_CLIP_LAYER: Readonly<Record<string, string>> = {
  'attn.out_proj': 'self_attn.out_proj',
  'mlp.c_fc': 'mlp.fc1',
  'mlp.c_proj': 'mlp.fc2',
  ln_1: 'layer_norm1',
  ln_2: 'layer_norm2',
}

const OPEN_CLIP_TOP: Readonly<Record<string, Spelling>> = {
  ln_final: { path: 'text_model.final_layer_norm' },
  token_embedding: { path: 'text_model.embeddings.token_embedding' },
  positional_embedding: { path: 'text_model.embeddings.position_embedding' },
  text_projection: { path: 'text_projection', change: 'transposed' },
}

/** OpenCLIP fuses the three projections of attention into one tensor, by rows. */
const openClip = (path: string, rows: number): readonly Spelling[] => {
  const layer = /^transformer\.resblocks\.(\d+)\.(.+)$/.exec(path)
  if (layer === null) return OPEN_CLIP_TOP[path] === undefined ? [] : [OPEN_CLIP_TOP[path]]
  const inLayer = `text_model.encoder.layers.${layer[1]}`
  const rest = layer[2]!
  if (rest === 'attn.in_proj') {
    const count = rows / 3
    return ['q', 'k', 'v'].map((x, i) => ({
      path: `${inLayer}.self_attn.${x}_proj`,
      rows: { first: i * count, count },
    }))
  }
  return OPEN_CLIP_LAYER[rest] === undefined ? [] : [{ path: `${inLayer}.${OPEN_CLIP_LAYER[rest]}` }]
}

/** What older diffusers call the projections of attention. */
const oldNames = (spelling: Spelling): readonly Spelling[] => {
  const match = /^(.+\.self_attn)\.(q|k|v|out)_proj$/.exec(spelling.path)
  return match === null ? [] : [{ ...spelling, path: `${match[1]}.to_${match[2]}` }]
}

/** How Hugging Face spells a module of a text encoder; `rows` are the rows of its weight. */
export const encoderNames = (form: Form, path: string, rows: number): readonly Spelling[] => {
  if (form === 't5') return [{ path }]
  // An early checkpoint leaves the first segment out.
  const whole = /^(?:embeddings|encoder|final_layer_norm)\b/.test(path) ? `text_model.${path}` : path
  const spellings = form === 'open-clip' ? openClip(path, rows) : [{ path: whole }]
  return spellings.flatMap((s) => [s, ...oldNames(s)])
}
