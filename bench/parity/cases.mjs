// Every method that another tool has too: what it is asked for there, and the step that gives the same here.

const FINE_TUNES = ['a', 'b', 'c']
const WEIGHTS = { a: 0.5, b: 0.3, c: 0.4 }

const TORCH = { f16: 'float16', bf16: 'bfloat16', f32: 'float32' }

/**
 * A configuration of mergekit. `base`: the base model is named; `first`: it is also in the list; `models`: the others;
 * `each`: parameters of every model.
 */
const mergekit =
  (method, { base = true, models = FINE_TUNES, each = () => ({}), parameters = {} } = {}) =>
  (paths, dtype) => ({
    merge_method: method,
    ...(base ? { base_model: paths.base } : {}),
    models: models.map((name) => ({ model: paths[name], parameters: each(name) })),
    parameters,
    // Computed in float32, as smelt does, and rounded once.
    dtype: 'float32',
    out_dtype: TORCH[dtype],
  })

const weighted = (name) => ({ weight: WEIGHTS[name] })
const list = (more = {}) => FINE_TUNES.map((model) => ({ model, weight: WEIGHTS[model], ...more }))
const step = (op, rest) => ({ result: { op, ...rest } })

/** Methods without chance, by mergekit's names. */
export const MERGEKIT = [
  {
    name: 'linear',
    here: '`merge.linear`',
    config: mergekit('linear', { base: false, each: weighted }),
    steps: step('merge.linear', { models: list() }),
  },
  {
    name: 'slerp',
    here: '`merge.blend`, `method: slerp`, `vectors: slerp`',
    config: mergekit('slerp', { models: ['a'], parameters: { t: 0.4 } }),
    steps: step('merge.blend', { a: 'base', b: 'a', keep: 0.6, method: 'slerp', vectors: 'slerp' }),
  },
  {
    name: 'task_arithmetic',
    here: '`merge.task_arithmetic`',
    config: mergekit('task_arithmetic', { each: weighted }),
    steps: step('merge.task_arithmetic', { base: 'base', models: list() }),
  },
  {
    name: 'ties',
    here: '`merge.ties`',
    config: mergekit('ties', { each: (name) => ({ ...weighted(name), density: 0.3 }) }),
    steps: step('merge.ties', { base: 'base', models: list({ density: 0.3 }) }),
  },
  {
    name: 'breadcrumbs',
    here: '`merge.breadcrumbs`',
    config: mergekit('breadcrumbs', { each: (name) => ({ ...weighted(name), density: 0.5, gamma: 0.05 }) }),
    steps: step('merge.breadcrumbs', { base: 'base', models: list({ density: 0.5, gamma: 0.05 }) }),
  },
  {
    name: 'breadcrumbs_ties',
    here: '`merge.breadcrumbs_ties`',
    config: mergekit('breadcrumbs_ties', { each: (name) => ({ ...weighted(name), density: 0.5, gamma: 0.05 }) }),
    steps: step('merge.breadcrumbs_ties', { base: 'base', models: list({ density: 0.5, gamma: 0.05 }) }),
  },
  {
    name: 'multislerp',
    here: '`merge.slerp_many`',
    config: mergekit('multislerp', { base: false, each: weighted }),
    steps: step('merge.slerp_many', { models: list() }),
  },
  {
    name: 'multislerp, base',
    here: '`merge.slerp_many`, `base`',
    config: mergekit('multislerp', { each: weighted }),
    steps: step('merge.slerp_many', { base: 'base', models: list() }),
  },
  {
    name: 'nuslerp',
    here: '`merge.nuslerp`, `base`',
    config: mergekit('nuslerp', { models: ['a', 'b'], each: weighted, parameters: { nuslerp_flatten: true } }),
    steps: step('merge.nuslerp', { base: 'base', models: list().slice(0, 2) }),
  },
  {
    name: 'karcher',
    here: '`merge.karcher`',
    config: mergekit('karcher', { base: false }),
    steps: step('merge.karcher', { models: FINE_TUNES, iterations: 10 }),
  },
  {
    name: 'model_stock',
    here: '`merge.model_stock`',
    config: mergekit('model_stock'),
    steps: step('merge.model_stock', { base: 'base', models: FINE_TUNES }),
  },
  {
    name: 'sce',
    here: '`merge.sce`',
    config: mergekit('sce', { parameters: { select_topk: 0.3 } }),
    steps: step('merge.sce', { base: 'base', models: FINE_TUNES, density: 0.3 }),
  },
  {
    name: 'ram',
    here: '`merge.ram`',
    config: mergekit('ram', { parameters: { epsilon: 0.001 } }),
    steps: step('merge.ram', { base: 'base', models: FINE_TUNES, epsilon: 0.001 }),
  },
  {
    name: 'ramplus_tl',
    here: '`merge.ram`, `rescale`',
    config: mergekit('ramplus_tl', { parameters: { epsilon: 0.001, r: 0.1, alpha: 0.2 } }),
    steps: step('merge.ram', { base: 'base', models: FINE_TUNES, epsilon: 0.001, rescale: 0.1, limit: 0.2 }),
  },
  {
    name: 'nearswap',
    here: '`merge.nearswap`',
    config: mergekit('nearswap', { models: ['a'], parameters: { t: 0.002 } }),
    steps: step('merge.nearswap', { base: 'base', model: 'a', threshold: 0.002 }),
  },
  {
    name: 'arcee_fusion',
    here: '`merge.arcee_fusion`',
    config: mergekit('arcee_fusion', { models: ['a'] }),
    steps: step('merge.arcee_fusion', { base: 'base', model: 'a' }),
  },
  {
    name: 'passthrough',
    here: '`merge.passthrough`',
    config: mergekit('passthrough', { base: false, models: ['a'], each: () => ({ scale: 0.5 }) }),
    steps: step('merge.passthrough', { model: 'a', scale: 0.5 }),
  },
]

