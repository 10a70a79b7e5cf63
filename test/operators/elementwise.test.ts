import { describe, expect, test } from 'vitest'
import { problemsOf as problemsOfText } from '../recipe/support.js'
import { evaluateNames } from '../support/evaluate.js'
import { runOf, type PlainTensor } from '../support/recipe-run.js'
import { bool, evaluateLast, f32, problemsOf } from '../support/small.js'

/** A tensor that shows in every result it is read for. */
const unreadable = (n: number): PlainTensor => ({ dtype: 'f32', shape: [n], values: Array<number>(n).fill(NaN) })

describe('merge.train_difference', () => {
  const methods = ['distance', 'opposite', 'strict_opposite']
  const step = { op: 'merge.train_difference', a: 'a', b: 'b', c: 'c' }

  test.each(methods)('keeps what both models already have in common: %s', (method) => {
    const same = f32(1, -2, 0)
    expect(
      evaluateLast({ a: { x: same }, b: { x: same }, c: { x: f32(0, 5, 0) } }, { r: { ...step, method } }),
    ).toEqual({ x: same.values })
  })

  test.each(methods)('with strength 0 copies the first model and reads no other: %s', (method) => {
    const files = { a: { x: f32(1, 2) }, b: { x: unreadable(2) }, c: { x: unreadable(2) } }
    expect(evaluateLast(files, { r: { ...step, method, strength: 0 } })).toEqual({ x: [1, 2] })
  })

  test.each(methods)('scales with its models, however small their numbers are: %s', (method) => {
    const at = (size: number) => {
      const scaled = (...values: readonly number[]) => ({ x: f32(...values.map((x) => x * size)) })
      const files = { a: scaled(-3, 1, 2), b: scaled(1, -2, 3), c: scaled(0, 0, 1) }
      return evaluateLast(files, { r: { ...step, method } })['x']!.map((x) => x / size)
    }
    expect(at(2 ** -100)).toEqual(at(1))
  })
})

describe('merge.perpendicular', () => {
  const step = { op: 'merge.perpendicular', a: 'a', b: 'b', base: 'base' }

  test('adds nothing along what the first model has learned', () => {
    const [a, b, base] = [f32(1, 2, 3, 4), f32(-2, 5, 1, 7), f32(0, 1, 1, 0)]
    const merged = evaluateLast({ a: { x: a }, b: { x: b }, base: { x: base } }, { r: step })['x']!
    const product = merged.reduce((sum, y, i) => sum + (y - a.values[i]!) * (a.values[i]! - base.values[i]!), 0)
    expect(product).toBeCloseTo(0, 5)
    expect(merged).not.toEqual(a.values)
  })

  test('a NaN does not pass for a tensor without direction', () => {
    const files = { a: { x: f32(NaN, 1) }, b: { x: f32(2, 2) }, base: { x: f32(0, 0) } }
    expect(evaluateLast(files, { r: step })).toEqual({ x: [NaN, NaN] })
  })
})

describe('merge.clamp', () => {
  const recipe = (keys: string): string =>
    `smelt: 1\nmodels: { a: a.safetensors, b: b.safetensors, c: c.safetensors }\nsteps: { r: { op: merge.clamp, a: a, ${keys} } }\noutputs: { o: { from: r, path: o.safetensors } }\n`

  test('a result within the bounds is copied, and so is a bound', () => {
    const files = { a: { x: f32(0.1, 9, -9) }, b: { x: f32(0, 0.7, 0.7) }, c: { x: f32(1, -0.3, -0.3) } }
    expect(evaluateLast(files, { r: { op: 'merge.clamp', a: 'a', bounds: ['b', 'c'] } })).toEqual({
      x: f32(0.1, 0.7, -0.3).values,
    })
  })

  test('a single bound and a stiffness beyond 1 are refused', () => {
    expect(problemsOfText(recipe('bounds: [b]')).map(({ code }) => code)).toEqual(['wrong-length'])
    expect(problemsOfText(recipe('bounds: [b, c], stiffness: 2')).map(({ code }) => code)).toEqual(['out-of-range'])
    expect(problemsOfText(recipe('bounds: [b, c], stiffness: 1'))).toEqual([])
  })
})

describe('merge.nearswap', () => {
  const step = { op: 'merge.nearswap', base: 'base', model: 'x' }

  test('no parameter moves further than the threshold, and near ones are copied', () => {
    const [base, x] = [f32(0.1, 0.1, 0.1, 0.1), f32(0.1000001, 0.15, 0.3, -7)]
    const moved = evaluateLast({ base: { x: base }, x: { x } }, { r: { ...step, threshold: 0.1 } })['x']!
    expect(moved.slice(0, 2)).toEqual(x.values.slice(0, 2))
    for (const [i, y] of moved.entries()) expect(Math.abs(y - base.values[i]!)).toBeLessThanOrEqual(0.1 + 1e-7)
    expect(moved[3]).toBeCloseTo(0, 6)
  })

  test('a threshold of 0 copies the base and reads nothing else', () => {
    expect(evaluateLast({ base: { x: f32(1, 2) }, x: { x: unreadable(2) } }, { r: { ...step, threshold: 0 } })).toEqual(
      { x: [1, 2] },
    )
  })
})

