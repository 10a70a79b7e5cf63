import { createHash } from 'node:crypto'
import { readFileSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { openStore } from '#src/store/store.js'
import { inFolder, readTensors } from '../support/build-run.js'
import { problemsOf } from '../support/small.js'
import type { PlainFile } from '../support/recipe-run.js'
import { writeSafetensors } from '../support/write-safetensors.js'
import { buildIn, built, codesOf, dataOf } from '../run/support.js'

/** Numbers of a normal distribution, nearly: the same in every run. */
const normals = (count: number, seed: number): readonly number[] => {
  let state = seed
  const even = (): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state / 2 ** 31 - 1
  }
  return Array.from({ length: count }, () => Math.fround(even() + even() + even()))
}

/** A sum of so many products of vectors. */
const lowRank = (rows: number, columns: number, rank: number): readonly number[] => {
  const [u, v] = [normals(rows * rank, 5), normals(columns * rank, 6)]
  return Array.from({ length: rows * columns }, (_, at) => {
    const [i, j] = [Math.floor(at / columns), at % columns]
    return Array.from({ length: rank }, (_, k) => u[i * rank + k]! * v[j * rank + k]! * 0.1).reduce((x, y) => x + y, 0)
  })
}

const SHAPES = { 'a.weight': [60, 80], 'block.conv.weight': [24, 8, 3, 3], 'a.bias': [60] } as const
const sizeOf = (shape: readonly number[]): number => shape.reduce((n, d) => n * d, 1)
type Name = keyof typeof SHAPES
const NAMES = Object.keys(SHAPES) as readonly Name[]

const writeModel = (path: string, numberOf: (name: Name, at: number) => number): void =>
  writeSafetensors(
    path,
    Object.fromEntries(
      NAMES.map((name) => [
        name,
        {
          dtype: 'F32',
          shape: SHAPES[name],
          values: Array.from({ length: sizeOf(SHAPES[name]) }, (_, at) => Math.fround(numberOf(name, at))),
        } as const,
      ]),
    ),
  )

const BASE = Object.fromEntries(NAMES.map((name, i) => [name, normals(sizeOf(SHAPES[name]), 10 + i)]))
const LOW = Object.fromEntries(
  NAMES.map((name) => {
    const [rows, ...rest] = SHAPES[name]
    return [name, lowRank(rows, sizeOf(rest), 3)]
  }),
)
const NOISE = Object.fromEntries(NAMES.map((name, i) => [name, normals(sizeOf(SHAPES[name]), 20 + i)]))

/** The norm of what no approximation of rank 8 of the noise reaches, by numpy's `linalg.svd` in float64. */
const LEAST: Partial<Record<Name, number>> = { 'a.weight': 56.42552, 'block.conv.weight': 26.60877 }

/** A folder with a base, a model of low-rank differences and one of noise. */
const withModels = <T>(work: (folder: string) => Promise<T>): Promise<T> =>
  inFolder((folder) => {
    writeModel(join(folder, 'base.safetensors'), (name, at) => BASE[name]![at]!)
    writeModel(join(folder, 'low.safetensors'), (name, at) => BASE[name]![at]! + LOW[name]![at]!)
    writeModel(join(folder, 'noisy.safetensors'), (name, at) => BASE[name]![at]! + NOISE[name]![at]!)
    return work(folder)
  })

const MODELS = { base: 'base.safetensors', low: 'low.safetensors', noisy: 'noisy.safetensors' }
const extraction = (model: string, more: object = {}) => ({
  models: MODELS,
  steps: {
    lora: { op: 'adapter.extract', model, base: 'base', ...more },
    baked: { op: 'adapter.apply', model: 'base', adapter: 'lora' },
  },
  outputs: {
    lora: { from: 'lora', path: 'lora.safetensors' },
    baked: { from: 'baked', path: 'baked.safetensors' },
  },
})
const furthest = (x: readonly number[], y: readonly number[]): number =>
  x.reduce((most, value, i) => Math.max(most, Math.abs(value - y[i]!)), 0)

