import { expect, test } from 'vitest'
import { alsoOf, staleFile } from '#src/base/catalogue/operators.js'
import { missingTensor } from '#src/base/catalogue/reach.js'
import { evaluateRecipe } from '../support/evaluate.js'
import { runOf } from '../support/recipe-run.js'
import { bool, f32, problemsOf } from '../support/small.js'

const blend = { r: { op: 'merge.blend', a: 'a', b: 'b' } }
const two = { a: { x: f32(1) }, b: { x: f32(2) } }

test('a tensor that another model lacks is a problem, or kept and counted', () => {
  const files = { a: { x: f32(1), y: f32(1), z: f32(1) }, b: { x: f32(2) } }
  expect(problemsOf(files, blend)).toEqual(['error missing-tensor @r.b'])
  const run = runOf(files, { r: { ...blend.r, missing: 'keep' } }, {})
  const notes: Parameters<typeof evaluateRecipe>[2] = []
  expect(evaluateRecipe(run.recipe, run.files, notes)).toMatchObject({ type: 'ok' })
  expect(notes).toEqual([
    { type: 'merged', tensor: 'x' },
    { type: 'missing', tensor: 'y' },
    { type: 'missing', tensor: 'z' },
  ])
})

test('one problem at many tensors is told once, with their number', () => {
  const at = { type: 'option', name: 'r.b' } as const
  const files = { a: { x: f32(1), y: f32(1), z: f32(1) }, b: { x: f32(2) } }
  const run = runOf(files, blend, {})
  expect(evaluateRecipe(run.recipe, run.files).diagnostics).toEqual([
    alsoOf(missingTensor(at, 'y', 'a', 'b', { type: 'some' }), 1),
  ])
})

test('a tensor of another shape is a problem, or kept', () => {
  const files = { a: { x: f32(1), y: f32(1) }, b: { x: f32(1, 2), y: f32(1) } }
  expect(problemsOf(files, blend)).toEqual(['error shape-mismatch @r.b'])
  expect(problemsOf(files, { r: { ...blend.r, mismatch: 'keep' } })).toEqual([])
})

test('a tensor that holds integers in the other model is a problem', () => {
  expect(problemsOf({ a: { x: f32(1) }, b: { x: bool(1) } }, blend)).toEqual(['error dtype-mismatch @r.b'])
})

test('a number to divide by must not be 0, and has no effect unless it is asked for', () => {
  const files = { base: { x: f32(0) }, m: { x: f32(1) } }
  const dare = (q: number, more = {}) => ({
    r: { op: 'merge.dare_linear', base: 'base', models: [{ model: 'm', density: 0.5, q }], ...more },
  })
  expect(problemsOf(files, dare(0, { rescale: 'q' }))).toEqual(['error zero-rescale @r.models'])
  expect(problemsOf(files, dare(0.7, { rescale: 'q' }))).toEqual([])
  expect(problemsOf(files, dare(0.7))).toEqual(['warning unused-param @r.models'])
})

test.each([
  ['norm', 'interpolate'],
  ['vectors', 'slerp'],
])('a choice of slerp has no effect on other methods: %s', (key, value) => {
  const step = { ...blend.r, [key]: value }
  expect(problemsOf(two, { r: { ...step, method: 'cubic' } })).toEqual([`warning unused-param @r.${key}`])
  expect(problemsOf(two, { r: { ...step, method: 'slerp' } })).toEqual([])
})

test('a mask for tensors of another shape is a problem', () => {
  const files = { ...two, m: { x: bool(1, 0) } }
  expect(problemsOf(files, { k: { op: 'mask.load', file: 'm' }, r: { ...blend.r, mask: 'k' } })).toEqual([
    'error mask-shape @r.mask',
  ])
  const other = { m: { x: bool(1, 0) }, n: { x: bool(1) } }
  const loads = { k: { op: 'mask.load', file: 'm' }, l: { op: 'mask.load', file: 'n' } }
  expect(problemsOf(other, { ...loads, u: { op: 'mask.union', masks: ['k', 'l'] } })).toEqual([
    'error mask-shape @u.masks',
  ])
})

test('weights that add up to 0 cannot be normalised', () => {
  const step = {
    op: 'merge.linear',
    models: [
      { model: 'a', weight: 1 },
      { model: 'b', weight: -1 },
    ],
  }
  expect(problemsOf(two, { r: step })).toEqual(['error zero-weight-sum @r.models'])
  expect(problemsOf(two, { r: { ...step, normalize: false } })).toEqual([])
})

test('dropping everything with a rescale warns once and gives the first model', () => {
  const step = { op: 'merge.dare', a: 'a', b: 'b', drop: 1 }
  const files = { a: { x: f32(1), y: f32(1) }, b: { x: f32(2), y: f32(2) } }
  expect(problemsOf(files, { r: { ...step, rescale: true } })).toEqual(['warning rescale-nothing @r.drop'])
  expect(problemsOf(files, { r: step })).toEqual([])
})

test('kept masks must be as many as the iterations', () => {
  const files = { ...two, m: { x: bool(1) } }
  expect(
    problemsOf(files, {
      k: { op: 'mask.load', file: 'm' },
      r: { op: 'merge.dare', a: 'a', b: 'b', iterations: 2, kept: ['k'] },
    }),
  ).toEqual(['error kept-count @r.kept'])
})

test('scaled_add has no value where it divides by 0', () => {
  expect(problemsOf(two, { r: { ...blend.r, keep: 2, method: 'scaled_add' } })).toEqual([
    'error infinite-scale @r.keep',
  ])
  expect(problemsOf(two, { r: { op: 'merge.dare', a: 'a', b: 'b', keep: 2, method: 'scaled_add' } })).toEqual([
    'error infinite-scale @r.keep',
  ])
})

test('a mask is filled in exactly one way', () => {
  expect(problemsOf({ a: two.a }, { m: { op: 'mask.fill', like: 'a' } })).toEqual(['error mask-fillings @m.op'])
  expect(problemsOf({ a: two.a }, { m: { op: 'mask.fill', like: 'a', value: true, p: 0.5 } })).toEqual([
    'error mask-fillings @m.op',
  ])
  const edit = { k: { op: 'mask.load', file: 'a' }, m: { op: 'mask.edit', mask: 'k', layers: '*' } }
  expect(problemsOf({ a: two.a }, edit)).toEqual(['error mask-fillings @m.op'])
})

test('parts that overlap, or of which one is a difference, do not make one model', () => {
  expect(problemsOf(two, { r: { op: 'model.combine', models: ['a', 'b'] } })).toEqual([
    'error combined-twice @r.models',
  ])
  expect(
    problemsOf(two, { d: { op: 'model.subtract', a: 'a', b: 'b' }, r: { op: 'model.combine', models: ['a', 'd'] } }),
  ).toEqual(['error mixed-spaces @r.models'])
})

test('patterns that select nothing are problems of the step', () => {
  expect(problemsOf(two, { r: { op: 'model.select', model: 'a', layers: 'nowhere' } })).toEqual([
    'error pattern-selects-nothing @r.layers',
  ])
  expect(problemsOf(two, { r: { op: 'weights.rules', like: 'a', rules: { nowhere: 1 } } })).toEqual([
    'error pattern-selects-nothing @r.rules',
  ])
})

test('a stale generated file names itself and the command', () => {
  expect(staleFile('docs/operators.md')).toMatchObject({
    code: 'stale-file',
    message: expect.stringContaining('docs/operators.md'),
    help: expect.stringContaining('npm run generate'),
  })
})
