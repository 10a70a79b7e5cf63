import { describe, expect, test } from 'vitest'
import { matrixOf } from '#src/kernels/solvers/matrix.js'
import { svdOf } from '#src/kernels/solvers/svd.js'
import type { PlainFile, PlainTensor } from '../support/recipe-run.js'
import { evaluateRecipe } from '../support/evaluate.js'
import { runOf } from '../support/recipe-run.js'

const sizeOf = (shape: readonly number[]): number => shape.reduce((n, d) => n * d, 1)

/** Numbers from −1 to 1, the same in every run. */
const tensor = (shape: readonly number[], seed: number): PlainTensor => {
  let state = seed
  return {
    dtype: 'f32',
    shape,
    values: Array.from({ length: sizeOf(shape) }, () => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0
      return Math.fround(state / 2 ** 31 - 1)
    }),
  }
}
const scalar = (value: number): PlainTensor => ({ dtype: 'f32', shape: [], values: [value] })

const [ROWS, COLUMNS] = [12, 9]
const lora = (rank: number, seed: number, alpha?: number): PlainFile => ({
  'a.lora_up.weight': tensor([ROWS, rank], seed),
  'a.lora_down.weight': tensor([rank, COLUMNS], seed + 1),
  ...(alpha === undefined ? {} : { 'a.alpha': scalar(alpha) }),
})
const FILES = {
  base: { 'a.weight': tensor([ROWS, COLUMNS], 1), 'a.bias': tensor([ROWS], 2), 'c.weight': tensor([8, 4, 3, 3], 3) },
  first: { ...lora(3, 10, 6), 'a.diff_b': tensor([ROWS], 14) },
  second: {
    ...lora(2, 20),
    'a.diff_b': tensor([ROWS], 24),
    'c.lora_up.weight': tensor([8, 2, 1, 1], 25),
    'c.lora_down.weight': tensor([2, 4, 3, 3], 26),
    'c.alpha': scalar(1),
  },
  diffusers: { 'unet.a.lora_B.weight': tensor([ROWS, 2], 30), 'unet.a.lora_A.weight': tensor([2, COLUMNS], 31) },
  plain: lora(2, 60, 2),
  bare: { 'c.lora_up.weight': tensor([8, 2, 1, 1], 80), 'c.lora_down.weight': tensor([2, 4, 3, 3], 81) },
  narrow: { 'a.lora_up.weight': tensor([ROWS, 2], 40), 'a.lora_down.weight': tensor([2, COLUMNS - 1], 41) },
  ill: { 'a.lora_up.weight': tensor([ROWS, 2], 50), 'a.lora_down.weight': tensor([3, COLUMNS], 51) },
  whole: { 'a.diff': tensor([ROWS, COLUMNS], 70) },
  loha: Object.fromEntries(['w1_a', 'w1_b', 'w2_a', 'w2_b'].map((w, i) => [`a.hada_${w}`, tensor([2, 2], i)])),
} satisfies Readonly<Record<string, PlainFile>>
const ADAPTERS = Object.keys(FILES).filter((name) => name !== 'base')

const evaluate = (steps: Readonly<Record<string, Readonly<Record<string, unknown>>>>) => {
  const run = runOf(FILES, steps, {}, { adapters: ADAPTERS })
  return evaluateRecipe(run.recipe, run.files)
}
const out = (steps: Readonly<Record<string, Readonly<Record<string, unknown>>>>): PlainFile => {
  const result = evaluate(steps)
  if (result.type === 'failed') throw new Error(result.diagnostics.map((d) => d.message).join())
  return result.value['out']!
}
const furthest = (x: PlainFile, y: PlainFile): number =>
  Object.entries(x)
    .flatMap(([name, { values }]) => values.map((value, i) => Math.abs(value - y[name]!.values[i]!)))
    .reduce((a, b) => Math.max(a, b), 0)

const merged = { op: 'adapter.merge', adapters: ['first', 'second'], strengths: [0.5, -2] }

