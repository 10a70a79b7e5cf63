import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { openModel } from '#src/safetensors/model.js'
import { readHeader } from '#src/safetensors/open.js'
import { repairFile, repairedName } from '#src/safetensors/repair.js'
import { repairIndex } from '#src/safetensors/repair-index.js'
import { readTensors } from '../support/build-run.js'
import { writeSafetensors } from '../support/write-safetensors.js'

const folder = mkdtempSync(join(tmpdir(), 'smelt-repair-'))
afterAll(() => rmSync(folder, { recursive: true }))
execFileSync(process.execPath, [join(import.meta.dirname, '../data/safetensors/gen.mjs'), folder])
const ids = readdirSync(folder)
  .filter((name) => name.endsWith('.safetensors'))
  .map((name) => name.replace('.safetensors', ''))
const at = (id: string): string => join(folder, `${id}.safetensors`)

/** What is done about each file of the corpus that can be repaired. */
const MENDED: Readonly<Record<string, string>> = {
  d03_dup_metadata: 'kept the last of several values in the metadata, as most programs read them: `a`',
  d04_dup_key_in_metadata: 'kept the last of several values in the metadata, as most programs read them: `a`',
  f10_empty_trailing_byte: 'removed 1 byte after the last tensor',
  f11_trailing_polyglot: 'removed 9 bytes after the last tensor',
  j04_bom: 'removed the byte order mark in front of the header',
  j08_trailing_nul: 'removed 6 bytes of zeros behind the header',
  j20_escaped_dup: 'removed the second of two equal entries of 1 tensor: `a`',
  l01_hole_start: 'removed 1 hole between tensors, 4 bytes that belong to none',
  l02_hole_middle: 'removed 1 hole between tensors, 4 bytes that belong to none',
  l04_same_range_twice: 'gave 1 tensor that shared the bytes of another a copy of its own: `b`',
  l09_unaligned_tensor: 'moved 1 tensor to a multiple of the size of its elements: `b`',
  l15_zero_dim_bad_offset: 'moved 1 empty tensor to where the one before ends: `z`',
  l16_zero_dim_past_end: 'moved 1 empty tensor to where the one before ends: `z`',
  m03_metadata_null: 'removed metadata that was null',
  m04_metadata_number: 'wrote 1 value of the metadata as strings: `a`',
  m05_metadata_nested: 'wrote 1 value of the metadata as strings: `a`',
  m06_metadata_null_value: 'wrote 1 value of the metadata as strings: `a`',
  m07_metadata_array: 'wrote metadata that was not a map as the string `metadata`',
  s04_extra_field: 'removed fields that the format does not have from 1 tensor: `t`',
  s09_offsets_float: 'wrote shapes and offsets of 1 tensor as whole numbers: `t`',
  s10_offsets_exp: 'wrote shapes and offsets of 1 tensor as whole numbers: `t`',
  s11_offsets_string: 'wrote shapes and offsets of 1 tensor as whole numbers: `t`',
  s13_minus_zero: 'wrote shapes and offsets of 1 tensor as whole numbers: `t`',
  s14_shape_float: 'wrote shapes and offsets of 1 tensor as whole numbers: `t`',
  s18_dtype_lowercase: 'wrote the dtype of 1 tensor as the format spells it: `t`',
  t08_fp8_alias: 'wrote the dtype of 1 tensor as the format spells it: `t`',
}

test('every file of the corpus is repaired into a valid one, left alone, or refused with a reason, and never touched', async () => {
  const repaired: Record<string, string> = {}
  for (const id of ids) {
    const before = readFileSync(at(id))
    const [strict, out] = [await readHeader(at(id)), join(folder, `out-${id}.safetensors`)]
    const result = await repairFile(at(id), out)
    expect(readFileSync(at(id)).equals(before), id).toBe(true)
    expect(readdirSync(folder).filter((name) => name.startsWith('.'))).toEqual([])
    if (result.type === 'failed') {
      expect(strict.type, id).toBe('failed')
      expect(result.diagnostics[0]!.help, id).toMatch(/^(download|export|run|check)/)
      expect(existsSync(out), id).toBe(false)
    } else if (result.value.out === undefined) expect([strict.type, existsSync(out)], id).toEqual(['ok', false])
    else {
      repaired[id] = result.value.mended.join('; ')
      expect((await readHeader(out)).diagnostics, id).toEqual([])
      // A copy that is whole needs no repair.
      expect(await repairFile(out, `${out}.again.safetensors`), id).toMatchObject({
        type: 'ok',
        value: { out: undefined },
      })
    }
  }
  expect(repaired).toEqual(MENDED)
})

/** A file with this header as it stands, and these bytes behind it. */
const writeRaw = (name: string, header: string, data: Uint8Array): string => {
  const text = Buffer.from(header)
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(text.length))
  writeFileSync(join(folder, name), Buffer.concat([length, text, data]))
  return join(folder, name)
}

const floats = (...values: readonly number[]): Uint8Array => new Uint8Array(Float32Array.from(values).buffer)

