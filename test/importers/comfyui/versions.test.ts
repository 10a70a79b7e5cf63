import { describe, expect, test } from 'vitest'
import { DAREMERGE_MERGES } from '#src/importers/comfyui/daremerge-merges.js'
import { DAREMERGE_NUMBERS } from '#src/importers/comfyui/daremerge-numbers.js'
import { DAREMERGE_OTHERS } from '#src/importers/comfyui/daremerge-others.js'
import { LOADERS } from '#src/importers/comfyui/loaders.js'
import type { Widget } from '#src/importers/comfyui/nodes.js'
import {
  createWorkflow,
  importJson,
  recipeOf,
  type Output,
  type TestWorkflow,
  type WidgetValue,
} from '../../support/workflows.js'

type Step = Readonly<Record<string, unknown>>

const flowOf = (build: (flow: TestWorkflow, a: Output, b: Output) => string): TestWorkflow => {
  const flow = createWorkflow()
  const [a, b] = ['a', 'b'].map((name): Output => [
    flow.add('CheckpointLoaderSimple', { ckpt_name: `${name}.safetensors` }),
    0,
  ])
  const last = build(flow, a!, b!)
  flow.add('CheckpointSave', { filename_prefix: 'out' }, { model: [last, 0], clip: [a![0], 1], vae: [a![0], 2] })
  return flow
}

/** The merging step of a workflow with one merging node, the same by names and by order. */
const stepOf = (
  type: string,
  widgets: Readonly<Record<string, WidgetValue>>,
  links: readonly [string, string] = ['model_a', 'model_b'],
  more: (flow: TestWorkflow, a: Output, b: Output) => Readonly<Record<string, Output>> = () => ({}),
): { readonly step: Step; readonly steps: Readonly<Record<string, Step>> } => {
  const flow = flowOf((f, a, b) => f.add(type, widgets, { [links[0]]: a, [links[1]]: b, ...more(f, a, b) }))
  const [byName, byOrder] = [recipeOf(flow.api()), recipeOf(flow.ui())]
  expect(byOrder).toEqual(byName)
  const { from } = Object.values(byName.outputs)[0]!
  return { step: byName.steps[from]!, steps: byName.steps }
}

/** A node of the last version, before anything is set. */
const EMPTY = { id: '1', type: '', title: undefined, muted: false, inputs: new Map(), widgets: [] }

const DARE = { drop_rate: 0.6, ties: 'count', rescale: 'on', seed: 3, method: 'slerp', iterations: 2 }
const PARTS = { time: 0.1, label: 0.2, input: 0.3, middle: 0.4, output: 0.5, out: 0.6 }
const numbered = (stem: string, count: number, value: number): Readonly<Record<string, number>> =>
  Object.fromEntries(Array.from({ length: count }, (_, i) => [`${stem}.${i}`, value]))
const MBW = {
  time: 1,
  label: 0.5,
  ...numbered('input_blocks', 12, 0.5),
  ...numbered('middle_block', 3, 0.4),
  ...numbered('output_blocks', 12, 0.5),
  out: 0.5,
}

describe('methods', () => {
  const widgets = (method: string) => ({ ...DARE, method, ...PARTS })
  test.each<readonly [method: string, word: string | undefined, blend: string | undefined]>([
    ['comfy', undefined, undefined],
    ['lerp', undefined, 'each'],
    ['bislerp', undefined, 'each'],
    ['colorize', undefined, 'each'],
    ...['slerp', 'slice', 'cyclic', 'gradient', 'cosine', 'cubic', 'scaled_add'].map(
      (method) => [method, method, 'each'] as const,
    ),
  ])('%s of a DARE merge is %s, applied %s', (method, word, blend) => {
    const { step } = stepOf('DM_DareModelMergerBlock', widgets(method))
    expect([step['method'], step['blend']]).toEqual([word, blend])
  })

  test('cosine runs the other way, so its numbers are 1 − those of the node', () => {
    const { steps } = stepOf('DM_DareModelMergerBlock', widgets('cosine'))
    expect(Object.values(steps).find((s) => s['op'] === 'weights.block')).toMatchObject({
      time: 0.9,
      label: 0.8,
      input: 0.7,
      out: 0.4,
    })
  })

  test('hslerp has no counterpart', () => {
    const flow = flowOf((f, a, b) => f.add('DM_DareModelMergerBlock', widgets('hslerp'), { model_a: a, model_b: b }))
    expect(importJson(flow.api()).missing[0]).toMatchObject({
      where: 'node 3 (DM_DareModelMergerBlock)',
      what: 'method',
    })
  })
})

