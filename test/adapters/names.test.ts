import { describe, expect, test } from 'vitest'
import { adapterNames, type AdapterNames } from '#src/architectures/adapters/names.js'
import { diffusersNames } from '#src/architectures/adapters/unet.js'
import { detectArchitecture } from '#src/architectures/detect.js'
import { part, readTable, type Shapes } from '../architectures/tables.js'

const namesOf = (tensors: Shapes): AdapterNames => adapterNames(tensors, detectArchitecture(tensors))
const shapes = (table: Readonly<Record<string, readonly number[]>>): Shapes =>
  new Map(Object.entries(table).map(([name, shape]) => [name, { shape: [...shape] }]))

const tables = Object.fromEntries(
  ['sd15', 'sdxl', 'flux-dev', 'sd3-medium', 'llama-3.1-8b', 'qwen2-7b'].map((name) => [name, readTable(name)]),
)
const all = Object.fromEntries(Object.entries(tables).map(([name, table]) => [name, namesOf(table)]))
const target = (table: string, name: string) => all[table]!.get(name)?.[0]
const count = (table: string, pattern: RegExp): number =>
  [...all[table]!.keys()].filter((name) => pattern.test(name)).length

test.each(Object.keys(tables))('in %s no name means two things, and every weight has a name', (table) => {
  expect([...all[table]!].filter(([, targets]) => targets.length !== 1).map(([name]) => name)).toEqual([])
  const reached = new Set([...all[table]!.values()].flat().flatMap(({ weight, bias }) => [weight, bias]))
  expect([...tables[table]!.keys()].filter((name) => !reached.has(name))).toEqual([])
})

/** What kohya's trainer adapts by default: projections of attention and of what follows it. */
const TRAINED = /(?:to_[qkv]|to_out_0|ff_net_0_proj|ff_net_2|proj_in|proj_out)$/
const TRAINED_TEXT = /text_model_encoder_layers_\d+_(?:self_attn_(?:q|k|v|out)_proj|mlp_fc[12])$/

test('the modules that kohya’s trainer adapts are all there, as many as its files have', () => {
  const kohya = (prefix: string, pattern: RegExp): RegExp => new RegExp(`^${prefix}.*${pattern.source}`)
  expect(count('sd15', kohya('lora_unet_(?:down|mid|up)_block.*attentions', TRAINED))).toBe(192)
  expect(count('sd15', kohya('lora_te_', TRAINED_TEXT))).toBe(72)
  expect(count('sdxl', kohya('lora_unet_(?:input|middle|output)_block', TRAINED))).toBe(722)
  expect(count('sdxl', kohya('lora_unet_(?:down|mid|up)_block.*attentions', TRAINED))).toBe(722)
  expect(count('sdxl', kohya('lora_te1_', TRAINED_TEXT))).toBe(72)
  expect(count('sdxl', kohya('lora_te2_', TRAINED_TEXT))).toBe(192)
  expect(
    count('flux-dev', /^lora_unet_double_blocks_\d+_(?:img|txt)_(?:attn_qkv|attn_proj|mlp_0|mlp_2|mod_lin)$/),
  ).toBe(190)
})

