import { describe, expect, test } from 'vitest'
import { fileOf, keysOf, mapOf, numbered, readCases, type GoldenCase } from '../../golden/case.js'
import { evaluateRecipe } from '../../support/evaluate.js'
import {
  compareFile,
  type PlainFile,
  type PlainRecipe,
  type PlainTensor,
  type RecipeRun,
} from '../../support/recipe-run.js'
import { createWorkflow, recipeOf, type Output, type TestWorkflow, type WidgetValue } from '../../support/workflows.js'

type Widgets = Readonly<Record<string, WidgetValue>>
type Step = Readonly<Record<string, unknown>>

const cases = readCases().filter((c) => c.id.startsWith('daremerge.'))
const ofOp = (op: string, pick: (c: GoldenCase) => boolean = () => true): readonly GoldenCase[] =>
  cases.filter((c) => c.op === op && pick(c))

const filled = (shape: readonly number[], value: number): PlainTensor => ({
  dtype: 'f32',
  shape,
  values: Array.from({ length: shape.reduce((n, d) => n * d, 1) }, () => value),
})

/** What a U-Net is told by, and a tensor in each of its blocks, since a rule must select something. */
const skeleton = (context: number, blocks: number, more: Readonly<Record<string, readonly number[]>> = {}): PlainFile =>
  Object.fromEntries(
    Object.entries({
      'input_blocks.0.0.weight': [320],
      'out.2.weight': [1],
      'input_blocks.4.1.transformer_blocks.0.attn2.to_k.weight': [1, context],
      'time_embed.0.weight': [1],
      ...Object.fromEntries(
        ['input_blocks', 'output_blocks'].flatMap((stem) =>
          Array.from({ length: blocks }, (_, i) => [`${stem}.${i}.0.in_layers.2.bias`, [1]] as const),
        ),
      ),
      ...Object.fromEntries([0, 1, 2].map((i) => [`middle_block.${i}.in_layers.2.bias`, [1]])),
      ...Object.fromEntries(
        ['norm1', 'attn1.to_out.0', 'ff.net.2'].map((part) => [
          `input_blocks.1.1.transformer_blocks.0.${part}.bias`,
          [1],
        ]),
      ),
      ...more,
    }).map(([name, shape]) => [`diffusion_model.${name}`, filled(shape, 1)]),
  )

const TELLING = skeleton(768, 12)

const asUNet = (file: PlainFile): PlainFile => ({ ...TELLING, ...file })

const renamed = (file: PlainFile, names: ReadonlyMap<string, string>): PlainFile =>
  Object.fromEntries(Object.entries(file).map(([name, tensor]) => [names.get(name) ?? name, tensor]))

/** A workflow over the diffusion models `a` and `b`, of which the last node's result is saved. */
const workflowOf = (build: (flow: TestWorkflow, a: Output, b: Output) => string): TestWorkflow => {
  const flow = createWorkflow()
  const [a, b] = ['a', 'b'].map((name): Output => [
    flow.add('UNETLoader', { unet_name: `${name}.safetensors`, weight_dtype: 'default' }),
    0,
  ])
  const last = build(flow, a!, b!)
  flow.add('ModelSave', { filename_prefix: 'out' }, { model: [last, 0] })
  return flow
}

/** The recipe of a workflow, which must be the same whether values have names or an order. */
const imported = (flow: TestWorkflow): PlainRecipe => {
  const recipe = recipeOf(flow.api())
  expect(recipeOf(flow.ui())).toEqual(recipe)
  return recipe
}

/** The names of the steps with an operator. */
const stepsOf = (recipe: PlainRecipe, op: string): readonly string[] =>
  Object.keys(recipe.steps).filter((name) => recipe.steps[name]!['op'] === op)

/** A recipe with more files, and some steps given other keys: what workflows cannot hold, such as masks in files. */
const changed = (
  recipe: PlainRecipe,
  files: readonly string[],
  change: (op: string, step: Step) => Step | undefined,
): PlainRecipe => ({
  ...recipe,
  models: { ...recipe.models, ...Object.fromEntries(files.map((name) => [name, `${name}.safetensors`])) },
  steps: {
    ...Object.fromEntries(
      files.filter((f) => f !== 'noise').map((name) => [`${name}_mask`, { op: 'mask.load', file: name }]),
    ),
    ...Object.fromEntries(
      Object.entries(recipe.steps).map(([name, step]) => [name, change(String(step['op']), step) ?? step]),
    ),
  },
})

