import { beforeAll, describe, expect, test } from 'vitest'
import { createLayerContext, interpolateAnchors } from '#src/plan/context.js'
import type { Rules } from '#src/operators/operator.js'
import type { TensorInfo } from '#src/tensor/info.js'
import { callsOf } from '../support/calls.js'
import { modelOf, outlineOf, planOf, problemsOf, type Outline } from './support.js'

const UNET = 'model.diffusion_model'
let sd1: ReadonlyMap<string, TensorInfo>
let outline: Outline
beforeAll(() => {
  outline = outlineOf('sd15')
  sd1 = modelOf('sd1', outline).tensors
})

const at = { type: 'option', name: 'test' } as const
const numbers = (rules: Partial<Rules>, tensors: ReadonlyMap<string, { readonly shape: readonly number[] }> = sd1) =>
  createLayerContext().numbers({ type: 'rules', rules: { default: undefined, entries: [], ...rules }, at }, tensors)
const numberOf = (rules: Partial<Rules>): ((tensor: string) => number | undefined) => {
  const found = numbers(rules)
  if (found.type === 'failed') throw new Error(found.diagnostics.map((d) => d.message).join())
  return found.value
}
const entry = (text: string, value: number | readonly number[]): Rules['entries'][number] => ({
  pattern: { text, optional: false, at },
  value,
})

const IN_4 = `${UNET}.input_blocks.4.1.norm.weight`
const MID = `${UNET}.middle_block.1.norm.weight`
const OUT_11 = `${UNET}.output_blocks.11.1.norm.weight`
const TIME = `${UNET}.time_embed.0.weight`
const TEXT = 'cond_stage_model.transformer.text_model.embeddings.token_embedding.weight'

describe('rules', () => {
  test('a later rule wins over an earlier one, and every rule over `default`', () => {
    const of = numberOf({
      default: 0.1,
      entries: [entry('block:in.*', 0.2), entry('**.norm', 0.3), entry('block:in.5', 0.4)],
    })
    expect(
      [IN_4, `${UNET}.input_blocks.4.0.in_layers.2.weight`, `${UNET}.input_blocks.5.1.norm.weight`, MID, TIME].map(of),
    ).toEqual([0.3, 0.2, 0.4, 0.3, 0.1])
  })

  test('a tensor that nothing reaches has no number', () => {
    expect(numberOf({ entries: [entry('block:mid', 1)] })(IN_4)).toBeUndefined()
  })
})

describe('block weights', () => {
  const list = Array.from({ length: 26 }, (_, i) => i / 100)

  test('26 numbers stand for text encoder, in, middle and out, in this order', () => {
    const of = numberOf({ mbw: list, default: 9 })
    expect(
      [TEXT, `${UNET}.input_blocks.0.0.weight`, IN_4, MID, `${UNET}.output_blocks.0.0.in_layers.0.weight`, OUT_11].map(
        of,
      ),
    ).toEqual([0, 0.01, 0.05, 0.13, 0.14, 0.25])
  })

  test('blocks that the list does not name have the number of their neighbour, as in the tools, and buffers the default', () => {
    expect(numberOf({ mbw: list, default: 9 })(TIME)).toBe(0.01)
    expect(numberOf({ mbw: list, default: 9 })('alphas_cumprod')).toBe(9)
  })
  test('a rule wins over the list', () =>
    expect(numberOf({ mbw: list, entries: [entry('block:mid', 0.9)] })(MID)).toBe(0.9))

  test('a list of another length is refused', () => {
    expect(numbers({ mbw: [1, 2, 3] }).diagnostics.map((d) => d.code)).toEqual(['wrong-block-weight-count'])
  })

  test('a list and a gradient at once are refused, since only one could count', () => {
    for (const two of [
      { mbw: list, gradient: [0, 1] },
      { mbw: list, preset: 'GRAD_V' },
      { preset: 'GRAD_V', gradient: [0, 1] },
    ] as const)
      expect(numbers(two).diagnostics.map((d) => d.code)).toEqual(['two-block-lists'])
  })

  test('a list for an unknown architecture is refused', () => {
    expect(numbers({ mbw: list }, new Map([['x', { shape: [2] }]])).diagnostics.map((d) => d.code)).toEqual([
      'no-block-weight-list',
    ])
  })
})

