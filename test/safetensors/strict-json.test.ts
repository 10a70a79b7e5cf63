import { expect, test } from 'vitest'
import { parseHeader } from '#src/safetensors/header.js'
import { parseIndex } from '#src/safetensors/sharded-index.js'
import { problemOf, valueOf } from './files.js'

const read = (text: string) => parseHeader('m.safetensors', Buffer.from(text), 8 + Buffer.byteLength(text))
const entry = (extra: string): string => `{"t":{"dtype":"U8","shape":[0],"data_offsets":[0,0],"x":${extra}}}`

test.each([
  ['an unknown escape', '{"\\q":1}', 'escape sequence is malformed', 10],
  ['an escape of three hex digits', '{"\\u12":1}', 'escape sequence is malformed', 12],
  ['a number with a leading zero', entry('01'), 'number is malformed', 64],
  ['a number that overflows', entry('1e999'), 'number is malformed', 64],
  ['a raw line break in a string', '{"a\nb":1}', 'raw control character', 11],
  ['an object where the shape is', '{"t":{"shape":{}}}', 'expected `[`', 22],
  ['a key without a colon', '{"t" 1}', 'expected `:`', 13],
  ['two values without a comma', entry('[1 2]'), 'expected `,`', 67],
  ['text after the end', '{} x', 'text follows the end', 11],
  ['a fraction as a dimension', '{"t":{"shape":[1.5]}}', 'expected a plain integer', 23],
  ['an array at the top', '[]', 'expected `{`', 8],
  ['a number as a key', '{1:2}', 'expected `"`', 9],
  ['a trailing comma in an array', entry('[1,]'), 'expected a value', 67],
  ['a word that is none', entry('nil'), 'expected a value', 64],
  ['a dimension of 2^64', '{"t":{"shape":[18446744073709551616]}}', 'does not fit in 64 bits', 23],
  ['half a surrogate pair', '{"\\ud800":1}', 'half of a surrogate pair', 10],
  ['two high surrogates', '{"\\ud800\\ud800":1}', 'half of a surrogate pair', 10],
  ['an end within a string', '{"abc', 'ends too early', 13],
  ['an end within an object', '{"a":{', 'ends too early', 14],
])('%s is refused at its byte', (_, text, message, offset) => {
  const problem = problemOf(read(text))
  expect(problem.code).toBe('invalid-header-deserialization')
  expect(problem.message).toContain(message)
  expect(problem.at).toMatchObject({ type: 'file', offset })
})

test('nesting is read up to level 127 and refused at 128, as the reference does', () => {
  const nested = (levels: number): string => entry('['.repeat(levels) + ']'.repeat(levels))
  expect(valueOf(read(nested(125))).tensors.size).toBe(1)
  expect(problemOf(read(nested(126))).message).toContain('nested too deeply')
})

test('an index is read to level 63 and to strings of 100,000 characters', () => {
  const index = (extra: string, name = 't') =>
    parseIndex('i.json', Buffer.from(`{"x":${extra},"weight_map":{"${name}":"a.safetensors"}}`))
  expect(index('['.repeat(62) + ']'.repeat(62)).type).toBe('ok')
  expect(problemOf(index('['.repeat(63) + ']'.repeat(63)))).toMatchObject({ code: 'invalid-index' })
  expect(index('1', 'n'.repeat(100_000)).type).toBe('ok')
  expect(problemOf(index('1', 'n'.repeat(100_001))).message).toContain('string is too long')
  expect(problemOf(index('1', `\\n${'n'.repeat(100_000)}`)).message).toContain('string is too long')
})

test('escapes, pairs and raw UTF-8 decode as JSON.parse decodes them', () => {
  const text =
    '{"__metadata__":{"\\u00e9\\ud83d\\ude00 \\"\\\\\\/\\b\\f\\n\\r\\t":"é😀\\u0041 plain","🦊":"long enough to pass sixteen"}}'
  const wanted = JSON.parse(text) as { __metadata__: Record<string, string> }
  expect(Object.fromEntries(valueOf(read(text)).metadata)).toEqual(wanted.__metadata__)
})

test('fields that the format does not have may hold any JSON and are reported once', () => {
  const result = read(entry('{"a":[true,false,null,-0.5e-3,"\\n",{}]}'))
  expect(result.type).toBe('ok')
  expect(result.diagnostics.map((d) => d.code)).toEqual(['unknown-field'])
})

/** What a header promises but need not hold: everything behind it must not be read before it is refused. */
const LONG = 200_000

test('a shape of very many dimensions, metadata of very many keys and an integer of very many digits are refused where they become too long', () => {
  const shaped = (count: number): string =>
    `{"t":{"dtype":"U8","shape":[${Array.from({ length: count }, () => 1).join()}],"data_offsets":[0,1]}}`
  const [longest, hostile] = [shaped(1000), shaped(LONG)]
  expect(parseHeader('m', Buffer.from(longest), 9 + longest.length).type).toBe('ok')
  // The rest is not even looked at: that it is no JSON goes unnoticed.
  expect(problemOf(read(hostile.replace(']', ' and so on')))).toMatchObject({ code: 'too-many-dimensions' })

  const described = (count: number): string =>
    `{"__metadata__":{${Array.from({ length: count }, (_, i) => `"${i}":""`).join()}}}`
  expect(valueOf(read(described(100_000))).metadata.size).toBe(100_000)
  expect(problemOf(read(`${described(LONG).slice(0, -2)} and so on`))).toMatchObject({ code: 'too-many-metadata-keys' })

  expect(problemOf(read(`{"t":{"shape":[${'9'.repeat(5_000_000)}]}}`)).message).toContain('does not fit in 64 bits')
})
