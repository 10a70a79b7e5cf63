// What recipes came to when digests.json was written, to the last bit. A change of the code that changes a digest
// changes what people's
// recipes build: it must be meant, and then it is a new version of the operator. To write the file anew from an actual
// run:
//   UPDATE=1 npx vitest run test/recipes/digests.test.ts
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { operators } from '#src/operators/index.js'
import { build } from '#src/run/build.js'
import { renderReport } from '#src/view/report/render.js'
import { inFolder } from '../support/build-run.js'
import { contentSha256 } from '../support/content-sha256.js'
import { inlineWorker } from '../support/inline-worker.js'
import { makeBase, partOf, train, writeCheckpoint, type Checkpoint } from './checkpoint.js'
import { makeLora, SD1_MODULES } from './lora.js'
import { RECIPES } from './recipe.js'

const FILE = new URL('digests.json', import.meta.url)
const updating = process.env['UPDATE'] === '1'
type Digests = Readonly<Record<string, Readonly<Record<string, string>>>>
const committed = JSON.parse(readFileSync(FILE, 'utf8')) as Digests
const found: Record<string, Readonly<Record<string, string>>> = {}

/**
 * Blocks that are like their neighbours: without them a model is a third as large, and has every kind of block and
 * layer.
 */
const ALIKE =
  /\.input_blocks\.(1|3|5|6|7|9|10)\.|\.output_blocks\.([1-7]|9|10)\.|\.layers\.([2-9]|10)\.|\.(up|down)\.[12]\./
const base: Checkpoint = new Map([...makeBase('sd15', 1)].filter(([name]) => !ALIKE.test(name)))
const [a, b, c] = [train(base, 2), train(base, 3), train(base, 4)]
const lora = makeLora(base, SD1_MODULES, 9).file

/** Symmetric, positive definite matrices of the inputs of every matrix, under its name. */
const grams: Checkpoint = new Map(
  [...base].flatMap(([name, { shape, dtype }]) => {
    const n = shape[1] ?? 0
    const numbers = Float32Array.from({ length: n * n }, (_, at) => {
      const [i, j] = [Math.floor(at / n), at % n]
      return i === j ? n + (i % 3) : ((i + j) % 5) / 8
    })
    return shape.length === 2 && dtype === 'F16' ? [[name, { dtype: 'F16', shape: [n, n], numbers }] as const] : []
  }),
)

/** What no mean square is below 0 in. */
const importance: Checkpoint = new Map(
  [...b].map(([name, tensor]) => [name, { ...tensor, numbers: tensor.numbers.map(Math.abs) }]),
)

/** A dense language model of two layers. */
const dense: Checkpoint = new Map(
  [...makeBase('mistral-7b-v0.1', 5)].filter(([name]) => !/layers\.([2-9]|\d\d)\./.test(name)),
)

/** The files that the recipes of the folder `recipes` expect beside them. */
const MODELS: Readonly<Record<string, Checkpoint>> = {
  base,
  dense,
  expert: train(dense, 6),
  grams,
  importance,
  first: a,
  second: b,
  one: a,
  two: b,
  three: c,
  four: base,
  mine: a,
  other: b,
  painter: a,
  reader: b,
  checkpoint: a,
  lora,
  'sd15-inpainting': a,
  tuned: b,
  sd15: base,
  sdxl: a,
  full: a,
  vae: partOf(b, 'first_stage_model'),
  unet: partOf(b, 'model.diffusion_model'),
}

/**
 * Builds a recipe beside the models it names, and gives the digest of each of its models and masks, of whatever many
 * files.
 */
