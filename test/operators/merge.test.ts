import { describe, expect, test } from 'vitest'
import { METHODS } from '#src/operators/interpolate.js'
import { bool, evaluateLast, f32 } from '../support/small.js'
import type { PlainTensor } from '../support/recipe-run.js'

/** A tensor that shows in every result it is read for. */
const unreadable = (n: number): PlainTensor => ({ dtype: 'f32', shape: [n], values: Array<number>(n).fill(NaN) })
const matrix = (...values: readonly number[]): PlainTensor => ({ ...f32(...values), shape: [1, values.length] })

describe('merge.blend', () => {
  test.each(Object.keys(METHODS).filter((method) => method !== 'gradient'))(
    'with keep 1 copies the first model and does not read the second: %s',
    (method) => {
      const a = matrix(0.1, 0.7, -3)
      expect(
        evaluateLast(
          { a: { x: a }, b: { x: { ...unreadable(3), shape: [1, 3] } } },
          { r: { op: 'merge.blend', a: 'a', b: 'b', keep: 1, method } },
        ),
      ).toEqual({ x: a.values })
    },
  )

  test.each(['lerp', 'slerp', 'cosine', 'cubic', 'slice'])(
    'with keep 0 copies the second model and does not read the first: %s',
    (method) => {
      const b = matrix(0.1, 0.7, -3)
      expect(
        evaluateLast(
          { a: { x: { ...unreadable(3), shape: [1, 3] } }, b: { x: b } },
          { r: { op: 'merge.blend', a: 'a', b: 'b', keep: 0, method } },
        ),
      ).toEqual({ x: b.values })
    },
  )

  test.each(['slice', 'cyclic', 'gradient'])('by columns keeps what is no matrix: %s', (method) => {
    const [a, b] = [
      { x: f32(1, 2), y: { ...f32(1, 2, 3, 4), shape: [1, 2, 1, 2] } },
      { x: f32(5, 6), y: { ...f32(5, 6, 7, 8), shape: [1, 2, 1, 2] } },
    ]
    expect(evaluateLast({ a, b }, { r: { op: 'merge.blend', a: 'a', b: 'b', keep: 0.5, method } })).toEqual({
      x: [1, 2],
      y: [1, 2, 3, 4],
    })
  })

  test('by slices takes every row alike, with a seam of a twentieth on both sides', () => {
    const row = (value: number) => Array<number>(20).fill(value)
    const both = (...values: readonly number[]): PlainTensor => ({ ...f32(...values.flatMap(row)), shape: [2, 20] })
    const r = evaluateLast(
      { a: { x: both(0, 2) }, b: { x: both(4, 6) } },
      { r: { op: 'merge.blend', a: 'a', b: 'b', keep: 0.5, method: 'slice' } },
    )['x']!
    const expected = Array.from({ length: 20 }, (_, i) => (i < 10 ? 0 : i === 10 ? 2 : 4))
    expect(r).toEqual([...expected, ...expected.map((x) => x + 2)])
  })

  test.each(['merge.blend', 'merge.dare'])(
    'with slerp takes a straight line to or from a tensor of zeros: %s',
    (op) => {
      const files = {
        a: { x: matrix(0, 0, 0), y: matrix(8, -4, 2), z: matrix(0, 0, 0) },
        b: { x: matrix(8, -4, 2), y: matrix(0, 0, 0), z: matrix(0, 0, 0) },
      }
      expect(
        evaluateLast(files, {
          r: { op, a: 'a', b: 'b', keep: 0.75, method: 'slerp', ...(op === 'merge.dare' ? { drop: 0 } : {}) },
        }),
      ).toEqual({ x: [2, -1, 0.5], y: [6, -3, 1.5], z: [0, 0, 0] })
    },
  )

  test.each(['free', 'interpolate'])('with slerp leaves equal tensors bit for bit what they are: norm %s', (norm) => {
    const a = matrix(0.1, 0.7, -3)
    expect(
      evaluateLast(
        { a: { x: a }, b: { x: a } },
        { r: { op: 'merge.blend', a: 'a', b: 'b', keep: 0.37, method: 'slerp', norm } },
      ),
    ).toEqual({ x: a.values })
  })

  test('with slerp takes vectors along a straight line, unless they are to turn', () => {
    const files = { a: { x: f32(2, 0), y: f32(2) }, b: { x: f32(0, 2), y: f32(-2) } }
    const slerp = (more: Readonly<Record<string, string>>) =>
      evaluateLast(files, { r: { op: 'merge.blend', a: 'a', b: 'b', keep: 0.75, method: 'slerp', ...more } })
    expect(slerp({})).toEqual({ x: [1.5, 0.5], y: [1] })
    const turned = slerp({ vectors: 'slerp' })
    expect(Math.hypot(...turned['x']!)).toBeCloseTo(2, 6)
    expect(turned['y']).toEqual([1])
  })

  test('with slerp gives the norm that is interpolated by itself', () => {
    const files = { a: { x: matrix(6, 1, 2, -5) }, b: { x: matrix(0.5, 2, -1, 0.25) } }
    const norm = (x: readonly number[]) => Math.hypot(...x)
    const [of, to] = [norm(files.a.x.values), norm(files.b.x.values)]
    for (const keep of [0.9, 0.5, 0.2]) {
      const { x } = evaluateLast(files, {
        r: { op: 'merge.blend', a: 'a', b: 'b', keep, method: 'slerp', norm: 'interpolate' },
      })
      expect(norm(x!)).toBeCloseTo(keep * of + (1 - keep) * to, 5)
    }
  })

  test('keeps the first model in tensors that no rule reaches, that layers leaves out, and that the mask does not know', () => {
    const files = { a: { p: f32(0), q: f32(0), r: f32(0) }, b: { p: f32(8), q: f32(8), r: f32(8) }, m: { p: bool(1) } }
    expect(evaluateLast(files, { r: { op: 'merge.blend', a: 'a', b: 'b', keep: { q: 0.5, r: 0.25 } } })).toEqual({
      p: [0],
      q: [4],
      r: [6],
    })
    expect(evaluateLast(files, { r: { op: 'merge.blend', a: 'a', b: 'b', layers: ['*', '!q'] } })).toEqual({
      p: [4],
      q: [0],
      r: [4],
    })
    const masked = { mask: { op: 'mask.load', file: 'm' }, r: { op: 'merge.blend', a: 'a', b: 'b', mask: 'mask' } }
    expect(evaluateLast(files, masked)).toEqual({ p: [4], q: [0], r: [0] })
    expect(evaluateLast(files, { ...masked, r: { ...masked.r, unmasked: 'merge' } })).toEqual({
      p: [4],
      q: [4],
      r: [4],
    })
  })
})

