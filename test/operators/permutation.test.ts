import { describe, expect, test } from 'vitest'
import { operators } from '#src/operators/index.js'
import { evaluateLast } from '../support/small.js'
import type { PlainFile, PlainTensor } from '../support/recipe-run.js'

type Settings = Readonly<Record<string, unknown>>

/** An operator over models of equal weight, and whether their order makes a difference. */
interface Listing {
  readonly op: string
  readonly symmetric: boolean
  readonly settings?: Settings
  /** What belongs to each model, beside the model. */
  readonly each?: (i: number) => Settings
  readonly count?: number
}

const LISTINGS: readonly Listing[] = [
  { op: 'merge.breadcrumbs', symmetric: true },
  { op: 'merge.breadcrumbs_ties', symmetric: true },
  { op: 'merge.clamp', symmetric: true, settings: { a: 'base' } },
  { op: 'merge.dare_linear', symmetric: false, each: () => ({ density: 0.5 }) },
  { op: 'merge.dare_ties', symmetric: false, each: () => ({ density: 0.5 }) },
  { op: 'merge.della', symmetric: false },
  { op: 'merge.della_linear', symmetric: false },
  { op: 'merge.emr', symmetric: true },
  { op: 'merge.fisher', symmetric: true, each: (i) => ({ statistics: `fisher${i}` }) },
  { op: 'merge.geometric_median', symmetric: true },
  { op: 'merge.isotropic', symmetric: true, settings: { common: 0.4 } },
  { op: 'merge.karcher', symmetric: true },
  { op: 'merge.karcher', symmetric: true, settings: { iterations: 1 } },
  { op: 'merge.linear', symmetric: true },
  { op: 'merge.model_stock', symmetric: true },
  { op: 'merge.model_stock', symmetric: true, settings: { over: 'row' } },
  { op: 'merge.model_stock', symmetric: false, settings: { pairs: 'consecutive' } },
  { op: 'merge.nuslerp', symmetric: true, count: 2 },
  { op: 'merge.nuslerp', symmetric: true, count: 2, settings: { over: 'column' } },
  { op: 'merge.pcb', symmetric: true, settings: { density: 0.6, clip: 0.1 } },
  { op: 'merge.pcb', symmetric: true, settings: { density: 0.3, clip: 0, scope: 'tensor' } },
  { op: 'merge.ram', symmetric: true, settings: { epsilon: 0.5, rescale: 0.3 } },
  { op: 'merge.regmean', symmetric: true, each: (i) => ({ statistics: `gram${i}` }) },
  { op: 'merge.sce', symmetric: true, settings: { density: 0.5 } },
  { op: 'merge.slerp_many', symmetric: true },
  { op: 'merge.task_arithmetic', symmetric: true },
  { op: 'merge.ties', symmetric: true, each: () => ({ density: 0.6 }) },
  { op: 'merge.tsv', symmetric: true },
]

const [ROWS, COLUMNS] = [3, 4]
const tensor = (shape: readonly number[], number: (i: number) => number): PlainTensor => ({
  dtype: 'f32',
  shape,
  values: Array.from({ length: shape.reduce((n, d) => n * d, 1) }, (_, i) => Math.fround(number(i))),
})
const model = (seed: number): PlainTensor => tensor([ROWS, COLUMNS], (i) => Math.sin(seed * 7 + i * i * 1.3))
const FILES: Readonly<Record<string, PlainFile>> = Object.fromEntries([
  ['base', { x: model(0) }],
  ...[1, 2, 3].flatMap((i) => [
    [`m${i}`, { x: model(i) }],
    [`fisher${i}`, { x: tensor([ROWS, COLUMNS], (k) => 1 + Math.sin(i + k)) }],
    [`gram${i}`, { x: tensor([COLUMNS, COLUMNS], (k) => (k % (COLUMNS + 1) === 0 ? i + k : 0.1)) }],
  ]),
]) as Readonly<Record<string, PlainFile>>

const permutations = (items: readonly number[]): readonly (readonly number[])[] =>
  items.length === 0
    ? [[]]
    : items.flatMap((item) => permutations(items.filter((x) => x !== item)).map((rest) => [item, ...rest]))

/** The key of an operator's list of models. */
const listKey = (inputs: (typeof operators)[number]['inputs']): string | undefined =>
  Object.keys(inputs).find((key) => {
    const input = inputs[key]!
    return input.type === 'model' && input.many
  })

const evaluate = ({ op, settings, each }: Listing, order: readonly number[]): readonly number[] => {
  const { inputs } = operators.find(({ id }) => id === op)!
  const items = order.map((i) => ({ model: `m${i}`, ...each?.(i) }))
  const base = 'base' in inputs ? { base: 'base' } : {}
  return evaluateLast(FILES, { r: { op, ...base, [listKey(inputs)!]: items, ...settings } })['x']!
}

test('every operator that merges a list of models is among those that are permuted here', () => {
  const listed = operators.filter(({ merges, output, inputs }) => merges && output === 'model' && listKey(inputs))
  expect([...new Set(LISTINGS.map(({ op }) => op))].sort()).toEqual(listed.map(({ id }) => id).sort())
})

/** How far apart the results of all orders are. */
const spread = (listing: Listing): number => {
  const orders = permutations([1, 2, 3].slice(0, listing.count ?? 3))
  const [first, ...others] = orders.map((order) => evaluate(listing, order))
  return Math.max(...others.flatMap((other) => other.map((x, i) => Math.abs(x - first![i]!))))
}

describe('the order of equally weighted models makes no difference to', () => {
  test.each(LISTINGS.filter(({ symmetric }) => symmetric))('$op $settings', (listing) => {
    expect(spread(listing)).toBeLessThan(1e-6)
  })
})

describe('the order of models makes a difference to', () => {
  test.each(LISTINGS.filter(({ symmetric }) => !symmetric))('$op $settings', (listing) => {
    expect(spread(listing)).toBeGreaterThan(1e-2)
  })
})
