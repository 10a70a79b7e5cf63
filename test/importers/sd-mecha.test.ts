import { describe, expect, it, test } from 'vitest'
import { NO_MODELS } from '#src/importers/find-models.js'
import { importFile } from '#src/importers/index.js'
import { textInput } from '#src/importers/read-input.js'
import { importAndBuild, worstDifference, type Numbers } from '../support/imported.js'
import { blockOf, sd1File, tinySd1 } from '../support/tiny-sd1.js'

const [A, B, C] = [tinySd1(1), tinySd1(2), tinySd1(3)]
const FILES = {
  'models/a.safetensors': sd1File(1),
  'models/b.safetensors': sd1File(2),
  'models/c.safetensors': sd1File(3),
}

/** Float16 numbers are compared with this: half a unit in the last place of 2. */
const F16 = 1.1e-3

const each = (make: (name: string, a: number, b: number, c: number) => number): Numbers =>
  Object.fromEntries(
    Object.entries(A).map(([name, values]) => [name, values.map((a, i) => make(name, a, B[name]![i]!, C[name]![i]!))]),
  )

const imported = (text: string) => {
  const result = importFile(textInput('merge.mecha', text, NO_MODELS))
  if (result.type === 'failed') throw new Error(result.diagnostics[0]!.message)
  return result.value
}

const OLD = (text: string): string => `model "a" "sd1" "base"\nmodel "b" "sd1" "base"\nmodel "c" "sd1" "base"\n${text}`
const NEW = (text: string): string =>
  `version 0.1.0\n${['a', 'b', 'c'].map((m) => `model "${m}.safetensors" model_config="sd1-ldm" merge_space="weight"`).join('\n')}\n${text}`