describe('nodes of earlier versions', () => {
  test('DM_DareModelMerger is DM_DareModelMergerBlock', () => {
    expect(stepOf('DM_DareModelMerger', { ...DARE, ...PARTS })).toEqual(
      stepOf('DM_DareModelMergerBlock', { ...DARE, ...PARTS }),
    )
  })

  test('DM_DareModelMergerMBW had what DARE needs first', () => {
    expect(stepOf('DM_DareModelMergerMBW', { ...DARE, ...MBW })).toEqual(
      stepOf('DM_DareModelMergerMBW', { ...MBW, ...DARE }),
    )
  })

  test('DM_DareModelMergerElement had other names for one day', () => {
    const early = {
      ...DARE,
      'shallow layer': 0.2,
      'middle layer': 0.4,
      'deep layer': 0.6,
      norm: true,
      attn: true,
      'ff.net': false,
      norm_vol: 0.3,
      attn_vol: 0.5,
      'ff.net_vol': 0.7,
    }
    const late = {
      ...DARE,
      exterior: 0.2,
      interior: 0.4,
      core: 0.6,
      process_norm: true,
      process_attn: true,
      process_ff_net: false,
      norm: 0.3,
      attn: 0.5,
      ff_net: 0.7,
    }
    expect(stepOf('DM_DareModelMergerElement', early)).toEqual(stepOf('DM_DareModelMergerElement', late))
  })

  test.each([
    [
      'five',
      { input: 0.3, middle: 0.4, out: 0.6, time: 0.1 },
      { time: 0.1, label: 0.3, input: 0.3, middle: 0.4, output: 0.6, out: 0.6 },
    ],
    [
      'six',
      { input: 0.3, middle: 0.4, output: 0.5, out: 0.6, time: 0.1 },
      { time: 0.1, label: 0.3, input: 0.3, middle: 0.4, output: 0.5, out: 0.6 },
    ],
    ['seven', PARTS, PARTS],
  ])('DM_MaskedModelMerger had %s values', (_, widgets, numbers) => {
    const mask = (f: TestWorkflow, a: Output): Readonly<Record<string, Output>> => ({
      model_mask: [f.add('DM_SimpleMasker', { operation: 'true', arg_one: 0, arg_two: 0, seed: 1 }, { model: a }), 0],
    })
    const { step, steps } = stepOf('DM_MaskedModelMerger', { ...widgets, method: 'lerp' }, undefined, mask)
    expect(step).toMatchObject({ op: 'merge.blend', unmasked: 'merge' })
    expect(Object.values(steps).find((s) => s['op'] === 'weights.block')).toMatchObject(numbers)
  })

  test('BlockModelMergerAdv had five values', () => {
    const { steps } = stepOf('BlockModelMergerAdv', { input: 0.3, middle: 0.4, out: 0.6, time: 0.1, method: 'slerp' })
    expect(Object.values(steps).find((s) => s['op'] === 'weights.block')).toMatchObject({
      time: 0.1,
      label: 0.3,
      output: 0.6,
    })
  })

  test('DM_MagnitudeMasker had `invert`', () => {
    const select = (invert: string): unknown => {
      const { steps } = stepOf('DM_BlockModelMerger', { ...PARTS, method: 'comfy' }, undefined, (f, a, b) => ({
        model_mask: [
          f.add('DM_MagnitudeMasker', { threshold: 0.9, threshold_type: 'median', invert }, { model_a: a, model_b: b }),
          0,
        ],
      }))
      return Object.values(steps).find((s) => s['op'] === 'mask.magnitude')!['select']
    }
    expect([select('No'), select('Yes')]).toEqual(['below', 'above'])
  })

  test('DareModelMerger and DareModelMergerMBW made masks themselves, with a warning', () => {
    const four = { input: 0.3, middle: 0.4, out: 0.6, time: 0.1 }
    const exclusion = { exclude_a: 0.8, include_b: 0.2, threshold_type: 'median', invert: 'No' }
    const { drop_rate, ties, rescale, seed } = DARE
    const base = (f: TestWorkflow): Readonly<Record<string, Output>> => ({
      base_model: [f.add('CheckpointLoaderSimple', { ckpt_name: 'base.safetensors' }), 0],
    })
    for (const [type, widgets] of [
      ['DareModelMerger', { drop_rate, seed, ...four, method: 'slerp', ...exclusion }],
      ['DareModelMerger', { drop_rate, ties, rescale, seed, ...four, method: 'slerp', ...exclusion, iterations: 2 }],
      ['DareModelMergerMBW', { drop_rate, ties, rescale, seed, method: 'slerp', ...exclusion, iterations: 2, ...MBW }],
    ] as const) {
      const { step, steps } = stepOf(type, widgets, undefined, base)
      expect(step).toMatchObject({ op: 'merge.dare', drop: 0.6, seed: 3, method: 'slerp' })
      expect(
        Object.values(steps)
          .filter((s) => s['op'] === 'mask.magnitude')
          .map((s) => s['quantile']),
      ).toEqual([0.2, 0.8])
      expect(Object.values(steps).find((s) => s['op'] === 'mask.difference')).toBeDefined()
      const flow = flowOf((f, a, b) => f.add(type, widgets, { model_a: a, model_b: b, ...base(f) }))
      expect(importJson(flow.api()).notes.map((n) => n.text)).toContainEqual(
        expect.stringContaining('compare the result'),
      )
    }
  })

  test.each([
    ['DareModelMerger', { input: 1, middle: 1, out: 1, sparsity: 0.1 }],
    [
      'MagnitudeModelMerger',
      { input: 1, middle: 1, out: 1, time: 1, sparsity: 0.9, threshold_type: 'median', invert: 'No' },
    ],
  ])('%s of December 2023 is refused, and what to write is said', (type, widgets) => {
    const flow = flowOf((f, a, b) => f.add(type, widgets, { model1: a, model2: b }))
    const { recipe, missing } = importJson(flow.api())
    expect(recipe).toBeUndefined()
    expect(missing[0]!.why).toMatch(/write a step with `m/)
  })
})

test('a widget that the file lacks has the value of a new node, with a warning', () => {
  const flow = flowOf((f, a, b) => f.add('ModelMergeSimple', {}, { model1: a, model2: b }))
  const { recipe, notes } = importJson(flow.api())
  expect(recipe).toContain('keep: 1\n')
  expect(notes).toEqual([{ where: 'node 3 (ModelMergeSimple)', text: expect.stringContaining('`ratio`') }])
})

test('a seed may stand without what happens to it after a run', () => {
  const flow = flowOf((f, a, b) => f.add('DM_DareModelMergerBlock', { ...DARE, ...PARTS }, { model_a: a, model_b: b }))
  const ui = flow.ui() as { readonly nodes: { widgets_values: unknown[] }[] }
  const without = {
    ...ui,
    nodes: ui.nodes.map((node) => ({ ...node, widgets_values: node.widgets_values.filter((v) => v !== 'fixed') })),
  }
  expect(recipeOf(without)).toEqual(recipeOf(ui))
})

test('layer texts become patterns', () => {
  const layers = (text: string): unknown => {
    const { step } = stepOf(
      'DM_InjectNoise',
      { operation: 'gaussian', ratio: 0.98, mean: 0, std: 0.01, seed: 1, layers: text, method: 'comfy' },
      ['model', 'unused'],
    )
    return step['layers']
  }
  expect(layers('*.to_v*')).toBe('**.to_v*')
  expect(layers('diffusion_model.input_blocks.1, *.attn1.*')).toEqual(['diffusion_model.input_blocks.1', '**.attn1'])
  expect(layers('*.bias')).toBe('diffusion_model.**.bias')
  expect(layers('diffusion_model.{input,output}_blocks.1.\ndiffusion_model.out')).toEqual([
    'diffusion_model.{input,output}_blocks.1',
    'diffusion_model.out',
  ])
})

describe('every widget of the last version, at a value that a new node does not have, shows in the recipe', () => {
  const CLASSES = new Map([...DAREMERGE_MERGES, ...DAREMERGE_NUMBERS, ...DAREMERGE_OTHERS, ...LOADERS])
  /** Words in place of those of a new node; numbers are of their own for each widget. */
  const WORDS: Readonly<Record<string, WidgetValue>> = {
    ...{ ties: 'count', rescale: 'on', method: 'slerp', join: 'outer', threshold_type: 'quantile', select: 'above' },
    ...{ magnify: 'on', layers: 'input_blocks.4', seed: 7, iterations: 3, lora_name: 'ink.safetensors', tag_limit: 3 },
    ...{ process_norm: true, process_attn: true, process_ff_net: true },
  }
  const OPERATIONS: Readonly<Record<string, string>> = {
    DM_SimpleMasker: 'random',
    DM_MaskEdit: 'false',
    DM_MaskOperations: 'xor',
    DM_GradientOperations: 'max',
    DM_GradientEdit: 'add',
    DM_InjectNoise: 'random',
  }
  /** Settings that change nothing in the node, or nothing with the other values here. */
  const WITHOUT_EFFECT: Readonly<Record<string, readonly string[]>> = {
    DM_SimpleMasker: ['arg_two'],
    DM_MaskEdit: ['arg_one', 'arg_two', 'seed'],
    DM_MagnitudeMasker: ['threshold_type'],
    DM_LoRALoaderTags: ['tag_limit'],
    DM_NormalizeModel: [],
    DM_InjectNoise: ['mean', 'std'],
  }
  const HEAD = [
    ...['DM_AdvancedModelMerger', 'DM_AdvancedDareModelMerger', 'DM_BlockModelMerger', 'DM_DareModelMergerBlock'],
    ...['DM_DareModelMergerMBW', 'DM_DareModelMergerElement', 'DM_DareClipMerger', 'DM_SimpleMasker'],
    ...['DM_MagnitudeMasker', 'DM_QuadMasker', 'DM_MaskOperations', 'DM_MaskEdit', 'DM_GradientOperations'],
    ...['DM_GradientEdit', 'DM_BlockGradient', 'DM_ShellGradient', 'DM_AttentionGradient', 'DM_MBWGradient'],
    ...['DM_NormalizeModel', 'DM_InjectNoise', 'DM_LoRALoaderTags'],
  ]

  const changed = (type: string, [name, usual]: Widget, index: number): WidgetValue => {
    if (name === 'operation') return OPERATIONS[type]!
    if (type === 'DM_NormalizeModel' && name === 'method') return 'q_norm'
    return WORDS[name] ?? (typeof usual === 'number' ? (index + 3) / 64 : usual)
  }

  /** The recipe of a workflow with one node, whose result is saved, or used by a merge that is. */
  const recipeWith = (type: string, values: Readonly<Record<string, WidgetValue>>): unknown => {
    const flow = createWorkflow()
    const [a, b] = ['a', 'b'].map((name) => flow.add('CheckpointLoaderSimple', { ckpt_name: `${name}.safetensors` }))
    const models: Readonly<Record<string, Output>> = { model_a: [a!, 0], model_b: [b!, 0], model: [a!, 0] }
    const masks = ['mask', 'mask_a', 'mask_b', 'model_mask'].map((name, i): [string, Output] => [
      name,
      [
        flow.add('DM_MagnitudeMasker', { threshold: 0.5 + i / 8, threshold_type: 'quantile', select: 'below' }, models),
        0,
      ],
    ])
    const gradients = ['gradient', 'gradient_a', 'gradient_b'].map((name, i): [string, Output] => [
      name,
      [flow.add('DM_ShellGradient', { exterior: 0.5, interior: i / 8, core: 0 }, { model: [a!, 0] }), 0],
    ])
    const all: Readonly<Record<string, Output>> = {
      ...models,
      ...{ clip: [a!, 1], clip_a: [a!, 1], clip_b: [b!, 1] },
      ...Object.fromEntries([...masks, ...gradients]),
    }
    const links = Object.keys(CLASSES.get(type)!.links)
    const node = flow.add(type, values, Object.fromEntries(links.map((name) => [name, all[name]!])))
    const merges = { model_a: all['model_a']!, model_b: all['model_b']! }
    const last = /Mask/.test(type)
      ? flow.add('DM_BlockModelMerger', { ...PARTS, method: 'comfy' }, { ...merges, model_mask: [node, 0] })
      : /Gradient/.test(type)
        ? flow.add('DM_AdvancedModelMerger', { method: 'comfy' }, { ...merges, gradient: [node, 0] })
        : node
    const isClip = type === 'DM_DareClipMerger'
    flow.add(
      'CheckpointSave',
      { filename_prefix: 'out' },
      {
        model: isClip ? [a!, 0] : [last, 0],
        clip: isClip ? [last, 0] : type === 'DM_LoRALoaderTags' ? [last, 1] : [a!, 1],
        vae: [a!, 2],
      },
    )
    const { steps } = recipeOf(flow.api())
    return steps
  }

  test.each(HEAD)('%s', (type) => {
    const { widgets } = CLASSES.get(type)!
    const list = typeof widgets === 'function' ? widgets(EMPTY) : widgets
    const values = Object.fromEntries(list.map((widget, i) => [widget[0], changed(type, widget, i)]))
    const whole = recipeWith(type, values)
    const silent = list.flatMap(([name, usual]) => {
      const other = name === 'lora_name' ? 'oil.safetensors' : typeof usual === 'boolean' ? !usual : usual
      return JSON.stringify(recipeWith(type, { ...values, [name]: other })) === JSON.stringify(whole) ? [name] : []
    })
    expect(silent).toEqual(WITHOUT_EFFECT[type] ?? [])
  })
})