/** Runs a recipe in the interpreter, and finds nothing wrong with its result. */
const expectResult = (
  recipe: PlainRecipe,
  files: Readonly<Record<string, PlainFile>>,
  expected: PlainFile,
  tolerance: RecipeRun['tolerance'] = { rtol: 1e-6, atol: 1e-6 },
): void => {
  const paths = new Map(Object.entries(recipe.models))
  const byPath = Object.fromEntries([...paths].map(([name, path]) => [path, files[name]!]))
  const result = evaluateRecipe(recipe, byPath)
  expect(result.diagnostics.filter((d) => d.severity === 'error').map((d) => d.message)).toEqual([])
  if (result.type === 'failed') return
  const [found] = Object.values(result.value)
  const own = Object.fromEntries(
    Object.entries(found!).filter(([name]) => name in expected || !(name in TELLING || name in SDXL)),
  )
  const run: RecipeRun = { files: byPath, recipe, expect: { out: expected }, tolerance }
  expect(compareFile(run, expected, own)).toEqual([])
}

const METHODS: Readonly<Record<string, string>> = { blend: 'comfy', blend_after: 'comfy' }
const methodOf = (c: GoldenCase): string => METHODS[String(c.params['method'])] ?? String(c.params['method'])
const TIES: Readonly<Record<string, string>> = { none: 'off', layer_sum: 'sum', layer_count: 'count' }

const dareWidgets = (c: GoldenCase): Widgets => ({
  drop_rate: c.params['drop_rate'] as number,
  ties: TIES[String(c.params['sign_filter'])]!,
  rescale: c.params['rescale'] === true ? 'on' : 'off',
  seed: 17,
  method: methodOf(c),
  iterations: c.params['iterations'] as number,
})

/** The mask of a case comes from a node that a file replaces. */
const withMask = (c: GoldenCase, flow: TestWorkflow, a: Output): Readonly<Record<string, Output>> =>
  Object.keys(fileOf(c.inputs, 'mask')).length === 0
    ? {}
    : {
        model_mask: [
          flow.add('DM_SimpleMasker', { operation: 'true', arg_one: 0, arg_two: 0, seed: 1 }, { model: a }),
          0,
        ],
      }

const replaceMask = (op: string): Step | undefined =>
  op === 'mask.fill' ? { op: 'mask.load', file: 'mask' } : undefined

/** The files of a case under names of a U-Net; all that are not masks have what tells it. */
const filesOf = (
  c: GoldenCase,
  roles: readonly string[],
  names: ReadonlyMap<string, string> = new Map(),
): Record<string, PlainFile> =>
  Object.fromEntries(
    roles.map((role) => {
      const file = renamed(fileOf(c.inputs, role), names)
      return [role, /^(a|b)$/.test(role) ? asUNet(file) : file]
    }),
  )

/** Where the tensors of a case stand, so that each gets its number: one in each part of a U-Net. */
const PLACES = ['input_blocks.1', 'middle_block.1', 'output_blocks.4'].map(
  (block) => `diffusion_model.${block}.1.transformer_blocks.0.attn1.to_q.weight`,
)
const PARTS = ['input', 'middle', 'output'] as const

const placesOf = (c: GoldenCase): ReadonlyMap<string, string> =>
  new Map(Object.keys(fileOf(c.inputs, 'a')).map((name, i) => [name, PLACES[i]!]))

/** The share of A that each part keeps. */
const keepByPart = (c: GoldenCase): Readonly<Record<(typeof PARTS)[number], number>> => {
  const weights = c.params['weight_b'] as Readonly<Record<string, number>>
  const names = Object.keys(fileOf(c.inputs, 'a'))
  const keep = PARTS.map((_, i) => Number((1 - (weights[names[i] ?? ''] ?? 0.875)).toFixed(9)))
  return { input: keep[0]!, middle: keep[1]!, output: keep[2]! }
}

const resultOf = (c: GoldenCase, names: ReadonlyMap<string, string> = new Map()): PlainFile =>
  renamed(fileOf(c.expected, 'result'), names)