describe('sd-mecha', () => {
  test('a weighted sum by blocks, of 0.1 and later: the embedding of time goes with BASE', async () => {
    const blocks = [
      'BASE=0.125',
      ...Array.from({ length: 12 }, (_, i) => `IN${String(i).padStart(2, '0')}=${i / 16}`),
      'M00=0.5',
      ...Array.from({ length: 12 }, (_, i) => `OUT${String(i).padStart(2, '0')}=${1 - i / 16}`),
    ]
    const share = new Map(blocks.map((b) => [b.split('=')[0]!, Number(b.split('=')[1]!)]))
    const text = NEW(
      [
        `dict ${blocks.join(' ')}`,
        'literal &3 model_config="sd1-supermerger_blocks" merge_space="param"',
        'merge "convert_sd1_blocks_to_ldm" &4',
        'merge "weighted_sum" &0 &1 alpha=&5',
      ].join('\n'),
    )
    const { numbers, recipe, code } = await importAndBuild('blocks.mecha', text, FILES)
    const wanted = each((name, a, b) => {
      const block = { TIME: 'BASE', VAE: 'BASE', OUT: 'OUT11' }[blockOf(name)] ?? blockOf(name)
      return a + share.get(block)! * (b - a)
    })
    expect(worstDifference(numbers, wanted)).toBeLessThan(F16)
    expect(code).toBe(0)
    expect(recipe).toMatchInlineSnapshot(`
      "# Imported from blocks.mecha (sd-mecha).
      # sd-mecha computes in the dtype of its merge (float64 unless told otherwise); smelt in float32.

      smelt: 1
      name: blocks

      models:
        a: models/a.safetensors
        b: models/b.safetensors

      steps:
        weighted_sum:
          op: merge.blend
          a: a
          b: b
          keep: { mbw: [0.875, 1, 0.9375, 0.875, 0.8125, 0.75, 0.6875, 0.625, 0.5625, 0.5, 0.4375, 0.375, 0.3125, 0.5, 0, 0.0625, 0.125, 0.1875, 0.25, 0.3125, 0.375, 0.4375, 0.5, 0.5625, 0.625, 0.6875], "block:time": 0.875 } # 1 − alpha

      outputs:
        merged:
          from: weighted_sum
          path: build/blocks.safetensors
          dtype: f16 # what sd-mecha writes unless it is told otherwise
      "
    `)
  })

  test('weights by component and block, of 0.0: the embedding of time takes their mean, the VAE stays', async () => {
    const text = OLD(
      'dict sd1_txt_default=0.25 sd1_txt_block_in11=0.75 sd1_unet_block_in4=0.5 sd1_unet_block_out11=1\nmerge "weighted_sum" &0 &1 alpha=&3',
    )
    const { numbers, recipe } = await importAndBuild('old.mecha', text, FILES)
    const wanted = each((name, a, b) => {
      const block = blockOf(name)
      const text = name.includes('layers.11') ? 0.75 : 0.25
      const alpha = { BASE: text, TIME: 0.75, IN04: 0.5, OUT11: 1, OUT: 1 }[block] ?? 0
      return a + alpha * (b - a)
    })
    expect(worstDifference(numbers, wanted)).toBeLessThan(F16)
    expect(recipe).toMatchInlineSnapshot(`
      "# Imported from old.mecha (sd-mecha).
      # sd-mecha computes in the dtype of its merge (float64 unless told otherwise); smelt in float32.

      smelt: 1
      name: old

      models:
        a: models/a.safetensors
        b: models/b.safetensors

      steps:
        weighted_sum:
          op: merge.blend
          a: a
          b: b
          # 1 − alpha
          keep:
            default: 1
            cond_stage_model.transformer.text_model: 0.75
            "block:time": 0.25
            cond_stage_model.transformer.text_model.encoder.layers.11: 0.25
            "block:in.4": 0.5
            "block:out.11": 0
            "block:final": 0
          layers: ["*", { match: "!component:vae", optional: true }] # this version of sd-mecha never merges the VAE

      outputs:
        merged:
          from: weighted_sum
          path: build/old.safetensors
          dtype: f16 # what sd-mecha writes unless it is told otherwise
      "
    `)
  })

  test('add difference, its scaling, and a fallback', async () => {
    const text = NEW(
      'merge "subtract" &1 &2\nmerge "add_difference" &0 &3 alpha=0.5\nmerge "scale" &3 alpha=-0.25\nmerge "add_difference" &4 &5 1.0\nmerge "fallback" &6 &0',
    )
    const { numbers, recipe } = await importAndBuild('add.mecha', text, FILES)
    expect(
      worstDifference(
        numbers,
        each((_, a, b, c) => a + 0.25 * (b - c)),
      ),
    ).toBeLessThan(F16)
    expect(recipe).toMatchInlineSnapshot(`
      "# Imported from add.mecha (sd-mecha).
      # sd-mecha computes in the dtype of its merge (float64 unless told otherwise); smelt in float32.

      smelt: 1
      name: add

      models:
        a: models/a.safetensors
        b: models/b.safetensors
        c: models/c.safetensors

      steps:
        add_difference:
          op: merge.add_difference
          a: a
          b: b
          c: c
          strength: 0.5
        b_minus_c:
          op: model.subtract
          a: b
          b: c
        scale:
          op: model.scale
          model: b_minus_c
          factor: -0.25
        add_difference-2:
          op: model.add
          a: add_difference
          delta: scale
          strength: 1
        fallback:
          op: model.combine
          models: [add_difference-2, a]
          overlap: first

      outputs:
        merged:
          from: fallback
          path: build/add.safetensors
          dtype: f16 # what sd-mecha writes unless it is told otherwise
      "
    `)
  })

  test('the perpendicular part of a difference', async () => {
    const text = OLD(
      'merge "subtract" &0 &2\nmerge "subtract" &1 &2\nmerge "perpendicular_component" &3 &4\nmerge "add_difference" &0 &5 alpha=0.5',
    )
    const { numbers } = await importAndBuild('perpendicular.mecha', text, FILES)
    const wanted = each((name, a, b, c) => {
      if (blockOf(name) === 'VAE') return a
      const [da, db] = [A, B].map((m) => m[name]!.map((x, i) => x - C[name]![i]!)) as [number[], number[]]
      const dot = (x: readonly number[], y: readonly number[]): number => x.reduce((s, v, i) => s + v * y[i]!, 0)
      return a + 0.5 * (b - c - ((a - c) * dot(da, db)) / dot(da, da))
    })
    expect(worstDifference(numbers, wanted)).toBeLessThan(F16)
  })

  test('TIES of differences, with a vote by number of signs', async () => {
    const text = NEW(
      'merge "subtract" &1 &0\nmerge "subtract" &2 &0\nmerge "ties_sum" &3 &4 k=1.0 vote_sgn=false\nmerge "add_difference" &0 &5 alpha=0.5',
    )
    const { numbers, recipe } = await importAndBuild('ties.mecha', text, FILES)
    const wanted = each((_, a, b, c) => {
      const [x, y] = [b - a, c - a]
      const sign = Math.sign(Math.sign(x) + Math.sign(y))
      return sign === 0 ? a : a + 0.5 * ((x + y) / 2)
    })
    expect(worstDifference(numbers, wanted)).toBeLessThan(F16)
    expect(recipe).toContain('elect: count')
    expect(imported(text.replace('vote_sgn=false', 'vote_sgn=true')).recipe).toContain('elect: sum')
    expect(
      imported(OLD('merge "subtract" &1 &0\nmerge "ties_sum" &3 k=0.5\nmerge "add_difference" &0 &4')).recipe,
    ).toContain('elect: sum')
  })

  test('slerp keeps the norms apart from the directions', async () => {
    const text = NEW(
      'dict key=0.25\nliteral &3 model_config="singleton-mecha" merge_space="param"\nmerge "convert_singleton" &4\nmerge "slerp" &0 &1 &5',
    )
    const { numbers } = await importAndBuild('slerp.mecha', text, FILES)
    const wanted = Object.fromEntries(
      Object.entries(A).map(([name, a]) => {
        const b = B[name]!
        const [na, nb] = [Math.hypot(...a), Math.hypot(...b)]
        const theta = Math.acos(a.reduce((s, x, i) => s + (x / na) * (b[i]! / nb), 0))
        const [p, q] = [Math.sin(0.75 * theta) / Math.sin(theta), Math.sin(0.25 * theta) / Math.sin(theta)]
        return [name, a.map((x, i) => ((x / na) * p + (b[i]! / nb) * q) * (na + 0.25 * (nb - na)))]
      }),
    )
    expect(worstDifference(numbers, wanted)).toBeLessThan(F16)
  })

  test('a fallback of differences, which `add_difference` of two of them writes', async () => {
    const text = NEW(
      'merge "subtract" &1 &2\nmerge "subtract" &2 &0\nmerge "add_difference" &3 &4 alpha=0.5\nmerge "fallback" &5 &3\nmerge "add_difference" &0 &6 alpha=0.5',
    )
    const { numbers, code } = await importAndBuild('deltas.mecha', text, FILES)
    const wanted = each((_, a, b, c) => a + 0.5 * (b - c + 0.5 * (c - a)))
    expect(worstDifference(numbers, wanted)).toBeLessThan(F16)
    expect(code).toBe(0)
  })

  test('differences of differences, averages, parts and adapters', () => {
    const { recipe, missing } = imported(
      NEW(
        [
          'model "ink.safetensors" model_config="sd1-kohya_lora" merge_space="delta"',
          'merge "add_difference" &0 &3 alpha=0.8',
          'merge "n_average" &4 &1 &2',
          'merge "omit_component" &5 "vae"',
          'merge "pick_component" &1 component="vae"',
          'merge "fallback" &6 &7',
          'merge "cast" &8 dtype="bf16"',
        ].join('\n'),
      ),
    )
    expect(missing).toEqual([])
    expect(recipe).toMatchInlineSnapshot(`
      "# Imported from merge.mecha (sd-mecha).
      # sd-mecha computes in the dtype of its merge (float64 unless told otherwise); smelt in float32.

      smelt: 1
      name: merge

      models:
        a: models/a.safetensors
        b: models/b.safetensors
        c: models/c.safetensors

      adapters:
        ink: loras/ink.safetensors

      steps:
        a_ink:
          op: adapter.apply
          model: a
          adapter: ink
          strength: 0.8
        n_average:
          op: merge.linear
          models: [a_ink, b, c]
        omit_component:
          op: model.select
          model: n_average
          layers: ["*", "!component:vae"]
        pick_component:
          op: model.select
          model: b
          layers: "component:vae"
        fallback:
          op: model.combine
          models: [omit_component, pick_component]
          overlap: first

      outputs:
        merged:
          from: fallback
          path: build/merge.safetensors
          dtype: bf16
      "
    `)
  })

  test('texts and nothing at all, as 1.x writes them: parts of models, and a cast', () => {
    const constant = (value: string, at: number): string =>
      `dict key=${value}\nliteral &${at} model_config="singleton-mecha" merge_space="param"\nmerge "convert_singleton" &${at + 1}\n`
    const { recipe, missing } = imported(
      NEW(
        `${constant('"vae"', 3)}merge "omit_component" &0 &5\nmerge "fallback" &6 &1\n${constant('null', 8)}${constant('"bf16"', 11)}merge "cast" &7 &10 &13`,
      ),
    )
    expect(missing).toEqual([])
    expect(recipe).toContain('layers: ["*", "!component:vae"]')
    expect(recipe).toMatch(/path: build\/merge.safetensors\n {4}dtype: bf16\n/)
  })

  test.each([
    ['sd1-ldm', 'clip_l', '"component:clip"'],
    ['sdxl-sgm', 'clip_l', 'conditioner.embedders.0'],
    ['sdxl-sgm', 'clip_g', 'conditioner.embedders.1'],
    ['sd3-comfyui', 't5xxl', 'text_encoders.t5xxl'],
    ['flux-flux', 'diffuser', '"component:diffusion"'],
  ])('of %s, %s is %s', (family, component, layers) => {
    const { recipe } = imported(
      `version 0.1.0\nmodel "a" model_config="${family}" merge_space="weight"\nmerge "pick_component" &0 "${component}"`,
    )
    expect(recipe).toContain(`layers: ${layers}\n`)
  })

  test('parameters become params of the recipe', () => {
    const { recipe } = imported(
      'parameter "a" "BASE" "sdxl"\nparameter "b" "BASE"\nmerge "weighted_sum" &0 &1 alpha=0.5',
    )
    expect(recipe).toContain(
      'params:\n  a_file: a.safetensors # a parameter of the sd-mecha recipe: the model to use\n',
    )
    expect(recipe).toContain('models:\n  a: $a_file\n  b: $b_file\n')
  })

  test('a rotation, by the names of now and of before', () => {
    const steps = (text: string) => /steps:\n([^]*?)\n\noutputs/.exec(imported(OLD(text)).recipe!)![1]
    expect(steps('merge "rotate" &0 &1 alpha=0.5 beta=0.25')).toBe(
      steps('merge "rotate" &0 &1 alignment=0.5 alpha=0.25'),
    )
    expect(steps('merge "rotate" &0 &1')).toContain('alignment: 1\n    alpha: 0\n')
  })

  test.each([
    ['train_difference', '', 'train_difference_mask'],
    ['add_opposite', 'method: opposite', 'add_opposite_mask'],
    ['clamped_add_opposite', 'method: strict_opposite', 'add_strict_opposite_mask'],
  ])('%s, as one method and by a mask, is one step', (whole, method, mask) => {
    const parts = `merge "${mask}" &0 &1 &2 alpha=0.75\nmerge "subtract" &1 &2\nmerge "add_difference" &0 &4 alpha=&3`
    const { recipe } = imported(NEW(parts))
    expect(recipe).toContain(
      `op: merge.train_difference\n    a: a\n    b: b\n    c: c\n    strength: 0.75\n${method && `    ${method}\n`}`,
    )
    const fields = (text: string) => new Set(/op: merge[^]*?(?=\n\n)/.exec(imported(NEW(text)).recipe!)![0].split('\n'))
    expect(fields(`merge "${whole}" &0 &1 &2 alpha=0.75`)).toEqual(fields(parts))
  })

  test('TIES of what dropout leaves, where it trims nothing', async () => {
    const text = NEW(
      [
        'merge "subtract" &1 &0',
        'merge "subtract" &2 &0',
        'merge "ties_sum_with_dropout" &3 &4 probability=0.0 k=1.0 apply_stock=true vote_sgn=true',
        'merge "add_difference" &0 &5 alpha=0.5',
      ].join('\n'),
    )
    const { numbers, recipe } = await importAndBuild('dare.mecha', text, FILES)
    const wanted = each((_, a, b, c) => {
      const sign = Math.sign(b - a + (c - a))
      const agree = [b - a, c - a].filter((d) => Math.sign(d) === sign)
      return a + (agree.length === 0 ? 0 : (0.5 * agree.reduce((s, d) => s + d, 0)) / agree.length)
    })
    expect(worstDifference(numbers, wanted)).toBeLessThan(F16)
    expect(recipe).toContain('rescale: density')
  })

  it.each([
    [
      'merge "train_difference_mask" &0 &1 &2\nmerge "subtract" &2 &1\nmerge "add_difference" &0 &4 alpha=&3',
      /this mask/,
    ],
    ['merge "subtract" &1 &0\nmerge "ties_sum_with_dropout" &3 probability=0.5', /with `k=1`/],
    ['merge "subtract" &1 &0\nmerge "truncate_rank" &3 rank_ratio=0.5', /a share of the largest/],
  ])('is refused with a sentence: %s', (text, why) => {
    const { recipe, missing } = imported(NEW(text))
    expect(recipe).toBeUndefined()
    expect(missing.map((m) => `${m.where}: ${m.what}: ${m.why}`).join('\n')).toMatch(why)
  })

  it.each([
    ['merge "rotate_all" &0 &1', /`rotate_all`: smelt has no operator/],
    ['merge "add_difference" &0 &1', /`b` has to be a difference/],
    ['merge "weighted_sum" &0 &9', /&9: no instruction above it has that number/],
    ['merge "weighted_sum" &0 "x"', /`b` has to be a model/],
    ['merge "weighted_sum" &0 &1 alpha="x"', /`alpha` has to be a number/],
    ['nonsense here', /is no instruction of sd-mecha/],
    ['dict BASE=1 NOSE=2\nmerge "weighted_sum" &0 &1 alpha=&3', /numbers by block are known/],
    ['dict BASE=1\nmerge "weighted_sum" &0 &1 alpha=&3', /no number for IN00/],
    ['merge "subtract" &0 &1\nmerge "subtract" &1 &2\nmerge "ties_sum" &3 &4', /from one base model/],
    ['model "x" "sd1" "lora"\nmerge "weighted_sum" &0 &3', /applies adapters to models/],
  ])('is refused with a sentence: %s', (text, why) => {
    const { recipe, missing } = imported(OLD(text))
    expect(recipe).toBeUndefined()
    expect(missing.map((m) => `${m.where}: ${m.what}: ${m.why}`).join('\n')).toMatch(why)
  })
})
