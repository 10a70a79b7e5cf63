import { execFileSync } from 'node:child_process'
import { chmodSync, statSync, symlinkSync, truncateSync } from 'node:fs'
import { join, relative } from 'node:path'
import { expect, test } from 'vitest'
import { readHeader } from '#src/safetensors/open.js'
import { bytesHeader, codesOf, makeFolder, problemOf, put, toFile, valueOf } from './files.js'

const refuse = async (path: string) => problemOf(await readHeader(path))

test('a header gives tensors in the order of their bytes, with offsets from the start of the file', async () => {
  const header =
    '{"b":{"dtype":"F32","shape":[],"data_offsets":[4,8]},"__metadata__":{"k":"v"},"a":{"dtype":"F16","shape":[2,1],"data_offsets":[0,4]}}'
  const folder = makeFolder()
  const path = put(folder, 'm.safetensors', toFile(header, 8))
  const file = valueOf(await readHeader(relative(process.cwd(), path)))
  const start = 8 + header.length
  expect([...file.tensors.values()]).toEqual([
    { name: 'a', dtype: 'F16', shape: [2, 1], file: path, begin: start, end: start + 4 },
    { name: 'b', dtype: 'F32', shape: [], file: path, begin: start + 4, end: start + 8 },
  ])
  const { ino, dev, mtimeNs } = statSync(path, { bigint: true })
  expect(file).toMatchObject({ path, headerBytes: start, bytes: 8, identity: { size: start + 8, ino, dev, mtimeNs } })
  expect([...file.metadata]).toEqual([['k', 'v']])
})

test('a missing file is refused with the nearest names beside it', async () => {
  const folder = makeFolder()
  put(folder, 'anime-v3.safetensors', toFile('{}'))
  const problem = await refuse(join(folder, 'anime-v2.safetensors'))
  expect(problem).toMatchObject({ code: 'file-missing', blame: 'input', help: 'did you mean `anime-v3.safetensors`?' })
  expect((await refuse(join(folder, 'zzz'))).help).toContain('check the path')
})

test('a path through a folder that does not exist says so', async () => {
  const problem = await refuse(join(makeFolder(), 'no/such/m.safetensors'))
  expect(problem.code).toBe('file-missing')
  expect(problem.message).toContain('folder')
})

test('a link that leads nowhere is named as one', async () => {
  const folder = makeFolder()
  symlinkSync('gone.safetensors', join(folder, 'broken.safetensors'))
  const broken = await refuse(join(folder, 'broken.safetensors'))
  expect([broken.code, broken.message]).toEqual([
    'file-missing',
    `${join(folder, 'broken.safetensors')} is a symbolic link to \`gone.safetensors\`, and nothing is there`,
  ])
  symlinkSync('b', join(folder, 'a'))
  symlinkSync('a', join(folder, 'b'))
  expect(await refuse(join(folder, 'a'))).toMatchObject({ code: 'link-loop', blame: 'input' })
})

test('an address and a null character are refused as what they are', async () => {
  const address = await refuse(join(makeFolder(), 'https://example.org/m.safetensors'))
  expect([address.code, address.message.split(' is ')[0]]).toEqual([
    'address-not-path',
    '`https://example.org/m.safetensors`',
  ])
  expect(await refuse(join(makeFolder(), 'a\0.safetensors'))).toMatchObject({ code: 'null-in-path', blame: 'input' })
})

test('a folder and a pipe are refused without being opened', async () => {
  const folder = makeFolder()
  expect((await refuse(folder)).code).toBe('folder-not-file')
  execFileSync('mkfifo', [join(folder, 'pipe')])
  expect((await refuse(join(folder, 'pipe'))).code).toBe('not-a-file')
})

test.skipIf(process.getuid?.() === 0)('a file without permission is refused with its path', async () => {
  const path = put(makeFolder(), 'm.safetensors', toFile('{}'))
  chmodSync(path, 0)
  expect(await refuse(path)).toMatchObject({ code: 'not-permitted', blame: 'input' })
})

const legacyPickle = Buffer.from([
  0x80, 0x02, 0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, 0x2e,
])

