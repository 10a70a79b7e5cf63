import type { JsonSchema } from '../document/schema.js'

const digest: JsonSchema = { type: 'string', pattern: '^blake3:[0-9a-f]{64}$', title: 'a BLAKE3 digest' }
const count: JsonSchema = { type: 'integer', minimum: 0, title: 'a whole number' }
const text: JsonSchema = { type: 'string', title: 'a string' }
const fingerprint: JsonSchema = { type: 'string', pattern: '^[0-9a-f]{32}$', title: 'a fingerprint' }

const record = (
  required: Readonly<Record<string, JsonSchema>>,
  optional: Readonly<Record<string, JsonSchema>> = {},
): JsonSchema => ({
  type: 'object',
  properties: { ...required, ...optional },
  required: Object.keys(required),
  additionalProperties: false,
})
const mapOf = (value: JsonSchema): JsonSchema => ({ type: 'object', additionalProperties: value })

const input = record(
  { digest, bytes: count, tensors: count },
  {
    sha256: { type: 'string', pattern: '^[0-9a-f]{64}$', title: 'a sha256' },
    metadata: digest,
    hub: record({
      repository: text,
      commit: { type: 'string', pattern: '^[0-9a-f]{40}$', title: 'a commit' },
      file: text,
    }),
    sides: mapOf({
      type: ['string', 'null'],
      pattern: '^blake3:[0-9a-f]{64}$',
      title: 'a BLAKE3 digest, or null if there is no such file',
    }),
  },
)
// Facts of a step are compared, not interpreted, and differ from operator to operator.
const step: JsonSchema = {
  type: 'object',
  properties: {
    op: text,
    version: count,
    inputs: { type: 'object' },
    params: { type: 'object' },
    fingerprint,
    device: text,
  },
  required: ['op', 'version', 'inputs', 'params', 'fingerprint'],
}
const output = record(
  { path: text, from: text, digest, bytes: count, tensors: count },
  { dtype: { type: ['string', 'array'], title: 'dtypes' }, shard_size: count, sides: mapOf(digest) },
)
const build = record(
  {
    digest,
    params: mapOf({ type: ['string', 'number', 'boolean'] }),
    inputs: mapOf(text),
    steps: mapOf(step),
    outputs: mapOf(output),
  },
  { computed: mapOf({ type: 'number' }) },
)

/** The JSON Schema (draft 07) of locks. */
export const lockSchema: JsonSchema = {
  $schema: 'http://json-schema.org/draft-07/schema#',
  title: 'The inputs, steps and outputs of the builds of a smelt recipe',
  ...record({
    lock: { enum: [1, 2, 3] },
    smelt: text,
    recipe: digest,
    inputs: mapOf(input),
    builds: { type: 'array', items: build, minItems: 1 },
  }),
}