describe('an adapter that is extracted', () => {
  test('gives a low-rank difference back, applied at once or from its file', () =>
    withModels(async (folder) => {
      await built(buildIn(folder, extraction('low', { rank: 4, vectors: true })))
      const atOnce = await readTensors(join(folder, 'baked.safetensors'))
      await built(
        buildIn(folder, {
          models: { base: 'base.safetensors' },
          adapters: { lora: 'lora.safetensors' },
          steps: { baked: { op: 'adapter.apply', model: 'base', adapter: 'lora' } },
          outputs: { baked: { from: 'baked', path: 'again.safetensors' } },
        }),
      )
      const again = await readTensors(join(folder, 'again.safetensors'))
      for (const name of NAMES) {
        const expected = BASE[name]!.map((x, at) => x + LOW[name]![at]!)
        expect(furthest(atOnce[name]!.values, expected)).toBeLessThan(1e-5)
        // The file holds the factors in float32, as the build has them, so both are the same to the bit.
        expect(again[name]!.values).toEqual(atOnce[name]!.values)
      }
    }))

  test('has no greater error than the rank makes necessary, but for 1 %', () =>
    withModels(async (folder) => {
      await built(buildIn(folder, extraction('noisy', { rank: 8 })))
      const baked = await readTensors(join(folder, 'baked.safetensors'))
      for (const name of NAMES.filter((n) => SHAPES[n].length > 1)) {
        const noise = NOISE[name]!
        const left = noise.map((x, at) => x + BASE[name]![at]! - baked[name]!.values[at]!)
        expect(Math.sqrt(left.reduce((sum, x) => sum + x * x, 0)) / LEAST[name]!).toBeLessThan(1.01)
      }
      // What has no rank is left out unless it is asked for.
      expect(baked['a.bias']!.values).toEqual(BASE['a.bias'])
    }))

  test('has names, shapes, an alpha for each module and the metadata that web UIs read', () =>
    withModels(async (folder) => {
      await built(buildIn(folder, extraction('low', { rank: { default: 4, 'block.conv.weight': 2 }, vectors: true })))
      const lora = await readTensors(join(folder, 'lora.safetensors'))
      expect(Object.entries(lora).map(([name, { shape }]) => [name, shape])).toEqual([
        ['lora_unet_a.alpha', []],
        ['lora_unet_a.diff_b', [60]],
        ['lora_unet_a.lora_down.weight', [4, 80]],
        ['lora_unet_a.lora_up.weight', [60, 4]],
        ['lora_unet_block_conv.alpha', []],
        ['lora_unet_block_conv.lora_down.weight', [2, 8, 3, 3]],
        ['lora_unet_block_conv.lora_up.weight', [24, 2, 1, 1]],
      ])
      expect(lora['lora_unet_a.alpha']!.values).toEqual([4])
      const header = readFileSync(join(folder, 'lora.safetensors')).toString('latin1')
      expect(header).toContain('"ss_network_module":"networks.lora"')
      expect(header).toContain('"ss_network_dim":"Dynamic"')
    }))

  test('has the hashes that web UIs know it by, and is up to date when it is built again', () =>
    withModels(async (folder) => {
      const path = join(folder, 'lora.safetensors')
      const order = { store: openStore(join(folder, 'store')) }
      await built(buildIn(folder, extraction('low', { rank: 4 }), order))
      const bytes = readFileSync(path)
      const header = JSON.parse(bytes.subarray(8, 8 + Number(bytes.readBigUInt64LE())).toString()) as {
        readonly __metadata__: Readonly<Record<string, string>>
      }
      const sha256 = (data: Uint8Array): string => createHash('sha256').update(data).digest('hex')
      const metadata = header.__metadata__
      expect(metadata['sshs_model_hash']).toBe(sha256(dataOf(path)))
      // Of a file that ends before 1 MiB there is nothing to hash.
      expect(metadata['sshs_legacy_hash']).toBe(sha256(new Uint8Array()).slice(0, 8))
      for (const options of [{}, { rehash: true }]) {
        const again = await built(buildIn(folder, extraction('low', { rank: 4 }), { ...order, ...options }))
        expect(again.outputs.map(({ kept }) => kept)).toEqual([true, true])
      }
      expect(readFileSync(path).equals(bytes)).toBe(true)
    }))

  test('is the same in every byte for any number of workers', () =>
    withModels(async (folder) => {
      const recipe = extraction('noisy', { rank: 5 })
      const bytes = async (workers: number): Promise<Buffer> => {
        await built(buildIn(folder, recipe, { workers }))
        const kept = join(folder, `${workers}.safetensors`)
        renameSync(join(folder, 'lora.safetensors'), kept)
        return readFileSync(kept)
      }
      expect((await bytes(1)).equals(await bytes(3))).toBe(true)
    }))

  test('changes only what a mask selects', () =>
    withModels(async (folder) => {
      const recipe = extraction('noisy', { rank: 60, layers: 'a.weight', mask: 'half' })
      await built(
        buildIn(folder, { ...recipe, steps: { half: { op: 'mask.fill', like: 'base', p: 0.5 }, ...recipe.steps } }),
      )
      const baked = (await readTensors(join(folder, 'baked.safetensors')))['a.weight']!.values
      const shares = baked.map((x, at) => (x - BASE['a.weight']![at]!) / NOISE['a.weight']![at]!)
      const [changed, unchanged] = [1, 0].map((share) => shares.filter((x) => Math.abs(x - share) < 1e-2).length)
      expect(changed! + unchanged!).toBe(shares.length)
      expect(changed! / shares.length).toBeCloseTo(0.5, 1)
    }))
})