describe('Model Merger (Block) gives the reference numbers of', () => {
  test.each(ofOp('block_merge').map((c) => [c.id, c] as const))('%s', (_, c) => {
    const weights = c.params['weight_b'] as Readonly<Record<string, number>>
    const numbers = Object.fromEntries(
      ['time', 'label', 'input', 'middle', 'output', 'out'].map((part) => [part, 1 - weights[part]!]),
    )
    const flow = workflowOf((f, a, b) =>
      f.add(
        'DM_BlockModelMerger',
        { ...numbers, method: methodOf(c) },
        { model_a: a, model_b: b, ...withMask(c, f, a) },
      ),
    )
    const roles = ['a', 'b', ...(Object.keys(fileOf(c.inputs, 'mask')).length > 0 ? ['mask'] : [])]
    const recipe = changed(imported(flow), roles.slice(2), replaceMask)
    // What belongs to no part of the U-Net is not in its file.
    const [expected, files] = [resultOf(c), filesOf(c, roles)]
    expectResult(recipe, files, expected, c.tolerance)
  })
})

describe('DARE merges give the reference numbers of', () => {
  const plain = ofOp('dare_merge', (c) => !c.id.includes('text-encoder') && c.params['method'] !== 'hslerp')
  const nodes: Readonly<
    Record<string, (c: GoldenCase, flow: TestWorkflow, links: Readonly<Record<string, Output>>) => string>
  > = {
    DM_DareModelMergerBlock: (c, flow, links) =>
      flow.add(
        'DM_DareModelMergerBlock',
        { ...dareWidgets(c), time: 0.1, label: 0.2, ...keepByPart(c), out: 0.3 },
        links,
      ),
    DM_AdvancedDareModelMerger: (c, flow, links) => {
      const gradient = flow.add(
        'DM_BlockGradient',
        { time: 0.1, label: 0.2, ...keepByPart(c), out: 0.3 },
        { model: links['model_a']! },
      )
      return flow.add('DM_AdvancedDareModelMerger', dareWidgets(c), { ...links, gradient: [gradient, 0] })
    },
    DM_DareModelMergerMBW: (c, flow, links) => {
      const keep = keepByPart(c)
      const blocks = (stem: string, count: number, at: number, value: number): Widgets =>
        Object.fromEntries(Array.from({ length: count }, (_, i) => [`${stem}.${i}`, i === at ? value : 0.5 + i / 64]))
      const numbers = {
        time: 0.1,
        label: 0.5,
        ...blocks('input_blocks', 12, 1, keep.input),
        ...blocks('middle_block', 3, 1, keep.middle),
        ...blocks('output_blocks', 12, 4, keep.output),
        out: 0.3,
      }
      return flow.add('DM_DareModelMergerMBW', { ...numbers, ...dareWidgets(c) }, links)
    },
    DM_DareModelMergerElement: (c, flow, links) => {
      // Their places are in the exterior, the core and the interior.
      const { input, middle, output } = keepByPart(c)
      const shells = { exterior: input * 2, interior: output * 2, core: middle * 2 }
      const kinds = {
        process_norm: false,
        process_attn: true,
        process_ff_net: false,
        norm: 0.3,
        attn: 0.5,
        ff_net: 0.7,
      }
      return flow.add('DM_DareModelMergerElement', { ...dareWidgets(c), ...shells, ...kinds }, links)
    },
  }
  const table = Object.entries(nodes).flatMap(([node, add]) =>
    plain.map((c) => [`${c.id} by ${node}`, c, add] as const),
  )
  test.each(table)('%s', (_, c, add) => {
    const flow = workflowOf((f, a, b) => add(c, f, { model_a: a, model_b: b, ...withMask(c, f, a) }))
    const kept = numbered(c.inputs, 'keep_')
    const roles = ['a', 'b', ...kept, ...(Object.keys(fileOf(c.inputs, 'mask')).length > 0 ? ['mask'] : [])]
    const recipe = changed(imported(flow), roles.slice(2), (op, step) =>
      op === 'merge.dare' ? { ...step, kept: kept.map((role) => `${role}_mask`) } : replaceMask(op),
    )
    // Draws are for every tensor of the U-Net: those that only tell it are all kept, and equal in both models.
    const names = placesOf(c)
    const all = filesOf(c, roles, names)
    for (const role of kept)
      all[role] = {
        ...all[role],
        ...Object.fromEntries(Object.entries(TELLING).map(([name, t]) => [name, { ...t, dtype: 'bool' as const }])),
      }
    expectResult(recipe, all, resultOf(c, names), c.tolerance)
  })

  test('text encoders', () => {
    const [c] = ofOp('dare_merge', ({ id }) => id.includes('text-encoder'))
    const flow = createWorkflow()
    const [a, b] = ['a', 'b'].map((name): Output => [
      flow.add('CLIPLoader', { clip_name: `${name}.safetensors`, type: 'sd', device: 'cpu' }),
      0,
    ])
    const { drop_rate, ties, rescale, seed, method, iterations } = dareWidgets(c!)
    const weights = c!.params['weight_b'] as Readonly<Record<string, number>>
    const merged = flow.add(
      'DM_DareClipMerger',
      {
        ties: ties!,
        rescale: rescale!,
        ratio: 1 - weights['te.a.weight']!,
        drop_rate: drop_rate!,
        seed: seed!,
        method: method!,
        iterations: iterations!,
      },
      { clip_a: a!, clip_b: b! },
    )
    flow.add('CLIPSave', { filename_prefix: 'out' }, { clip: [merged, 0] })
    const kept = numbered(c!.inputs, 'keep_')
    const recipe = changed(imported(flow), kept, (op, step) =>
      op === 'merge.dare' ? { ...step, kept: kept.map((role) => `${role}_mask`) } : undefined,
    )
    const files = Object.fromEntries(['a', 'b', ...kept].map((role) => [role, fileOf(c!.inputs, role)]))
    expectResult(recipe, files, resultOf(c!), c!.tolerance)
  })
})

