import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import type { Result } from '#src/base/result.js'
import { convert } from '#src/pytorch/convert.js'
import { openCheckpoint } from '#src/pytorch/open.js'
import { openModel, type Model } from '#src/safetensors/model.js'
import { makeFolder } from '../support/smelt.js'

/** What PyTorch itself reads from each file of `test/data/pytorch`, written by `make.py` and `make_1_6.py` there. */
type Expected = Readonly<
  Record<string, Readonly<Record<string, { dtype: string; shape: readonly number[]; bytes: string }>>>
>

const DATA = join(import.meta.dirname, '../data/pytorch')
const read = (name: string): Expected => JSON.parse(readFileSync(join(DATA, name), 'utf8')) as Expected
const EXPECTED: Expected = { ...read('expected.json'), ...read('expected-1.6.json') }
const NAMES: Readonly<Record<string, string>> = {
  bool: 'BOOL',
  uint8: 'U8',
  int8: 'I8',
  int16: 'I16',
  uint16: 'U16',
  float16: 'F16',
  bfloat16: 'BF16',
  int32: 'I32',
  uint32: 'U32',
  float32: 'F32',
  complex64: 'C64',
  float64: 'F64',
  int64: 'I64',
  uint64: 'U64',
  float8_e5m2: 'F8_E5M2',
  float8_e4m3fn: 'F8_E4M3',
  float8_e5m2fnuz: 'F8_E5M2FNUZ',
  float8_e4m3fnuz: 'F8_E4M3FNUZ',
  float8_e8m0fnu: 'F8_E8M0',
}

const folder = makeFolder()
afterAll(() => folder.remove())

const valueOf = <T>(result: Result<T>): T => {
  if (result.type === 'failed') throw new Error(result.diagnostics[0]!.message)
  return result.value
}
const bytesIn = (model: Model): object =>
  Object.fromEntries(
    [...model.tensors.values()].map(({ name, dtype, shape, file, begin, end }) => [
      name,
      { dtype, shape, bytes: readFileSync(file).subarray(begin, end).toString('hex') },
    ]),
  )
const expectedOf = (name: string): object =>
  Object.fromEntries(Object.entries(EXPECTED[name]!).map(([key, t]) => [key, { ...t, dtype: NAMES[t.dtype] }]))

const READ = [
  'dtypes.pt',
  'views.bin',
  'checkpoint.ckpt',
  'protocol-4.pth',
  'protocol-5.pth',
  'no-checksums.pt',
  'torch-1.6.ckpt',
]

test.each(READ)('%s is converted to the tensors that PyTorch reads from it', async (name) => {
  const out = join(folder.path, `${name}.safetensors`)
  const converted = valueOf(await convert(join(DATA, name), out))
  const model = valueOf(await openModel(out))
  expect(bytesIn(model)).toEqual(expectedOf(name))
  expect(converted.tensors).toBe(Object.keys(EXPECTED[name]!).length)
  expect(model.metadata).toEqual(new Map([['format', 'pt']]))
})

test.each(READ.filter((name) => name !== 'views.bin'))('%s is read by position as it lies', async (name) => {
  const model = valueOf(await openCheckpoint(join(DATA, name)))
  expect(bytesIn(model)).toEqual(expectedOf(name))
  expect([...model.tensors.keys()]).toEqual([...model.tensors.keys()].sort())
  expect(model.files.map((f) => f.path)).toEqual([join(DATA, name)])
})

test('views that are not contiguous are refused where tensors are read as they lie, with the way out', async () => {
  const opened = await openCheckpoint(join(DATA, 'views.bin'))
  expect(opened.type).toBe('failed')
  const [problem] = opened.diagnostics
  expect(problem!.code).toBe('tensor-not-contiguous')
  expect(problem!.message).toContain('`columns` and 5 others')
  expect(problem!.help).toContain('`smelt convert ')
})

test('what is left out is told: other entries by name, tensors by number', async () => {
  const path = join(DATA, 'checkpoint.ckpt')
  const { notes } = valueOf(await convert(path, join(folder.path, 'notes.safetensors')))
  expect(notes).toEqual([
    'took the tensors of `state_dict`',
    'left out 7 other entries with 3 tensors: `epoch`, `global_step`, `pytorch-lightning_version`, `optimizer_states`, `best` and 2 more',
  ])
  const warnings = (await openCheckpoint(path)).diagnostics
  expect(warnings.map((d) => [d.code, d.severity])).toEqual([['entries-skipped', 'warning']])
})

test('tied weights and views are told', async () => {
  const { notes } = valueOf(await convert(join(DATA, 'views.bin'), join(folder.path, 'tied.safetensors')))
  expect(notes).toEqual([
    'wrote 4 tensors that shared storage with another as copies of their own: `head.weight`, `columns`, `rows` and 1 more',
    'put 6 tensors in order that were stored as a view: `columns`, `transposed`, `permuted` and 3 more',
  ])
})

test.each([
  ['module.pt', 'pickle-global', '`torch.nn.modules.linear.Linear`', 'model.state_dict()'],
  ['sparse.pt', 'pickle-global', '`torch._utils._rebuild_sparse_tensor`', 'to_dense()'],
  ['quantised.pt', 'pickle-global', '`torch._utils._rebuild_qtensor`', 'dequantize()'],
  ['conjugate.pt', 'pickled-tensor', 'conjugated', 'resolve_conj()'],
  ['torchscript.pt', 'torchscript', 'TorchScript', 'torch.jit.load'],
  ['legacy.pt', 'pickle-checkpoint', 'before version 1.6', 'torch.load'],
])('%s is refused with a way out', async (name, code, said, help) => {
  const out = join(folder.path, 'refused.safetensors')
  for (const result of [await openCheckpoint(join(DATA, name)), await convert(join(DATA, name), out)]) {
    expect(result.type).toBe('failed')
    expect(result.diagnostics.map((d) => d.code)).toEqual([code])
    expect(result.diagnostics[0]!.message).toContain(said)
    expect(result.diagnostics[0]!.help).toContain(help)
  }
})
