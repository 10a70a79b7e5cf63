// Recipes over models with tensors of awkward sizes: every operator that computes, in its modes. The names in them are
// those of sized-models.mjs.

const many = ['a', 'b', 'c']
const shares = (more) => many.map((model, i) => ({ model, weight: [0.5, 0.3, 0.7][i], ...more }))
const blend = (more) => ({ op: 'merge.blend', a: 'a', b: 'b', keep: 0.37, ...more })
const dare = (more) => ({ op: 'merge.dare', a: 'a', b: 'b', drop: 0.6, keep: 0.25, ...more })
const family = (op, each, more) => ({ op: `merge.${op}`, base: 'base', models: shares(each), lambda: 0.9, ...more })
const magnitude = (more) => ({ op: 'mask.magnitude', model: 'a', base: 'base', quantile: 0.8, ...more })
const normalize = (method) => ({ op: 'model.normalize', a: 'a', b: 'b', method })

/** One step or several, of which the last is written; by what it shows. */
const RECIPES = {
  linear: { op: 'merge.linear', models: { a: 0.5, b: 0.5 } },
  linear_of_three: { op: 'merge.linear', models: { a: 0.2, b: 0.9, c: -0.4 } },
  linear_as_it_is: { op: 'merge.linear', models: { a: 0.2, b: 0.9 }, normalize: false },
  ...Object.fromEntries(
    ['lerp', 'slerp', 'cosine', 'cubic', 'scaled_add', 'slice', 'cyclic', 'gradient'].map((method) => [
      `blend_${method}`,
      blend({ method }),
    ]),
  ),
  add_difference: { op: 'merge.add_difference', a: 'a', b: 'b', c: 'base', strength: 0.7 },
  task_arithmetic: family('task_arithmetic', {}),
  ties: family('ties', { density: 0.2 }),
  ties_over_the_model: family('ties', { density: 0.2 }, { scope: 'model' }),
  dare: dare({ rescale: true }),
  dare_twice: dare({ rescale: true, iterations: 2, blend: 'after', method: 'slerp' }),
  dare_by_sign: dare({ ties: 'sum', base: 'base' }),
  dare_by_count: dare({ ties: 'count' }),
  dare_linear: family('dare_linear', { density: 0.4 }),
  dare_ties: family('dare_ties', { density: 0.4 }),
  breadcrumbs: family('breadcrumbs', { density: 0.7, gamma: 0.02 }),
  breadcrumbs_ties: family('breadcrumbs_ties', { density: 0.7, gamma: 0.02 }),
  noise: { op: 'model.noise', model: 'a', std: 0.01, layers: '*' },
  noise_uniform: { op: 'model.noise', model: 'a', std: 0.01, kind: 'uniform', layers: '*' },
  normalize_all: normalize('all'),
  scale: { op: 'model.scale', model: 'a', factor: 0.3 },
  difference: [
    { op: 'model.subtract', a: 'a', b: 'base' },
    { op: 'model.scale', model: '$1', factor: 1.1 },
    { op: 'model.add', a: 'b', delta: '$2' },
  ],
  mask_magnitude: magnitude(),
  mask_over_the_model: magnitude({ scope: 'model', select: 'below' }),
  mask_compare: { op: 'mask.compare', a: 'a', b: 'b', base: 'base' },
  mask_of_signs: { op: 'mask.sign_agreement', models: many, base: 'base' },
  mask_of_chance: { op: 'mask.fill', like: 'a', p: 0.3 },
  mask_of_normals: { op: 'mask.fill', like: 'a', gaussian: { above: 0.4 } },
  masks_joined: [
    magnitude(),
    { op: 'mask.fill', like: 'a', p: 0.5 },
    { op: 'mask.xor', masks: ['$1', '$2'] },
    { op: 'mask.complement', mask: '$3' },
  ],
  masked_lerp: [magnitude(), blend({ mask: '$1', keep: 0.3 })],
  masked_dare: [magnitude({ select: 'below' }), dare({ mask: '$1', rescale: true })],
  numbers_by_layer: blend({ keep: { default: 0.4, 'layers.**': 0.9, odd: 0.1 } }),
  adapter: { op: 'adapter.apply', model: 'a', adapter: 'ink', strength: 0.8 },
  two_after_another: [
    family('ties', { density: 0.3 }),
    blend({ a: '$1', method: 'slerp' }),
    dare({ a: '$2', rescale: true }),
  ],
}

/**
 * The recipes as cases that {@link joinRecipes} takes; `only` names some. Random steps draw by their place, so each is
 * told apart.
 */
export const sizedCases = (only = Object.keys(RECIPES)) =>
  only.map((name) => {
    const steps = [RECIPES[name]].flat()
    const nameOf = (i) => `step${i + 1}`
    const resolve = (value) => {
      if (typeof value === 'string') return /^\$\d$/.test(value) ? nameOf(Number(value[1]) - 1) : value
      if (Array.isArray(value)) return value.map(resolve)
      return typeof value === 'object'
        ? Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, resolve(inner)]))
        : value
    }
    return {
      name,
      operators: steps.map(({ op }) => op),
      recipe: {
        models: Object.fromEntries(['base', ...many].map((model) => [model, `${model}.safetensors`])),
        adapters: { ink: 'ink.safetensors' },
        steps: Object.fromEntries(steps.map((step, i) => [nameOf(i), resolve(step)])),
        outputs: { out: { from: nameOf(steps.length - 1) } },
      },
    }
  })
