import { describe, expect, test } from 'vitest'
import { makeRandom } from '../safetensors/files.js'
import { problemsOf as problemsOfText } from '../recipe/support.js'
import { buildRun } from '../support/build-run.js'
import { runOf, type PlainFile, type PlainTensor } from '../support/recipe-run.js'
import { bool, evaluateLast, f32, problemsOf } from '../support/small.js'

type Files = Readonly<Record<string, PlainFile>>
type Step = Readonly<Record<string, unknown>>

/** What a build makes of the tensor `x`. */
const built = async (files: Files, step: Step): Promise<readonly number[]> => {
  const result = await buildRun(runOf(files, { r: step }, {}))
  if (result.type === 'failed') throw new Error(result.diagnostics.map((d) => d.code).join())
  return result.value['x']!.values
}
/** A tensor that shows in every result it is read for. */
const unreadable = (n: number): PlainTensor => f32(...Array<number>(n).fill(NaN))
const expectClose = (found: readonly number[], expected: readonly number[]): void => {
  expect(found.length).toBe(expected.length)
  for (const [i, x] of expected.entries()) expect(found[i]).toBeCloseTo(x, 5)
}

/** Numbers at which the methods take every turn, as three models have them. */
const THREE: Files = {
  a: { x: f32(0.75, -1.25, 0.5, 0, -0.375, 2, 0, -1.5) },
  b: { x: f32(0.5, -1, -0.75, 0.625, -0.375, 0.25, 0, 1.5) },
  c: { x: f32(1, -0.5, 0.25, 0.125, 0.25, 1.5, 0.5, -0.25) },
}

describe('merge.add_difference', () => {
  const step = { op: 'merge.add_difference', a: 'a', b: 'b', c: 'c' }
  const N = 2000
  const random = makeRandom(5)
  const base = Array.from({ length: N }, () => random() - 0.5)
  const near = (size: number): PlainTensor => f32(...base.map((x) => x + (random() - 0.5) * size))
  const [a, b, c] = [near(1), near(1), f32(...base)]
  const files = { a: { x: a }, b: { x: b }, c: { x: c } }
  const exact = (strength: number): readonly number[] =>
    base.map((_, i) => a.values[i]! + strength * (b.values[i]! - c.values[i]!))
  const rounded = (strength: number): readonly number[] =>
    base.map((_, i) =>
      Math.fround(a.values[i]! + Math.fround(Math.fround(b.values[i]! - c.values[i]!) * Math.fround(strength))),
    )
  const wrong = (found: readonly number[], strength: number): number =>
    exact(strength).filter((x, i) => Math.fround(x) !== found[i]).length

  test.each([1, 0.5, -1.25])('is rounded once where float64 holds the sum: strength %d', async (strength) => {
    expect(wrong(rounded(strength), strength)).toBeGreaterThan(N / 500)
    expect(wrong(await built(files, { ...step, strength }), strength)).toBe(0)
  })

  test.each([0.7, 1 / 3, -1.9])('is off by half an ulp at most: strength %d', async (strength) => {
    const found = await built(files, { ...step, strength })
    const truth = exact(strength)
    const errors = (of: readonly number[]): number =>
      Math.max(...truth.map((x, i) => Math.abs(x - of[i]!) / 2 ** (Math.floor(Math.log2(Math.abs(x))) - 23)))
    expect(errors(found)).toBeLessThan(0.5001)
    expect(errors(rounded(strength))).toBeGreaterThan(0.6)
  })

  test('a difference that the first model cancels keeps its digits', async () => {
    const cancelling = { a: { x: f32(-1) }, b: { x: f32(1 + 2 ** -23) }, c: { x: f32(3 * 2 ** -25) } }
    expect(await built(cancelling, step)).toEqual([2 ** -25])
    expect(Math.fround(1 + 2 ** -23 - 3 * 2 ** -25) - 1).toBe(0)
  })

  test('numbers too large for the digits of a product are added as float32 adds them', async () => {
    const of = (values: readonly number[]): PlainFile => ({ x: f32(...values) })
    const large = { a: of([1, 1e38]), b: of([3e38, 2e38]), c: of([1e38, 1e38]) }
    expectClose(
      (await built(large, { ...step, strength: 0.7 })).map((x) => x / 1e38),
      [1.4, 1.7],
    )
  })

  test('with strength 0 copies the first model and reads no other', () => {
    const unread = { a: { x: f32(1, 2) }, b: { x: unreadable(2) }, c: { x: unreadable(2) } }
    expect(evaluateLast(unread, { r: { ...step, strength: 0 } })).toEqual({ x: [1, 2] })
  })
})

