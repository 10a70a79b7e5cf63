import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { operators } from '#src/operators/index.js'
import type { ReportDocument, Section } from '#src/operators/report-document.js'
import { build } from '#src/run/build.js'
import { startThread } from '#src/run/worker-pool.js'
import { renderReport } from '#src/view/report/render.js'
import { makeBase, train, writeCheckpoint } from '../recipes/checkpoint.js'
import { evaluateNames } from '../support/evaluate.js'
import { exampleRun } from '../support/examples.js'
import { inlineWorker } from '../support/inline-worker.js'
import { runOf } from '../support/recipe-run.js'
import { makeFolder } from '../support/smelt.js'
import { writeSafetensors, type TensorValues } from '../support/write-safetensors.js'

type Files = Readonly<Record<string, Readonly<Record<string, TensorValues>>>>
type Recipe = Readonly<Record<string, unknown>>

/** Builds reports as JSON in a folder that `prepare` fills; by the name of their step. */
const buildReports = async (
  prepare: (folder: string) => void,
  recipe: Recipe,
  names: readonly string[],
  options: Parameters<typeof build>[1] = {},
): Promise<Readonly<Record<string, ReportDocument>>> => {
  const folder = makeFolder()
  try {
    prepare(folder.path)
    const outputs = Object.fromEntries(names.map((name) => [name, { from: name, path: `${name}.json` }]))
    folder.write('recipe.yaml', JSON.stringify({ smelt: 1, ...recipe, outputs }))
    const built = await build(join(folder.path, 'recipe.yaml'), {
      workers: 1,
      start: inlineWorker,
      render: renderReport,
      ...options,
    })
    if (built.type === 'failed') throw new Error(built.diagnostics.map((d) => `${d.code}: ${d.message}`).join('\n'))
    return Object.fromEntries(
      names.map((name) => [
        name,
        JSON.parse(readFileSync(join(folder.path, `${name}.json`), 'utf8')) as ReportDocument,
      ]),
    )
  } finally {
    folder.remove()
  }
}

const files =
  (all: Files, metadata: Readonly<Record<string, string>> = {}) =>
  (folder: string): void => {
    for (const [name, tensors] of Object.entries(all))
      writeSafetensors(join(folder, `${name}.safetensors`), tensors, metadata)
  }

const f32 = (shape: readonly number[], values: readonly number[] | number): TensorValues => ({
  dtype: 'F32',
  shape,
  values,
})

const factsOf = ({ facts }: ReportDocument): Readonly<Record<string, unknown>> =>
  Object.fromEntries(facts.map((f) => [f.label, f.value]))

const sectionOf = <T extends Section['type']>(
  document: ReportDocument,
  type: T,
  title?: string,
): Extract<Section, { type: T }> => {
  const found = document.sections.find((s) => s.type === type && (title === undefined || s.title === title))
  if (found === undefined) throw new Error(`no ${type} ${title ?? ''}`)
  return found as Extract<Section, { type: T }>
}

const cellsOf = (document: ReportDocument, title: string): Readonly<Record<string, readonly unknown[]>> =>
  Object.fromEntries(sectionOf(document, 'table', title).rows.map(({ cells: [name, ...rest] }) => [String(name), rest]))

const reports = operators.filter(({ output }) => output === 'report')

test('there is a report of every kind of value', () => {
  expect(reports.map(({ id }) => id)).toEqual([
    'report.adapter',
    'report.diff',
    'report.emr',
    'report.mask',
    'report.model',
    'report.weights',
  ])
})

describe.each(reports.map((operator) => [operator.id, operator] as const))('%s', (_id, operator) => {
  test('has an example', () => {
    expect(operator.examples.length).toBeGreaterThan(0)
  })

  test.each(operator.examples.map((example, i) => [example.title ?? `${i + 1}`, example] as const))(
    'gives the figures of its example %s',
    async (_title, example) => {
      const run = exampleRun(operator, example)
      const { result } = await buildReports(
        (folder) => {
          for (const [name, tensors] of Object.entries(run.files)) {
            writeSafetensors(
              join(folder, name),
              Object.fromEntries(
                Object.entries(tensors).map(([tensor, { dtype, shape, values }]) => [
                  tensor,
                  { dtype: dtype.toUpperCase() as TensorValues['dtype'], shape, values },
                ]),
              ),
            )
          }
        },
        run.recipe as unknown as Recipe,
        ['result'],
      )
      const facts = factsOf(result!)
      for (const [label, [wanted]] of Object.entries(example.expect as Readonly<Record<string, readonly number[]>>))
        expect(facts[label]).toBeCloseTo(Number(wanted), 12)
    },
  )
})

