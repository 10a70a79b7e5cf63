import { createHash } from 'node:crypto'
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { SEGMENT } from '#src/base/digest.js'
import { checkPins, prepare } from '#src/run/prepare.js'
import { layoutFile, type TensorOutline } from '#src/safetensors/layout.js'
import { openModel } from '#src/safetensors/model.js'
import { DTYPES, type Dtype } from '#src/tensor/dtype.js'
import { inFolder, readTensors } from '../support/build-run.js'
import { growthOf } from '../support/calls.js'
import { writeSafetensors } from '../support/write-safetensors.js'
import { buildIn, built, codesOf, dataOf, filesIn } from './support.js'

const copy = (more: object = {}) => ({
  models: { a: 'a.safetensors' },
  outputs: { out: { from: 'a', path: 'out.safetensors', ...more } },
})

/** Writes tensors whose bytes are all different from their neighbours’, whatever they mean. */
const writeNoise = (path: string, tensors: readonly TensorOutline[]): void => {
  const { header, bytes } = layoutFile(tensors, {})
  const all = Buffer.alloc(bytes)
  header.forEach((b, i) => {
    all[i] = b
  })
  for (let i = header.length, x = 1; i < bytes; i++) {
    x = (Math.imul(x, 1664525) + 1013904223) >>> 0
    all[i] = x >>> 24
  }
  writeFileSync(path, all)
}

describe('tensors that are not computed', () => {
  test.each(Object.keys(DTYPES) as Dtype[])('keep every byte across segments: %s', (dtype) =>
    inFolder(async (folder) => {
      writeNoise(join(folder, 'a.safetensors'), [{ name: 'x', dtype, shape: [2, SEGMENT + 4] }])
      await built(buildIn(folder, copy({ non_finite: 'allow' })))
      expect(dataOf(join(folder, 'out.safetensors')).equals(dataOf(join(folder, 'a.safetensors')))).toBe(true)
    }),
  )

  test('keep every byte where elements are smaller than one and rows end within it', () =>
    inFolder(async (folder) => {
      const outlines: TensorOutline[] = [
        { name: 'f4', dtype: 'F4', shape: [2, 3] },
        { name: 'one', dtype: 'F4', shape: [2] },
        { name: 'f6', dtype: 'F6_E2M3', shape: [4, 5] },
        { name: 'f6b', dtype: 'F6_E3M2', shape: [4] },
        { name: 'none', dtype: 'F4', shape: [0, 3] },
      ]
      writeNoise(join(folder, 'a.safetensors'), outlines)
      const done = await built(buildIn(folder, copy({ dtype: 'f16' })))
      expect(readFileSync(join(folder, 'out.safetensors')).length).toBe(done.outputs[0]!.bytes)
      expect(dataOf(join(folder, 'out.safetensors')).equals(dataOf(join(folder, 'a.safetensors')))).toBe(true)
    }))
})

describe('tensors of unusual shapes', () => {
  test('scalars and tensors without elements are merged like all others', () =>
    inFolder(async (folder) => {
      const tensors = (value: number) =>
        ({
          scalar: { dtype: 'F32', shape: [], values: [value] },
          none: { dtype: 'F16', shape: [3, 0], values: [] },
          one: { dtype: 'F64', shape: [1, 1, 1], values: [value] },
        }) as const
      writeSafetensors(join(folder, 'a.safetensors'), tensors(1))
      writeSafetensors(join(folder, 'b.safetensors'), tensors(2))
      const models = { a: 'a.safetensors', b: 'b.safetensors' }
      for (const step of [
        { op: 'merge.blend', a: 'a', b: 'b', keep: 0.25 },
        { op: 'merge.ties', base: 'a', models: [{ model: 'b', density: 1 }], lambda: 0.75 },
      ]) {
        await built(
          buildIn(folder, { models, steps: { x: step }, outputs: { out: { from: 'x', path: 'out.safetensors' } } }),
        )
        expect(await readTensors(join(folder, 'out.safetensors'))).toEqual({
          none: { dtype: 'F16', shape: [3, 0], values: [] },
          one: { dtype: 'F64', shape: [1, 1, 1], values: [1.75] },
          scalar: { dtype: 'F32', shape: [], values: [1.75] },
        })
      }
    }))

  test('masks of scalars and of tensors without elements are written', () =>
    inFolder(async (folder) => {
      writeSafetensors(join(folder, 'a.safetensors'), {
        scalar: { dtype: 'F32', shape: [], values: [1] },
        none: { dtype: 'F16', shape: [0], values: [] },
      })
      await built(
        buildIn(folder, {
          models: { a: 'a.safetensors' },
          steps: { x: { op: 'mask.fill', like: 'a', value: true } },
          outputs: { out: { from: 'x', path: 'out.safetensors' } },
        }),
      )
      expect(await readTensors(join(folder, 'out.safetensors'))).toEqual({
        none: { dtype: 'BOOL', shape: [0], values: [] },
        scalar: { dtype: 'BOOL', shape: [], values: [1] },
      })
    }))

  test('a model without tensors is written', () =>
    inFolder(async (folder) => {
      writeSafetensors(join(folder, 'a.safetensors'), {})
      await built(buildIn(folder, copy()))
      expect(await readTensors(join(folder, 'out.safetensors'))).toEqual({})
    }))

  test('five hundred tiny tensors take twice the work of half of them', () =>
    inFolder(async (folder) => {
      const make = (size: number) => {
        for (const name of ['a', 'b'])
          writeSafetensors(
            join(folder, `${name}${size}.safetensors`),
            Object.fromEntries(
              Array.from({ length: size }, (_, i) => [
                `layers.${i}.bias`,
                { dtype: 'F16', shape: [3], values: [i % 7, 1, 2] },
              ]),
            ),
          )
        const steps = { x: { op: 'merge.ties', base: 'a', models: [{ model: 'b', density: 0.5 }], scope: 'model' } }
        let builds = 0
        return () =>
          built(
            buildIn(folder, {
              models: { a: `a${size}.safetensors`, b: `b${size}.safetensors` },
              steps,
              outputs: { out: { from: 'x', path: `${size}-${builds++}.safetensors` } },
            }),
          )
      }
      expect(await growthOf(make(250), make(500))).toBeLessThan(2.5)
    }))
})

