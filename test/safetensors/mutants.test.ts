import { isUtf8 } from 'node:buffer'
import { expect, test } from 'vitest'
import { headerLength, parseHeader, PREFIX } from '#src/safetensors/header.js'
import { layoutFile } from '#src/safetensors/layout.js'
import { readPlainHeader } from '#src/safetensors/plain-header.js'
import { readHeader } from '#src/safetensors/open.js'
import { DTYPES } from '#src/tensor/dtype.js'
import type { Dtype } from '#src/tensor/dtype.js'
import { makeFolder, makeRandom, put, toFile } from './files.js'

const outlines = [
  { name: 'layer.0.weight', dtype: 'F16', shape: [2, 2] },
  { name: 'b', dtype: 'F32', shape: [] },
  { name: 'e', dtype: 'I8', shape: [0, 3] },
] as const
const seeds: readonly Buffer[] = [
  Buffer.from(layoutFile(outlines, { format: 'pt' }).header),
  toFile(
    '{"a":{"dtype":"F4","shape":[2],"data_offsets":[0,1]},"b":{"shape":[1,1],"dtype":"U8","data_offsets":[1,2],"x":[{"y":null}]}}',
  ),
  toFile(
    ' {"__metadata__":{"\\u00e9\\ud83d\\ude00":"\\n"},"t\\u0061":{"dtype":"BF16","data_offsets":[0,12],"shape":[3,2]}} \n',
  ),
]
const dataBytes = [12, 2, 12]
const pieces = [
  ...'"\\{}[],:01-.e \0\u00ff',
  '\\u0061',
  '18446744073709551616',
  '9007199254740993',
  'null',
  '[[',
  '"a"',
].map((text) => Buffer.from(text, 'latin1'))

/** Changes, removes, inserts or repeats a few bytes; where the prefix is spared, it is made to fit again. */
const mutate = (whole: Buffer, random: () => number): Buffer => {
  let bytes = Buffer.from(whole)
  const below = (n: number): number => Math.floor(random() * n)
  const framed = random() < 0.9
  for (let changes = 1 + below(3); changes > 0; changes--) {
    const at = (framed ? PREFIX : 0) + below(bytes.length - (framed ? PREFIX : 0))
    const kind = below(5)
    if (kind === 0) bytes[at] = below(256)
    else if (kind === 1) bytes[at] = (bytes[at] ?? 0) ^ (1 << below(8))
    else {
      const until = at + below(12)
      const piece =
        kind === 2 ? Buffer.alloc(0) : kind === 3 ? (pieces[below(pieces.length)] as Buffer) : bytes.subarray(at, until)
      bytes = Buffer.concat([bytes.subarray(0, at), piece, bytes.subarray(kind === 2 ? until : at)])
    }
  }
  if (framed && bytes.length >= PREFIX) bytes.writeBigUInt64LE(BigInt(bytes.length - PREFIX))
  return bytes
}

const judge = (file: Buffer, fileBytes: number) => {
  const length = headerLength('m', file.subarray(0, PREFIX), fileBytes)
  if (length.type === 'failed' || length.value + PREFIX > file.length) return undefined
  const header = parseHeader('m', file.subarray(PREFIX, PREFIX + length.value), fileBytes)
  return header.type === 'failed' ? undefined : { ...header.value, headerBytes: PREFIX + length.value }
}

/** The law once more, by JSON.parse and plain arithmetic on what was accepted. */
const breaksLaw = (
  file: Buffer,
  fileBytes: number,
  judged: NonNullable<ReturnType<typeof judge>>,
): string | undefined => {
  const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(
    file.subarray(PREFIX, judged.headerBytes),
  )
  const { __metadata__: metadata, ...entries } = JSON.parse(text) as Record<
    string,
    { dtype: Dtype; shape: number[]; data_offsets: number[] }
  >
  if (Object.keys(entries).length !== judged.tensors.size) return 'tensors'
  if (Object.keys(metadata ?? {}).length !== judged.metadata.size) return 'metadata'
  let at = judged.headerBytes
  for (const { name, dtype, shape, begin, end } of judged.tensors.values()) {
    const entry = entries[name]
    if (JSON.stringify([entry?.dtype, entry?.shape]) !== JSON.stringify([dtype, shape])) return `entry of ${name}`
    if (begin !== at || (DTYPES[dtype].bits * shape.reduce((n, d) => n * d, 1)) / 8 !== end - begin)
      return `range of ${name}`
    at = end
  }
  return at === fileBytes ? undefined : 'end'
}

