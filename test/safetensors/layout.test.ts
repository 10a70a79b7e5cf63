import { expect, test } from 'vitest'
import { SafeTensor } from 'safetensors/dist/safetensors.es.js'
import { parseHeader } from '#src/safetensors/header.js'
import { layoutFile } from '#src/safetensors/layout.js'
import { compareNames } from '#src/safetensors/name-order.js'
import { layoutShards } from '#src/safetensors/shards.js'
import { parseIndex } from '#src/safetensors/sharded-index.js'
import { parseSize } from '#src/safetensors/size.js'
import { DTYPES } from '#src/tensor/dtype.js'
import type { Dtype } from '#src/tensor/dtype.js'
import { codesOf, makeRandom, problemOf, valueOf } from './files.js'

const outline = (name: string, dtype: Dtype, ...shape: readonly number[]) => ({ name, dtype, shape })
const textOf = (header: Uint8Array): string => Buffer.from(header.subarray(8)).toString()

/** Lays out tensors and fills them with bytes that tell where they are. */
const build = (tensors: readonly ReturnType<typeof outline>[], metadata = {}) => {
  const layout = layoutFile(tensors, metadata)
  const file = Buffer.alloc(layout.bytes)
  file.set(layout.header)
  for (let i = layout.header.length; i < file.length; i++) file[i] = (i * 31) & 0xff
  return { ...layout, file }
}

test('a file is laid out as the reference writes it, to the byte', () => {
  const { header, offsets, bytes } = layoutFile(
    [outline('b', 'F16', 2), outline('a', 'F16', 1, 3), outline('n', 'BOOL', 3), outline('z', 'I64')],
    { format: 'pt', author: 'é "\n' },
  )
  const json =
    '{"__metadata__":{"author":"é \\"\\n","format":"pt"},"z":{"dtype":"I64","shape":[],"data_offsets":[0,8]},' +
    '"a":{"dtype":"F16","shape":[1,3],"data_offsets":[8,14]},"b":{"dtype":"F16","shape":[2],"data_offsets":[14,18]},' +
    '"n":{"dtype":"BOOL","shape":[3],"data_offsets":[18,21]}}'
  const length = Math.ceil(Buffer.byteLength(json) / 8) * 8
  expect(Buffer.from(header).readBigUInt64LE()).toBe(BigInt(length))
  expect(textOf(header)).toBe(json + ' '.repeat(length - Buffer.byteLength(json)))
  expect([...offsets]).toEqual([
    ['z', { begin: length + 8, end: length + 16 }],
    ['a', { begin: length + 16, end: length + 22 }],
    ['b', { begin: length + 22, end: length + 26 }],
    ['n', { begin: length + 26, end: length + 29 }],
  ])
  expect(bytes).toBe(length + 29)
})

test('the widest dtype comes first and BOOL last, in the order of the enum', () => {
  const dtypes = Object.keys(DTYPES) as Dtype[]
  const { offsets } = layoutFile(
    dtypes.map((dtype) => outline(dtype, dtype, 8)),
    {},
  )
  expect([...offsets.keys()]).toEqual(dtypes.toReversed())
  expect([...offsets.keys()][0]).toBe('U64')
})

test('what is laid out is read back the same, and is aligned', () => {
  const random = makeRandom(7)
  const dtypes = Object.keys(DTYPES) as Dtype[]
  for (let round = 0; round < 200; round++) {
    const tensors = Array.from({ length: Math.floor(random() * 12) }, (_, i) => {
      const dtype = dtypes[Math.floor(random() * dtypes.length)] ?? 'F32'
      return outline(
        `${[...'é\u{1f98a}"\\\0\n'].slice(0, Math.floor(random() * 7)).join('')}${i}`,
        dtype,
        Math.floor(random() * 4),
        8,
      )
    })
    const { header, offsets, bytes } = layoutFile(tensors, { '': '\u0001', k: 'v' })
    const read = parseHeader('m', Buffer.from(header.subarray(8)), bytes)
    expect(codesOf(read).filter((code) => code !== 'odd-tensor-name')).toEqual([])
    const { tensors: found, metadata } = valueOf(read)
    expect(new Map([...found].map(([name, { begin, end }]) => [name, { begin, end }]))).toEqual(offsets)
    for (const tensor of tensors) expect(found.get(tensor.name)).toMatchObject(tensor)
    expect([...metadata]).toEqual([
      ['', '\u0001'],
      ['k', 'v'],
    ])
  }
})

test("the npm package safetensors finds every tensor's bytes in a file without metadata", () => {
  const tensors = [
    outline('w', 'F32', 3, 5),
    outline('b', 'BF16', 7),
    outline('empty', 'I8', 0),
    outline('m', 'BOOL', 9),
  ]
  const { file, offsets } = build(tensors)
  const other = new SafeTensor(new Uint8Array(file))
  expect([...other.metadata.keys()]).toEqual([...offsets.keys()])
  for (const { name, dtype, shape } of tensors) {
    const { begin = 0, end = 0 } = offsets.get(name) ?? {}
    expect(other.metadata.get(name)).toEqual({ dtype, shape, data_offsets: [begin, end] })
    expect(Buffer.from(other.getTensor(name))).toEqual(file.subarray(begin, end))
  }
})

