import { expect, test } from 'vitest'
import { blockWeightOrder } from '#src/architectures/block-weights.js'
import { isConstant } from '#src/architectures/constants.js'
import { detectArchitecture, type Architecture } from '#src/architectures/detect.js'
import { readTable } from './tables.js'

const load = (table: string): { found: Architecture; names: string[] } => {
  const tensors = readTable(table)
  return { found: detectArchitecture(tensors)!, names: [...tensors.keys()] }
}

const count = (keys: readonly string[]): Record<string, number> => {
  const counts: Record<string, number> = {}
  for (const key of keys) counts[key] = (counts[key] ?? 0) + 1
  return counts
}

test.each([
  ['sd15', { unet: 686, vae: 248, clip_l: 197, other: 12 }],
  ['sdxl', { unet: 1680, vae: 248, clip_l: 197, clip_g: 390 }],
  ['sd3-medium', { transformer: 491, vae: 244, clip_l: 198, clip_g: 518, t5: 220, other: 1 }],
  ['flux-dev', { transformer: 780, vae: 244, clip_l: 196, t5: 219 }],
  ['llama-2-7b', { transformer: 291 }],
  ['llama-3.1-8b', { transformer: 291 }],
  ['mistral-7b-v0.1', { transformer: 291 }],
  ['qwen2-7b', { transformer: 339 }],
])('every tensor of %s has the component that its part has', (table, expected) => {
  const { found, names } = load(table)
  expect(count(names.map((name) => found.locate(name).component))).toEqual(expected)
})

test.each(['sd15', 'sdxl', 'sd3-medium', 'flux-dev', 'llama-2-7b', 'qwen2-7b'])(
  'in %s only buffers of the noise schedule fall outside the blocks',
  (table) => {
    const { found, names } = load(table)
    const strays = names.filter((name) => found.locate(name).block === 'other')
    expect(strays.filter((name) => !isConstant(name))).toEqual([])
    expect(strays.length).toBe({ sd15: 12, 'sd3-medium': 1 }[table] ?? 0)
  },
)

const run = (stem: string, length: number): string[] => Array.from({ length }, (_, i) => `${stem}.${i}`)

test.each([
  ['sd15', ['te', 'time', ...run('in', 12), 'mid', ...run('out', 12), 'final', 'vae', 'other']],
  ['sdxl', ['te', 'time', 'label', ...run('in', 9), 'mid', ...run('out', 9), 'final', 'vae']],
  ['sd3-medium', ['clip', 't5', 'io', ...run('joint', 24), 'final', 'vae', 'other']],
  ['flux-dev', ['clip', 't5', 'io', ...run('double', 19), ...run('single', 38), 'final', 'vae']],
  ['llama-2-7b', ['embed', ...run('layer', 32), 'norm', 'head']],
  ['qwen2-7b', ['embed', ...run('layer', 28), 'norm', 'head']],
])('the blocks of %s are complete and in order', (table, expected) => {
  expect(load(table).found.blocks).toEqual(expected)
})

test('blocks go by whole segments, so block 1 never takes in block 10', () => {
  const { found, names } = load('sd15')
  const inBlock1 = names.filter((name) => found.locate(name).block === 'in.1')
  expect(inBlock1.length).toBe(36)
  expect(inBlock1.every((name) => name.startsWith('model.diffusion_model.input_blocks.1.'))).toBe(true)
  expect(found.locate('model.diffusion_model.output_blocksX.1.0.weight')).toEqual({
    component: 'unet',
    block: 'other',
    groups: [],
  })
  expect(found.locate('model.diffusion_model.input_blocks.x.0.weight').block).toBe('other')
  expect(found.locate('model.diffusion_modelx.out.0.weight').component).toBe('other')
})

