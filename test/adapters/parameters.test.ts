import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { renderReport } from '#src/view/report/render.js'
import { inFolder } from '../support/build-run.js'
import { writeSafetensors } from '../support/write-safetensors.js'
import { buildIn } from '../run/support.js'
import { bake, f32, filled, type Bake, type Tensors } from './bake.js'

const OWNER = 'base_model.model.mlp.experts'
const GATE_UP: Tensors = {
  'lora_A.weight': f32([4, 3], 0.75, 0.25, 0, 0.5, -0.5, -0.25, -1.5, 0.5, -1, -0.5, -1, 0),
  'lora_B.weight': f32(
    [4, 4],
    ...[0.5, 1.25, 1.75, 0, 0.25, -1.5, -0.25, -0.25, -0.75, 0.25, 0.25, 1.75, 0, 1, -1.5, 2.75],
  ),
}
const DOWN: Tensors = {
  'lora_A.weight': f32([2, 2], 3.5, -1.75, 1.5, -1.25),
  'lora_B.weight': f32([3, 2], 0.25, -0.5, 1.5, 2.5, 0.5, -1),
}
const under = (module: string, tensors: Tensors): Tensors =>
  Object.fromEntries(Object.entries(tensors).map(([ending, values]) => [`${module}.${ending}`, values]))

/** As PEFT 0.21.2 saves it: each parameter's factors are below those of the next. */
const adapter: Tensors = {
  ...under(`${OWNER}.base_layer.base_layer`, GATE_UP),
  ...under(`${OWNER}.base_layer`, DOWN),
  ...under(OWNER, {
    'lora_A.weight': f32([2, 3], -1, 0.5, 0, -2.25, 0.5, -0.25),
    'lora_B.weight': f32([2, 2], 0.75, -0.25, -0.75, 0.25),
  }),
}
const config = {
  r: 2,
  lora_alpha: 3,
  rank_pattern: { 'experts.down_proj': 1 },
  target_parameters: ['experts.gate_up_proj', 'experts.down_proj', 'experts.router'],
}
const modelOf = (gateUp: readonly number[], down: readonly number[]): Tensors => ({
  'mlp.experts.gate_up_proj': filled(gateUp, 0),
  'mlp.experts.down_proj': filled(down, 0),
  'mlp.experts.router': filled([2, 3], 0),
})

/** What `merge_and_unload` makes of experts of zeros. */
const MERGED = {
  gate: [
    [1.875, -1.125, -0.65625, 0.09375, 0.28125, 0.09375, -0.65625, -0.46875, -0.09375, -1.125, 1.125, 0.5625],
    [-2.8125, 0.9375, -1.875, 3.5625, -0.75, 2.25, -1.875, -2.4375, -0.375, -4.3125, -3.375, -1.5],
  ],
  down: [
    [2.625, -1.3125, 15.75, -7.875, 5.25, -2.625],
    [-2.25, 1.875, 11.25, -9.375, -4.5, 3.75],
  ],
  router: [-0.28125, 0.375, 0.09375, 0.28125, -0.375, -0.09375],
}
/** Experts whose matrices are transposed. */
const turned = (experts: readonly (readonly number[])[], columns: number): readonly number[] =>
  experts.flatMap((e) => Array.from({ length: columns }, (_, j) => e.filter((_x, at) => at % columns === j)).flat())

/** Two experts with a layer for each matrix. */
const oneByOne = (
  gate: readonly number[],
  down: readonly number[],
  [place, ...names]: readonly string[] = ['mlp.experts', 'gate_proj', 'up_proj', 'down_proj'],
): Tensors =>
  Object.fromEntries(
    [0, 1].flatMap((e) => names.map((name, i) => [`${place}.${e}.${name}.weight`, filled(i < 2 ? gate : down, 0)])),
  )
const MIXTRAL = ['block_sparse_moe.experts', 'w1', 'w3', 'w2']

const bakedOf = async (given: Bake) => {
  const { problems, tensors } = await bake(given)
  expect(problems.map((d) => d.message)).toEqual([])
  return tensors
}

const MANY = Array.from({ length: 12 }, (_, i) => i)

