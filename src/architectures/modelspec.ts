import { detectArchitecture } from './detect.js'

/** What ModelSpec asks of every checkpoint of an architecture, without the prefix `modelspec.`. */
export interface ModelspecFacts {
  readonly architecture: string
  /** The codebase whose names the tensors have. */
  readonly implementation: string
  /** Width and height in pixels that the architecture was trained at. */
  readonly resolution: string
}

const STABILITY = 'https://github.com/Stability-AI/generative-models'
const FLUX = 'https://github.com/black-forest-labs/flux'
const CHROMA = 'https://huggingface.co/lodestones/Chroma'

const FACTS: Readonly<Record<string, Omit<ModelspecFacts, 'architecture'>>> = {
  'stable-diffusion-v1': { implementation: STABILITY, resolution: '512x512' },
  'stable-diffusion-v2-512': { implementation: STABILITY, resolution: '512x512' },
  'stable-diffusion-v2-768-v': { implementation: STABILITY, resolution: '768x768' },
  'stable-diffusion-xl-v1-base': { implementation: STABILITY, resolution: '1024x1024' },
  'stable-diffusion-xl-v1-refiner': { implementation: STABILITY, resolution: '1024x1024' },
  'stable-diffusion-v3-medium': { implementation: STABILITY, resolution: '1024x1024' },
  'flux-1-dev': { implementation: FLUX, resolution: '1024x1024' },
  'flux-1-schnell': { implementation: FLUX, resolution: '1024x1024' },
  chroma: { implementation: CHROMA, resolution: '1024x1024' },
}

/** What ModelSpec asks besides of a checkpoint with that id; undefined for ids that smelt does not know. */
export const modelspecFacts = (id: string): ModelspecFacts | undefined => {
  const facts = FACTS[id]
  return facts === undefined ? undefined : { architecture: id, ...facts }
}

/** Ids between which names and shapes do not decide, by smelt's own id. */
const UNDECIDED: Readonly<Record<string, readonly string[]>> = {
  sd2: ['stable-diffusion-v2-512', 'stable-diffusion-v2-768-v'],
}

/** Channels of the latents that a U-Net takes unless it is made for inpainting, editing or the like. */
const PLAIN_CHANNELS = 4
const FIRST_LAYER = 'input_blocks.0.0.weight'
const ID = /^[a-z0-9][a-z0-9./-]{0,79}$/

type Shapes = ReadonlyMap<string, { readonly shape: readonly number[] }>

/**
 * What ModelSpec calls a checkpoint with these tensors; undefined where nothing true can be said. `claimed` is what a
 * parent says it
 * is: believed where names and shapes leave a choice, or where it is a finer name for what they show
 * (`stable-diffusion-v1-inpainting`).
 */
export const readModelspec = (tensors: Shapes, claimed: string | undefined): ModelspecFacts | undefined => {
  const known = detectArchitecture(tensors)
  if (known === undefined) return undefined
  const ids = known.modelspec === undefined ? (UNDECIDED[known.id] ?? []) : [known.modelspec]
  const parent =
    claimed === undefined || !ID.test(claimed)
      ? undefined
      : ids.find((id) => claimed === id || claimed.startsWith(`${id}-`) || claimed.startsWith(`${id}/`))
  const first = known.diffusionPrefix === '' ? FIRST_LAYER : `${known.diffusionPrefix ?? ''}.${FIRST_LAYER}`
  const plain = (tensors.get(first)?.shape[1] ?? PLAIN_CHANNELS) === PLAIN_CHANNELS
  // A model with other inputs is run differently, so the plain name would be false, whoever says it.
  const believed = parent !== undefined && (plain || claimed !== parent) ? claimed : undefined
  const architecture = believed ?? (plain ? known.modelspec : undefined)
  const facts = FACTS[parent ?? known.modelspec ?? '']
  return architecture === undefined || facts === undefined ? undefined : { architecture, ...facts }
}
