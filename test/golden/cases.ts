import { runOf, type PlainFile, type PlainTensor, type RecipeRun } from '../support/recipe-run.js'
import { ADAPTERS } from './adapter-cases.js'
import { fileOf, files, keysOf, mapFile, number, numbered, tensorOf, zeros, type GoldenCase } from './case.js'
import { COMPOSED } from './composed-cases.js'
import { ELEMENTWISE } from './elementwise-cases.js'
import { MANY_MODELS } from './many-model-cases.js'
import {
  gradientBlock,
  gradientCombine,
  gradientEdit,
  gradientElement,
  gradientMbw,
  gradientShell,
  gradientShellElement,
  layerGradient,
} from './ratio-maps.js'
import { STATISTICS } from './statistics-cases.js'
import { UNMAPPED } from './unmapped.js'

/** Why a case is not run. */
export type Reason = string
type Mapping = (c: GoldenCase) => RecipeRun | Reason
type Steps = Record<string, Readonly<Record<string, unknown>>>
type Files = Record<string, PlainFile>

const list = (c: GoldenCase, key: string): readonly number[] => c.params[key] as readonly number[]
const result = (c: GoldenCase, role = 'result'): PlainFile => fileOf(c.expected, role)
const numel = (tensor: PlainTensor): number => tensor.values.length
const count = (file: PlainFile): number => Object.values(file).reduce((n, tensor) => n + numel(tensor), 0)
/** Steps that make masks of files, under `<role>_mask`. */
const loads = (roles: readonly string[]): Steps =>
  Object.fromEntries(roles.map((role) => [`${role}_mask`, { op: 'mask.load', file: role }]))
const run = (
  c: GoldenCase,
  inputs: Files,
  steps: Steps,
  more: { readonly delta?: boolean; readonly falseMayBeAbsent?: boolean } = {},
  expected = result(c),
): RecipeRun => runOf(inputs, steps, expected, { ...more, tolerance: c.tolerance })

const blend =
  (method: string, more: Readonly<Record<string, string>> = {}): Mapping =>
  (c) => {
    if (c.params['t'] === undefined) return 't is a tensor here; keep is one number for each tensor'
    return run(c, files(c, 'a', 'b'), {
      result: { op: 'merge.blend', a: 'a', b: 'b', keep: 1 - number(c, 't'), method, ...more },
    })
  }

const isZero = (file: PlainFile): boolean => Object.values(file).every(({ values }) => values.every((x) => x === 0))

/**
 * To the cases a tensor of zeros is at a right angle to everything; here it has no direction, and `lerp` is taken.
 */
const slerp: Mapping = (c) => {
  if (c.params['dot_threshold'] !== 0.9995) return 'another threshold than 0.9995 for parallel tensors'
  const { a, b } = files(c, 'a', 'b') as { readonly a: PlainFile; readonly b: PlainFile }
  const t = number(c, 't')
  const onLine = (tensor: PlainTensor, name: string): PlainTensor => ({
    ...tensor,
    values: tensor.values.map((x, i) => (1 - t) * x + t * b[name]!.values[i]!),
  })
  const expected =
    isZero(a) || isZero(b)
      ? Object.fromEntries(Object.entries(a).map(([name, tensor]) => [name, onLine(tensor, name)]))
      : result(c)
  const vectors = c.params['lerp_1d'] === true ? 'lerp' : 'slerp'
  return run(
    c,
    { a, b },
    { result: { op: 'merge.blend', a: 'a', b: 'b', keep: 1 - t, method: 'slerp', vectors } },
    {},
    expected,
  )
}

const METHODS: Readonly<Record<string, string>> = {
  blend: 'lerp',
  blend_after: 'lerp',
  lerp: 'lerp',
  slerp: 'slerp',
  cubic: 'cubic',
  smoothstep: 'cubic',
  cosine: 'cosine',
  cosine_interp: 'cosine',
  scaled_add: 'scaled_add',
  colorize: 'lerp',
  bislerp: 'lerp',
}

