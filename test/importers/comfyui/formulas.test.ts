import { describe, expect, test } from 'vitest'
import { evaluateRecipe } from '../../support/evaluate.js'
import type { PlainFile, PlainRecipe } from '../../support/recipe-run.js'
import { createWorkflow, recipeOf, type Output, type TestWorkflow } from '../../support/workflows.js'

/** A number of a checkpoint by the name of its tensor; the numbers of a result by hand are made of them. */
type Number = (name: string) => number

const NAMES = [
  ...['input_blocks.0.0.weight', 'input_blocks.4.1.transformer_blocks.0.attn2.to_k.weight', 'out.2.weight'],
  ...['time_embed.0.weight', 'middle_block.1.proj_in.weight', 'output_blocks.1.0.in_layers.2.weight'],
  ...Array.from({ length: 12 }, (_, i) => `input_blocks.${i}.0.in_layers.2.bias`),
  ...Array.from({ length: 12 }, (_, i) => `output_blocks.${i}.0.in_layers.2.bias`),
  ...[0, 1, 2].map((i) => `middle_block.${i}.in_layers.2.bias`),
  // Of no block: what nodes do with it depends on the node.
  'extra.weight',
].map((name) => `model.diffusion_model.${name}`)
const CLIP = [
  'cond_stage_model.transformer.text_model.encoder.layers.0.mlp.fc1.weight',
  'cond_stage_model.transformer.text_model.final_layer_norm.weight',
]
const VAE = ['first_stage_model.decoder.conv_in.weight', 'first_stage_model.encoder.conv_in.weight']
const shapeOf = (name: string): readonly number[] =>
  name.endsWith('input_blocks.0.0.weight') ? [320] : name.endsWith('attn2.to_k.weight') ? [1, 768] : [2]

const numbers =
  (seed: number): Number =>
  (name) => {
    let hash = seed
    for (const c of name) hash = (hash * 31 + c.charCodeAt(0)) % 9973
    return hash / 1024
  }
const fileOf = (number: Number, names: readonly string[]): PlainFile =>
  Object.fromEntries(
    names.map((name) => [
      name,
      {
        dtype: 'f32',
        shape: shapeOf(name),
        values: Array.from({ length: shapeOf(name).reduce((n, d) => n * d, 1) }, () => number(name)),
      },
    ]),
  )

const [A, B, C] = [numbers(1), numbers(77), numbers(503)]
const FILES: Readonly<Record<string, PlainFile>> = {
  'models/checkpoints/a.safetensors': fileOf(A, [...NAMES, ...CLIP, ...VAE]),
  'models/checkpoints/b.safetensors': fileOf(B, [...NAMES, ...CLIP, ...VAE]),
  'models/checkpoints/c.safetensors': fileOf(C, [...NAMES, ...CLIP, ...VAE]),
  'models/vae/vae.safetensors': fileOf(
    (name) => C(`first_stage_model.${name}`),
    VAE.map((name) => name.replace('first_stage_model.', '')),
  ),
}

const partOf = (name: string): 'model' | 'clip' | 'vae' =>
  CLIP.includes(name) ? 'clip' : VAE.includes(name) ? 'vae' : 'model'

interface Loaded {
  readonly model: Output
  readonly clip: Output
  readonly vae: Output
}

const start = (): { readonly flow: TestWorkflow; readonly a: Loaded; readonly b: Loaded; readonly c: Loaded } => {
  const flow = createWorkflow()
  const [a, b, c] = ['a', 'b', 'c'].map((name): Loaded => {
    const id = flow.add('CheckpointLoaderSimple', { ckpt_name: `${name}.safetensors` })
    return { model: [id, 0], clip: [id, 1], vae: [id, 2] }
  })
  return { flow, a: a!, b: b!, c: c! }
}

/** The tensors that a workflow saves must be what formulas give for its three parts. */
const expectNumbers = (
  flow: TestWorkflow,
  saved: Loaded,
  parts: Readonly<Record<'model' | 'clip' | 'vae', (name: string) => number>>,
): PlainRecipe => {
  flow.add('CheckpointSave', { filename_prefix: 'out' }, { ...saved })
  const recipe = recipeOf(flow.api())
  const result = evaluateRecipe(recipe, FILES)
  expect(result.diagnostics.filter((d) => d.severity === 'error').map((d) => d.message)).toEqual([])
  const found = result.type === 'ok' ? Object.values(result.value)[0]! : {}
  expect(Object.keys(found).sort()).toEqual([...NAMES, ...CLIP, ...VAE].sort())
  for (const [name, { values }] of Object.entries(found)) {
    const expected = parts[partOf(name)](name)
    for (const x of values)
      expect([name, Math.abs(x - expected) < 1e-5 * Math.max(1, Math.abs(expected))]).toEqual([name, true])
  }
  return recipe
}

const mix =
  (keep: number, x: Number, y: Number): Number =>
  (name) =>
    keep * x(name) + (1 - keep) * y(name)