const digestsOf = (name: string, text: string): Promise<Readonly<Record<string, string>>> =>
  inFolder(async (folder) => {
    writeFileSync(join(folder, name), text)
    for (const [file, checkpoint] of Object.entries(MODELS))
      if (text.includes(`${file}.safetensors`)) writeCheckpoint(join(folder, `${file}.safetensors`), checkpoint)
    const built = await build(join(folder, name), { workers: 1, start: inlineWorker, render: renderReport })
    if (built.type === 'failed') throw new Error(built.diagnostics.map((d) => d.message).join('\n'))
    return Object.fromEntries(
      built.value.outputs.map((o) => [o.name, contentSha256(o.paths.filter((path) => path.endsWith('.safetensors')))]),
    )
  })

const compare = async (name: string, text: string): Promise<void> => {
  const digests = await digestsOf(basename(name).replace(/(\.yaml)?$/, '.yaml'), text)
  expect(Object.keys(digests).length).toBeGreaterThan(0)
  found[name] = digests
  if (!updating) expect(digests).toEqual(committed[name])
}

const models = {
  base: 'base.safetensors',
  a: 'one.safetensors',
  b: 'two.safetensors',
  c: 'three.safetensors',
  grams: 'grams.safetensors',
}
type Steps = Readonly<Record<string, Readonly<Record<string, unknown>>>>
/** A recipe that writes each of its steps but those that the others are made with. */
const recipe = (
  steps: Steps,
  more: {
    readonly hidden?: readonly string[]
    readonly output?: Readonly<Record<string, unknown>>
    readonly seed?: number | string
  } = {},
) => ({
  smelt: 1,
  seed: more.seed ?? 11,
  models,
  steps,
  outputs: Object.fromEntries(
    Object.keys(steps)
      .filter((name) => more.hidden?.includes(name) !== true)
      .map((name) => [name, { from: name, path: `out/${name}.safetensors`, ...more.output }]),
  ),
})

