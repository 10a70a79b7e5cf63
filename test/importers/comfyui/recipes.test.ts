import { describe, expect, test } from 'vitest'
import { createWorkflow, importJson, type Output, type TestWorkflow } from '../../support/workflows.js'

/** The three parts of a checkpoint. */
interface Loaded {
  readonly model: Output
  readonly clip: Output
  readonly vae: Output
}

const load = (flow: TestWorkflow, name: string): Loaded => {
  const id = flow.add('CheckpointLoaderSimple', { ckpt_name: name })
  return { model: [id, 0], clip: [id, 1], vae: [id, 2] }
}

const save = (flow: TestWorkflow, parts: Loaded, prefix: string, more: { readonly mode?: number } = {}): string =>
  flow.add('CheckpointSave', { filename_prefix: prefix }, { ...parts }, more)

/** The recipe of a workflow, which both formats must agree on. */
const recipe = (flow: TestWorkflow): string => {
  const [api, ui, objects] = [importJson(flow.api()), importJson(flow.ui()), importJson(flow.ui(1))]
  expect(ui).toEqual(api)
  expect(objects).toEqual(api)
  expect(api.missing).toEqual([])
  return api.recipe!
}

describe('a workflow of the core becomes a recipe', () => {
  test('of one step where model and text encoder are merged alike', () => {
    const flow = createWorkflow()
    const [a, b] = [load(flow, 'first.safetensors'), load(flow, 'sub\\second.safetensors')]
    const model = flow.add('ModelMergeSimple', { ratio: 0.7099999999999997 }, { model1: a.model, model2: b.model })
    const clip = flow.add('CLIPMergeSimple', { ratio: 0.71 }, { clip1: a.clip, clip2: b.clip })
    save(flow, { model: [model, 0], clip: [clip, 0], vae: a.vae }, 'merges/%date:yyyy%/both')
    expect(recipe(flow)).toMatchSnapshot()
  })

  test('with the text encoder of one and the VAE of another', () => {
    const flow = createWorkflow()
    const [a, b] = [load(flow, 'a.safetensors'), load(flow, 'b.safetensors')]
    const model = flow.add(
      'ModelMergeSimple',
      { ratio: 0.25 },
      { model1: a.model, model2: b.model },
      { title: 'A quarter of A' },
    )
    const vae = flow.add('VAELoader', { vae_name: 'vae.safetensors' })
    save(flow, { model: [model, 0], clip: b.clip, vae: [vae, 0] }, 'mixed')
    expect(recipe(flow)).toMatchSnapshot()
  })

  test('with a LoRA for both parts before a merge, and one for the model after it', () => {
    const flow = createWorkflow()
    const [a, b] = [load(flow, 'a.safetensors'), load(flow, 'b.safetensors')]
    const lora = flow.add(
      'LoraLoader',
      { lora_name: 'ink.safetensors', strength_model: 0.8, strength_clip: 0.5 },
      { model: a.model, clip: a.clip },
    )
    const merged = flow.add('ModelMergeSimple', { ratio: 0.5 }, { model1: [lora, 0], model2: b.model })
    const more = flow.add(
      'LoraLoaderModelOnly',
      { lora_name: 'line.safetensors', strength_model: 1 },
      { model: [merged, 0] },
    )
    save(flow, { model: [more, 0], clip: [lora, 1], vae: a.vae }, 'loras')
    expect(recipe(flow)).toMatchSnapshot()
  })

  test('that adds the difference to the model it is taken from, whose tensors the result has', () => {
    const flow = createWorkflow()
    const [inpaint, base, other] = [
      load(flow, 'inpaint.safetensors'),
      load(flow, 'base.safetensors'),
      load(flow, 'other.safetensors'),
    ]
    const difference = flow.add('ModelMergeSubtract', { multiplier: 1 }, { model1: inpaint.model, model2: base.model })
    const sum = flow.add('ModelMergeAdd', {}, { model1: [difference, 0], model2: other.model })
    save(flow, { model: [sum, 0], clip: other.clip, vae: other.vae }, 'inpainting')
    const half = flow.add('ModelMergeSubtract', { multiplier: 0.5 }, { model1: inpaint.model, model2: base.model })
    const onOther = flow.add('ModelMergeAdd', {}, { model1: other.model, model2: [half, 0] })
    save(flow, { ...other, model: [onOther, 0] }, 'other-way-round')
    const scaled = flow.add('ModelMergeAdd', {}, { model1: [half, 0], model2: other.model })
    flow.add('ModelSave', { filename_prefix: 'scaled' }, { model: [scaled, 0] })
    flow.add('ModelSave', { filename_prefix: 'difference' }, { model: [half, 0] })
    expect(recipe(flow)).toMatchSnapshot()
  })

  test('of parts of a U-Net, and of blocks by the longest prefix', () => {
    const flow = createWorkflow()
    const [a, b] = [load(flow, 'a.safetensors'), load(flow, 'b.safetensors')]
    const parts = flow.add(
      'ModelMergeBlocks',
      { input: 0.3, middle: 0.3, out: 0.8 },
      { model1: a.model, model2: b.model },
    )
    save(flow, { ...a, model: [parts, 0] }, 'parts')
    const names = [
      'time_embed.',
      'label_emb.',
      ...numbered('input_blocks', 9),
      ...numbered('middle_block', 3),
      ...numbered('output_blocks', 9),
      'out.',
    ]
    const values = Object.fromEntries(names.map((name, i) => [name, i === 1 ? 0.4 : i === 5 ? 0.25 : 1]))
    const blocks = flow.add('ModelMergeSDXL', values, { model1: a.model, model2: b.model })
    save(flow, { ...a, model: [blocks, 0] }, 'blocks')
    const equal = flow.add('ModelMergeSDXL', Object.fromEntries(names.map((name) => [name, 0.6])), {
      model1: a.model,
      model2: b.model,
    })
    save(flow, { ...a, model: [equal, 0] }, 'equal')
    expect(recipe(flow)).toMatchSnapshot()
  })

  test('of diffusion models in files of their own, alone and in a checkpoint', () => {
    const flow = createWorkflow()
    const a = load(flow, 'a.safetensors')
    const [u, v] = ['u.safetensors', 'v.safetensors'].map((unet_name) =>
      flow.add('UNETLoader', { unet_name, weight_dtype: 'default' }),
    )
    const alone = flow.add('ModelMergeSimple', { ratio: 0.5 }, { model1: [u!, 0], model2: [v!, 0] })
    flow.add('ModelSave', { filename_prefix: 'alone' }, { model: [alone, 0] })
    save(flow, { ...a, model: [v!, 0] }, 'placed')
    flow.add('VAESave', { filename_prefix: 'vae' }, { vae: a.vae })
    expect(recipe(flow)).toMatchSnapshot()
  })

  test('whose steps are found again by all that need them', () => {
    const flow = createWorkflow()
    const [a, b] = [load(flow, 'a.safetensors'), load(flow, 'b.safetensors')]
    const first = flow.add('ModelMergeSimple', { ratio: 0.5 }, { model1: a.model, model2: b.model })
    flow.add('ModelSave', { filename_prefix: 'model' }, { model: [first, 0] })
    const mask = flow.add(
      'DM_MagnitudeMasker',
      { threshold: 0.9, threshold_type: 'median', select: 'above' },
      { model_a: [first, 0], model_b: b.model },
    )
    const second = flow.add(
      'DM_BlockModelMerger',
      { time: 1, label: 1, input: 0.2, middle: 0.2, output: 0.2, out: 1, method: 'comfy' },
      { model_a: [first, 0], model_b: b.model, model_mask: [mask, 0] },
    )
    save(flow, { ...a, model: [second, 0] }, 'both')
    const text = recipe(flow)
    expect(text.match(/keep: 0\.5/g)).toHaveLength(1)
    expect(text).toMatchSnapshot()
  })
})

