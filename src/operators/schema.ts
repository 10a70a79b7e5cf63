import type { JsonSchema } from '../document/schema.js'
import { foldName, shortName } from './aliases.js'
import { explain, orParam, type Audience } from './audience.js'
import type { Alias, Description } from './definition.js'
import type { InputSpec, ParamSpec } from './params.js'
import { PRESETS } from './presets.js'
import { dtypeSchema, namesSchema, PATTERN } from './text-schema.js'

/** A pattern for the names of models, params and steps. */
export const NAME = '^[A-Za-z_][A-Za-z0-9_-]*$'

/**
 * The name of a model, mask or weights; `step.2` is the second result of a step, and `step.mask` the result `mask` of a
 * part.
 */
export const reference = (title: string, { editor }: Audience): JsonSchema => ({
  title,
  type: 'string',
  pattern: `^${editor ? '\\$?' : ''}[A-Za-z_][A-Za-z0-9_-]*(\\.([1-9][0-9]*|[A-Za-z_][A-Za-z0-9_-]*))?$`,
})

const OPTIONAL_PATTERN: JsonSchema = {
  title: 'a pattern that may select nothing',
  type: 'object',
  properties: { match: PATTERN, optional: { type: 'boolean', default: false } },
  required: ['match'],
  additionalProperties: false,
}

/** Layer patterns: one, or a list read in order. */
const LAYERS: JsonSchema = {
  anyOf: [
    PATTERN,
    OPTIONAL_PATTERN,
    { title: 'a list of layer patterns', type: 'array', items: { anyOf: [PATTERN, OPTIONAL_PATTERN] }, minItems: 1 },
  ],
}

const bounded = (
  type: 'number' | 'integer',
  { min, max }: { readonly min?: number; readonly max?: number },
): JsonSchema => ({
  type,
  ...(min === undefined ? {} : { minimum: min }),
  ...(max === undefined ? {} : { maximum: max }),
})

const numbers = (item: JsonSchema, title: string): JsonSchema => ({ title, type: 'array', items: item, minItems: 1 })

const BUILT_IN: JsonSchema = { title: 'a preset', enum: Object.keys(PRESETS) }

/**
 * What the schemas of steps refer to; the schema of the recipe holds it. Presets of the user's are replaced before a
 * recipe is checked, and editors do not know them.
 */
export const definitions = ({ editor }: Audience): Readonly<Record<string, JsonSchema>> => ({
  preset: editor ? { anyOf: [BUILT_IN, { title: 'a preset of a file', type: 'string', minLength: 1 }] } : BUILT_IN,
})

/** The name of a curve over the blocks. */
const PRESET: JsonSchema = { $ref: '#/definitions/preset' }

/** Texts, and lists of token ids. */
const PROMPTS: JsonSchema = {
  title: 'a list of prompts',
  type: 'array',
  items: {
    anyOf: [
      { title: 'a text', type: 'string', minLength: 1 },
      { title: 'a list of token ids', type: 'array', items: { type: 'integer', minimum: 0 }, minItems: 1 },
    ],
  },
  minItems: 1,
  examples: [['Write a function that sorts a list.'], [[1, 9906, 1917]]],
}

const byBlock = (number: JsonSchema): JsonSchema => ({
  title: 'numbers by block',
  type: 'object',
  additionalProperties: number,
  minProperties: 1,
  examples: [{ IN04: 0.3, M00: 0.5 }],
})

/** Numbers per layer, written in place: `default`, patterns, `mbw`, `preset`, `gradient`. */
const rules = (number: JsonSchema, audience: Audience): JsonSchema => ({
  title: 'rules by layer',
  type: 'object',
  minProperties: 1,
  properties: {
    default: {
      ...number,
      ...explain(
        'The number of layers that no rule reaches. Without it, such layers stay as the first model has them.',
        audience,
      ),
    },
    mbw: {
      ...numbers(number, 'a list of numbers by block'),
      ...explain(
        'One number for each block of the architecture: 26 for SD1 and SD2, 20, 21 or 26 for SDXL, 61 for Flux. `time_embed` and `label_emb` go with IN00, `out` with the last OUT. See `weights.mbw`.',
        audience,
      ),
    },
    preset: {
      ...orParam(PRESET, audience),
      ...explain(
        'A curve over the blocks of the architecture, by name: `GRAD_V`, `SMOOTHSTEP`, … See `weights.mbw`.',
        audience,
      ),
    },
    gradient: {
      ...numbers(number, 'a list of anchors'),
      ...explain('Anchors, interpolated linearly over the layers in order.', audience),
    },
  },
  additionalProperties: { anyOf: [number, numbers(number, 'a list of anchors')] },
})

