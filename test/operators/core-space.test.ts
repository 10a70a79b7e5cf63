import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { evaluateRecipe } from '../support/evaluate.js'
import { runOf, type PlainFile } from '../support/recipe-run.js'

interface Case {
  readonly rows: number
  readonly columns: number
  readonly strengths: readonly number[]
  readonly loras: readonly { readonly rank: number; readonly up: readonly number[]; readonly down: readonly number[] }[]
  readonly results: readonly {
    readonly method: string
    readonly density: number
    readonly isotropic: boolean
    readonly values: readonly number[]
  }[]
}

const cases = JSON.parse(
  readFileSync(new URL('../data/core-space/references.json', import.meta.url), 'utf8'),
) as readonly Case[]

const filesOf = ({ rows, columns, loras }: Case): Record<string, PlainFile> => {
  const base = { x: { dtype: 'f32', shape: [rows, columns], values: Array.from({ length: rows * columns }, () => 0) } }
  const adapters = loras.map(({ rank, up, down }, i): [string, PlainFile] => [
    `m${i}`,
    {
      'x.lora_up.weight': { dtype: 'f32', shape: [rows, rank], values: up },
      'x.lora_down.weight': { dtype: 'f32', shape: [rank, columns], values: down },
    },
  ])
  return { base, ...Object.fromEntries(adapters) } as Record<string, PlainFile>
}

type Steps = Readonly<Record<string, Readonly<Record<string, unknown>>>>

const evaluate = (files: Record<string, PlainFile>, steps: Steps): readonly number[] => {
  const adapters = Object.keys(files).filter((name) => name !== 'base')
  const run = runOf(files, steps, {}, { adapters })
  const result = evaluateRecipe(run.recipe, run.files)
  if (result.type === 'failed') throw new Error(result.diagnostics.map((d) => d.message).join())
  return result.value['out']!['x']!.values
}

const apply = (adapter: string) => ({ op: 'adapter.apply', model: 'base', adapter })
const merge = (files: Record<string, PlainFile>, settings: Readonly<Record<string, unknown>>): readonly number[] => {
  const adapters = Object.keys(files).filter((name) => name !== 'base')
  return evaluate(files, { merged: { op: 'adapter.core_space', adapters, ...settings }, result: apply('merged') })
}
const furthest = (x: readonly number[], y: readonly number[]): number =>
  x.reduce((most, value, i) => Math.max(most, Math.abs(value - y[i]!)), 0)

describe.each(cases)('the paper’s formulas: $rows × $columns, $loras.length adapters', (reference) => {
  test.each(reference.results)('$method of $density, isotropic: $isotropic', ({ values, ...settings }) => {
    const found = merge(filesOf(reference), { ...settings, strengths: reference.strengths })
    expect(furthest(found, values)).toBeLessThan(1e-5)
  })
})

describe('in core space', () => {
  const files = filesOf(cases[0]!)

  test('a sum is the sum of the adapters', () => {
    const added = evaluate(files, {
      merged: { op: 'adapter.merge', adapters: ['m0', 'm1'], strengths: [0.5, 2] },
      result: apply('merged'),
    })
    expect(furthest(merge(files, { method: 'sum', strengths: [0.5, 2] }), added)).toBeLessThan(1e-5)
  })

  test('TSV-Merge is that of the models with the adapters', () => {
    const whole = evaluate(files, {
      a: apply('m0'),
      b: apply('m1'),
      result: { op: 'merge.tsv', base: 'base', models: ['a', 'b'] },
    })
    expect(furthest(merge(files, { method: 'tsv' }), whole)).toBeLessThan(1e-5)
  })

  test('adapters that change nothing merge to nothing', () => {
    const zeros = (file: PlainFile): PlainFile =>
      Object.fromEntries(Object.entries(file).map(([name, t]) => [name, { ...t, values: t.values.map(() => 0) }]))
    const none = { base: files['base']!, m0: zeros(files['m0']!), m1: zeros(files['m1']!) }
    for (const method of ['ties', 'tsv', 'sum'])
      expect(new Set(merge(none, { method, isotropic: true })), method).toEqual(new Set([0]))
  })

  test('what is not a number is not hidden', () => {
    const up = files['m0']!['x.lora_up.weight']!
    const ill = { ...files['m0']!, 'x.lora_up.weight': { ...up, values: up.values.with(0, NaN) } }
    expect(merge({ ...files, m0: ill }, {}).every(Number.isNaN)).toBe(true)
  })
})