test('the scales of an EMR merge are over all tensors that are merged', async () => {
  const { report, part } = await buildReports(
    files({
      base: { x: f32([3], 0), y: f32([2], 1), n: { dtype: 'I32', shape: [1], values: [7] }, alone: f32([1], 5) },
      a: { x: f32([3], [1, -3, 0]), y: f32([2], [2, 1]), n: { dtype: 'I32', shape: [1], values: [7] } },
      b: { x: f32([3], [3, 2, -1]), y: f32([2], [1, 1]), n: { dtype: 'I32', shape: [1], values: [7] } },
    }),
    {
      models: { base: 'base.safetensors', a: 'a.safetensors', b: 'b.safetensors' },
      steps: {
        report: { op: 'report.emr', base: 'base', models: ['a', 'b'] },
        part: { op: 'report.emr', base: 'base', models: ['a', 'b'], layers: 'y' },
      },
    },
    ['report', 'part'],
  )
  // |δ| is 4 + 1 and 6; of [3, −3, −1] and [1, 0] 6 + 1 and 4 belong to them.
  expect(factsOf(report!)).toEqual({ parameters: 5, 'scale 1': 5 / 7, 'scale 2': 1.5 })
  expect(cellsOf(report!, 'Models')).toEqual({ 'a (a.safetensors)': [5 / 7, 0.6], 'b (b.safetensors)': [1.5, 0.4] })
  expect(cellsOf(report!, 'Tensors')).toEqual({ x: [4 / 6, 1.5], y: [1, 0] })
  expect(factsOf(part!)).toEqual({ parameters: 2, 'scale 1': 1, 'scale 2': 0 })
})

test('a mask is counted by block and by layer, also where it draws or is the same throughout', async () => {
  const { report } = await buildReports(
    files({ m: { 'layers.0.x': f32([4], [1, 0, 1, 1]), 'layers.0.y': f32([2], 0), 'layers.1.x': f32([1000], 1) } }),
    {
      models: { m: 'm.safetensors' },
      steps: {
        loaded: { op: 'mask.load', file: 'm' },
        drawn: { op: 'mask.edit', mask: 'loaded', layers: 'layers.1', p: 0.25 },
        report: { op: 'report.mask', mask: 'drawn' },
      },
    },
    ['report'],
  )
  expect(cellsOf(report!, 'Layers')['layers.0.x']).toEqual(['4', 3, 4, 0.75])
  expect(cellsOf(report!, 'Layers')['layers.0.y']).toEqual(['2', 0, 2, 0])
  const drawn = cellsOf(report!, 'Layers')['layers.1.x']![1] as number
  expect(drawn).toBeGreaterThan(200)
  expect(drawn).toBeLessThan(300)
  expect(cellsOf(report!, 'Blocks')['layers.0']).toEqual([2, 3, 6, 0.5])
  expect(factsOf(report!)).toMatchObject({
    parameters: 1006,
    selected: 3 + drawn,
    'tensors not selected': 1,
    'tensors wholly selected': 0,
  })
})

test('a difference is that of the numbers of both models, tensor by tensor and over all', async () => {
  const { report } = await buildReports(
    files({
      a: {
        'l.0.w': f32([2], [3, 4]),
        'l.1.w': f32([2], [1, 2]),
        'l.1.n': f32([1], 0),
        only: f32([1], 1),
        whole: { dtype: 'I64', shape: [1], values: [1] },
      },
      b: {
        'l.0.w': f32([2], [3, 0]),
        'l.1.w': f32([2], [1, 2]),
        'l.1.n': f32([1], 2),
        whole: { dtype: 'I64', shape: [1], values: [1] },
      },
    }),
    { models: { a: 'a.safetensors', b: 'b.safetensors' }, steps: { report: { op: 'report.diff', a: 'a', b: 'b' } } },
    ['report'],
  )
  const layers = cellsOf(report!, 'Layers')
  expect(layers['l.0.w']).toEqual([2, 0.8, 0.6, 0.5, 4])
  expect(layers['l.1.w']).toEqual([2, 0, 1, 0, 0])
  expect(layers['l.1.n']).toEqual([1, null, null, 1, 2])
  expect(factsOf(report!)).toMatchObject({
    'tensors compared': 3,
    'identical tensors': 1,
    'tensors not compared': 2,
    'largest change': 4,
  })
  expect(factsOf(report!)['relative change']).toBeCloseTo(Math.sqrt(20 / 30), 12)
  expect(cellsOf(report!, 'Not compared')).toEqual({ only: ['only in a'], whole: ['holds I64'] })
})

