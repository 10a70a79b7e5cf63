import { describe, expect, test } from 'vitest'
import { modelOf, outlineOf, planOf, problemsOf, type Outline, type Paper } from '../plan/support.js'
import { evaluateLast, f32 } from '../support/small.js'

const MIXED: Outline = {
  bias: ['F32', [4]],
  head: ['F16', [4, 8]],
  steps: ['I64', [2]],
  'net.logit_scale': ['F32', []],
}
const paper = (steps: Readonly<Record<string, object>>, output: object = {}, models: Paper['models'] = {}): Paper => ({
  models: { a: MIXED, b: MIXED, ...models },
  steps,
  outputs: { out: { from: Object.keys(steps).at(-1)!, path: 'out.safetensors', ...output } },
})
const cast = (dtype: unknown, model = 'a') => ({ op: 'model.cast', model, dtype })
const dtypesOf = (made: Paper): Readonly<Record<string, string>> =>
  Object.fromEntries(planOf(made).outputs[0]!.tensors.map((t) => [t.name, t.dtype]))

describe('a cast', () => {
  test('changes floats, and neither integers nor constants', () => {
    const made = paper({ c: cast('bf16') })
    expect(dtypesOf(made)).toEqual({ bias: 'BF16', head: 'BF16', steps: 'I64', 'net.logit_scale': 'F32' })
    expect(planOf(made).steps[0]!.counts).toEqual({ 'cast to bf16': 2 })
  })

  test('of a constant has to be asked for by a rule', () => {
    expect(dtypesOf(paper({ c: cast({ '**.logit_scale': 'f16' }) }))).toMatchObject({ 'net.logit_scale': 'F16' })
  })

  test('is by layer: later rules win, and `same` leaves tensors as they are', () => {
    expect(dtypesOf(paper({ c: cast({ default: 'f8_e4m3', '*': 'f8_e5m2', bias: 'bf16', head: 'same' }) }))).toEqual({
      bias: 'BF16',
      head: 'F16',
      steps: 'I64',
      'net.logit_scale': 'F8_E5M2',
    })
  })

  test('copies what has its dtype already, and counts it as kept', () => {
    const plan = planOf(paper({ c: cast('f16') }))
    expect(plan.steps[0]!.counts).toEqual({ 'cast to f16': 1, kept: 1 })
    expect(plan.totals).toMatchObject({ copied: 3, computed: 1 })
  })

  test('that reaches nothing is a mistake', () => {
    expect(problemsOf(paper({ c: cast({ steps: 'f16' }) }))).toEqual([
      expect.stringMatching(/^error casts-nothing \{\s+"steps"/),
    ])
    expect(problemsOf(paper({ c: cast('f8_e4m3_scaled') }))).toEqual(['error casts-nothing "f8_e4m3_scaled"'])
    expect(problemsOf(paper({ c: cast({ haed: 'f16' }) }))).toEqual(['error pattern-selects-nothing "haed"'])
  })
})

describe('a dtype goes with the first model', () => {
  test('through a merge that comes after it', () => {
    const merge = { op: 'merge.blend', a: 'c', b: 'b' }
    expect(dtypesOf(paper({ c: cast('bf16'), m: merge }))).toMatchObject({ bias: 'BF16', head: 'BF16' })
    expect(dtypesOf(paper({ c: cast('bf16'), m: { ...merge, a: 'b', b: 'c' } }))).toMatchObject({
      bias: 'F32',
      head: 'F16',
    })
  })

  test('so that nothing is rounded before it is written', () => {
    const steps = {
      small: cast('f8_e4m3'),
      same: { op: 'model.scale', model: 'small', factor: 1 },
      r: cast('f32', 'same'),
    }
    expect(evaluateLast({ a: { x: f32(0.1) } }, steps)).toEqual({ x: [Math.fround(0.1)] })
  })

  test('of each part that is combined', () => {
    const parts = {
      bias: { op: 'model.select', model: 'a', layers: 'bias' },
      rest: { op: 'model.select', model: 'a', layers: '!bias' },
      small: cast('f8_e5m2', 'rest'),
      whole: { op: 'model.combine', models: ['bias', 'small'] },
    }
    expect(dtypesOf(paper(parts))).toMatchObject({ bias: 'F32', head: 'F8_E5M2' })
  })

  test('and a later cast wins', () => {
    expect(dtypesOf(paper({ c: cast('bf16'), d: cast({ bias: 'f16' }, 'c') }))).toMatchObject({
      bias: 'F16',
      head: 'BF16',
    })
  })
})

describe('the dtype of an output', () => {
  test('wins, and a warning counts the tensors where the two differ', () => {
    const made = paper({ c: cast({ default: 'bf16', bias: 'f32' }) }, { dtype: 'f16' })
    expect(dtypesOf(made)).toMatchObject({ bias: 'F16', head: 'F16' })
    expect(planOf(made).warnings.map((w) => w.message)).toEqual([
      '`dtype: f16` of output `out` overrides `model.cast`, which casts 1 tensor to f32',
      '`dtype: f16` of output `out` overrides `model.cast`, which casts 1 tensor to bf16',
    ])
  })

  test('is none of its own where it is `same`, or where it says the same', () => {
    expect(problemsOf(paper({ c: cast('bf16') }, { dtype: 'same' }))).toEqual([])
    expect(problemsOf(paper({ c: cast('bf16') }, { dtype: 'bf16' }))).toEqual([])
    expect(dtypesOf(paper({ c: cast('bf16') }, { dtype: { head: 'f32' } }))).toMatchObject({
      bias: 'BF16',
      head: 'F32',
    })
  })
})

test('a tied language model is still whole once it is cast', () => {
  const untied = outlineOf('llama-2-7b')
  const tied = modelOf('t', Object.fromEntries(Object.entries(untied).filter(([name]) => name !== 'lm_head.weight')))
  const made = paper(
    { c: cast('bf16', 't'), m: { op: 'merge.blend', a: 'u', b: 'c' } },
    {},
    { t: tied, u: modelOf('u', untied) },
  )
  expect(problemsOf(made)).toEqual([])
})
