import { describe, expect, test } from 'vitest'
import { readCases, tensorOf, type GoldenCase } from '../golden/case.js'
import { bake, f32, filled, type Bake, type Tensors } from './bake.js'

const model: Tensors = {
  'net.fc.weight': filled([2, 3], 1),
  'net.fc.bias': f32([2], 1, 1),
  'net.conv.weight': filled([2, 1, 1, 3], 1),
}
const up = f32([2, 2], 1, 0, 0, 1)
const down = f32([2, 3], 1, 2, 3, 4, 5, 6)
/** What the factors make, added to ones at a scale. */
const added = (scale: number): number[] => [1, 2, 3, 4, 5, 6].map((x) => 1 + scale * x)
const fc = async (more: Omit<Bake, 'model'>): Promise<readonly number[] | undefined> => {
  const { problems, tensors } = await bake({ model, ...more })
  expect(problems.map((d) => d.message)).toEqual([])
  return tensors['net.fc.weight']
}

describe('the two factors are found as', () => {
  test.each([
    ['kohya’s', 'lora_unet_net_fc.lora_up.weight', 'lora_unet_net_fc.lora_down.weight'],
    ['kohya’s of a text encoder', 'lora_te_net_fc.lora_up.weight', 'lora_te_net_fc.lora_down.weight'],
    ['LyCORIS’', 'lycoris_net_fc.lora_up.weight', 'lycoris_net_fc.lora_down.weight'],
    ['those of old diffusers', 'unet.net.fc_lora.up.weight', 'unet.net.fc_lora.down.weight'],
    ['those of later diffusers', 'unet.net.fc.lora.up.weight', 'unet.net.fc.lora.down.weight'],
    [
      'those of diffusers’ text encoders',
      'text_encoder.net.fc.lora_linear_layer.up.weight',
      'text_encoder.net.fc.lora_linear_layer.down.weight',
    ],
    ['those of new diffusers', 'transformer.net.fc.lora_B.weight', 'transformer.net.fc.lora_A.weight'],
    [
      'PEFT’s with the name of an adapter',
      'transformer.net.fc.lora_B.default.weight',
      'transformer.net.fc.lora_A.default.weight',
    ],
    [
      'PEFT’s with the name of an adapter twice',
      'transformer.net.fc.lora_B.default.default.weight',
      'transformer.net.fc.lora_A.default.default.weight',
    ],
    ['PEFT’s without an ending', 'diffusion_model.net.fc.lora_B', 'diffusion_model.net.fc.lora_A'],
  ])('%s', async (_what, upName, downName) => {
    expect(await fc({ adapter: { [upName]: up, [downName]: down } })).toEqual(added(1))
  })
})

test('XLabs’ factors go to the streams that they number, and to the first rows of a fused tensor', async () => {
  const [h, qkv, fused] = [2, [6, 2], [14, 2]] as const
  const flux: Tensors = {
    'img_in.weight': filled([h, 4], 1),
    'double_blocks.0.img_attn.norm.key_norm.scale': f32([1], 1),
    'double_blocks.0.img_attn.qkv.weight': filled(qkv, 1),
    'double_blocks.0.txt_attn.qkv.weight': filled(qkv, 1),
    'double_blocks.0.img_attn.proj.weight': filled([h, h], 1),
    'double_blocks.0.txt_attn.proj.weight': filled([h, h], 1),
    'single_blocks.0.linear1.weight': filled(fused, 1),
    'single_blocks.0.linear2.weight': filled([h, 10], 1),
  }
  const pair = (name: string, rows: number, columns: number, value: number): Tensors => ({
    [`${name}.up.weight`]: filled([rows, 1], value),
    [`${name}.down.weight`]: filled([1, columns], 1),
  })
  const [double, single] = ['double_blocks.0.processor', 'single_blocks.0.processor']
  const adapter = {
    ...pair(`${double}.qkv_lora1`, 6, h, 1),
    ...pair(`${double}.qkv_lora2`, 6, h, 2),
    ...pair(`${double}.proj_lora1`, h, h, 3),
    ...pair(`${double}.proj_lora2`, h, h, 4),
    ...pair(`${single}.qkv_lora`, 6, h, 5),
    ...pair(`${single}.proj_lora`, h, 10, 6),
  }
  const { problems, tensors } = await bake({ model: flux, adapter })
  expect(problems).toEqual([])
  const same = (count: number, value: number): number[] => Array.from({ length: count }, () => value)
  expect(tensors).toMatchObject({
    'double_blocks.0.img_attn.qkv.weight': same(12, 2),
    'double_blocks.0.txt_attn.qkv.weight': same(12, 3),
    'double_blocks.0.img_attn.proj.weight': same(4, 4),
    'double_blocks.0.txt_attn.proj.weight': same(4, 5),
    'single_blocks.0.linear1.weight': [...same(12, 6), ...same(16, 1)],
    'single_blocks.0.linear2.weight': same(20, 7),
  })
})