const numbered = (stem: string, count: number): readonly string[] =>
  Array.from({ length: count }, (_, i) => `${stem}.${i}`)

describe('what is written', () => {
  test('is what active nodes save; muted ones only where there are no others', () => {
    const flow = createWorkflow()
    const [a, b] = [load(flow, 'a.safetensors'), load(flow, 'b.safetensors')]
    const merged = flow.add('ModelMergeSimple', { ratio: 0.5 }, { model1: a.model, model2: b.model })
    save(flow, { ...a, model: [merged, 0] }, 'muted', { mode: 2 })
    const muted = importJson(flow.ui())
    expect(muted.recipe).toContain('build/muted.safetensors')
    expect(muted.notes.map((n) => n.where)).toEqual(['node 4 (CheckpointSave)'])
    save(flow, { ...b, model: [merged, 0] }, 'active')
    const active = importJson(flow.ui())
    expect(active.recipe).not.toContain('build/muted.safetensors')
    expect(active.recipe).toContain('build/active.safetensors')
  })

  test('is what is sampled with where nothing is saved, with its text encoder and VAE', () => {
    const flow = createWorkflow()
    const [a, b] = [load(flow, 'a.safetensors'), load(flow, 'b.safetensors')]
    const merged = flow.add('ModelMergeSimple', { ratio: 0.5 }, { model1: a.model, model2: b.model })
    const prompt = flow.add('CLIPTextEncode', { text: 'a house' }, { clip: b.clip })
    const sampler = flow.add('KSampler', { seed: 1, steps: 20 }, { model: [merged, 0], positive: [prompt, 0] })
    const picture = flow.add('VAEDecode', {}, { samples: [sampler, 0], vae: a.vae })
    flow.add('SaveImage', { filename_prefix: 'x' }, { images: [picture, 0] })
    const text = recipe(flow)
    expect(text).toMatchSnapshot()
  })

  test('never leaves its folder, and never has the name of another', () => {
    const flow = createWorkflow()
    const a = load(flow, 'a.safetensors')
    for (const prefix of ['../../etc/x', '/abs/x', 'C:\\x', 'etc/x', 'ETC/X', '%date%', '..', 'a$b'])
      save(flow, a, prefix)
    const paths = [...recipe(flow).matchAll(/path: "?(build[^"\n]*)/g)].map(([, path]) => path!)
    expect(paths).toEqual([
      'build/etc/x.safetensors',
      'build/abs/x.safetensors',
      'build/C/x.safetensors',
      'build/etc/x-2.safetensors',
      'build/ETC/X-3.safetensors',
      'build/checkpoints/ComfyUI.safetensors',
      'build/checkpoints/ComfyUI-2.safetensors',
      'build/a-b.safetensors',
    ])
  })
})