const wordSchema = (all: Readonly<Record<string, string>>, audience: Audience): JsonSchema => ({
  enum: Object.keys(all).map((word) => (word === 'true' ? true : word === 'false' ? false : word)),
  ...(audience.editor ? { enumDescriptions: Object.values(all), markdownEnumDescriptions: Object.values(all) } : {}),
})

const choices = (all: Readonly<Record<string, string>>, fallback: string, audience: Audience): JsonSchema => ({
  ...wordSchema(all, audience),
  ...(audience.editor ? { default: fallback === 'true' ? true : fallback === 'false' ? false : fallback } : {}),
})

const GAUSSIAN_KEYS = {
  mean: 'The mean of the draws; 0.',
  std: 'Their standard deviation; 1.',
  above: 'True above this; 0.5.',
}

const valueSchema = (spec: ParamSpec, audience: Audience): JsonSchema => {
  switch (spec.type) {
    case 'number':
    case 'integer': {
      const number = orParam(bounded(spec.type, spec), audience)
      if (spec.per === 'recipe') return number
      const plain = bounded(spec.type, spec)
      return { anyOf: [plain, reference('the name of a weights step', audience), rules(number, audience)] }
    }
    case 'boolean':
      return orParam({ type: 'boolean' }, audience)
    case 'choice':
      return orParam(choices(spec.choices, spec.default, audience), audience)
    case 'choices': {
      const word = wordSchema(spec.choices, audience)
      return { anyOf: [orParam(word, audience), { title: 'a list of them', type: 'array', items: word, minItems: 1 }] }
    }
    case 'text':
      return { title: spec.title, type: 'string', minLength: 1 }
    case 'dtypes':
      return dtypeSchema(audience)
    case 'names':
      return namesSchema(audience)
    case 'masks':
      return reference('the name of a mask', audience)
    case 'statistics':
      return reference('the name of a file of statistics, declared as a model', audience)
    case 'layers':
      return LAYERS
    case 'gaussian':
      return {
        type: 'object',
        properties: Object.fromEntries(
          Object.entries(GAUSSIAN_KEYS).map(([key, text]) => [
            key,
            { ...orParam({ type: 'number' }, audience), ...explain(text, audience) },
          ]),
        ),
        additionalProperties: false,
      }
    case 'numbers':
      return numbers(orParam(bounded('number', spec), audience), 'a list of numbers')
    case 'layer-range': {
      const item = orParam(bounded('integer', { min: 0 }), audience)
      return { title: 'a range of layers', type: 'array', items: item, minItems: 2, maxItems: 2, examples: [[0, 24]] }
    }
    case 'blocks': {
      const number = orParam({ type: 'number' }, audience)
      return { anyOf: [numbers(number, 'a list of numbers by block'), byBlock(number)] }
    }
    case 'preset':
      return orParam(PRESET, audience)
    case 'prompts':
      return PROMPTS
  }
}

const paramSchema = (spec: ParamSpec, audience: Audience): JsonSchema => ({
  ...valueSchema(spec, audience),
  ...explain(spec.description, audience),
  ...(audience.editor && 'default' in spec && spec.type !== 'choice' ? { default: spec.default } : {}),
})

const paramSchemas = (specs: Readonly<Record<string, ParamSpec>>, audience: Audience): Record<string, JsonSchema> =>
  Object.fromEntries(Object.entries(specs).map(([key, spec]) => [key, paramSchema(spec, audience)]))

const inputSchema = (spec: InputSpec, audience: Audience): JsonSchema => {
  const name = reference(`the name of ${spec.type === 'adapter' ? 'an' : 'a'} ${spec.type}`, audience)
  if (!spec.many) return name
  if (spec.type === 'adapter') return { title: 'a list of adapters', type: 'array', items: name, minItems: 1 }
  if (spec.type === 'mask')
    return { title: 'a list of masks', type: 'array', items: name, minItems: spec.optional ? 1 : 2 }
  const owned = Object.keys(spec.each).filter((key) => spec.each[key]!.type === 'statistics')
  const own = {
    title: owned.length > 0 ? `a model with its ${owned.join(' and ')}` : 'a model with its numbers',
    type: 'object',
    properties: { model: name, ...paramSchemas(spec.each, audience) },
    required: ['model', ...owned],
    additionalProperties: false,
  }
  const { weight } = spec.each
  const list = {
    title: 'a list of models',
    type: 'array',
    items: Object.keys(spec.each).length === 0 ? name : owned.length > 0 ? own : { anyOf: [name, own] },
    minItems: spec.least,
  }
  return weight === undefined || owned.length > 0
    ? list
    : {
        anyOf: [
          list,
          {
            title: 'models with their weights',
            type: 'object',
            additionalProperties: valueSchema(weight, audience),
            minProperties: spec.least,
          },
        ],
      }
}

