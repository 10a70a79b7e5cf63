import { join } from 'node:path'
import { expect, test } from 'vitest'
import { countsUp } from '#src/run/oddities.js'
import { inFolder, readTensors } from '../support/build-run.js'
import { writeSafetensors, type TensorValues } from '../support/write-safetensors.js'
import { buildIn, codesOf } from './support.js'

const NAME = 'cond.text_model.embeddings.position_ids'
const MASK: TensorValues = { dtype: 'F32', shape: [1, 1, 2, 2], values: [0, -Infinity, 0, 0] }
const modelWith = (
  value: number,
  more: Readonly<Record<string, TensorValues>> = {},
): Readonly<Record<string, TensorValues>> => ({
  'h.0.attn.dense.weight': { dtype: 'F32', shape: [2, 2], values: value },
  'h.0.attn.masked_bias': { dtype: 'F32', shape: [], values: [-Infinity] },
  'h.0.attn.bias': MASK,
  ...more,
})

const build = (
  files: Readonly<Record<string, Readonly<Record<string, TensorValues>>>>,
  steps: object,
  output: object = {},
) =>
  inFolder(async (folder) => {
    for (const [name, tensors] of Object.entries(files)) writeSafetensors(join(folder, `${name}.safetensors`), tensors)
    const models = Object.fromEntries(Object.keys(files).map((name) => [name, `${name}.safetensors`]))
    const result = await buildIn(folder, {
      models,
      steps,
      outputs: { out: { from: 'm', path: 'out.safetensors', ...output } },
    })
    return {
      result,
      codes: codesOf(result),
      tensors: result.type === 'ok' ? await readTensors(join(folder, 'out.safetensors')) : {},
    }
  })

const difference = { m: { op: 'merge.add_difference', a: 'a', b: 'b', c: 'c' } }
const three = { a: modelWith(1), b: modelWith(3), c: modelWith(2) }

test('masks that hold -infinity are copied from the first model, with one warning that names them', async () => {
  const { result, codes, tensors } = await build(three, difference)
  expect(codes).toEqual(['copied-non-finite'])
  expect(result.diagnostics[0]).toMatchObject({
    severity: 'warning',
    message: '2 tensors that are copied hold NaN or infinities: `h.0.attn.bias`, `h.0.attn.masked_bias`',
  })
  expect(tensors['h.0.attn.dense.weight']!.values).toEqual([2, 2, 2, 2])
  expect(tensors['h.0.attn.bias']!.values).toEqual(MASK.values)
  expect((await build(three, difference, { non_finite: 'allow' })).codes).toEqual([])
})

test('they are still copied, and only told, where the output has another dtype', async () => {
  const { codes, tensors } = await build(three, difference, { dtype: 'f16' })
  expect(codes).toEqual(['copied-non-finite'])
  expect(tensors['h.0.attn.masked_bias']).toMatchObject({ dtype: 'F16', values: [-Infinity] })
})

test('what a narrower dtype makes infinite stops the build, also beside what was infinite before', async () => {
  const wide: TensorValues = { dtype: 'F32', shape: [3], values: [-Infinity, 1e9, -Infinity] }
  const { codes } = await build(
    {
      a: { x: wide, y: { dtype: 'F32', shape: [1], values: 1 } },
      b: { x: wide, y: { dtype: 'F32', shape: [1], values: 1 } },
    },
    { m: { op: 'merge.blend', a: 'a', b: 'b', layers: 'y' } },
    { dtype: 'f16' },
  )
  expect(codes).toEqual(['non-finite'])
})

test('what `layers` leaves out may hold NaN, and what is computed may not', async () => {
  const files = {
    a: { x: { dtype: 'F32', shape: [2], values: [NaN, 1] }, y: { dtype: 'F32', shape: [1], values: 1 } },
    b: { x: { dtype: 'F32', shape: [2], values: 1 }, y: { dtype: 'F32', shape: [1], values: 3 } },
  } as const
  expect((await build(files, { m: { op: 'merge.blend', a: 'a', b: 'b', layers: 'y' } })).codes).toEqual([
    'copied-non-finite',
  ])
  expect((await build(files, { m: { op: 'merge.blend', a: 'a', b: 'b' } })).codes).toEqual(['non-finite'])
})

const positions = (dtype: 'F16' | 'F32' | 'I64', values: readonly number[]): TensorValues => ({
  dtype,
  shape: [1, values.length],
  values,
})

test('positions of an earlier merge are told when they are copied, and written anew by `model.renumber`', async () => {
  const files = {
    a: modelWith(1, { [NAME]: positions('F16', [0, 1, 2.0078125, 2.998046875]) }),
    b: modelWith(2, { [NAME]: positions('I64', [0, 1, 2, 3]) }),
  }
  const merged = await build(
    files,
    { m: { op: 'merge.blend', a: 'a', b: 'b', mismatch: 'keep' } },
    { non_finite: 'allow' },
  )
  expect(merged.codes).toEqual(['odd-positions'])
  expect(
    (
      await build(
        files,
        { m: { op: 'merge.blend', a: 'a', b: 'b', mismatch: 'keep' } },
        { non_finite: 'allow', dtype: 'f32' },
      )
    ).codes,
  ).toEqual(['odd-positions'])
  const steps = { sound: { op: 'model.renumber', model: 'a' }, m: { op: 'merge.blend', a: 'sound', b: 'b' } }
  const repaired = await build(files, steps, { non_finite: 'allow' })
  expect(repaired.codes).toEqual([])
  expect(repaired.tensors[NAME]).toEqual({ dtype: 'I64', shape: [1, 4], values: [0, 1, 2, 3] })
  expect(repaired.tensors['h.0.attn.dense.weight']!.values).toEqual([1.5, 1.5, 1.5, 1.5])
  expect((await build({ a: modelWith(1) }, { m: { op: 'model.renumber', model: 'a' } })).codes).toEqual([
    'no-positions',
  ])
})

test('whole numbers that were cut are wrong positions too, and rows may begin anew', () => {
  const whole = (...values: number[]): Uint8Array => new Uint8Array(BigInt64Array.from(values, BigInt).buffer)
  expect(countsUp('I64', whole(0, 1, 2, 3))).toBe(true)
  expect(countsUp('I64', whole(0, 1, 0, 1))).toBe(true)
  expect(countsUp('I64', whole(0, 1, 1, 3))).toBe(false)
  expect(countsUp('I64', whole(1, 2))).toBe(false)
  expect(countsUp('F32', new Uint8Array(Float32Array.of(0, 0.5, 1).buffer))).toBe(false)
})
