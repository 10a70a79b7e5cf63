import { expect, test } from 'vitest'
import { sizeOf } from '#src/tensor/info.js'
import { bake, f32, filled, type Tensors } from './bake.js'
import { createDice } from './dice.js'

/** The width of a small Flux, whose feed-forward layers are four times as wide. */
const H = 4
const dice = createDice(7)
const numbers = (shape: readonly number[]) =>
  f32(shape, ...Array.from({ length: sizeOf(shape) }, () => (dice(63) - 31.5) / 16))

/** The fused modules of a small Flux, and those that diffusers has in place of each, in the order of their rows. */
const FUSED: Readonly<Record<string, readonly (readonly [path: string, rows: number])[]>> = {
  'double_blocks.0.img_attn.qkv': ['to_q', 'to_k', 'to_v'].map((x) => [`transformer_blocks.0.attn.${x}`, H]),
  'double_blocks.0.txt_attn.qkv': ['q', 'k', 'v'].map((x) => [`transformer_blocks.0.attn.add_${x}_proj`, H]),
  'single_blocks.0.linear1': [
    ...['to_q', 'to_k', 'to_v'].map((x) => [`single_transformer_blocks.0.attn.${x}`, H] as const),
    ['single_transformer_blocks.0.proj_mlp', 4 * H],
  ],
}
const heightOf = (module: string): number => FUSED[module]!.reduce((n, [, rows]) => n + rows, 0)

/** What else tells Flux, and a module of each form that is no part of another. */
const ORIGINAL = { 'img_in.weight': filled([H, 2], 1), 'single_blocks.0.linear2.weight': filled([H, 5 * H], 1) }
const DIFFUSERS = {
  'x_embedder.weight': filled([H, 2], 1),
  'single_transformer_blocks.0.proj_out.weight': filled([H, 5 * H], 1),
}

/** Both forms of one model. */
const models = (): readonly [original: Tensors, diffusers: Tensors] => {
  const fused = Object.fromEntries(
    Object.keys(FUSED).flatMap((module) => [
      [`${module}.weight`, numbers([heightOf(module), H])],
      [`${module}.bias`, numbers([heightOf(module)])],
    ]),
  )
  const split = Object.entries(FUSED).flatMap(([module, parts]) => {
    let first = 0
    return parts.flatMap(([path, rows]) => {
      const cut = (name: string, width: number) =>
        (fused[name]!.values as readonly number[]).slice(first * width, (first + rows) * width)
      const found = [
        [`${path}.weight`, f32([rows, H], ...cut(`${module}.weight`, H))] as const,
        [`${path}.bias`, f32([rows], ...cut(`${module}.bias`, 1))] as const,
      ]
      first += rows
      return found
    })
  })
  return [
    { ...ORIGINAL, ...fused },
    { ...DIFFUSERS, ...Object.fromEntries(split) },
  ]
}

/** Tensors of one module by their endings, for a module of so many rows. */
type Kind = (rows: number) => Readonly<Record<string, readonly number[]>>

const KINDS: Readonly<Record<string, Kind>> = {
  LoRA: (rows) => ({ 'lora_up.weight': [rows, 2], 'lora_down.weight': [2, H] }),
  'LoRA with DoRA': (rows) => ({
    'lora_up.weight': [rows, 2],
    'lora_down.weight': [2, H],
    dora_scale: [rows, 1],
  }),
  LoHa: (rows) => ({ hada_w1_a: [rows, 1], hada_w1_b: [1, H], hada_w2_a: [rows, 1], hada_w2_b: [1, H] }),
  // The blocks of neither matrix end where a part does.
  LoKr: (rows) => ({ lokr_w1: [2, 2], lokr_w2: [rows / 2, H / 2] }),
  'LoKr of one column': (rows) => ({ lokr_w1_a: [rows, 1], lokr_w1_b: [1, H], lokr_w2: [1, 1] }),
  // Blocks that reach over the ends of parts.
  OFT: (rows) => ({ oft_blocks: [2, rows / 2, rows / 2], rescale: [rows, 1] }),
  BOFT: (rows) => ({ oft_blocks: [2, 2, rows / 2, rows / 2] }),
  'LoRA with lengths of columns': (rows) => ({
    'lora_up.weight': [rows, 2],
    'lora_down.weight': [2, H],
    dora_scale: [1, H],
  }),
  differences: (rows) => ({ diff: [rows, H], diff_b: [rows] }),
  'whole tensors': (rows) => ({ set_weight: [rows, H] }),
  '(IA)³ of outputs': (rows) => ({ weight: [rows], on_input: [] }),
  GLoRA: (rows) => ({ 'a1.weight': [H, 1], 'a2.weight': [1, H], 'b1.weight': [rows, 1], 'b2.weight': [1, H] }),
}

