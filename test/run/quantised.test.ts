import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { estimateMemory } from '#src/plan/memory.js'
import { openModel } from '#src/safetensors/model.js'
import { inFolder, readTensors } from '../support/build-run.js'
import {
  blocksOf,
  distance,
  plainWeight,
  scaledWeight,
  type ScaledWeight,
  type ScaleLayout,
} from '../support/scaled.js'
import { writeSafetensors, type TensorValues } from '../support/write-safetensors.js'
import { anyHand, pretend } from './devices/pretend.js'
import { buildIn, built, codesOf, dataOf } from './support.js'
import { computedBy, withBuildFixture } from './build-fixture.js'

type Tensors = Readonly<Record<string, TensorValues>>

const marker: TensorValues = { dtype: 'F8_E4M3', shape: [2], values: 0 }
const half = (x: readonly number[], y: readonly number[]): number[] => x.map((v, i) => (v + y[i]!) / 2)
const LAYOUTS: readonly (readonly [name: string, ending: string, layout: ScaleLayout])[] = [
  ['one scale as ComfyUI names it', 'scale_weight', 'tensor'],
  ['one scale', 'weight_scale', 'tensor'],
  ['a scale for each row', 'weight_scale', 'row'],
  ['a vector of scales for the rows', 'weight_scale', 'vector'],
  ['a scale for each block of 128', 'weight_scale_inv', 128],
]
const [ROWS, COLUMNS] = [150, 260]
const weights = (seed: number, layout: ScaleLayout, size = 1): Record<'one' | 'two', ScaledWeight> => ({
  one: scaledWeight(seed, ROWS, COLUMNS, layout, { size }),
  two: scaledWeight(seed + 1, 5, 3, layout === 128 ? 'tensor' : layout, { size }),
})
const modelOf = (w: Readonly<Record<string, ScaledWeight>>, ending: string, more: Tensors = {}): Tensors => ({
  ...Object.fromEntries(
    Object.entries(w).flatMap(([name, { stored, scale }]) => [
      [`net.${name}.weight`, stored],
      [`net.${name}.${ending}`, scale],
    ]),
  ),
  'net.norm.weight': plainWeight(7, [12]),
  ...(ending === 'scale_weight' ? { scaled_fp8: marker } : {}),
  ...more,
})
const BLEND = {
  models: { a: 'a.safetensors', b: 'b.safetensors' },
  steps: { m: { op: 'merge.blend', a: 'a', b: 'b' } },
}
const withFiles = (files: Readonly<Record<string, Tensors>>, work: (folder: string) => Promise<void>): Promise<void> =>
  inFolder(async (folder) => {
    for (const [name, tensors] of Object.entries(files)) writeSafetensors(join(folder, name), tensors)
    await work(folder)
  })
const outputs = (from: string, more: object = {}) => ({ outputs: { o: { from, path: 'o.safetensors', ...more } } })

