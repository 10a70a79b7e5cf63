import type { JsonSchema } from '../document/schema.js'
import { explain, type Audience } from '../operators/audience.js'

const EXAMPLE = {
  smelt: 1,
  presets: { SOFT: [0, ...Array.from({ length: 25 }, (_, i) => i / 32)] },
}

/** Block weights by the names of presets. */
const listsSchema = (audience: Audience): JsonSchema => ({
  title: 'lists of block weights by name',
  type: 'object',
  additionalProperties: {
    title: 'a list of block weights',
    type: 'array',
    items: { type: 'number' },
    minItems: 1,
    ...explain(
      'One number for each block, as the architecture orders them: 26 for SD1 and SD2, 20 or 21 for SDXL, 61 for Flux.',
      audience,
    ),
  },
  minProperties: 1,
})

/** The JSON Schema of `presets` in a recipe or a part: files, or lists in place. */
export const presetsSchema = (audience: Audience): JsonSchema => {
  const path = { title: 'the path of a file of presets', type: 'string', minLength: 1 }
  return {
    anyOf: [
      path,
      { title: 'a list of files of presets', type: 'array', items: path, minItems: 1 },
      listsSchema(audience),
    ],
    ...explain(
      'Block weights with names that `preset:` knows besides smelt’s own: a file of presets, several, or the lists themselves.',
      audience,
    ),
  }
}

/** The JSON Schema (draft 07) of a file of presets. */
export const presetsFileSchema = (audience: Audience): JsonSchema => {
  const say = (text: string): JsonSchema => explain(text, audience)
  return {
    ...(audience.editor ? { $schema: 'http://json-schema.org/draft-07/schema#', $id: 'urn:smelt:presets:1' } : {}),
    title: 'a file of presets',
    type: 'object',
    ...say('Block weights by name, which recipes with `presets: THIS-FILE` use as `preset: NAME`.'),
    properties: {
      smelt: { const: 1, ...say('The version of the recipe language: `1`.') },
      name: { title: 'a string', type: 'string', ...say('What the presets are called.') },
      description: { title: 'a string', type: 'string', ...say('What they are for.') },
      presets: listsSchema(audience),
    },
    required: ['smelt', 'presets'],
    additionalProperties: false,
    ...(audience.editor ? { examples: [EXAMPLE] } : {}),
  }
}

/** The schema that files of presets are checked with. */
export const PRESETS_FILE_SCHEMA: JsonSchema = presetsFileSchema({ editor: false })