describe('Model Merger (Advanced) gives the reference numbers of', () => {
  test.each(ofOp('masked_merge', (c) => !c.id.includes('missing')).map((c) => [c.id, c] as const))('%s', (_, c) => {
    const flow = workflowOf((f, a, b) => {
      const gradient = f.add('DM_BlockGradient', { time: 0.1, label: 0.2, ...keepByPart(c), out: 0.3 }, { model: a })
      return f.add(
        'DM_AdvancedModelMerger',
        { method: methodOf(c) },
        { model_a: a, model_b: b, gradient: [gradient, 0], ...withMask(c, f, a) },
      )
    })
    const roles = ['a', 'b', ...(Object.keys(fileOf(c.inputs, 'mask')).length > 0 ? ['mask'] : [])]
    const names = placesOf(c)
    expectResult(
      changed(imported(flow), roles.slice(2), replaceMask),
      filesOf(c, roles, names),
      resultOf(c, names),
      c.tolerance,
    )
  })

  test('cosine, which runs from B to A there', () => {
    for (const c of ofOp('cosine_interp', (x) => 'upstream' in x)) {
      const upstream = (c as unknown as { readonly upstream: GoldenCase['expected'] }).upstream
      const names = new Map([['x', PLACES[0]!]])
      const keep = 1 - (c.params['t'] as number)
      const flow = workflowOf((f, a, b) =>
        f.add(
          'DM_BlockModelMerger',
          { time: 0.1, label: 0.2, input: keep, middle: 0.4, output: 0.5, out: 0.6, method: 'cosine' },
          { model_a: a, model_b: b },
        ),
      )
      expectResult(
        imported(flow),
        filesOf(c, ['a', 'b'], names),
        renamed(fileOf(upstream, 'result'), names),
        c.tolerance,
      )
    }
  })
})

/** A merge that shows a gradient: numbers w give 1025 − 1024·w, and tensors without one stay 1. */
const showing = (gradient: (flow: TestWorkflow, a: Output) => string): TestWorkflow =>
  workflowOf((f, a, b) =>
    f.add('DM_AdvancedModelMerger', { method: 'comfy' }, { model_a: a, model_b: b, gradient: [gradient(f, a), 0] }),
  )

const shown = (names: readonly string[], numbers: Readonly<Record<string, number>>): PlainFile =>
  Object.fromEntries(names.map((name) => [name, filled([1], name in numbers ? 1025 - 1024 * numbers[name]! : 1)]))

const flat = (names: readonly string[], value: number): PlainFile =>
  Object.fromEntries(names.map((name) => [name, filled([1], value)]))

