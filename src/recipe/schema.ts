import type { JsonSchema } from '../document/schema.js'
import type { Operator } from '../operators/operator.js'
import { explain, orParam, type Audience } from '../operators/audience.js'
import { definitions, NAME, stepSchema } from '../operators/schema.js'
import { dtypeSchema } from '../operators/text-schema.js'
import { PARAM_TYPES } from './params.js'
import { presetsSchema } from './presets-schema.js'
import { tokenizerSchema } from './tokenizer-schema.js'

/** The keys of a map from names of the user's. */
export const NAMES = {
  propertyNames: {
    title: 'a name of letters, digits, `_` and `-` that begins with a letter',
    type: 'string',
    pattern: NAME,
  },
}

const ALPHA =
  'The alpha of its training, for an adapter that does not state its scale: factors are multiplied with alpha / rank.'

const fileSchema = (what: 'model' | 'adapter', audience: Audience): JsonSchema => {
  const path = { title: 'a path', type: 'string', minLength: 1 }
  return {
    anyOf: [
      {
        ...path,
        ...explain(
          `The ${what}’s file, relative to the recipe; a folder or index file of a sharded one; or its name on the Hugging Face hub, \`org/name\`, where no file or folder is called so.`,
          audience,
        ),
      },
      {
        title: `a file with its ${what === 'adapter' ? 'alpha or ' : ''}digest, or a repository of a hub`,
        type: 'object',
        properties: {
          hub: {
            title: 'a name such as org/name',
            type: 'string',
            minLength: 1,
            ...explain(
              'Its repository on the Hugging Face hub, `org/name`. It is taken from the Hugging Face cache of this machine; `smelt build` downloads what is missing. The lock records the commit.',
              audience,
            ),
          },
          revision: {
            title: 'a branch, a tag or a commit',
            type: 'string',
            minLength: 1,
            ...explain('The branch, tag or commit of the repository; `main` unless given.', audience),
          },
          files: {
            title: 'a file or folder of the repository',
            type: 'string',
            minLength: 1,
            ...explain(
              `The ${what}’s file, index or folder in the repository: \`unet/\`, for example. Only needed where the repository holds several.`,
              audience,
            ),
          },
          path: {
            ...path,
            ...explain(
              'A safetensors file, a checkpoint that PyTorch saved, or the index file or folder of a sharded one, relative to the recipe.',
              audience,
            ),
          },
          ...(what === 'adapter'
            ? { alpha: { ...orParam({ type: 'number', exclusiveMinimum: 0 }, audience), ...explain(ALPHA, audience) } }
            : {}),
          sha256: {
            title: 'a sha256 digest of 64 hexadecimal digits',
            type: 'string',
            pattern: '^[0-9a-fA-F]{64}$',
            ...explain('Checked before anything runs.', audience),
          },
        },
        dependencies: { revision: ['hub'], files: ['hub'] },
        additionalProperties: false,
      },
    ],
  }
}