describe('merge.multiply_difference', () => {
  const step = { op: 'merge.multiply_difference', a: 'a', b: 'b', c: 'c' }

  test.each([
    [0.5, 0.5, [0.646447, -1.112372, -0.25, 0.375, -0.375, 0.709431, 0, 1.22902]],
    [0.3, 0.2, [0.692214, -1.164101, 0.628929, 0.314465, -0.375, 2.158191, 0, -1.632765]],
    [0.8, 1, [0.564725, -1.042236, -0.507858, 0.503929, -0.375, 0.459309, 0, 1.38611]],
  ])('gives the numbers of sd-meh 0.9.5: alpha %d, beta %d', async (alpha, beta, expected) => {
    expectClose(await built(THREE, { ...step, keep: 1 - alpha, side: 1 - beta }), expected)
  })

  test.each([0, 1])('with %d for both numbers copies one model', (both) => {
    const files = { a: { x: f32(0.1) }, b: { x: f32(0.7) }, c: { x: unreadable(1) } }
    expect(evaluateLast(files, { r: { ...step, keep: both, side: both } })).toEqual({
      x: f32(both === 1 ? 0.1 : 0.7).values,
    })
  })

  test('changes nothing that only one model changed', async () => {
    const files = { a: { x: f32(0.1, 0.3) }, b: { x: f32(0.2, 0.7) }, c: { x: f32(0.1, 0.7) } }
    for (const keep of [0.001, 0.5, 0.999]) expect(await built(files, { ...step, keep })).toEqual(f32(0.1, 0.7).values)
  })
})

describe('merge.multiply_quotient', () => {
  const step = { op: 'merge.multiply_quotient', a: 'a', b: 'b', c: 'c' }
  const merged = (a: number, b: number, c: number, more = {}): Promise<readonly number[]> =>
    built({ a: { x: f32(a) }, b: { x: f32(b) }, c: { x: f32(c) } }, { ...step, ...more })

  test('a factor beyond 1 grows a number, and opposite factors undo each other', async () => {
    expectClose(await merged(0.5, 2, 1), [1])
    expectClose(await merged(0.5, 1.25, 1), [0.5 * 1.25 ** (Math.log(1.25) / Math.log(2))])
  })

  test('a negative factor turns a number by its exponent, also beyond one turn', async () => {
    const w = Math.log(1.5) / Math.log(2)
    for (const strength of [0.5, 1, 4, 10])
      expectClose(await merged(0.5, -1.5, 1, { strength }), [
        0.5 * 1.5 ** (w * strength) * Math.cos(Math.PI * w * strength),
      ])
  })

  test('keeps what both moved in one direction, what only one moved, and what has no logarithm', async () => {
    const files = {
      a: { x: f32(0.3, 0.3, 0.7, 0.3, 0, 0.3, 0, 0, 0.7) },
      b: { x: f32(0.7, 0.1, 0.7, 0.1, 0.1, 0, 0, 0.1, 0.7) },
      c: { x: f32(0.1, 0.7, 0.1, 0.3, 0.3, 0.1, 0.3, 0, 0.7) },
    }
    expect(await built(files, step)).toEqual(files.a.x.values)
  })

  test('with strength 0 copies the first model, and refuses less', () => {
    const unread = { a: { x: f32(1, 2) }, b: { x: unreadable(2) }, c: { x: unreadable(2) } }
    expect(evaluateLast(unread, { r: { ...step, strength: 0 } })).toEqual({ x: [1, 2] })
    const recipe = `smelt: 1\nmodels: { a: a.safetensors, b: b.safetensors }\nsteps: { r: { op: merge.multiply_quotient, a: a, b: b, c: a, strength: -1 } }\noutputs: { o: { from: r, path: o.safetensors } }\n`
    expect(problemsOfText(recipe).map(({ code }) => code)).toEqual(['out-of-range'])
  })
})