describe.each(LAYOUTS)('a weight with %s', (_, ending, layout) => {
  const [a, b] = [weights(1, layout), weights(20, layout, 10)]
  const files = { 'a.safetensors': modelOf(a, ending), 'b.safetensors': modelOf(b, ending) }

  test('is read as the numbers it means, rounded to float32 once', () =>
    withFiles(files, async (folder) => {
      await built(buildIn(folder, { models: { a: 'a.safetensors' }, ...outputs('a', { dtype: 'f32' }) }))
      const found = await readTensors(join(folder, 'o.safetensors'))
      expect(Object.keys(found).sort()).toEqual(['net.norm.weight', 'net.one.weight', 'net.two.weight'])
      for (const name of ['one', 'two'] as const)
        expect(found[`net.${name}.weight`]).toEqual({
          dtype: 'F32',
          shape: a[name].stored.shape,
          values: a[name].meant.map(Math.fround),
        })
    }))

  test('is merged as the numbers it means and written plain, without its scale', () =>
    withFiles(files, async (folder) => {
      await built(buildIn(folder, { ...BLEND, ...outputs('m') }))
      const found = await readTensors(join(folder, 'o.safetensors'))
      expect(Object.entries(found).map(([name, t]) => [name, t.dtype])).toEqual([
        ['net.norm.weight', 'F32'],
        ['net.one.weight', 'BF16'],
        ['net.two.weight', 'BF16'],
      ])
      for (const name of ['one', 'two'] as const)
        expect(distance(found[`net.${name}.weight`]!.values, half(a[name].meant, b[name].meant))).toBeLessThan(2 ** -8)
    }))

  test('is scaled again, in the same layout, where that is asked for', () =>
    withFiles(files, async (folder) => {
      await built(buildIn(folder, { ...BLEND, ...outputs('m', { dtype: 'f8_e4m3_scaled' }) }))
      const found = await readTensors(join(folder, 'o.safetensors'))
      expect(Object.keys(found)).toEqual(Object.keys(await readTensors(join(folder, 'a.safetensors'))))
      for (const [name, rows, columns] of [
        ['one', ROWS, COLUMNS],
        ['two', 5, 3],
      ] as const) {
        const meant = half(a[name].meant, b[name].meant)
        const { shape, blockOf } = blocksOf(rows, columns, name === 'two' && layout === 128 ? 'tensor' : layout)
        const peaks = meant.reduce<number[]>((most, x, i) => {
          most[blockOf(i)] = Math.max(most[blockOf(i)] ?? 0, Math.abs(x))
          return most
        }, [])
        const [stored, scale] = [found[`net.${name}.weight`]!, found[`net.${name}.${ending}`]!]
        expect([stored.dtype, scale.dtype, scale.shape]).toEqual(['F8_E4M3', 'F32', shape])
        scale.values.forEach((s, i) => expect(Math.abs(s * 448 - peaks[i]!)).toBeLessThanOrEqual(peaks[i]! * 2 ** -22))
        // Half a step of 2^-3 of the number's power of two, or half the least step there is.
        stored.values.forEach((x, i) => {
          const [want, s] = [meant[i]!, scale.values[blockOf(i)]!]
          expect(Math.abs(x * s - want)).toBeLessThanOrEqual(
            Math.max(Math.abs(want) * 2 ** -4, s * 2 ** -10) * (1 + 1e-5),
          )
        })
        expect(Math.max(...stored.values.map(Math.abs))).toBe(448)
      }
    }))

  test('is copied with its scale where nothing is computed', () =>
    withFiles(files, async (folder) => {
      await built(buildIn(folder, { models: { a: 'a.safetensors' }, ...outputs('a') }))
      expect(dataOf(join(folder, 'o.safetensors')).equals(dataOf(join(folder, 'a.safetensors')))).toBe(true)
      await built(
        buildIn(folder, {
          ...BLEND,
          steps: { m: { op: 'merge.blend', a: 'a', b: 'b', layers: 'net.norm.weight' } },
          ...outputs('m', { dtype: 'f8_e4m3_scaled' }),
        }),
      )
      const [found, before] = [
        await readTensors(join(folder, 'o.safetensors')),
        await readTensors(join(folder, 'a.safetensors')),
      ]
      for (const name of [`net.one.weight`, `net.one.${ending}`]) expect(found[name]).toEqual(before[name])
    }))
})