const outputSchema = (audience: Audience): JsonSchema => {
  const say = (text: string): JsonSchema => explain(text, audience)
  return {
    title: 'an output',
    type: 'object',
    properties: {
      from: {
        title: 'the name of a model, mask or step',
        type: 'string',
        ...say('What is written: the name of a step, for example.'),
      },
      path: {
        title: 'a path',
        type: 'string',
        minLength: 1,
        ...say(
          'Where to, relative to the recipe. `${name}` stands for a param. A path that ends in `/` is a folder, with the model, its config, its tokenizer and a model card. The ending of a report’s path says its form: `.txt`, `.json`, `.svg`, `.png` or `.html`.',
        ),
      },
      dtype: {
        ...dtypeSchema(audience),
        ...say(
          '`same` (default) as the first model has it, or `f32`, `f16`, `bf16`, `f8_e4m3`, `f8_e5m2`, or rules per layer. `f8_e4m3_scaled` writes the tensors that the first model stores with scales with new ones. Rounded once, to nearest even.',
        ),
      },
      shard_size: {
        title: 'a size such as 5GB',
        type: ['string', 'number'],
        ...say('Splits the output into files of at most this size, with an index: `5GB`, `500MiB`.'),
      },
      files: {
        title: 'the name of a model',
        type: 'string',
        ...say(
          'For a folder: the model whose `config.json`, tokenizer, generation settings and licence it gets. The first model that the output is made of unless given.',
        ),
      },
      chat_template: {
        title: '`auto`, the name of a model or a template',
        type: 'string',
        minLength: 1,
        ...say(
          'For a folder: the chat template it gets in place of that of its tokenizer. The name of a model that has one, `auto` for that of most models, or the text of a Jinja template.',
        ),
      },
      delta: {
        ...orParam({ type: 'boolean' }, audience),
        ...say('`true` writes the difference of two models as it is.'),
      },
      non_finite: {
        ...orParam({ enum: ['error', 'allow'] }, audience),
        ...say('`allow` lets NaN and infinities through; otherwise they stop the build.'),
      },
      tags: {
        anyOf: [
          { title: 'the name of an adapter', type: 'string' },
          { title: 'a list of adapters', type: 'array', items: { type: 'string' }, minItems: 1 },
        ],
        ...say(
          'Adapters whose training tags are written into the file’s metadata, as `smelt.tags`, most frequent first.',
        ),
      },
      metadata: {
        title: 'strings by name',
        type: 'object',
        propertyNames: {
          title: 'a name of yours: those that begin with `smelt.` are smelt’s own',
          type: 'string',
          pattern: '^(?!smelt\\.)',
        },
        additionalProperties: { type: 'string' },
        ...say('Further entries of the file’s metadata.'),
      },
    },
    required: ['from', 'path'],
    additionalProperties: false,
  }
}

/**
 * The steps of all operators. If no branch of a `oneOf` matches, editors report a missing property of an arbitrary
 * branch. So the schema lists the operators as values, with a condition for each: a misspelt `op` is then a wrong
 * value, and the other keys are not reported.
 */
const stepsSchema = (operators: readonly Operator[], audience: Audience): JsonSchema => {
  const step = { title: 'a step', type: 'object' } as const
  if (!audience.editor)
    return {
      ...step,
      required: ['op'],
      discriminator: { propertyName: 'op' },
      oneOf: operators.map((operator) => stepSchema(operator, audience)),
    }
  const summaries = operators.map(({ summary }) => summary)
  return {
    ...step,
    anyOf: [{ required: ['op'] }, { required: ['use'] }],
    properties: {
      use: {
        title: 'the path of a part',
        type: 'string',
        minLength: 1,
        ...explain('A part: steps of another file, relative to this one. Its params are the other keys.', audience),
      },
      op: {
        title: 'an operator',
        enum: operators.map(({ id }) => id),
        enumDescriptions: summaries.map((text) => text.replaceAll('`', '')),
        markdownEnumDescriptions: summaries,
        ...explain('What the step does: the name of an operator.', audience),
      },
    },
    allOf: operators.map((operator) => ({
      if: { properties: { op: { const: operator.id } }, required: ['op'] },
      then: stepSchema(operator, audience),
    })),
  }
}

const SNIPPETS = {
  models: [{ label: 'model', body: { '${1:name}': '${2:model.safetensors}' } }],
  steps: [
    { label: 'blend', body: { '${1:blended}': { op: 'merge.blend', a: '${2:first}', b: '${3:second}', keep: 0.5 } } },
  ],
  outputs: [
    { label: 'output', body: { '${1:merged}': { from: '${2:blended}', path: 'build/${1:merged}.safetensors' } } },
  ],
} as const

/** A param: a value alone, or its type with what it may be. */
const paramSchema = (audience: Audience): JsonSchema => {
  const say = (text: string): JsonSchema => explain(text, audience)
  return {
    anyOf: [
      { title: 'a number, string, true or false', type: ['number', 'string', 'boolean'] },
      {
        title: 'a param with its type',
        type: 'object',
        properties: {
          type: {
            enum: [...PARAM_TYPES],
            ...say('What it is: a number, text, boolean or choice, or the name of a model, mask, weights or adapter.'),
          },
          default: {
            title: 'a number, string, true or false',
            type: ['number', 'string', 'boolean'],
            ...say('Its value unless another is given.'),
          },
          min: { type: 'number', ...say('The least number it can be.') },
          max: { type: 'number', ...say('The greatest number it can be.') },
          choices: {
            title: 'a list of texts',
            type: 'array',
            items: { type: 'string' },
            minItems: 1,
            ...say('What can be chosen.'),
          },
          description: { title: 'a string', type: 'string', ...say('What it is for.') },
        },
        required: ['type'],
        additionalProperties: false,
      },
    ],
  }
}