describe('names lead to tensors', () => {
  const unet = 'model.diffusion_model.'
  const text = (layer: string): string => `text_model.encoder.layers.${layer}`
  test.each([
    [
      'sd15',
      'lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_attn1_to_q',
      `${unet}input_blocks.4.1.transformer_blocks.0.attn1.to_q.weight`,
    ],
    [
      'sd15',
      'unet.up_blocks.3.attentions.2.transformer_blocks.0.attn2.processor.to_out',
      `${unet}output_blocks.11.1.transformer_blocks.0.attn2.to_out.0.weight`,
    ],
    [
      'sd15',
      'mid_block.attentions.0.transformer_blocks.0.attn1.to_k',
      `${unet}middle_block.1.transformer_blocks.0.attn1.to_k.weight`,
    ],
    ['sd15', 'lora_unet_mid_block_resnets_1_conv2', `${unet}middle_block.2.out_layers.3.weight`],
    ['sd15', 'lora_unet_up_blocks_0_upsamplers_0_conv', `${unet}output_blocks.2.1.conv.weight`],
    ['sd15', 'lora_unet_down_blocks_2_downsamplers_0_conv', `${unet}input_blocks.9.0.op.weight`],
    ['sd15', 'lora_unet_down_blocks_3_resnets_0_conv1', `${unet}input_blocks.10.0.in_layers.2.weight`],
    ['sd15', 'lora_unet_time_embedding_linear_2', `${unet}time_embed.2.weight`],
    [
      'sd15',
      'lora_te_text_model_encoder_layers_11_mlp_fc2',
      `cond_stage_model.transformer.${text('11.mlp.fc2')}.weight`,
    ],
    [
      'sd15',
      'text_encoder.text_model.encoder.layers.3.self_attn.to_out',
      `cond_stage_model.transformer.${text('3.self_attn.out_proj')}.weight`,
    ],
    [
      'sdxl',
      'lora_unet_input_blocks_4_1_transformer_blocks_1_ff_net_0_proj',
      `${unet}input_blocks.4.1.transformer_blocks.1.ff.net.0.proj.weight`,
    ],
    [
      'sdxl',
      'unet.down_blocks.1.attentions.0.transformer_blocks.1.ff.net.0.proj',
      `${unet}input_blocks.4.1.transformer_blocks.1.ff.net.0.proj.weight`,
    ],
    ['sdxl', 'lora_unet_add_embedding_linear_1', `${unet}label_emb.0.0.weight`],
    [
      'sdxl',
      'lora_te1_text_model_encoder_layers_0_self_attn_q_proj',
      `conditioner.embedders.0.transformer.${text('0.self_attn.q_proj')}.weight`,
    ],
    [
      'sdxl',
      'lora_te2_text_model_encoder_layers_31_mlp_fc1',
      'conditioner.embedders.1.model.transformer.resblocks.31.mlp.c_fc.weight',
    ],
    [
      'sdxl',
      'text_encoder_2.text_model.encoder.layers.31.self_attn.out_proj',
      'conditioner.embedders.1.model.transformer.resblocks.31.attn.out_proj.weight',
    ],
    ['flux-dev', 'lora_unet_single_blocks_37_linear2', `${unet}single_blocks.37.linear2.weight`],
    ['flux-dev', 'transformer.transformer_blocks.18.ff_context.net.0.proj', `${unet}double_blocks.18.txt_mlp.0.weight`],
    [
      'flux-dev',
      'lora_te1_text_model_encoder_layers_0_mlp_fc1',
      `text_encoders.clip_l.transformer.${text('0.mlp.fc1')}.weight`,
    ],
    [
      'flux-dev',
      'lora_te2_encoder_block_0_layer_0_SelfAttention_q',
      'text_encoders.t5xxl.transformer.encoder.block.0.layer.0.SelfAttention.q.weight',
    ],
    [
      'sdxl',
      'unet.input_blocks.4.1.transformer_blocks.1.ff.net.0.proj',
      `${unet}input_blocks.4.1.transformer_blocks.1.ff.net.0.proj.weight`,
    ],
    ['sd15', 'unet.middle_block.1.proj_in', `${unet}middle_block.1.proj_in.weight`],
    ['flux-dev', 'transformer.double_blocks.3.img_attn.qkv', `${unet}double_blocks.3.img_attn.qkv.weight`],
    ['flux-dev', 'double_blocks.0.processor.qkv_lora1', `${unet}double_blocks.0.img_attn.qkv.weight`],
    ['flux-dev', 'double_blocks.0.processor.qkv_lora2', `${unet}double_blocks.0.txt_attn.qkv.weight`],
    [
      'flux-dev',
      'diffusion_model.double_blocks.18.processor.proj_lora1',
      `${unet}double_blocks.18.img_attn.proj.weight`,
    ],
    ['flux-dev', 'double_blocks.18.processor.proj_lora2', `${unet}double_blocks.18.txt_attn.proj.weight`],
    ['flux-dev', 'single_blocks.37.processor.proj_lora', `${unet}single_blocks.37.linear2.weight`],
    [
      'sd3-medium',
      'transformer.transformer_blocks.5.attn.to_add_out',
      `${unet}joint_blocks.5.context_block.attn.proj.weight`,
    ],
    [
      'sd3-medium',
      'lora_te3_encoder_block_1_layer_1_DenseReluDense_wi_0',
      'text_encoders.t5xxl.transformer.encoder.block.1.layer.1.DenseReluDense.wi_0.weight',
    ],
    ['llama-3.1-8b', 'base_model.model.model.layers.31.mlp.down_proj', 'model.layers.31.mlp.down_proj.weight'],
  ])('of %s: %s', (table, name, weight) => {
    expect(target(table, name)?.weight).toBe(weight)
    expect(target(table, name)?.rows).toBeUndefined()
    expect(target(table, name)?.change).toBeUndefined()
  })

  test.each([
    [
      'sdxl',
      'lora_te2_text_model_encoder_layers_2_self_attn_k_proj',
      'conditioner.embedders.1.model.transformer.resblocks.2.attn.in_proj_weight',
      1280,
      1280,
    ],
    [
      'sdxl',
      'text_encoder_2.text_model.encoder.layers.2.self_attn.v_proj',
      'conditioner.embedders.1.model.transformer.resblocks.2.attn.in_proj_weight',
      2560,
      1280,
    ],
    [
      'flux-dev',
      'transformer.transformer_blocks.0.attn.add_v_proj',
      `${unet}double_blocks.0.txt_attn.qkv.weight`,
      6144,
      3072,
    ],
    [
      'flux-dev',
      'transformer.single_transformer_blocks.0.proj_mlp',
      `${unet}single_blocks.0.linear1.weight`,
      9216,
      12288,
    ],
    ['flux-dev', 'single_blocks.37.processor.qkv_lora', `${unet}single_blocks.37.linear1.weight`, 0, 9216],
    [
      'sd3-medium',
      'lora_transformer_transformer_blocks_0_attn_to_k',
      `${unet}joint_blocks.0.x_block.attn.qkv.weight`,
      1536,
      1536,
    ],
  ])('of %s, in rows of a fused one: %s', (table, name, weight, first, rows) => {
    expect(target(table, name)).toMatchObject({ weight, rows: { first, count: rows } })
  })

  test('with the change that diffusers made of them', () => {
    expect(target('flux-dev', 'transformer.norm_out.linear')?.change).toBe('halves-swapped')
    expect(target('sd3-medium', 'transformer.transformer_blocks.23.norm1_context.linear')?.change).toBe(
      'halves-swapped',
    )
    expect(target('sd3-medium', 'transformer.transformer_blocks.22.norm1_context.linear')?.change).toBeUndefined()
    expect(target('sdxl', 'text_encoder_2.text_projection')?.change).toBe('transposed')
  })

  test('and know which are of text encoders', () => {
    expect(target('sdxl', 'lora_te2_text_model_encoder_layers_31_mlp_fc1')?.text).toBe(true)
    expect(target('sdxl', 'lora_unet_input_blocks_4_1_proj_in')?.text).toBe(false)
  })
})