describe('alpha', () => {
  const factors = { 'net.fc.lora_up.weight': up, 'net.fc.lora_down.weight': down }
  test.each([
    ['a scalar', { dtype: 'F32', shape: [], values: [1] }],
    ['a list of one', f32([1], 1)],
    ['in half precision', { dtype: 'F16', shape: [], values: [1] }],
    ['in bfloat16', { dtype: 'BF16', shape: [], values: [1] }],
    ['in double precision', { dtype: 'F64', shape: [], values: [1] }],
    ['a whole number', { dtype: 'I64', shape: [], values: [1] }],
  ] as const)('is read as %s, and divided by the rank', async (_what, alpha) => {
    expect(await fc({ adapter: { ...factors, 'net.fc.alpha': alpha } })).toEqual(added(0.5))
  })

  test('alone means nothing', async () => {
    expect(await fc({ adapter: { ...factors, 'net.conv.alpha': f32([], 1) } })).toEqual(added(1))
  })
})

describe('strength', () => {
  const text: Tensors = { 'lora_te_net_fc.lora_up.weight': up, 'lora_te_net_fc.lora_down.weight': down }
  const unet: Tensors = { 'lora_unet_net_fc.lora_up.weight': up, 'lora_unet_net_fc.lora_down.weight': down }
  test.each([
    ['is 1 unless given', text, {}, 1],
    ['scales what is added', unet, { strength: 0.5 }, 0.5],
    ['holds for text encoders too', text, { strength: 0.5 }, 0.5],
    ['gives way to `clip_strength` in text encoders', text, { strength: 0.5, clip_strength: 2 }, 2],
    ['differs by layer', unet, { strength: { default: 3, 'net.fc': -1 } }, -1],
  ])('%s', async (_what, adapter, params, scale) => {
    expect(await fc({ adapter, params })).toEqual(added(scale))
  })

  test('does not give way to `clip_strength` elsewhere, which is told', async () => {
    const { problems, tensors } = await bake({ model, adapter: unet, params: { strength: 0.5, clip_strength: 2 } })
    expect(problems.map(({ code }) => code)).toEqual(['clip-strength-unused'])
    expect(tensors['net.fc.weight']).toEqual(added(0.5))
  })

  test('of 0 copies the model, and tensors without a patch are copied too', async () => {
    const { plan, tensors } = await bake({ model, adapter: unet, params: { strength: 0 } })
    expect(plan!.totals).toMatchObject({ copied: 3, computed: 0 })
    expect(tensors['net.fc.weight']).toEqual([1, 1, 1, 1, 1, 1])
    expect((await bake({ model, adapter: unet })).plan!.totals).toMatchObject({ copied: 2, computed: 1 })
  })

  test('reaches only the layers that the step is limited to', async () => {
    const both = { ...unet, 'net.conv.diff': filled([2, 1, 1, 3], 1) }
    const { tensors, plan } = await bake({ model, adapter: both, params: { layers: '**.conv' } })
    expect([tensors['net.fc.weight'], tensors['net.conv.weight']]).toEqual([
      [1, 1, 1, 1, 1, 1],
      [2, 2, 2, 2, 2, 2],
    ])
    expect(plan!.steps[0]!.counts).toEqual({ merged: 1 })
  })
})