describe('what smelt cannot say is told by node and reason', () => {
  const missing = (flow: TestWorkflow): readonly (readonly [string, string])[] =>
    importJson(flow.api()).missing.map(({ where, why }) => [where, why])

  test('an unknown node on the way to an output, and the output; others are left alone', () => {
    const flow = createWorkflow()
    const a = load(flow, 'a.safetensors')
    const odd = flow.add('SomeMerger', { amount: 1 }, { model: a.model }, { title: 'My merger' })
    flow.add('SomethingElse', {}, { model: [odd, 0] })
    save(flow, { ...a, model: [odd, 0] }, 'odd')
    save(flow, a, 'plain')
    expect(missing(flow)).toEqual([
      ['node 2 (My merger)', expect.stringContaining('does not know')],
      ['node 4 (CheckpointSave)', expect.stringContaining('node 2 (My merger)')],
    ])
    expect(importJson(flow.api()).recipe).toContain('build/plain.safetensors')
  })

  test('differences in the place of models, text encoders in files of their own, values that other nodes compute', () => {
    const flow = createWorkflow()
    const a = load(flow, 'a.safetensors')
    const difference = flow.add('ModelMergeSubtract', { multiplier: 1 }, { model1: a.model, model2: a.model })
    const wrong = flow.add('ModelMergeSimple', { ratio: 0.5 }, { model1: [difference, 0], model2: a.model })
    save(flow, { ...a, model: [wrong, 0] }, 'x')
    save(flow, { ...a, model: [difference, 0] }, 'x')
    const clip = flow.add('CLIPLoader', { clip_name: 'clip.safetensors', type: 'sd' })
    save(flow, { ...a, clip: [clip, 0] }, 'x')
    const number = flow.add('FloatMath', { value: 1 })
    const computed = flow.add('ModelMergeSimple', {}, { model1: a.model, model2: a.model, ratio: [number, 0] })
    save(flow, { ...a, model: [computed, 0] }, 'x')
    expect(missing(flow).map(([where]) => where)).toEqual([
      'node 3 (ModelMergeSimple)',
      'node 4 (CheckpointSave)',
      'node 9 (ModelMergeSimple)',
      'node 10 (CheckpointSave)',
      'node 5 (CheckpointSave)',
      'node 7 (CheckpointSave)',
    ])
  })

  test('circles, links of another kind, and nodes without what they need', () => {
    const node = (class_type: string, inputs: object) => ({ class_type, inputs })
    const { missing: gaps } = importJson({
      1: node('CheckpointLoaderSimple', {}),
      2: node('ModelMergeSimple', { ratio: 1, model1: ['3', 0], model2: ['1', 0] }),
      3: node('ModelMergeSimple', { ratio: 1, model1: ['2', 0], model2: ['1', 0] }),
      4: node('ModelSave', { model: ['2', 0] }),
      5: node('CheckpointLoaderSimple', { ckpt_name: 'a.safetensors' }),
      6: node('ModelMergeSimple', { ratio: 1, model1: ['5', 0], model2: ['5', 1] }),
      7: node('ModelSave', { model: ['6', 0] }),
      8: node('ModelSave', {}),
      9: node('ModelMergeSimple', { ratio: 'much', model1: ['5', 0], model2: ['5', 0] }),
      10: node('ModelSave', { model: ['9', 0] }),
    })
    expect(gaps.map(({ where }) => where)).toEqual(
      expect.arrayContaining(['node 6 (ModelMergeSimple)', 'node 8 (ModelSave)', 'node 9 (ModelMergeSimple)']),
    )
  })
})

