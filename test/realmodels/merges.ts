/** The steps of a recipe by name; the last one is the merge. */
export type Steps = Readonly<Record<string, Readonly<Record<string, unknown>>>>

/** How to build a merge of the folder: each way must give the same numbers. */
export type Ways = Readonly<Record<string, Steps>>

const listed = (letters: string): string[] => [...letters]
const one = (step: Readonly<Record<string, unknown>>): Steps => ({ merge: step })
const weights = (pairs: readonly (readonly [string, number])[]): Record<string, number> => Object.fromEntries(pairs)
const trimmed = (letters: string, density: number) => listed(letters).map((model) => ({ model, density }))

/** The first tensors of a block mask, as its description lists them: prefixes that end in a dot. */
const prefixesOf = (recipe: string): string[] =>
  [...(/\[(.*?)\]/.exec(recipe)?.[1] ?? '').matchAll(/'([^']+)\.'/g)].map(([, prefix]) => prefix!)

const masked = (letter: string): Steps => ({
  mask: { op: 'mask.load', file: `mask_${letter}` },
  merge: { op: 'merge.task_arithmetic', base: 'base', models: ['A', 'B'], mask: 'mask' },
})

/** A LoRA in a model; its half-precision files and models are in a test of their own. */
export const baked = (adapter: string, model: string, strength: number): Steps =>
  one({ op: 'adapter.apply', model, adapter, strength })

const PATTERNS: readonly (readonly [RegExp, (match: readonly string[], recipe: string) => Ways])[] = [
  [
    /^average_(\w)(\w)$/,
    ([, a, b]) => ({
      linear: one({ op: 'merge.linear', models: [a, b] }),
      blend: one({ op: 'merge.blend', a, b }),
      arithmetic: one({ op: 'merge.task_arithmetic', base: 'base', models: [a, b], normalize: true }),
    }),
  ],
  [/^average_(\w{3})$/, ([, letters]) => ({ linear: one({ op: 'merge.linear', models: listed(letters!) }) })],
  [/^average_AB_fp16_files$/, () => ({ linear: one({ op: 'merge.linear', models: ['A16', 'B16'] }) })],
  [
    /^weighted_(\w)([\d.]+)_(\w)([\d.]+)$/,
    ([, a, x, b, y]) => ({
      linear: one({
        op: 'merge.linear',
        models: weights([
          [a!, Number(x)],
          [b!, Number(y)],
        ]),
      }),
      blend: one({ op: 'merge.blend', a, b, keep: Number(x) }),
    }),
  ],
  [
    /^task_arithmetic_(\w+)_lambda([\d.]+)$/,
    ([, letters, lambda]) => ({
      lambda: one({ op: 'merge.task_arithmetic', base: 'base', models: listed(letters!), lambda: Number(lambda) }),
    }),
  ],
  [
    /^negate_(\w)_lambda-1$/,
    ([, model]) => ({
      lambda: one({ op: 'merge.task_arithmetic', base: 'base', models: [model], lambda: -1 }),
      difference: one({ op: 'merge.add_difference', a: 'base', b: 'base', c: model }),
      delta: {
        learnt: { op: 'model.subtract', a: model, b: 'base' },
        merge: { op: 'model.add', a: 'base', delta: 'learnt', strength: -1 },
      },
    }),
  ],
  [
    /^ties_(\w+)_density([\d.]+)_lambda([\d.]+)$/,
    ([, letters, density, lambda]) => ({
      ties: one({ op: 'merge.ties', base: 'base', models: trimmed(letters!, Number(density)), lambda: Number(lambda) }),
    }),
  ],
  [
    /^trim_(\w)_density([\d.]+)$/,
    ([, model, density]) => ({
      ties: one({ op: 'merge.ties', base: 'base', models: trimmed(model!, Number(density)) }),
    }),
  ],
  [
    /^block_mask_first_(\w)_rest_(\w)$/,
    ([, first, rest], recipe) => ({
      parts: {
        first: { op: 'model.select', model: first, layers: prefixesOf(recipe) },
        rest: { op: 'model.select', model: rest, layers: prefixesOf(recipe).map((p) => `!${p}`) },
        merge: { op: 'model.combine', models: ['first', 'rest'] },
      },
      layers: one({ op: 'merge.blend', a: rest, b: first, keep: 0, layers: prefixesOf(recipe) }),
      mask: {
        mask: { op: 'mask.layers', like: 'base', layers: prefixesOf(recipe) },
        merge: { op: 'merge.blend', a: rest, b: first, keep: 0, mask: 'mask' },
      },
    }),
  ],
  [
    /^block_mask_first_mean_rest_TA$/,
    (_, recipe) => ({
      rules: one({
        op: 'merge.task_arithmetic',
        base: 'base',
        models: ['A', 'B'],
        lambda: { default: 1, ...Object.fromEntries(prefixesOf(recipe).map((p) => [p, 0.5])) },
      }),
    }),
  ],
  [
    /^lora_D_scale([\d.]+)$/,
    ([, strength]) => ({
      peft: baked('lora_peft', 'base', Number(strength)),
      kohya: baked('lora_kohya', 'base', Number(strength)),
    }),
  ],
  [
    /^lora_D_scale([\d.]+)_on_average_AB$/,
    ([, strength]) => ({
      kohya: {
        average: { op: 'merge.linear', models: ['A', 'B'] },
        ...baked('lora_kohya', 'average', Number(strength)),
      },
    }),
  ],
  [
    /^lora_D_plus_A_task_arithmetic_([\d.]+)$/,
    ([, lambda]) => ({
      task_arithmetic: {
        D: baked('lora_kohya', 'base', 1)['merge']!,
        merge: { op: 'merge.task_arithmetic', base: 'base', models: ['D', 'A'], lambda: Number(lambda) },
      },
      lambda: {
        learnt: { op: 'merge.task_arithmetic', base: 'base', models: ['A'], lambda: Number(lambda) },
        ...baked('lora_peft', 'learnt', Number(lambda)),
      },
    }),
  ],
  [
    /^larger_delta_wins$/,
    () => ({
      compare: {
        moved: { op: 'mask.compare', a: 'B', b: 'A', base: 'base' },
        merge: { op: 'merge.blend', a: 'A', b: 'B', keep: 0, mask: 'moved' },
      },
    }),
  ],
  [/^masked_(\w)$/, ([, letter]) => ({ mask: masked(letter!) })],
]