const SIGNS: Readonly<Record<string, string>> = {
  none: 'off',
  layer_sum: 'sum',
  layer_count: 'count',
  elementwise_sum: 'off',
  elementwise_count: 'off',
}

const keepOf = (weights: unknown): Readonly<Record<string, number>> =>
  Object.fromEntries(
    Object.entries(weights as Readonly<Record<string, number>>).map(([name, weight]) => [name, 1 - weight]),
  )

/** The mask of a case, which protects nothing of a tensor it does not know. */
const masked = (
  c: GoldenCase,
): { readonly roles: readonly string[]; readonly keys: Readonly<Record<string, unknown>> } =>
  Object.keys(fileOf(c.inputs, 'mask')).length === 0
    ? { roles: [], keys: {} }
    : { roles: ['mask'], keys: { mask: 'mask_mask', unmasked: 'merge' } }

const dareKeys = (c: GoldenCase, kept: readonly string[]): Readonly<Record<string, unknown>> => ({
  op: 'merge.dare',
  a: 'a',
  b: 'b',
  kept: kept.map((role) => `${role}_mask`),
  drop: number(c, 'drop_rate'),
  ties: SIGNS[String(c.params['sign_filter'])],
  rescale: c.params['rescale'],
  iterations: number(c, 'iterations'),
})

const dare: Mapping = (c) => {
  const kept = numbered(c.inputs, 'keep_')
  return run(c, files(c, 'a', 'b', ...kept), { ...loads(kept), result: dareKeys(c, kept) })
}

const dareMerge: Mapping = (c) => {
  const method = METHODS[String(c.params['method'])]
  if (method === undefined) return `method ${c.params['method']} is not among merge.blend's`
  const kept = numbered(c.inputs, 'keep_')
  const { roles, keys } = masked(c)
  const blending = c.params['method'] === 'blend_after' ? 'after' : 'each'
  return run(c, files(c, 'a', 'b', ...kept, ...roles), {
    ...loads([...kept, ...roles]),
    result: {
      ...dareKeys(c, kept),
      ...keys,
      method,
      blend: blending,
      keep: keepOf(c.params['weight_b']),
      missing: 'keep',
    },
  })
}

const maskedBlend =
  (keep: (c: GoldenCase) => Readonly<Record<string, number>>): Mapping =>
  (c) => {
    const method = METHODS[String(c.params['method'])]
    if (method === undefined) return `method ${c.params['method']} is not among merge.blend's`
    const { roles, keys } = masked(c)
    return run(c, files(c, 'a', 'b', ...roles), {
      ...loads(roles),
      result: { op: 'merge.blend', a: 'a', b: 'b', method, ...keys, keep: keep(c), missing: 'keep' },
    })
  }

const GROUPS: Readonly<Record<string, string>> = {
  time: 'time_embed',
  label: 'label_emb',
  input: 'input_blocks',
  middle: 'middle_block',
  output: 'output_blocks',
  out: 'out',
}

/** Groups as patterns; a group without tensors in the case has no rule, because a pattern must select something. */
const groupRules = (c: GoldenCase): Readonly<Record<string, number>> => {
  const names = Object.keys(fileOf(c.inputs, 'a'))
  const weights = c.params['weight_b'] as Readonly<Record<string, number>>
  return Object.fromEntries(
    Object.entries(GROUPS).flatMap(([group, part]) => {
      const prefix = `diffusion_model.${part}`
      return weights[group] !== undefined && names.some((name) => name.startsWith(`${prefix}.`))
        ? [[prefix, 1 - weights[group]]]
        : []
    }),
  )
}

const magnitude: Mapping = (c) =>
  run(
    c,
    files(c, 'a', 'b'),
    {
      result: {
        op: 'mask.magnitude',
        model: 'b',
        base: 'a',
        quantile: number(c, 'quantile'),
        select: c.params['select'],
        missing: 'keep',
      },
    },
    {},
    result(c, 'mask'),
  )