describe('rounding', () => {
  const write = async (folder: string, values: readonly number[], dtype: string): Promise<readonly number[]> => {
    writeSafetensors(join(folder, 'a.safetensors'), { x: { dtype: 'F32', shape: [values.length], values } })
    await built(buildIn(folder, copy({ dtype })))
    return (await readTensors(join(folder, 'out.safetensors')))['x']!.values
  }

  test.each([
    // Halfway between two neighbours, just below and above; the smallest numbers; the largest that stays finite.
    ['f16', [1 + 2 ** -11, 1 + 3 * 2 ** -11, 2 ** -25, 3 * 2 ** -25, 65519.99], [1, 1 + 2 ** -9, 0, 2 ** -23, 65504]],
    ['bf16', [1 + 2 ** -8, 1 + 3 * 2 ** -8, 1 + 2 ** -8 + 2 ** -20, -1 - 2 ** -8], [1, 1 + 2 ** -6, 1 + 2 ** -7, -1]],
    ['f8_e4m3', [1.0625, 1.1875, 1.07, 463.9, 2 ** -10, 3 * 2 ** -10], [1, 1.25, 1.125, 448, 0, 2 ** -8]],
    ['f8_e5m2', [1.125, 1.375, 1.13, 61439, 2 ** -17, 3 * 2 ** -17], [1, 1.5, 1.25, 57344, 0, 2 ** -15]],
  ])('is to nearest, and to even between two: %s', (dtype, values, expected) =>
    inFolder(async (folder) => {
      expect(await write(folder, values, dtype)).toEqual(expected)
    }),
  )

  test('of float64 numbers is to float32, once, unless they are only copied', () =>
    inFolder(async (folder) => {
      const values = [0.1, 1 + 2 ** -24 + 2 ** -50]
      writeSafetensors(join(folder, 'a.safetensors'), { x: { dtype: 'F64', shape: [2], values } })
      await built(buildIn(folder, copy()))
      expect((await readTensors(join(folder, 'out.safetensors')))['x']!.values).toEqual(values)
      await built(
        buildIn(folder, {
          ...copy(),
          steps: { y: { op: 'model.scale', model: 'a', factor: 2 } },
          outputs: { out: { from: 'y', path: 'out.safetensors' } },
        }),
      )
      expect((await readTensors(join(folder, 'out.safetensors')))['x']).toMatchObject({
        dtype: 'F64',
        values: values.map((x) => 2 * Math.fround(x)),
      })
    }))

  test.each([
    ['f16', 65520],
    ['bf16', 3.4e38],
    ['f8_e4m3', 464.1],
    ['f8_e5m2', 61440],
    ['f16', -1e9],
  ])('beyond the largest number stops the build: %s of %d', (dtype, value) =>
    inFolder(async (folder) => {
      writeSafetensors(join(folder, 'a.safetensors'), { x: { dtype: 'F32', shape: [3], values: [1, value, 2] } })
      const result = await buildIn(folder, copy({ dtype }))
      expect(codesOf(result)).toEqual(['non-finite'])
      expect(result.diagnostics[0]!.message).toContain('element 1 of `x`')
    }),
  )
})

