import type { JsonSchema } from '../document/schema.js'
import { explain, orParam, type Audience } from '../operators/audience.js'

/** The schema of the key `tokenizer`. */
export const tokenizerSchema = (audience: Audience): JsonSchema => {
  const say = (text: string): JsonSchema => explain(text, audience)
  return {
    title: 'a tokenizer',
    type: 'object',
    properties: {
      from: {
        title: '`union`, `base` or the name of a model',
        type: 'string',
        minLength: 1,
        ...say(
          'Which tokens the result has: those of all models (`union`, default), of the base (`base`), or of the model that is named.',
        ),
      },
      base: {
        title: 'the name of a model',
        type: 'string',
        minLength: 1,
        ...say(
          'The base: its tokens keep their ids in a union, and its rows stand in for those that other models lack. The first model unless given.',
        ),
      },
      match: {
        ...orParam({ enum: ['tokens', 'rows'] }, audience),
        ...say(
          'What makes two rows the same: their token (`tokens`, default), or their number (`rows`), for models without tokenizers whose matrices differ in size.',
        ),
      },
      tokens: {
        title: 'choices by token',
        type: 'object',
        additionalProperties: {
          title: 'a choice for a token',
          type: 'object',
          properties: {
            from: {
              anyOf: [
                { title: '`zero` or the name of a model', type: 'string', minLength: 1 },
                {
                  title: 'a token of a model',
                  type: 'object',
                  properties: {
                    model: { title: 'the name of a model', type: 'string', minLength: 1, ...say('Whose row it is.') },
                    token: { title: 'a token', type: 'string', ...say('Another token of that model, by its text.') },
                    id: {
                      ...orParam({ type: 'integer', minimum: 0 }, audience),
                      ...say('Another row of that model, by its number.'),
                    },
                  },
                  required: ['model'],
                  maxProperties: 2,
                  additionalProperties: false,
                },
              ],
              ...say(
                'The row for models that lack the token: that of a model, of another token of a model, or `zero`. Without it, the only model that has the token, the base, or the mean of those that have it.',
              ),
            },
            force: {
              ...orParam({ type: 'boolean' }, audience),
              ...say('`true` gives that row to the models that have the token, too.'),
            },
          },
          additionalProperties: false,
        },
        ...say('Tokens with rows of their choice. Those that no tokenizer has are added.'),
      },
      pad_to: {
        ...orParam({ type: 'integer', minimum: 1 }, audience),
        ...say(
          'The number of rows is a multiple of this. Without it, the matrices keep the size that they have in the model whose tokenizer it is, unless there are more tokens.',
        ),
      },
    },
    additionalProperties: false,
    ...say(
      'The vocabulary of the result. The embeddings and output heads of all models are brought to it before any step, token by token.',
    ),
  }
}