/** A mask that lacks a tensor and one that is false throughout it say the same, and the cases write the former. */
const setOperation =
  (op: string): Mapping =>
  (c) =>
    run(
      c,
      files(c, 'a', 'b'),
      { ...loads(['a', 'b']), result: { op, masks: ['a_mask', 'b_mask'] } },
      { falseMayBeAbsent: true },
    )

const maskEdit: Mapping = (c) =>
  run(
    c,
    files(c, 'mask'),
    {
      ...loads(['mask']),
      result: {
        op: 'mask.edit',
        mask: 'mask_mask',
        layers: c.params['patterns'],
        set: c.params['operation'] === 'true',
      },
    },
    {},
    result(c, 'mask'),
  )

const selectKeys: Mapping = (c) => {
  const one: PlainTensor = { dtype: 'f32', shape: [1], values: [1] }
  const fileFor = (names: readonly string[]): PlainFile => Object.fromEntries(names.map((name) => [name, one]))
  const inputs = { model: fileFor(keysOf(c.inputs['keys'])) }
  const steps = { result: { op: 'model.select', model: 'model', layers: c.params['patterns'] } }
  const expected = c.expected['selected']!
  return 'type' in expected && expected.type === 'error'
    ? runOf(inputs, steps, 'refusal', { code: 'pattern-selects-nothing' })
    : run(c, inputs, steps, {}, fileFor(keysOf(expected)))
}

const linear: Mapping = (c) => {
  const models = numbered(c.inputs, 'm')
  const weights = c.params['weight'] === undefined ? models.map(() => 1) : list(c, 'weight')
  return run(c, files(c, ...models), {
    result: {
      op: 'merge.linear',
      models: models.map((model, i) => ({ model, weight: weights[i] })),
      normalize: c.params['normalize'] !== false,
    },
  })
}

/** Excluded names are left out of the first model, and so of the result. */
const average: Mapping = (c) => {
  const models = numbered(c.inputs, 'm')
  const patterns = (c.params['exclude'] as readonly string[]).map((text) => new RegExp(`^(?:${text})`))
  const excluded = Object.keys(fileOf(c.inputs, 'm1')).filter((name) => patterns.some((pattern) => pattern.test(name)))
  const [first, ...others] = models
  return run(c, files(c, ...models), {
    first: { op: 'model.select', model: first, layers: ['*', ...excluded.map((name) => `!${name}`)] },
    result: { op: 'merge.linear', models: ['first', ...others] },
  })
}

const RESCALE: Readonly<Record<string, string>> = { none: 'off', l1: 'l1' }

const family =
  (op: string, sparse: boolean): Mapping =>
  (c) => {
    const models = numbered(c.inputs, 'm')
    const kept = numbered(c.inputs, 'keep_')
    const shares = models.map((model, i) => ({
      model,
      weight: list(c, 'weight')[i],
      ...(sparse ? { density: list(c, 'density')[i] } : {}),
      ...(c.params['epsilon'] === undefined ? {} : { epsilon: list(c, 'epsilon')[i] }),
      ...(c.params['gamma'] === undefined ? {} : { gamma: list(c, 'gamma')[i] }),
      ...(kept.includes(`keep_${i + 1}`) ? { kept: `keep_${i + 1}_mask` } : {}),
    }))
    const rescale = sparse ? { rescale: RESCALE[String(c.params['rescale'])] } : {}
    return run(c, files(c, 'base', ...models, ...kept), {
      ...loads(kept),
      result: {
        op,
        base: 'base',
        models: shares,
        normalize: c.params['normalize'],
        lambda: number(c, 'lambda'),
        ...rescale,
      },
    })
  }

const tiesOverModel: Mapping = (c) => {
  const models = numbered(c.inputs, 'm')
  const density = number(c, 'keep') / count(fileOf(c.inputs, 'base'))
  return run(c, files(c, 'base', ...models), {
    result: {
      op: 'merge.ties',
      base: 'base',
      models: models.map((model) => ({ model, density })),
      scope: 'model',
      equal: 'all',
      undecided: 'majority',
      lambda: number(c, 'lambda'),
    },
  })
}

