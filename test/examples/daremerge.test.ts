import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { build } from '#src/run/build.js'
import { findOperator } from '#src/operators/index.js'
import { renderReport } from '#src/view/report/render.js'
import { makeBase, readCheckpoint, train, writeCheckpoint, type Checkpoint } from '../recipes/checkpoint.js'
import { makeLora, type Adapted } from '../recipes/lora.js'
import { ROOT } from './program.js'

const PAGE = readFileSync(join(ROOT, 'docs/coming-from-daremerge.md'), 'utf8')
const [HEAD, ...SNIPPETS] = [...PAGE.matchAll(/```yaml\n(.*?)```/gs)].map(([, text]) => text!)
/** Each snippet under the heading it stands below. */
const titled = SNIPPETS.map((text) => [PAGE.slice(0, PAGE.indexOf(text)).match(/^#+ .*$/gm)!.at(-1)!.replace(/^#+ /, ''), text] as const)

const RESULT = 'outputs:\n  merged: { from: merged, path: build/merged.safetensors }\n'

const ATTENTION = 'input_blocks.4.1.transformer_blocks.0.attn1.to_q'
const MODULES: readonly Adapted[] = [{ name: `lora_unet_${ATTENTION.replaceAll('.', '_')}`, tensor: `model.diffusion_model.${ATTENTION}.weight` }]

describe.each(['sd15', 'sdxl'])('of a small %s checkpoint', (architecture) => {
  let folder: string
  let base: Checkpoint
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'smelt-daremerge-'))
    base = makeBase(architecture, 1)
    for (const [name, checkpoint] of Object.entries({ base, a: train(base, 2), b: train(base, 3), lora: makeLora(base, MODULES, 4).file })) {
      writeCheckpoint(join(folder, `${name}.safetensors`), checkpoint)
    }
  })
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  test.each(titled)('what stands under “%s” builds as it stands, and changes the U-Net or the text encoder', async (_title, steps) => {
    writeFileSync(join(folder, 'recipe.yaml'), `${HEAD}${steps}${steps.includes('outputs:') ? '' : RESULT}`)
    const built = await build(join(folder, 'recipe.yaml'), { workers: 1, device: 'cpu', render: renderReport })
    expect(built.diagnostics.filter((d) => d.severity === 'error')).toEqual([])
    if (steps.includes('outputs:')) {
      for (const [, path] of steps.matchAll(/path: ([\w./]+)/g)) expect(readFileSync(join(folder, path!), 'utf8').length).toBeGreaterThan(100)
      return
    }
    const [a, merged] = [await readCheckpoint(join(folder, 'a.safetensors')), await readCheckpoint(join(folder, 'build/merged.safetensors'))]
    const changed = [...a].filter(([name, { numbers }]) => merged.get(name)!.numbers.some((x, i) => x !== numbers[i])).map(([name]) => name)
    expect(changed.length).toBeGreaterThan(0)
    expect(changed.filter((name) => name.endsWith('position_ids') || name.endsWith('logit_scale'))).toEqual([])
  }, 60_000)
})

/** Inputs of the nodes in the last version of the pack, each with its default: `–` is a link, `optional` one that may be left open. */
const [LINK, MASK] = ['–', { model_mask: 'optional' }]
const PAIR = { model_a: LINK, model_b: LINK }
const alike = (value: string, ...names: readonly string[]): Readonly<Record<string, string>> => Object.fromEntries(names.map((name) => [name, value]))
const numbered = (name: string, count: number): readonly string[] => Array.from({ length: count }, (_, i) => `${name}.${i}`)
const DARE = { drop_rate: '0.9', ties: 'sum', rescale: 'off', seed: '1', method: 'comfy', iterations: '1' }
const BLOCKS = alike('1', 'time', 'label', 'input', 'middle', 'output', 'out')
const MBW = { ...alike('1', 'time', 'label'), ...alike('0', ...numbered('input_blocks', 12), ...numbered('middle_block', 3), ...numbered('output_blocks', 12), 'out') }
const SHELLS = alike('1', 'exterior', 'interior', 'core')
const KINDS = { ...alike('true', 'process_norm', 'process_attn', 'process_ff_net'), ...alike('1', 'norm', 'attn', 'ff_net') }
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
  DM_InjectNoise: { model: LINK, ...MASK, operation: 'gaussian', ratio: '0.98', mean: '0.05', std: '0.01', seed: '1', layers: '`*.to_v*`', method: 'comfy' },
  DM_LoRALoaderTags: { model: LINK, clip: LINK, lora_name: LINK, strength_model: '1', strength_clip: '1', tag_limit: '10' },
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
const told = Object.fromEntries([...PAGE.matchAll(/^`(DM_\w+)`\n\n((?:\|.*\n)+)/gm)].map(([, node, table]) => {
  const rows = table!.trim().split('\n').slice(2).map((row) => row.split(' | ').map((cell) => cell.replace(/^\| /, '')))
  return [node!, Object.fromEntries(rows.flatMap(([inputs, value]) => namesIn(inputs!).map((name) => [name, value!] as const)))]
}))

test('the page names the inputs and defaults that the nodes have', () => {
  expect(told).toEqual(NODES)
})

test('the page names every node, those of earlier versions among them', () => {
  const reports = ['DM_MaskReporting', 'DM_ModelReporting', 'DM_LoRAReporting', 'DM_GradientReporting']
  const earlier = ['DM_DareModelMerger', 'DM_MaskedModelMerger', 'DareModelMerger', 'DareModelMergerMBW', 'BlockModelMergerAdv', 'MagnitudeModelMerger']
  expect([...Object.keys(NODES), ...reports, ...earlier].filter((node) => !PAGE.includes(`\`${node}\``))).toEqual([])
})

test('the page names no operator that there is not, and links to files that are there', () => {
  const named = [...PAGE.matchAll(/(?:op: |`)((?:mask|merge|model|weights|adapter|report)\.[a-z_]+)\b/g)].map(([, id]) => id!)
  expect(named.length).toBeGreaterThan(40)
  expect(named.filter((id) => findOperator(id) === undefined)).toEqual([])
  for (const [, path] of PAGE.matchAll(/\]\((?!https?:|#)([^)#]+)\)/g)) expect(() => readFileSync(join(ROOT, dirname('docs/x'), path!))).not.toThrow()
})
