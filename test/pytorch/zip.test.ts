import { closeSync, openSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import type { Result } from '#src/base/result.js'
import { readZip, type ZipEntries } from '#src/pytorch/zip.js'
import { makeFolder } from '../support/smelt.js'
import { writeZip, type ZipEnd, type ZippedFile } from '../support/zip-writer.js'

const folder = makeFolder()
afterAll(() => folder.remove())

const read = (bytes: Buffer): Result<ZipEntries> => {
  const path = join(folder.path, 'x.zip')
  writeFileSync(path, bytes)
  const fd = openSync(path, 'r')
  try {
    return readZip(fd, path, bytes.length)
  } finally {
    closeSync(fd)
  }
}

const A: ZippedFile = { name: 'a', bytes: Buffer.from('first') }
const B: ZippedFile = { name: 'b/c', bytes: Buffer.from('second file') }
const EMPTY: ZippedFile = { name: 'é', bytes: Buffer.alloc(0) }

const WHOLE: readonly (readonly [string, readonly ZippedFile[], ZipEnd])[] = [
  ['plain files', [A, B, EMPTY], {}],
  ['files whose sizes follow the data', [A, B, EMPTY].map((f) => ({ ...f, descriptor: true, padding: 50 })), {}],
  ['sizes of 64 bits', [A, B, EMPTY].map((f) => ({ ...f, zip64: true })), { zip64: true }],
  [
    'sizes of 64 bits that follow the data',
    [A, B].map((f) => ({ ...f, zip64: true, descriptor: true })),
    { zip64: true },
  ],
  ['a comment', [A], { comment: Buffer.from('PK\x05\x06 and some more text') }],
  ['the largest comment', [A], { comment: Buffer.alloc(0xffff, 0x20) }],
  ['nothing', [], {}],
]

test.each(WHOLE)('an archive with %s is read: each file where its bytes lie', (_, files, end) => {
  const bytes = writeZip(files, end)
  const entries = read(bytes)
  expect(entries.diagnostics).toEqual([])
  const found = entries.type === 'ok' ? [...entries.value.values()] : []
  expect(found.map((e) => [e.name, bytes.toString('latin1', e.begin, e.end)])).toEqual(
    files.map((f) => [f.name, f.bytes.toString('latin1')]),
  )
})

test('a compressed file is told from a stored one, and a checksum of 0 is none', () => {
  const entries = read(
    writeZip([
      { ...A, compressed: true },
      { ...B, crc: 0 },
    ]),
  )
  expect(entries.type === 'ok' && [...entries.value.values()].map((e) => [e.compressed, e.crc === undefined])).toEqual([
    [true, false],
    [false, true],
  ])
})

const cut = (bytes: Buffer, end: number): Buffer => bytes.subarray(0, bytes.length + end)
const change = (bytes: Buffer, from: string, to: string): Buffer =>
  Buffer.from(bytes.toString('latin1').replace(from, to), 'latin1')

const HOSTILE: readonly (readonly [title: string, says: string, bytes: Buffer])[] = [
  ['a file of a few bytes', 'the record that ends every archive is missing', Buffer.from('PK\x03\x04')],
  ['an archive that is cut short', 'is missing', cut(writeZip([A, B]), -3)],
  ['an archive with bytes behind it', 'is missing', Buffer.concat([writeZip([A, B]), Buffer.from('x')])],
  [
    'an archive with bytes in front of it',
    'is not where its end says',
    Buffer.concat([Buffer.from('#!'), writeZip([A])]),
  ],
  ['a directory that is elsewhere', 'is not where its end says', writeZip([A, B], { directoryAt: 3 })],
  [
    'a directory of 64 bits that is elsewhere',
    'is not where its end says',
    writeZip([A], { zip64: true, directoryAt: 3 }),
  ],
  ['more files than are listed', 'as many files as it says', writeZip([A, B], { count: 3 })],
  ['fewer files than are listed', 'as many files as it says', writeZip([A, B], { count: 1 })],
  ['a part of a split archive', 'a part of a split archive', writeZip([A], { disk: 1 })],
  ['a part of a split archive of 64 bits', 'a part of a split archive', writeZip([A], { disk: 1, zip64: true })],
  ['two files of one name', 'two files called `a`', writeZip([A, { ...B, name: 'a' }])],
  ['a name that differs in the directory', 'another name', writeZip([{ ...A, directory: { name: 'z' } }])],
  [
    'a size that differs in the directory',
    'is not the same in both places',
    writeZip([{ ...A, directory: { size: 4, packed: 4 } }, B]),
  ],
  [
    'a packed size that differs from the size',
    'is not the same in both places',
    writeZip([{ ...A, directory: { size: 9 } }, B]),
  ],
  ['a checksum that differs', 'is not the same in both places', writeZip([{ ...A, local: { crc: 7 } }])],
  ['a method that differs', 'is not the same in both places', writeZip([{ ...A, local: { method: 8 } }])],
  [
    'a size that reaches into the next file',
    'overlap',
    writeZip([{ ...A, descriptor: true, directory: { size: 40, packed: 40 } }, B]),
  ],
  [
    'a size that reaches into the directory',
    'overlap',
    writeZip([A, { ...B, descriptor: true, directory: { size: 60, packed: 60 } }]),
  ],
  [
    'a size beyond the file',
    'overlap',
    writeZip([{ ...A, descriptor: true, zip64: true, directory: { size: 2 ** 40, packed: 2 ** 40 } }], { zip64: true }),
  ],
  ['one file twice, by two names', 'another name', writeZip([A, { ...A, name: 'b', directory: { offset: 0 } }])],
  [
    'a file inside another',
    'overlap',
    writeZip([
      { ...A, bytes: writeZip([B]), descriptor: true },
      { ...B, directory: { offset: 31 } },
    ]),
  ],
  ['a file that begins nowhere', 'not where the directory says', writeZip([{ ...A, local: { signature: 7 } }])],
  ['a file beyond the end', 'beyond its end', writeZip([{ ...A, directory: { offset: 0xfffffff0 } }])],
  [
    'a file beyond 2^53',
    'beyond its end',
    writeZip([{ ...A, zip64: true, directory: { offset: 2 ** 60 } }], { zip64: true }),
  ],
  ['an encrypted file', 'is encrypted', writeZip([{ ...A, flags: 1 }])],
  [
    'an extra field that ends too early',
    'is malformed',
    change(writeZip([{ ...A, zip64: true }]), '\x01\0\x18\0', '\x01\0\x04\0'),
  ],
  [
    'an extra field that is not there',
    'is malformed',
    change(writeZip([{ ...A, zip64: true }]), '\x01\0\x18\0', '\x02\0\x18\0'),
  ],
]

test('a directory larger than that of any checkpoint is refused before it is read', () => {
  const end = writeZip([])
  const claimed = Buffer.from(end)
  claimed.writeUInt32LE(2 ** 25 + 1, 12)
  const result = read(Buffer.concat([Buffer.alloc(2 ** 25 + 1), claimed]))
  expect(result.diagnostics.map((d) => d.message)).toEqual([
    expect.stringContaining('larger than that of any checkpoint'),
  ])
})

test.each(HOSTILE)('%s is refused', (_, says, bytes) => {
  const result = read(bytes)
  expect(result.type).toBe('failed')
  expect(result.diagnostics).toHaveLength(1)
  expect(result.diagnostics[0]!.message).toContain(says)
  expect(result.diagnostics[0]!.help).not.toBe('')
})