/** Each model is masked by itself and then merged, which takes a step for each where the masks are not DARE's own. */
const maskMerging: Mapping = (c) => {
  const [models, kept, drops] = [numbered(c.inputs, 'm'), numbered(c.inputs, 'keep_'), list(c, 'drop_rates')]
  const [apply, random] = [c.params['apply'], c.params['strategy'] === 'random']
  const inputs = { ...files(c, 'base', ...models, ...kept), zero: zeros(fileOf(c.inputs, 'base')) }
  const base = c.params['masked'] === 'finetuned' ? 'zero' : 'base'
  const rescale = c.params['rescale'] === true ? 'density' : 'off'
  const share = (i: number) => ({
    model: models[i],
    density: 1 - drops[i]!,
    ...(random ? { kept: `keep_${i + 1}_mask` } : {}),
  })
  if (random && apply !== 'ties_model') {
    const [normalize, lambda] = apply === 'average' ? [true, 1] : [false, number(c, 'lambda')]
    return run(c, inputs, {
      ...loads(kept),
      result: { op: 'merge.dare_linear', base, models: models.map((_, i) => share(i)), normalize, lambda, rescale },
    })
  }
  const n = count(fileOf(c.inputs, 'base'))
  const trim = random ? { op: 'merge.dare_linear' } : { op: 'merge.ties', equal: 'none' }
  const single = (i: number) => ({
    ...trim,
    base,
    models: [random ? share(i) : { ...share(i), density: (n - Math.floor(n * drops[i]!)) / n }],
    rescale,
  })
  const steps = { ...loads(kept), ...Object.fromEntries(models.map((model, i) => [`${model}_masked`, single(i)])) }
  const all = models.map((model) => `${model}_masked`)
  if (apply === 'average') return run(c, inputs, { ...steps, result: { op: 'merge.linear', models: all } })
  const density = number(c, 'keep') / n
  return run(c, inputs, {
    ...steps,
    result: {
      op: 'merge.ties',
      base: 'base',
      models: all.map((model) => ({ model, density })),
      scope: 'model',
      equal: 'all',
      undecided: 'majority',
      lambda: number(c, 'lambda'),
    },
  })
}

/** Differences are given as models over a base of zeros. */
const tiesMean: Mapping = (c) => {
  const [deltas, kept] = [numbered(c.inputs, 'delta_'), numbered(c.inputs, 'keep_')]
  const density = number(c, 'keep') / count(fileOf(c.inputs, deltas[0]!))
  const dropped = (i: number) => ({
    op: 'merge.dare_linear',
    base: 'zero',
    models: [{ model: deltas[i], density: 0.5, kept: `keep_${i + 1}_mask` }],
    rescale: 'off',
  })
  const drop =
    kept.length === 0
      ? {}
      : { ...loads(kept), ...Object.fromEntries(deltas.map((delta, i) => [`${delta}_dropped`, dropped(i)])) }
  const lambda = c.params['rescale'] === true ? 1 / (1 - number(c, 'drop_rate')) : 1
  return run(
    c,
    { ...files(c, ...deltas, ...kept), zero: zeros(fileOf(c.inputs, deltas[0]!)) },
    {
      ...drop,
      result: {
        op: 'merge.ties',
        base: 'zero',
        models: deltas.map((delta) => ({ model: kept.length === 0 ? delta : `${delta}_dropped`, density })),
        equal: 'all',
        elect: c.params['vote'],
        undecided: 'none',
        lambda,
      },
    },
  )
}

/** Only drop rates and powers together matter: they are the number to divide by. */
const dropoutMean: Mapping = (c) => {
  const [deltas, kept] = [numbered(c.inputs, 'delta_'), numbered(c.inputs, 'keep_')]
  const density = 1 - number(c, 'drop_rate')
  const q = density ** number(c, 'rescale_power')
  return run(
    c,
    { ...files(c, ...deltas, ...kept), zero: zeros(fileOf(c.inputs, deltas[0]!)) },
    {
      ...loads(kept),
      result: {
        op: 'merge.dare_linear',
        base: 'zero',
        models: deltas.map((model, i) => ({ model, density, q, kept: `${kept[i]}_mask` })),
        normalize: 'kept',
        rescale: 'q',
      },
    },
  )
}

