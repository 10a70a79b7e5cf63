import { below } from '../tensor/roots.js'
import type { Architecture } from './detect.js'

/** Where programs read a part of a checkpoint, and where files have copies of it that they do not read. */
interface Reading {
  readonly read: string
  readonly unread: readonly string[]
}

const LEGACY_CLIP = ['embeddings', 'encoder', 'final_layer_norm'].map((path) => `cond_stage_model.transformer.${path}`)

const FIRST_STAGE: Reading = { read: 'first_stage_model', unread: ['vae'] }
const XL: readonly Reading[] = [
  { read: 'conditioner.embedders', unread: ['cond_stage_model', 'text_encoders'] },
  FIRST_STAGE,
]
const COMFY: Reading = { read: 'text_encoders', unread: ['cond_stage_model', 'conditioner'] }

/** By the id of an architecture. */
const READINGS: Readonly<Record<string, readonly Reading[]>> = {
  sd1: [
    {
      read: 'cond_stage_model.transformer.text_model',
      unread: [...LEGACY_CLIP, 'cond_stage_model.model', 'conditioner', 'text_encoders'],
    },
    FIRST_STAGE,
  ],
  sd2: [
    { read: 'cond_stage_model.model', unread: ['cond_stage_model.transformer', 'conditioner', 'text_encoders'] },
    FIRST_STAGE,
  ],
  sdxl: XL,
  'sdxl-small': XL,
  'sdxl-refiner': XL,
  sd3: [COMFY, FIRST_STAGE],
  flux: [COMFY, { read: 'vae', unread: ['first_stage_model'] }],
}

const isBelow = (root: string, name: string): boolean => below(root, name) !== undefined

/** The text encoders and VAEs of a checkpoint that programs do not read, because it has others where they look. */
export const findUnread = ({ id }: Architecture, names: readonly string[]): ReadonlySet<string> => {
  const roots = (READINGS[id] ?? []).flatMap(({ read, unread }) =>
    names.some((name) => isBelow(read, name)) ? unread : [],
  )
  return new Set(names.filter((name) => roots.some((root) => isBelow(root, name))))
}
