import { describe, expect, test } from 'vitest'
import { problemsOf } from '../recipe/support.js'
import { buildRun } from '../support/build-run.js'
import { runOf } from '../support/recipe-run.js'
import { bool, evaluateLast, f32 } from '../support/small.js'

const files = {
  base: { x: f32(1, 1, 1, 1), y: f32(0, 0) },
  a: { x: f32(2, -2, 1, 2), y: f32(4, 0) },
  b: { x: f32(4, 2, 1, -1), y: f32(-1, 0) },
}
const emr = { op: 'merge.emr', base: 'base', models: ['a', 'b'] }
const rounded = (x: number): number => +x.toFixed(6)
const codesOf = (recipe: string): readonly string[] => problemsOf(recipe).map(({ code }) => code)
const only = (from: string) => ({ shown: { op: 'merge.passthrough', model: from } })

describe('merge.emr', () => {
  test('gives each task its share of the unified difference, scaled over the whole model', () => {
    const steps = { r: { ...emr, give: 'tasks' } }
    // |δ| is 1 + 3 + 0 + 1 + 4 = 9; of [3, −3, 0, −2] and [4, 0] the elements 1, 2 and 5 are its own: 3 + 3 + 4 = 10.
    expect(evaluateLast(files, { ...steps, ...only('r.1') })['x']!.map(rounded)).toEqual([3.7, -1.7, 1, 1])
    // 3 + 1 + 0 + 2 + 1 = 7, and 3 + 2 = 5.
    const second = evaluateLast(files, { ...steps, ...only('r.2') })
    expect(second['x']!.map(rounded)).toEqual([5.2, 1, 1, -1.8])
    expect(second['y']).toEqual([0, 0])
  })

  test('scales each tensor by itself, if asked for', () => {
    const found = evaluateLast(files, { r: { ...emr, give: 'tasks', scope: 'tensor' }, ...only('r.2') })
    // 6 over 5.
    expect(found['x']!.map(rounded)).toEqual([4.6, 1, 1, -1.4])
  })

  test('of models that do not conflict brings each back', () => {
    const apart = { base: { x: f32(1, 1, 1) }, a: { x: f32(3, 1, 1) }, b: { x: f32(1, 0, 1.5) } }
    for (const [i, name] of (['a', 'b'] as const).entries())
      expect(evaluateLast(apart, { r: { ...emr, give: 'tasks' }, ...only(`r.${i + 1}`) })).toEqual({
        x: apart[name].x.values,
      })
  })

  test('of models that are the base gives the base', () => {
    const same = { base: files.base, a: files.base, b: files.base }
    for (const from of ['r.1', 'r.2'])
      expect(evaluateLast(same, { r: { ...emr, give: 'tasks' }, ...only(from) })['x']).toEqual([1, 1, 1, 1])
  })

  test('keeps the base of every task where the mask of the step is false', () => {
    const masked = { ...files, m: { x: bool(1, 0, 1, 0), y: bool(0, 0) } }
    const steps = { k: { op: 'mask.load', file: 'm' }, r: { ...emr, give: 'tasks', mask: 'k' } }
    for (const [from, first] of [
      ['r.1', 3.7],
      ['r.2', 5.2],
    ] as const) {
      const found = evaluateLast(masked, { ...steps, ...only(from) })
      expect(found['x']!.map(rounded)).toEqual([first, 1, 1, 1])
      expect(found['y']).toEqual([0, 0])
    }
  })

  test.each([
    ['merge.emr, give: tasks', 'which-result'],
    ['mask.emr', 'which-result'],
    ['merge.emr', undefined],
  ])('%s has as many results as there are models', (op, code) => {
    const recipe = `smelt: 1
models: { base: base.safetensors, a: a.safetensors, b: b.safetensors }
steps: { r: { op: ${op}, base: base, models: [a, b] } }
outputs: { o: { from: r, path: o.safetensors } }
`
    expect(codesOf(recipe)).toEqual(code === undefined ? [] : [code])
    expect(codesOf(recipe.replace('from: r', 'from: r.2'))).toEqual(code === undefined ? ['unknown-name'] : [])
    expect(codesOf(recipe.replace('from: r', 'from: r.3'))).toEqual(['unknown-name'])
  })

  test('and mask.emr selects what of it belongs to each', () => {
    for (const [i, expected] of [
      [1, [4, -2, 1, 1]],
      [2, [4, 1, 1, -1]],
    ] as const) {
      const steps = {
        u: emr,
        k: { op: 'mask.emr', base: 'base', models: ['a', 'b'] },
        r: { op: 'merge.blend', a: 'base', b: 'u', keep: 0, mask: `k.${i}` },
      }
      expect(evaluateLast(files, steps)['x']).toEqual(expected)
    }
  })

  test('and a mask with its scale make the model of a task of the one model', () => {
    for (const [i, lambda] of [
      [1, 9 / 10],
      [2, 7 / 5],
    ] as const) {
      const steps = {
        u: emr,
        k: { op: 'mask.emr', base: 'base', models: ['a', 'b'] },
        r: { op: 'merge.task_arithmetic', base: 'base', models: ['u'], lambda, mask: `k.${i}` },
      }
      const restored = evaluateLast(files, steps)
      const task = evaluateLast(files, { r: { ...emr, give: 'tasks' }, ...only(`r.${i}`) })
      for (const name of ['x', 'y']) expect(restored[name]!.map(rounded)).toEqual(task[name]!.map(rounded))
    }
  })

  test('compiled and in ONNX Runtime, it gives the same', async () => {
    const run = runOf(files, { r: { ...emr, give: 'tasks' }, ...only('r.1') }, {})
    const [made, other] = [await buildRun(run), await buildRun(run, { engine: 'onnx' })]
    if (made.type === 'failed' || other.type === 'failed') throw new Error('the build failed')
    expect(made.value['x']!.values.map(rounded)).toEqual([3.7, -1.7, 1, 1])
    expect(other.value).toEqual(made.value)
  })

  test('stops at a number that is NaN', async () => {
    const broken = { ...files, b: { ...files.b, x: f32(NaN, 2, 1, -1) } }
    const made = await buildRun(runOf(broken, { r: emr }, {}))
    expect(made.diagnostics.map(({ code }) => code)).toEqual(['non-finite'])
  })
})