const LIST = [
  { model: 'a', weight: 1 },
  { model: 'b', weight: 0.6 },
]
const FAMILIES: Readonly<Record<string, object>> = {
  'blend by method': recipe(
    Object.fromEntries(
      ['slerp', 'cosine', 'cubic', 'geometric', 'scaled_add', 'slice', 'cyclic', 'gradient'].map((method) => [
        method,
        { op: 'merge.blend', a: 'a', b: 'b', keep: 0.3, method, layers: 'component:clip' },
      ]),
    ),
  ),
  'differences of two models': recipe(
    Object.fromEntries(
      ['multiply_difference', 'multiply_quotient', 'similarity_add_difference'].map((op) => [
        op,
        { op: `merge.${op}`, a: 'a', b: 'b', c: 'base', layers: 'component:clip' },
      ]),
    ),
  ),
  'task vectors': recipe({
    arithmetic: { op: 'merge.task_arithmetic', base: 'base', models: LIST, lambda: 0.8 },
    dare: { op: 'merge.dare_linear', base: 'base', models: LIST.map((m) => ({ ...m, density: 0.4 })) },
    breadcrumbs: {
      op: 'merge.breadcrumbs',
      base: 'base',
      models: LIST.map((m) => ({ ...m, density: 0.6, gamma: 0.1 })),
    },
    elected: {
      op: 'merge.breadcrumbs_ties',
      base: 'base',
      models: LIST.map((m) => ({ ...m, density: 0.6, gamma: 0.1 })),
    },
    trimmed: {
      op: 'merge.ties',
      base: 'base',
      models: LIST.map((m) => ({ ...m, density: 0.3 })),
      rescale: 'l1',
      scope: 'model',
    },
  }),
  'dare with everything': recipe({
    repeated: {
      op: 'merge.dare',
      a: 'a',
      b: 'b',
      drop: 0.6,
      rescale: 'l1',
      ties: 'sum',
      iterations: 3,
      keep: 0.2,
      blend: 'each',
    },
    counted: { op: 'merge.dare', a: 'a', b: 'b', drop: 0.3, ties: 'count', seed: 'own' },
  }),
  'weighted sums, in other dtypes': recipe(
    {
      average: { op: 'merge.linear', models: { a: 1, b: 2, c: -0.5 } },
      plain: { op: 'merge.linear', models: { a: 0.5, b: 0.25 }, normalize: false },
    },
    {
      output: {
        dtype: {
          default: 'f8_e4m3',
          'component:vae': 'f32',
          'component:clip': 'bf16',
          'model.diffusion_model.out': 'f8_e5m2',
        },
        shard_size: '20kB',
      },
    },
  ),
  'parameter by parameter': recipe({
    ...Object.fromEntries(
      ['distance', 'opposite', 'strict_opposite'].map((method) => [
        method,
        { op: 'merge.train_difference', a: 'a', b: 'b', c: 'base', strength: 0.7, method, layers: 'component:clip' },
      ]),
    ),
    perpendicular: { op: 'merge.perpendicular', a: 'a', b: 'b', base: 'base', strength: 0.6 },
    clamped: { op: 'merge.clamp', a: 'base', bounds: ['a', 'b', 'c'], stiffness: 0.3 },
    near: { op: 'merge.nearswap', base: 'a', model: 'b', threshold: 0.002 },
    rows: { op: 'merge.tensor_sum', a: 'a', b: 'b', width: 0.4, offset: 0.75 },
    columns: { op: 'merge.tensor_sum', a: 'a', b: 'b', width: -0.3, along: 'columns' },
    scaled: { op: 'merge.passthrough', model: 'a', scale: { 'component:clip': 0.8 } },
  }),
  'many models': recipe({
    sphere: { op: 'merge.slerp_many', base: 'base', models: { a: 1, b: 0.6, c: 2 } },
    turned: { op: 'merge.nuslerp', base: 'base', models: { a: 0.6, b: 0.4 } },
    rows: { op: 'merge.nuslerp', models: { a: 0.6, b: 0.4 }, over: 'row' },
    columns: { op: 'merge.nuslerp', models: { a: 0.6, b: 0.4 }, over: 'column' },
    karcher: { op: 'merge.karcher', models: ['a', 'b', 'c'] },
    median: { op: 'merge.geometric_median', models: ['a', 'b', 'c'] },
    stock: { op: 'merge.model_stock', base: 'base', models: ['a', 'b', 'c'] },
    filters: { op: 'merge.model_stock', base: 'base', models: ['a', 'b', 'c'], over: 'row', pairs: 'consecutive' },
    selected: { op: 'merge.sce', base: 'base', models: ['a', 'b', 'c'], density: 0.3, even_below: 0 },
    agents: { op: 'merge.ram', base: 'base', models: ['a', 'b', 'c'], epsilon: 0.001, rescale: 0.1 },
    alike: { op: 'merge.cosine_a', a: 'a', b: 'b', keep: 0.6 },
    whole: { op: 'merge.cosine_b', a: 'a', b: 'b', keep: 0.9 },
  }),
  consensus: recipe(
    {
      sum: { op: 'merge.task_arithmetic', base: 'base', models: ['a', 'b', 'c'] },
      first: { op: 'mask.tall', model: 'a', base: 'base', merged: 'sum' },
      second: { op: 'mask.tall', model: 'b', base: 'base', merged: 'sum', lambda: 0.6 },
      third: { op: 'mask.tall', model: 'c', base: 'base', merged: 'sum', lambda: { 'component:unet': 0.2 } },
      shared: { op: 'mask.at_least', masks: ['first', 'second', 'third'], k: 2 },
      merged: { op: 'merge.task_arithmetic', base: 'base', models: ['a', 'b', 'c'], lambda: 0.4, mask: 'shared' },
    },
    { hidden: ['sum'] },
  ),
  differences: recipe(
    {
      task: { op: 'model.subtract', a: 'b', b: 'base' },
      half: { op: 'model.scale', model: 'task', factor: 0.5 },
    },
    { output: { delta: true } },
  ),
  'added back': recipe(
    {
      task: { op: 'model.subtract', a: 'b', b: 'base' },
      sum: { op: 'model.add', a: 'a', delta: 'task', strength: 0.7 },
    },
    { hidden: ['task'] },
  ),
  positions: recipe({ sound: { op: 'model.renumber', model: 'a' } }),
  casts: recipe({
    layers: {
      op: 'model.cast',
      model: 'a',
      dtype: { default: 'bf16', 'component:vae': 'f8_e4m3', 'block:mid': 'f32' },
    },
    through: { op: 'merge.blend', a: 'layers', b: 'b', keep: 0.25 },
  }),
  adjustments: recipe({
    detail: { op: 'model.adjust', model: 'a', in: 3, out: -2, out2: 1.5 },
  }),
  names: recipe({
    moved: {
      op: 'model.rename',
      model: 'a',
      rules: { 'model.diffusion_model': 'net', '**.attn@(1|2).to_?': '$1.attention_$2.$3_proj' },
    },
  }),
  'stacked layers': recipe({
    deep: {
      op: 'model.stack',
      slices: [
        { model: 'a', layers: [0, 2] },
        { model: 'b', layers: [1, 2] },
      ],
      path: 'cond_stage_model.transformer.text_model.encoder.layers',
    },
  }),
  mixtures: {
    smelt: 1,
    seed: 11,
    models: { dense: 'dense.safetensors', expert: 'expert.safetensors' },
    steps: {
      drawn: { op: 'model.moe', base: 'dense', experts: ['dense', 'expert'] },
      asked: {
        op: 'model.moe',
        base: 'dense',
        experts: [
          { model: 'dense', positive: [[0]] },
          { model: 'expert', positive: [[1]], noise_scale: 0.1 },
        ],
        gates: 'cheap_embed',
      },
    },
    outputs: Object.fromEntries(['drawn', 'asked'].map((name) => [name, { from: name, path: `${name}.safetensors` }])),
  },
  'whole tensors': recipe({
    crossed: { op: 'merge.crossover', a: 'a', b: 'b', keep: 0.4, tilt: 0.5, layers: 'component:clip' },
    ordered: { op: 'merge.top_k_sum', a: 'a', b: 'b', width: 0.6, offset: 0.2, layers: 'component:clip' },
  }),
  rotated: recipe({
    whole: { op: 'merge.rotate', a: 'a', b: 'b', layers: 'component:clip' },
    partly: { op: 'merge.rotate', a: 'a', b: 'b', alignment: 0.3, alpha: 0.5, layers: 'group:attn' },
  }),
  unified: recipe(
    {
      whole: { op: 'merge.emr', base: 'base', models: ['a', 'b', 'c'] },
      masks: { op: 'mask.emr', base: 'base', models: ['a', 'b', 'c'] },
      masked: { op: 'merge.blend', a: 'base', b: 'whole', keep: 0, mask: 'masks.3' },
      tasks: { op: 'merge.emr', base: 'base', models: ['a', 'b', 'c'], give: 'tasks' },
      second: { op: 'merge.passthrough', model: 'tasks.2' },
    },
    { hidden: ['masks', 'tasks'] },
  ),
  balanced: recipe({
    model: { op: 'merge.pcb', base: 'base', models: ['a', 'b', 'c'], density: 0.2 },
    tensors: {
      op: 'merge.pcb',
      base: 'base',
      models: [{ model: 'a', weight: 0.5 }, 'b'],
      density: 0.9,
      lambda: 1.2,
      scope: 'tensor',
      layers: 'component:clip',
    },
  }),
  fused: recipe({ fused: { op: 'merge.arcee_fusion', base: 'base', model: 'a', layers: 'component:clip' } }),
  ranked: recipe({
    della: {
      op: 'merge.della',
      base: 'base',
      models: [
        { model: 'a', density: 0.4, epsilon: 0.2 },
        { model: 'b', density: 0.6, epsilon: 0.1 },
      ],
    },
    linear: { op: 'merge.della_linear', base: 'base', models: ['a', 'b'], rescale: 'l1' },
  }),
  statistics: {
    ...recipe({
      fisher: {
        op: 'merge.fisher',
        models: [
          { model: 'a', statistics: 'importance', weight: 0.5 },
          { model: 'b', statistics: 'importance' },
        ],
        epsilon: 10,
        normalize: true,
      },
      regmean: {
        op: 'merge.regmean',
        models: [
          { model: 'a', statistics: 'grams' },
          { model: 'b', statistics: 'grams' },
        ],
        layers: 'group:attn',
      },
    }),
    models: { ...models, importance: 'importance.safetensors' },
  },
  'singular vectors': recipe({
    orthogonal: { op: 'merge.tsv', base: 'base', models: ['a', { model: 'b', weight: 0.5 }], layers: 'group:attn' },
    even: { op: 'merge.isotropic', base: 'base', models: ['a', 'b'], layers: 'component:clip', lambda: 0.8 },
    nearly: { op: 'model.truncate_rank', model: 'a', rank: 3, layers: 'group:attn' },
    specific: { op: 'merge.isotropic', base: 'base', models: ['a', 'b', 'c'], common: 0.7, layers: 'group:attn' },
  }),
  'Kronecker products': recipe({
    near: { op: 'model.truncate_kronecker', model: 'a', ratio: 0.4, layers: 'group:attn' },
  }),
  extracted: recipe({
    lora: { op: 'adapter.extract', model: 'a', base: 'base', rank: 2, layers: 'component:unet', vectors: true },
    named: { op: 'adapter.extract', model: 'b', base: 'base', rank: 3, names: 'diffusers' },
    again: { op: 'adapter.apply', model: 'base', adapter: 'lora' },
    both: { op: 'adapter.merge', adapters: ['lora', 'other'], strengths: [1, -0.5] },
    other: { op: 'adapter.extract', model: 'c', base: 'base', rank: 2, layers: 'component:unet' },
    small: { op: 'adapter.resize', adapter: 'both', rank: 3 },
  }),
  'core space': recipe({
    first: { op: 'adapter.extract', model: 'a', base: 'base', rank: 2, layers: 'group:attn' },
    second: { op: 'adapter.extract', model: 'b', base: 'base', rank: 2, layers: 'group:attn' },
    agreeing: { op: 'adapter.core_space', adapters: ['first', 'second'], strengths: [1, 0.5], density: 0.4 },
    even: { op: 'adapter.core_space', adapters: ['first', 'second'], method: 'tsv', isotropic: true },
  }),
  converted: recipe({
    lora: { op: 'adapter.extract', model: 'a', base: 'base', rank: 2, layers: 'component:unet' },
    named: { op: 'adapter.convert', adapter: 'lora', model: 'base', names: 'diffusers' },
    back: { op: 'adapter.convert', adapter: 'named', model: 'base' },
  }),
  noise: recipe(
    {
      normal: { op: 'model.noise', model: 'a', layers: 'component:unet', std: 0.02, mean: 0.001 },
      even: { op: 'model.noise', model: 'a', layers: 'group:attn', kind: 'uniform', std: 0.5, strength: 0.25 },
    },
    { seed: 'a text' },
  ),
  weights: recipe(
    {
      blocks: { op: 'weights.block', like: 'a', input: 0.1, middle: 0.2, output: 0.3, text: 0.4, rest: 0.9 },
      edited: { op: 'weights.edit', like: 'a', weights: 'blocks', layers: 'group:attn', multiply: 0.5 },
      slope: { op: 'weights.gradient', like: 'a', anchors: [0, 0.7, 0.3], rest: 0.5 },
      ruled: { op: 'weights.rules', like: 'a', rules: { default: 0.25, 'block:mid': 0.75 } },
      together: { op: 'weights.combine', like: 'a', a: 'slope', b: 'ruled', operation: 'mean', join: 'outer' },
      by_block: { op: 'merge.blend', a: 'a', b: 'b', keep: 'edited' },
      by_slope: { op: 'merge.blend', a: 'a', b: 'b', keep: 'together' },
    },
    { hidden: ['blocks', 'edited', 'slope', 'ruled', 'together'] },
  ),
  masks: recipe(
    {
      strong: { op: 'mask.magnitude', model: 'a', base: 'base', quantile: 0.7, scope: 'model' },
      further: { op: 'mask.compare', a: 'a', b: 'b', base: 'base' },
      agreed: { op: 'mask.sign_agreement', base: 'base', models: ['a', 'b', 'c'] },
      attention: { op: 'mask.layers', like: 'a', layers: 'group:attn' },
      chance: { op: 'mask.fill', like: 'a', p: 0.3 },
      bell: { op: 'mask.fill', like: 'a', gaussian: { mean: 0.1, std: 2, above: 0.5 } },
      both: { op: 'mask.intersection', masks: ['strong', 'further'] },
      either: { op: 'mask.union', masks: ['strong', 'chance'] },
      less: { op: 'mask.difference', masks: ['either', 'agreed'] },
      one: { op: 'mask.xor', masks: ['strong', 'bell'] },
      stored: { op: 'mask.load', file: 'c' },
    },
    { hidden: ['stored'] },
  ),
  'masked merges': recipe(
    {
      deal: { op: 'mask.partition', like: 'a', shares: [0.5, 0.3, 0.2] },
      strong: { op: 'mask.magnitude', model: 'a', base: 'base', quantile: 0.7 },
      linear: { op: 'merge.linear', models: ['a', 'b'], mask: 'strong' },
      ties: {
        op: 'merge.ties',
        base: 'base',
        models: [
          { model: 'a', density: 0.2 },
          { model: 'b', density: 0.2 },
        ],
        mask: 'deal.2',
        unmasked: 'merge',
      },
      slerp: { op: 'merge.blend', a: 'a', b: 'b', keep: 0.4, method: 'slerp', mask: 'deal.1' },
      loaded: { op: 'mask.load', file: 'c' },
      by_file: { op: 'merge.blend', a: 'a', b: 'b', keep: 0.4, mask: 'loaded' },
    },
    { hidden: ['deal', 'strong', 'loaded'] },
  ),
}

