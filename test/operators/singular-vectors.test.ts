// References are the formulas of the authors' code (and of FusionBench), by numpy in float64.
import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { evaluateLast } from '../support/small.js'

interface Merge {
  readonly shape: readonly [number, number]
  /** The `common` of Iso-CTS. */
  readonly common: number
  readonly models: readonly (readonly number[])[]
  readonly tsv: readonly number[]
  readonly iso_c: readonly number[]
  readonly iso_cts: readonly number[]
}

const { merges } = JSON.parse(readFileSync(new URL('../data/svd/references.json', import.meta.url), 'utf8')) as {
  readonly merges: readonly Merge[]
}

const merge = (
  { shape, models }: Pick<Merge, 'shape' | 'models'>,
  settings: Readonly<Record<string, unknown>>,
): readonly number[] => {
  const tensor = (values: readonly number[]) => ({ x: { dtype: 'f32', shape, values } as const })
  const base = models[0]!.map((_, i) => i % 4)
  const files = {
    base: tensor(base),
    ...Object.fromEntries(models.map((own, i) => [`m${i}`, tensor(own.map((x, at) => Math.fround(x + base[at]!)))])),
  }
  const merged = evaluateLast(files, { r: { base: 'base', models: models.map((_, i) => `m${i}`), ...settings } })
  return merged['x']!.map((x, i) => x - base[i]!)
}

const expectClose = (found: readonly number[], expected: readonly number[]): void =>
  expect(found.reduce((most, x, i) => Math.max(most, Math.abs(x - expected[i]!)), 0)).toBeLessThan(2e-5)

describe.each(merges)('the authors’ results: $shape, $models.length models', (reference) => {
  test('of TSV-Merge', () => expectClose(merge(reference, { op: 'merge.tsv' }), reference.tsv))
  test('of Iso-C', () => expectClose(merge(reference, { op: 'merge.isotropic' }), reference.iso_c))
  test('of Iso-CTS', () =>
    expectClose(merge(reference, { op: 'merge.isotropic', common: reference.common }), reference.iso_cts))
})

describe('models', () => {
  const shape = [3, 2] as const
  const strong = [3, 0, 0, 1, 0, 0]

  test('of weight 0 do not count', () => {
    const models = [strong, [9, 9, 9, 9, 9, 9]]
    const weighted = [
      { model: 'm0', weight: 2 },
      { model: 'm1', weight: 0 },
    ]
    expectClose(
      merge({ shape, models }, { op: 'merge.tsv', models: weighted }),
      strong.map((x) => 2 * x),
    )
  })

  test.each(['merge.tsv', 'merge.isotropic'])('that are equal to the base add nothing: %s', (op) => {
    const zeros = [0, 0, 0, 0, 0, 0]
    expect(merge({ shape, models: [zeros, zeros] }, { op })).toEqual(zeros)
  })

  test.each(['merge.tsv', 'merge.isotropic'])('of which there are more than rows get the mean: %s', (op) => {
    const models = [strong, strong, [0, 0, 0, 4, 0, 0]]
    expectClose(merge({ shape, models }, { op, lambda: 0.5 }), [1, 0, 0, 1, 0, 0])
  })
})