/** One trimming alone: a merge of one difference over zeros. */
const trimming = (
  c: GoldenCase,
  op: string,
  density: number,
  more: Readonly<Record<string, unknown>>,
  each: Readonly<Record<string, unknown>> = {},
): RecipeRun => {
  const random = op === 'merge.dare_linear'
  return run(
    c,
    { ...files(c, 'delta', ...(random ? ['keep'] : [])), zero: zeros(fileOf(c.inputs, 'delta')) },
    {
      ...(random ? loads(['keep']) : {}),
      result: {
        op,
        base: 'zero',
        models: [{ model: 'delta', density, ...each, ...(random ? { kept: 'keep_mask' } : {}) }],
        normalize: false,
        ...more,
      },
    },
  )
}

const sparsify: Mapping = (c) => {
  const rescale = RESCALE[String(c.params['rescale'])]
  if (rescale === undefined) return `smelt keeps no ${c.params['rescale']} norm`
  if (c.params['kind'] === 'outliers')
    return trimming(c, 'merge.breadcrumbs', number(c, 'density'), { rescale }, { gamma: number(c, 'gamma') })
  return trimming(c, c.params['kind'] === 'random' ? 'merge.dare_linear' : 'merge.ties', number(c, 'density'), {
    rescale,
  })
}

const dareDrop: Mapping = (c) =>
  trimming(c, 'merge.dare_linear', 1 - number(c, 'drop_rate'), {
    rescale: c.params['rescale'] === true ? 'density' : 'off',
  })

const dropSmallest: Mapping = (c) => {
  const [n, rate] = [count(fileOf(c.inputs, 'delta')), number(c, 'mask_rate')]
  return trimming(c, 'merge.ties', (n - number(c, 'drop')) / n, {
    equal: 'none',
    lambda: c.params['rescale'] === true && rate < 1 ? 1 / (1 - rate) : 1,
  })
}

const subtract: Mapping = (c) =>
  run(c, files(c, 'a', 'b'), { result: { op: 'model.subtract', a: 'a', b: 'b' } }, { delta: true })

const scale: Mapping = (c) =>
  run(c, files(c, 'm1'), { result: { op: 'model.scale', model: 'm1', factor: number(c, 'scale') } })

const lowRank: Mapping = (c) =>
  run(c, files(c, 'delta'), { result: { op: 'model.truncate_rank', model: 'delta', rank: number(c, 'rank') } })

const addDelta: Mapping = (c) =>
  run(
    c,
    { ...files(c, 'a', 'delta'), zero: zeros(fileOf(c.inputs, 'delta')) },
    {
      difference: { op: 'model.subtract', a: 'delta', b: 'zero' },
      result: { op: 'model.add', a: 'a', delta: 'difference', strength: number(c, 'scale') },
    },
  )

/** Noise is drawn by the operator, so that of a case is a file. */
const addNoise: Mapping = (c) => {
  const method = METHODS[String(c.params['method'])]!
  const { roles, keys } = masked(c)
  const noise = (strength: number) => ({
    op: 'model.noise',
    model: 'a',
    noise: 'noise',
    layers: '*',
    strength,
    ...keys,
  })
  const weight = number(c, 'weight_noise')
  return run(c, files(c, 'a', 'noise', ...roles), {
    ...loads(roles),
    ...(method === 'lerp'
      ? { result: noise(weight) }
      : { noisy: noise(1), result: { op: 'merge.blend', a: 'a', b: 'noisy', keep: 1 - weight, method } }),
  })
}