describe('merge.tensor_sum', () => {
  const step = { op: 'merge.tensor_sum', a: 'a', b: 'b' }
  const [a, b] = [f32(1, 2, 3, 4, 5, 6), f32(-1, -2, -3, -4, -5, -6)]
  const sum = (more: object, first = a, second = b): readonly number[] =>
    evaluateLast({ a: { x: first }, b: { x: second } }, { r: { ...step, ...more } })['x']!

  test.each([
    [0.5, 0.25],
    [0.3, 0.9],
    [0.25, -0.5],
    [-0.5, 0.25],
  ])('what one region leaves is the region after it: width %s, offset %s', (width, offset) => {
    const [size, start] = [Math.abs(width), offset + Math.min(0, width)]
    expect(sum({ width, offset })).toEqual(
      sum({ width: 1 - size, offset: start + size > 1 ? start + size - 1 : start + size }, b, a),
    )
  })

  test('a region of no row or of all rows reads one model only', () => {
    expect(sum({ width: 0.05 }, a, unreadable(6))).toEqual(a.values)
    expect(sum({ width: 1, offset: 0.4 }, unreadable(6), b)).toEqual(b.values)
  })

  test('rows and columns of a kernel are those of its first two axes', () => {
    const shaped = (tensor: PlainTensor): PlainTensor => ({ ...tensor, shape: [1, 3, 2, 1] })
    expect(sum({ width: 0.4, along: 'columns' }, shaped(a), shaped(b))).toEqual([-1, -2, 3, 4, 5, 6])
    expect(sum({ width: 0.6 }, shaped(a), shaped(b))).toEqual(b.values)
  })

  test('a width beyond all rows is refused', () => {
    const recipe = (width: number): string =>
      `smelt: 1\nmodels: { a: a.safetensors, b: b.safetensors }\nsteps: { r: { op: merge.tensor_sum, a: a, b: b, width: ${width} } }\noutputs: { o: { from: r, path: o.safetensors } }\n`
    expect(problemsOfText(recipe(1.5)).map(({ code }) => code)).toEqual(['out-of-range'])
    expect(problemsOfText(recipe(-1))).toEqual([])
  })
})

describe('merge.passthrough', () => {
  test('scales the layers that have a number and copies the others', () => {
    const files = { m: { q: f32(0.1), o: f32(0.1), norm: f32(0.7) } }
    expect(
      evaluateLast(files, { r: { op: 'merge.passthrough', model: 'm', scale: { q: 1, o: 2 }, layers: '!norm' } }),
    ).toEqual({ q: f32(0.1).values, o: f32(0.2).values, norm: f32(0.7).values })
  })
})

describe('mask.at_least', () => {
  const files = { a: { p: bool(1, 0), q: bool(1, 1) }, b: { q: bool(0, 1), r: bool(1, 0) }, c: { q: bool(1, 0) } }
  const loads = Object.fromEntries(['a', 'b', 'c'].map((name) => [`${name}_mask`, { op: 'mask.load', file: name }]))
  const masks = Object.keys(loads)
  const atLeast = (k: number) => ({ ...loads, m: { op: 'mask.at_least', masks, k } })

  test('a tensor that a mask lacks counts as false', () => {
    expect(evaluateLast(files, atLeast(2))).toEqual({ p: [0, 0], q: [1, 1], r: [0, 0] })
  })

  test('one is the union, all are the intersection', () => {
    const joined = (op: string) => evaluateLast(files, { ...loads, m: { op, masks } })
    expect(evaluateLast(files, atLeast(1))).toEqual(joined('mask.union'))
    expect(evaluateLast(files, atLeast(3))).toEqual(joined('mask.intersection'))
  })

  test('more than there are masks is refused', () => {
    expect(problemsOf(files, atLeast(4))).toEqual(['error too-few-masks @m.k'])
  })

  test('where masks of layers decide, nothing is counted', () => {
    const layer = { op: 'mask.layers', like: 'like', layers: 'q' }
    const steps = { ...loads, layer, m: { op: 'mask.at_least', masks: ['layer', 'layer', 'a_mask'], k: 2 } }
    const { recipe, files: all } = runOf({ ...files, like: { q: f32(1, 2) } }, steps, {})
    const made = evaluateNames(recipe, all)('m')
    const value = made.type === 'ok' && made.value.kind === 'mask' ? made.value : undefined
    expect(value?.mask('q')).toMatchObject({ type: 'constant', value: true })
    expect(value?.mask('p')).toMatchObject({ type: 'constant', value: false })
  })
})

describe('mask.tall', () => {
  const files = {
    base: { x: f32(0, 0, 0, 0) },
    one: { x: f32(2, 0, 1, -1) },
    two: { x: f32(0, 3, 1, 1) },
  }
  const sum = { op: 'merge.task_arithmetic', base: 'base', models: ['one', 'two'] }
  const tall = (model: string) => ({ op: 'mask.tall', model, base: 'base', merged: 'sum', lambda: 0.6 })

  test('the mask brings back from the sum what its model learned where no other moved', () => {
    expect(
      evaluateLast(files, {
        sum,
        own: tall('one'),
        r: { op: 'merge.blend', a: 'base', b: 'sum', mask: 'own', keep: 0 },
      }),
    ).toEqual({ x: [2, 0, 2, 0] })
  })

  test('the consensus of two leaves out what only one model learned', () => {
    expect(
      evaluateLast(files, {
        sum,
        first: tall('one'),
        second: tall('two'),
        both: { op: 'mask.at_least', masks: ['first', 'second'], k: 2 },
        r: { ...sum, mask: 'both' },
      }),
    ).toEqual({ x: [0, 0, 2, 0] })
  })

  test('with a lambda of 0 it selects everything', () => {
    expect(evaluateLast(files, { sum, own: { ...tall('one'), lambda: 0 } })).toEqual({ x: [1, 1, 1, 1] })
  })
})
