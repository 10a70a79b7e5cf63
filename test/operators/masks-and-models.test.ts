import { describe, expect, test } from 'vitest'
import { bool, evaluateLast, f32 } from '../support/small.js'

describe('masks', () => {
  const files = { a: { p: bool(1, 0), q: bool(1, 1) }, b: { q: bool(0, 1), r: bool(1, 0) } }
  const loads = { a_mask: { op: 'mask.load', file: 'a' }, b_mask: { op: 'mask.load', file: 'b' } }
  const masks = ['a_mask', 'b_mask']

  test.each([
    ['union', { p: [1, 0], q: [1, 1], r: [1, 0] }],
    ['intersection', { p: [0, 0], q: [0, 1], r: [0, 0] }],
    ['difference', { p: [1, 0], q: [1, 0], r: [0, 0] }],
    ['xor', { p: [1, 0], q: [1, 0], r: [1, 0] }],
  ])('a tensor that a mask lacks counts as false in the %s', (op, expected) => {
    expect(evaluateLast(files, { ...loads, m: { op: `mask.${op}`, masks } })).toEqual(expected)
  })

  test('the complement of a union is the intersection of the complements', () => {
    const own = { a: files.a, b: { p: bool(0, 0), q: bool(0, 1) } }
    const left = evaluateLast(own, {
      ...loads,
      u: { op: 'mask.union', masks },
      m: { op: 'mask.complement', mask: 'u' },
    })
    const right = evaluateLast(own, {
      ...loads,
      x: { op: 'mask.complement', mask: 'a_mask' },
      y: { op: 'mask.complement', mask: 'b_mask' },
      m: { op: 'mask.intersection', masks: ['x', 'y'] },
    })
    expect(left).toEqual(right)
  })

  test('a random mask is true with its probability, a gaussian one above its threshold', () => {
    const n = 4000
    const like = { like: { x: f32(...Array<number>(n).fill(0)) } }
    const share = (params: object): number =>
      evaluateLast(like, { m: { op: 'mask.fill', like: 'like', ...params } })['x']!.reduce((x, y) => x + y, 0) / n
    expect(share({ p: 0.3 })).toBeCloseTo(0.3, 1)
    expect(share({ gaussian: { above: 0 } })).toBeCloseTo(0.5, 1)
    expect(share({ gaussian: { mean: 1, std: 2, above: 3 } })).toBeCloseTo(0.159, 1)
  })

  test('an edit changes the selected layers only', () => {
    expect(evaluateLast(files, { ...loads, m: { op: 'mask.edit', mask: 'a_mask', layers: 'p', set: true } })).toEqual({
      p: [1, 1],
      q: [1, 1],
    })
    expect(
      evaluateLast(files, { ...loads, m: { op: 'mask.edit', mask: 'a_mask', layers: 'q', p: 0, combine: 'or' } }),
    ).toEqual({ p: [1, 0], q: [1, 1] })
  })

  test('a mask of layers is false on the others', () => {
    expect(
      evaluateLast({ like: { p: f32(1), q: f32(1, 2) } }, { m: { op: 'mask.layers', like: 'like', layers: 'q' } }),
    ).toEqual({ p: [0], q: [1, 1] })
  })

  test('a mask of magnitudes can take one threshold for the whole model', () => {
    const moved = { m: { p: f32(1, 2), q: f32(-3, 4) }, base: { p: f32(0, 0), q: f32(0, 0) } }
    const step = { op: 'mask.magnitude', model: 'm', base: 'base', quantile: 0.5 }
    expect(evaluateLast(moved, { k: step })).toEqual({ p: [0, 1], q: [0, 1] })
    expect(evaluateLast(moved, { k: { ...step, scope: 'model' } })).toEqual({ p: [0, 0], q: [1, 1] })
  })

  test('a mask can be loaded from what a step computes', () => {
    const two = { a: { x: f32(1, 2) }, b: { x: f32(1, 3) } }
    expect(
      evaluateLast(two, { d: { op: 'model.subtract', a: 'a', b: 'b' }, m: { op: 'mask.load', file: 'd' } }),
    ).toEqual({ x: [0, 1] })
  })
})

describe('models', () => {
  test('parts of two models make one', () => {
    const files = { a: { te: f32(1), unet: f32(2) }, b: { te: f32(3), unet: f32(4) } }
    const steps = {
      te: { op: 'model.select', model: 'a', layers: 'te' },
      unet: { op: 'model.select', model: 'b', layers: '!te' },
      whole: { op: 'model.combine', models: ['te', 'unet'] },
    }
    expect(evaluateLast(files, steps)).toEqual({ te: [1], unet: [4] })
  })

  test('integers are copied from the first model and masks do not know them', () => {
    const files = { a: { n: bool(1, 0), x: f32(1) }, b: { n: bool(0, 0), x: f32(3) } }
    expect(evaluateLast(files, { r: { op: 'merge.linear', models: ['a', 'b'] } })).toEqual({ n: [1, 0], x: [2] })
    expect(evaluateLast(files, { r: { op: 'mask.fill', like: 'a', value: true } })).toEqual({ x: [1] })
  })

  test('weights of a step serve where a number per layer is due, and layers without one stay', () => {
    const files = { m: { p: f32(1), q: f32(1) } }
    expect(
      evaluateLast(files, {
        w: { op: 'weights.rules', like: 'm', rules: { q: 3 } },
        r: { op: 'model.scale', model: 'm', factor: 'w' },
      }),
    ).toEqual({ p: [1], q: [3] })
  })
})