describe('what lies beside a scaled weight', () => {
  const more: Tensors = {
    'net.one.input_scale': { dtype: 'F32', shape: [], values: [3] },
    'net.one.comfy_quant': { dtype: 'U8', shape: [2], values: [1, 2] },
  }
  const [a, b] = [weights(1, 'tensor'), weights(20, 'tensor')]

  test('goes with it, and no further', () =>
    withFiles(
      { 'a.safetensors': modelOf(a, 'weight_scale', more), 'b.safetensors': modelOf(b, 'weight_scale') },
      async (folder) => {
        await built(
          buildIn(folder, {
            ...BLEND,
            outputs: {
              s: { from: 'm', path: 's.safetensors', dtype: 'f8_e4m3_scaled' },
              p: { from: 'm', path: 'p.safetensors' },
            },
          }),
        )
        const [scaled, plain] = [
          await readTensors(join(folder, 's.safetensors')),
          await readTensors(join(folder, 'p.safetensors')),
        ]
        expect([scaled['net.one.input_scale']?.values, scaled['net.one.comfy_quant']?.values]).toEqual([[3], [1, 2]])
        expect(Object.keys(plain)).toEqual(['net.norm.weight', 'net.one.weight', 'net.two.weight'])
      },
    ))

  test('stays for the weights that a step leaves alone, and a warning says that others have lost theirs', () =>
    withFiles(
      { 'a.safetensors': modelOf(a, 'scale_weight'), 'b.safetensors': modelOf(b, 'scale_weight') },
      async (folder) => {
        const done = await buildIn(folder, {
          ...BLEND,
          steps: { m: { op: 'merge.blend', a: 'a', b: 'b', layers: 'net.two.weight' } },
          ...outputs('m'),
        })
        expect(codesOf(done)).toEqual(['mixed-scales'])
        const [found, before] = [
          await readTensors(join(folder, 'o.safetensors')),
          await readTensors(join(folder, 'a.safetensors')),
        ]
        expect(Object.keys(found)).toEqual(Object.keys(before).filter((name) => name !== 'net.two.scale_weight'))
        expect([found['net.one.weight'], found['net.one.scale_weight'], found['scaled_fp8']]).toEqual([
          before['net.one.weight'],
          before['net.one.scale_weight'],
          before['scaled_fp8'],
        ])
        expect(found['net.two.weight']!.dtype).toBe('BF16')
      },
    ))

  test('may be named in the metadata, which speaks of the weights that still have scales and of no others', () =>
    inFolder(async (folder) => {
      const layers = { 'net.one': { format: 'float8_e4m3fn' }, 'net.two': { format: 'float8_e4m3fn' } }
      const metadata = { _quantization_metadata: JSON.stringify({ format_version: '1.0', layers }), author: 'x' }
      writeSafetensors(join(folder, 'a.safetensors'), modelOf(a, 'weight_scale'), metadata)
      writeSafetensors(join(folder, 'b.safetensors'), modelOf(b, 'weight_scale'))
      const written = async (more: object): Promise<unknown> => {
        await built(buildIn(folder, { ...BLEND, ...outputs('m', more) }))
        const opened = await openModel(join(folder, 'o.safetensors'))
        const text = opened.type === 'ok' ? opened.value.metadata.get('_quantization_metadata') : ''
        return text === undefined ? undefined : JSON.parse(text)
      }
      expect(await written({ dtype: 'f8_e4m3_scaled' })).toEqual({ format_version: '1.0', layers })
      expect(await written({ dtype: { 'net.two.*': 'f8_e4m3_scaled' } })).toEqual({
        format_version: '1.0',
        layers: { 'net.two': layers['net.two'] },
      })
      expect(await written({})).toBeUndefined()
      expect(await written({ dtype: 'f8_e4m3_scaled', metadata: { _quantization_metadata: '{"mine":1}' } })).toEqual({
        mine: 1,
      })
    }))

  test('may be scales of other dtypes', () =>
    inFolder(async (folder) => {
      for (const dtype of ['BF16', 'F8_E8M0'] as const) {
        const weight = scaledWeight(3, 6, 256, 'row', { dtype })
        writeSafetensors(join(folder, 'a.safetensors'), modelOf({ one: weight }, 'weight_scale'))
        await built(buildIn(folder, { models: { a: 'a.safetensors' }, ...outputs('a', { dtype: 'f32' }) }))
        expect((await readTensors(join(folder, 'o.safetensors')))['net.one.weight']!.values).toEqual(weight.meant)
      }
    }))
})

