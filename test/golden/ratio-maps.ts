import { runOf, type PlainFile, type PlainTensor, type RecipeRun } from '../support/recipe-run.js'
import { keysOf, mapOf, tensorOf, type GoldenCase } from './case.js'

type Step = Readonly<Record<string, unknown>>
type Steps = Readonly<Record<string, Step>>
type Numbers = Readonly<Record<string, number>>

const DIFFUSION = 'diffusion_model'

/** What an architecture is told by; the lists of the cases often lack it. */
const TELLING: Readonly<Record<'sd15' | 'sdxl', Readonly<Record<string, readonly number[]>>>> = {
  sd15: {
    'input_blocks.0.0.weight': [320],
    'out.2.weight': [1],
    'input_blocks.4.1.transformer_blocks.0.attn2.to_k.weight': [1, 768],
  },
  sdxl: {
    'input_blocks.0.0.weight': [320],
    'out.2.weight': [1],
    'input_blocks.4.1.transformer_blocks.0.attn2.to_k.weight': [1, 2048],
    'input_blocks.8.1.transformer_blocks.9.attn2.to_k.weight': [1],
    // How deep a block lies follows from the blocks there are.
    ...Object.fromEntries(
      Array.from({ length: 9 }, (_, i) => [
        `input_blocks.${i}.0.in_layers.0.weight`,
        `output_blocks.${i}.0.in_layers.0.weight`,
      ])
        .flat()
        .concat('middle_block.0.in_layers.0.weight')
        .map((name) => [name, [1]]),
    ),
  },
}

const filled = (shape: readonly number[], value: number): PlainTensor => ({
  dtype: 'f32',
  shape,
  values: Array.from({ length: shape.reduce((n, d) => n * d, 1) }, () => value),
})

const fileFor = (names: readonly string[], value: number): PlainFile =>
  Object.fromEntries(names.map((name) => [name, filled([1], value)]))

const FACTOR = 1024

/** Makes weights visible: a tensor with the number w becomes 1024w, one without stays 1. */
const showing = (steps: Steps, like: PlainFile, names: readonly string[], expected: Numbers): RecipeRun =>
  runOf(
    { like, ones: fileFor(names, 1), more: fileFor(names, FACTOR) },
    {
      ...steps,
      once: { op: 'model.scale', model: 'ones', factor: Object.keys(steps).at(-1) },
      shown: { op: 'merge.add_difference', a: 'once', b: 'more', c: 'ones', strength: Object.keys(steps).at(-1) },
    },
    Object.fromEntries(names.map((name) => [name, filled([1], name in expected ? FACTOR * expected[name]! : 1)])),
    { tolerance: { rtol: 1e-6, atol: 1e-5 } },
  )

/** Weights over the names of a case that are, or are made to be, of a known architecture. */
const overKeys = (c: GoldenCase, steps: (names: readonly string[]) => Steps): RecipeRun => {
  const names = keysOf(c.inputs['keys'])
  const arch =
    c.params['arch'] === 'sdxl' || names.some((name) => /input_blocks\.8\.1\.transformer_blocks\.9\./.test(name))
      ? 'sdxl'
      : 'sd15'
  const telling = Object.fromEntries(
    Object.entries(TELLING[arch]).map(([name, shape]) => [`${DIFFUSION}.${name}`, filled(shape, 1)]),
  )
  return showing(steps(names), { ...fileFor(names, 1), ...telling }, names, mapOf(c.expected['value'], c.inputs))
}

const params = (c: GoldenCase, ...keys: readonly string[]): Step =>
  Object.fromEntries(keys.flatMap((key) => (c.params[key] == null ? [] : [[key, c.params[key]]])))

export const gradientBlock = (c: GoldenCase): RecipeRun =>
  overKeys(c, () => ({
    weights: { op: 'weights.block', like: 'like', ...params(c, 'time', 'label', 'input', 'middle', 'output', 'out') },
  }))

const BLOCKS: Readonly<Record<string, readonly [path: string, name: string]>> = {
  time: ['time_embed', 'TIME'],
  label: ['label_emb', 'LABEL'],
  out: ['out', 'OUT'],
}

/** A block as its path and as `weights.mbw` names it; parts of the middle block have no name there. */
const blockOf = (key: string): readonly [path: string, name: string | undefined] => {
  const [stem, index] = key.split('.')
  if (index === undefined) return BLOCKS[key]!
  const letters = { input_blocks: 'IN', output_blocks: 'OUT' }[stem!]
  return [key, letters === undefined ? undefined : `${letters}${index.padStart(2, '0')}`]
}

