import { describe, expect, test } from 'vitest'
import { buildRun } from '../support/build-run.js'
import { evaluateRecipe } from '../support/evaluate.js'
import { runOf, type PlainTensor } from '../support/recipe-run.js'
import { evaluateLast, f32, problemsOf } from '../support/small.js'

const shaped = (shape: readonly number[], ...values: readonly number[]): PlainTensor => ({ ...f32(...values), shape })
const any = (n: number, seed: number): readonly number[] =>
  Array.from({ length: n }, (_, i) => (Math.sin(seed * 12.9898 + i * 78.233) * 43758.5453) % 1)
const step = { op: 'merge.rotate', a: 'a', b: 'b' }
const result = (a: PlainTensor, b: PlainTensor, more: object = {}): readonly number[] =>
  evaluateLast({ a: { x: a }, b: { x: b } }, { r: { ...step, ...more } })['x']!

describe('merge.rotate', () => {
  test('not at all and altogether copies a model, and reads no other', () => {
    const [a, unreadable] = [shaped([2, 2], 1, 2, 3, 5), shaped([2, 2], NaN, NaN, NaN, NaN)]
    expect(result(a, unreadable, { alignment: 0 })).toEqual(a.values)
    expect(result(unreadable, a, { alpha: 1 })).toEqual(a.values)
  })

  test('moves a tensor of one dimension on a straight line', () => {
    expect(result(f32(1, 2), f32(3, 6))).toEqual([1, 2])
    expect(result(f32(1, 2), f32(3, 6), { alpha: 0.5 })).toEqual([2, 4])
  })

  test('takes each kernel of a convolution for a point', () => {
    const [a, b] = [any(24, 1), any(24, 2)]
    const kernels = result(shaped([3, 2, 2, 2], ...a), shaped([3, 2, 2, 2], ...b), { alignment: 0.5 })
    expect(kernels).toEqual(result(shaped([6, 4], ...a), shaped([6, 4], ...b), { alignment: 0.5 }))
    const pointwise = result(shaped([6, 4, 1, 1], ...a), shaped([6, 4, 1, 1], ...b), { alignment: 0.5 })
    expect(pointwise).toEqual(kernels)
  })

  test('compiled and in ONNX Runtime, it gives the same', async () => {
    const files = { a: { x: shaped([6, 4], ...any(24, 1)) }, b: { x: shaped([6, 4], ...any(24, 2)) } }
    const run = runOf(files, { r: { ...step, alignment: 0.5, alpha: 0.3 } }, {})
    const [made, other] = [await buildRun(run), await buildRun(run, { engine: 'onnx' })]
    if (made.type === 'failed' || other.type === 'failed') throw new Error('the build failed')
    expect(made.value['x']!.values).toEqual(
      result(files.a.x, files.b.x, { alignment: 0.5, alpha: 0.3 }).map(Math.fround),
    )
    expect(other.value).toEqual(made.value)
  })

  test('differs by layer', () => {
    const [a, b] = [shaped([2, 1], 1, -1), shaped([2, 1], -1, 3)]
    const files = { a: { x: a, y: a }, b: { x: b, y: b } }
    expect(evaluateLast(files, { r: { ...step, alignment: { default: 1, x: 0 } } })).toEqual({ x: [1, -1], y: [0, 2] })
  })

  test('refuses a matrix that takes too much memory', () => {
    const huge: PlainTensor = { dtype: 'f32', shape: [16384, 16384], values: [] }
    expect(problemsOf({ a: { x: huge }, b: { x: huge } }, { r: step })).toEqual(['error too-large-to-rotate @r.a'])
    const run = runOf({ a: { x: huge }, b: { x: huge } }, { r: step }, {})
    expect(evaluateRecipe(run.recipe, run.files).diagnostics[0]!.message).toBe(
      'rotating `x` [16384, 16384] would take 33.3 GB of memory; at most 8.0 GB is spent on one tensor',
    )
  })

  test.each([
    ['half a circle', shaped([2, 2], 1, 0, 0, 1), shaped([2, 2], -1, 0, 0, -1), 0.5],
    ['NaN', shaped([2, 2], 1, 0, 0, 1), shaped([2, 2], NaN, 0, 0, 1), 1],
  ])('stops the build where there is no rotation: %s', async (reason, a, b, alignment) => {
    const made = await buildRun(
      runOf({ a: { x: a }, b: { x: b } }, { r: { ...step, alignment, centralization: 0 } }, {}),
    )
    expect(made.diagnostics.map(({ code, message }) => [code, message])).toEqual([
      ['unsolved', expect.stringContaining(reason)],
    ])
  })
})
