import { describe, expect, test } from 'vitest'
import { atOnce } from '#src/base/slices.js'
import { operators } from '#src/operators/index.js'
import { completePlan, outlineInSlices } from '#src/plan/complete-plan.js'
import { draftPlan } from '#src/plan/make-plan.js'
import { NO_PRIOR_STATE, type PriorState } from '#src/plan/prior-state.js'
import { parse } from '#src/recipe/parse.js'
import { onProcessor } from '#src/run/devices/choose.js'
import type { Dtype } from '#src/tensor/dtype.js'
import { outlinePlan } from '#src/view/plan-outline.js'
import { exampleRun } from '../support/examples.js'
import type { PlainFile } from '../support/recipe-run.js'
import { inputsOf, modelOf, type Outline } from './support.js'

/** Looks everything up and finds nothing, as the first plan on a machine, which may cache masks. */
const UNREAD: PriorState = {
  ...NO_PRIOR_STATE,
  outcome: () => undefined,
  mask: () => undefined,
  room: { step: 2 ** 30, all: 2 ** 30 },
}

interface Paper {
  readonly models: Readonly<Record<string, Outline>>
  readonly steps: Readonly<Record<string, unknown>>
  readonly outputs: Readonly<Record<string, unknown>>
}

/** What is shown of a plan with the jobs of all tensors, and of one that may have fewer; and how many jobs that has. */
const showBoth = ({ models, steps, outputs }: Paper, known: PriorState) => {
  const opened = new Map(Object.entries(models).map(([name, m]) => [name, modelOf(name, m)] as const))
  const recipe = parse({
    path: 'recipe.yaml',
    text: JSON.stringify({
      smelt: 1,
      models: Object.fromEntries([...opened].map(([name, { path }]) => [name, path])),
      steps,
      outputs,
    }),
  })
  if (recipe.type === 'failed') throw new Error(recipe.diagnostics[0]!.message)
  const setting = { recipe: recipe.value, inputs: inputsOf(recipe.value, opened), label: '' }
  const drafted = () => {
    const draft = draftPlan([setting], { recipe: '/recipes', out: undefined })
    if (draft.type === 'failed') throw new Error(draft.diagnostics[0]!.message)
    return draft.value
  }
  const [whole, shown] = [completePlan(drafted(), known), atOnce(outlineInSlices(drafted(), known))]
  const [all, some] = [whole, shown].map((plan) => outlinePlan(plan, onProcessor('', 2).planned))
  return { all, some, jobs: shown.jobs.length, whole: whole.jobs.length }
}

const expectSame = (paper: Paper, known = UNREAD) => {
  const { all, some, ...jobs } = showBoth(paper, known)
  expect(some).toEqual(all)
  return jobs
}

/** So many tensors for each of a file, whose names begin alike. */
const COPIES = 3
const DTYPES = { f32: 'F32', f16: 'F16', bf16: 'BF16', bool: 'BOOL', i64: 'I64' } as const
const spread = (file: PlainFile): Outline =>
  Object.fromEntries(
    Object.entries(file).flatMap(([name, { dtype, shape }]) =>
      Array.from({ length: COPIES }, (_, i): [string, readonly [Dtype, readonly number[]]] => [
        i === 0 ? name : `${name}.${i}`,
        [DTYPES[dtype], shape],
      ]),
    ),
  )

/** All but reports, what needs adapters, and what takes the names of its tensors for those of layers. */
const examples = operators
  .filter(
    ({ id, output, inputs }) =>
      output !== 'report' && id !== 'model.moe' && Object.values(inputs).every(({ type }) => type !== 'adapter'),
  )
  .flatMap((operator) =>
    operator.examples.map((example, i) => [`${operator.id} ${example.title ?? i + 1}`, operator, example] as const),
  )

test.each(examples)('a plan of alike tensors shows what one of all of them does: %s', (_, operator, example) => {
  const { files, recipe } = exampleRun(operator, example)
  const models = Object.fromEntries(
    Object.entries(recipe.models).map(([name, file]) => [name, spread(files[file]!)] as const),
  )
  expectSame({ models, steps: recipe.steps, outputs: recipe.outputs })
})