describe('models with and without scales', () => {
  const [a, b] = [weights(1, 'tensor'), weights(20, 128)]
  const plain: Tensors = {
    'net.one.weight': plainWeight(4, [ROWS, COLUMNS]),
    'net.two.weight': plainWeight(5, [5, 3]),
    'net.norm.weight': plainWeight(7, [12]),
  }
  const files = {
    'a.safetensors': modelOf(a, 'scale_weight'),
    'b.safetensors': modelOf(b, 'weight_scale_inv'),
    'p.safetensors': plain,
  }

  test('merge in either order, as the numbers they mean', () =>
    withFiles(files, async (folder) => {
      const models = { a: 'a.safetensors', b: 'b.safetensors', p: 'p.safetensors' }
      const steps = {
        pa: { op: 'merge.blend', a: 'p', b: 'a' },
        ap: { op: 'merge.blend', a: 'a', b: 'p' },
        ab: { op: 'merge.blend', a: 'a', b: 'b' },
      }
      await built(
        buildIn(folder, {
          models,
          steps,
          outputs: Object.fromEntries(
            Object.keys(steps).map((from) => [from, { from, path: `${from}.safetensors`, dtype: 'f32' }]),
          ),
        }),
      )
      const wanted = {
        pa: half(plain['net.one.weight']!.values as number[], a.one.meant),
        ab: half(a.one.meant, b.one.meant),
      }
      for (const [name, want] of Object.entries({ ...wanted, ap: wanted.pa })) {
        const found = await readTensors(join(folder, `${name}.safetensors`))
        expect(distance(found['net.one.weight']!.values, want)).toBeLessThan(1e-6)
        expect(Object.keys(found)).toEqual(['net.norm.weight', 'net.one.weight', 'net.two.weight'])
      }
    }))

  test('a model without scales gives none to scale again by', () =>
    withFiles(files, async (folder) => {
      expect(
        codesOf(
          await buildIn(folder, { models: { p: 'p.safetensors' }, ...outputs('p', { dtype: 'f8_e4m3_scaled' }) }),
        ),
      ).toEqual(['no-scales'])
      expect(
        codesOf(
          await buildIn(folder, {
            models: { a: 'a.safetensors' },
            ...outputs('a', { dtype: { default: 'bf16', 'net.norm.*': 'f8_e4m3_scaled' } }),
          }),
        ),
      ).toEqual(['no-scales'])
    }))

  test('a rule for some layers scales these alone', () =>
    withFiles(files, async (folder) => {
      const models = { a: 'a.safetensors', b: 'b.safetensors' }
      await built(
        buildIn(folder, {
          models,
          steps: BLEND.steps,
          ...outputs('m', { dtype: { default: 'bf16', 'net.one.*': 'f8_e4m3_scaled' } }),
        }),
      )
      const found = await readTensors(join(folder, 'o.safetensors'))
      expect(Object.entries(found).map(([name, t]) => [name, t.dtype])).toEqual([
        ['net.norm.weight', 'BF16'],
        ['net.one.scale_weight', 'F32'],
        ['net.one.weight', 'F8_E4M3'],
        ['net.two.weight', 'BF16'],
        ['scaled_fp8', 'F8_E4M3'],
      ])
    }))
})

test('blocks of zeros have a scale of 1, and numbers too small for a scale stay finite', () => {
  const zero = scaledWeight(1, 4, 6, 'row')
  const weight: ScaledWeight = {
    ...zero,
    stored: { ...zero.stored, values: (zero.stored.values as number[]).map((x, i) => (i < 6 ? 0 : x)) },
    scale: { ...zero.scale, values: [1, 2 ** -149, 2 ** -130, 2 ** -120] },
  }
  return withFiles({ 'a.safetensors': modelOf({ one: weight }, 'weight_scale') }, async (folder) => {
    await built(
      buildIn(folder, {
        models: { a: 'a.safetensors' },
        steps: { m: { op: 'model.scale', model: 'a', factor: 0.5 } },
        ...outputs('m', { dtype: 'f8_e4m3_scaled' }),
      }),
    )
    const found = await readTensors(join(folder, 'o.safetensors'))
    const scale = found['net.one.weight_scale']!.values
    expect([scale[0], scale[1], found['net.one.weight']!.values.slice(0, 6)]).toEqual([
      1,
      2 ** -126,
      [0, 0, 0, 0, 0, 0],
    ])
    expect(found['net.one.weight']!.values.every(Number.isFinite)).toBe(true)
  })
})