describe('PEFT', () => {
  const adapter = { 'base_model.model.net.fc.lora_A.weight': down, 'base_model.model.net.fc.lora_B.weight': up }
  test.each([
    ['scales by alpha / rank', { r: 2, lora_alpha: 8 }, 4],
    ['scales by alpha / √rank when it is rank-stabilised', { r: 2, lora_alpha: 8, use_rslora: true }, 8 / Math.SQRT2],
    ['takes the alpha of a pattern', { r: 2, lora_alpha: 8, alpha_pattern: { fc: 2 } }, 1],
    ['takes the rank of a pattern', { r: 16, lora_alpha: 8, rank_pattern: { '.*\\.fc': 2 } }, 4],
    [
      'reads a pattern that is no expression as a name',
      { r: 2, lora_alpha: 8, alpha_pattern: { '(': 1, 'net.fc': 4 } },
      2,
    ],
    [
      'allows its empty settings',
      { r: 2, lora_alpha: 2, peft_type: 'LORA', rank_pattern: null, layer_replication: null, target_parameters: [] },
      1,
    ],
  ])('%s', async (_what, config, scale) => {
    const found = await fc({ adapter, config })
    found!.forEach((x, i) => expect(x).toBeCloseTo(added(scale)[i]!, 5))
  })

  test.each([
    ['diffusers’ by component', { 'unet.r': 2, 'unet.lora_alpha': 4 }],
    ['a whole config', { r: 2, lora_alpha: 4 }],
  ])('reads a config in the header: %s', async (_what, config) => {
    const metadata = { lora_adapter_metadata: JSON.stringify(config) }
    expect(
      await fc({ adapter: { 'unet.net.fc.lora_A.weight': down, 'unet.net.fc.lora_B.weight': up }, metadata }),
    ).toEqual(added(2))
  })

  test('adds a bias of the second factor, scaled alike', async () => {
    const { tensors } = await bake({
      model,
      adapter: { ...adapter, 'base_model.model.net.fc.lora_B.bias': f32([2], 1, -1) },
      config: { r: 2, lora_alpha: 4 },
    })
    expect(tensors['net.fc.bias']).toEqual([3, -1])
  })

  const cases: readonly GoldenCase[] = readCases().filter((c) => c.op === 'lora_rs')
  test.each(cases.map((c) => [c.id, c] as const))('gives the reference numbers of %s', async (_id, c) => {
    const stored = (role: string) => ({
      dtype: 'F32' as const,
      shape: tensorOf(c.inputs[role]).shape,
      values: tensorOf(c.inputs[role]).values,
    })
    const config = { r: stored('down').shape[0], lora_alpha: c.params['alpha'], use_rslora: true }
    const { tensors } = await bake({
      model: { 'net.weight': stored('W') },
      adapter: {
        'base_model.model.net.lora_A.weight': stored('down'),
        'base_model.model.net.lora_B.weight': stored('up'),
      },
      config,
    })
    tensorOf(c.expected['result']).values.forEach((x, i) =>
      expect(Math.abs(tensors['net.weight']![i]! - x)).toBeLessThanOrEqual(2e-6 + 2e-5 * Math.abs(x)),
    )
  })
})

test('differences are added as they are, to weights and biases, under both names', async () => {
  const { tensors } = await bake({
    model,
    adapter: { 'net.fc.diff': filled([2, 3], 0.5), 'net.fc.diff_b': f32([2], 1, 2) },
    params: { strength: 2 },
  })
  expect([tensors['net.fc.weight'], tensors['net.fc.bias']]).toEqual([
    [2, 2, 2, 2, 2, 2],
    [3, 5],
  ])
  const norm = await bake({ model, adapter: { 'net.fc.w_norm': filled([2, 3], 1), 'net.fc.b_norm': f32([2], 1, 1) } })
  expect([norm.tensors['net.fc.weight'], norm.tensors['net.fc.bias']]).toEqual([
    [2, 2, 2, 2, 2, 2],
    [2, 2],
  ])
})

test('a model in half precision is changed in float32 and rounded once', async () => {
  const half: Tensors = { 'net.weight': { dtype: 'F16', shape: [1, 1], values: [2048] } }
  const { tensors } = await bake({
    model: half,
    adapter: { 'net.lora_up.weight': f32([1, 2], 1, 1), 'net.lora_down.weight': f32([2, 1], 0.75, 0.75) },
  })
  expect(tensors['net.weight']).toEqual([2050])
})

test('the plan lists the adapter among what is read, and counts what it leaves out', async () => {
  const adapter = {
    'net.fc.lora_up.weight': up,
    'net.fc.lora_down.weight': down,
    'gone.lora_up.weight': up,
    'gone.lora_down.weight': down,
    stray: up,
  }
  const { plan, tensors } = await bake({ model, adapter, params: { unmatched: 'ignore' } })
  expect(plan!.models.map(({ name, architecture }) => [name, architecture])).toEqual([
    ['base', undefined],
    ['lora', 'adapter'],
  ])
  expect(plan!.steps[0]).toMatchObject({ counts: { merged: 1, unmatched: 3 }, uses: ['base', 'lora'] })
  expect(tensors['net.fc.weight']).toEqual(added(1))
})