/** What upstream does changes the model; it is two steps here. */
const normalizeAttention: Mapping = (c) => {
  const step = { op: 'model.normalize', a: 'a', b: 'b', magnify: c.params['magnify'], missing: 'keep' }
  const upstream = {
    matched: { ...step, method: 'attn_only' },
    result: { ...step, a: 'matched', method: 'all', layers: 'to_out' },
  }
  const steps = {
    qk_only: { result: { ...step, method: 'attn_only' } },
    compensated: { result: { ...step, method: 'q_norm' } },
    upstream,
  }
  return run(c, files(c, 'a', 'b'), steps[c.params['variant'] as keyof typeof steps])
}

const normalizeWeight: Mapping = (c) =>
  run(c, files(c, 'a', 'b'), {
    result: {
      op: 'model.normalize',
      a: 'a',
      b: 'b',
      method: 'all',
      magnify: c.params['magnify'],
      layers: c.params['variant'] === 'bias_kept' ? '!**.bias' : '*',
    },
  })

/** The factor is seen by what it makes of the first tensor. */
const relativeNorm: Mapping = (c) => {
  const factor = tensorOf(c.expected['factor']).values[0]!
  const expected = mapFile(fileOf(c.inputs, 'a'), (tensor) => ({
    ...tensor,
    values: tensor.values.map((x) => x * factor),
  }))
  return run(c, files(c, 'a', 'b'), { result: { op: 'model.normalize', a: 'a', b: 'b', method: 'all' } }, {}, expected)
}

/** The cases' operations that operators of ours compute: how a case becomes files and a recipe, or why it does not. */
export const MAPPED: Readonly<Record<string, Mapping>> = {
  ...ADAPTERS,
  ...COMPOSED,
  ...MANY_MODELS,
  ...STATISTICS,
  ...ELEMENTWISE,
  add_delta: addDelta,
  add_noise: addNoise,
  average_model: average,
  block_merge: maskedBlend(groupRules),
  breadcrumbs: family('merge.breadcrumbs', true),
  breadcrumbs_ties: family('merge.breadcrumbs_ties', true),
  cosine_interp: blend('cosine'),
  cyclic_columns: blend('cyclic'),
  dare,
  dare_drop: dareDrop,
  dare_linear: family('merge.dare_linear', true),
  dare_merge: dareMerge,
  dare_ties: family('merge.dare_ties', true),
  dare_ties_mean: tiesMean,
  della: family('merge.della', true),
  della_linear: family('merge.della_linear', true),
  drop_smallest: dropSmallest,
  dropout_mean: dropoutMean,
  geometric_sum: blend('geometric'),
  gradient_block: gradientBlock,
  gradient_columns: blend('gradient'),
  gradient_combine: gradientCombine,
  gradient_edit: gradientEdit,
  gradient_element: gradientElement,
  gradient_mbw: gradientMbw,
  gradient_shell: gradientShell,
  gradient_shell_element: gradientShellElement,
  layer_gradient: layerGradient,
  lerp: blend('lerp'),
  magnitude_mask: magnitude,
  mask_difference: setOperation('mask.difference'),
  mask_edit: maskEdit,
  mask_intersect: setOperation('mask.intersection'),
  mask_merging: maskMerging,
  mask_union: setOperation('mask.union'),
  mask_xor: setOperation('mask.xor'),
  masked_merge: maskedBlend((c) => keepOf(c.params['weight_b'])),
  normalize_attention: normalizeAttention,
  normalize_weight: normalizeWeight,
  relative_norm: relativeNorm,
  low_rank: lowRank,
  scale,
  scaled_add: blend('scaled_add'),
  select_keys: selectKeys,
  slerp,
  slerp_rescaled: blend('slerp', { norm: 'interpolate', vectors: 'slerp' }),
  slice_columns: blend('slice'),
  smoothstep: blend('cubic'),
  sparsify,
  subtract,
  task_arithmetic: family('merge.task_arithmetic', false),
  ties: family('merge.ties', true),
  ties_mean: tiesMean,
  ties_model: tiesOverModel,
  weighted_average: linear,
}

/** A case as files, recipe and expectation, or why it is left out. */
export const mapCase = (c: GoldenCase): RecipeRun | Reason =>
  MAPPED[c.op]?.(c) ?? UNMAPPED[c.op] ?? `nothing is said of ${c.op}`