/** What a trainer that keeps the original names calls a module; XLabs' names the projections of attention alone. */
const SPELLINGS: Readonly<Record<string, (module: string) => string>> = {
  'lora_unet_…': (module) => `lora_unet_${module.replaceAll('.', '_')}`,
  'transformer.…': (module) => `transformer.${module}`,
  'diffusion_model.…': (module) => `diffusion_model.${module}`,
}

test.each(Object.entries(KINDS))(
  '%s for fused layers of Flux changes both forms of the model alike',
  async (_, kind) => {
    for (const spell of Object.values(SPELLINGS).slice(0, kind === KINDS['LoRA'] ? undefined : 1)) {
      const adapter = Object.fromEntries(
        Object.keys(FUSED).flatMap((module) =>
          Object.entries(kind(heightOf(module))).map(([ending, shape]) => [
            `${spell(module)}.${ending}`,
            ending === 'on_input' ? { dtype: 'BOOL' as const, shape: [], values: [0] } : numbers(shape),
          ]),
        ),
      )
      const [original, diffusers] = models()
      const [fused, split] = [await bake({ model: original, adapter }), await bake({ model: diffusers, adapter })]
      expect(fused.problems).toEqual([])
      expect(split.problems).toEqual([])
      for (const [module, parts] of Object.entries(FUSED))
        for (const part of ['weight', 'bias']) {
          const whole = parts.flatMap(([path]) => split.tensors[`${path}.${part}`]!)
          expect(whole, `${module}.${part}`).toEqual(fused.tensors[`${module}.${part}`])
        }
      for (const [module, parts] of Object.entries(FUSED))
        for (const [path] of parts)
          expect(split.tensors[`${path}.weight`], module).not.toEqual(diffusers[`${path}.weight`]!.values)
    }
  },
)

test('XLabs’ names for the projections of attention leave the rest of a fused layer as it is, in both forms', async () => {
  const [original, diffusers] = models()
  const adapter = {
    'single_blocks.0.processor.qkv_lora.up.weight': numbers([3 * H, 1]),
    'single_blocks.0.processor.qkv_lora.down.weight': numbers([1, H]),
    'double_blocks.0.processor.qkv_lora1.up.weight': numbers([3 * H, 1]),
    'double_blocks.0.processor.qkv_lora1.down.weight': numbers([1, H]),
  }
  const [fused, split] = [await bake({ model: original, adapter }), await bake({ model: diffusers, adapter })]
  expect([...fused.problems, ...split.problems]).toEqual([])
  for (const [module, parts] of Object.entries(FUSED))
    expect(parts.flatMap(([path]) => split.tensors[`${path}.weight`]!)).toEqual(fused.tensors[`${module}.weight`])
  const mlp = 'single_transformer_blocks.0.proj_mlp.weight'
  expect(split.tensors[mlp]).toEqual((await bake({ model: diffusers, adapter, params: { strength: 0 } })).tensors[mlp])
})

