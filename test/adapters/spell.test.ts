import { describe, expect, test } from 'vitest'
import { adapterNames } from '#src/architectures/adapters/names.js'
import { spellModules, type NameFormat } from '#src/architectures/adapters/spell.js'
import { detectArchitecture } from '#src/architectures/detect.js'
import { readTable } from '../architectures/tables.js'

const TABLES = ['sd15', 'sdxl', 'flux-dev', 'sd3-medium', 'llama-3.1-8b', 'qwen2-7b']
const FORMATS: readonly NameFormat[] = ['kohya', 'diffusers', 'peft']

const spell = (table: string, format: NameFormat) => {
  const tensors = readTable(table)
  return spellModules(tensors, detectArchitecture(tensors), format)
}
const first = (table: string, format: NameFormat, tensor: string): readonly string[] =>
  spell(table, format)(tensor).map(({ module }) => module)

describe.each(TABLES)('names in an adapter for %s', (table) => {
  test.each(FORMATS)('lead back to the rows they stand for, and no two are the same: %s', (format) => {
    const tensors = readTable(table)
    const names = adapterNames(tensors, detectArchitecture(tensors))
    const spelt = spell(table, format)
    const met = new Set<string>()
    for (const [tensor, { shape }] of tensors) {
      const parts = spelt(tensor)
      for (const { module, rows, change } of parts) {
        expect(met.has(module)).toBe(false)
        met.add(module)
        const [target] = names.get(module)!
        expect(target!.weight ?? target!.bias).toBe(tensor)
        expect(target!.rows).toEqual(rows)
        expect(target!.change).toBe(change)
      }
      // Parts make up the whole.
      if (parts.some(({ rows }) => rows !== undefined))
        expect(parts.reduce((n, { rows }) => n + rows!.count, 0)).toBe(shape[0])
    }
  })
})

const UNET = 'model.diffusion_model.'
test.each([
  [
    'sd15',
    'kohya',
    `${UNET}input_blocks.4.1.transformer_blocks.0.attn1.to_q.weight`,
    ['lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_attn1_to_q'],
  ],
  [
    'sd15',
    'diffusers',
    `${UNET}input_blocks.4.1.transformer_blocks.0.attn1.to_q.weight`,
    ['unet.down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q'],
  ],
  [
    'sd15',
    'kohya',
    'cond_stage_model.transformer.text_model.encoder.layers.3.mlp.fc1.weight',
    ['lora_te_text_model_encoder_layers_3_mlp_fc1'],
  ],
  [
    'sdxl',
    'kohya',
    `${UNET}input_blocks.4.1.transformer_blocks.0.attn1.to_q.weight`,
    ['lora_unet_input_blocks_4_1_transformer_blocks_0_attn1_to_q'],
  ],
  [
    'sdxl',
    'kohya',
    'conditioner.embedders.1.model.transformer.resblocks.0.attn.in_proj_weight',
    ['q', 'k', 'v'].map((x) => `lora_te2_text_model_encoder_layers_0_self_attn_${x}_proj`),
  ],
  [
    'sdxl',
    'diffusers',
    `${UNET}input_blocks.4.1.transformer_blocks.0.attn1.to_q.weight`,
    ['unet.down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q'],
  ],
  ['flux-dev', 'kohya', `${UNET}double_blocks.0.img_attn.qkv.weight`, ['lora_unet_double_blocks_0_img_attn_qkv']],
  [
    'flux-dev',
    'diffusers',
    `${UNET}double_blocks.0.img_attn.qkv.weight`,
    ['q', 'k', 'v'].map((x) => `transformer.transformer_blocks.0.attn.to_${x}`),
  ],
  [
    'llama-3.1-8b',
    'peft',
    'model.layers.0.self_attn.q_proj.weight',
    ['base_model.model.model.layers.0.self_attn.q_proj'],
  ],
] as const)('of %s, in the format of %s: %s', (table, format, tensor, expected) => {
  expect(first(table, format, tensor)).toEqual(expected)
})

test.each(['model.diffusion_model', 'net'])(
  'names for an unknown network do not say where a file keeps it: %s',
  (root) => {
    const tensors = new Map([
      [`${root}.input_blocks.0.0.weight`, { shape: [8, 4, 3, 3] }],
      [`${root}.input_blocks.4.1.transformer_blocks.0.ff.net.2.weight`, { shape: [8, 8] }],
      [`${root}.odd.net.2.weight`, { shape: [8, 8] }],
    ])
    const spelt = (format: NameFormat) =>
      [...tensors.keys()].slice(1).map((name) => spellModules(tensors, undefined, format)(name)[0]!.module)
    expect(spelt('kohya')).toEqual(['lora_unet_input_blocks_4_1_transformer_blocks_0_ff_net_2', 'lora_unet_odd_net_2'])
    const told = new RegExp(`(?:^|[._])${root.replace('.', '[._]')}[._](?:input|odd)`)
    for (const format of FORMATS) for (const name of spelt(format)) expect(name).not.toMatch(told)
  },
)