describe('gradients', () => {
  test('run through the blocks in the order of computation, and leave the others to the default', () => {
    const of = numberOf({ gradient: [0, 24], default: 9 })
    const ids = [
      ...Array.from({ length: 12 }, (_, i) => `input_blocks.${i}`),
      'middle_block',
      ...Array.from({ length: 12 }, (_, i) => `output_blocks.${i}`),
    ]
    const firstOf = (id: string): string => [...sd1.keys()].find((name) => name.startsWith(`${UNET}.${id}.`))!
    ids.forEach((id, i) => expect(of(firstOf(id)), id).toBeCloseTo(i, 9))
    expect([TIME, TEXT].map(of)).toEqual([9, 9])
  })

  test('are piecewise linear between their anchors', () => {
    expect([0, 1, 2, 3, 4].map((i) => interpolateAnchors([0, 0.5, 0], i, 5))).toEqual([0, 0.25, 0.5, 0.25, 0])
    expect(interpolateAnchors([0.25], 3, 5)).toBe(0.25)
    expect(interpolateAnchors([0, 1], 0, 1)).toBe(1)
  })

  test('of a rule count where it is the last that fits; outside of the blocks, their first number does', () => {
    const of = numberOf({
      default: 9,
      gradient: [0, 24],
      entries: [entry('**.norm', [24, 0]), entry('block:mid', 7), entry('time_embed', [3, 5])],
    })
    const other = `${UNET}.input_blocks.4.0.in_layers.2.weight`
    expect([IN_4, OUT_11, MID, other, TIME, TEXT].map((name) => of(name))).toEqual([20, 0, 7, 4, 3, 9])
  })

  test('of a rule for an unknown architecture are refused', () => {
    const unknown = new Map([['x', { shape: [2] }]])
    expect(numbers({ entries: [entry('x', [0, 1])] }, unknown).diagnostics.map((d) => d.code)).toEqual([
      'gradient-needs-architecture',
    ])
  })

  test('for an unknown architecture are refused at their place', () => {
    const small: Outline = { x: ['F16', [2]] }
    expect(
      problemsOf({
        models: { a: small, b: small },
        steps: { x: { op: 'merge.blend', a: 'a', b: 'b', keep: { gradient: [0, 1] } } },
        outputs: { out: { from: 'x', path: 'o.safetensors' } },
      })[0],
    ).toMatch(/^error gradient-needs-architecture \{/)
  })
})

describe('a real architecture', () => {
  test('shares a few programs among its hundreds of tensors', () => {
    const plan = planOf({
      models: { a: outline, b: outline },
      steps: {
        x: {
          op: 'merge.dare',
          a: 'a',
          b: 'b',
          drop: 0.9,
          rescale: true,
          keep: { mbw: Array.from({ length: 26 }, (_, i) => i / 40), default: 0.3 },
        },
      },
      outputs: { out: { from: 'x', path: 'out.safetensors' } },
    })
    expect(plan.models[0]!.architecture).toBe('Stable Diffusion 1')
    expect(plan.jobs.length).toBeGreaterThan(1000)
    expect(plan.programs.length).toBeLessThan(6)
  })

  test('is known of a part of a model, and of what is made of it', () => {
    const plan = planOf({
      models: { a: outline, b: outline },
      steps: {
        unet: { op: 'model.select', model: 'a', layers: 'component:unet' },
        other: { op: 'model.select', model: 'b', layers: 'component:unet' },
        x: { op: 'merge.blend', a: 'unet', b: 'other', keep: { 'block:in.*': 0, default: 1 } },
        y: { op: 'merge.blend', a: 'x', b: 'other', layers: 'block:mid' },
      },
      outputs: { out: { from: 'y', path: 'out.safetensors' } },
    })
    const changed = new Set(
      plan.jobs
        .flatMap((j) => [
          ...j.copies.filter((c) => c.from?.tensor.file.endsWith('b.safetensors')).map((c) => c.to),
          ...j.targets,
        ])
        .map((t) => t.tensor),
    )
    expect([...changed].every((name) => /\.(input_blocks|middle_block)\./.test(name))).toBe(true)
    expect(changed.has(IN_4) && changed.has(MID)).toBe(true)
  })

  test('is that of its own tensors where a step puts a model together, whatever its first part is of', () => {
    const plan = planOf({
      models: { a: outline, b: outline, large: outlineOf('sdxl') },
      steps: {
        vae: { op: 'model.select', model: 'large', layers: 'component:vae' },
        rest: { op: 'model.select', model: 'a', layers: '!component:vae' },
        whole: { op: 'model.combine', models: ['vae', 'rest'] },
        x: { op: 'merge.blend', a: 'whole', b: 'b', keep: { mbw: Array.from({ length: 26 }, () => 0.5), default: 1 } },
      },
      outputs: { out: { from: 'x', path: 'out.safetensors' } },
    })
    expect(plan.jobs.flatMap((j) => j.targets).map((t) => t.tensor)).toContain(IN_4)
  })

  test('is planned with some hundred calls a tensor', async () => {
    const plan = () =>
      planOf({
        models: { a: outline, b: outline },
        steps: { x: { op: 'merge.blend', a: 'a', b: 'b', keep: { default: 0.5, 'block:in.*': 0.2 } } },
        outputs: { out: { from: 'x', path: 'out.safetensors' } },
      })
    plan()
    expect((await callsOf(plan)) / Object.keys(outline).length).toBeLessThan(1200)
  })
})