test('the same bytes come out whatever the number of workers, the size of chunks and the device', () => {
  // More than a segment, and blocks that no chunk ends with.
  const [rows, columns] = [1050, 1003]
  const model = (seed: number): Tensors =>
    Object.fromEntries(
      (['tensor', 'row', 128] as const).flatMap((layout, i) => {
        const { stored, scale } = scaledWeight(seed + i, rows, columns, layout)
        return [
          [`net.${i}.weight`, stored],
          [`net.${i}.weight_scale`, scale],
        ]
      }),
    )
  return withFiles({ 'a.safetensors': model(1), 'b.safetensors': model(10) }, async (folder) => {
    const recipe = {
      ...BLEND,
      outputs: {
        s: { from: 'm', path: 's.safetensors', dtype: 'f8_e4m3_scaled' },
        p: { from: 'm', path: 'p.safetensors' },
      },
    }
    const digests = []
    for (const options of [
      { workers: 1 },
      { workers: 4, start: anyHand, cutting: { chunk: 1000, block: 1 << 16 } },
      { workers: 4 },
      { ...pretend('cuda:0'), start: anyHand },
      { ...pretend('webgpu'), start: anyHand },
    ]) {
      digests.push((await built(buildIn(folder, recipe, options))).outputs.map((o) => o.digest))
    }
    expect(new Set(digests.map((d) => d.join()))).toHaveLength(1)
  })
})

test('the plan counts the scales that are found on the way as memory', () => {
  const rows = 200_000
  const tall = {
    'x.weight': { dtype: 'F8_E4M3', shape: [rows, 1], values: 1 },
    'x.weight_scale': { dtype: 'F32', shape: [rows, 1], values: 1 },
  } as const
  return withFiles({ 'a.safetensors': tall, 'b.safetensors': tall }, async (folder) => {
    const memory: number[] = []
    for (const dtype of ['f8_e4m3_scaled', 'bf16']) {
      await built(
        buildIn(
          folder,
          { ...BLEND, ...outputs('m', { dtype }) },
          { planned: (plan) => void memory.push(estimateMemory(plan, 1)) },
        ),
      )
    }
    expect(memory[0]! - memory[1]!).toBeGreaterThanOrEqual(4 * rows)
  })
})

test('a scale in another shard belongs to its weight', () =>
  inFolder(async (folder) => {
    const { stored, scale, meant } = scaledWeight(1, 30, 20, 'row')
    writeSafetensors(join(folder, 'x-1.safetensors'), { 'net.one.weight': stored })
    writeSafetensors(join(folder, 'x-2.safetensors'), { 'net.one.weight_scale': scale })
    writeFileSync(
      join(folder, 'x.safetensors.index.json'),
      JSON.stringify({
        metadata: {},
        weight_map: { 'net.one.weight': 'x-1.safetensors', 'net.one.weight_scale': 'x-2.safetensors' },
      }),
    )
    await built(buildIn(folder, { models: { a: 'x.safetensors.index.json' }, ...outputs('a', { dtype: 'f32' }) }))
    expect((await readTensors(join(folder, 'o.safetensors')))['net.one.weight']!.values).toEqual(meant.map(Math.fround))
  }))

test('an adapter is added to the numbers that a weight means, in a network of any kind', () => {
  const { stored, scale, meant } = scaledWeight(1, 4, 6, 'tensor', { size: 10 })
  const [up, down] = [plainWeight(2, [4, 2]), plainWeight(3, [2, 6])]
  const factors = { 'diffusion_model.net.one.lora_B.weight': up, 'diffusion_model.net.one.lora_A.weight': down }
  return withFiles(
    {
      'a.safetensors': {
        'net.one.weight': stored,
        'net.one.scale_weight': scale,
        'net.two.weight': plainWeight(5, [3, 3]),
        scaled_fp8: marker,
      },
      'l.safetensors': factors,
    },
    async (folder) => {
      const recipe = {
        models: { a: 'a.safetensors' },
        adapters: { l: 'l.safetensors' },
        steps: { m: { op: 'adapter.apply', model: 'a', adapter: 'l', strength: 2 } },
      }
      await built(buildIn(folder, { ...recipe, ...outputs('m', { dtype: 'f32' }) }))
      const added = meant.map(
        (x, i) =>
          x +
          2 *
            [0, 1].reduce(
              (sum, r) =>
                sum + (up.values as number[])[Math.floor(i / 6) * 2 + r]! * (down.values as number[])[r * 6 + (i % 6)]!,
              0,
            ),
      )
      expect(
        distance((await readTensors(join(folder, 'o.safetensors')))['net.one.weight']!.values, added),
      ).toBeLessThan(1e-6)
    },
  )
})

