import { describe, expect, test } from 'vitest'
import { evaluateLast, f32, problemsOf } from '../support/small.js'

const N = 8000
const like = { like: { x: f32(...Array<number>(N).fill(0)), y: f32(1, 2, 3) } }
const part = (params: object, which: number, seed = 0): readonly number[] =>
  evaluateLast(
    like,
    {
      p: { op: 'mask.partition', like: 'like', ...params },
      m: { op: 'mask.union', masks: [`p.${which}`, `p.${which}`] },
    },
    seed,
  )['x']!
const count = (mask: readonly number[]): number => mask.reduce((n, x) => n + x, 0)

describe('a partition', () => {
  test.each([
    [{}, [1, 1, 1, 1]],
    [{ parts: 3 }, [1, 1, 1]],
    [{ shares: [0.1, 0.6, 0.3] }, [0.4, 2.4, 1.2]],
    [{ shares: [0.5, 0, 0.5, 0] }, [2, 0, 2, 0]],
  ])('%j is disjoint and covers everything, by its shares', (params, shares) => {
    const masks = shares.map((_, i) => part(params, i + 1))
    expect(Array.from({ length: N }, (_, i) => masks.reduce((n, mask) => n + mask[i]!, 0)).every((n) => n === 1)).toBe(
      true,
    )
    const total = shares.reduce((x, y) => x + y, 0)
    shares.forEach((share, i) => expect(count(masks[i]!) / N).toBeCloseTo(share / total, 1))
    if (shares.includes(0)) expect(count(masks[1]!)).toBe(0)
  })

  test('differs by seed and is the same for the same', () => {
    expect(part({}, 1, 1)).toEqual(part({}, 1, 1))
    expect(part({}, 1, 1)).not.toEqual(part({}, 1, 2))
  })

  test('needs shares that add up to 1', () => {
    expect(problemsOf(like, { p: { op: 'mask.partition', like: 'like', shares: [0.5, 0.25] } })).toEqual([
      'error partition-shares @p.shares',
    ])
    expect(problemsOf(like, { p: { op: 'mask.partition', like: 'like', shares: [0.3, 0.3, 0.4] } })).toEqual([])
    expect(
      problemsOf(like, { p: { op: 'mask.partition', like: 'like', shares: Array<number>(7).fill(1 / 7) } }),
    ).toEqual([])
  })

  test('needs a share for each part where both are given', () => {
    expect(problemsOf(like, { p: { op: 'mask.partition', like: 'like', parts: 3, shares: [0.5, 0.5] } })).toEqual([
      'error partition-parts @p.shares',
    ])
  })
})

test('quarters of four models make one model in which each number is of exactly one of them', () => {
  const of = (value: number) => ({ x: f32(...Array<number>(N).fill(value)) })
  const blend = (a: string, b: string, mask: string) => ({ op: 'merge.blend', a, b, mask, keep: 0 })
  const merged = evaluateLast(
    { a: of(1), b: of(2), c: of(3), d: of(4) },
    {
      quarters: { op: 'mask.partition', like: 'a' },
      ab: blend('a', 'b', 'quarters.2'),
      abc: blend('ab', 'c', 'quarters.3'),
      abcd: blend('abc', 'd', 'quarters.4'),
    },
  )['x']!
  for (const value of [1, 2, 3, 4]) expect(merged.filter((x) => x === value).length / N).toBeCloseTo(0.25, 1)
})

describe('masks of several models', () => {
  const files = { base: { x: f32(0, 0, 0) }, a: { x: f32(2, -3, 1) }, b: { x: f32(1, -4, -1) } }

  test('compared, they decide whose larger change is taken', () => {
    const steps = {
      further: { op: 'mask.compare', a: 'b', b: 'a', base: 'base' },
      r: { op: 'merge.blend', a: 'a', b: 'b', mask: 'further', keep: 0 },
    }
    expect(evaluateLast(files, steps)).toEqual({ x: [2, -4, 1] })
  })

  test('a tensor that one model lacks is a problem, or not known to the mask', () => {
    const [base, b] = [
      { ...files.base, y: f32(0) },
      { ...files.b, y: f32(1) },
    ]
    const fewer = { base, a: files.a, b }
    const step = { op: 'mask.sign_agreement', base: 'base', models: ['a', 'b'] }
    expect(problemsOf(fewer, { m: step })).toEqual(['error missing-tensor @m.models'])
    expect(evaluateLast(fewer, { m: { ...step, missing: 'keep' } })).toEqual({ x: [1, 1, 0] })
    expect(problemsOf({ ...fewer, a: { z: f32(1) } }, { m: { ...step, missing: 'keep' } })).toEqual([
      'error nothing-merged @m.op',
    ])
  })
})
