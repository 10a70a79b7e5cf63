import { describe, expect, test } from 'vitest'
import { outlineOf, planOf, problemsOf, type Outline, type Paper } from '../plan/support.js'
import { evaluateLast, f32, problemsOf as problemsOfSmall } from '../support/small.js'

const sd1 = outlineOf('sd15')
const sdxl = outlineOf('sdxl')
const UNET = 'model.diffusion_model.'
const averages = (checkpoint: Outline): Outline => ({
  ...Object.fromEntries(
    Object.entries(checkpoint).flatMap(([name, t]) =>
      name.startsWith(UNET) ? [[`model_ema.${name.slice('model.'.length).replaceAll('.', '')}`, t]] : [],
    ),
  ),
  'model_ema.decay': ['F32', []],
  'model_ema.num_updates': ['I64', []],
})
const paper = (model: Outline, step: object = {}): Paper => ({
  models: { a: model },
  steps: { p: { op: 'model.prune', model: 'a', ...step } },
  outputs: { o: { from: 'p', path: 'out.safetensors' } },
})
const namesOf = (made: Paper): readonly string[] =>
  planOf(made)
    .outputs[0]!.tensors.map((t) => t.name)
    .sort()
const countsOf = (made: Paper) => planOf(made).steps[0]!.counts

describe('what a training leaves behind', () => {
  const full: Outline = {
    ...sd1,
    ...averages(sd1),
    'optimizer_states.0.exp_avg': ['F32', [4]],
    global_step: ['I64', []],
    'loss.discriminator.main.0.weight': ['F32', [4]],
    'first_stage_model.loss.logvar': ['F32', []],
  }

  test('goes, and is counted by what it is', () => {
    expect(problemsOf(paper(full))).toEqual([])
    expect(namesOf(paper(full))).toEqual(Object.keys(sd1).sort())
    expect(countsOf(paper(full))).toEqual({ 'dropped (ema)': 688, 'dropped (optimizer)': 2, 'dropped (loss)': 2 })
  })

  test('stays as far as `drop` does not list it', () => {
    expect(countsOf(paper(full, { drop: ['optimizer'] }))).toEqual({ 'dropped (optimizer)': 2 })
  })

  test('is not looked for in vain without a warning if `drop` lists it', () => {
    expect(problemsOf(paper(sd1))).toEqual([])
    expect(problemsOf(paper(sd1, { drop: ['ema', 'loss'] }))).toEqual([
      expect.stringMatching(/^warning prunes-nothing \[\s+"ema"/),
    ])
  })
})

describe('EMA weights', () => {
  const full = { ...sd1, ...averages(sd1) }

  test('take the place of the weights', () => {
    const plan = planOf(paper(full, { ema: 'use' }))
    expect(plan.steps[0]!.counts).toEqual({ replaced: 686, 'dropped (ema)': 688 })
    expect(plan.outputs[0]!.tensors.map((t) => t.name).sort()).toEqual(Object.keys(sd1).sort())
    const sources = new Map(plan.jobs.flatMap((job) => job.copies.map((c) => [c.to.tensor, c.from!.tensor.name])))
    expect(sources.get(`${UNET}input_blocks.0.0.weight`)).toBe('model_ema.diffusion_modelinput_blocks00weight')
    expect(sources.get('first_stage_model.quant_conv.bias')).toBe('first_stage_model.quant_conv.bias')
  })

  test('are found with dots in their names, and of a part too', () => {
    const file = {
      a: {
        'model.net.w': f32(1),
        'model_ema.net.w': f32(2),
        'first_stage_model.encoder.w': f32(3),
        'first_stage_model.model_ema.encoderw': f32(4),
      },
    }
    expect(evaluateLast(file, { p: { op: 'model.prune', model: 'a', ema: 'use' } })).toEqual({
      'model.net.w': [2],
      'first_stage_model.encoder.w': [4],
    })
  })

  test.each([
    ['of no weight', { 'model.x.w': f32(1), 'model_ema.yw': f32(2) }, 'ema-unclear'],
    ['of a weight of another shape', { 'model.x.w': f32(1), 'model_ema.xw': f32(2, 3) }, 'ema-unclear'],
    ['of two weights', { 'model.x.yw': f32(1), 'model.xy.w': f32(1), 'model_ema.xyw': f32(2) }, 'ema-unclear'],
    ['that are not there', { 'model.x.w': f32(1), 'model_ema.decay': f32(2) }, 'no-ema'],
  ])('%s cannot be used', (_, a, code) => {
    expect(problemsOfSmall({ a }, { p: { op: 'model.prune', model: 'a', ema: 'use' } })).toEqual([
      `error ${code} @p.ema`,
    ])
  })
})

describe('duplicates', () => {
  const clip = Object.fromEntries(Object.entries(sd1).filter(([name]) => name.startsWith('cond_stage_model.')))
  const dropped = (model: Outline): readonly string[] => {
    const left = new Set(namesOf(paper(model, { drop: ['duplicates', 'ema'] })))
    return Object.keys(model).filter((name) => !left.has(name))
  }

  test('are text encoders where the programs of an architecture do not look', () => {
    expect(dropped({ ...sdxl, ...clip })).toEqual(Object.keys(clip))
    expect(countsOf(paper({ ...sdxl, ...clip }))).toEqual({ 'dropped (duplicates)': 197 })
    const old = { 'cond_stage_model.transformer.encoder.layers.0.mlp.fc1.bias': ['F16', [4]] } as const
    expect(dropped({ ...sd1, ...old })).toEqual(Object.keys(old))
  })

  test('are VAEs beside the one that is read', () => {
    const second = { 'vae.decoder.conv_in.bias': ['F16', [4]] } as const
    expect(dropped({ ...sd1, ...second })).toEqual(Object.keys(second))
  })

  test('are not what is the only one', () => {
    const without = Object.fromEntries(Object.entries(sdxl).filter(([name]) => !name.startsWith('conditioner.')))
    expect(problemsOf(paper({ ...without, ...clip }, { drop: ['duplicates'] }))).toEqual([
      expect.stringMatching(/^warning prunes-nothing \[\s+"duplicates"/),
    ])
  })
})

test('parts that come from files of their own are dropped by name', () => {
  expect(countsOf(paper(sdxl, { drop: ['vae', 'text_encoders'] }))).toEqual({
    'dropped (vae)': 248,
    'dropped (text_encoders)': 587,
  })
})

test('something has to be left', () => {
  const vae = Object.fromEntries(Object.entries(sd1).filter(([name]) => name.startsWith('first_stage_model.')))
  expect(problemsOf(paper(vae, { drop: ['vae'] }))).toEqual(['error pruned-all "a"'])
})