test('masks and thresholds are of the numbers that are meant', () => {
  // The stored numbers are as large in both rows: only the scales tell them apart.
  const stored: TensorValues = { dtype: 'F8_E4M3', shape: [2, 3], values: [1, 2, 4, 1, 2, 4] }
  const base: TensorValues = { dtype: 'F32', shape: [2, 3], values: 0 }
  return withFiles(
    {
      'a.safetensors': { 'x.weight': stored, 'x.weight_scale': { dtype: 'F32', shape: [2], values: [10, 1] } },
      'b.safetensors': { 'x.weight': base },
    },
    async (folder) => {
      await built(
        buildIn(folder, {
          models: { a: 'a.safetensors', b: 'b.safetensors' },
          steps: { m: { op: 'mask.magnitude', model: 'a', base: 'b', quantile: 0.5 } },
          ...outputs('m'),
        }),
      )
      expect(await readTensors(join(folder, 'o.safetensors'))).toEqual({
        'x.weight': { dtype: 'BOOL', shape: [2, 3], values: [1, 1, 1, 0, 0, 0] },
      })
    },
  )
})

test('a scale that alone has changed makes its weight anew, and nothing else', () =>
  withBuildFixture(async (shop) => {
    const [a, b] = [weights(1, 'row'), weights(20, 'row')]
    const recipe = {
      ...BLEND,
      outputs: {
        s: { from: 'm', path: 's.safetensors', dtype: 'f8_e4m3_scaled' },
        p: { from: 'm', path: 'p.safetensors' },
      },
    }
    await shop.model('a.safetensors', 0, modelOf(a, 'weight_scale'))
    await shop.model('b.safetensors', 0, modelOf(b, 'weight_scale'))
    await shop.build(recipe)
    expect((await shop.build(recipe)).workers).toBe(0)
    const other = scaledWeight(99, 5, 3, 'row').scale
    await shop.model('b.safetensors', 0, modelOf({ ...b, two: { ...b.two, scale: other } }, 'weight_scale'))
    const again = await shop.build(recipe)
    expect(computedBy(again)).toEqual(['net.two.weight', 'net.two.weight', 'net.two.weight_scale'])
    expect(shop.read('s.safetensors', 'p.safetensors')).toEqual(
      await shop.fresh(recipe, ['s.safetensors', 'p.safetensors']),
    )
  }))