test('diffusers’ names of a U-Net are as many as its own', () => {
  for (const [table, tensors] of [
    ['sd15', 686],
    ['sdxl', 1680],
  ] as const) {
    const own = [...part(tables[table]!, 'model.diffusion_model').keys()]
    const modules = [...new Set(own.map((name) => name.replace(/\.(?:weight|bias)$/, '')))]
    expect(own).toHaveLength(tensors)
    const names = modules.map((name) => diffusersNames(name)[0])
    expect(names.every((name) => name !== undefined)).toBe(true)
    expect(new Set(names).size).toBe(modules.length)
  }
})

test.each(['sd15', 'sdxl'])('a U-Net of %s in the form of diffusers is reached by the original names too', (table) => {
  const paths = new Map<string, string>()
  const tensors: Shapes = new Map(
    [...part(tables[table]!, 'model.diffusion_model')].map(([name, info]) => {
      const [, path, ending] = /^(.+)\.(weight|bias)$/.exec(name)!
      // Of the two names of a label's embedding a model has one.
      const own = diffusersNames(path!)[0]!
      paths.set(path!, own)
      return [`${own}.${ending}`, info] as const
    }),
  )
  expect(detectArchitecture(tensors)).toBeUndefined()
  const names = namesOf(tensors)
  expect([...names].filter(([, targets]) => targets.length !== 1)).toEqual([])
  for (const [path, own] of paths) {
    for (const name of [
      `lora_unet_${path.replaceAll('.', '_')}`,
      `diffusion_model.${path}`,
      `lora_unet_${own.replaceAll('.', '_')}`,
      `unet.${own}`,
    ])
      expect(names.get(name)?.[0]?.weight, name).toBe(`${own}.weight`)
  }
})

