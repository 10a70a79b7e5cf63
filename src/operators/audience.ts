import type { JsonSchema } from '../document/schema.js'

/**
 * Whom a schema is for. An editor sees the file as it is written, with `$name` for params, and shows explanations;
 * the program checks what is left once params are replaced, and has no use for words.
 */
export interface Audience {
  readonly editor: boolean
}

const PARAM: JsonSchema = {
  title: 'a param such as $name, or arithmetic such as ${1 - name}',
  type: 'string',
  pattern: '^\\$([A-Za-z_][A-Za-z0-9_-]*|\\{[^{}]+\\})$',
}

/** What an editor shows beside a key: its explanation in Markdown, and the same as plain text. */
export const explain = (text: string, { editor }: Audience): JsonSchema =>
  editor ? { description: text.replaceAll('`', ''), markdownDescription: text } : {}

/** A schema of a single value, where an editor also accepts a param. */
export const orParam = (schema: JsonSchema, { editor }: Audience): JsonSchema =>
  editor ? { anyOf: [schema, PARAM] } : schema