describe('figures of a tensor of several segments', () => {
  const size = 2_300_001
  const values = Array.from({ length: size }, (_, i) => Math.fround(Math.sin(i) + i / size))
  const recipe = {
    models: { m: 'm.safetensors' },
    steps: { report: { op: 'report.model', model: 'm', layer: 'w', scale: 'max' } },
  }
  const prepare = files({ m: { w: f32([1, size], values), empty: f32([0, 3], []) } })

  test('are those of a plain computation', async () => {
    const { report } = await buildReports(prepare, recipe, ['report'])
    const [, mean, std, min, max, norm] = cellsOf(report!, 'Layers')['w']! as readonly number[]
    const sum = values.reduce((x, y) => x + y, 0)
    const squares = values.reduce((x, y) => x + y * y, 0)
    expect(mean).toBeCloseTo(sum / size, 9)
    expect(std).toBeCloseTo(Math.sqrt(squares / size - (sum / size) ** 2), 9)
    expect(norm).toBeCloseTo(Math.sqrt(squares), 6)
    expect([min, max]).toEqual([values.reduce((x, y) => Math.min(x, y)), values.reduce((x, y) => Math.max(x, y))])
    const map = sectionOf(report!, 'heatmap', 'w')
    expect(map.values[0]).toEqual(
      Array.from({ length: 64 }, (_, cell) =>
        values
          .slice(Math.ceil((cell * size) / 64), Math.ceil(((cell + 1) * size) / 64))
          .reduce((x, y) => Math.max(x, y)),
      ),
    )
    const { counts, low, high } = sectionOf(report!, 'histogram')
    expect(counts).toHaveLength(60)
    expect(counts.reduce((x, y) => x + y, 0)).toBe(size)
    expect(counts[30]).toBe(values.filter((x) => Math.floor((x - low) * (60 / (high - low))) === 30).length)
  })

  test('are the same bytes for any cutting and order of the work', async () => {
    const [plain, fine] = [
      await buildReports(prepare, recipe, ['report']),
      await buildReports(prepare, recipe, ['report'], {
        workers: 2,
        start: startThread,
        cutting: { chunk: 1 << 16, block: 1 << 17 },
      }),
    ]
    expect(fine).toEqual(plain)
  })
})

test.each([
  [
    'mean',
    [
      [2.5, 4.5],
      [8, 8],
    ],
  ],
  [
    'std',
    [
      [1.5, 1.5],
      [0, 0],
    ],
  ],
  [
    'min',
    [
      [1, 3],
      [8, 8],
    ],
  ],
  [
    'max',
    [
      [4, 6],
      [8, 8],
    ],
  ],
  [
    'none',
    [
      [1, 4, 3, 6],
      [8, 8, 8, 8],
    ],
  ],
] as const)('a layer shown by `%s` is what its cells hold', async (scale, expected) => {
  const wide = scale === 'none' ? [2, 4] : [2, 128]
  const [a, b] =
    scale === 'none'
      ? [
          [1, 4, 3, 6],
          [8, 8, 8, 8],
        ]
      : [Array.from({ length: 128 }, (_, i) => (i < 64 ? [1, 4] : [3, 6])[i % 2]!), new Array<number>(128).fill(8)]
  const { report } = await buildReports(
    files({ m: { w: f32(wide, [...a!, ...b!]), other: f32([1], 1) } }),
    { models: { m: 'm.safetensors' }, steps: { report: { op: 'report.model', model: 'm', layer: 'w', scale } } },
    ['report'],
  )
  const { values } = sectionOf(report!, 'heatmap', 'w')
  const picked = scale === 'none' ? values : values.map((row) => [row[0]!, row[63]!])
  expect(picked).toEqual(expected)
})