describe('a model of weight 0 is not read by', () => {
  const files = { base: { x: f32(1, 2) }, m: { x: f32(2, 0) }, no: { x: unreadable(2) } }
  const models = [
    { model: 'm', weight: 1 },
    { model: 'no', weight: 0 },
  ]
  test.each(['task_arithmetic', 'ties', 'dare_linear', 'dare_ties'])('merge.%s', (op) => {
    const density = op === 'task_arithmetic' ? {} : { density: 1 }
    expect(
      evaluateLast(files, {
        r: { op: `merge.${op}`, base: 'base', models: models.map((m) => ({ ...m, ...density })) },
      }),
    ).toEqual({ x: [2, 0] })
  })

  test('merge.linear, which copies a single model', () => {
    expect(
      evaluateLast(
        { m: { x: f32(0.1, 0.7) }, no: files.no },
        {
          r: {
            op: 'merge.linear',
            models: [
              { model: 'm', weight: 0.3 },
              { model: 'no', weight: 0 },
            ],
          },
        },
      ),
    ).toEqual({ x: f32(0.1, 0.7).values })
  })

  test('the family, of which lambda 0 leaves the base', () => {
    expect(
      evaluateLast(
        { base: files.base, no: files.no },
        { r: { op: 'merge.ties', base: 'base', models: ['no'], lambda: 0 } },
      ),
    ).toEqual({ x: [1, 2] })
  })
})

describe('merge.ties', () => {
  test('keeps exactly so many, equal ones by lower index', () => {
    expect(
      evaluateLast(
        { base: { x: f32(0, 0, 0, 0, 0) }, m: { x: f32(1, -1, 1, 1, 1) } },
        { r: { op: 'merge.ties', base: 'base', models: [{ model: 'm', density: 0.6 }] } },
      ),
    ).toEqual({ x: [1, -1, 1, 0, 0] })
  })

  test('trims over all tensors of the model together when asked', () => {
    const files = { base: { p: f32(0, 0), q: f32(0, 0) }, m: { p: f32(1, 2), q: f32(4, -3) } }
    const step = { op: 'merge.ties', base: 'base', models: [{ model: 'm', density: 0.5 }] }
    expect(evaluateLast(files, { r: step })).toEqual({ p: [0, 2], q: [4, 0] })
    expect(evaluateLast(files, { r: { ...step, scope: 'model' } })).toEqual({ p: [0, 0], q: [4, -3] })
  })

  test('keeps all or none of equal numbers that do not all fit, within a tensor or over the model', () => {
    const files = { base: { p: f32(0, 0), q: f32(0, 0) }, m: { p: f32(1, 2), q: f32(1, -2) } }
    const ties = (density: number, equal: string, scope: string) =>
      evaluateLast(files, { r: { op: 'merge.ties', base: 'base', models: [{ model: 'm', density }], equal, scope } })
    expect(ties(0.75, 'all', 'model')).toEqual({ p: [1, 2], q: [1, -2] })
    expect(ties(0.75, 'none', 'model')).toEqual({ p: [0, 2], q: [0, -2] })
    expect(ties(0.25, 'none', 'model')).toEqual({ p: [0, 0], q: [0, 0] })
    expect(ties(0.5, 'none', 'tensor')).toEqual({ p: [0, 2], q: [0, -2] })
  })

  test.each([
    ['plus', [3, 1, -4]],
    ['none', [0, 1, -4]],
    ['majority', [-3, 1, -4]],
  ])('gives a parameter whose differences cancel the sign that is asked for: %s', (undecided, expected) => {
    const files = {
      base: { x: f32(0, 0, 0), y: f32(0) },
      m: { x: f32(3, 1, -4), y: f32(-1) },
      n: { x: f32(-3, 1, -4), y: f32(-1) },
    }
    const models = ['m', 'n'].map((model) => ({ model, density: 1 }))
    expect(evaluateLast(files, { r: { op: 'merge.ties', base: 'base', models, undecided } })['x']).toEqual(expected)
  })

  test.each(['ties', 'dare_ties', 'breadcrumbs_ties'])('elects by number where asked: merge.%s', (op) => {
    const files = { base: { x: f32(0) }, a: { x: f32(5) }, b: { x: f32(-1) }, c: { x: f32(-2) } }
    const models = ['a', 'b', 'c'].map((model) => ({ model, density: 1 }))
    const step = { op: `merge.${op}`, base: 'base', models, normalize: false }
    expect(evaluateLast(files, { r: step })).toEqual({ x: [5] })
    expect(evaluateLast(files, { r: { ...step, elect: 'count' } })).toEqual({ x: [-3] })
  })

  test('gives the base where a density of 0 keeps nothing', () => {
    expect(
      evaluateLast(
        { base: { x: f32(1, 2) }, m: { x: f32(5, 5) } },
        { r: { op: 'merge.ties', base: 'base', models: [{ model: 'm', density: 0 }], rescale: 'density' } },
      ),
    ).toEqual({ x: [1, 2] })
  })
})