test.each([
  ['sd15', 'model.diffusion_model.input_blocks.4.1.transformer_blocks.0.attn2.to_k.weight', ['attn', 'attn2']],
  ['sd15', 'model.diffusion_model.input_blocks.4.1.transformer_blocks.0.ff.net.0.proj.weight', ['ff']],
  ['sd15', 'model.diffusion_model.input_blocks.4.1.transformer_blocks.0.norm3.weight', ['norm', 'norm-transformer']],
  ['sd15', 'model.diffusion_model.output_blocks.3.0.in_layers.0.weight', ['norm', 'norm-resnet']],
  ['sd15', 'model.diffusion_model.output_blocks.3.0.in_layers.2.weight', ['conv']],
  ['sd15', 'model.diffusion_model.output_blocks.3.0.emb_layers.1.weight', ['emb']],
  ['sd15', 'model.diffusion_model.input_blocks.0.0.weight', ['io']],
  ['sd15', 'model.diffusion_model.out.2.bias', ['io']],
  ['sd15', 'cond_stage_model.transformer.text_model.encoder.layers.0.mlp.fc1.weight', []],
  ['sdxl', 'model.diffusion_model.label_emb.0.0.weight', ['emb']],
  ['flux-dev', 'model.diffusion_model.double_blocks.3.img_attn.qkv.weight', ['attn']],
  ['flux-dev', 'model.diffusion_model.double_blocks.3.img_attn.norm.key_norm.scale', ['norm']],
  ['flux-dev', 'model.diffusion_model.double_blocks.3.txt_mlp.0.weight', ['ff', 'mlp']],
  ['flux-dev', 'model.diffusion_model.single_blocks.3.modulation.lin.weight', ['mod']],
  ['flux-dev', 'model.diffusion_model.single_blocks.3.linear1.weight', ['fused']],
  ['sd3-medium', 'model.diffusion_model.joint_blocks.3.context_block.attn.qkv.weight', ['attn']],
  ['sd3-medium', 'model.diffusion_model.joint_blocks.3.x_block.mlp.fc1.weight', ['ff', 'mlp']],
  ['sd3-medium', 'model.diffusion_model.t_embedder.mlp.0.weight', ['emb']],
  ['llama-2-7b', 'model.layers.3.self_attn.q_proj.weight', ['attn']],
  ['llama-2-7b', 'model.layers.3.post_attention_layernorm.weight', ['norm']],
  ['llama-2-7b', 'model.norm.weight', ['norm']],
  ['llama-2-7b', 'lm_head.weight', ['head']],
])('in %s the tensor %s is in its groups', (table, name, groups) => {
  expect(load(table).found.locate(name).groups).toEqual(groups)
})

test('every tensor of a diffusion or language model is in a group', () => {
  for (const table of ['sd15', 'sdxl', 'sd3-medium', 'flux-dev', 'llama-2-7b', 'qwen2-7b']) {
    const { found, names } = load(table)
    const own = names
      .map((name) => [name, found.locate(name)] as const)
      .filter(([, { component }]) => ['unet', 'transformer'].includes(component))
    expect(own.filter(([, { groups }]) => groups.length === 0).map(([name]) => name)).toEqual([])
  }
})

test.each([
  ['sd15', 26, ['te', 'in.0', 'in.1'], 13, 'mid', 'out.11'],
  ['sdxl', 20, ['te', 'in.0', 'in.1'], 10, 'mid', 'out.8'],
  ['sdxl', 21, ['te', 'in.0', 'in.1'], 10, 'mid', 'vae'],
  ['flux-dev', 61, ['clip', 't5', 'io'], 22, 'single.0', 'final'],
])('a list for %s has %i positions in the order of the field', (table, length, start, index, there, last) => {
  const { found } = load(table)
  const order = blockWeightOrder(found, length)
  if (order.type === 'failed') throw new Error('no order')
  expect([order.value.length, order.value.slice(0, 3), order.value[index], order.value.at(-1)]).toEqual([
    length,
    start,
    there,
    last,
  ])
  expect(order.value.every((block) => found.blocks.includes(block))).toBe(true)
})

test('a list of 26 for SDXL is one of 20 with six blocks that it does not have', () => {
  const of = (count: number) => {
    const order = blockWeightOrder(load('sdxl').found, count)
    return order.type === 'ok' ? order.value : []
  }
  expect(of(26).filter((block) => block !== '')).toEqual(of(20))
  expect(of(26).flatMap((block, i) => (block === '' ? [i] : []))).toEqual([10, 11, 12, 23, 24, 25])
})