test('a heat map by logarithm shows the root mean square', async () => {
  const { report } = await buildReports(
    files({ m: { w: f32([2, 1], [0.001, -100]) } }),
    { models: { m: 'm.safetensors' }, steps: { report: { op: 'report.model', model: 'm', layer: 'w', scale: 'log' } } },
    ['report'],
  )
  const [low, high] = sectionOf(report!, 'heatmap', 'w').values.flat()
  expect(low).toBeCloseTo(-3, 6)
  expect(high).toBeCloseTo(2, 6)
})

test('weights are shown for every block in the order of the network', async () => {
  const { report } = await buildReports(
    (folder) => writeCheckpoint(join(folder, 'm.safetensors'), makeBase('sd15', 1)),
    {
      models: { m: 'm.safetensors' },
      steps: {
        half: { op: 'weights.rules', like: 'm', rules: { default: 0.5, 'block:mid': 1 } },
        report: { op: 'report.weights', like: 'm', weights: 'half' },
      },
    },
    ['report'],
  )
  const { points } = sectionOf(report!, 'curve')
  expect(points.slice(0, 4).map((p) => p.label)).toEqual(['te', 'time', 'in.0', 'in.1'])
  expect(points.find((p) => p.label === 'mid')!.value).toBe(1)
  expect(points.find((p) => p.label === 'out.3')!.value).toBe(0.5)
  expect(cellsOf(report!, 'Blocks')['mid']).toEqual([46, 1, 1, 1])
})

test.each(['sd15', 'sdxl'])('blocks and kinds of layer of %s are those of the architecture', async (architecture) => {
  const base = makeBase(architecture, 1)
  const { mask, diff } = await buildReports(
    (folder) => {
      writeCheckpoint(join(folder, 'a.safetensors'), base)
      writeCheckpoint(join(folder, 'b.safetensors'), train(base, 2))
    },
    {
      models: { a: 'a.safetensors', b: 'b.safetensors' },
      steps: {
        strong: { op: 'mask.magnitude', model: 'b', base: 'a', select: 'above', quantile: 0.5 },
        mask: { op: 'report.mask', mask: 'strong' },
        diff: { op: 'report.diff', a: 'a', b: 'b' },
      },
    },
    ['mask', 'diff'],
  )
  const map = sectionOf(mask!, 'heatmap')
  expect(map.columns.slice(0, 5)).toEqual(['attn1', 'attn2', 'ff', 'norm', 'conv'])
  expect(map.rows).toContain('out.3')
  expect(map.values[map.rows.indexOf('mid')]![0]).toBeCloseTo(0.5, 1)
  expect(sectionOf(diff!, 'heatmap').rows).toEqual(map.rows)
  expect(sectionOf(diff!, 'table', 'Layers').rows.length).toBeGreaterThan(1100)
})