test('the numbers of every tensor are those of the original, wherever they lay', async () => {
  const entry = (begin: number, end: number): string =>
    `{"dtype":"F32","shape":[${(end - begin) / 4}],"data_offsets":[${begin},${end}]}`
  const path = writeRaw(
    'odd.safetensors',
    `{"late":${entry(20, 28)},"tied":${entry(4, 12)},"first":${entry(4, 12)},"__metadata__":{"epoch":7,"note":"x"}}`,
    floats(99, 1, 2, 98, 97, 3, 4, 96),
  )
  const out = repairedName(path)
  expect(out).toBe(join(folder, 'odd.repaired.safetensors'))
  const result = await repairFile(path, out)
  expect(result).toMatchObject({
    type: 'ok',
    value: {
      out,
      tensors: 3,
      mended: [
        'wrote 1 value of the metadata as strings: `epoch`',
        'removed 2 holes between tensors, 12 bytes that belong to none',
        'removed 4 bytes after the last tensor',
        'gave 1 tensor that shared the bytes of another a copy of its own: `first`',
      ],
    },
  })
  const tensors = await readTensors(out)
  expect(Object.fromEntries(Object.entries(tensors).map(([name, { values }]) => [name, values]))).toEqual({
    first: [1, 2],
    late: [3, 4],
    tied: [1, 2],
  })
  const header = await readHeader(out)
  expect(header.type === 'ok' && [...header.value.metadata]).toEqual([
    ['epoch', '7'],
    ['note', 'x'],
  ])
})

test('overlapping tensors are not guessed at', async () => {
  const path = writeRaw(
    'overlap.safetensors',
    '{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}}',
    floats(1, 2, 3),
  )
  expect((await repairFile(path, repairedName(path))).diagnostics.map((d) => d.message)).toEqual([
    `${path} cannot be repaired: tensors \`a\` and \`b\` share some of their bytes, so one of them is wrong`,
  ])
  expect(existsSync(repairedName(path))).toBe(false)
})

test('nothing is overwritten, not even the original', async () => {
  const path = at('f10_empty_trailing_byte')
  writeFileSync(join(folder, 'mine.safetensors'), 'mine')
  for (const out of [path, join(folder, 'mine.safetensors'), folder])
    expect((await repairFile(path, out)).diagnostics.map((d) => d.code)).toEqual(['repair-target-exists'])
  expect(readFileSync(join(folder, 'mine.safetensors'), 'utf8')).toBe('mine')
})

test('a file that is not there, a folder and a pickle are told as what they are', async () => {
  writeFileSync(join(folder, 'old.ckpt'), Buffer.from('80027d71002e', 'hex'))
  const codes = async (path: string): Promise<readonly string[]> =>
    (await repairFile(path, join(folder, 'never.safetensors'))).diagnostics.map((d) => d.code)
  expect(await codes(join(folder, 'nowhere.safetensors'))).toEqual(['file-missing'])
  expect(await codes(folder)).toEqual(['folder-not-file'])
  expect(await codes(join(folder, 'old.ckpt'))).toEqual(['pickle-checkpoint'])
})

const shards = (count: number, of: number): string => {
  const home = mkdtempSync(join(folder, 'shards-'))
  for (let i = 1; i <= count; i++)
    writeSafetensors(join(home, `model-0000${i}-of-0000${of}.safetensors`), {
      [`x.${i}`]: { dtype: 'F32', shape: [2], values: i },
    })
  return home
}

test('shards without an index are told as such, and get one', async () => {
  const home = shards(3, 3)
  expect((await openModel(home)).diagnostics.map((d) => d.code)).toEqual(['shards-without-index'])
  const result = await repairIndex(home)
  expect(result).toMatchObject({
    type: 'ok',
    value: { tensors: 3, mended: ['wrote `model.safetensors.index.json`, which names the tensors of 3 shards'] },
  })
  const model = await openModel(home)
  expect(model.diagnostics).toEqual([])
  expect(model.type === 'ok' && [...model.value.tensors.keys()]).toEqual(['x.1', 'x.2', 'x.3'])
  expect((await repairIndex(home)).diagnostics.map((d) => d.code)).toEqual(['nothing-to-index'])
})

test('an index is not written where it would be a guess', async () => {
  const incomplete = shards(2, 3)
  expect((await openModel(incomplete)).diagnostics.map((d) => [d.code, d.help])).toEqual([
    ['shards-without-index', 'download the other shards and the index, `….safetensors.index.json`'],
  ])
  expect((await repairIndex(incomplete)).diagnostics.map((d) => [d.code, d.help])).toEqual([
    ['shards-missing', 'download the others (3), then run `smelt repair` on the folder'],
  ])
  const twice = shards(2, 2)
  writeSafetensors(join(twice, 'model-00002-of-00002.safetensors'), { 'x.1': { dtype: 'F32', shape: [2], values: 1 } })
  expect((await repairIndex(twice)).diagnostics.map((d) => d.code)).toEqual(['tensor-in-two-shards'])
  const broken = shards(2, 2)
  writeFileSync(join(broken, 'model-00002-of-00002.safetensors'), 'x')
  expect((await repairIndex(broken)).diagnostics.map((d) => d.code)).toEqual(['header-too-small'])
  for (const home of [incomplete, twice, broken])
    expect(readdirSync(home).filter((name) => name.endsWith('.json'))).toEqual([])
})
