/**
 * Where transformers keeps the parts of a model with images, and what its checkpoints call them: the order of the two
 * changed with its versions 4.52 and 5, and adapters have the names of the model in memory that they were trained on.
 */
const MOVED: readonly (readonly [now: RegExp, before: string])[] = [
  [/^model\.language_model\./, 'language_model.model.'],
  [/^model\.language_model\./, 'model.'],
  [/^model\.(visual|vision_tower|multi_modal_projector|audio_tower|embed_vision|embed_audio)\./, '$1.'],
  [/^lm_head(?=$|\.)/, 'language_model.lm_head'],
  // What is loaded without its head has no `model.` around it.
  [/^model\.(layers|embed_tokens|norm|language_model|visual)(?=$|\.)/, '$1'],
]

const BACK: readonly (readonly [before: RegExp, now: string])[] = [
  [/^language_model\.model\./, 'model.language_model.'],
  [/^language_model\.model\./, 'model.'],
  [/^language_model\.lm_head(?=$|\.)/, 'lm_head'],
  [/^(visual|vision_tower|multi_modal_projector|audio_tower|embed_vision|embed_audio)\./, 'model.$1.'],
  [/^(layers|embed_tokens|norm)(?=$|\.)/, 'model.$1'],
]

/** The text layers of a checkpoint that has its images beside them, under the names of the model in memory. */
const TEXT: readonly (readonly [RegExp, string])[] = [
  [/^model\.(layers|embed_tokens|norm)(?=$|\.)/, 'model.language_model.$1'],
  [/^model\.(layers|embed_tokens|norm)(?=$|\.)/, 'language_model.$1'],
]
const IMAGES = /^(?:model\.)?(?:visual|vision_tower)\./

/**
 * Gives the other names that versions of transformers have for a module of a language model; none that is a module of
 * this model itself.
 */
export const languageNames = (paths: ReadonlySet<string>): ((path: string) => readonly string[]) => {
  const seesImages = [...paths].some((path) => IMAGES.test(path))
  const rules = [...MOVED, ...BACK, ...(seesImages ? TEXT : [])]
  return (path) => {
    const others = rules.flatMap(([pattern, name]) => (pattern.test(path) ? [path.replace(pattern, name)] : []))
    return [...new Set(others)].filter((other) => !paths.has(other))
  }
}