const NAMES = readdirSync(RECIPES).map((name) => basename(name, '.yaml'))

afterAll(() => {
  const sorted = Object.fromEntries(Object.entries(found).sort(([x], [y]) => (x < y ? -1 : 1)))
  if (updating) writeFileSync(FILE, `${JSON.stringify(sorted, undefined, 2)}\n`)
})

describe('the bytes that come out are those of the digests on record', () => {
  test.each(NAMES)('recipes/%s', (name) =>
    compare(`recipes/${name}`, readFileSync(join(RECIPES, `${name}.yaml`), 'utf8')),
  )
  test.each(Object.entries(FAMILIES))('%s', (name, content) => compare(name, JSON.stringify(content)))
})

test.skipIf(updating)('every digest on record is of a recipe that is built here', () => {
  expect(Object.keys(committed).sort()).toEqual(
    [...NAMES.map((name) => `recipes/${name}`), ...Object.keys(FAMILIES)].sort(),
  )
})

test('every operator that makes models, masks or weights is in one of the recipes', () => {
  const texts = [
    ...NAMES.map((name) => readFileSync(join(RECIPES, `${name}.yaml`), 'utf8')),
    ...Object.values(FAMILIES).map((content) => JSON.stringify(content)),
  ]
    .join('\n')
    .replaceAll('"', ' ')
  const used = new Set(texts.match(/\bop ?: *[a-z_.]+/g)?.map((text) => text.replace(/^op ?: */, '')))
  expect(operators.filter(({ id, output }) => output !== 'report' && !used.has(id)).map(({ id }) => id)).toEqual([])
})
