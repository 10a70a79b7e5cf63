import type { JsonSchema } from '../document/schema.js'
import { OUTPUT_DTYPES, SCALED_DTYPE } from '../tensor/dtype.js'
import { explain, orParam, type Audience } from './audience.js'

/** A layer pattern. */
export const PATTERN: JsonSchema = {
  title: 'a layer pattern',
  type: 'string',
  minLength: 1,
  examples: ['**.attn2', 'block:out.*', '!*.bias'],
}

const DTYPES = ['same', ...Object.keys(OUTPUT_DTYPES), SCALED_DTYPE]

/** One dtype, or dtypes by layer with a `default`. */
export const dtypeSchema = (audience: Audience): JsonSchema => {
  const dtype = orParam({ title: 'a dtype', enum: DTYPES }, audience)
  return {
    anyOf: [
      dtype,
      {
        title: 'dtypes by layer',
        type: 'object',
        properties: {
          default: { ...dtype, ...explain('The dtype of layers that no rule reaches; `same` unless given.', audience) },
        },
        additionalProperties: dtype,
        minProperties: 1,
      },
    ],
  }
}

/** New names by patterns of old ones: a map, or a list that says the same at length. */
export const namesSchema = (audience: Audience): JsonSchema => {
  const to = { title: 'a new name', type: 'string', examples: ['$1.weight'] }
  return {
    anyOf: [
      { title: 'new names by pattern', type: 'object', additionalProperties: to, minProperties: 1 },
      {
        title: 'a list of rules',
        type: 'array',
        minItems: 1,
        items: {
          title: 'a rule',
          type: 'object',
          properties: {
            match: { ...PATTERN, ...explain('A pattern of names.', audience) },
            to: { ...to, ...explain('What the matching part of a name becomes.', audience) },
            optional: {
              type: 'boolean',
              default: false,
              ...explain('True: the pattern may match no name.', audience),
            },
          },
          required: ['match', 'to'],
          additionalProperties: false,
        },
      },
    ],
  }
}