/** In Python: `a` has no fewer points than they have numbers, without which sd-mecha's rotation is one of many. */
const TALL = 'a.dim() == 1 or a.dim() == 4 and a[0, 0].numel() > 1 or a.shape[0] >= a[0].numel()'

/** In Python: `a` is no convolution, whose single lines of a kernel sd-mecha takes for rows. */
const FLAT = 'a.dim() < 3'

/** Methods of sd-mecha, as an expression of tensors; one that gives `None` leaves the tensor out. */
export const SD_MECHA = [
  {
    name: 'weighted_sum',
    here: '`merge.blend`',
    expression: 'm.weighted_sum(base, a, 0.3)',
    steps: step('merge.blend', { a: 'base', b: 'a', keep: 0.7 }),
  },
  {
    name: 'slerp',
    here: '`merge.blend`, `method: slerp`, `norm: interpolate`, `vectors: slerp`',
    expression: 'm.slerp(base, a, 0.3)',
    steps: step('merge.blend', {
      a: 'base',
      b: 'a',
      keep: 0.7,
      method: 'slerp',
      norm: 'interpolate',
      vectors: 'slerp',
    }),
  },
  {
    name: 'add_difference',
    here: '`merge.add_difference`',
    expression: 'm.add_difference(base, m.subtract(a, b), 0.7)',
    steps: step('merge.add_difference', { a: 'base', b: 'a', c: 'b', strength: 0.7 }),
  },
  {
    name: 'n_average',
    here: '`merge.linear`',
    expression: 'm.n_average(a, b, c)',
    steps: step('merge.linear', { models: FINE_TUNES }),
  },
  {
    name: 'geometric_median',
    here: '`merge.geometric_median`',
    expression: 'm.geometric_median(a, b, c)',
    steps: step('merge.geometric_median', { models: FINE_TUNES }),
  },
  {
    name: 'perpendicular_component',
    here: '`merge.perpendicular`',
    expression: 'm.add_difference(a, m.perpendicular_component(m.subtract(a, base), m.subtract(b, base)), 1.0)',
    steps: step('merge.perpendicular', { a: 'a', b: 'b', base: 'base' }),
  },
  {
    name: 'clamp',
    here: '`merge.clamp`',
    expression: 'm.clamp(a, b, c)',
    steps: step('merge.clamp', { a: 'a', bounds: ['b', 'c'] }),
  },
  {
    name: 'tensor_sum',
    here: '`merge.tensor_sum`',
    expression: 'm.tensor_sum(a, b, 0.4, 0.3)',
    steps: step('merge.tensor_sum', { a: 'a', b: 'b', width: 0.4, offset: 0.3 }),
  },
  {
    name: 'add_cosine_a',
    here: '`merge.cosine_a`',
    expression: 'm.add_cosine_a(a, b, 0.3)',
    steps: step('merge.cosine_a', { a: 'a', b: 'b', keep: 0.7 }),
  },
  {
    name: 'add_cosine_b',
    here: '`merge.cosine_b`',
    expression: 'm.add_cosine_b(a, b, 0.3)',
    steps: step('merge.cosine_b', { a: 'a', b: 'b', keep: 0.7 }),
  },
  {
    name: 'geometric_sum',
    here: '`merge.blend`, `method: geometric`',
    expression: 'm.geometric_sum(a, b, 0.3)',
    steps: step('merge.blend', { a: 'a', b: 'b', keep: 0.7, method: 'geometric' }),
  },
  {
    name: 'ties_sum',
    here: '`merge.ties`, `elect: count`, `undecided: none`, `equal: all`',
    expression:
      'm.add_difference(base, m.ties_sum(m.subtract(a, base), m.subtract(b, base), m.subtract(c, base), k=0.3), 1.0)',
    steps: step('merge.ties', {
      base: 'base',
      models: FINE_TUNES.map((model) => ({ model, density: 0.3 })),
      elect: 'count',
      undecided: 'none',
      equal: 'all',
    }),
  },
  {
    name: 'crossover',
    here: '`merge.crossover`',
    expression: 'm.crossover(a, b, 0.3, 0.4)',
    steps: step('merge.crossover', { a: 'a', b: 'b', keep: 0.7, tilt: 0.4 }),
  },
  {
    name: 'train_difference_mask',
    here: '`merge.train_difference`',
    expression: 'a + m.train_difference_mask(a, b, base, 0.7) * (b - base)',
    steps: step('merge.train_difference', { a: 'a', b: 'b', c: 'base', strength: 0.7 }),
  },
  {
    name: 'add_opposite_mask',
    here: '`merge.train_difference`, `method: opposite`',
    expression: 'a + m.add_opposite_mask(a, b, base, 0.7) * (b - base)',
    steps: step('merge.train_difference', { a: 'a', b: 'b', c: 'base', strength: 0.7, method: 'opposite' }),
  },
  {
    name: 'add_strict_opposite_mask',
    here: '`merge.train_difference`, `method: strict_opposite`',
    expression: 'a + m.add_strict_opposite_mask(a, b, base, 0.7) * (b - base)',
    steps: step('merge.train_difference', { a: 'a', b: 'b', c: 'base', strength: 0.7, method: 'strict_opposite' }),
  },
  {
    name: 'multiply_quotient',
    here: '`merge.multiply_quotient`',
    expression: 'm.multiply_quotient(a, b, base, 0.5)',
    steps: step('merge.multiply_quotient', { a: 'a', b: 'b', c: 'base', strength: 0.5 }),
  },
  {
    name: 'top_k_tensor_sum',
    here: '`merge.top_k_sum`',
    expression: 'm.top_k_tensor_sum(a, b, 0.4, 0.3)',
    steps: step('merge.top_k_sum', { a: 'a', b: 'b', width: 0.4, offset: 0.3 }),
  },
  {
    name: 'model_stock',
    here: '`merge.model_stock`, `over: row`, `pairs: consecutive`',
    expression: `base + m.model_stock(m.subtract(a, base), m.subtract(b, base), m.subtract(c, base)) if ${FLAT} else None`,
    steps: step('merge.model_stock', { base: 'base', models: FINE_TUNES, over: 'row', pairs: 'consecutive' }),
  },
  {
    name: 'rotate',
    here: '`merge.rotate`',
    expression: `m.rotate(a, b, 1.0, 0.3) if ${TALL} else None`,
    steps: step('merge.rotate', { a: 'a', b: 'b', alpha: 0.3 }),
  },
  {
    name: 'rotate, halfway',
    here: '`merge.rotate`, `alignment: 0.5`',
    expression: `m.rotate(a, b, 0.5, 0.3) if ${TALL} else None`,
    steps: step('merge.rotate', { a: 'a', b: 'b', alignment: 0.5, alpha: 0.3 }),
  },
  {
    name: 'truncate_rank',
    here: '`model.truncate_rank`',
    expression: 'base + m.truncate_rank(m.subtract(a, base), 4, use_approximate_basis=False)',
    steps: {
      change: { op: 'model.subtract', a: 'a', b: 'base' },
      low: { op: 'model.truncate_rank', model: 'change', rank: 4 },
      result: { op: 'model.add', a: 'base', delta: 'low' },
    },
  },
  {
    name: 'truncate_kronecker',
    here: '`model.truncate_kronecker`',
    expression: 'base + m.truncate_kronecker(m.subtract(a, base), 0.4, use_approximate_basis=False)',
    steps: {
      change: { op: 'model.subtract', a: 'a', b: 'base' },
      near: { op: 'model.truncate_kronecker', model: 'change', ratio: 0.4 },
      result: { op: 'model.add', a: 'base', delta: 'near' },
    },
  },
]