test('tensors of single parts replace their rows of a fused layer, biases and halves that are exchanged too', async () => {
  const [original] = models()
  const adapter = {
    'transformer.transformer_blocks.0.attn.to_k.weight': numbers([H, H]),
    'transformer.transformer_blocks.0.attn.to_v.bias': numbers([H]),
    'transformer.norm_out.linear.set_weight': numbers([2 * H, H]),
  }
  const swapped = 'final_layer.adaLN_modulation.1.weight'
  const { problems, tensors } = await bake({ model: { ...original, [swapped]: numbers([2 * H, H]) }, adapter })
  expect(problems).toEqual([])
  const before = (name: string): readonly number[] => original[name]!.values as readonly number[]
  const [qkv, bias] = ['double_blocks.0.img_attn.qkv.weight', 'double_blocks.0.img_attn.qkv.bias']
  expect(tensors[qkv]).toEqual(
    before(qkv).toSpliced(H * H, H * H, ...(Object.values(adapter)[0]!.values as readonly number[])),
  )
  expect(tensors[bias]).toEqual(
    before(bias).toSpliced(2 * H, H, ...(Object.values(adapter)[1]!.values as readonly number[])),
  )
  const trained = Object.values(adapter)[2]!.values as readonly number[]
  expect(tensors[swapped]).toEqual([...trained.slice(H * H), ...trained.slice(0, H * H)])
})

test('a config that says that several layers are stored transposed, which have one name in the adapter, is refused', async () => {
  const [, model] = models()
  const adapter = {
    'base_model.model.double_blocks.0.img_attn.qkv.lora_A.weight': numbers([2, H]),
    'base_model.model.double_blocks.0.img_attn.qkv.lora_B.weight': numbers([3 * H, 2]),
  }
  const config = { peft_type: 'LORA', r: 2, lora_alpha: 2, fan_in_fan_out: true }
  expect((await bake({ model, adapter, config })).problems.map(({ code }) => code)).toEqual(['adapter-rearranged'])
})

test('several layers of different widths, which are to be rotated as one, are refused', async () => {
  const [, model] = models()
  const adapter = { 'lora_unet_double_blocks_0_img_attn_qkv.oft_blocks': numbers([3, H, H]) }
  const uneven = { ...model, 'transformer_blocks.0.attn.to_k.weight': numbers([H, H + 1]) }
  const { problems } = await bake({ model: uneven, adapter })
  expect(problems.map(({ code }) => code)).toEqual(['adapter-rearranged'])
})

test('a layer that is replaced while others beside it are rotated with it is refused', async () => {
  const [, model] = models()
  const adapter = {
    'lora_unet_double_blocks_0_img_attn_qkv.oft_blocks': numbers([3, H, H]),
    'transformer.transformer_blocks.0.attn.to_k.base_layer.weight': numbers([H, H]),
  }
  expect((await bake({ model, adapter })).problems.map(({ code }) => code)).toEqual(['two-adapters'])
})

test('LightX2V’s differences of Wan’s modulations are added to them, in both forms', async () => {
  const adapter = {
    'diffusion_model.blocks.0.diff_m': numbers([1, 6, 2]),
    'diffusion_model.head.diff_m': numbers([1, 2, 2]),
  }
  const [block, head] = [numbers([1, 6, 2]), numbers([1, 2, 2])]
  const one = filled([2, 2], 1)
  const original = await bake({
    model: {
      'blocks.0.self_attn.q.weight': one,
      'blocks.0.cross_attn.q.weight': one,
      'text_embedding.0.weight': one,
      'blocks.0.modulation': block,
      'head.modulation': head,
    },
    adapter,
  })
  const diffusers = await bake({
    model: {
      'blocks.0.attn1.to_q.weight': one,
      'blocks.0.attn2.to_q.weight': one,
      'condition_embedder.text_embedder.linear_1.weight': one,
      'blocks.0.scale_shift_table': block,
      scale_shift_table: head,
    },
    adapter,
  })
  expect([...original.problems, ...diffusers.problems]).toEqual([])
  const sum = (x: typeof block, name: string): readonly number[] =>
    (x.values as readonly number[]).map((v, i) => v + (adapter as Tensors)[name]!.values[i as never])
  const [inBlock, inHead] = [sum(block, 'diffusion_model.blocks.0.diff_m'), sum(head, 'diffusion_model.head.diff_m')]
  expect(original.tensors['blocks.0.modulation']).toEqual(inBlock)
  expect(original.tensors['head.modulation']).toEqual(inHead)
  expect(diffusers.tensors['blocks.0.scale_shift_table']).toEqual(inBlock)
  expect(diffusers.tensors['scale_shift_table']).toEqual(inHead)
})
