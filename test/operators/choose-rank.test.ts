import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { chosenRank, RANK_METHODS, type RankMethod } from '#src/kernels/solvers/low-rank.js'
import { planNow } from '#src/run/plan-now.js'
import { prepare } from '#src/run/prepare.js'
import { run } from '#src/run/run.js'
import { openStore } from '#src/store/store.js'
import { writeFileSync } from 'node:fs'
import { inFolder, readTensors } from '../support/build-run.js'
import { inlineWorker } from '../support/inline-worker.js'
import { writeSafetensors } from '../support/write-safetensors.js'
import { buildIn, built, codesOf } from '../run/support.js'

/** Singular values that are powers of two: squares add up to 85.3125, they themselves to 15.75. */
const STRENGTHS = [8, 4, 2, 1, 0.5, 0.25]
const N = STRENGTHS.length

const diagonal = (values: readonly number[]): readonly number[] =>
  Array.from({ length: N * N }, (_, at) => (at % (N + 1) === 0 ? values[at / (N + 1)]! : 0))

const solve = (values: readonly number[], method: RankMethod, amount: number, most = N): number => {
  const operand = { shape: [N, N], values: Float32Array.from(values) }
  const solved = chosenRank.solve([operand], [0, N, most, RANK_METHODS.indexOf(method), amount], [1])
  return (solved as Float64Array)[0]!
}

describe('the rank of a matrix', () => {
  test.each([
    // 64 / 85.3125 is 0.75, and with 16 it is 0.94.
    ['energy', 0.75, 1],
    ['energy', 0.9, 2],
    ['energy', 0.99, 4],
    ['energy', 1, 6],
    // 14 of 15.75 is 0.89.
    ['quantile', 0.5, 1],
    ['quantile', 0.9, 4],
    ['ratio', 0.3, 2],
    ['ratio', 0.9999, 1],
    ['threshold', 0.75, 4],
    ['threshold', 9, 0],
  ] as const)('by %s of %s is %s', (method, amount, rank) => {
    expect(solve(diagonal(STRENGTHS), method, amount)).toBe(rank)
    expect(solve(diagonal(STRENGTHS), method, amount, 2)).toBe(Math.min(rank, 2))
    expect(
      solve(
        diagonal([]).map(() => 0),
        method,
        amount,
      ),
    ).toBe(0)
  })
})

/** Numbers of a normal distribution, nearly, of which numpy made the ranks below: by `linalg.svd` in float64. */
const normals = (count: number, seed: number): Float32Array => {
  let state = seed
  const even = (): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state / 2 ** 31 - 1
  }
  return Float32Array.from({ length: count }, () => even() + even() + even())
}

test.each([
  ['energy', 0.5, 13, 7],
  ['quantile', 0.5, 19, 10],
  ['ratio', 0.6, 19, 13],
] as const)('the rank of noise by %s is the one that numpy finds', (method, amount, wide, tall) => {
  const rankOf = (rows: number, columns: number, seed: number): number => {
    const operand = { shape: [rows, columns], values: normals(rows * columns, seed) }
    const settings = [0, rows, 24, RANK_METHODS.indexOf(method), amount]
    return (chosenRank.solve([operand], settings, [1]) as Float64Array)[0]!
  }
  expect(rankOf(60, 80, 20)).toBe(wide)
  expect(rankOf(24, 72, 21)).toBe(tall)
})

const BASE = 'base.safetensors'
const withModels = (work: (folder: string) => Promise<void>): Promise<void> =>
  inFolder(async (folder) => {
    const f32 = (values: readonly number[]) => ({ dtype: 'F32', shape: [N, N], values }) as const
    const zeros = f32(diagonal([]).map(() => 0))
    writeSafetensors(join(folder, BASE), { 'a.weight': zeros, 'b.weight': zeros, 'c.weight': zeros })
    writeSafetensors(join(folder, 'tuned.safetensors'), {
      'a.weight': f32(diagonal(STRENGTHS)),
      'b.weight': f32(diagonal(STRENGTHS.map((x) => x ** 2))),
      'c.weight': zeros,
    })
    await work(folder)
  })