const SDXL = skeleton(2048, 9, {
  'label_emb.0.0.weight': [1],
  'input_blocks.8.1.transformer_blocks.9.attn2.to_k.weight': [1],
})

const nullable = (c: GoldenCase, key: string): number => (c.params[key] as number | null) ?? 0.875
const kindsOf = (c: GoldenCase): Widgets => ({
  process_norm: c.params['norm'] !== null,
  process_attn: c.params['attn'] !== null,
  process_ff_net: c.params['ff'] !== null,
  norm: nullable(c, 'norm'),
  attn: nullable(c, 'attn'),
  ff_net: nullable(c, 'ff'),
})
const given = (c: GoldenCase, ...keys: readonly string[]): Widgets =>
  Object.fromEntries(keys.map((key) => [key, c.params[key] as number]))
const SHELLS = ['exterior', 'interior', 'core'] as const
const MBW = [
  'time',
  'label',
  ...list('input_blocks', 12),
  ...list('middle_block', 3),
  ...list('output_blocks', 12),
  'out',
]
/** Numbers for blocks that the model does not have are those that most blocks have, which need no rule. */
const mbwOf = (c: GoldenCase): Widgets => {
  const isXL = keysOf(c.inputs['keys']).some((n) => n.includes('input_blocks.8.1.transformer_blocks.9.'))
  const absent = MBW.filter((key) => isXL && /(9|10|11)$/.test(key))
  return { ...given(c, ...MBW), ...Object.fromEntries(absent.map((key) => [key, 0.123])) }
}
function list(stem: string, count: number): readonly string[] {
  return Array.from({ length: count }, (_, i) => `${stem}.${i}`)
}

describe('gradients give the reference numbers of', () => {
  const nodes: readonly (readonly [GoldenCase, (flow: TestWorkflow, a: Output) => string])[] = [
    ...ofOp('gradient_block').map(
      (c) =>
        [
          c,
          (f: TestWorkflow, a: Output) =>
            f.add('DM_BlockGradient', given(c, 'time', 'label', 'input', 'middle', 'output', 'out'), { model: a }),
        ] as const,
    ),
    ...ofOp('gradient_mbw', (c) => MBW.every((key) => c.params[key] !== undefined)).map(
      (c) => [c, (f: TestWorkflow, a: Output) => f.add('DM_MBWGradient', mbwOf(c), { model: a })] as const,
    ),
    ...ofOp('gradient_shell').map(
      (c) => [c, (f: TestWorkflow, a: Output) => f.add('DM_ShellGradient', given(c, ...SHELLS), { model: a })] as const,
    ),
    ...ofOp('gradient_element', (c) => c.params['norm_scope'] === 'transformer').map(
      (c) => [c, (f: TestWorkflow, a: Output) => f.add('DM_AttentionGradient', kindsOf(c), { model: a })] as const,
    ),
    ...ofOp('gradient_shell_element').map(
      (c) =>
        [
          c,
          (f: TestWorkflow, a: Output) => {
            const [shells, kinds] = [
              f.add('DM_ShellGradient', given(c, ...SHELLS), { model: a }),
              f.add('DM_AttentionGradient', kindsOf(c), { model: a }),
            ]
            return f.add(
              'DM_GradientOperations',
              { operation: 'multiply', join: 'inner' },
              { gradient_a: [shells, 0], gradient_b: [kinds, 0] },
            )
          },
        ] as const,
    ),
  ]
  test.each(nodes.map(([c, add]) => [c.id, c, add] as const))('%s', (_, c, add) => {
    const names = keysOf(c.inputs['keys'])
    const telling =
      c.params['arch'] === 'sdxl' || names.some((n) => n.includes('input_blocks.8.1.transformer_blocks.9.'))
        ? SDXL
        : TELLING
    const [a, b] = [1, 1025].map((value) => ({ ...flat(names, value), ...telling }))
    const expected = Object.fromEntries(
      Object.entries(shown(names, mapOf(c.expected['value'], c.inputs))).filter(([name]) => !(name in telling)),
    )
    expectResult(imported(showing(add)), { a: a!, b: b! }, expected, { rtol: 1e-6, atol: 1e-3 })
  })
})

/** Shows what a step makes in place of what the workflow saves. */
const showingStep = (recipe: PlainRecipe, step: string): PlainRecipe => ({
  ...recipe,
  outputs: { out: { from: step, path: 'out.safetensors' } },
})

