import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { openModel } from '#src/safetensors/model.js'
import { inFolder, readTensors } from '../support/build-run.js'
import { plainWeight, scaledWeight } from '../support/scaled.js'
import { writeSafetensors, type TensorValues } from '../support/write-safetensors.js'
import { buildIn, built, codesOf } from './support.js'

type Tensors = Readonly<Record<string, TensorValues>>

const [one, two] = [scaledWeight(1, 6, 8, 'row'), scaledWeight(2, 6, 8, 'row')]
const marker: TensorValues = { dtype: 'F8_E4M3', shape: [2], values: 0 }
const FILE: Tensors = {
  'net.one.weight': one.stored,
  'net.one.scale_weight': one.scale,
  'net.one.scale_input': { dtype: 'F32', shape: [], values: [3] },
  'net.two.weight': two.stored,
  'net.two.scale_weight': two.scale,
  'net.norm.weight': plainWeight(3, [8]),
  scaled_fp8: marker,
}

/** What an output holds that is built of a model with scales by some steps. */
const build = async (
  steps: Readonly<Record<string, object>>,
  output: object = {},
  metadata: Readonly<Record<string, string>> = {},
) =>
  inFolder(async (folder) => {
    writeSafetensors(join(folder, 'a.safetensors'), FILE, metadata)
    await built(
      buildIn(folder, {
        models: { a: 'a.safetensors' },
        steps,
        outputs: { o: { from: Object.keys(steps).at(-1)!, path: 'o.safetensors', ...output } },
      }),
    )
    const [opened, before] = [
      await openModel(join(folder, 'o.safetensors')),
      await readTensors(join(folder, 'a.safetensors')),
    ]
    if (opened.type === 'failed') throw new Error(opened.diagnostics[0]!.message)
    return { found: await readTensors(join(folder, 'o.safetensors')), before, metadata: opened.value.metadata }
  })

describe('a weight with scales under another name', () => {
  const placed = { r: { op: 'model.rename', model: 'a', add_root: 'model.diffusion_model' } }

  test('takes its scales and markers along, byte for byte', async () => {
    const { found, before } = await build(placed)
    expect(found).toEqual(
      Object.fromEntries(Object.entries(before).map(([name, t]) => [`model.diffusion_model.${name}`, t])),
    )
  })

  test('takes them along by its own name where a rule does not speak of them', async () => {
    const { found } = await build({ r: { op: 'model.rename', model: 'a', rules: { 'net.*.weight': '$1.weight' } } })
    expect(Object.keys(found).sort()).toEqual([
      'norm.weight',
      'one.scale_input',
      'one.scale_weight',
      'one.weight',
      'scaled_fp8',
      'two.scale_weight',
      'two.weight',
    ])
  })

  test('has them where it is scaled again', async () => {
    const { found } = await build(
      { ...placed, s: { op: 'model.scale', model: 'r', factor: 2 } },
      { dtype: 'f8_e4m3_scaled' },
    )
    expect(found['model.diffusion_model.net.one.weight']!.dtype).toBe('F8_E4M3')
    expect(found['model.diffusion_model.net.one.scale_weight']!.shape).toEqual(one.scale.shape)
    expect(found['model.diffusion_model.scaled_fp8']).toBeDefined()
  })

  test('is named so in the metadata', async () => {
    const layers = { 'net.one': { format: 'float8_e4m3fn' } }
    const { metadata } = await build(
      { ...placed, s: { op: 'model.rename', model: 'r', rules: { '**.one': '$1.first' } } },
      {},
      {
        _quantization_metadata: JSON.stringify({ format_version: '1.0', layers }),
      },
    )
    expect(JSON.parse(metadata.get('_quantization_metadata')!)).toEqual({
      format_version: '1.0',
      layers: { 'model.diffusion_model.net.first': layers['net.one'] },
    })
  })

  test('keeps the end of its name, by which its scales are found', () =>
    inFolder(async (folder) => {
      writeSafetensors(join(folder, 'a.safetensors'), FILE)
      const done = await buildIn(folder, {
        models: { a: 'a.safetensors' },
        steps: { r: { op: 'model.rename', model: 'a', rules: { 'net.one.weight': 'net.one.kernel' } } },
        outputs: { o: { from: 'r', path: 'o.safetensors' } },
      })
      expect(codesOf(done)).toEqual(['scaled-renamed'])
    }))

  test('is combined with what a file of its own lacks', async () => {
    const { found } = await build({
      first: { op: 'model.select', model: 'a', layers: 'net.one' },
      moved: { op: 'model.rename', model: 'first', rules: { net: 'other' } },
      whole: { op: 'model.combine', models: ['a', 'moved'] },
    })
    expect(found['other.one.scale_weight']).toEqual(found['net.one.scale_weight'])
    expect(found['other.one.weight']).toEqual(found['net.one.weight'])
  })
})

test('scales go along where a step finds a part under the root of its first model', async () => {
  const { found, before } = await build({
    body: { op: 'model.rename', model: 'a', rules: { net: 'body' } },
    norm: { op: 'model.select', model: 'body', layers: 'body.norm' },
    placed: { op: 'model.rename', model: 'norm', add_root: 'model.diffusion_model' },
    whole: { op: 'model.combine', models: ['placed', 'body'], overlap: 'first' },
  })
  expect(found).toEqual(
    Object.fromEntries(
      Object.entries(before).map(([name, t]) => [`model.diffusion_model.${name.replace(/^net/, 'body')}`, t]),
    ),
  )
})

describe('a weight with scales that is cast', () => {
  const cast = (dtype: unknown) => ({ c: { op: 'model.cast', model: 'a', dtype } })

  test('becomes plain numbers', async () => {
    const { found } = await build(cast('f32'))
    expect(Object.keys(found)).toEqual(['net.norm.weight', 'net.one.weight', 'net.two.weight'])
    expect(found['net.one.weight']).toMatchObject({ dtype: 'F32', values: one.meant.map(Math.fround) })
  })

  test('by layer, keeps its scales elsewhere', async () => {
    const { found, before } = await build(cast({ 'net.one.*': 'bf16' }))
    expect(found['net.one.weight']!.dtype).toBe('BF16')
    expect(found['net.one.scale_weight']).toBeUndefined()
    expect(found['net.two.scale_weight']).toEqual(before['net.two.scale_weight'])
  })

  test('to scaled numbers, gets new scales once it is computed', async () => {
    const { found } = await build({
      ...cast('f8_e4m3_scaled'),
      s: { op: 'model.scale', model: 'c', factor: 3 },
    })
    expect(found['net.one.weight']!.dtype).toBe('F8_E4M3')
    expect(found['net.one.scale_weight']!.dtype).toBe('F32')
    expect(found['net.norm.weight']!.dtype).toBe('F32')
  })
})

test('a pruned model keeps the scales of what is left', async () => {
  const { found, before } = await build({ p: { op: 'model.prune', model: 'a' } })
  expect(found).toEqual(before)
})
