import { describe, expect, test } from 'vitest'
import { outlineOf, planOf, problemsOf, type Outline, type Paper } from '../plan/support.js'
import { evaluateLast, f32, problemsOf as problemsOfSmall } from '../support/small.js'

const sd1 = outlineOf('sd15')
const VAE = 'first_stage_model.'
const UNET = 'model.diffusion_model.'
/** What lies below a root, as a file of its own has it. */
const bare = (root: string): Outline =>
  Object.fromEntries(
    Object.entries(sd1).flatMap(([name, t]) => (name.startsWith(root) ? [[name.slice(root.length), t]] : [])),
  )

const paper = (models: Paper['models'], steps: Readonly<Record<string, object>>): Paper => ({
  models,
  steps,
  outputs: { o: { from: Object.keys(steps).at(-1)!, path: 'out.safetensors' } },
})
const namesOf = (made: Paper): readonly string[] =>
  planOf(made)
    .outputs[0]!.tensors.map((t) => t.name)
    .sort()
/** The file that each tensor of an output is copied from, by the root of its name. */
const sourcesOf = (made: Paper): Readonly<Record<string, string>> =>
  Object.fromEntries(
    planOf(made).jobs.flatMap((job) =>
      job.copies.map((copy) => [
        copy.to.tensor.split('.').slice(0, 1).join('.'),
        copy.from!.tensor.file.replace(/^.*\/|\.safetensors$/g, ''),
      ]),
    ),
  )

describe('a part in a file of its own', () => {
  const vae = { placed: { op: 'model.rename', model: 'vae', add_root: 'first_stage_model' } }

  test('takes the place of that part in a checkpoint: a VAE', () => {
    const made = paper(
      { checkpoint: sd1, vae: bare(VAE) },
      { ...vae, whole: { op: 'model.combine', models: ['placed', 'checkpoint'], overlap: 'first' } },
    )
    expect(namesOf(made)).toEqual(Object.keys(sd1).sort())
    expect(sourcesOf(made)).toMatchObject({
      first_stage_model: 'vae',
      model: 'checkpoint',
      cond_stage_model: 'checkpoint',
    })
    expect(planOf(made).steps[0]!.counts).toEqual({ renamed: 248 })
  })

  test('takes the place of that part in a checkpoint: a U-Net', () => {
    const made = paper(
      { checkpoint: sd1, unet: bare(UNET) },
      {
        placed: { op: 'model.rename', model: 'unet', add_root: 'model.diffusion_model' },
        whole: { op: 'model.combine', models: ['placed', 'checkpoint'], overlap: 'first' },
      },
    )
    expect(namesOf(made)).toEqual(Object.keys(sd1).sort())
    expect(sourcesOf(made)).toMatchObject({ model: 'unet', first_stage_model: 'checkpoint' })
  })

  test('is taken out of a checkpoint again', () => {
    const made = paper(
      { checkpoint: sd1 },
      {
        part: { op: 'model.select', model: 'checkpoint', layers: 'component:vae' },
        alone: { op: 'model.rename', model: 'part', remove_root: 'first_stage_model' },
      },
    )
    expect(namesOf(made)).toEqual(Object.keys(bare(VAE)).sort())
  })

  test('is recognised under its new names, and merged with others of its kind', () => {
    const made = paper(
      { checkpoint: sd1, vae: bare(VAE) },
      {
        ...vae,
        mixed: { op: 'merge.blend', a: 'placed', b: 'checkpoint' },
        scaled: { op: 'model.scale', model: 'mixed', factor: 2, layers: 'component:vae' },
      },
    )
    expect(problemsOf(made)).toEqual([])
    expect(planOf(made).steps.map((s) => s.counts)).toEqual([
      { renamed: 248 },
      { merged: 248, dropped: 895 },
      { merged: 248 },
    ])
  })

  test('under names of no known network is not taken for the network it was', () => {
    const made = paper(
      { vae: bare(VAE) },
      {
        odd: { op: 'model.rename', model: 'vae', add_root: 'odd.place' },
        scaled: { op: 'model.scale', model: 'odd', factor: 2, layers: 'component:vae' },
      },
    )
    expect(problemsOf(made)).toEqual(['error pattern-needs-architecture "component:vae"'])
  })
})

test('the steps behind a tensor are found under the names that it had', () => {
  const plan = planOf(
    paper(
      { a: { x: ['F32', [2]], y: ['F32', [2]] } },
      {
        doubled: { op: 'model.scale', model: 'a', factor: 2, layers: 'x' },
        named: { op: 'model.rename', model: 'doubled', rules: { x: 'z' } },
        tripled: { op: 'model.scale', model: 'named', factor: 3, layers: 'z' },
      },
    ),
  )
  const steps = Object.fromEntries(plan.targets[0]!.map((target) => [target.tensor, plan.stepsOf(target)]))
  expect(steps).toEqual({ y: [], z: ['doubled', 'named', 'tripled'] })
})

test('a rule in a list may match nothing if it says so', () => {
  const file = { a: { 'x.gamma': f32(1) } }
  const rules = [
    { match: '**.beta', to: '$1.bias', optional: true },
    { match: '**.gamma', to: '$1.weight' },
  ]
  expect(evaluateLast(file, { r: { op: 'model.rename', model: 'a', rules } })).toEqual({ 'x.weight': [1] })
})

test('a difference is renamed like a model', () => {
  const files = { a: { x: f32(3) }, b: { x: f32(1) } }
  expect(
    evaluateLast(files, {
      d: { op: 'model.subtract', a: 'a', b: 'b' },
      r: { op: 'model.rename', model: 'd', add_root: 'net' },
    }),
  ).toEqual({ 'net.x': [2] })
})

describe('mistakes are told at their place in the recipe', () => {
  const small: Outline = { 'encoder.weight': ['F32', [2]], 'decoder.weight': ['F32', [2]] }
  const told = (step: object): readonly string[] =>
    problemsOf(paper({ a: small }, { r: { op: 'model.rename', model: 'a', ...step } }))

  test.each([
    [{ rules: { encodr: 'x' } }, 'error renames-nothing "encodr"'],
    [{ rules: { '*': 'x' } }, 'error renamed-alike "x"'],
    [{ rules: { encoder: '$1.x' } }, 'error unknown-capture "$1.x"'],
    [{ rules: { 'encoder.weight': '' } }, 'error bad-new-name ""'],
    [{ remove_root: 'model' }, 'error renames-nothing "model"'],
    [{ add_root: 'vae.' }, 'error bad-new-name "vae."'],
    [{ rules: { 'group:norm': 'x' } }, 'error rename-by-part "group:norm"'],
  ])('%j', (step, problem) => {
    expect(told(step)).toEqual([problem])
  })

  test('a step without rules is one', () => {
    expect(problemsOfSmall({ a: { x: f32(1) } }, { r: { op: 'model.rename', model: 'a' } })).toEqual([
      'error renames-without-rules @r.op',
    ])
  })
})