const IN_UNET = new Map(['x', 'y', 'z'].map((name, i) => [name, PLACES[i]!]))

/** A mask of a case, which says nothing of the tensors that only tell the U-Net. */
const expectMask = (
  recipe: PlainRecipe,
  step: string,
  files: Readonly<Record<string, PlainFile>>,
  expected: PlainFile,
): void => {
  const paths = Object.entries(recipe.models).map(([name, path]) => [path, files[name]!] as const)
  const result = evaluateRecipe(showingStep(recipe, step), Object.fromEntries(paths))
  expect(result.diagnostics.map((d) => d.message)).toEqual([])
  const found = result.type === 'ok' ? result.value['out']! : {}
  for (const [name, { values }] of Object.entries(expected)) expect([name, found[name]?.values]).toEqual([name, values])
  for (const [name, { values }] of Object.entries(found))
    if (!(name in expected) && !(name in TELLING)) expect([name, values.some((x) => x !== 0)]).toEqual([name, false])
}

const masked = (mask: (flow: TestWorkflow, a: Output, b: Output) => string): TestWorkflow =>
  workflowOf((f, a, b) =>
    f.add(
      'DM_BlockModelMerger',
      { time: 0.1, label: 0.2, input: 0.3, middle: 0.4, output: 0.5, out: 0.6, method: 'lerp' },
      { model_a: a, model_b: b, model_mask: [mask(f, a, b), 0] },
    ),
  )

describe('masks give the reference numbers of', () => {
  test.each(ofOp('magnitude_mask').map((c) => [c.id, c] as const))('%s', (_, c) => {
    const widgets = {
      threshold: c.params['quantile'] as number,
      threshold_type: 'quantile',
      select: c.params['select'] as string,
    }
    const recipe = imported(masked((f, a, b) => f.add('DM_MagnitudeMasker', widgets, { model_a: a, model_b: b })))
    const names = new Map(Object.keys(fileOf(c.inputs, 'a')).map((name, i) => [name, PLACES[i]!]))
    const files = Object.fromEntries(['a', 'b'].map((role) => [role, asUNet(renamed(fileOf(c.inputs, role), names))]))
    expectMask(recipe, stepsOf(recipe, 'mask.magnitude')[0]!, files, renamed(fileOf(c.expected, 'mask'), names))
  })

  const OPERATIONS: Readonly<Record<string, string>> = {
    mask_union: 'union',
    mask_intersect: 'intersect',
    mask_difference: 'difference',
    mask_xor: 'xor',
  }
  const sets = Object.entries(OPERATIONS).flatMap(([op, operation]) =>
    ofOp(op).map((c) => [c.id, operation, c] as const),
  )
  test.each(sets)('%s', (_, operation, c) => {
    const flow = masked((f, a, b) => {
      const one = f.add('DM_SimpleMasker', { operation: 'true', arg_one: 0.5, arg_two: 0.5, seed: 5 }, { model: a })
      const two = f.add('DM_SimpleMasker', { operation: 'false', arg_one: 0.5, arg_two: 0.5, seed: 5 }, { model: b })
      return f.add('DM_MaskOperations', { operation }, { mask_a: [one, 0], mask_b: [two, 0] })
    })
    let masks = 0
    const recipe = changed(imported(flow), ['m1', 'm2'], (op) =>
      op === 'mask.fill' ? { op: 'mask.load', file: `m${++masks}` } : undefined,
    )
    const step = Object.keys(recipe.steps).find((name) =>
      /^mask\.(union|intersection|difference|xor)$/.test(String(recipe.steps[name]!['op'])),
    )!
    const files = {
      a: asUNet({}),
      b: asUNet({}),
      m1: renamed(fileOf(c.inputs, 'a'), IN_UNET),
      m2: renamed(fileOf(c.inputs, 'b'), IN_UNET),
    }
    expectMask(recipe, step, files, renamed(fileOf(c.expected, 'result'), IN_UNET))
  })

  test.each(ofOp('mask_edit').map((c) => [c.id, c] as const))('%s', (_, c) => {
    const layers = c.params['upstream_text'] as string
    const flow = masked((f, a) => {
      const from = f.add('DM_SimpleMasker', { operation: 'true', arg_one: 0, arg_two: 0, seed: 1 }, { model: a })
      return f.add(
        'DM_MaskEdit',
        { operation: c.params['operation'] as string, arg_one: 0.5, arg_two: 0.5, seed: 5, layers },
        { mask: [from, 0] },
      )
    })
    const recipe = changed(imported(flow), ['mask'], replaceMask)
    const files = { a: asUNet({}), b: asUNet({}), mask: fileOf(c.inputs, 'mask') }
    expectMask(recipe, stepsOf(recipe, 'mask.edit')[0]!, files, fileOf(c.expected, 'mask'))
  })

  test('random draws, as often true as the nodes make them', () => {
    const numbers: PlainFile = { [PLACES[0]!]: filled([64, 64], 1) }
    const share = (operation: string, arg_one: number): number => {
      const flow = masked((f, a) =>
        f.add('DM_SimpleMasker', { operation, arg_one, arg_two: 0.5, seed: 5 }, { model: a }),
      )
      const recipe = imported(flow)
      const file = asUNet(numbers)
      const result = evaluateRecipe(
        showingStep(recipe, stepsOf(recipe, 'mask.fill')[0]!),
        Object.fromEntries(Object.values(recipe.models).map((path) => [path, file])),
      )
      const { values } = result.type === 'ok' ? result.value['out']![PLACES[0]!]! : { values: [] }
      return values.reduce((n, x) => n + x, 0) / values.length
    }
    expect(share('random', 0.75)).toBeCloseTo(0.25, 1)
    expect(share('gaussian', 0.9)).toBeCloseTo(0.5, 1)
    expect([share('true', 0.9), share('false', 0.1)]).toEqual([1, 0])
  })

  test('the four quarters, of which every number is in one', () => {
    const quarters = [0, 1, 2, 3].map((slot) => {
      const flow = workflowOf((f, a, b) => {
        const quad = f.add('DM_QuadMasker', { seed: 9 }, { model: a })
        return f.add(
          'DM_BlockModelMerger',
          { time: 1, label: 1, input: 0, middle: 0, output: 0, out: 0, method: 'comfy' },
          { model_a: a, model_b: b, model_mask: [quad, slot] },
        )
      })
      const recipe = imported(flow)
      const files = [0, 1].map((value) => asUNet({ [PLACES[0]!]: filled([100], value) }))
      const result = evaluateRecipe(
        recipe,
        Object.fromEntries(Object.values(recipe.models).map((path, i) => [path, files[i]!])),
      )
      return result.type === 'ok' ? Object.values(result.value)[0]![PLACES[0]!]!.values : []
    })
    for (let i = 0; i < 100; i++) expect(quarters.map((q) => q[i]!).reduce((x, y) => x + y)).toBe(1)
  })
})

