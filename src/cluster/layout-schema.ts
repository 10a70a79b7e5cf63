import type { JsonSchema } from '../document/schema.js'

const count: JsonSchema = { type: 'integer', minimum: 0, title: 'a whole number' }
const amount: JsonSchema = { type: 'number', minimum: 0, title: 'a number' }
const text: JsonSchema = { type: 'string', title: 'a string' }
const digest: JsonSchema = { type: 'string', pattern: '^blake3:[0-9a-f]{64}$', title: 'a BLAKE3 digest' }
const texts: JsonSchema = { type: 'array', items: text }
const object: JsonSchema = { type: 'object' }

const record = (
  required: Readonly<Record<string, JsonSchema>>,
  optional: Readonly<Record<string, JsonSchema>> = {},
): JsonSchema => ({
  type: 'object',
  properties: { ...required, ...optional },
  required: Object.keys(required),
  additionalProperties: false,
})
const listOf = (items: JsonSchema): JsonSchema => ({ type: 'array', items })
const mapOf = (value: JsonSchema): JsonSchema => ({ type: 'object', additionalProperties: value })

const type: JsonSchema = { enum: ['measures', 'tensors', 'report'] }
const staged = record({ copied: count, found: count }, { problem: text })
const digested = record({ path: text, tensor: text, digest })

/** The schema of `plan.json`. */
export const planSchema: JsonSchema = record(
  {
    format: { const: 1 },
    id: text,
    smelt: text,
    node: count,
    recipe: text,
    name: text,
    set: mapOf(text),
    rows: listOf(mapOf(text)),
    device: text,
    inputs: listOf(record({ path: text, size: text, mtime: text })),
    outputs: listOf(record({ path: text, bytes: count, header: digest })),
    stages: listOf(record({ first: count, parts: count, bytes: count })),
  },
  { out: text, engine: text },
)

const partSchema: JsonSchema = record(
  {
    number: count,
    stage: count,
    type,
    bytes: count,
    jobs: texts,
    measures: texts,
    reports: texts,
    reads: listOf(record({ path: text, tensor: text })),
  },
  { work: record({ begin: count, bytes: count, digest }) },
)

/** The schema of `parts/N.json`. */
export const partsSchema: JsonSchema = record({ parts: listOf(partSchema) })

/** The schema of `attempts/N.K.json`. */
export const attemptSchema: JsonSchema = record(
  { part: count, attempt: count, host: text, pid: count, started: text },
  { job: text, gpus: text },
)

/** The schema of `account.json`. */
export const accountSchema: JsonSchema = record({
  parts: listOf(
    record(
      {
        part: count,
        attempt: count,
        host: text,
        device: text,
        reason: text,
        seconds: amount,
        readBytes: count,
        writtenBytes: count,
        type,
        attempts: listOf(attemptSchema),
      },
      { staged },
    ),
  ),
})

/** The schema of `results/N.json`. */
export const resultSchema: JsonSchema = record(
  {
    part: count,
    attempt: count,
    host: text,
    device: text,
    reason: text,
    content: digest,
    written: listOf(digested),
    read: listOf(digested),
    outcomes: listOf(text),
    reports: listOf(record({ path: text, digest, file: text })),
    files: listOf(record({ path: text, file: text, bytes: count, mtime: text })),
    odd: listOf(record({ path: text, tensor: text, oddity: text })),
    seconds: amount,
    readBytes: count,
    writtenBytes: count,
  },
  { staged },
)

/** The schema of `driver.json`. */
export const driverSchema: JsonSchema = record(
  {
    scheduler: { enum: ['exec', 'slurm', 'kubernetes'], title: 'a scheduler' },
    started: text,
    options: object,
  },
  { stage: text },
)

/** The schema of a line of `submitted.jsonl`. */
export const jobSchema: JsonSchema = record({ id: text, parts: listOf(count) })

/** The schema of `alarm.json`. */
export const alarmSchema: JsonSchema = record({
  part: count,
  attempts: listOf(count),
  hosts: texts,
  differs: texts,
})