const FILES: Readonly<Record<string, PlainFile>> = {
  a: { 'x.weight': { dtype: 'f32', shape: [2, 2], values: [1, 2, 3, 4] } },
  b: { 'x.weight': { dtype: 'f32', shape: [2, 2], values: [1, 2, 3, 5] } },
}
const extract = { op: 'adapter.extract', model: 'a', base: 'b' }

test.each([
  ['nothing-extracted', { ...extract, rank: 0 }],
  ['rank-fraction', { ...extract, rank: 2.5 }],
  ['adapter-names', { ...extract, names: 'diffusers', vectors: true }],
])('a step that makes no sound adapter is refused: %s', (code, step) => {
  expect(problemsOf(FILES, { r: step }).map((p) => p.split(' ')[1])).toContain(code)
})

test('a recipe over adapters alone needs no models', () =>
  withModels(async (folder) => {
    await built(buildIn(folder, extraction('low', { rank: 4 })))
    await built(
      buildIn(folder, {
        adapters: { lora: 'lora.safetensors' },
        steps: { small: { op: 'adapter.resize', adapter: 'lora', rank: 2 } },
        outputs: { small: { from: 'small', path: 'small.safetensors', dtype: 'f16' } },
      }),
    )
    const small = await readTensors(join(folder, 'small.safetensors'))
    expect(small['lora_unet_a.lora_up.weight']).toMatchObject({ dtype: 'F16', shape: [60, 2] })
    expect(small['lora_unet_a.alpha']!.values).toEqual([2])
  }))

test('an adapter that is a file already is not written again', () =>
  withModels(async (folder) => {
    await built(buildIn(folder, extraction('low')))
    const result = await buildIn(folder, {
      models: MODELS,
      adapters: { lora: 'lora.safetensors' },
      outputs: { copy: { from: 'lora', path: 'copy.safetensors' } },
    })
    expect(codesOf(result)).toEqual(['wrong-kind'])
  }))