describe('edited and combined gradients give the reference numbers of', () => {
  const withMaps = (recipe: PlainRecipe, op: string, maps: Step): PlainRecipe =>
    changed(recipe, [], (own, step) => (own === op ? { ...step, ...maps } : undefined))
  const run = (c: GoldenCase, recipe: PlainRecipe, maps: readonly Readonly<Record<string, number>>[]): void => {
    const names = [...new Set(maps.flatMap((map) => Object.keys(map)))]
    const expected = c.expected['value']!
    // Names that no U-Net has: what they are a part of is not asked, and the merge takes them all.
    const open = changed(recipe, [], (op, step) => (op === 'merge.blend' ? { ...step, layers: '*' } : undefined))
    const files = { a: flat(names, 1), b: flat(names, 1025) }
    if (!('type' in expected && expected.type === 'error'))
      return expectResult(open, files, shown(names, mapOf(expected, c.inputs)), { rtol: 1e-6, atol: 1e-3 })
    const result = evaluateRecipe(
      open,
      Object.fromEntries(Object.entries(open.models).map(([name, path]) => [path, files[name as 'a']])),
    )
    expect(result.type).toBe('failed')
  }
  const two = (f: TestWorkflow, a: Output): readonly [Output, Output] => [
    [f.add('DM_ShellGradient', { exterior: 0.1, interior: 0.2, core: 0.3 }, { model: a }), 0],
    [
      f.add(
        'DM_BlockGradient',
        { time: 0.1, label: 0.2, input: 0.3, middle: 0.4, output: 0.5, out: 0.6 },
        { model: a },
      ),
      0,
    ],
  ]

  test.each(ofOp('gradient_combine').map((c) => [c.id, c] as const))('%s', (_, c) => {
    const recipe = imported(
      showing((f, a) => {
        const [x, y] = two(f, a)
        return f.add(
          'DM_GradientOperations',
          { operation: c.params['operation'] as string, join: c.params['join'] as string },
          { gradient_a: x, gradient_b: y },
        )
      }),
    )
    const maps = ['a', 'b'].map((key) => mapOf(c.inputs[key], c.inputs))
    run(c, withMaps(recipe, 'weights.combine', { a: maps[0], b: maps[1] }), maps)
  })

  test.each(ofOp('gradient_edit').map((c) => [c.id, c] as const))('%s', (_, c) => {
    const widgets = {
      operation: c.params['operation'] as string,
      value: c.params['value'] as number,
      layers: c.params['upstream_text'] as string,
    }
    const recipe = imported(showing((f, a) => f.add('DM_GradientEdit', widgets, { gradient: two(f, a)[0] })))
    const map = mapOf(c.inputs['map'], c.inputs)
    run(c, withMaps(recipe, 'weights.edit', { weights: map }), [map])
  })
})

