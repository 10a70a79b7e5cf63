import { paramExpects, type ParamExpectation } from '../base/catalogue/parts.js'
import type { JsonSchema } from '../document/schema.js'
import { explain, type Audience } from '../operators/audience.js'
import type { Operator } from '../operators/operator.js'
import { definitions, reference } from '../operators/schema.js'
import type { Declarations } from './params.js'
import { NAMES, recipeSchema, resultsSchema } from './schema.js'

/** Where the schema of parts finds what it has in common with that of recipes, for editors: in the file beside it. */
const BESIDE = 'recipe.schema.json#/properties/'

/** The JSON Schema (draft 07) of a part: steps that recipes use, with what they are given and what they give. */
export const partSchema = (operators: readonly Operator[], audience: Audience): JsonSchema => {
  const say = (text: string): JsonSchema => explain(text, audience)
  const recipe = recipeSchema(operators, audience)
  const common = (key: string): JsonSchema =>
    audience.editor ? { $ref: `${BESIDE}${key}` } : (recipe.properties as Readonly<Record<string, JsonSchema>>)[key]!
  return {
    ...(audience.editor ? { $schema: recipe['$schema'] } : {}),
    title: 'a part of smelt recipes',
    type: 'object',
    ...say(
      'Steps that recipes use: what they are given, and what they give. A param without a default has to be given by every step that uses the part.',
    ),
    properties: {
      smelt: common('smelt'),
      name: common('name'),
      description: common('description'),
      params: common('params'),
      presets: common('presets'),
      parts: common('parts'),
      steps: common('steps'),
      results: resultsSchema(audience),
    },
    required: ['smelt', 'steps', 'results'],
    additionalProperties: false,
    ...(audience.editor ? { examples: [PART_EXAMPLE] } : { definitions: definitions(audience) }),
  }
}

const PART_EXAMPLE = {
  smelt: 1,
  params: {
    model: { type: 'model' },
    base: { type: 'model' },
    share: { type: 'number', default: 0.8, min: 0, max: 1 },
  },
  steps: { moved: { op: 'mask.magnitude', model: 'model', base: 'base', select: 'above', quantile: '$share' } },
  results: { mask: 'moved' },
}

const valueSchema = (expected: ParamExpectation): JsonSchema => {
  switch (expected.type) {
    case 'number':
      return {
        type: 'number',
        ...(expected.min === undefined ? {} : { minimum: expected.min }),
        ...(expected.max === undefined ? {} : { maximum: expected.max }),
      }
    case 'boolean':
      return { type: 'boolean' }
    case 'choice':
      // Of a choice of nothing its declaration tells.
      return expected.choices.length === 0 ? {} : { enum: expected.choices }
    case 'text':
      return { title: 'a text', type: 'string' }
    case 'name':
      return reference(paramExpects(expected), { editor: false })
  }
}

/** The JSON Schema of `parts`, each of which is checked where it is used. */
export const PARTS_SCHEMA: JsonSchema = {
  type: 'object',
  properties: {
    parts: {
      title: 'parts by name',
      type: 'object',
      ...NAMES,
      additionalProperties: { title: 'a part', type: 'object', required: ['steps', 'results'] },
    },
  },
}

/** The JSON Schema of a step that uses a part with these params. */
export const useSchema = (declarations: Declarations): JsonSchema => ({
  title: 'a use of a part',
  type: 'object',
  properties: {
    use: { title: 'the path of a part', type: 'string', minLength: 1 },
    ...Object.fromEntries([...declarations].map(([name, { expected }]) => [name, valueSchema(expected)])),
  },
  required: ['use', ...[...declarations.values()].filter((d) => d.default === undefined).map(({ name }) => name)],
  additionalProperties: false,
})
