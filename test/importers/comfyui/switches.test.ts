import { expect, test } from 'vitest'
import { createWorkflow, importJson, type Output, type TestWorkflow } from '../../support/workflows.js'

type Build = (flow: TestWorkflow, a: Output, b: Output) => Output

/** The first model of a step that merges what comes out of some nodes with a third one. */
const mergedModel = (build: Build, format: 'api' | 'ui'): string | undefined => {
  const flow = createWorkflow()
  const [a, b, c] = ['a', 'b', 'c'].map((name): Output => [
    flow.add('CheckpointLoaderSimple', { ckpt_name: `${name}.safetensors` }),
    0,
  ])
  const merged = flow.add(
    'ModelMergeSimple',
    { ratio: 0.25 },
    { model1: build(flow, a!, b!), model2: c! },
    { title: 'M' },
  )
  flow.add('ModelSave', { filename_prefix: 'x' }, { model: [merged, 0] })
  const { recipe } = importJson(format === 'api' ? flow.api() : flow.ui())
  return /(?<=steps:[^]* a: )\w+/.exec(recipe ?? '')?.[0]
}

const node = (flow: TestWorkflow, type: string, links: Readonly<Record<string, Output>>, slot = 0): Output => [
  flow.add(type, {}, links),
  slot,
]
const CASES: Readonly<Record<string, readonly [Build, string]>> = {
  'the first link of Any Switch': [(f, a, b) => node(f, 'Any Switch (rgthree)', { any_02: b, any_01: a }), 'a'],
  'the second, where nothing is linked to the first': [
    (f, _, b) => node(f, 'Any Switch (rgthree)', { any_02: b }),
    'b',
  ],
  'one switch behind another': [
    (f, a, b) => node(f, 'Any Switch (rgthree)', { any_01: node(f, 'Any Switch (rgthree)', {}), any_02: a, any_03: b }),
    'a',
  ],
  'the choice of ImpactSwitch': [
    (f, a, b) => [f.add('ImpactSwitch', { select: 2, sel_mode: true }, { input1: a, input2: b }), 0],
    'b',
  ],
  'the choice of a switch of Comfyroll': [
    (f, a, b) => [f.add('CR Model Input Switch', { Input: 1 }, { model1: a, model2: b }), 0],
    'a',
  ],
  'the model of a context': [(f, a) => node(f, 'Context (rgthree)', { model: a }, 1), 'a'],
  'the model of the context below': [
    (f, a, b) =>
      node(f, 'Context (rgthree)', { base_ctx: node(f, 'Context Big (rgthree)', { model: a }), vae: [b[0], 2] }, 1),
    'a',
  ],
  'the model of the first context': [
    (f, a, b) =>
      node(
        f,
        'Context Switch (rgthree)',
        {
          ctx_01: node(f, 'Context (rgthree)', { model: a }),
          ctx_02: node(f, 'Context (rgthree)', { model: b }),
        },
        1,
      ),
    'a',
  ],
}

test.each(Object.entries(CASES))('a workflow merges %s', (_, [build, model]) => {
  expect([mergedModel(build, 'api'), mergedModel(build, 'ui')]).toEqual([model, model])
})

test('Any Switch passes over what is muted', () => {
  const muted: Build = (f, a, b) => [
    f.add(
      'Any Switch (rgthree)',
      {},
      { any_01: [f.add('ModelMergeSimple', { ratio: 1 }, { model1: a, model2: a }, { mode: 2 }), 0], any_02: b },
    ),
    0,
  ]
  expect(mergedModel(muted, 'ui')).toBe('b')
})

test('a switch that a node sets is told by name, and so is one without links', () => {
  const flow = createWorkflow()
  const a = flow.add('CheckpointLoaderSimple', { ckpt_name: 'a.safetensors' })
  const set = flow.add('ImpactSwitch', {}, { select: [flow.add('RandomNumber'), 0], input1: [a, 0] })
  const empty = flow.add('Any Switch (rgthree)')
  for (const from of [set, empty]) flow.add('ModelSave', { filename_prefix: 'x' }, { model: [from, 0] })
  expect(importJson(flow.api()).missing.map((m) => m.where)).toEqual(
    expect.arrayContaining([`node ${set} (ImpactSwitch)`, `node ${empty} (Any Switch (rgthree))`]),
  )
})

test.each([[1], [4000]])('%d switches that lead back to themselves give nothing', (count) => {
  const nodes = Object.fromEntries(
    Array.from({ length: count }, (_, i) => [
      `${i}`,
      { class_type: 'Any Switch (rgthree)', inputs: { any_01: [`${(i + 1) % count}`, 0], any_02: [`${i}`, 0] } },
    ]),
  )
  const save = { class_type: 'ModelSave', inputs: { filename_prefix: 'x', model: ['0', 0] } }
  expect(importJson({ ...nodes, save }).recipe).toBeUndefined()
})