/** Differences of the fine-tunes from the base, in the expressions of sd-mecha's methods. */
const DELTAS = 'm.subtract(a, base), m.subtract(b, base), m.subtract(c, base)'

/** What sd-mecha's TIES with dropout is without Model Stock, which `apply_stock` turns off. */
const DROPPED = 'probability=0.7, k=1.0, apply_stock=True'

/** MergeLM's function for random masks: the difference `d`, of which a share of 0.7 is dropped. */
const MASKED = 'd * (1 - torch.bernoulli(torch.full_like(d, 0.7)))'

const equally = (more) => FINE_TUNES.map((model) => ({ model, ...more }))

/** Methods that draw random numbers, and so can only be compared in what they do on the whole. */
export const RANDOM = [
  {
    tool: 'mergekit',
    name: 'dare_linear',
    here: '`merge.dare_linear`, `rescale: l1`',
    config: mergekit('dare_linear', { each: (name) => ({ ...weighted(name), density: 0.3 }) }),
    steps: step('merge.dare_linear', { base: 'base', models: list({ density: 0.3 }), rescale: 'l1' }),
  },
  {
    tool: 'mergekit',
    name: 'dare_ties',
    here: '`merge.dare_ties`, `rescale: l1`',
    config: mergekit('dare_ties', { each: (name) => ({ ...weighted(name), density: 0.3 }) }),
    steps: step('merge.dare_ties', { base: 'base', models: list({ density: 0.3 }), rescale: 'l1' }),
  },
  {
    tool: 'mergekit',
    name: 'della_linear',
    here: '`merge.della_linear`, `rescale: l1`',
    config: mergekit('della_linear', { each: (name) => ({ ...weighted(name), density: 0.4, epsilon: 0.2 }) }),
    steps: step('merge.della_linear', {
      base: 'base',
      models: list({ density: 0.4, epsilon: 0.2 }),
      rescale: 'l1',
    }),
  },
  {
    tool: 'mergekit',
    name: 'della_linear, one model',
    here: '`merge.della_linear`, `rescale: l1`',
    config: mergekit('della_linear', {
      models: ['a'],
      each: (name) => ({ ...weighted(name), density: 0.4, epsilon: 0.3 }),
    }),
    steps: step('merge.della_linear', {
      base: 'base',
      models: list({ density: 0.4, epsilon: 0.3 }).slice(0, 1),
      rescale: 'l1',
    }),
  },
  {
    tool: 'mergekit',
    name: 'della',
    here: '`merge.della`, `rescale: l1`',
    config: mergekit('della', { each: (name) => ({ ...weighted(name), density: 0.4, epsilon: 0.2 }) }),
    steps: step('merge.della', { base: 'base', models: list({ density: 0.4, epsilon: 0.2 }), rescale: 'l1' }),
  },
  {
    tool: 'sd-mecha',
    name: 'dropout',
    here: '`merge.dare_linear`, `normalize: kept`',
    expression: `m.add_difference(base, m.dropout(${DELTAS}, probability=0.7, seed=seed), 1.0)`,
    steps: step('merge.dare_linear', { base: 'base', models: equally({ density: 0.3 }), normalize: 'kept' }),
  },
  {
    tool: 'sd-mecha',
    name: 'ties_sum_with_dropout',
    here: '`merge.dare_ties`, `elect: count`, `undecided: none`, `normalize: true`',
    expression: `m.add_difference(base, m.ties_sum_with_dropout(${DELTAS}, ${DROPPED}, seed=seed), 1.0)`,
    steps: step('merge.dare_ties', {
      base: 'base',
      models: equally({ density: 0.3 }),
      elect: 'count',
      undecided: 'none',
      normalize: true,
    }),
  },
  {
    tool: 'sd-mecha',
    name: 'ties_sum_with_dropout, by sums',
    here: '`merge.dare_ties`, `elect: sum`, `normalize: true`, `rescale: off`',
    expression: `m.add_difference(base, m.ties_sum_with_dropout(${DELTAS}, ${DROPPED}, vote_sgn=True, rescale=False, seed=seed), 1.0)`,
    steps: step('merge.dare_ties', {
      base: 'base',
      models: equally({ density: 0.3 }),
      elect: 'sum',
      normalize: true,
      rescale: 'off',
    }),
  },
  {
    tool: 'MergeLM',
    name: 'mask_merging, average',
    here: '`merge.dare_linear`, `normalize: true`',
    expression: `base + sum(${MASKED} / 0.3 for d in (a - base, b - base, c - base)) / 3`,
    steps: step('merge.dare_linear', { base: 'base', models: equally({ density: 0.3 }), normalize: true }),
  },
  {
    tool: 'MergeLM',
    name: 'mask_merging, task arithmetic',
    here: '`merge.dare_linear`, `rescale: off`, `lambda`',
    expression: `base + 0.5 * sum(${MASKED} for d in (a - base, b - base, c - base))`,
    steps: step('merge.dare_linear', {
      base: 'base',
      models: equally({ density: 0.3 }),
      rescale: 'off',
      lambda: 0.5,
    }),
  },
]