test('the factors of layers that store their inputs first have the shapes that PEFT loads', () =>
  inFolder(async (folder) => {
    const shapes = { 'c_attn.weight': [4, 12], 'c_attn.bias': [12], 'c_proj.weight': [4, 4], 'c_proj.bias': [4] }
    const numbers = (seed: number) =>
      Object.fromEntries(
        Object.entries(shapes).map(([name, shape], i) => [
          `h.0.attn.${name}`,
          { dtype: 'F32', shape, values: normals(sizeOf(shape), seed + i) } as const,
        ]),
      )
    writeSafetensors(join(folder, 'base.safetensors'), numbers(1))
    writeSafetensors(join(folder, 'tuned.safetensors'), numbers(20))
    const baked = { op: 'adapter.apply', model: 'base', adapter: 'lora' }
    const models = { base: 'base.safetensors', tuned: 'tuned.safetensors' }
    const outputs = { baked: { from: 'baked', path: 'baked.safetensors' } }
    const lora = { op: 'adapter.extract', model: 'tuned', base: 'base', names: 'peft', rank: 4 }
    await built(
      buildIn(folder, {
        models,
        steps: { lora, baked },
        outputs: { ...outputs, lora: { from: 'lora', path: 'peft/' } },
      }),
    )
    const atOnce = await readTensors(join(folder, 'baked.safetensors'))
    const factors = await readTensors(join(folder, 'peft/adapter_model.safetensors'))
    expect(factors['base_model.model.h.0.attn.c_attn.lora_A.weight']!.shape).toEqual([4, 4])
    expect(factors['base_model.model.h.0.attn.c_attn.lora_B.weight']!.shape).toEqual([12, 4])
    expect(JSON.parse(readFileSync(join(folder, 'peft/adapter_config.json'), 'utf8'))).toMatchObject({
      fan_in_fan_out: true,
    })
    await built(buildIn(folder, { models, adapters: { lora: 'peft/' }, steps: { baked }, outputs }))
    const again = await readTensors(join(folder, 'baked.safetensors'))
    const tuned = await readTensors(join(folder, 'tuned.safetensors'))
    for (const name of ['h.0.attn.c_attn.weight', 'h.0.attn.c_proj.weight']) {
      expect(furthest(atOnce[name]!.values, tuned[name]!.values)).toBeLessThan(1e-5)
      expect(furthest(again[name]!.values, tuned[name]!.values)).toBeLessThan(1e-5)
    }
  }))

test('what an adapter has in another order than the model is extracted in that order, and what it has no name for is told', () =>
  inFolder(async (folder) => {
    const shapes = {
      'conditioner.embedders.1.model.text_projection': [4, 4],
      'conditioner.embedders.1.model.odd.weight': [4, 4],
      'model.diffusion_model.input_blocks.4.1.transformer_blocks.0.attn1.to_q.weight': [4, 4],
    }
    const model = (seed: number) =>
      Object.fromEntries(
        Object.entries(shapes).map(([name, shape], i) => [
          name,
          { dtype: 'F32', shape, values: normals(sizeOf(shape), seed + i) } as const,
        ]),
      )
    writeSafetensors(join(folder, 'base.safetensors'), model(1))
    writeSafetensors(join(folder, 'low.safetensors'), model(20))
    const result = await buildIn(folder, {
      ...extraction('low', { rank: 4 }),
      models: { base: MODELS.base, low: MODELS.low },
    })
    const odd = 'conditioner.embedders.1.model.odd.weight'
    expect(result.diagnostics.map(({ code, severity, message }) => [code, severity, message.includes(odd)])).toEqual([
      ['tensors-unnamed', 'warning', true],
    ])
    const [baked, tuned] = [
      await readTensors(join(folder, 'baked.safetensors')),
      await readTensors(join(folder, 'low.safetensors')),
    ]
    for (const name of Object.keys(shapes).filter((own) => own !== odd))
      expect(furthest(baked[name]!.values, tuned[name]!.values)).toBeLessThan(1e-5)
  }))

test('an adapter of two models that are alike is told to change nothing', () =>
  withModels(async (folder) => {
    const result = await buildIn(folder, {
      models: { base: MODELS.base },
      steps: { lora: { op: 'adapter.extract', model: 'base', base: 'base', rank: 2 } },
      outputs: { lora: { from: 'lora', path: 'lora.safetensors' } },
    })
    expect(result.diagnostics.map(({ code, severity }) => [code, severity])).toEqual([['adapter-idle', 'warning']])
  }))