test('a network of no known kind is reached by the names of its own modules', () => {
  const names = namesOf(shapes({ 'layers.0.fc.weight': [2, 2], 'layers.0.fc.bias': [2] }))
  for (const name of ['lora_unet_layers_0_fc', 'lora_te_layers_0_fc', 'base_model.model.layers.0.fc', 'layers.0.fc']) {
    expect(names.get(name)).toMatchObject([
      { weight: 'layers.0.fc.weight', bias: 'layers.0.fc.bias', text: name.startsWith('lora_te_') },
    ])
  }
})

test('a name that two modules share after dots became underscores leads to both', () => {
  const names = namesOf(shapes({ 'a.b_c.weight': [1], 'a_b.c.weight': [1] }))
  expect(names.get('lora_unet_a_b_c')?.map(({ weight }) => weight)).toEqual(['a.b_c.weight', 'a_b.c.weight'])
})

test('an early checkpoint of SD1, which leaves a segment out, is reached by the usual names', () => {
  const early = new Map(
    [...tables['sd15']!].map(([name, info]) => [
      name.replace('cond_stage_model.transformer.text_model.', 'cond_stage_model.transformer.'),
      info,
    ]),
  )
  expect(namesOf(early).get('lora_te_text_model_encoder_layers_0_mlp_fc1')?.[0]?.weight).toBe(
    'cond_stage_model.transformer.encoder.layers.0.mlp.fc1.weight',
  )
})

describe('a network that smelt does not know', () => {
  const ROOTS = ['model.diffusion_model.', 'diffusion_model.', 'model.model.', 'net.', '']
  const module = 'blocks.0.cross_attn.k'
  test.each(ROOTS)('under `%s` is found by its names below any root', (root) => {
    const names = namesOf(
      shapes({
        [`${root}${module}.weight`]: [8, 8],
        [`${root}${module}.bias`]: [8],
        [`${root}head.weight`]: [8, 8],
        'first_stage_model.out.weight': [3],
      }),
    )
    const spellings = [
      ...ROOTS.map((other) => other + module),
      ...['lora_unet_', 'lora_transformer_', 'lycoris_'].map((prefix) => prefix + module.replaceAll('.', '_')),
      `transformer.${module}`,
      `base_model.model.${module}`,
    ]
    for (const spelling of spellings)
      expect(names.get(spelling), spelling).toEqual([
        { weight: `${root}${module}.weight`, bias: `${root}${module}.bias`, text: false },
      ])
  })
})