test('20,000 mutants of valid headers are judged without a crash, and what is accepted keeps the law', () => {
  const random = makeRandom(20_240_229)
  let accepted = 0
  for (let i = 0; i < 20_000; i++) {
    const file = mutate(seeds[i % 3] as Buffer, random)
    const fileBytes = file.length + (dataBytes[i % 3] as number)
    const judged = judge(file, fileBytes)
    if (judged === undefined) continue
    accepted++
    expect(breaksLaw(file, fileBytes, judged), file.toString('latin1')).toBeUndefined()
  }
  // Mutants of names and of metadata texts are lawful; a judge that refuses all, or takes all, fails here. A hang would
  // meet the time limit.
  expect(accepted).toBeGreaterThan(500)
  expect(accepted).toBeLessThan(15_000)
})

/** What a header is read as, apart from where it lies. */
const reading = (text: Buffer, dataBytes: number) => {
  const header = parseHeader('m', text, PREFIX + text.length + dataBytes)
  const codes = header.diagnostics.map(({ code }) => code)
  if (header.type === 'failed') return { codes }
  const { tensors, metadata } = header.value
  return {
    codes,
    tensors: [...tensors.values()].map(({ name, dtype, shape, begin, end }) => [
      name,
      dtype,
      shape,
      begin - text.length,
      end - text.length,
    ]),
    metadata: [...metadata],
  }
}

// A space in front has any header read token by token.
test('mutants are read alike whole and token by token', () => {
  const random = makeRandom(77)
  const compact = [
    seeds[0] as Buffer,
    toFile('{"0":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"a":{"dtype":"U8","shape":[],"data_offsets":[1,2]}}'),
    toFile('{"__proto__":{"shape":[3,2],"data_offsets":[0,12],"dtype":"BF16"},"__metadata__":{"é\\n":"x"}}'),
  ]
  let whole = 0
  for (let i = 0; i < 10_000; i++) {
    const text = mutate(compact[i % 3] as Buffer, random).subarray(PREFIX)
    const bytes = [12, 2, 12][i % 3]!
    if (isUtf8(text) && readPlainHeader(text) !== undefined) whole++
    expect(reading(text, bytes), text.toString('latin1')).toEqual(
      reading(Buffer.concat([Buffer.from(' '), text]), bytes),
    )
  }
  expect(whole).toBeGreaterThan(200)
})

test('a header with a name twice, or a number that would be rounded, is not read whole', () => {
  const entry = (offsets: string): string => `{"dtype":"U8","shape":[1],"data_offsets":[${offsets}]}`
  const plain = (text: string): boolean => readPlainHeader(Buffer.from(text)) !== undefined
  expect(plain(`{"a":${entry('0,1')}}`)).toBe(true)
  expect(plain(`{"a":${entry('0,1')}}   `)).toBe(true)
  expect(plain(`{"a":${entry('0,1')},"a":${entry('0,1')}}`)).toBe(false)
  expect(plain(`{"a":${entry('0,9007199254740993')}}`)).toBe(false)
  expect(plain(`{"a":${entry('0,1.0')}}`)).toBe(false)
  expect(plain(`{"a":${entry('-0,1')}}`)).toBe(false)
  expect(plain('{"__metadata__":{"k":"1","k":"2"}}')).toBe(false)
  expect(plain('{"__metadata__":{"k":"\\ud800"}}')).toBe(false)
  expect(plain(`{"a":${'['.repeat(400_000)}${']'.repeat(400_000)}}`)).toBe(false)
})

test('mutants on disk get the verdict that they get in memory', async () => {
  const random = makeRandom(5)
  const folder = makeFolder()
  for (let i = 0; i < 150; i++) {
    const file = mutate(seeds[i % 3] as Buffer, random)
    const whole = Buffer.concat([file, Buffer.alloc(dataBytes[i % 3] as number)])
    const onDisk = await readHeader(put(folder, 'm', whole))
    expect(onDisk.type === 'ok').toBe(judge(whole, whole.length) !== undefined)
  }
})

test('the seeds themselves are accepted', () => {
  seeds.forEach((seed, i) => expect(judge(seed, seed.length + (dataBytes[i] as number))).toBeDefined())
})
