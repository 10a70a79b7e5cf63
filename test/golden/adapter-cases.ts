import { runOf, type PlainFile, type PlainTensor, type RecipeRun } from '../support/recipe-run.js'
import { fileOf, tensorOf, type GoldenCase } from './case.js'

type Alpha = number | null

const scalar = (value: number): PlainTensor => ({ dtype: 'f32', shape: [], values: [Math.fround(value)] })
const alphaOf = (module: string, alpha: Alpha): PlainFile =>
  alpha === null ? {} : { [`${module}.alpha`]: scalar(alpha) }

/** A tensor of an adapter by the role that the case gives it; absent where the case has none. */
const factor = (c: GoldenCase, role: string, name: string): PlainFile =>
  c.inputs[role] === undefined ? {} : { [name]: tensorOf(c.inputs[role]) }

const kohya = (c: GoldenCase, module: string, alpha: Alpha, suffix = ''): PlainFile => ({
  ...factor(c, `up${suffix}`, `${module}.lora_up.weight`),
  ...factor(c, `down${suffix}`, `${module}.lora_down.weight`),
  ...factor(c, 'mid', `${module}.lora_mid.weight`),
  ...alphaOf(module, alpha),
})

const bake = (c: GoldenCase, model: PlainFile, adapter: PlainFile, expected: PlainFile): RecipeRun =>
  runOf(
    { model, adapter },
    { result: { op: 'adapter.apply', model: 'model', adapter: 'adapter', strength: c.params['multiplier'] } },
    expected,
    {
      adapters: ['adapter'],
      tolerance: c.tolerance,
    },
  )

const alpha = (c: GoldenCase): Alpha => (c.params['alpha'] ?? null) as Alpha

/** One tensor, whose module is called as it is. */
const plain =
  (make: (c: GoldenCase) => PlainFile) =>
  (c: GoldenCase): RecipeRun =>
    bake(c, fileOf(c.inputs, 'W'), make(c), fileOf(c.expected, 'result'))

/** What makes a model of so many rows a Flux. */
const flux = (width: number): PlainFile => ({
  'double_blocks.0.img_attn.norm.key_norm.scale': { dtype: 'f32', shape: [1], values: [1] },
  'img_in.weight': { dtype: 'f32', shape: [width, 1], values: Array.from({ length: width }, () => 1) },
})

/** A tensor of Flux that diffusers stores in another way. */
const inFlux = (c: GoldenCase, width: number, tensor: string, module: string): RecipeRun =>
  bake(
    c,
    { ...flux(width), [tensor]: tensorOf(c.inputs['W']) },
    {
      ...factor(c, 'up', `transformer.${module}.lora_B.weight`),
      ...factor(c, 'down', `transformer.${module}.lora_A.weight`),
      ...alphaOf(`transformer.${module}`, alpha(c)),
    },
    { ...flux(width), [tensor]: tensorOf(c.expected['result']) },
  )

const rows = (c: GoldenCase): RecipeRun => {
  const [first, count] = [c.params['row_start'] as number, c.params['row_count'] as number]
  return inFlux(c, count, 'double_blocks.0.img_attn.qkv.weight', `transformer_blocks.0.attn.to_${'qkv'[first / count]}`)
}

const swapped = (c: GoldenCase): RecipeRun =>
  inFlux(c, tensorOf(c.inputs['W']).shape[0]! / 2, 'final_layer.adaLN_modulation.1.weight', 'norm_out.linear')

const sum = (c: GoldenCase): RecipeRun => {
  const [alphas, strengths] = [c.params['alpha'] as readonly Alpha[], c.params['multiplier'] as readonly number[]]
  return runOf(
    { model: fileOf(c.inputs, 'W'), first: kohya(c, 'x', alphas[0]!, '_1'), second: kohya(c, 'x', alphas[1]!, '_2') },
    {
      one: { op: 'adapter.apply', model: 'model', adapter: 'first', strength: strengths[0] },
      both: { op: 'adapter.apply', model: 'one', adapter: 'second', strength: strengths[1] },
    },
    fileOf(c.expected, 'result'),
    { adapters: ['first', 'second'], tolerance: c.tolerance },
  )
}

/**
 * LyCORIS writes an alpha that is right when it is divided by the rank; PEFT's own way, with a config, is tested in
 * `test/adapters`.
 */
const rankStabilised = (c: GoldenCase): PlainFile =>
  kohya(c, 'x', (alpha(c) as number) * Math.sqrt(tensorOf(c.inputs['down']).shape[0]!))

/** Tensors whose names are those of the case behind an ending, and the alpha. */
const named =
  (prefix: string, roles: readonly string[], ending = '') =>
  (c: GoldenCase): PlainFile => ({
    ...(Object.assign({}, ...roles.map((role) => factor(c, role, `x.${prefix}${role}${ending}`))) as PlainFile),
    ...alphaOf('x', alpha(c)),
  })

const loha = named('hada_', ['w1_a', 'w1_b', 'w2_a', 'w2_b', 't1', 't2'])
const lokr = named('lokr_', ['w1', 'w1_a', 'w1_b', 'w2', 'w2_a', 'w2_b', 't2'])

const dora = (c: GoldenCase): PlainFile => ({
  ...kohya(c, 'x', alpha(c)),
  ...factor(c, 'magnitude', 'x.dora_scale'),
})

const ia3 = (c: GoldenCase): PlainFile => ({
  ...factor(c, 'weight', 'x.weight'),
  'x.on_input': scalar(c.params['on_input'] === true ? 1 : 0),
})

/** The constraint of a case is on the norm; an adapter's alpha is that by row. */
const rotation = (c: GoldenCase): PlainFile => {
  const most = (c.params['constraint'] ?? null) as number | null
  return {
    ...factor(c, 'blocks', 'x.oft_blocks'),
    ...factor(c, 'rescale', 'x.rescale'),
    ...alphaOf('x', most === null ? null : most / tensorOf(c.inputs['W']).shape[0]!),
  }
}

/** The cases of adapters that `adapter.apply` computes, as files and recipes. */
export const ADAPTERS: Readonly<Record<string, (c: GoldenCase) => RecipeRun>> = {
  boft: plain(rotation),
  dora: plain(dora),
  full_diff: plain((c) => factor(c, 'diff', 'x.diff')),
  glora: plain(named('', ['a1', 'a2', 'b1', 'b2'], '.weight')),
  ia3: plain(ia3),
  loha: plain(loha),
  loha_tucker: plain(loha),
  lokr: plain(lokr),
  lokr_tucker: plain(lokr),
  lora: plain((c) => kohya(c, 'x', alpha(c))),
  lora_conv: plain((c) => kohya(c, 'x', alpha(c))),
  lora_pad: plain((c) => {
    const shape = c.params['shape'] as readonly number[]
    return { ...kohya(c, 'x', alpha(c)), 'x.reshape_weight': { dtype: 'i64', shape: [shape.length], values: shape } }
  }),
  lora_rows: rows,
  lora_rs: plain(rankStabilised),
  lora_sum: sum,
  lora_swap_halves: swapped,
  lora_tucker: plain((c) => kohya(c, 'x', alpha(c))),
  oft: plain(rotation),
}
