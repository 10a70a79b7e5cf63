import { describe, expect, test } from 'vitest'
import { readTable } from '../architectures/tables.js'
import { outlineOf, planOf, problemsOf, readsOf, type Outline, type Paper } from './support.js'

const ROOTS = ['model.diffusion_model.', 'diffusion_model.', 'model.model.', 'net.', '']

/** A network that smelt does not know, under a root, and what a checkpoint has beside it. */
const network = (root: string, beside: Outline = {}): Outline => ({
  ...Object.fromEntries(
    ['blocks.0.mixer.weight', 'blocks.1.mixer.weight', 'head.weight'].map((name) => [
      root + name,
      ['F16', [2, 2]] as const,
    ]),
  ),
  ...beside,
})
const VAE: Outline = { 'first_stage_model.out.weight': ['F16', [3]] }
const whole = network('model.diffusion_model.', VAE)

const UNET = Object.fromEntries(
  Object.entries(outlineOf('sd15')).filter(([name]) => name.startsWith('model.diffusion_model.')),
)
const unetUnder = (root: string): Outline =>
  Object.fromEntries(
    Object.entries(UNET).map(([name, slot]) => [root + name.slice('model.diffusion_model.'.length), slot]),
  )

const paper = (
  models: Paper['models'],
  steps: NonNullable<Paper['steps']>,
  from = 'm',
  output: object = {},
): Paper => ({ models, steps, outputs: { o: { from, path: 'out.safetensors', ...output } } })
const counts = (made: Paper) => planOf(made).steps.at(-1)!.counts
const namesOf = (made: Paper) =>
  planOf(made)
    .outputs[0]!.tensors.map((t) => t.name)
    .sort()

