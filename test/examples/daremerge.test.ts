import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { expect, test } from 'vitest'
import { findOperator } from '#src/operators/index.js'
import { ROOT } from './program.js'
import { PAGE, testSnippets } from './snippets.js'

// Each snippet on one architecture; daremerge.long.ts has it on the other.
testSnippets('sd15', (i) => i % 2 === 0)
testSnippets('sdxl', (i) => i % 2 === 1)

/**
 * Inputs of the nodes in the last version of the pack, each with its default: `–` is a link, `optional` one that may be
 * left open.
 */
const [LINK, MASK] = ['–', { model_mask: 'optional' }]
const PAIR = { model_a: LINK, model_b: LINK }
const alike = (value: string, ...names: readonly string[]): Readonly<Record<string, string>> =>
  Object.fromEntries(names.map((name) => [name, value]))
const numbered = (name: string, count: number): readonly string[] =>
  Array.from({ length: count }, (_, i) => `${name}.${i}`)
const DARE = { drop_rate: '0.9', ties: 'sum', rescale: 'off', seed: '1', method: 'comfy', iterations: '1' }
const BLOCKS = alike('1', 'time', 'label', 'input', 'middle', 'output', 'out')
const MBW = {
  ...alike('1', 'time', 'label'),
  ...alike(
    '0',
    ...numbered('input_blocks', 12),
    ...numbered('middle_block', 3),
    ...numbered('output_blocks', 12),
    'out',
  ),
}
const SHELLS = alike('1', 'exterior', 'interior', 'core')
const KINDS = {
  ...alike('true', 'process_norm', 'process_attn', 'process_ff_net'),
  ...alike('1', 'norm', 'attn', 'ff_net'),
}
const NODES: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  DM_AdvancedDareModelMerger: { ...PAIR, gradient: LINK, ...MASK, ...DARE },
  DM_AdvancedModelMerger: { ...PAIR, gradient: LINK, ...MASK, method: 'comfy' },
  DM_AttentionGradient: { model: LINK, ...KINDS },
  DM_BlockGradient: { model: LINK, ...BLOCKS },
  DM_BlockModelMerger: { ...PAIR, ...MASK, ...BLOCKS, method: 'comfy' },
  DM_DareClipMerger: { clip_a: LINK, clip_b: LINK, ...DARE, ratio: '1', seed: '42' },
  DM_DareModelMergerBlock: { ...PAIR, ...MASK, ...DARE, ...BLOCKS },
  DM_DareModelMergerElement: { ...PAIR, ...MASK, ...DARE, ...SHELLS, ...KINDS },
  DM_DareModelMergerMBW: { ...PAIR, ...MASK, ...DARE, ...MBW },
  DM_GradientEdit: { gradient: LINK, operation: 'set', value: '0', layers: LINK },
  DM_GradientOperations: { gradient_a: LINK, gradient_b: LINK, operation: 'mean', join: 'inner' },
  DM_InjectNoise: {
    model: LINK,
    ...MASK,
    operation: 'gaussian',
    ratio: '0.98',
    mean: '0.05',
    std: '0.01',
    seed: '1',
    layers: '`*.to_v*`',
    method: 'comfy',
  },
  DM_LoRALoaderTags: {
    model: LINK,
    clip: LINK,
    lora_name: LINK,
    strength_model: '1',
    strength_clip: '1',
    tag_limit: '10',
  },
  DM_MBWGradient: { model: LINK, ...MBW },
  DM_MagnitudeMasker: { ...PAIR, threshold: '0', threshold_type: 'median', select: 'below' },
  DM_MaskEdit: { mask: LINK, operation: 'random', arg_one: '0', arg_two: '0', seed: '1', layers: LINK },
  DM_MaskOperations: { mask_a: LINK, mask_b: LINK, operation: 'union' },
  DM_NormalizeModel: { ...PAIR, method: 'attn_only', magnify: 'off' },
  DM_QuadMasker: { model: LINK, seed: '1' },
  DM_ShellGradient: { model: LINK, ...SHELLS },
  DM_SimpleMasker: { model: LINK, operation: 'true', arg_one: '0', arg_two: '0', seed: '1' },
}

/** The names in a cell; `x.0` … `x.11` are twelve. */
const namesIn = (cell: string): readonly string[] => {
  const names = [...cell.matchAll(/`([^`]+)`/g)].map(([, name]) => name!)
  const range = / … `\w+\.(\d+)`$/.exec(cell)
  return range === null ? names : numbered(names[0]!.replace(/\.0$/, ''), Number(range[1]) + 1)
}

/** What the page says of each node: its inputs and their defaults, from the first table below its class. */
const told = Object.fromEntries(
  [...PAGE.matchAll(/^`(DM_\w+)`\n\n((?:\|.*\n)+)/gm)].map(([, node, table]) => {
    const rows = table!
      .trim()
      .split('\n')
      .slice(2)
      .map((row) => row.split(' | ').map((cell) => cell.replace(/^\| /, '')))
    return [
      node!,
      Object.fromEntries(rows.flatMap(([inputs, value]) => namesIn(inputs!).map((name) => [name, value!] as const))),
    ]
  }),
)

test('the page names the inputs and defaults that the nodes have', () => {
  expect(told).toEqual(NODES)
})

test('the page names every node, those of earlier versions among them', () => {
  const reports = ['DM_MaskReporting', 'DM_ModelReporting', 'DM_LoRAReporting', 'DM_GradientReporting']
  const earlier = [
    'DM_DareModelMerger',
    'DM_MaskedModelMerger',
    'DareModelMerger',
    'DareModelMergerMBW',
    'BlockModelMergerAdv',
    'MagnitudeModelMerger',
  ]
  expect([...Object.keys(NODES), ...reports, ...earlier].filter((node) => !PAGE.includes(`\`${node}\``))).toEqual([])
})

test('the page names no operator that there is not, and links to files that are there', () => {
  const named = [...PAGE.matchAll(/(?:op: |`)((?:mask|merge|model|weights|adapter|report)\.[a-z_]+)\b/g)].map(
    ([, id]) => id!,
  )
  expect(named.length).toBeGreaterThan(40)
  expect(named.filter((id) => findOperator(id) === undefined)).toEqual([])
  for (const [, path] of PAGE.matchAll(/\]\((?!https?:|#)([^)#]+)\)/g))
    expect(() => readFileSync(join(ROOT, dirname('docs/x'), path!))).not.toThrow()
})