describe('an imported recipe gives the numbers of the formulas for', () => {
  test('lanes that are merged apart: nodes on one touch no other', () => {
    const { flow, a, b, c } = start()
    const model = flow.add('ModelMergeSimple', { ratio: 0.25 }, { model1: a.model, model2: b.model })
    const clip = flow.add('CLIPMergeSimple', { ratio: 0.75 }, { clip1: b.clip, clip2: c.clip })
    expectNumbers(
      flow,
      { model: [model, 0], clip: [clip, 0], vae: c.vae },
      { model: mix(0.25, A, B), clip: mix(0.75, B, C), vae: C },
    )
  })

  test('one step for both lanes, and chains of merges', () => {
    const { flow, a, b, c } = start()
    const model = flow.add('ModelMergeSimple', { ratio: 0.3 }, { model1: a.model, model2: b.model })
    const clip = flow.add('CLIPMergeSimple', { ratio: 0.3 }, { clip1: a.clip, clip2: b.clip })
    const more = flow.add('ModelMergeSimple', { ratio: 0.6 }, { model1: c.model, model2: [model, 0] })
    const recipe = expectNumbers(
      flow,
      { model: [more, 0], clip: [clip, 0], vae: b.vae },
      { model: mix(0.6, C, mix(0.3, A, B)), clip: mix(0.3, A, B), vae: B },
    )
    expect(Object.values(recipe.steps).map((s) => s['op'])).toContain('merge.blend')
  })

  test('differences added in both orders, with and without a factor', () => {
    for (const [factor, first] of [
      [1, true],
      [1, false],
      [0.5, true],
      [0.5, false],
    ] as const) {
      const { flow, a, b, c } = start()
      const difference = flow.add('ModelMergeSubtract', { multiplier: factor }, { model1: b.model, model2: c.model })
      const [model1, model2]: readonly Output[] = first ? [[difference, 0], a.model] : [a.model, [difference, 0]]
      const sum = flow.add('ModelMergeAdd', {}, { model1: model1!, model2: model2! })
      const clipDifference = flow.add('CLIPMergeSubtract', { multiplier: factor }, { clip1: c.clip, clip2: a.clip })
      const clip = flow.add('CLIPMergeAdd', {}, { clip1: b.clip, clip2: [clipDifference, 0] })
      expectNumbers(
        flow,
        { ...a, model: [sum, 0], clip: [clip, 0] },
        {
          model: (name) => A(name) + factor * (B(name) - C(name)),
          clip: (name) => B(name) + factor * (C(name) - A(name)),
          vae: A,
        },
      )
    }
  })

  test('differences of differences', () => {
    const { flow, a, b, c } = start()
    const one = flow.add('ModelMergeSubtract', { multiplier: 0.5 }, { model1: a.model, model2: b.model })
    const two = flow.add('ModelMergeSubtract', { multiplier: 2 }, { model1: b.model, model2: c.model })
    const both = flow.add('ModelMergeAdd', {}, { model1: [one, 0], model2: [two, 0] })
    const sum = flow.add('ModelMergeAdd', {}, { model1: [both, 0], model2: c.model })
    expectNumbers(
      flow,
      { ...c, model: [sum, 0] },
      { model: (n) => C(n) + 0.5 * (A(n) - B(n)) + 2 * (B(n) - C(n)), clip: C, vae: C },
    )
  })

  test('parts of a U-Net: output blocks and the last layers take `out`, all else `input`', () => {
    const { flow, a, b } = start()
    const model = flow.add(
      'ModelMergeBlocks',
      { input: 0.2, middle: 0.5, out: 0.9 },
      { model1: a.model, model2: b.model },
    )
    const keep = (name: string): number =>
      /\.(output_blocks|out)\./.test(name) ? 0.9 : name.includes('.middle_block.') ? 0.5 : 0.2
    expectNumbers(flow, { ...a, model: [model, 0] }, { model: (name) => mix(keep(name), A, B)(name), clip: A, vae: A })
  })

  test('blocks: the longest prefix of a name decides, never a shorter one', () => {
    const { flow, a, b } = start()
    const names = [
      'time_embed.',
      'label_emb.',
      ...Array.from({ length: 12 }, (_, i) => `input_blocks.${i}.`),
      ...[0, 1, 2].map((i) => `middle_block.${i}.`),
      ...Array.from({ length: 12 }, (_, i) => `output_blocks.${i}.`),
      'out.',
    ]
    const ratios = Object.fromEntries(names.map((name, i) => [name, Math.round((100 * i) / names.length) / 100]))
    const model = flow.add('ModelMergeSD1', ratios, { model1: a.model, model2: b.model })
    const keep = (name: string): number =>
      ratios[names.find((prefix) => name.replace('model.diffusion_model.', '').startsWith(prefix)) ?? 'time_embed.']!
    expectNumbers(flow, { ...a, model: [model, 0] }, { model: (name) => mix(keep(name), A, B)(name), clip: A, vae: A })
  })

  test('a sorted API file, where the first key has another number: what no prefix covers takes it', () => {
    const { flow, a, b } = start()
    const inputs = { 'input_blocks.0.': 0.1, 'middle_block.1.': 0.4, 'time_embed.': 0.8 }
    const rest = Object.fromEntries(
      [
        ...Array.from({ length: 11 }, (_, i) => `input_blocks.${i + 1}.`),
        'middle_block.0.',
        'middle_block.2.',
        ...Array.from({ length: 12 }, (_, i) => `output_blocks.${i}.`),
        'out.',
        'label_emb.',
      ].map((name) => [name, 0.6]),
    )
    const model = flow.add('ModelMergeSD1', { ...inputs, ...rest }, { model1: a.model, model2: b.model })
    const keep = (name: string): number =>
      Object.entries({ ...inputs, ...rest }).find(([prefix]) =>
        name.replace('model.diffusion_model.', '').startsWith(prefix),
      )?.[1] ?? 0.1
    expectNumbers(flow, { ...a, model: [model, 0] }, { model: (name) => mix(keep(name), A, B)(name), clip: A, vae: A })
  })

  test('a VAE in a file of its own', () => {
    const { flow, a, b } = start()
    const vae = flow.add('VAELoader', { vae_name: 'vae.safetensors' })
    const model = flow.add('ModelMergeSimple', { ratio: 0.5 }, { model1: a.model, model2: b.model })
    expectNumbers(flow, { model: [model, 0], clip: b.clip, vae: [vae, 0] }, { model: mix(0.5, A, B), clip: B, vae: C })
  })

  test('DARE on the text encoder beside a merge of the model', () => {
    const { flow, a, b } = start()
    const clip = flow.add(
      'DM_DareClipMerger',
      { ties: 'off', rescale: 'off', ratio: 0.25, drop_rate: 0, seed: 4, method: 'comfy', iterations: 1 },
      { clip_a: a.clip, clip_b: b.clip },
    )
    const model = flow.add(
      'DM_BlockModelMerger',
      { time: 0.5, label: 0.5, input: 0.5, middle: 0.25, output: 0.5, out: 0.5, method: 'comfy' },
      { model_a: b.model, model_b: a.model },
    )
    expectNumbers(
      flow,
      { model: [model, 0], clip: [clip, 0], vae: a.vae },
      {
        model: (name) =>
          name.includes('extra') ? B(name) : mix(name.includes('.middle_block.') ? 0.25 : 0.5, B, A)(name),
        clip: mix(0.25, A, B),
        vae: A,
      },
    )
  })

  test.each<readonly [method: string, normalise: string, factor: number, shares: readonly (readonly number[])[]]>([
    // The ratios 0.5, 0.25 and 0.5 over their sum are 0.4, 0.2 and 0.4; those of the text encoder, 1, 0.5 and 0.125 over 1.625.
    [
      'Recursive',
      'Yes',
      1,
      [
        [0.2, 0.31],
        [0.4, 0.08],
      ],
    ],
    [
      'Recursive',
      'No',
      1,
      [
        [0.25, 0.5],
        [0.5, 0.125],
      ],
    ],
    [
      'Weighted',
      'No',
      0.5,
      [
        [0.625, 0.75],
        [0.5, 0.125],
      ],
    ],
    [
      'Weighted',
      'Yes',
      0.5,
      [
        [0.6, 0.655],
        [0.4, 0.08],
      ],
    ],
  ])('a list of checkpoints of Comfyroll: %s, normalised %s, by %d', (method, normalise, factor, shares) => {
    const flow = createWorkflow()
    const row = (i: number, name: string, ratio: number, clipRatio: number, switched = 'On') => ({
      [`switch_${i}`]: switched,
      [`ckpt_name${i}`]: name,
      [`model_ratio${i}`]: ratio,
      [`clip_ratio${i}`]: clipRatio,
    })
    const none = (i: number) => row(i, 'None', 1, 1)
    const first = flow.add('CR Model Merge Stack', {
      ...row(1, 'c.safetensors', 9, 9, 'Off'),
      ...row(2, 'a.safetensors', 0.5, 1),
      ...none(3),
    })
    const second = flow.add(
      'CR Model Merge Stack',
      { ...row(1, 'b.safetensors', 0.25, 0.5), ...none(2), ...row(3, 'c.safetensors', 0.5, 0.125) },
      { model_stack: [first, 0] },
    )
    const merged = flow.add(
      'CR Apply Model Merge',
      { merge_method: method, normalise_ratios: normalise, weight_factor: factor },
      { model_stack: [second, 0] },
    )
    const vae = flow.add('CheckpointLoaderSimple', { ckpt_name: 'a.safetensors' })
    const fold = (part: number): Number => mix(1 - shares[1]![part]!, mix(1 - shares[0]![part]!, A, B), C)
    expectNumbers(
      flow,
      { model: [merged, 0], clip: [merged, 1], vae: [vae, 2] },
      { model: fold(0), clip: fold(1), vae: A },
    )
  })
})