test('the order of tensors and of metadata does not change a byte', () => {
  const tensors = [outline('a', 'F32', 2), outline('b', 'F16', 2), outline('c', 'F32', 1)]
  const one = layoutFile(tensors, { x: '1', y: '2', '10': '3' })
  const two = layoutFile(tensors.toReversed(), { y: '2', '10': '3', x: '1' })
  expect(two.header).toEqual(one.header)
})

test('a lone surrogate in metadata is written as something that can be read', () => {
  const { header, bytes } = layoutFile([], { k: 'a\ud800b\u{1f98a}' })
  expect(valueOf(parseHeader('m', Buffer.from(header.subarray(8)), bytes)).metadata.get('k')).toBe('a\ufffdb\u{1f98a}')
})

test('a dimension of 2^63 of an empty tensor is written in full', () => {
  expect(textOf(layoutFile([outline('t', 'F32', 0, 2 ** 63)], {}).header)).toContain('[0,9223372036854775808]')
})

test('what no reader would take is a bug of the caller', () => {
  expect(() => layoutFile([outline('__metadata__', 'U8', 1)], {})).toThrow()
  expect(() => layoutFile([outline('a', 'U8', 1), outline('a', 'U8', 1)], {})).toThrow()
  expect(() => layoutFile([outline('a\ud800', 'U8', 1)], {})).toThrow()
  expect(() => layoutFile([outline('a', 'F4', 3)], {})).toThrow()
  expect(() => layoutFile([outline('a', 'F32', 2 ** 52)], {})).toThrow()
})

test('names compare by code point, as bytes of UTF-8 do', () => {
  const names = [
    '',
    'a',
    'a\0',
    'ab',
    'b',
    'é',
    '\ud7ff',
    '\ue000',
    '\uffff',
    '\u{10000}',
    '\u{10ffff}',
    '\u{1f98a}x',
    '\uffffx',
  ]
  for (const x of names)
    for (const y of names) expect(Math.sign(compareNames(x, y))).toBe(Buffer.compare(Buffer.from(x), Buffer.from(y)))
})

test('shards are filled in order and the index names each tensor', () => {
  const tensors = [outline('0', 'U8', 6), outline('b', 'U8', 4), outline('__proto__', 'U8', 25), outline('a', 'U8', 1)]
  const { shards, index } = layoutShards(tensors, { format: 'pt' }, 10, 'sd')
  expect(shards.map(({ name, tensors: held }) => [name, held.map((t) => t.name)])).toEqual([
    ['sd-00001-of-00003.safetensors', ['0', 'b']],
    ['sd-00002-of-00003.safetensors', ['__proto__']],
    ['sd-00003-of-00003.safetensors', ['a']],
  ])
  for (const { header } of shards) expect(textOf(header)).toContain('{"__metadata__":{"format":"pt"}')
  expect(index.name).toBe('sd.safetensors.index.json')
  const read = parseIndex(index.name, Buffer.from(index.bytes))
  expect(read.diagnostics).toEqual([])
  expect(valueOf(read)).toMatchObject({ totalSize: 36 })
  expect([...valueOf(read).shardOf.keys()]).toEqual(['0', '__proto__', 'a', 'b'])
})

test('an index is written as others write it', () => {
  const { index } = layoutShards([outline('b', 'F16', 1), outline('a', 'F16', 1)], {}, 100)
  const name = 'model-00001-of-00001.safetensors'
  expect(Buffer.from(index.bytes).toString()).toBe(
    `${JSON.stringify({ metadata: { total_size: 4 }, weight_map: { a: name, b: name } }, null, 2)}\n`,
  )
})

test.each([
  ['5GB', 5e9],
  ['1.5 GB', 1.5e9],
  ['500mb', 5e8],
  ['10 kB', 10_000],
  ['1TB', 1e12],
  ['2GiB', 2 ** 31],
  ['1KiB', 1024],
  ['4096', 4096],
  ['17B', 17],
])('%s is %d bytes', (text, bytes) => {
  expect(valueOf(parseSize(text))).toBe(bytes)
})

test.each(['5', '1.5', '999'])('%j lacks its unit', (text) => {
  expect(problemOf(parseSize(text))).toMatchObject({ code: 'size-without-unit' })
})

test.each(['', '5 XB', '-1GB', '0', '1e9', 'GB', '5GBs', '99999999TB', '5i', '5k'])('%j is no size', (text) => {
  expect(problemOf(parseSize(text, { type: 'option', name: '--shard' }))).toMatchObject({
    code: 'size-not-understood',
    at: { type: 'option', name: '--shard' },
  })
})
