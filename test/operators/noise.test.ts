import { expect, test } from 'vitest'
import { bool, evaluateLast, f32, problemsOf } from '../support/small.js'

const N = 4000
const zeros = f32(...Array<number>(N).fill(0))
const files = {
  m: {
    'in.1.attn1.to_v.weight': zeros,
    'in.1.attn1.to_v.bias': f32(0, 0),
    'in.1.attn1.to_k.weight': f32(0, 0),
    'in.1.conv.weight': f32(0, 0),
  },
}
const noisy = (params: object, seed = 0) =>
  evaluateLast(files, { r: { op: 'model.noise', model: 'm', std: 1, ...params } }, seed)

const moments = (x: readonly number[]): { mean: number; std: number } => {
  const mean = x.reduce((sum, y) => sum + y, 0) / x.length
  return { mean, std: Math.sqrt(x.reduce((sum, y) => sum + (y - mean) ** 2, 0) / x.length) }
}

test('goes to the values of attention and nowhere else unless layers are named', () => {
  const r = noisy({})
  expect(r['in.1.attn1.to_v.weight']!.every((x) => x !== 0)).toBe(true)
  expect(r['in.1.attn1.to_v.bias']!.every((x) => x !== 0)).toBe(true)
  expect([r['in.1.attn1.to_k.weight'], r['in.1.conv.weight']]).toEqual([
    [0, 0],
    [0, 0],
  ])
  expect(noisy({ layers: '**.conv' })['in.1.attn1.to_v.bias']).toEqual([0, 0])
})

test('a model without such layers is refused', () => {
  expect(problemsOf({ m: { x: f32(1) } }, { r: { op: 'model.noise', model: 'm' } })).toEqual([
    'error no-values-for-noise @r.op',
  ])
  expect(problemsOf({ m: { x: f32(1) } }, { r: { op: 'model.noise', model: 'm', layers: '**.to_v*' } })).toEqual([
    'error pattern-selects-nothing @r.layers',
  ])
})

test.each(['gaussian', 'uniform'])('%s noise has its mean and its standard deviation', (kind) => {
  const { mean, std } = moments(noisy({ kind, mean: 2, std: 0.5 })['in.1.attn1.to_v.weight']!)
  expect(mean).toBeCloseTo(2, 1)
  expect(std).toBeCloseTo(0.5, 1)
})

test('uniform noise stays within its bounds', () => {
  for (const x of noisy({ kind: 'uniform' })['in.1.attn1.to_v.weight']!)
    expect(Math.abs(x)).toBeLessThanOrEqual(Math.sqrt(3) + 1e-6)
})

test('is the same for the same seed and step, and another for another', () => {
  expect(noisy({}, 1)).toEqual(noisy({}, 1))
  expect(noisy({}, 1)).not.toEqual(noisy({}, 2))
})

test('nothing is added where a mask is false', () => {
  const two = { m: { 'a.to_v.weight': f32(1, 1) }, k: { 'a.to_v.weight': bool(1, 0) } }
  const r = evaluateLast(two, {
    k_mask: { op: 'mask.load', file: 'k' },
    r: { op: 'model.noise', model: 'm', mean: 1, std: 0, mask: 'k_mask' },
  })
  expect(r).toEqual({ 'a.to_v.weight': [2, 1] })
})
