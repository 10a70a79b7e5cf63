import { closeSync, existsSync, mkdirSync, openSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import type { Result } from '#src/base/result.js'
import { readArchive } from '#src/pytorch/archive.js'
import { convert, convertedName } from '#src/pytorch/convert.js'
import { gather } from '#src/pytorch/gather.js'
import { openCheckpoint } from '#src/pytorch/open.js'
import { readTensors } from '../support/build-run.js'
import { op, pickle, stateDict, type PickledTensor } from '../support/pickle-writer.js'
import { runHere } from '../support/run-here.js'
import { makeFolder } from '../support/smelt.js'
import { writeSafetensors } from '../support/write-safetensors.js'
import { checkpointFiles, writeCheckpoint, writeZip } from '../support/zip-writer.js'

const folder = makeFolder()
afterAll(() => folder.remove())
const at = (...names: readonly string[]): string => join(folder.path, ...names)
const put = (name: string, bytes: Buffer): string => {
  writeFileSync(at(name), bytes)
  return at(name)
}
const codes = (result: Result<unknown>): readonly string[] => result.diagnostics.map((d) => d.code)
const floats = (...values: readonly number[]): Buffer => Buffer.from(new Float32Array(values).buffer)
const T: PickledTensor = { key: '0', storage: 'FloatStorage', length: 4, shape: [4] }
const STORAGE = { 0: floats(1, 2, 3, 4) }
const valuesIn = async (path: string): Promise<object> =>
  Object.fromEntries(Object.entries(await readTensors(path)).map(([name, t]) => [name, t.values]))

test('the copy is named after the checkpoint, and PyTorch’s own names become those of safetensors', async () => {
  expect(await convertedName('/x/v1-5.ckpt')).toBe('/x/v1-5.safetensors')
  expect(await convertedName('/x/pytorch_model.bin')).toBe('/x/model.safetensors')
  expect(await convertedName('/x/pytorch_model.bin.index.json')).toBe('/x/model.safetensors')
  expect(await convertedName('/x/adapter_model.bin')).toBe('/x/adapter_model.safetensors')
  expect(await convertedName('/x/no-ending')).toBe('/x/no-ending.safetensors')
})

test('the command writes the copy beside the checkpoint, says so, and overwrites nothing', async () => {
  put('plain.pt', writeCheckpoint(pickle(stateDict({ w: T })), STORAGE))
  const first = await runHere(folder.path, ['convert', 'plain.pt'])
  expect(first).toMatchObject({
    code: 0,
    stdout: 'converted plain.pt\nwrote plain.safetensors  112 B, 1 tensor\n',
    stderr: '',
  })
  const before = readFileSync(at('plain.safetensors'))
  const again = await runHere(folder.path, ['convert', 'plain.pt'])
  expect([again.code, again.screen]).toEqual([2, expect.stringContaining('error[convert-target-exists]')])
  expect(readFileSync(at('plain.safetensors'))).toEqual(before)
  const other = await runHere(folder.path, ['convert', 'plain.pt', '-o', 'new/other.safetensors', '--json'])
  expect(JSON.parse(other.stdout)).toMatchObject({
    type: 'convert',
    tensors: 1,
    notes: [],
    out: at('new/other.safetensors'),
  })
  expect(await valuesIn(at('new/other.safetensors'))).toEqual({ w: [1, 2, 3, 4] })
  const wrong = await runHere(folder.path, ['convert', 'plain.pt', '-o', 'other.ckpt'])
  expect([wrong.code, wrong.screen]).toEqual([2, expect.stringContaining('error[output-ending]')])
})

test('a checkpoint that fails half-way leaves nothing behind', async () => {
  const files = checkpointFiles(pickle(stateDict({ a: T, b: { ...T, key: '1' } })), {
    ...STORAGE,
    1: floats(5, 6, 7, 8),
  })
  const bytes = writeZip(files)
  bytes.writeFloatLE(9, bytes.indexOf(floats(7)))
  const path = put('damaged.pt', bytes)
  expect(codes(await convert(path, at('damaged.safetensors')))).toEqual(['zip-checksum'])
  expect(readdirSync(folder.path).filter((name) => name.includes('damaged'))).toEqual(['damaged.pt'])
})

test('a storage of which tensors use parts is compared with its checksum, too', async () => {
  const bytes = writeZip(
    checkpointFiles(pickle(stateDict({ a: { ...T, shape: [2] }, b: { ...T, shape: [1], offset: 2 } })), STORAGE),
  )
  const path = put('parts.pt', bytes)
  expect((await convert(path, at('parts.safetensors'))).type).toBe('ok')
  expect(await valuesIn(at('parts.safetensors'))).toEqual({ a: [1, 2], b: [3] })
  bytes.writeFloatLE(9, bytes.indexOf(floats(4)))
  expect(codes(await convert(put('parts.pt', bytes), at('parts-2.safetensors')))).toEqual(['zip-checksum'])
})

test.each([
  ['a tensor that reaches beyond its storage', { ...T, offset: 1 }, 'invalid-storage'],
  ['a tensor whose last row does', { ...T, shape: [2, 2], strides: [3, 1] }, 'invalid-storage'],
  ['a storage that is longer than it says', { ...T, length: 3, shape: [3] }, 'invalid-storage'],
  ['a storage that is shorter than it says', { ...T, length: 5 }, 'invalid-storage'],
  ['a storage of another dtype', { ...T, storage: 'DoubleStorage' }, 'invalid-storage'],
  ['a storage that is missing', { ...T, key: '7' }, 'invalid-storage'],
  ['a storage above the folder', { ...T, key: '../byteorder' }, 'invalid-storage'],
  [
    'a tensor of more elements than a number holds',
    { ...T, shape: [2 ** 31 - 1, 2 ** 31 - 1], strides: [0, 0] },
    'invalid-storage',
  ],
])('%s is refused', async (_, tensor, code) => {
  const path = put('wrong.pt', writeCheckpoint(pickle(stateDict({ w: tensor })), STORAGE))
  expect(codes(await openCheckpoint(path))).toEqual([code])
  expect(codes(await convert(path, at('wrong.safetensors')))).toEqual([code])
})

test('a view that would fill the disk is refused before anything is written', async () => {
  const path = put(
    'bomb.pt',
    writeCheckpoint(
      pickle(stateDict({ w: { ...T, shape: [2 ** 20, 2 ** 20, 2 ** 8, 4], strides: [0, 0, 0, 1] } })),
      STORAGE,
    ),
  )
  expect(codes(await convert(path, at('bomb.safetensors')))).toEqual(['disk-too-small'])
  expect(existsSync(at('bomb.safetensors'))).toBe(false)
})

test('a name that no safetensors file can hold is refused', async () => {
  const path = put('reserved.pt', writeCheckpoint(pickle(stateDict({ __metadata__: T })), STORAGE))
  expect(codes(await convert(path, at('reserved.safetensors')))).toEqual(['reserved-name'])
})

const big = (order: string): Buffer =>
  writeZip(
    checkpointFiles(pickle(stateDict({ w: T })), STORAGE).map((f) =>
      f.name.endsWith('byteorder') ? { ...f, bytes: Buffer.from(order) } : f,
    ),
  )
const compressed = writeZip(
  checkpointFiles(pickle(stateDict({ w: T })), STORAGE).map((f) => ({ ...f, compressed: true })),
)

test.each([
  ['a big-endian archive', big('big'), 'big-endian'],
  ['an archive of an unknown order', big('middle'), 'big-endian'],
  ['a compressed archive', compressed, 'zip-compressed'],
  ['a zip archive of something else', writeZip([{ name: 'a.txt', bytes: Buffer.from('x') }]), 'no-checkpoint'],
  [
    'two checkpoints in one archive',
    writeZip(['a', 'b'].map((n) => ({ name: `${n}/data.pkl`, bytes: pickle(op.dict()) }))),
    'invalid-zip',
  ],
  ['a checkpoint of a list', writeCheckpoint(pickle(op.list(op.none))), 'no-state-dict'],
  ['a checkpoint without tensors', writeCheckpoint(pickle(op.dict([op.text('epoch'), op.int(3)]))), 'no-state-dict'],
  [
    'a tensor under a number',
    writeCheckpoint(pickle(op.dict([op.int(3), stateDict({ w: T })])), STORAGE),
    'no-state-dict',
  ],
])('%s is refused', async (_, bytes, code) => {
  const path = put('refused.pt', bytes)
  for (const result of [await openCheckpoint(path), await convert(path, at('refused.safetensors'))]) {
    expect(codes(result)).toEqual([code])
    expect(result.diagnostics[0]!.help).not.toBe('')
  }
})

test('what trainers leave beside weights is read as nothing, and named', async () => {
  const args = (...items: readonly Buffer[]): Buffer => op.tuple(...items)
  const scalar = op.reduce(
    op.global('numpy.core.multiarray.scalar'),
    args(
      op.build(op.reduce(op.global('numpy.dtype'), args(op.text('f8'), op.false, op.true)), args(op.int(3), op.none)),
      op.reduce(op.global('_codecs.encode'), args(op.text('abcdefgh'), op.text('latin1'))),
    ),
  )
  const left: readonly (readonly [Buffer, Buffer])[] = [
    [op.text('best'), scalar],
    [
      op.text('hparams'),
      op.build(op.newobj(op.global('argparse.Namespace'), args()), op.dict([op.text('lr'), op.float(1)])),
    ],
    [op.text('milestones'), op.reduce(op.global('collections.Counter'), args(op.dict([op.int(3), op.int(1)])))],
    [op.text('names'), op.reduce(op.global('__builtin__.set'), args(op.list(op.text('a'))))],
    [op.text('size'), op.reduce(op.global('torch.Size'), args(args(op.int(3))))],
    [op.global('pytorch_lightning.callbacks.model_checkpoint.ModelCheckpoint'), op.dict([op.text('best'), op.none])],
    [op.int(7), op.bytes('rng')],
  ]
  const value = op.dict([op.text('state_dict'), stateDict({ w: T })], ...left)
  const done = await convert(put('trainer.ckpt', writeCheckpoint(pickle(value), STORAGE)), at('trainer.safetensors'))
  expect(done.diagnostics).toEqual([])
  expect(done.type === 'ok' && done.value.notes).toEqual([
    'took the tensors of `state_dict`',
    'left out 7 other entries: `best`, `hparams`, `milestones`, `names`, `size` and 2 more',
  ])
  expect(await valuesIn(at('trainer.safetensors'))).toEqual({ w: [1, 2, 3, 4] })
})

test('tensors of many pieces arrive whole, as they lie and turned around, and damage in any piece is noticed', async () => {
  const [rows, columns] = [1500, 1700]
  const numbers = Uint32Array.from({ length: rows * columns }, (_, i) => Math.imul(i + 1, 0x9e3779b1) & 0x7effffff)
  const storage = { 0: Buffer.from(numbers.buffer) }
  const whole: PickledTensor = { ...T, length: numbers.length, shape: [rows, columns] }
  const turned = { ...whole, shape: [columns, rows], strides: [1, columns] }
  const bytes = writeCheckpoint(pickle(stateDict({ turned, whole })), storage)
  expect((await convert(put('large.pt', bytes), at('large.safetensors'))).type).toBe('ok')
  const written = readFileSync(at('large.safetensors'))
  const data = new Uint32Array(Uint8Array.from(written.subarray(8 + Number(written.readBigUInt64LE()))).buffer)
  expect(data.subarray(numbers.length).every((bits, i) => bits === numbers[i])).toBe(true)
  const isTurned = (bits: number, i: number): boolean => bits === numbers[(i % rows) * columns + Math.floor(i / rows)]
  expect(data.subarray(0, numbers.length).every(isTurned)).toBe(true)
  const begin = bytes.indexOf(storage[0].subarray(0, 64))
  for (const at8 of [0, 2_000_000, storage[0].length - 1]) {
    const damaged = Buffer.from(bytes)
    damaged[begin + at8]! ^= 1
    expect(codes(await convert(put('large.pt', damaged), at('damaged.safetensors')))).toEqual(['zip-checksum'])
  }
})

test('the model among what a trainer saves is found by the usual names, and by key where they do not tell', async () => {
  const nested = (...items: readonly (readonly [string, Buffer])[]): Buffer =>
    writeCheckpoint(pickle(op.dict(...items.map(([name, value]) => [op.text(name), value] as const))), STORAGE)
  const one = (offset: number): Buffer => stateDict({ w: { ...T, shape: [1], offset } })
  const path = put('usual.pt', nested(['optimizer', one(0)], ['model', one(1)], ['ema', one(2)]))
  expect((await convert(path, at('usual.safetensors'))).type).toBe('ok')
  expect(await valuesIn(at('usual.safetensors'))).toEqual({ w: [2] })
  expect((await convert(path, at('ema.safetensors'), 'ema')).type).toBe('ok')
  expect(await valuesIn(at('ema.safetensors'))).toEqual({ w: [3] })
  const unusual = put('unusual.pt', nested(['params', one(0)], ['params_ema', one(1)], ['epoch', op.int(3)]))
  const refused = await convert(unusual, at('unusual.safetensors'))
  expect(codes(refused)).toEqual(['several-state-dicts'])
  expect(refused.diagnostics[0]!.help).toContain('smelt convert --key params ')
  const lost = await convert(unusual, at('unusual.safetensors'), 'epoch')
  expect(codes(lost)).toEqual(['no-state-dict'])
  expect(lost.diagnostics[0]!.help).toBe('choose one of `params`, `params_ema`')
  expect((await convert(unusual, at('unusual.safetensors'), 'params_ema')).type).toBe('ok')
  expect(await valuesIn(at('unusual.safetensors'))).toEqual({ w: [2] })
})

test('shards become one file, and what their index gets wrong is told', async () => {
  mkdirSync(at('sharded'))
  const shard = (i: number): string => `pytorch_model-0000${i}-of-00002.bin`
  const index = (weights: Readonly<Record<string, string>>): string =>
    JSON.stringify({ metadata: { total_size: 32 }, weight_map: weights })
  put(`sharded/${shard(1)}`, writeCheckpoint(pickle(stateDict({ a: T })), STORAGE))
  put(`sharded/${shard(2)}`, writeCheckpoint(pickle(stateDict({ b: T })), { 0: floats(5, 6, 7, 8) }))
  put('sharded/pytorch_model.bin.index.json', Buffer.from(index({ a: shard(1), b: shard(2) })))
  put('sharded/training_args.bin', Buffer.from('x'))
  const done = await runHere(folder.path, ['convert', 'sharded', '-o', 'one.safetensors'])
  expect([done.code, done.stderr]).toEqual([0, ''])
  expect(await valuesIn(at('one.safetensors'))).toEqual({ a: [1, 2, 3, 4], b: [5, 6, 7, 8] })
  for (const path of ['sharded', 'sharded/pytorch_model.bin.index.json']) {
    const opened = await openCheckpoint(at(path))
    expect(opened.type === 'ok' && [opened.value.tensors.size, opened.value.files.length, opened.diagnostics]).toEqual([
      2,
      2,
      [],
    ])
  }
  put('sharded/pytorch_model.bin.index.json', Buffer.from(index({ a: shard(1), b: shard(2), c: shard(2) })))
  expect(codes(await convert(at('sharded'), at('two.safetensors')))).toEqual(['tensor-not-in-shard'])
  put('sharded/pytorch_model.bin.index.json', Buffer.from(index({ a: '../plain.pt' })))
  expect(codes(await convert(at('sharded'), at('two.safetensors')))).toEqual(['shard-name-refused'])
  put('sharded/pytorch_model.bin.index.json', Buffer.from(index({ a: 'a.safetensors' })))
  expect(codes(await convert(at('sharded'), at('two.safetensors')))).toEqual(['shard-name-refused'])
})

test('what is safetensors already, a folder with nothing, and a file that is not there are told', async () => {
  writeSafetensors(at('already.ckpt'), { w: { dtype: 'F32', shape: [1], values: [1] } })
  expect(codes(await convert(at('already.ckpt'), at('x.safetensors')))).toEqual(['nothing-to-convert'])
  expect(codes(await convert(at('gone.ckpt'), at('x.safetensors')))).toEqual(['file-missing'])
  for (const name of ['bare', 'safe']) mkdirSync(at(name))
  expect(codes(await convert(at('bare'), at('x.safetensors')))).toEqual(['folder-without-model'])
  writeSafetensors(at('safe/model.safetensors'), { w: { dtype: 'F32', shape: [1], values: [1] } })
  expect(codes(await convert(at('safe'), at('x.safetensors')))).toEqual(['nothing-to-convert'])
})

test('a view too large to hold is taken in parts, or refused where each part would span it all', async () => {
  const storage = { 0: floats(...Array.from({ length: 24 }, (_, i) => i)) }
  const view = (shape: readonly number[], strides: readonly number[]): PickledTensor => ({
    ...T,
    length: 24,
    shape,
    strides,
  })
  const tensors = { columns: view([4, 2], [6, 1]), transposed: view([6, 4], [1, 6]), steps: view([3, 2, 2], [8, 4, 2]) }
  const path = put('views.pt', writeCheckpoint(pickle(stateDict(tensors)), storage))
  const archive = await readArchive(path)
  if (archive.type === 'failed') throw new Error(archive.diagnostics[0]!.message)
  const fd = openSync(path, 'r')
  const gathered = (name: string, most: number): readonly number[] | string => {
    const parts: Buffer[] = []
    const tensor = archive.value.tensors.find((t) => t.name === name)!
    const problem = gather({ fd, path }, tensor, (bytes) => void parts.push(Buffer.from(bytes)), most)
    return problem?.code ?? [...new Float32Array(new Uint8Array(Buffer.concat(parts)).buffer)]
  }
  for (const most of [1000, 40, 8]) {
    expect(gathered('columns', most)).toEqual([0, 1, 6, 7, 12, 13, 18, 19])
    expect(gathered('steps', most)).toEqual([0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22])
  }
  expect(gathered('transposed', 1000)).toEqual([
    0, 6, 12, 18, 1, 7, 13, 19, 2, 8, 14, 20, 3, 9, 15, 21, 4, 10, 16, 22, 5, 11, 17, 23,
  ])
  expect(gathered('transposed', 40)).toBe('tensor-not-contiguous')
  closeSync(fd)
})
