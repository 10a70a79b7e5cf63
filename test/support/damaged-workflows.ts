import { expect } from 'vitest'
import { createWorkflow, importJson, type Output, type TestWorkflow } from './workflows.js'

/** A workflow that merges two checkpoints, saves the result and samples with it; `mode` is that of the node that saves. */
export const merging = (mode: number): TestWorkflow => {
  const flow = createWorkflow()
  const [a, b] = ['a', 'b'].map((name) => flow.add('CheckpointLoaderSimple', { ckpt_name: `${name}.safetensors` }))
  const merged = flow.add('ModelMergeSimple', { ratio: 0.25 }, { model1: [a!, 0], model2: [b!, 0] })
  const prompt = flow.add('CLIPTextEncode', { text: 'x' }, { clip: [b!, 1] })
  flow.add('KSampler', { seed: 1 }, { model: [merged, 0], positive: [prompt, 0] })
  flow.add(
    'CheckpointSave',
    { filename_prefix: 'saved' },
    { model: [merged, 0], clip: [a!, 1], vae: [a!, 2] },
    { mode },
  )
  return flow
}

/** Random numbers that are the same in every run. */
const randomFrom = (seed: number): (() => number) => {
  let state = seed
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 32
  }
}

/** A workflow with nodes of all kinds, some of them in a subgraph. */
export const varied = (): TestWorkflow => {
  const flow = merging(0)
  const [a, b]: readonly Output[] = [
    ['1', 0],
    ['2', 0],
  ]
  const shells = flow.add('DM_ShellGradient', { exterior: 0.1, interior: 0.2, core: 0.3 }, { model: a! })
  const edited = flow.add(
    'DM_GradientEdit',
    { operation: 'add', value: 0.1, layers: '*.attn1.*,diffusion_model.out' },
    { gradient: [shells, 0] },
  )
  const quarters = flow.add('DM_QuadMasker', { seed: 3 }, { model: a! })
  const dare = flow.add(
    'DM_AdvancedDareModelMerger',
    { drop_rate: 0.5, ties: 'sum', rescale: 'off', seed: 1, method: 'slerp', iterations: 2 },
    { model_a: a!, model_b: b!, gradient: [edited, 0], model_mask: [quarters, 2] },
  )
  const lora = flow.add(
    'LoraLoader',
    { lora_name: 'x.safetensors', strength_model: 1, strength_clip: 0.5 },
    { model: [dare, 0], clip: ['1', 1] },
  )
  const difference = flow.add('ModelMergeSubtract', { multiplier: 1 }, { model1: b!, model2: a! })
  const sum = flow.add('ModelMergeAdd', {}, { model1: [difference, 0], model2: [lora, 0] })
  const reroute = flow.add('Reroute', {}, { '': [sum, 0] })
  flow.add('CheckpointSave', { filename_prefix: 'x' }, { model: [reroute, 0], clip: [lora, 1], vae: ['2', 2] })
  return flow
}

/**
 * Imports damaged workflows: none may crash or hang, and no path may lead out of the folders. Gives how many still made
 * a recipe.
 */
export const importDamaged = (count: number, seed: number): number => {
  const random = randomFrom(seed)
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)]!
  const odd = [
    null,
    -1,
    0,
    1e308,
    '',
    '..',
    '../../x',
    '1',
    [],
    {},
    ['1', 0],
    [['1', 0]],
    true,
    'randomize',
    'Reroute',
    4,
    2,
    -10,
  ]
  /** Changes one place somewhere in a value. */
  const damage = (value: unknown): unknown => {
    if (Array.isArray(value) && value.length > 0 && random() < 0.85) {
      const at = Math.floor(random() * value.length)
      if (random() < 0.1) return value.filter((_, i) => i !== at)
      return value.map((item, i) => (i === at ? damage(item) : item))
    }
    if (typeof value === 'object' && value !== null && !Array.isArray(value) && random() < 0.9) {
      const key = pick(Object.keys(value))
      const entries = Object.entries(value)
      if (random() < 0.1) return Object.fromEntries(entries.filter(([k]) => k !== key))
      return Object.fromEntries(entries.map(([k, v]) => [k, k === key ? damage(v) : v]))
    }
    return pick(odd)
  }
  const flow = varied()
  const subgraph = { ...flow.ui(1), id: 'inner', inputs: [{ name: 'x' }], outputs: [{ name: 'y' }] }
  const nested = {
    ...flow.ui(),
    nodes: [
      ...(flow.ui()['nodes'] as unknown[]),
      { id: 99, type: 'inner', inputs: [], outputs: [], widgets_values: [1] },
    ],
    definitions: { subgraphs: [subgraph] },
  }
  const originals = [flow.api(), flow.ui(), flow.ui(1), nested]
  let recipes = 0
  for (let i = 0; i < count; i++) {
    let json: unknown = originals[i % originals.length]
    for (let n = Math.ceil(random() * 4); n > 0; n--) json = damage(json)
    try {
      const { recipe } = importJson(json)
      if (recipe === undefined) continue
      recipes++
      for (const [, path] of recipe.matchAll(/path: "?([^"\n]*)/g)) expect(path).toMatch(/^build\/(?!.*\.\.\/)/)
    } catch (error) {
      // No longer a workflow at all.
      expect(String(error)).toMatch(/not in a format that smelt can import/)
    }
  }
  return recipes
}