describe('a checkpoint that is packed', () => {
  const gptq = (seed: number): Tensors => ({
    'q.qweight': { dtype: 'I32', shape: [1, 8], values: [1, 2, 3, 4, 5, 6, 7, seed] },
    'q.qzeros': { dtype: 'I32', shape: [1, 1], values: [seed] },
    'q.scales': plainWeight(seed, [1, 8], 'F16'),
    'embed.weight': plainWeight(seed + 1, [8, 8], 'F16'),
  })
  const nf4: Tensors = {
    'q.weight': { dtype: 'U8', shape: [32, 1], values: 3 },
    'q.weight.absmax': { dtype: 'F32', shape: [1], values: [1] },
    'q.weight.quant_state.bitsandbytes__nf4': { dtype: 'U8', shape: [4], values: 1 },
    'embed.weight': plainWeight(1, [8, 8], 'F16'),
  }
  const plain: Tensors = { 'q.weight': plainWeight(3, [8, 8], 'F16'), 'embed.weight': plainWeight(4, [8, 8], 'F16') }
  const files = { 'a.safetensors': gptq(1), 'b.safetensors': gptq(2), 'n.safetensors': nf4, 'p.safetensors': plain }
  const models = { a: 'a.safetensors', b: 'b.safetensors', n: 'n.safetensors', p: 'p.safetensors' }

  test('is refused by name, once for each model, by whatever computes with it', () =>
    withFiles(files, async (folder) => {
      const refused = async (step: object, ending = 'safetensors') => {
        const done = await buildIn(folder, {
          models,
          steps: { m: step },
          outputs: { o: { from: 'm', path: `o.${ending}` } },
        })
        return done.diagnostics
          .filter((d) => d.severity === 'error')
          .map((d) => `${d.code} ${/^`(\w)`/.exec(d.message)?.[1]} ${/\((\w[^)]*)\):/.exec(d.message)?.[1]}`)
      }
      expect(await refused({ op: 'merge.blend', a: 'a', b: 'b' })).toEqual([
        'quantised-model a GPTQ',
        'quantised-model b GPTQ',
      ])
      expect(await refused({ op: 'merge.blend', a: 'p', b: 'a', missing: 'keep' })).toEqual(['quantised-model a GPTQ'])
      expect(await refused({ op: 'merge.ties', base: 'p', models: ['n', 'p'] })).toEqual([
        'quantised-model n bitsandbytes nf4',
      ])
      expect(await refused({ op: 'mask.magnitude', model: 'a', base: 'b', quantile: 0.5 })).toEqual([
        'quantised-model a GPTQ',
        'quantised-model b GPTQ',
      ])
      expect(await refused({ op: 'model.normalize', a: 'n', b: 'p', method: 'all' })).toEqual([
        'quantised-model n bitsandbytes nf4',
      ])
      expect(await refused({ op: 'report.diff', a: 'a', b: 'p' }, 'txt')).toEqual(['quantised-model a GPTQ'])
      expect(await refused({ op: 'report.model', model: 'n' }, 'txt')).toEqual(['quantised-model n bitsandbytes nf4'])
    }))

  test('is refused by an adapter, not called a model without such modules', () =>
    withFiles(
      {
        ...files,
        'l.safetensors': { 'q.lora_B.weight': plainWeight(1, [8, 2]), 'q.lora_A.weight': plainWeight(2, [2, 8]) },
      },
      async (folder) => {
        for (const model of ['a', 'n']) {
          expect(
            codesOf(
              await buildIn(folder, {
                models: { [model]: `${model}.safetensors` },
                adapters: { l: 'l.safetensors' },
                steps: { m: { op: 'adapter.apply', model, adapter: 'l' } },
                ...outputs('m'),
              }),
            ),
          ).toEqual(['quantised-model'])
        }
      },
    ))

  test('is copied as it is, whole or beside what is merged, whatever dtype is asked for', () =>
    withFiles(files, async (folder) => {
      for (const dtype of ['same', 'bf16']) {
        await built(
          buildIn(folder, {
            models: { a: 'a.safetensors', b: 'b.safetensors' },
            steps: { m: { op: 'merge.blend', a: 'a', b: 'b', layers: 'embed.weight' } },
            ...outputs('m', { dtype }),
          }),
        )
        const [found, before] = [
          await readTensors(join(folder, 'o.safetensors')),
          await readTensors(join(folder, 'a.safetensors')),
        ]
        for (const name of ['q.qweight', 'q.qzeros', 'q.scales']) expect(found[name]).toEqual(before[name])
        expect(found['embed.weight']).toMatchObject({ dtype: dtype === 'same' ? 'F16' : 'BF16' })
        expect(found['embed.weight']!.values).not.toEqual(before['embed.weight']!.values)
      }
      await built(buildIn(folder, { models: { n: 'n.safetensors' }, ...outputs('n', { dtype: 'bf16' }) }))
      const [found, before] = [
        await readTensors(join(folder, 'o.safetensors')),
        await readTensors(join(folder, 'n.safetensors')),
      ]
      for (const name of Object.keys(nf4).filter((n) => n !== 'embed.weight')) expect(found[name]).toEqual(before[name])
      await built(buildIn(folder, { models: { a: 'a.safetensors' }, ...outputs('a') }))
      expect(dataOf(join(folder, 'o.safetensors')).equals(dataOf(join(folder, 'a.safetensors')))).toBe(true)
    }))

  test('is left alone where a step has no number for it, or a mask excludes it', () =>
    withFiles(files, async (folder) => {
      const recipe = (step: object) => ({
        models,
        steps: {
          no: { op: 'mask.layers', like: 'a', layers: 'embed.weight' },
          m: { op: 'merge.blend', a: 'a', b: 'b', ...step },
        },
        ...outputs('m'),
      })
      expect(codesOf(await buildIn(folder, recipe({ keep: { 'embed.weight': 0.5 } })))).toEqual(['unused-step'])
      expect(codesOf(await buildIn(folder, recipe({ mask: 'no' })))).toEqual([])
    }))
})