describe('merge.similarity_add_difference', () => {
  const step = { op: 'merge.similarity_add_difference', a: 'a', b: 'b', c: 'c' }

  test.each([
    ['sd-meh 0.9.5', 'weights', 1, 1, [0.5625, -1.1875, -0.4375, 0.40625, -0.375, 0.960938, 0, 0.25]],
    [
      'sd-meh 0.9.5',
      'weights',
      0.5,
      0.75,
      [0.617188, -1.289062, 0.023437, 0.214844, -0.453125, 1.454102, -0.0625, -0.625],
    ],
    [
      'sd-meh 0.9.5',
      'weights',
      0.3,
      0.5,
      [0.646875, -1.315625, 0.209375, 0.135938, -0.46875, 1.656641, -0.075, -0.975],
    ],
    ['sd-mecha 0.0.5', 'differences', 1, 1, [0.53125, -1.229167, -0.359375, 0.429688, -0.375, 0.8625, 0, 0.214286]],
    [
      'sd-mecha 0.0.5',
      'differences',
      0.5,
      0.75,
      [0.605469, -1.304688, 0.052734, 0.223633, -0.453125, 1.417187, -0.0625, -0.638393],
    ],
  ])('gives the numbers of %s: %s, alpha %d, beta %d', async (_, compare, strength, similarity, expected) => {
    expectClose(await built(THREE, { ...step, compare, strength, similarity }), expected)
  })

  test('the similarity does not depend on how small the numbers are', async () => {
    const at = async (size: number) => {
      const scaled = (name: 'a' | 'b' | 'c'): PlainFile => ({
        x: f32(...THREE[name]!['x']!.values.map((x) => x * size)),
      })
      return (await built({ a: scaled('a'), b: scaled('b'), c: scaled('c') }, step)).map((x) => x / size)
    }
    expect(await at(2 ** -100)).toEqual(await at(1))
  })

  test('with strength 0 copies the first model and reads no other', () => {
    const unread = { a: { x: f32(1, 2) }, b: { x: unreadable(2) }, c: { x: unreadable(2) } }
    expect(evaluateLast(unread, { r: { ...step, strength: 0 } })).toEqual({ x: [1, 2] })
  })
})

describe('the geometric mean', () => {
  test.each(['merge.blend', 'merge.dare'])('has no numbers beyond its ends: %s', (op) => {
    const of = (keep: number) =>
      problemsOf({ a: { x: f32(1) }, b: { x: f32(2) } }, { r: { op, a: 'a', b: 'b', method: 'geometric', keep } })
    expect([of(1.5), of(-0.1), of(0), of(1)]).toEqual([
      ['error geometric-range @r.keep'],
      ['error geometric-range @r.keep'],
      [],
      [],
    ])
  })

  test('of a number and itself, and where a mask protects it, is that number, to the last bit', async () => {
    const [a, b] = [f32(0.1, -0.7, 1e-40, 0, 0.3, -0.3), f32(0.1, -0.7, 1e-40, 0, 7, 0.9)]
    const blended = await buildRun(
      runOf(
        { a: { x: a }, b: { x: b }, m: { x: bool(1, 1, 1, 1, 0, 0) } },
        {
          mask: { op: 'mask.load', file: 'm' },
          r: { op: 'merge.blend', a: 'a', b: 'b', keep: 0.3, method: 'geometric', mask: 'mask' },
        },
        {},
      ),
    )
    expect(blended).toMatchObject({ type: 'ok', value: { x: { values: a.values } } })
  })

  test('of a number and its negative is 0 halfway', async () => {
    const files = { a: { x: f32(0.3, -5) }, b: { x: f32(-0.3, 0.1) } }
    expect((await built(files, { op: 'merge.blend', a: 'a', b: 'b', method: 'geometric' })).map(Math.abs)).toEqual([
      0, 0,
    ])
  })
})
