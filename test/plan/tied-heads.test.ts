import { describe, expect, test } from 'vitest'
import { outlineOf, planOf, problemsOf, readsOf, type Outline, type Paper } from './support.js'

const untied = outlineOf('llama-2-7b')
const tied: Outline = Object.fromEntries(Object.entries(untied).filter(([name]) => name !== 'lm_head.weight'))
const paper = (models: Paper['models'], m: object, steps: object = {}): Paper => ({
  models,
  steps: { ...steps, m },
  outputs: { o: { from: 'm', path: 'out.safetensors' } },
})
const blend = { op: 'merge.blend', a: 'a', b: 'b' }
const headOf = (made: Paper) =>
  planOf(made)
    .jobs.filter((job) => job.targets.some((t) => t.tensor === 'lm_head.weight'))
    .map((job) => readsOf(job)[0])

describe('the output layer of a tied model', () => {
  test('stands for its embedding where the first model has one of its own', () => {
    const made = paper({ a: untied, b: tied }, blend)
    expect(problemsOf(made)).toEqual([])
    expect(planOf(made).steps[0]!.counts).toEqual({ merged: 291 })
    expect(headOf(made)).toEqual([['a:lm_head.weight', 'b:model.embed_tokens.weight']])
  })

  test('is written where the first model is tied and another is not, with a warning for its config', () => {
    const made = paper({ a: tied, b: untied }, blend)
    expect(problemsOf(made)).toEqual(['warning head-untied "b"'])
    expect(planOf(made).outputs[0]!.tensors.length).toBe(291)
    expect(headOf(made)).toEqual([['a:model.embed_tokens.weight', 'b:lm_head.weight']])
    const three = paper({ a: tied, b: untied, c: tied }, { op: 'merge.ties', base: 'c', models: ['a', 'b'] })
    expect(planOf(three).steps[0]!.counts).toEqual({ merged: 291 })
  })

  test('stands for it in a step that leaves an optional model out', () => {
    const made = paper({ a: untied, b: tied }, { op: 'merge.dare', a: 'a', b: 'b', drop: 0.5 })
    expect(problemsOf(made)).toEqual([])
    expect(headOf(made)).toEqual([['b:model.embed_tokens.weight', 'a:lm_head.weight']])
  })

  test('stays away where all are tied', () => {
    const made = paper({ a: tied, b: tied }, blend)
    expect(problemsOf(made)).toEqual([])
    expect(planOf(made).outputs[0]!.tensors.length).toBe(290)
  })

  test('is still there in the steps behind', () => {
    const made = paper({ a: tied, b: untied }, { op: 'merge.blend', a: 'first', b: 'b' }, { first: blend })
    expect(problemsOf(made)).toEqual(['warning head-untied "b"'])
    expect(planOf(made).steps.map((s) => s.counts)).toEqual([{ merged: 291 }, { merged: 291 }])
  })

  test('is lacking, not tied, in a selection that leaves it out', () => {
    const steps = { part: { op: 'model.select', model: 'a', layers: '!lm_head' } }
    expect(problemsOf(paper({ a: untied, b: untied }, { op: 'merge.blend', a: 'b', b: 'part' }, steps))).toEqual([
      'error missing-tensor "part"',
    ])
    expect(problemsOf(paper({ a: untied, b: untied }, { op: 'merge.blend', a: 'part', b: 'b' }, steps))).toEqual([
      'warning tensor-dropped "b"',
    ])
  })
})