describe('an adapter', () => {
  const tags = JSON.stringify({ '10_ink': { ink: 40, '1girl': 12 }, '5_more': { '1girl': 30, 'wash ': 2 } })
  const lora = {
    'l.0.q.lora_up.weight': f32([4, 2], 1),
    'l.0.q.lora_down.weight': f32([2, 3], 1),
    'l.0.q.alpha': f32([], [1]),
    'l.1.q.lora_up.weight': f32([4, 1], 1),
    'l.1.q.lora_down.weight': f32([1, 3], 1),
  }
  const prepare =
    (metadata: Readonly<Record<string, string>>) =>
    (folder: string): void => {
      files({ ink: lora }, metadata)(folder)
      files({ m: { 'l.0.q.weight': f32([4, 3], 1), 'l.1.q.weight': f32([4, 3], 1), 'l.1.q.bias': f32([4], 1) } })(
        folder,
      )
    }
  const recipe = {
    models: { m: 'm.safetensors' },
    adapters: { ink: 'ink.safetensors' },
    steps: { report: { op: 'report.adapter', adapter: 'ink', model: 'm' } },
  }

  test('shows its tags over all folders, its ranks and alphas, and what it would change', async () => {
    const { report } = await buildReports(prepare({ ss_tag_frequency: tags, ss_network_dim: '2' }), recipe, ['report'])
    expect(sectionOf(report!, 'tags').tags).toEqual([
      { label: '1girl', count: 42 },
      { label: 'ink', count: 40 },
      { label: 'wash', count: 2 },
    ])
    expect(factsOf(report!)).toMatchObject({
      tensors: 5,
      modules: 2,
      parameters: 8 + 6 + 1 + 4 + 3,
      kind: 'LoRA',
      rank: '2 (1 modules), 1 (1 modules)',
      'tensors it would change': 2,
      'tensors without a target': 0,
    })
    expect(cellsOf(report!, 'Modules')).toMatchObject({ 'l.0.q': [2, 1], 'l.1.q': [1, 1] })
    // Every number of the first grows from 1 by 2 · 1/2, of the second by 1.
    expect(factsOf(report!)['change beside the weights']).toBeCloseTo(1, 6)
    expect(cellsOf(report!, 'What it would change')).toEqual({
      'l.0.q.weight': ['4×3', '2', '0.5', expect.closeTo(1, 6)],
      'l.1.q.weight': ['4×3', '1', '1', expect.closeTo(1, 6)],
    })
    expect(cellsOf(report!, 'Blocks that it would change')).toEqual({
      'l.0': [1, expect.closeTo(1, 6)],
      'l.1': [1, expect.closeTo(1, 6)],
    })
    expect(sectionOf(report!, 'facts', 'Metadata').facts).toEqual([
      { label: 'ss_network_dim', value: '2', format: 'text' },
    ])
  })

  test('of rsLoRA is shown with the alpha of its config', async () => {
    const write = (folder: string): void => {
      files({
        adapter_model: {
          'base_model.model.q.lora_A.weight': f32([4, 2], 1),
          'base_model.model.q.lora_B.weight': f32([2, 4], 1),
        },
      })(folder)
      writeFileSync(join(folder, 'adapter_config.json'), JSON.stringify({ r: 4, lora_alpha: 6, use_rslora: true }))
    }
    const { report } = await buildReports(
      write,
      {
        models: {},
        adapters: { ink: 'adapter_model.safetensors' },
        steps: { report: { op: 'report.adapter', adapter: 'ink' } },
      },
      ['report'],
    )
    expect(factsOf(report!)).toMatchObject({ rank: '4', alpha: '6' })
  })

  test('whose scale is not known is shown, with a warning that says why', () => {
    const square = { dtype: 'f32', shape: [1, 1], values: [1] } as const
    const { recipe: bare, files: stored } = runOf(
      { ink: { 'base_model.model.q.lora_A.weight': square, 'base_model.model.q.lora_B.weight': square } },
      { r: { op: 'report.adapter', adapter: 'ink' } },
      {},
      { adapters: ['ink'] },
    )
    expect(evaluateNames(bare, stored)('r')).toMatchObject({
      type: 'ok',
      diagnostics: [{ severity: 'warning', code: 'adapter-config-missing' }],
    })
  })

  test('without tags has no part about them', async () => {
    const { report } = await buildReports(prepare({}), recipe, ['report'])
    expect(report!.sections.map((s) => s.type)).toEqual(['heatmap', 'heatmap', 'table', 'table', 'table'])
  })

  test('is measured against weights with zeros behind them where it widens these', async () => {
    const wider = (folder: string): void => {
      prepare({})(folder)
      files({
        ink: {
          'l.0.q.lora_up.weight': f32([4, 1], 1),
          'l.0.q.lora_down.weight': f32([1, 6], 1),
          'l.0.q.reshape_weight': { dtype: 'I64', shape: [2], values: [4, 6] },
        },
      })(folder)
    }
    const { report } = await buildReports(wider, recipe, ['report'])
    expect(cellsOf(report!, 'What it would change')).toEqual({
      'l.0.q.weight': ['4×3', '1', '1', expect.closeTo(Math.SQRT2, 6)],
    })
  })

  test('is not measured where that is not asked for', async () => {
    const step = { ...recipe.steps.report, norms: false }
    const { report } = await buildReports(prepare({}), { ...recipe, steps: { report: step } }, ['report'])
    expect(cellsOf(report!, 'What it would change')).toEqual({
      'l.0.q.weight': ['4×3', '2', '0.5'],
      'l.1.q.weight': ['4×3', '1', '1'],
    })
    expect(factsOf(report!)).not.toHaveProperty('change beside the weights')
  })
})