describe('nodes that change one model give the reference numbers of', () => {
  const ATTENTION = 'diffusion_model.input_blocks.1.1.transformer_blocks.0.attn1.'
  const inAttention = (file: PlainFile): ReadonlyMap<string, string> =>
    new Map(Object.keys(file).map((name) => [name, name.startsWith('diffusion_model.') ? name : ATTENTION + name]))
  const normalized = [
    ...ofOp('normalize_attention', (c) => c.params['variant'] === 'upstream').map(
      (c) => [c.id, 'attn_only', c] as const,
    ),
    ...ofOp('normalize_attention', (c) => c.params['variant'] === 'compensated').map(
      (c) => [c.id, 'q_norm', c] as const,
    ),
    ...ofOp('normalize_weight', (c) => c.params['variant'] === 'bias_scaled').map((c) => [c.id, 'all', c] as const),
  ]
  test.each(normalized)('%s', (_, method, c) => {
    const magnify = c.params['magnify'] === true ? 'on' : 'off'
    const recipe = imported(
      workflowOf((f, a, b) => f.add('DM_NormalizeModel', { method, magnify }, { model_a: a, model_b: b })),
    )
    const files = Object.fromEntries(
      ['a', 'b'].map((role) => [role, asUNet(renamed(fileOf(c.inputs, role), inAttention(fileOf(c.inputs, role))))]),
    )
    // Norms of tensors that only tell the U-Net are equal in both, so they stay; those of the attention are the case's.
    for (const name of Object.keys(TELLING).filter((n) => n.startsWith(ATTENTION)))
      for (const role of ['a', 'b'])
        if (!(name.slice(ATTENTION.length) in fileOf(c.inputs, role)))
          delete (files[role] as Record<string, PlainTensor>)[name]
    const expected = fileOf(c.expected, 'result')
    expectResult(recipe, files, renamed(expected, inAttention(expected)), c.tolerance)
  })

  test.each(ofOp('add_noise').map((c) => [c.id, c] as const))('%s', (_, c) => {
    const weight = c.params['weight_noise'] as number
    const hasMask = Object.keys(fileOf(c.inputs, 'mask')).length > 0
    const widgets = {
      operation: 'random',
      ratio: 1 - weight,
      mean: 0.3,
      std: 0.2,
      seed: 5,
      layers: '*.x',
      method: methodOf(c),
    }
    const recipe = imported(workflowOf((f, a) => f.add('DM_InjectNoise', widgets, { model: a, ...withMask(c, f, a) })))
    const withNoise = changed(recipe, ['noise', ...(hasMask ? ['mask'] : [])], (op, step) =>
      op === 'model.noise' ? { ...step, noise: 'noise' } : replaceMask(op),
    )
    const files = {
      a: asUNet(fileOf(c.inputs, 'a')),
      noise: fileOf(c.inputs, 'noise'),
      ...(hasMask ? { mask: fileOf(c.inputs, 'mask') } : {}),
    }
    expectResult(withNoise, files, fileOf(c.expected, 'result'), c.tolerance)
  })
})