describe('shards', () => {
  const values = (seed: number) =>
    Object.fromEntries(
      Array.from(
        { length: 9 },
        (_, i) =>
          [
            `layer.${i}`,
            {
              dtype: 'F32',
              shape: [10, i + 1],
              values: Array.from({ length: 10 * (i + 1) }, (_, j) => seed + i + j / 64),
            },
          ] as const,
      ),
    )

  test('come out as they go in, and give the same digest as one file', () =>
    inFolder(async (folder) => {
      writeSafetensors(join(folder, 'a.safetensors'), values(1))
      const one = await built(buildIn(folder, copy()))
      const sharded = await built(buildIn(folder, copy({ path: 'parts/model.safetensors', shard_size: '500B' })))
      expect(sharded.outputs[0]!.paths.length).toBeGreaterThan(3)
      expect(sharded.outputs[0]!.digest).toBe(one.outputs[0]!.digest)
      const opened = await openModel(join(folder, 'parts'))
      expect(codesOf(opened)).toEqual([])
      for (const path of ['parts', 'parts/model.safetensors.index.json']) {
        const back = await built(
          buildIn(folder, { models: { a: path }, outputs: { out: { from: 'a', path: 'back.safetensors' } } }),
        )
        expect(back.outputs[0]!.digest).toBe(one.outputs[0]!.digest)
        expect(dataOf(join(folder, 'back.safetensors')).equals(dataOf(join(folder, 'a.safetensors')))).toBe(true)
      }
    }))

  test('are merged with a model in one file', () =>
    inFolder(async (folder) => {
      writeSafetensors(join(folder, 'a.safetensors'), values(1))
      await built(buildIn(folder, copy({ path: 'parts/model.safetensors', shard_size: '500B' })))
      writeSafetensors(join(folder, 'b.safetensors'), values(3))
      await built(
        buildIn(folder, {
          models: { a: 'parts', b: 'b.safetensors' },
          steps: { x: { op: 'merge.blend', a: 'a', b: 'b' } },
          outputs: { out: { from: 'x', path: 'out.safetensors' } },
        }),
      )
      writeSafetensors(join(folder, 'expected.safetensors'), values(2))
      expect(dataOf(join(folder, 'out.safetensors')).equals(dataOf(join(folder, 'expected.safetensors')))).toBe(true)
    }))

  test('replace those of an earlier build, the index last', () =>
    inFolder(async (folder) => {
      writeSafetensors(join(folder, 'a.safetensors'), values(1))
      const recipe = copy({ path: 'parts/model.safetensors', shard_size: '500B' })
      await built(buildIn(folder, recipe))
      const before = filesIn(join(folder, 'parts'))
      writeSafetensors(join(folder, 'new.safetensors'), values(7))
      renameSync(join(folder, 'new.safetensors'), join(folder, 'a.safetensors'))
      await built(buildIn(folder, recipe))
      expect(filesIn(join(folder, 'parts'))).toEqual(before)
      expect((await readTensors(join(folder, 'parts')))['layer.0']!.values[0]).toBe(7)
    }))
})

describe('a pinned sha256', () => {
  const pinned = (sha256: string, path = 'a.safetensors') => ({
    models: { a: { path, sha256 } },
    outputs: { out: { from: 'a', path: 'out.safetensors' } },
  })
  const write = (folder: string): string => {
    writeSafetensors(join(folder, 'a.safetensors'), { x: { dtype: 'F32', shape: [3], values: [1, 2, 3] } })
    return createHash('sha256')
      .update(readFileSync(join(folder, 'a.safetensors')))
      .digest('hex')
  }

  test('of the file is right in either case', () =>
    inFolder(async (folder) => {
      const sha256 = write(folder)
      await built(buildIn(folder, pinned(sha256)))
      await built(buildIn(folder, pinned(sha256.toUpperCase())))
    }))

  test('of another file stops the build before anything is written', () =>
    inFolder(async (folder) => {
      write(folder)
      const result = await buildIn(folder, pinned('0'.repeat(64)))
      expect(codesOf(result)).toEqual(['pin-mismatch'])
      expect(filesIn(folder)).toEqual(['a.safetensors', 'recipe.yaml'])
    }))

  test('of a file that is gone when it is to be compared is told like any file that cannot be read', () =>
    inFolder(async (folder) => {
      const sha256 = write(folder)
      writeFileSync(join(folder, 'recipe.yaml'), JSON.stringify({ smelt: 1, ...pinned(sha256) }))
      const prepared = await prepare(join(folder, 'recipe.yaml'))
      if (prepared.type === 'failed') throw new Error(codesOf(prepared).join())
      rmSync(join(folder, 'a.safetensors'))
      expect((await checkPins(prepared.value)).map((d) => d.code)).toEqual(['io-failed'])
    }))

  test('pins one file, never a sharded model', () =>
    inFolder(async (folder) => {
      const sha256 = write(folder)
      await built(buildIn(folder, copy({ path: 'parts/model', shard_size: '1GB' })))
      expect(codesOf(await buildIn(folder, pinned(sha256, 'parts')))).toEqual(['pin-of-shards'])
    }))
})