describe('merged adapters', () => {
  test('change a model as they do one after another', () => {
    const atOnce = out({ merged, result: { op: 'adapter.apply', model: 'base', adapter: 'merged' } })
    const inTurn = out({
      one: { op: 'adapter.apply', model: 'base', adapter: 'first', strength: 0.5 },
      result: { op: 'adapter.apply', model: 'one', adapter: 'second', strength: -2 },
    })
    expect(furthest(atOnce, inTurn)).toBeLessThan(1e-5)
    expect(furthest(atOnce, FILES.base)).toBeGreaterThan(1)
  })

  test('have the ranks of all together, and the names and shapes of the first that has them', () => {
    expect(Object.entries(out({ merged })).map(([name, { shape }]) => [name, shape])).toEqual([
      ['a.lora_up.weight', [ROWS, 5]],
      ['a.lora_down.weight', [5, COLUMNS]],
      ['a.diff_b', [ROWS]],
      ['a.alpha', []],
      ['c.lora_up.weight', [8, 2, 1, 1]],
      ['c.lora_down.weight', [2, 4, 3, 3]],
      ['c.alpha', []],
    ])
    expect(out({ merged })['a.alpha']!.values).toEqual([5])
  })

  test.each([
    ['adapter.merge', { ...merged, rank: 2 }],
    ['adapter.resize', { op: 'adapter.resize', adapter: 'merged', rank: 2 }],
  ])('are approximated as well as their rank allows: %s', (_, step) => {
    const zeros = { op: 'model.scale', model: 'base', factor: 0 }
    const apply = (adapter: string) => ({ op: 'adapter.apply', model: 'zeros', adapter })
    const whole = out({ zeros, merged, result: apply('merged') })['a.weight']!.values
    const small = out({ zeros, merged, small: step, result: apply('small') })['a.weight']!.values
    const { s } = svdOf(matrixOf(Float32Array.from(whole), ROWS, COLUMNS))
    const least = s.slice(2).reduce((sum, x) => sum + x * x, 0)
    const left = whole.reduce((sum, x, i) => sum + (x - small[i]!) ** 2, 0)
    expect(Math.sqrt(left / least)).toBeCloseTo(1, 4)
  })

  test('have an alpha for each module if one of them states any', () => {
    const mixed = out({ mixed: { op: 'adapter.merge', adapters: ['plain', 'bare'] } })
    expect([mixed['a.alpha']!.values, mixed['c.alpha']!.values]).toEqual([[2], [2]])
    expect(Object.keys(out({ alone: { op: 'adapter.merge', adapters: ['bare'] } }))).not.toContain('c.alpha')
  })

  test('of a single one are that one', () => {
    const alone = { op: 'adapter.merge', adapters: ['plain'] }
    expect(furthest(FILES.plain, out({ alone }))).toBe(0)
  })
})

test.each([
  ['adapter-names', { op: 'adapter.merge', adapters: ['first', 'diffusers'] }],
  ['factor-shape', { op: 'adapter.merge', adapters: ['first', 'narrow'] }],
  ['factor-shape', { op: 'adapter.resize', adapter: 'ill', rank: 1 }],
  ['two-changes', { op: 'adapter.merge', adapters: ['first', 'whole'] }],
  ['not-plain-lora', { op: 'adapter.merge', adapters: ['first', 'loha'] }],
  ['strengths-count', { op: 'adapter.merge', adapters: ['first', 'second'], strengths: [1] }],
])('adapters that cannot be merged are refused: %s', (code, result) => {
  expect(evaluate({ result }).diagnostics.map((d) => d.code)).toEqual([code])
})

test('a whole difference has no rank to lower, which is told', () => {
  const warned = (step: object) =>
    evaluate({ result: { op: 'adapter.resize', rank: 1, ...step } }).diagnostics.map(({ code, severity }) => [
      code,
      severity,
    ])
  expect(warned({ adapter: 'whole' })).toEqual([['differences-kept', 'warning']])
  expect(warned({ adapter: 'first' })).toEqual([])
})