const recipe = {
  models: { base: BASE, tuned: 'tuned.safetensors' },
  steps: {
    lora: { op: 'adapter.extract', model: 'tuned', base: 'base', method: 'energy', amount: 0.99 },
    small: { op: 'adapter.resize', adapter: 'lora', rank: 3, method: 'ratio', amount: 0.2 },
  },
  outputs: {
    lora: { from: 'lora', path: 'lora.safetensors' },
    small: { from: 'small', path: 'small.safetensors' },
  },
}
const ranksIn = async (path: string): Promise<Readonly<Record<string, number>>> =>
  Object.fromEntries(
    Object.entries(await readTensors(path)).flatMap(([name, { shape }]) =>
      name.endsWith('.lora_down.weight') ? [[name.split('.')[0]!, shape[0]!]] : [],
    ),
  )

describe('an adapter whose ranks depend on its numbers', () => {
  test('has the ranks that its modules need, and one made of it has its own', () =>
    withModels(async (folder) => {
      await built(buildIn(folder, recipe))
      // What is not changed has nothing to keep.
      expect(await ranksIn(join(folder, 'lora.safetensors'))).toEqual({ lora_unet_a: 4, lora_unet_b: 2 })
      expect(await ranksIn(join(folder, 'small.safetensors'))).toEqual({ lora_unet_a: 3, lora_unet_b: 2 })
      const lora = await readTensors(join(folder, 'lora.safetensors'))
      expect(lora['lora_unet_a.alpha']!.values).toEqual([4])
    }))

  test('has them of what was made, not of what it was made from', () =>
    withModels(async (folder) => {
      const low = { op: 'adapter.extract', model: 'tuned', base: 'base', method: 'threshold', amount: 3 }
      const high = { op: 'adapter.resize', adapter: 'lora', rank: 6, method: 'quantile', amount: 0.95 }
      await built(buildIn(folder, { ...recipe, steps: { lora: low, small: high } }))
      // Of 64, 16 and 4 two are nearly all; with what was left out before, it would take three.
      expect(await ranksIn(join(folder, 'lora.safetensors'))).toEqual({ lora_unet_a: 2, lora_unet_b: 3 })
      expect(await ranksIn(join(folder, 'small.safetensors'))).toEqual({ lora_unet_a: 2, lora_unet_b: 2 })
    }))

  test('is up to date when it is built again, and then its plan knows the ranks', () =>
    withModels(async (folder) => {
      const store = openStore(join(folder, 'store'))
      const path = join(folder, 'recipe.yaml')
      writeFileSync(path, JSON.stringify({ smelt: 1, ...recipe }))
      const before = await planNow(path, { reading: 'if-useful', store })
      expect(codesOf(before)).toEqual(['found-by-build'])
      await built(buildIn(folder, recipe, { store }))
      for (const options of [{}, { frozen: true }, { rehash: true }]) {
        const again = await built(buildIn(folder, recipe, { store, ...options }))
        expect(again.outputs.map(({ kept }) => kept)).toEqual([true, true])
      }
      const after = await planNow(path, { reading: 'if-useful', store })
      expect(codesOf(after)).toEqual([])
      expect(after.type === 'ok' && after.value.plan.jobs).toEqual([])
    }))

  test('is not made of a plan that has not measured them', () =>
    withModels(async (folder) => {
      const path = join(folder, 'recipe.yaml')
      writeFileSync(path, JSON.stringify({ smelt: 1, ...recipe }))
      const prepared = await prepare(path)
      if (prepared.type === 'failed') throw new Error(prepared.diagnostics[0]!.message)
      const result = await run(prepared.value.plan, { workers: 1, device: 'cpu', start: inlineWorker })
      expect(codesOf(result)).toEqual(['not-measured'])
    }))

  test.each([
    ['amount-missing', { method: 'energy' }],
    ['amount-unused', { amount: 0.5 }],
    ['amount-no-share', { method: 'energy', amount: 90 }],
    ['amount-no-share', { method: 'ratio', amount: 20 }],
    ['nothing-extracted', { method: 'threshold', amount: 1000 }],
  ])('needs a number that goes with its method: %s', (code, params) =>
    withModels(async (folder) => {
      const lora = { op: 'adapter.extract', model: 'tuned', base: 'base', ...params }
      const outputs = { lora: recipe.outputs.lora }
      expect(codesOf(await buildIn(folder, { ...recipe, steps: { lora }, outputs }))).toEqual([code])
    }),
  )
})