describe('weights that an adapter pads with zeros first', () => {
  const square: Tensors = { 'net.fc.weight': f32([2, 2], 1, 2, 3, 4), 'net.other.weight': f32([1, 2], 7, 8) }
  const wider = (...shape: readonly number[]): Tensors => ({
    'net.fc.lora_up.weight': f32([3, 1], 1, 0, 2),
    'net.fc.lora_down.weight': f32([1, 3], 1, 1, 10),
    'net.fc.reshape_weight': { dtype: 'I64', shape: [shape.length], values: shape },
  })
  const other: Tensors = {
    'net.other.lora_up.weight': f32([1, 1], 1),
    'net.other.lora_down.weight': f32([1, 2], 1, 1),
  }

  test('have the shape that ComfyUI’s `reshape_weight` says', async () => {
    const { problems, tensors } = await bake({
      model: square,
      adapter: { ...wider(3, 3), ...other },
      params: { strength: 0.5 },
    })
    expect(problems).toEqual([])
    expect(tensors).toEqual({ 'net.fc.weight': [1.5, 2.5, 5, 3, 4, 0, 1, 1, 10], 'net.other.weight': [7.5, 8.5] })
  })

  test('stay as they are where the step leaves them out, or where they have that shape', async () => {
    const adapter = { ...wider(3, 3), ...other }
    const part = await bake({ model: square, adapter, params: { layers: '*.other.*' } })
    expect(part.problems).toEqual([])
    expect(part.tensors).toEqual({ 'net.fc.weight': [1, 2, 3, 4], 'net.other.weight': [8, 9] })
    const model = { ...square, 'net.fc.weight': filled([3, 3], 1) }
    expect((await bake({ model, adapter })).tensors['net.fc.weight']).toEqual([2, 2, 11, 1, 1, 1, 3, 3, 21])
  })

  test.each([
    ['a weight that is greater', wider(3, 3), filled([4, 3], 1), 'adapter-shape'],
    ['factors of another shape', wider(3, 4), filled([2, 2], 1), 'adapter-shape'],
    ['other axes', wider(3, 3, 1), filled([2, 2], 1), 'adapter-shape'],
    ['no numbers', { ...wider(), ...other }, filled([2, 2], 1), 'adapter-shape'],
  ])('are refused for %s', async (_what, adapter, weight, code) => {
    const { problems } = await bake({ model: { ...square, 'net.fc.weight': weight }, adapter })
    expect(problems.map((d) => d.code)).toEqual([code])
  })

  test('are refused without factors', async () => {
    const { problems } = await bake({
      model: square,
      adapter: { ...other, 'net.fc.reshape_weight': { dtype: 'I64', shape: [2], values: [3, 3] } },
    })
    expect(problems.map((d) => d.code)).toEqual(['factor-missing'])
  })

  test('are the inputs of Flux for a control LoRA of Black Forest Labs, which has no alpha and trains norms', async () => {
    const norm = 'single_blocks.0.norm.key_norm.scale'
    const flux: Tensors = {
      'img_in.weight': f32([2, 1], 1, 2),
      'img_in.bias': f32([2], 3, 4),
      'double_blocks.0.img_attn.norm.key_norm.scale': filled([1], 1),
      [norm]: filled([1], 1),
    }
    const control: Tensors = {
      'img_in.lora_A.weight': f32([1, 2], 1, 10),
      'img_in.lora_B.weight': f32([2, 1], 1, 2),
      'img_in.lora_B.bias': f32([2], 5, 6),
      [norm]: filled([1], 9),
    }
    const { problems, tensors } = await bake({ model: flux, adapter: control })
    expect(problems).toEqual([])
    expect(tensors).toMatchObject({ 'img_in.weight': [2, 10, 4, 20], 'img_in.bias': [8, 10], [norm]: [9] })
    const { [norm]: _, ...plain } = control
    expect((await bake({ model: flux, adapter: plain })).problems.map((d) => d.code)).toEqual(['adapter-shape'])
  })
})