/** Every way to build a merge of the folder by its id; undefined when none is known. */
export const waysOf = (id: string, recipe: string): Ways | undefined => {
  for (const [pattern, ways] of PATTERNS) {
    const match = pattern.exec(id)
    if (match !== null) return ways(match as readonly string[], recipe)
  }
  return undefined
}

/** The same steps with random numbers of their own. */
export const seeded = (steps: Steps, seed: number): Steps =>
  Object.fromEntries(Object.entries(steps).map(([name, step]) => [name, { ...step, seed }]))

/** What a variant of DARE sets. */
const VARIANTS: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  normalized: { normalize: true },
  no_rescale: { rescale: 'off' },
}

/** Every way to build a merge that draws random numbers, by its id; undefined when none is known. */
export const randomWaysOf = (id: string): Ways | undefined => {
  const many = /^dare_(ties|linear)_([A-Z]+)(?:_(normalized|no_rescale))?_drop([\d.]+)_lambda([\d.]+)$/.exec(id)
  if (many !== null) {
    const [, kind, letters, variant, drop, lambda] = many
    const models = listed(letters!).map((model) => ({ model, density: 1 - Number(drop) }))
    const settings = { lambda: Number(lambda), ...VARIANTS[variant ?? ''] }
    return { [kind!]: one({ op: `merge.dare_${kind}`, base: 'base', models, ...settings }) }
  }
  const single = /^dare_one_(\w)_drop([\d.]+)_(rescaled|not_rescaled)$/.exec(id)
  if (single === null) return undefined
  const [, model, drop, scale] = single
  const density = 1 - Number(drop)
  const rescaled = scale === 'rescaled'
  return {
    linear: one({
      op: 'merge.dare_linear',
      base: 'base',
      models: [{ model, density }],
      rescale: rescaled ? 'density' : 'off',
    }),
    dare: one({ op: 'merge.dare', a: 'base', b: model, drop: Number(drop), rescale: rescaled }),
  }
}