describe('normalize: kept', () => {
  const files = { base: { x: f32(0, 0, 0, 0) }, a: { x: f32(9, 4, -3, 1) }, b: { x: f32(2, 8, 1, 4) } }

  test('divides by the weights of the models that keep a parameter, also where these go by size', () => {
    const models = [
      { model: 'a', density: 0.5, gamma: 0.25, weight: 3 },
      { model: 'b', density: 0.5, gamma: 0.25, weight: 1 },
    ]
    expect(evaluateLast(files, { r: { op: 'merge.breadcrumbs', base: 'base', models, normalize: 'kept' } })).toEqual({
      x: [2, 4, -3, 4],
    })
  })

  test('divides by nothing where the weights of these cancel', () => {
    const models = [
      { model: 'a', density: 1, weight: 1 },
      { model: 'b', density: 1, weight: -1 },
    ]
    expect(evaluateLast(files, { r: { op: 'merge.dare_linear', base: 'base', models, normalize: 'kept' } })).toEqual({
      x: [7, -4, -4, -3],
    })
  })
})

describe('merge.dare', () => {
  const n = 4000
  const files = {
    a: { x: f32(...Array<number>(n).fill(0)) },
    b: { x: f32(...Array.from({ length: n }, (_, i) => i + 0.1)) },
  }
  const dare = { op: 'merge.dare', a: 'a', b: 'b' }
  const taken = (values: readonly number[]): number => values.filter((x) => x !== 0).length / n

  test('drops nothing with drop 0 and is then the second model exactly', () => {
    expect(evaluateLast(files, { r: { ...dare, drop: 0, iterations: 3, rescale: true } })['x']).toEqual(
      files.b.x.values,
    )
  })

  test('takes the share that is not dropped, and more with every iteration, each with draws of its own', () => {
    expect(taken(evaluateLast(files, { r: { ...dare, drop: 0.75 } })['x']!)).toBeCloseTo(0.25, 1)
    expect(taken(evaluateLast(files, { r: { ...dare, drop: 0.75, iterations: 2 } })['x']!)).toBeCloseTo(
      1 - 0.75 ** 2,
      1,
    )
  })

  test('draws alike under one seed and name, and otherwise under another', () => {
    const once = evaluateLast(files, { r: dare }, 7)
    expect(evaluateLast(files, { r: dare }, 7)).toEqual(once)
    expect(evaluateLast(files, { r: dare }, 8)).not.toEqual(once)
    expect(evaluateLast(files, { other: dare }, 7)).not.toEqual(once)
    expect(evaluateLast(files, { other: { ...dare, seed: 'r' } }, 7)).toEqual(once)
  })

  test('measures the difference from a base when it has one', () => {
    const three = { a: { x: f32(1, 2) }, b: { x: f32(5, 5) }, base: { x: f32(4, 3) } }
    expect(evaluateLast(three, { r: { ...dare, base: 'base', drop: 0, iterations: 2 } })).toEqual({ x: [2, 4] })
  })

  test('changes nothing where its mask is false', () => {
    const masked = { a: { x: f32(1, 2) }, b: { x: f32(5, 5) }, m: { x: bool(0, 1) } }
    expect(
      evaluateLast(masked, { mask: { op: 'mask.load', file: 'm' }, r: { ...dare, drop: 0, mask: 'mask' } }),
    ).toEqual({ x: [1, 5] })
  })
})