describe('LoRA loaders of other packs give the recipe of as many `LoraLoader` nodes', () => {
  /** LoRAs as one node each bakes them in: name, strength, strength for the text encoder. */
  type Chain = readonly (readonly [string, number, number])[]
  const off = { on: false, lora: 'off.safetensors', strength: 1, strengthTwo: null }
  const row = (lora: string, strength: number, strengthTwo: number | null = null) => ({
    on: true,
    lora,
    strength,
    strengthTwo,
  })
  const four = (i: string, name: string, strength: number) => ({ [`lora_${i}`]: name, [`strength_${i}`]: strength })
  const comfyroll = (i: number, isOn: boolean, name: string, model: number, clip: number) => ({
    [`switch_${i}`]: isOn ? 'On' : 'Off',
    [`lora_name_${i}`]: name,
    [`model_weight_${i}`]: model,
    [`clip_weight_${i}`]: clip,
  })
  const stacked = (i: number, name: string, both: number, model: number, clip: number) => ({
    [`lora_name_${i}`]: name,
    [`lora_wt_${i}`]: both,
    [`model_str_${i}`]: model,
    [`clip_str_${i}`]: clip,
  })
  const [INK, OIL, WAX] = ['ink.safetensors', 'sub/oil.safetensors', 'wax.safetensors']

  const cases: Readonly<Record<string, readonly [chain: Chain, add: (flow: TestWorkflow, a: Loaded) => string]>> = {
    'Power Lora Loader (rgthree)': [
      [
        [INK, 0.8, 0.8],
        [OIL, 0.5, 0.25],
        [WAX, 0, 0.5],
      ],
      (flow, a) =>
        flow.add(
          'Power Lora Loader (rgthree)',
          {
            PowerLoraLoaderHeaderWidget: { type: 'PowerLoraLoaderHeaderWidget' },
            lora_1: row(INK, 0.8),
            lora_2: off,
            lora_3: row(OIL, 0.5, 0.25),
            lora_4: row('None', 1),
            lora_5: row(WAX, 0, 0.5),
            add: '',
          },
          { model: a.model, clip: a.clip },
        ),
    ],
    'Lora Loader Stack (rgthree)': [
      [
        [INK, 0.8, 0.8],
        [OIL, 0.5, 0.5],
      ],
      (flow, a) =>
        flow.add(
          'Lora Loader Stack (rgthree)',
          { ...four('01', INK, 0.8), ...four('02', 'None', 1), ...four('03', OIL, 0.5), ...four('04', WAX, 0) },
          { model: a.model, clip: a.clip },
        ),
    ],
    'LoraLoader|pysssss': [
      [[INK, 0.8, 0.5]],
      (flow, a) =>
        flow.add(
          'LoraLoader|pysssss',
          { lora_name: { content: INK, image: null }, strength_model: 0.8, strength_clip: 0.5 },
          { model: a.model, clip: a.clip },
        ),
    ],
    'CR Load LoRA': [
      [[INK, 0.8, 0.5]],
      (flow, a) =>
        flow.add(
          'CR Load LoRA',
          { switch: 'On', lora_name: INK, strength_model: 0.8, strength_clip: 0.5 },
          { model: a.model, clip: a.clip },
        ),
    ],
    'CR LoRA Stack': [
      [
        [INK, 0.8, 0.5],
        [OIL, 0.25, 0],
      ],
      (flow, a) => {
        const first = flow.add('CR LoRA Stack', {
          ...comfyroll(1, true, INK, 0.8, 0.5),
          ...comfyroll(2, false, WAX, 1, 1),
          ...comfyroll(3, true, 'None', 1, 1),
        })
        const second = flow.add(
          'CR LoRA Stack',
          { ...comfyroll(1, true, OIL, 0.25, 0), ...comfyroll(2, false, WAX, 1, 1), ...comfyroll(3, false, WAX, 1, 1) },
          { lora_stack: [first, 0] },
        )
        return flow.add('CR Apply LoRA Stack', {}, { model: a.model, clip: a.clip, lora_stack: [second, 0] })
      },
    ],
    'LoRA Stacker': [
      [
        [INK, 0.8, 0.8],
        [OIL, 0.5, 0.25],
        [WAX, 0.75, 0.75],
      ],
      (flow, a) => {
        const early = flow.add('LoRA Stacker', {
          ...{ lora_name_1: WAX, lora_wt_1: 0.75 },
          ...{ lora_name_2: 'None', lora_wt_2: 1 },
          ...{ lora_name_3: 'None', lora_wt_3: 1 },
        })
        const advanced = flow.add(
          'LoRA Stacker',
          { input_mode: 'advanced', lora_count: 1, ...stacked(1, OIL, 1, 0.5, 0.25), ...stacked(2, 'no', 1, 1, 1) },
          { lora_stack: [early, 0] },
        )
        const simple = flow.add(
          'LoRA Stacker',
          { input_mode: 'simple', lora_count: 2, ...stacked(1, 'None', 1, 1, 1), ...stacked(2, INK, 0.8, 0, 0) },
          { lora_stack: [advanced, 0] },
        )
        return flow.add('CR Apply LoRA Stack', {}, { model: a.model, clip: a.clip, lora_stack: [simple, 0] })
      },
    ],
  }
  /** Steps are called by their nodes. */
  const renamed = (text: string): string => {
    const names = [...new Set(text.match(/\blora_\d+(?:-\d+)?\b/g))]
    return names.reduce((t, name, i) => t.replaceAll(new RegExp(`\\b${name}\\b(?!-)`, 'g'), `step${i}`), text)
  }

  test.each(Object.entries(cases))('%s', (_, [chain, add]) => {
    const flow = createWorkflow()
    const a = load(flow, 'a.safetensors')
    const packed = add(flow, a)
    save(flow, { model: [packed, 0], clip: [packed, 1], vae: a.vae }, 'baked')
    const plain = createWorkflow()
    let last = load(plain, 'a.safetensors')
    for (const [lora_name, strength_model, strength_clip] of chain) {
      const id = plain.add(
        'LoraLoader',
        { lora_name, strength_model, strength_clip },
        { model: last.model, clip: last.clip },
      )
      last = { ...last, model: [id, 0], clip: [id, 1] }
    }
    save(plain, last, 'baked')
    expect(renamed(recipe(flow))).toBe(renamed(recipe(plain)))
  })

  test('without a text encoder, only the model changes', () => {
    const flow = createWorkflow()
    const unet = flow.add('UNETLoader', { unet_name: 'flux.safetensors', weight_dtype: 'default' })
    const lora = flow.add('Power Lora Loader (rgthree)', { lora_1: row(INK, 0.5, 0.75) }, { model: [unet, 0] })
    flow.add('ModelSave', { filename_prefix: 'x' }, { model: [lora, 0] })
    const text = recipe(flow)
    expect(text).toContain('strength: 0.5')
    expect(text).not.toContain('clip_strength')
  })

  test.each([
    ['LoraLoaderBlockWeight //Inspire', /other strengths/],
    ['Efficient Loader', /replace it with `CheckpointLoaderSimple`/],
    ['ImpactWildcardEncode', /LoRAs that its text names/],
  ])('%s is refused with the reason', (type, why) => {
    const flow = createWorkflow()
    const a = load(flow, 'a.safetensors')
    const node = flow.add(type, {}, { model: a.model, clip: a.clip })
    save(flow, { model: [node, 0], clip: [node, 1], vae: a.vae }, 'x')
    const { missing } = importJson(flow.api())
    expect(missing[0]).toMatchObject({ where: `node 2 (${type})`, why: expect.stringMatching(why) })
  })

  test('a link that Use Everywhere makes is not in the file, which is told', () => {
    const flow = createWorkflow()
    const a = load(flow, 'a.safetensors')
    flow.add('Anything Everywhere3', {}, { model: a.model })
    flow.add('CheckpointSave', { filename_prefix: 'x' })
    expect(importJson(flow.ui()).missing[0]!.why).toMatch(/Use Everywhere/)
  })
})