describe('LoRA of fused experts', () => {
  test('changes the parameters that the config names, each by the factors that fit it', async () => {
    const tensors = await bakedOf({ model: modelOf([2, 4, 3], [2, 3, 2]), adapter, config })
    expect(tensors['mlp.experts.gate_up_proj']).toEqual(MERGED.gate.flat())
    expect(tensors['mlp.experts.down_proj']).toEqual(MERGED.down.flat())
    expect(tensors['mlp.experts.router']).toEqual(MERGED.router)
  })

  test('knows by the shapes where experts are stored with their inputs first', async () => {
    const tensors = await bakedOf({ model: modelOf([2, 3, 4], [2, 2, 3]), adapter, config, params: { strength: 0.5 } })
    expect(tensors['mlp.experts.gate_up_proj']).toEqual(turned(MERGED.gate, 3).map((x) => x / 2))
    expect(tensors['mlp.experts.down_proj']).toEqual(turned(MERGED.down, 2).map((x) => x / 2))
    expect(tensors['mlp.experts.router']).toEqual(MERGED.router.map((x) => x / 2))
  })

  test.each([[undefined], [MIXTRAL]])('changes experts that the model has one by one: %j', async (layout) => {
    const model = { ...oneByOne([2, 3], [3, 2], layout), 'mlp.experts.router': filled([2, 3], 0) }
    const tensors = await bakedOf({ model, adapter, config })
    expect(tensors['mlp.experts.router']).toEqual(MERGED.router)
    const [place, gate, up, down] = layout ?? ['mlp.experts', 'gate_proj', 'up_proj', 'down_proj']
    for (const e of [0, 1]) {
      expect(tensors[`${place}.${e}.${gate}.weight`]).toEqual(MERGED.gate[e]!.slice(0, 6))
      expect(tensors[`${place}.${e}.${up}.weight`]).toEqual(MERGED.gate[e]!.slice(6))
      expect(tensors[`${place}.${e}.${down}.weight`]).toEqual(MERGED.down[e])
    }
  })

  const SQUARE: Tensors = {
    'lora_A.weight': f32([2, 2], 1, 0, 0, 0),
    'lora_B.weight': f32([2, 2], 0, 0, 1, 0),
  }
  const ofOne = { r: 1, lora_alpha: 1, target_parameters: ['mlp.experts.gate_up_proj', 'mlp.experts.down_proj'] }

  test.each<readonly [what: string, gateUp: readonly number[], width: number, expected: readonly number[]]>([
    ['outputs first', [2, 4, 2], 2, [0, 0, 1, 0, 0, 0, 0, 0]],
    ['inputs first', [2, 2, 4], 2, [0, 1, 0, 0, 0, 0, 0, 0]],
  ])('takes a square parameter as another of its module shows: %s', async (_, gateUp, _width, expected) => {
    const tensors = await bakedOf({
      model: { 'mlp.experts.gate_up_proj': filled(gateUp, 0), 'mlp.experts.down_proj': filled([2, 2, 2], 0) },
      adapter: {
        ...under(`${OWNER}.base_layer`, { 'lora_A.weight': filled([2, 2], 0), 'lora_B.weight': filled([4, 2], 0) }),
        ...under(OWNER, SQUARE),
      },
      config: ofOne,
    })
    expect(tensors['mlp.experts.down_proj']).toEqual(expected)
  })

  test('takes a square parameter as the biases of its module show', async () => {
    const tensors = await bakedOf({
      model: {
        'mlp.experts.gate_up_proj': filled([2, 2, 4], 0),
        'mlp.experts.gate_up_proj_bias': filled([2, 4], 0),
        'mlp.experts.down_proj': filled([2, 2, 2], 0),
      },
      adapter: under(OWNER, SQUARE),
      config: { ...ofOne, target_parameters: ['mlp.experts.down_proj'] },
    })
    expect(tensors['mlp.experts.down_proj']).toEqual([0, 1, 0, 0, 0, 0, 0, 0])
  })

  test.each<readonly [what: string, given: Bake, expected: RegExp]>([
    [
      'a square parameter of which nothing tells the order',
      {
        model: { 'mlp.experts.down_proj': filled([2, 2, 2], 0) },
        adapter: under(OWNER, SQUARE),
        config: { ...ofOne, target_parameters: ['mlp.experts.down_proj'] },
      },
      /^adapter-unsupported: `mlp\.experts\.down_proj` is \[2, 2, 2\], and nothing says/,
    ],
    [
      'factors that fit two parameters',
      {
        model: { 'mlp.experts.gate_up_proj': filled([2, 4, 3], 0), 'mlp.experts.down_proj': filled([2, 4, 3], 0) },
        adapter: { ...under(`${OWNER}.base_layer`, GATE_UP), ...under(OWNER, GATE_UP) },
        config: { ...ofOne, r: 2 },
      },
      /^adapter-unsupported: the factors of .* fit its parameters in more than one way/,
    ],
    [
      'factors that fit twelve parameters in very many ways',
      {
        model: Object.fromEntries(MANY.map((i) => [`mlp.experts.p${i}`, filled([2, 4, 3], 0)])),
        adapter: Object.assign({}, ...MANY.map((i) => under(`${OWNER}${'.base_layer'.repeat(i)}`, GATE_UP))) as Tensors,
        config: { r: 2, lora_alpha: 1, target_parameters: MANY.map((i) => `mlp.experts.p${i}`) },
      },
      /^adapter-unsupported: the factors of .* fit its parameters in more than one way/,
    ],
    [
      'factors that fit none',
      { model: modelOf([2, 5, 3], [2, 3, 2]), adapter, config },
      /^adapter-shape: the factors of .* do not fit the parameters that its config names: .* \[2, 5, 3\]/,
    ],
    [
      'factors of another rank',
      { model: modelOf([2, 4, 3], [2, 3, 2]), adapter, config: { ...config, r: 4 } },
      /^bad-rank: /,
    ],
    [
      'experts that the model has one by one, of which a matrix is missing',
      { model: { 'mlp.experts.0.up_proj.weight': filled([4, 3], 0) }, adapter, config },
      /^adapter-matches-nothing: /,
    ],
    [
      'experts that the model has one by one, of another width',
      { model: oneByOne([3, 3], [3, 2]), adapter, config },
      /^adapter-shape: the factors of .* `mlp\.experts\.\*\.gate_proj\.weight` \[2, 6, 3\]/,
    ],
    [
      'square experts that the model has one by one',
      {
        model: oneByOne([1, 2], [2, 1]),
        adapter: under(OWNER, SQUARE),
        config: { ...ofOne, target_parameters: ['experts.gate_up_proj'] },
      },
      /^adapter-unsupported: `mlp\.experts\.\*\.gate_proj\.weight` is \[2, 2, 2\], and nothing says/,
    ],
  ])('is refused with %s', async (_what, given, expected) => {
    const { problems } = await bake(given)
    expect(problems.map((d) => `${d.code}: ${d.message}`)).toContainEqual(expect.stringMatching(expected))
  })
})

test('a report on it shows what each parameter gets, and no rank where the file does not say one', () =>
  inFolder(async (folder) => {
    mkdirSync(join(folder, 'lora'))
    writeSafetensors(join(folder, 'model.safetensors'), modelOf([2, 4, 3], [2, 3, 2]))
    writeSafetensors(join(folder, 'lora/adapter_model.safetensors'), adapter)
    writeFileSync(join(folder, 'lora/adapter_config.json'), JSON.stringify(config))
    const recipe = {
      models: { base: 'model.safetensors' },
      adapters: { lora: 'lora' },
      steps: { report: { op: 'report.adapter', adapter: 'lora', model: 'base' } },
      outputs: { report: { from: 'report', path: 'report.txt' } },
    }
    const result = await buildIn(folder, recipe, { render: renderReport })
    expect(result).toMatchObject({ type: 'ok', diagnostics: [] })
    const report = readFileSync(join(folder, 'report.txt'), 'utf8')
    expect(report).toMatch(/mlp\.experts\.gate_up_proj +2×4×3 +2 +1\.5/)
    expect(report).toMatch(/mlp\.experts\.down_proj +2×3×2 +1 +3/)
  }))