const LAYERS: Outline = Object.fromEntries(
  Array.from({ length: 12 }, (_, i) => [
    [`layers.${i}.weight`, [i < 9 ? 'F16' : 'F32', [16, 8]]],
    [`layers.${i}.bias`, ['F16', [16]]],
    [`layers.${i}.steps`, ['I64', [1]]],
  ]).flat(),
) as Outline
const A_TO_C = { a: LAYERS, b: LAYERS, c: LAYERS }
const OUT = { out: { from: 'last', path: 'out.safetensors' } }
const MASKED = {
  strong: { op: 'mask.magnitude', model: 'b', base: 'a', select: 'above', quantile: 0.5 },
  last: { op: 'merge.dare', a: 'a', b: 'b', drop: 0.5, mask: 'strong', keep: { default: 0.5, 'layers.3.*': 1 } },
}

describe('a plan of some tensors stands for one of all', () => {
  test.each([
    ['of numbers by layer, under a mask', { models: A_TO_C, steps: MASKED, outputs: OUT }],
    [
      'of two outputs with a mask in common, of which one has other dtypes',
      {
        models: A_TO_C,
        steps: { ...MASKED, other: { op: 'merge.blend', a: 'a', b: 'c', mask: 'strong' } },
        outputs: {
          ...OUT,
          second: { from: 'other', path: 'other.safetensors', dtype: { default: 'same', 'layers.7.*': 'bf16' } },
          third: { from: 'strong', path: 'mask.safetensors' },
        },
      },
    ],
    [
      'of models that differ in tensors and shapes',
      {
        models: {
          a: LAYERS,
          b: Object.fromEntries(
            Object.entries(LAYERS).flatMap(([name, [dtype, shape]]) =>
              name === 'layers.2.bias' ? [] : [[name, [dtype, name === 'layers.5.weight' ? [8, 16] : shape]]],
            ),
          ) as Outline,
        },
        steps: { last: { op: 'merge.linear', models: ['a', 'b'], missing: 'keep', mismatch: 'keep' } },
        outputs: OUT,
      },
    ],
    [
      'of whole layers',
      {
        models: A_TO_C,
        steps: {
          some: { op: 'mask.layers', like: 'a', layers: ['layers.1*', '!layers.11.*'] },
          strong: { op: 'mask.magnitude', model: 'b', base: 'a', select: 'above', quantile: 0.5 },
          both: { op: 'mask.intersection', masks: ['some', 'strong'] },
          last: { op: 'merge.blend', a: 'a', b: 'c', mask: 'both' },
        },
        outputs: { ...OUT, mask: { from: 'both', path: 'mask.safetensors' } },
      },
    ],
    [
      'of sums by tensor',
      {
        models: A_TO_C,
        steps: {
          ties: {
            op: 'merge.ties',
            base: 'a',
            models: [
              { model: 'b', density: 0.5 },
              { model: 'c', density: 0.25 },
            ],
          },
          last: { op: 'merge.blend', a: 'ties', b: 'b', method: 'slerp' },
        },
        outputs: OUT,
      },
    ],
  ])('%s', (_, paper) => {
    const { jobs, whole } = expectSame(paper)
    expect(jobs).toBeLessThan(whole / 2)
  })

  test('where only some masks have room', () => {
    const paper = { models: A_TO_C, steps: MASKED, outputs: OUT }
    const bytes = 2 ** 6 * 12
    for (const step of [bytes / 4, bytes / 2, bytes]) expectSame(paper, { ...UNREAD, room: { step, all: step } })
  })
})

describe('all tensors are planned', () => {
  test.each([
    [
      'of a measure of the whole model',
      { last: { op: 'merge.ties', base: 'a', models: [{ model: 'b', density: 0.5 }], scope: 'model' } },
    ],
    [
      'of renamed tensors',
      {
        out: { op: 'model.rename', model: 'b', rules: { 'layers.0': 'free' } },
        one: { op: 'model.rename', model: 'out', rules: { 'layers.1': 'layers.0' } },
        moved: { op: 'model.rename', model: 'one', rules: { free: 'layers.1' } },
        last: { op: 'merge.blend', a: 'a', b: 'moved', method: 'slerp' },
      },
    ],
  ])('%s', (_, steps) => {
    const { jobs, whole } = expectSame({ models: A_TO_C, steps, outputs: OUT })
    expect(jobs).toBe(whole)
  })

  test('where contents are known, of which something may be reused', () => {
    const known: PriorState = {
      ...UNREAD,
      digestOf: ({ name }) => (name === 'layers.3.bias' ? (`blake3:${'0'.repeat(64)}` as never) : undefined),
    }
    const { jobs, whole } = expectSame({ models: A_TO_C, steps: MASKED, outputs: OUT }, known)
    expect(jobs).toBe(whole)
  })
})