/** What a part gives. */
export const resultsSchema = (audience: Audience): JsonSchema => ({
  type: 'object',
  ...NAMES,
  additionalProperties: { title: 'the name of a step', type: 'string' },
  minProperties: 1,
  ...explain('What the part gives: the name of a step inside, for each name outside.', audience),
})

/** The JSON Schema (draft 07) of a recipe, with a branch for the steps of each operator. */
export const recipeSchema = (operators: readonly Operator[], audience: Audience): JsonSchema => {
  const say = (text: string): JsonSchema => explain(text, audience)
  const snippets = (key: keyof typeof SNIPPETS): JsonSchema =>
    audience.editor ? { defaultSnippets: SNIPPETS[key] } : {}
  const named = (additionalProperties: JsonSchema): JsonSchema => ({ type: 'object', ...NAMES, additionalProperties })
  return {
    ...(audience.editor ? { $schema: 'http://json-schema.org/draft-07/schema#', $id: 'urn:smelt:recipe:1' } : {}),
    title: 'a smelt recipe',
    type: 'object',
    ...say('Which models go in, which steps are taken, and which files come out.'),
    properties: {
      smelt: { const: 1, ...say('The version of the recipe language: `1`.') },
      name: { title: 'a string', type: 'string', ...say('What the recipe is called.') },
      description: { title: 'a string', type: 'string', ...say('What it is for.') },
      seed: {
        title: 'a whole number or a string',
        type: ['integer', 'string'],
        ...say('Every random step derives its numbers from this; 0 unless given.'),
      },
      params: {
        ...named(paramSchema(audience)),
        ...say('Numbers and words to use as `$name`; `--set name=value` changes them.'),
      },
      grid: {
        ...named({
          anyOf: [
            { title: 'a range of numbers such as 0:1:0.1', type: 'string', minLength: 1 },
            {
              title: 'a list of values',
              type: 'array',
              items: { title: 'a number, string, true or false', type: ['number', 'string', 'boolean'] },
              minItems: 1,
            },
          ],
        }),
        ...say(
          'Params with the values they take in turn, each a list or a range `start:end:step`: every combination is built. What `--set` gives wins.',
        ),
      },
      models: {
        ...named(fileSchema('model', audience)),
        ...say('The models that go in, by name.'),
        ...snippets('models'),
      },
      adapters: { ...named(fileSchema('adapter', audience)), ...say('LoRAs and their relatives, by name.') },
      steps: {
        ...named(stepsSchema(operators, audience)),
        ...say('What is done, in any order: each step has a name, an operator `op`, and what that takes.'),
        ...snippets('steps'),
      },
      presets: presetsSchema(audience),
      parts: {
        ...named({
          title: 'a part',
          type: 'object',
          properties: {
            description: { title: 'a string', type: 'string', ...say('What it is for.') },
            params: { $ref: '#/properties/params' },
            presets: { $ref: '#/properties/presets' },
            steps: { $ref: '#/properties/steps' },
            results: resultsSchema(audience),
          },
          required: ['steps', 'results'],
          additionalProperties: false,
        }),
        ...say(
          'Steps to use several times, by name: a step with `use: NAME` takes them in. A part can have a file of its own instead.',
        ),
      },
      tokenizer: tokenizerSchema(audience),
      outputs: {
        ...named(outputSchema(audience)),
        minProperties: 1,
        ...say('The files that come out, by name.'),
        ...snippets('outputs'),
      },
    },
    // To whoever writes a recipe without either, models are what is missing.
    ...(audience.editor
      ? { required: ['smelt', 'outputs'], anyOf: [{ required: ['models'] }, { required: ['adapters'] }] }
      : { required: ['smelt', 'models', 'outputs'] }),
    additionalProperties: false,
    definitions: definitions(audience),
    ...(audience.editor ? { examples: [EXAMPLE] } : {}),
  }
}

const EXAMPLE = {
  smelt: 1,
  models: { first: 'first.safetensors', second: 'second.safetensors' },
  steps: { blended: { op: 'merge.blend', a: 'first', b: 'second', keep: 0.5 } },
  outputs: { merged: { from: 'blended', path: 'build/merged.safetensors' } },
}
