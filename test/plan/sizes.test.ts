import { describe, expect, test } from 'vitest'
import { walked } from '#src/graph/walk.js'
import { completeInSlices } from '#src/plan/complete-plan.js'
import { draftInSlices } from '#src/plan/make-plan.js'
import { NO_PRIOR_STATE } from '#src/plan/prior-state.js'
import type { Plan } from '#src/plan/plan.js'
import { parse } from '#src/recipe/parse.js'
import type { Sliced } from '#src/base/slices.js'
import { inputsOf, modelOf, type Outline } from './support.js'

const outline = (tensors: number): Outline =>
  Object.fromEntries(Array.from({ length: tensors }, (_, i) => [`layers.${i}.weight`, ['F32', [4]] as const]))

interface Counted {
  readonly plan: Plan
  /** Expressions that there are before any output needs one. */
  readonly drafted: number
  readonly expressions: number
  readonly pauses: number
  readonly longest: number
}

/**
 * Plans a recipe over two models of so many tensors, and counts: expressions looked at in all and between two pauses,
 * and pauses.
 */
const count = (steps: Readonly<Record<string, unknown>>, tensors: number, known = NO_PRIOR_STATE): Counted => {
  const models = new Map(['a', 'b'].map((name) => [name, modelOf(name, outline(tensors))] as const))
  const last = Object.keys(steps).at(-1)!
  const recipe = parse({
    path: 'recipe.yaml',
    text: JSON.stringify({
      smelt: 1,
      models: { a: '/models/a.safetensors', b: '/models/b.safetensors' },
      steps,
      outputs: { out: { from: last, path: 'out.safetensors' } },
    }),
  })
  if (recipe.type === 'failed') throw new Error(recipe.diagnostics[0]!.message)
  const [before, counts] = [walked.expressions, { pauses: 0, longest: 0 }]
  const work = <T>(sliced: Sliced<T>): T => {
    for (;;) {
      const from = walked.expressions
      const next = sliced.next()
      counts.longest = Math.max(counts.longest, walked.expressions - from)
      counts.pauses += 1
      if (next.done === true) return next.value
    }
  }
  const draft = work(
    draftInSlices([{ recipe: recipe.value, inputs: inputsOf(recipe.value, models), label: '' }], {
      recipe: '/recipes',
      out: undefined,
    }),
  )
  if (draft.type === 'failed') throw new Error(draft.diagnostics[0]!.message)
  // They are numbered, and this one is none of the recipe's.
  const drafted = draft.value.graph.number(0.1234).id
  const plan = work(completeInSlices(draft.value, known))
  return { plan, drafted, expressions: walked.expressions - before, ...counts }
}

const LINEAR = { merged: { op: 'merge.linear', models: ['a', 'b'] } }
const TIES = { merged: { op: 'merge.ties', base: 'a', models: [{ model: 'b', density: 0.5 }], scope: 'model' } }
const SLERP = { merged: { op: 'merge.blend', a: 'a', b: 'b', method: 'slerp' } }
/** Looks everything up, so that everything is fingerprinted, and finds nothing. */
const FORGETFUL = {
  ...NO_PRIOR_STATE,
  digestOf: () => `blake3:${'0'.repeat(64)}` as never,
  outcome: () => undefined,
  mask: () => undefined,
}

describe.each([
  ['linear', LINEAR],
  ['a slerp', SLERP],
  ['TIES over the whole model', TIES],
])('%s of many tensors', (_, steps) => {
  test('takes work in proportion to their number', () => {
    const [one, two] = [500, 1000].map((n) => count(steps, n, FORGETFUL).expressions)
    expect(two! / one!).toBeGreaterThan(1.9)
    expect(two! / one!).toBeLessThan(2.1)
  })

  test('pauses so often that the work in between does not grow with them', () => {
    const [one, two] = [500, 1000].map((n) => count(steps, n))
    expect(two!.pauses).toBeGreaterThan(2 * 1000)
    expect(two!.longest).toBe(one!.longest)
  })
})

describe('a chain of steps', () => {
  const chain = (length: number, step: (before: string) => object): Readonly<Record<string, unknown>> =>
    Object.fromEntries(Array.from({ length }, (_, i) => [`s${i}`, step(i === 0 ? 'a' : `s${i - 1}`)]))

  test.each([
    ['plain merges', 400, (before: string) => ({ op: 'merge.linear', models: [before, 'b'] })],
    [
      'merges by one mask',
      400,
      (before: string) => ({ op: 'merge.blend', a: before, b: 'b', keep: { default: 0.5, 'layers.0.*': 0.25 } }),
    ],
  ])('of %s takes work in proportion to its length', (_, length, step) => {
    const [one, two] = [length, 2 * length].map((n) => count(chain(n, step), 2, FORGETFUL).expressions)
    expect(two! / one!).toBeLessThan(2.2)
  })

  test('each with a mask of the result before is checked without building any of them', () => {
    const steps = Object.fromEntries(
      Array.from({ length: 20 }, (_, i) => {
        const before = i === 0 ? 'a' : `s${i - 1}`
        return [
          [`m${i}`, { op: 'mask.magnitude', model: before, base: 'b', quantile: 0.5 }],
          [`s${i}`, { op: 'merge.blend', a: before, b: 'b', mask: `m${i}` }],
        ] as const
      }).flat(),
    )
    expect(count(steps, 3).drafted).toBe(0)
  })

  test('of masks may be of thousands', () => {
    const masks = Object.fromEntries(
      Array.from({ length: 3000 }, (_, i) => [
        `m${i}`,
        i === 0 ? { op: 'mask.compare', a: 'a', b: 'b', base: 'b' } : { op: 'mask.complement', mask: `m${i - 1}` },
      ]),
    )
    const { plan, drafted } = count({ ...masks, last: { op: 'merge.blend', a: 'a', b: 'b', mask: 'm2999' } }, 1)
    expect(drafted).toBe(0)
    expect(plan.jobs.map((job) => job.sweeps!.passes.length)).toEqual([1])
  })

  test('may be of thousands', () => {
    const { plan } = count(
      chain(4500, (before) => ({ op: 'merge.linear', models: [before, 'b'] })),
      1,
    )
    expect(plan.steps.length).toBe(4500)
    expect(plan.jobs.map((job) => job.sweeps!.passes.length)).toEqual([1])
    expect(plan.stepsOf(plan.targets[0]![0]!).length).toBe(4500)
  })
})

test('TIES over the whole of a model of fifteen thousand tensors is planned', () => {
  const { plan } = count(TIES, 15_000)
  expect(plan.jobs.length).toBe(15_000)
})