test('a block-weight list of the wrong length, or for a model without one, is refused', () => {
  expect(blockWeightOrder(load('sdxl').found, 25).diagnostics).toMatchObject([
    { code: 'wrong-block-weight-count', message: 'Stable Diffusion XL takes 20, 21 or 26 block weights, not 25' },
  ])
  expect(blockWeightOrder(load('llama-2-7b').found, 26).diagnostics).toMatchObject([{ code: 'no-block-weight-list' }])
})

test('the shells of U-Nets are those of the field', () => {
  const of = (table: string, shell: string) =>
    [...load(table).found.shells].filter(([, s]) => s === shell).map(([block]) => block)
  const ids = (stem: string, from: number, to: number) => run(stem, to + 1).slice(from)
  expect(of('sd15', 'exterior')).toEqual([...ids('in', 0, 3), ...ids('out', 9, 11)])
  expect(of('sd15', 'interior')).toEqual([...ids('in', 4, 8), ...ids('out', 4, 8)])
  expect(of('sd15', 'core')).toEqual([...ids('in', 9, 11), 'mid', ...ids('out', 0, 3)])
  expect(of('sdxl', 'exterior')).toEqual([...ids('in', 0, 2), ...ids('out', 6, 8)])
  expect(of('sdxl', 'interior')).toEqual([...ids('in', 3, 5), ...ids('out', 3, 5)])
  expect(of('sdxl', 'core')).toEqual([...ids('in', 6, 8), 'mid', ...ids('out', 0, 2)])
  expect(of('llama-2-7b', 'core').length).toBeGreaterThan(0)
  expect(load('llama-2-7b').found.shells.has('embed')).toBe(false)
})

test.each([
  'alphas_cumprod',
  'posterior_mean_coef2',
  'cond_stage_model.transformer.text_model.embeddings.position_ids',
  'conditioner.embedders.1.model.logit_scale',
  'model.model_sampling.sigmas',
  'denoiser.sigmas',
  'edm_vpred.sigma_max',
  'v_pred',
  'ztsnr',
  'model.layers.3.self_attn.rotary_emb.inv_freq',
])('%s is a constant', (name) => expect(isConstant(name)).toBe(true))

test.each(['fc1.weight', 'betas.weight', 'denoiser.weight', 'my_logit_scale', 'model.norm.weight', '__proto__', ''])(
  '`%s` is not a constant',
  (name) => expect(isConstant(name)).toBe(false),
)

test.each([
  ['gpt_neox.layers.0.attention.bias', [1, 1, 4, 4], 'BOOL', true],
  ['gpt_neox.layers.0.attention.masked_bias', [], 'F16', true],
  ['transformer.h.0.attn.bias', [1, 1, 4, 4], 'F32', true],
  ['h.0.attn.bias', [4, 4], 'U8', true],
  ['cond_stage_model.model.attn_mask', [77, 77], 'F32', true],
  ['model.layers.0.self_attn.rotary_emb.cos_cached', [1, 1, 8, 4], 'F32', true],
  ['blocks.0.attn.bias', [12], 'F32', false],
  ['blocks.0.attn.bias', [1, 12, 4, 4], 'F32', false],
  ['blocks.0.attn.bias', [1, 1, 4, 8], 'F32', false],
  ['blocks.0.attn.proj.bias', [1, 1, 4, 4], 'F32', false],
  ['blocks.0.mlp.bias', [1, 1, 4, 4], 'F32', false],
] as const)('%s of %j in %s: a constant? %s', (name, shape, dtype, expected) =>
  expect(isConstant(name, { shape, dtype })).toBe(expected),
)

test('every constant of the tables, and nothing else, is found', () => {
  const constants = ['sd15', 'sdxl', 'sd3-medium', 'flux-dev', 'llama-2-7b'].map(
    (table) => load(table).names.filter((name) => isConstant(name)).length,
  )
  expect(constants).toEqual([13, 2, 4, 0, 0])
})