/** A key that operators share: what it means, and its words or, where it has none, its schema. */
type Shared =
  | { readonly text: string; readonly words: Readonly<Record<string, string>>; readonly fallback: string }
  | { readonly text: string; readonly schema: (audience: Audience) => JsonSchema }

/** The keys that operators share; which operator takes which, {@link sharedKeys} says. */
const SHARED = {
  layers: {
    text: 'Limits the step to these layers; all others stay as the first model has them.',
    schema: () => LAYERS,
  },
  mask: {
    text: 'Limits the step to the parameters where this mask is true; all others stay as the first model has them.',
    schema: (audience) => reference('the name of a mask', audience),
  },
  unmasked: {
    text: 'What happens to tensors that the mask does not cover.',
    words: { keep: 'the first model is kept', merge: 'they are merged as a whole, as the ComfyUI nodes do' },
    fallback: 'keep',
  },
  missing: {
    text: 'What happens to a tensor that another model lacks.',
    words: {
      error: 'stops the build, naming it',
      keep: 'keeps the first model’s tensor; a resulting mask does not cover it',
    },
    fallback: 'error',
  },
  mismatch: {
    text: 'What happens to a tensor that has another shape in another model.',
    words: {
      error: 'stops the build, naming both shapes',
      keep: 'keeps the first model’s tensor; a resulting mask does not cover it',
    },
    fallback: 'error',
  },
  architectures: {
    text: 'What happens to models that are different networks.',
    words: {
      error: 'stops the build, naming both',
      mixed: 'merges them where tensors have the same name and shape, although these may mean something else',
    },
    fallback: 'error',
  },
  seed: {
    text: 'Replaces the step’s name in the random numbers: two steps with the same seed draw the same numbers.',
    schema: (audience) => orParam({ title: 'a whole number or a string', type: ['integer', 'string'] }, audience),
  },
} as const satisfies Readonly<Record<string, Shared>>

const sharedSchema = (shared: Shared, audience: Audience): JsonSchema => ({
  ...('words' in shared ? choices(shared.words, shared.fallback, audience) : shared.schema(audience)),
  ...explain(shared.text, audience),
})

/** A key that is not an operator's own. */
export type SharedKey = keyof typeof SHARED

/** The shared keys that an operator takes: those of merging, of comparing several models, and of drawing. */
export const sharedKeys = ({ inputs, merges, draws }: Description): readonly SharedKey[] => [
  ...(merges ? (['layers', 'mask', 'unmasked'] as const) : []),
  ...(merges || Object.values(inputs).filter((input) => input.type === 'model' && !input.many).length > 1
    ? (['missing', 'mismatch', 'architectures'] as const)
    : []),
  ...(draws ? (['seed'] as const) : []),
]

/** What a shared key means, in Markdown. */
export const explainShared = (key: SharedKey): string => {
  const shared: Shared = SHARED[key]
  return 'words' in shared
    ? `${shared.text} ${explainWords(shared.words)} Default: \`${shared.fallback}\`.`
    : shared.text
}

/** The words of a choice and what they mean, as one sentence in Markdown. */
export const explainWords = (words: Readonly<Record<string, string>>): string =>
  `${Object.entries(words)
    .map(([word, text]) => `\`${word}\`: ${text}`)
    .join('; ')}.`

/** The names of an operator elsewhere, as one sentence in Markdown; those that only repeat its id are left out. */
const explainAliases = (id: string, aliases: readonly Alias[]): readonly string[] => {
  const names = new Map(aliases.map(({ name }) => [foldName(name), name]))
  names.delete(foldName(shortName(id)))
  return names.size === 0 ? [] : ['', `Elsewhere: ${[...names.values()].map((name) => `\`${name}\``).join(', ')}.`]
}

/** The JSON Schema of one step of an operator. */
export const stepSchema = (operator: Description, audience: Audience): JsonSchema => {
  const { id, aliases = [], inputs, params, summary, details } = operator
  const required = [
    ...Object.entries(inputs).filter(
      ([, input]) => (input.type === 'model' && input.many) || !('optional' in input && input.optional),
    ),
    ...Object.entries(params).filter(([, param]) => 'required' in param && param.required === true),
  ]
  return {
    title: id,
    type: 'object',
    ...explain(
      [summary, ...(details === undefined ? [] : ['', details]), ...explainAliases(id, aliases)].join('\n'),
      audience,
    ),
    properties: {
      op: { const: id, ...explain(summary, audience) },
      ...Object.fromEntries(
        Object.entries(inputs).map(([key, input]) => [
          key,
          { ...inputSchema(input, audience), ...explain(input.description, audience) },
        ]),
      ),
      ...paramSchemas(params, audience),
      ...Object.fromEntries(sharedKeys(operator).map((key) => [key, sharedSchema(SHARED[key], audience)])),
    },
    required: ['op', ...required.map(([key]) => key)],
    additionalProperties: false,
  }
}