test.each([
  [
    'a git-lfs pointer',
    'git-lfs-pointer',
    'version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n',
    'git lfs pull',
  ],
  ['a zip checkpoint', 'pickle-checkpoint', 'PK\x03\x04\x00\x00\x08\x08\x00\x00archive/data.pkl', 'smelt convert'],
  [
    'a zip whose first bytes could be a length',
    'pickle-checkpoint',
    'PK\x03\x04\x00\x00\x00\x00\x00\x00archive/data.pkl',
    'smelt convert',
  ],
  ['a bare pickle', 'pickle-checkpoint', legacyPickle, 'weights_only=True'],
  [
    'a tar archive',
    'pickle-checkpoint',
    `sys_info${'\0'.repeat(249)}ustar  \0${'\0'.repeat(255)}`,
    'weights_only=True',
  ],
  ['a GGUF file', 'gguf-file', Buffer.from('GGUF\x03\0\0\0\0\0\0\0'), 'safetensors checkpoint'],
  ['a web page', 'web-page', '\n<!DOCTYPE html><html><body>Sign in</body></html>', 'log in'],
  ['a text', 'text-file', 'Invalid username or password.', 'error message of the site'],
  ['something else', 'header-too-large', Buffer.from('\x89HDF\r\n\x1a\n\0\0\0\0'), 'check what it is'],
] as const)('%s is recognised whatever its name', async (_, code, content, help) => {
  for (const name of ['model.safetensors', 'model.ckpt']) {
    const problem = await refuse(
      put(makeFolder(), name, typeof content === 'string' ? Buffer.from(content, 'latin1') : content),
    )
    expect(problem.code).toBe(code)
    expect(problem.help).toContain(help)
    expect(problem.message).toContain(name)
  }
})

test('a file cut in its data is refused with the size it should have and the size it has', async () => {
  const whole = toFile('{"t":{"dtype":"F32","shape":[1000],"data_offsets":[0,4000]}}', 4000)
  const path = put(makeFolder(), 'm.safetensors', whole)
  truncateSync(path, whole.length - 1234)
  const problem = await refuse(path)
  expect(problem.code).toBe('metadata-incomplete-buffer')
  expect(problem.message).toContain('4,068 bytes')
  expect(problem.message).toContain('2,834 bytes')
  expect(problem.help).toContain('download')
})

test('a file cut in its header and one that goes on too long are told apart', async () => {
  const folder = makeFolder()
  const whole = toFile(bytesHeader('t'), 1)
  expect((await refuse(put(folder, 'a', whole.subarray(0, 30)))).code).toBe('invalid-header-length')
  const long = await refuse(put(folder, 'b', Buffer.concat([whole, Buffer.from('PK')])))
  expect(long.code).toBe('metadata-incomplete-buffer')
  expect(long.message).toContain('2 bytes after its last tensor')
  expect(long.help).toContain('smelt repair')
})

test('a dimension that no number holds is refused rather than rounded', async () => {
  const header = '{"t":{"dtype":"U8","shape":[0,9007199254740993],"data_offsets":[0,0]}}'
  const problem = await refuse(put(makeFolder(), 'm', toFile(header)))
  expect(problem.code).toBe('dimension-inexact')
  expect(problem.message).toContain('9007199254740993')
})

test('a thousand tensors with one oddity give one warning', async () => {
  const names = Array.from({ length: 1000 }, (_, i) => `../${i}`)
  const result = await readHeader(put(makeFolder(), 'm', toFile(bytesHeader(...names), 1000)))
  expect(codesOf(result)).toEqual(['odd-tensor-name'])
  expect(result.diagnostics[0]?.message).toContain('999 others')
})

test('a name from a file cannot move the cursor or fill the screen', async () => {
  const name = `\u001b[2J\u202e${'x'.repeat(1000)}`
  const result = await readHeader(put(makeFolder(), 'm', toFile(bytesHeader(name), 1)))
  expect(result.diagnostics[0]?.message).not.toMatch(/\p{Cc}|\p{Cf}|x{300}/u)
})

test('a dtype that is misspelt is refused, with those there are and what corrects it', async () => {
  const header = '{"t":{"dtype":"BFLOAT16","shape":[],"data_offsets":[0,2]}}'
  const problem = await refuse(put(makeFolder(), 'm', toFile(header, 2)))
  expect(problem.help).toContain('BF16')
  expect((await refuse(put(makeFolder(), 'm', toFile(header.replace('BFLOAT16', 'f16'), 2)))).help).toContain(
    'smelt repair',
  )
})
