import { join } from 'node:path'
import { expect, test } from 'vitest'
import { inFolder, readTensors } from '../support/build-run.js'
import { writeSafetensors, type TensorValues } from '../support/write-safetensors.js'
import { buildIn, built } from './support.js'

type Tensors = Readonly<Record<string, TensorValues>>

/** Numbers of few magnitudes, so that wherever a share of them is kept, equal ones have to be told apart. */
const numbers = (seed: number, n: number): number[] =>
  Array.from({ length: n }, (_, i) => ((i * 7 + seed * 5) % 4) - 1.5)
const network = (root: string, seed: number): Tensors =>
  Object.fromEntries(
    ['blocks.0.mixer', 'blocks.1.mixer', 'head'].map((name, i) => [
      `${root}${name}.weight`,
      { dtype: 'F32', shape: [4, 5], values: numbers(seed + i, 20) },
    ]),
  )

/** What a recipe makes of some files. */
const outcome = (
  files: Readonly<Record<string, Tensors>>,
  steps: object,
): Promise<Awaited<ReturnType<typeof readTensors>>> =>
  inFolder(async (folder) => {
    for (const [name, tensors] of Object.entries(files)) writeSafetensors(join(folder, `${name}.safetensors`), tensors)
    await built(
      buildIn(folder, {
        models: Object.fromEntries(Object.keys(files).map((name) => [name, `${name}.safetensors`])),
        steps,
        outputs: { out: { from: 'm', path: 'out.safetensors' } },
      }),
    )
    return readTensors(join(folder, 'out.safetensors'))
  })

const STEPS: readonly (readonly [string, object])[] = [
  ['along the sphere', { m: { op: 'merge.blend', a: 'a', b: 'b', method: 'slerp' } }],
  ['a random part', { m: { op: 'merge.dare', a: 'a', b: 'b', drop: 0.5 } }],
  [
    'the largest differences of the whole model',
    {
      m: {
        op: 'merge.ties',
        base: 'a',
        models: [
          { model: 'b', density: 0.4 },
          { model: 'c', density: 0.3 },
        ],
        scope: 'model',
      },
    },
  ],
  [
    'those of a step that has other names',
    {
      first: { op: 'merge.ties', base: 'b', models: [{ model: 'c', density: 0.4 }], scope: 'model' },
      m: { op: 'merge.ties', base: 'a', models: [{ model: 'first', density: 0.4 }], scope: 'model' },
    },
  ],
  [
    'what a mask over the whole model selects',
    {
      big: { op: 'mask.magnitude', model: 'b', base: 'c', quantile: 0.6, scope: 'model' },
      m: { op: 'merge.blend', a: 'a', b: 'c', mask: 'big', keep: 0 },
    },
  ],
]

test.each(STEPS)('the roots of the models do not change a number: %s', async (_, steps) => {
  const alike = await outcome(
    {
      a: network('model.diffusion_model.', 1),
      b: network('model.diffusion_model.', 2),
      c: network('model.diffusion_model.', 3),
    },
    steps,
  )
  const apart = await outcome(
    { a: network('model.diffusion_model.', 1), b: network('', 2), c: network('diffusion_model.', 3) },
    steps,
  )
  expect(Object.keys(alike).length).toBe(3)
  expect(apart).toEqual(alike)
})

test('a tied model gives what it would give with its output layer written out, also where the whole model is measured', async () => {
  const model = (seed: number, head: boolean): Tensors => {
    const embedding: TensorValues = { dtype: 'F32', shape: [4, 5], values: numbers(seed, 20) }
    const others = {
      'model.embed_tokens.weight': embedding,
      'model.layers.0.self_attn.q_proj.weight': { dtype: 'F32', shape: [4, 5], values: numbers(seed + 1, 20) },
    } as const
    return head ? { ...others, 'lm_head.weight': embedding } : others
  }
  const own: Tensors = { ...model(1, true), 'lm_head.weight': { dtype: 'F32', shape: [4, 5], values: numbers(9, 20) } }
  for (const scope of ['tensor', 'model']) {
    const steps = { m: { op: 'merge.ties', base: 'a', models: [{ model: 'b', density: 0.4 }], scope } }
    const written = await outcome({ a: own, b: model(2, true) }, steps)
    expect(await outcome({ a: own, b: model(2, false) }, steps)).toEqual(written)
    expect(written['lm_head.weight']!.values).not.toEqual(own['lm_head.weight']!.values)
  }
})