describe('a network under another root', () => {
  test.each(ROOTS.map((x, i) => [x, ROOTS[(i + 2) % ROOTS.length]!] as const))(
    'known, under `%s` and under `%s`, is merged tensor by tensor',
    (x, y) => {
      expect(counts(paper({ a: unetUnder(x), b: unetUnder(y) }, { m: { op: 'merge.blend', a: 'a', b: 'b' } }))).toEqual(
        { merged: 686 },
      )
    },
  )

  test.each(ROOTS.flatMap((x) => ROOTS.map((y) => [x, y] as const)))(
    'unknown, under `%s` and under `%s`, is merged tensor by tensor',
    (x, y) => {
      const plan = planOf(paper({ a: network(x), b: network(y) }, { m: { op: 'merge.blend', a: 'a', b: 'b' } }))
      expect(plan.steps[0]!.counts).toEqual({ merged: 3 })
      expect(plan.outputs[0]!.tensors.map((t) => t.name).sort()).toEqual(Object.keys(network(x)).sort())
      expect(plan.jobs.map((job) => readsOf(job)[0])).toContainEqual([`a:${x}head.weight`, `b:${y}head.weight`])
    },
  )

  test('is found for the third model as for the second', () => {
    const made = paper(
      { a: network('diffusion_model.'), b: network('net.'), c: network('') },
      { m: { op: 'merge.add_difference', a: 'a', b: 'b', c: 'c' } },
    )
    expect(counts(made)).toEqual({ merged: 3 })
    expect(counts(paper(made.models, { m: { op: 'merge.ties', base: 'c', models: ['a', 'b'] } }))).toEqual({
      merged: 3,
    })
  })

  test('is merged in a whole checkpoint, whose other parts still have to be in both', () => {
    const step = { op: 'merge.blend', a: 'a', b: 'b' }
    expect(problemsOf(paper({ a: whole, b: network('') }, { m: step }))).toEqual(['error missing-tensor "b"'])
    expect(counts(paper({ a: whole, b: network('') }, { m: { ...step, missing: 'keep' } }))).toEqual({
      merged: 3,
      missing: 1,
    })
    expect(namesOf(paper({ a: whole, b: network('') }, { m: { ...step, missing: 'keep' } }))).toEqual(
      Object.keys(whole).sort(),
    )
  })

  test('takes layer patterns in the names of any root', () => {
    for (const layers of ['blocks.1', 'diffusion_model.blocks.1', 'model.diffusion_model.blocks.1']) {
      const made = paper(
        { a: network('net.'), b: network('diffusion_model.') },
        { m: { op: 'merge.blend', a: 'a', b: 'b', layers } },
      )
      expect(counts(made)).toEqual({ merged: 1 })
    }
  })

  test('takes masks and weights that were made for it elsewhere', () => {
    const models = { a: whole, b: network('', VAE), base: network('diffusion_model.', VAE) }
    const merged = (steps: NonNullable<Paper['steps']>, more: object) =>
      counts(paper(models, { ...steps, m: { op: 'merge.blend', a: 'a', b: 'b', ...more } }))
    const strong = { op: 'mask.magnitude', model: 'b', base: 'base', quantile: 0.5 }
    expect(counts(paper(models, { m: strong }))).toEqual({ merged: 4 })
    expect(merged({ strong }, { mask: 'strong' })).toEqual({ merged: 4 })
    expect(
      merged(
        {
          strong,
          like: { op: 'mask.layers', like: 'base', layers: 'blocks' },
          both: { op: 'mask.intersection', masks: ['strong', 'like'] },
        },
        { mask: 'both' },
      ),
    ).toEqual({ merged: 2 })
    const curve = { op: 'weights.rules', like: 'base', rules: { 'blocks.0': 0.25, head: 0.5 } }
    expect(merged({ curve }, { keep: 'curve' })).toEqual({ merged: 2, kept: 2 })
    expect(
      merged(
        { curve, more: { op: 'weights.edit', like: 'b', weights: 'curve', layers: 'blocks.1', set: 1 } },
        { keep: 'more' },
      ),
    ).toEqual({ merged: 3, kept: 1 })
  })

  test('is compared under one name', () => {
    const report = {
      models: { a: whole, b: network('') },
      steps: { d: { op: 'report.diff', a: 'a', b: 'b' } },
      outputs: { o: { from: 'd', path: 'out.json' } },
    }
    expect(
      planOf(report)
        .reports[0]!.value.measured.map((m) => m.tensor)
        .sort(),
    ).toEqual(Object.keys(network('model.diffusion_model.')).sort())
  })

  test('is put where the first part of a combination has it', () => {
    const models = {
      a: {
        ...unetUnder('model.diffusion_model.'),
        ...VAE,
        ...Object.fromEntries(
          [...readTable('sd15')]
            .filter(([name]) => name.startsWith('cond_stage_model.'))
            .map(([name, { shape }]) => [name, ['F16', shape] as const]),
        ),
      },
      b: unetUnder(''),
    }
    const made = paper(models, {
      rest: { op: 'model.select', model: 'a', layers: '!component:unet' },
      m: { op: 'model.combine', models: ['rest', 'b'] },
    })
    expect(namesOf(made)).toEqual(Object.keys(models.a).sort())
  })

  test('is left alone where only few of its names agree', () => {
    const other: Outline = {
      'net.other.weight': ['F16', [2, 2]],
      'net.more.weight': ['F16', [2, 2]],
      'net.most.weight': ['F16', [2, 2]],
      'net.head.weight': ['F16', [2, 2]],
    }
    expect(problemsOf(paper({ a: network(''), b: other }, { m: { op: 'merge.blend', a: 'a', b: 'b' } }))).toEqual([
      'error missing-tensor "b"',
    ])
  })
})

test('a VAE in a file of its own is merged into that of a checkpoint, and the other way round', () => {
  const names = Object.entries(outlineOf('sd15')).filter(([name]) => name.startsWith('first_stage_model.'))
  const alone: Outline = Object.fromEntries(
    names.map(([name, slot]) => [name.slice('first_stage_model.'.length), slot]),
  )
  const models = { a: outlineOf('sd15'), b: alone }
  expect(counts(paper(models, { m: { op: 'merge.blend', a: 'a', b: 'b', keep: 0, layers: 'component:vae' } }))).toEqual(
    { merged: 248 },
  )
  expect(counts(paper(models, { m: { op: 'merge.blend', a: 'b', b: 'a' } }))).toMatchObject({ merged: 248 })
})