/** Numbers for blocks that the list does not hold say nothing; the parts of the middle block are set one by one. */
export const gradientMbw = (c: GoldenCase): RecipeRun =>
  overKeys(c, (names) => {
    const present = Object.keys(c.params).filter(
      (key) =>
        /^(time|label|out|(input|middle|output)_blocks?\.\d+)$/.test(key) &&
        names.some((name) => name.startsWith(`${DIFFUSION}.${blockOf(key)[0]}.`)),
    )
    const [named, parts] = [
      present.filter((key) => blockOf(key)[1] !== undefined),
      present.filter((key) => blockOf(key)[1] === undefined),
    ]
    const steps: Record<string, Step> = {
      weights: {
        op: 'weights.mbw',
        like: 'like',
        blocks: Object.fromEntries(named.map((key) => [blockOf(key)[1], c.params[key]])),
      },
    }
    for (const [i, key] of parts.entries()) {
      steps[`part${i}`] = {
        op: 'weights.edit',
        like: 'like',
        weights: Object.keys(steps).at(-1),
        layers: `${DIFFUSION}.${key}`,
        set: c.params[key],
      }
    }
    return steps
  })

const shell = (c: GoldenCase): Step => ({
  op: 'weights.shell',
  like: 'like',
  ...params(c, 'exterior', 'interior', 'core'),
})

/** Upstream's norms are those of transformers, which have a group of their own; a rule must select something. */
const element = (c: GoldenCase, names: readonly string[]): Step => {
  if (c.params['norm_scope'] === 'all')
    return { op: 'weights.attention', like: 'like', ...params(c, 'norm', 'attn', 'ff') }
  const kinds = [
    ['norm', 'group:norm-transformer', /\.norm[123]?\./],
    ['attn', 'group:attn', /\.attn[12]\./],
    ['ff', 'group:ff', /\.ff\.net\./],
  ] as const
  const rules = kinds.flatMap(([key, pattern, pick]) =>
    c.params[key] == null || !names.some((name) => pick.test(name)) ? [] : [[pattern, c.params[key]]],
  )
  return { op: 'weights.rules', like: 'like', rules: Object.fromEntries(rules) }
}

export const gradientShell = (c: GoldenCase): RecipeRun => overKeys(c, () => ({ weights: shell(c) }))

export const gradientElement = (c: GoldenCase): RecipeRun => overKeys(c, (names) => ({ weights: element(c, names) }))

export const gradientShellElement = (c: GoldenCase): RecipeRun =>
  overKeys(c, (names) => ({
    depth: shell(c),
    kind: element(c, names),
    weights: {
      op: 'weights.combine',
      like: 'like',
      a: 'depth',
      b: 'kind',
      operation: c.params['operation'],
      join: c.params['join'],
    },
  }))

const isError = (c: GoldenCase): boolean => {
  const value = c.expected['value']
  return value !== undefined && 'type' in value && value.type === 'error'
}

const overMaps = (c: GoldenCase, maps: readonly Numbers[], steps: Steps, code: string): RecipeRun => {
  const names = [...new Set(maps.flatMap((map) => Object.keys(map)))]
  if (!isError(c)) return showing(steps, fileFor(names, 1), names, mapOf(c.expected['value'], c.inputs))
  return { ...showing(steps, fileFor(names, 1), names, {}), expect: 'refusal', code }
}

export const gradientCombine = (c: GoldenCase): RecipeRun => {
  const [a, b] = [mapOf(c.inputs['a'], c.inputs), mapOf(c.inputs['b'], c.inputs)]
  return overMaps(
    c,
    [a, b],
    {
      weights: { op: 'weights.combine', like: 'like', a, b, operation: c.params['operation'], join: c.params['join'] },
    },
    'divide-by-zero',
  )
}

export const gradientEdit = (c: GoldenCase): RecipeRun => {
  const map = mapOf(c.inputs['map'], c.inputs)
  const step = {
    op: 'weights.edit',
    like: 'like',
    weights: map,
    layers: c.params['patterns'],
    [String(c.params['operation'])]: c.params['value'],
  }
  return overMaps(c, [map], { weights: step }, c.params['value'] === 0 ? 'divide-by-zero' : 'pattern-selects-nothing')
}

/** Layers without tensors of other kinds: a language model of nothing but queries. */
export const layerGradient = (c: GoldenCase): RecipeRun => {
  const names = Array.from(
    { length: c.params['layers'] as number },
    (_, i) => `model.layers.${i}.self_attn.q_proj.weight`,
  )
  const { values } = tensorOf(c.expected['value'])
  const expected = Object.fromEntries(names.map((name, i) => [name, values[i]!]))
  return showing(
    { weights: { op: 'weights.gradient', like: 'like', anchors: c.params['anchors'] } },
    { ...fileFor(names, 1), 'model.embed_tokens.weight': filled([1], 1) },
    names,
    expected,
  )
}
