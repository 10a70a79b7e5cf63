import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it, test } from 'vitest'
import { NO_MODELS } from '#src/importers/find-models.js'
import { importFile } from '#src/importers/index.js'
import type { ImportInput } from '#src/importers/importer.js'
import { textInput } from '#src/importers/read-input.js'
import { inFolder, readTensors } from '../support/build-run.js'
import { importAndBuild, worstDifference, type Numbers } from '../support/imported.js'
import { runHere } from '../support/run-here.js'
import { blockOf, sd1File, tinySd1 } from '../support/tiny-sd1.js'
import { writeSafetensors } from '../support/write-safetensors.js'

const [A, B, C] = [tinySd1(1), tinySd1(2), tinySd1(3)]
const FILES = {
  'models/Stable-diffusion/a.safetensors': sd1File(1),
  'models/Stable-diffusion/b.safetensors': sd1File(2),
  'models/Stable-diffusion/sub/c.safetensors': sd1File(3),
}
const MODELS = {
  aa: { name: 'a.safetensors', legacy_hash: '1', sd_merge_recipe: null },
  bb: { name: 'b.safetensors [0123456789]', legacy_hash: '2', sd_merge_recipe: null },
  cc: { name: 'sub\\c.safetensors', legacy_hash: '3', sd_merge_recipe: null },
}

/** A safetensors file without tensors whose metadata holds a merge. */
const fileOf = (recipe: object, models: object = MODELS): Buffer => {
  const metadata = { sd_merge_recipe: JSON.stringify(recipe), sd_merge_models: JSON.stringify(models) }
  const header = Buffer.from(JSON.stringify({ __metadata__: metadata }))
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(header.length))
  return Buffer.concat([length, header])
}

const each = (make: (name: string, a: number, b: number, c: number) => number): Numbers =>
  Object.fromEntries(
    Object.entries(A).map(([name, values]) => [name, values.map((a, i) => make(name, a, B[name]![i]!, C[name]![i]!))]),
  )

/** Block weights of 25 numbers, IN00 to OUT11, and the number of a tensor as supermerger has it. */
const weights = (of: (i: number) => number): readonly number[] => Array.from({ length: 25 }, (_, i) => of(i))
const weightOf = (list: readonly number[], base: number, name: string, time = 'OUT11'): number => {
  const block = { TIME: time, OUT: 'OUT11', VAE: 'BASE' }[blockOf(name)] ?? blockOf(name)
  if (block === 'BASE') return base
  if (block === 'M00') return list[12]!
  return block.startsWith('IN') ? list[Number(block.slice(2))]! : list[13 + Number(block.slice(3))]!
}

const RAMP = weights((i) => i / 32)
const SUPER = {
  type: 'sd-webui-supermerger',
  weights_alpha: null,
  weights_beta: null,
  weights_alpha_orig: '',
  weights_beta_orig: '',
  model_a: 'aa',
  model_b: 'bb',
  model_c: 'aa',
  base_alpha: 0.25,
  base_beta: 0,
  mode: 'Weight sum',
  mbw: false,
  elemental_merge: '',
  calcmode: 'normal',
  Off: [''],
}

const imported = (recipe: object, models: object = MODELS) => {
  const metadata = new Map([
    ['sd_merge_recipe', JSON.stringify(recipe)],
    ['sd_merge_models', JSON.stringify(models)],
  ])
  const input: ImportInput = {
    path: 'merged.safetensors',
    title: 'merged',
    type: 'safetensors',
    text: '',
    json: undefined,
    metadata,
    finder: NO_MODELS,
  }
  const result = importFile(input)
  if (result.type === 'failed') throw new Error(result.diagnostics[0]!.message)
  return result.value
}

describe('the web UI', () => {
  const WEBUI = { type: 'webui', primary_model_hash: 'aa', secondary_model_hash: 'bb', tertiary_model_hash: 'cc' }

  test('weighted sum: the multiplier is the share of the second model', async () => {
    const recipe = {
      ...WEBUI,
      interp_method: 'Weighted sum',
      multiplier: 0.3,
      custom_name: 'My mix',
      save_as_half: false,
    }
    const built = await importAndBuild('x.safetensors', fileOf(recipe), FILES)
    expect(
      worstDifference(
        built.numbers,
        each((_, a, b) => a + 0.3 * (b - a)),
      ),
    ).toBeLessThan(1e-6)
    expect(built.recipe).toMatchInlineSnapshot(`
      "# Imported from x.safetensors (AUTOMATIC1111 web UI).
      # smelt computes in float32 and rounds once; the web UI and its extensions compute in the dtype of the models.

      smelt: 1
      name: x

      models:
        a: models/Stable-diffusion/a.safetensors
        b: models/Stable-diffusion/b.safetensors

      steps:
        weighted_sum:
          op: merge.blend
          a: a
          b: b
          keep: 0.7 # 1 − multiplier
          missing: keep

      outputs:
        merged:
          from: weighted_sum
          path: build/My-mix.safetensors
      "
    `)
    expect(built.code).toBe(0)
  })

  test('add difference, another VAE, and weights that are discarded', async () => {
    const recipe = {
      ...WEBUI,
      interp_method: 'Add difference',
      multiplier: 0.75,
      save_as_half: true,
      bake_in_vae: 'v.safetensors',
      discard_weights: '^model_ema\\.|layers.11',
    }
    const vae = { 'decoder.conv_in.weight': B['first_stage_model.decoder.conv_in.weight']!, 'loss.logvar': [1, 2] }
    const built = await importAndBuild('x.safetensors', fileOf(recipe), { ...FILES, 'models/VAE/v.safetensors': vae })
    const wanted = Object.fromEntries(
      Object.entries(each((name, a, b, c) => (blockOf(name) === 'VAE' ? b : a + 0.75 * (b - c)))).filter(
        ([name]) => !name.includes('layers.11'),
      ),
    )
    expect(worstDifference(built.numbers, wanted)).toBeLessThan(2e-3)
    expect(built.recipe).toMatchInlineSnapshot(`
      "# Imported from x.safetensors (AUTOMATIC1111 web UI).
      # smelt computes in float32 and rounds once; the web UI and its extensions compute in the dtype of the models.

      smelt: 1
      name: x

      models:
        a: models/Stable-diffusion/a.safetensors
        b: models/Stable-diffusion/b.safetensors
        c: models/Stable-diffusion/sub/c.safetensors
        v: models/VAE/v.safetensors

      steps:
        add_difference:
          op: merge.add_difference
          a: a
          b: b
          c: c
          strength: 0.75
          missing: keep
        vae:
          op: model.select
          model: v
          layers: ["*", { match: "!loss", optional: true }, { match: "!model_ema", optional: true }]
        placed_vae:
          op: model.rename
          model: vae
          add_root: first_stage_model
        with_vae:
          op: model.combine
          models: [placed_vae, add_difference]
          overlap: first
        pruned:
          op: model.select
          model: with_vae
          layers: ["*", { match: "!model_ema", optional: true }, { match: "!**.*layers.11*", optional: true }]

      outputs:
        merged:
          from: pruned
          path: build/x.safetensors
          dtype: f16
      "
    `)
  })

  test('a merge of merges is rebuilt, with the hashes of the files as pins', () => {
    const hash = (c: string): string => c.repeat(64)
    const inner = {
      ...WEBUI,
      primary_model_hash: hash('a'),
      secondary_model_hash: hash('b'),
      interp_method: 'Weighted sum',
      multiplier: 0.5,
    }
    const models = {
      [hash('a')]: { name: 'a.safetensors', sd_merge_recipe: null },
      [hash('b')]: { name: 'b.ckpt', sd_merge_recipe: null },
      [hash('c')]: { name: 'half.safetensors', sd_merge_recipe: inner },
      sd_merge_recipe: inner,
    }
    const { recipe, missing } = imported({ ...inner, secondary_model_hash: hash('c'), multiplier: 1 }, models)
    expect(missing).toEqual([])
    expect(recipe).toMatchInlineSnapshot(`
      "# Imported from merged.safetensors (AUTOMATIC1111 web UI).
      # smelt computes in float32 and rounds once; the web UI and its extensions compute in the dtype of the models.
      #
      # What differs:
      # - half.safetensors: half.safetensors was a merge itself, and is merged anew here; pass --models to use the file

      smelt: 1
      name: merged

      models:
        a:
          path: models/Stable-diffusion/a.safetensors
          sha256: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
        b:
          path: models/Stable-diffusion/b.ckpt
          sha256: bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb

      steps:
        weighted_sum:
          op: merge.blend
          a: a
          b: b
          keep: 0.5 # 1 − multiplier
          missing: keep
        weighted_sum-2:
          op: merge.blend
          a: a
          b: weighted_sum
          keep: 0 # 1 − multiplier
          missing: keep

      outputs:
        merged:
          from: weighted_sum-2
          path: build/merged.safetensors
      "
    `)
  })
})

describe('supermerger', () => {
  test('block weights, elemental merge and what is excluded', async () => {
    const recipe = {
      ...SUPER,
      mbw: true,
      weights_alpha: RAMP,
      base_alpha: 0.125,
      elemental_merge: ['IN04-IN11:attn2:0.75', 'OUT11::0.5', 'OUT11:attn1:1', ''],
      Exclude: ['M00', 'time_embed', ''],
      Off: undefined,
    }
    const built = await importAndBuild('x.safetensors', fileOf(recipe), FILES)
    const wanted = each((name, a, b) => {
      if (blockOf(name) === 'M00' || name.includes('time_embed')) return a
      let alpha = weightOf(RAMP, 0.125, name)
      if (/^IN(0[4-9]|1[01])/.test(blockOf(name)) && name.includes('attn2')) alpha = 0.75
      if (['OUT11', 'OUT'].includes(blockOf(name))) alpha = name.includes('attn1') ? 1 : 0.5
      return a + alpha * (b - a)
    })
    expect(worstDifference(built.numbers, wanted)).toBeLessThan(1e-6)
    expect(built.recipe).toMatchInlineSnapshot(`
      "# Imported from x.safetensors (AUTOMATIC1111 web UI).
      # smelt computes in float32 and rounds once; the web UI and its extensions compute in the dtype of the models.
      #
      # What differs:
      # - the merge: tensors that only the second model has are left out; supermerger adds them

      smelt: 1
      name: x

      models:
        a: models/Stable-diffusion/a.safetensors
        b: models/Stable-diffusion/b.safetensors

      steps:
        weight_sum:
          op: merge.blend
          a: a
          b: b
          # 1 − each number of supermerger: alpha, then elemental merge, whose last entry that fits wins
          keep:
            mbw: [0.875, 1, 0.96875, 0.9375, 0.90625, 0.875, 0.84375, 0.8125, 0.78125, 0.75, 0.71875, 0.6875, 0.65625, 0.625, 0.59375, 0.5625, 0.53125, 0.5, 0.46875, 0.4375, 0.40625, 0.375, 0.34375, 0.3125, 0.28125, 0.25]
            "**.time_embed": 0.25
            "**.input_blocks.{4..11}.**.*attn2*": 0.25
            "**.{time_embed,label_emb,output_blocks.11,out}": 0.5
            "**.{time_embed,label_emb,output_blocks.11,out}.**.*attn1*": 0
          # what supermerger excludes stays as the first model has it
          layers:
            - "*"
            - { match: "!**.middle_block", optional: true }
            - { match: "!**.*time_embed*", optional: true }
            - { match: "**.middle_block.**.*time_embed*", optional: true }
            - { match: "!**.positional_embedding", optional: true }
            - { match: "!**.text_projection", optional: true }
            - { match: "!**.logit_scale", optional: true }
          missing: keep

      outputs:
        merged:
          from: weight_sum
          path: build/x.safetensors
      "
    `)
  })

  test('only what is included is merged', async () => {
    const built = await importAndBuild(
      'x.safetensors',
      fileOf({ ...SUPER, Include: ['IN04', 'attn1'], Off: undefined }),
      FILES,
    )
    const wanted = each((name, a, b) => (blockOf(name) === 'IN04' || name.includes('attn1') ? a + 0.25 * (b - a) : a))
    expect(worstDifference(built.numbers, wanted)).toBeLessThan(1e-6)
  })

  test('what is excluded as a block and by a name is merged, and so is the VAE beside BASE', async () => {
    const built = await importAndBuild(
      'x.safetensors',
      fileOf({ ...SUPER, Exclude: ['IN04', 'BASE', 'VAE', 'attn2'], Off: undefined }),
      FILES,
    )
    const wanted = each((name, a, b) => {
      const isBlock = ['IN04', 'BASE', 'VAE'].includes(blockOf(name))
      const isNamed = name.includes('attn2') || blockOf(name) === 'VAE'
      return isBlock !== isNamed ? a : a + 0.25 * (b - a)
    })
    expect(worstDifference(built.numbers, wanted)).toBeLessThan(1e-6)
  })

  test('what two elements name is told', () => {
    const notesOf = (Exclude: readonly string[]): string =>
      imported({ ...SUPER, Exclude, Off: undefined })
        .notes.map(({ text }) => text)
        .join()
    expect(notesOf(['IN04', 'attn1', 'to_q'])).toContain('fits two elements')
    expect(notesOf(['IN04', 'attn1'])).not.toContain('fits two elements')
  })

  test('the first version had `time_embed` with IN00, and did not write what is included', async () => {
    const recipe = { ...SUPER, Off: undefined, mbw: true, weights_alpha: RAMP }
    const built = await importAndBuild('x.safetensors', fileOf(recipe), FILES)
    const wanted = each((name, a, b) => a + weightOf(RAMP, 0.25, name, 'IN00') * (b - a))
    expect(worstDifference(built.numbers, wanted)).toBeLessThan(1e-6)
    expect(built.recipe).not.toContain('layers')
  })

  test('of SDXL, the VAE goes with BASE, and the embeddings of time and labels stay', () => {
    const list = [...RAMP.slice(0, 19), 0]
    const { recipe, missing } = imported({ ...SUPER, mbw: true, weights_alpha: list, base_alpha: 0.5 })
    expect(missing).toEqual([])
    const [, numbers] = /mbw: \[(.*)\]/.exec(recipe!)!
    expect(numbers!.split(', ').map(Number)).toEqual([0.5, ...list.slice(0, 19).map((x) => 1 - x), 0.5])
    expect(recipe).toContain('{ match: "!**.time_embed", optional: true }')
    expect(recipe).toContain('{ match: "!**.label_emb", optional: true }')
    // Without block weights, the metadata does not tell which network it was.
    expect(
      imported(SUPER)
        .notes.map(({ text }) => text)
        .join(),
    ).toContain('pass --models')
  })

  test('add difference, triple sum and sum twice by blocks', async () => {
    const two = {
      ...SUPER,
      model_c: 'cc',
      mbw: true,
      weights_alpha: RAMP,
      weights_beta: weights((i) => 0.5 - i / 64),
      base_beta: 0.5,
    }
    const [alpha, beta] = [
      (name: string) => weightOf(RAMP, 0.25, name),
      (name: string) => weightOf(two.weights_beta, 0.5, name),
    ]
    const add = await importAndBuild('x.safetensors', fileOf({ ...two, mode: 'Add difference:A+(B-C)*alpha' }), FILES)
    expect(
      worstDifference(
        add.numbers,
        each((n, a, b, c) => a + alpha(n) * (b - c)),
      ),
    ).toBeLessThan(1e-6)
    const triple = await importAndBuild('x.safetensors', fileOf({ ...two, mode: 'Triple sum' }), FILES)
    expect(
      worstDifference(
        triple.numbers,
        each((n, a, b, c) => (1 - alpha(n) - beta(n)) * a + alpha(n) * b + beta(n) * c),
      ),
    ).toBeLessThan(1e-6)
    const twice = await importAndBuild('x.safetensors', fileOf({ ...two, mode: 'sum Twice' }), FILES)
    expect(
      worstDifference(
        twice.numbers,
        each((n, a, b, c) => (1 - beta(n)) * ((1 - alpha(n)) * a + alpha(n) * b) + beta(n) * c),
      ),
    ).toBeLessThan(1e-6)
  })

  /** A calculation by the numbers of a tensor, as supermerger has it row by row. */
  const rows = (first: string, from: number, to: number): Numbers =>
    Object.fromEntries(
      Object.entries(A).map(([name, values]) => [
        name,
        values.map((a, i) => {
          const place = i / values.length
          return name.includes('attn2') === (first === 'attn2') && place >= from && place < to ? B[name]![i]! : a
        }),
      ]),
    )
  const train = (a: number, b: number, c: number): number => {
    const [far, near] = [Math.abs(b - c), Math.abs(b - a)]
    return a + 0.25 * 1.8 * (near / (far + near)) * (b - c)
  }
  const ELEMENTS = { elemental_merge: ['IN04:attn2:0.75', 'OUT11::0'] }
  const elemental = (name: string, alpha: number): number =>
    blockOf(name) === 'IN04' && name.includes('attn2')
      ? 0.75
      : ['OUT11', 'OUT', 'TIME'].includes(blockOf(name))
        ? 0
        : alpha
  const THREE = { model_c: 'cc', base_beta: 0.5 }

  it.each<[title: string, recipe: object, wanted: Numbers]>([
    [
      'trainDifference, for which supermerger changed the mode',
      { ...THREE, calcmode: 'trainDifference', mode: 'Add' },
      each((_, a, b, c) => train(a, b, c)),
    ],
    [
      'tensor',
      { calcmode: 'tensor', base_alpha: 0.5, base_beta: 0.25, Exclude: ['attn2'], Off: undefined },
      rows('', 0.25, 0.75),
    ],
    [
      'tensor2',
      { calcmode: 'tensor2', base_alpha: 0.5, base_beta: 0.25, Include: ['attn2'], Off: undefined },
      rows('attn2', 0.25, 0.75),
    ],
    [
      'self by blocks and elements: 0 changes nothing',
      { ...ELEMENTS, calcmode: 'self', mbw: true, weights_alpha: RAMP },
      each((n, a) => (elemental(n, weightOf(RAMP, 0.25, n)) || 1) * a),
    ],
    ['self with 0', { calcmode: 'self', base_alpha: 0 }, A],
    [
      'sum Twice by elements',
      { ...THREE, ...ELEMENTS, mode: 'sum Twice', mbw: false },
      each((n, a, b, c) => 0.5 * ((1 - elemental(n, 0.25)) * a + elemental(n, 0.25) * b) + 0.5 * c),
    ],
    [
      'Triple sum by elements',
      { ...THREE, ...ELEMENTS, mode: 'Triple sum', mbw: false },
      each((n, a, b, c) => (0.5 - elemental(n, 0.25)) * a + elemental(n, 0.25) * b + 0.5 * c),
    ],
  ])('%s', async (_, recipe, wanted) => {
    const built = await importAndBuild('x.safetensors', fileOf({ ...SUPER, ...recipe }), FILES)
    expect(worstDifference(built.numbers, wanted)).toBeLessThan(1e-6)
  })

  test('self leaves the last layers of attention, and norms', () => {
    const { recipe } = imported({ ...SUPER, calcmode: 'self' })
    for (const name of ['to_out', 'proj_out', 'norm']) expect(recipe).toContain(`{ match: "!**.*${name}*", optional`)
  })

  test('what the third model lacks stays as the first model has it, also of sum Twice', async () => {
    const third = Object.fromEntries(Object.entries(sd1File(3)).filter(([name]) => blockOf(name) !== 'VAE'))
    const files = { ...FILES, 'models/Stable-diffusion/sub/c.safetensors': third }
    const built = await importAndBuild('x.safetensors', fileOf({ ...SUPER, ...THREE, mode: 'sum Twice' }), files)
    const wanted = each((n, a, b, c) => (blockOf(n) === 'VAE' ? a : 0.5 * (0.75 * a + 0.25 * b) + 0.5 * c))
    expect(worstDifference(built.numbers, wanted)).toBeLessThan(1e-6)
  })

  it.each([
    [{ calcmode: 'cosineA' }, /similarities over the whole of the models/],
    [{ calcmode: 'smoothAdd MT' }, /smooths differences/],
    [{ calcmode: 'extract', mode: 'Add' }, /does not tell its `gamma`/],
    [{ calcmode: 'plus random' }, /no operator for this calculation/],
    [{ calcmode: 'trainDifference' }, /for Add difference alone/],
    [{ mode: 'Sum of sums' }, /no operator for this method/],
    [{ mbw: true, weights_alpha: [1, 2] }, /3 block weights/],
    [{ mbw: true, weights_alpha: '0,0.5,1' }, /`weights_alpha` is not a number/],
    [{ elemental_merge: ['IN00:NOT attn:0.5'] }, /after NOT/],
    [{ elemental_merge: ['IN44:attn:0.5'] }, /no block IN44/],
    [{ model_b: null }, /does not name this model/],
    [{ type: 'something' }, /supermerger and Model Mixer/],
    [{ base_alpha: 'x' }, /`base_alpha` is not a number/],
    [
      { mode: 'Triple sum', mbw: true, weights_alpha: RAMP, weights_beta: RAMP, elemental_merge: ['IN00::1'] },
      /with block weights for beta/,
    ],
    [{ Exclude: ['Adjust'] }, /the tensors of Adjust/],
  ])('is refused with a sentence: %j', (change, why) => {
    const { recipe, missing } = imported({ ...SUPER, ...change })
    expect(recipe).toBeUndefined()
    expect(missing.map((m) => `${m.where}: ${m.what}: ${m.why}`).join('\n')).toMatch(why)
  })
})

describe('Model Mixer', () => {
  const NAMED = {
    aa: { name: 'a', legacy_hash: '1', sd_merge_recipe: null },
    bb: { name: 'b', legacy_hash: '2', sd_merge_recipe: null },
    cc: { name: 'sub_c', legacy_hash: '3', sd_merge_recipe: null },
  }
  /** What later versions write of one model that is merged into the first. */
  const one = (mode: string, more: object = {}) => ({
    type: 'sd-webui-model-mixer',
    mbw: false,
    weights_alpha: [Array.from({ length: 26 }, () => 0.25)],
    alpha: [0.25],
    model_a: 'a',
    model_b: 'b',
    base_model: 'sub_c',
    mode: [mode],
    calcmode: ['Normal'],
    elemental: [''],
    use_elemental: [false],
    adjust: '',
    uses: [true],
    use_mbws: [false],
    ...more,
  })
  const byBlocks = (mode: string, base: number, list: readonly number[], more: object = {}) =>
    one(mode, { mbw: true, use_mbws: [true], weights_alpha: [[base, ...list]], ...more })
  const build = (recipe: object) =>
    importAndBuild('x.safetensors', fileOf(recipe, NAMED), FILES, ['--models', 'models'])
  /** Blocks as Model Mixer has them: what is outside of them goes with the last, and of the middle block only the middle is merged. */
  const alphaOf = (list: readonly number[], base: number, name: string): number =>
    ['VAE', 'M00'].includes(blockOf(name))
      ? 0
      : ['TIME', 'OUT'].includes(blockOf(name))
        ? list[24]!
        : weightOf(list, base, name)
  const isSelf = (name: string): boolean => !/to_out|proj_out|norm/.test(name)
  const top = (values: readonly number[], count: number): ReadonlySet<number> =>
    new Set(
      values
        .map((_, i) => i)
        .toSorted((i, j) => Math.abs(values[j]!) - Math.abs(values[i]!))
        .slice(0, count),
    )
  /** What is added of the largest differences of each tensor. */
  const largest = (share: (name: string) => number, weight: number): Numbers =>
    Object.fromEntries(
      Object.entries(A).map(([name, values]) => {
        const delta = values.map((a, i) => B[name]![i]! - a)
        const kept = top(delta, Math.floor(share(name) * delta.length))
        return [name, values.map((a, i) => (kept.has(i) ? a + weight * delta[i]! : a))]
      }),
    )
  const ELEMENTAL = { elemental: ['IN04 IN11:attn2:0.5,:time_embed:0.125'], use_elemental: [true] }
  const withElements = (name: string): number =>
    blockOf(name) === 'TIME' ? 0.125 : name.includes('attn2') ? 0.5 : alphaOf(RAMP, 0.5, name)

  it.each<[title: string, recipe: object, wanted: Numbers]>([
    ['Sum by elements', byBlocks('Sum', 0.5, RAMP, ELEMENTAL), each((n, a, b) => a + withElements(n) * (b - a))],
    ['Add-Diff by blocks', byBlocks('Add-Diff', 1, RAMP), each((n, a, b, c) => a + alphaOf(RAMP, 1, n) * (b - c))],
    ['TIES', one('TIES'), largest(() => 0.5, 0.25)],
    ['Ties-Fixed by blocks', byBlocks('Ties-Fixed', 0.5, RAMP), largest((n) => alphaOf(RAMP, 0.5, n), 1)],
    [
      'Self by blocks',
      byBlocks('Self', 0.5, RAMP),
      each((n, a) => (isSelf(n) && alphaOf(RAMP, 0.5, n) !== 0 ? alphaOf(RAMP, 0.5, n) * a : a)),
    ],
    [
      'Replace by blocks',
      byBlocks('Replace', 0, RAMP),
      each((n, a, b) => (isSelf(n) && alphaOf(RAMP, 0, n) !== 0 ? alphaOf(RAMP, 0, n) * b : a)),
    ],
    ['Dare-Fixed, all of it', one('Dare-Fixed', { alpha: [1.5] }), each((_, _a, b) => b)],
  ])('%s', async (_, recipe, wanted) => {
    const built = await build(recipe)
    expect(worstDifference(built.numbers, wanted)).toBeLessThan(1e-6)
    expect(built.code).toBe(0)
  })

  test.each([
    ['DARE', 0.5, 0.5],
    ['Dare-Fixed', 1, 0.25],
  ])('%s adds a random part of the differences', async (mode, weight, share) => {
    const { numbers, recipe } = await build(one(mode))
    const name = 'model.diffusion_model.input_blocks.0.0.weight'
    const added = numbers[name]!.map((x, i) => (x - A[name]![i]!) / (B[name]![i]! - A[name]![i]!))
    for (const part of added) expect(Math.min(Math.abs(part), Math.abs(part - weight))).toBeLessThan(1e-3)
    const kept = added.filter((part) => part > weight / 2).length / added.length
    expect(Math.abs(kept - share)).toBeLessThan(0.12)
    expect(recipe).toContain('other random numbers')
  })

  test('files of earlier versions: a model is subtracted that is none of the others', async () => {
    const recipe = {
      type: 'sd-webui-model-mixer',
      mbw: false,
      weights_alpha: ['0.5,0.5', [0.125, ...RAMP]],
      weights_alpha_orig: ['0.5,0.5', [0.125, ...RAMP]],
      alpha: [0.25, 0.5],
      model_a: 'a',
      model_b: 'b',
      model_c: 'b',
      mode: ['Add-Diff', 'Sum'],
      calcmode: 'normal',
    }
    const { numbers } = await build(recipe)
    const wanted = each((n, a, b, c) => {
      const first = a + 0.25 * (b - c)
      // The model without blocks takes all tensors, so the whole middle block is merged.
      const alpha = blockOf(n) === 'M00' ? RAMP[12]! : alphaOf(RAMP, 0.125, n)
      return first + alpha * (b - first)
    })
    expect(worstDifference(numbers, wanted)).toBeLessThan(1e-6)
  })

  test('Adjust changes the first and the last layers behind the merge', async () => {
    const { numbers } = await build(one('Sum', { adjust: '5,0,10' }))
    const factors: Readonly<Record<string, number>> = { 'input_blocks.0.0.weight': 0.95, 'out.2.weight': 0.9 }
    const wanted = each((n, a, b) => (factors[n.replace('model.diffusion_model.', '')] ?? 1) * (a + 0.25 * (b - a)))
    expect(worstDifference(numbers, wanted)).toBeLessThan(1e-6)
  })

  it.each([
    [one('Sum', { calcmode: ['Rebasin'] }), /permutes the channels/],
    [one('Sum', { calcmode: ['Inv. Cosine'] }), /where its similarity stands/],
    [one('Elsewhere'), /no operator for this method/],
    [one('Add-Diff', { base_model: null }), /does not tell which model is subtracted/],
    [one('Sum', { alpha: [null] }), /`alpha` is not a number/],
    [one('Sum', { adjust: '1,x' }), /`adjust` is not a number/],
    [byBlocks('Sum', 0, RAMP.slice(3)), /23 block weights/],
    [byBlocks('Sum', 0, RAMP, { ...ELEMENTAL, elemental: ['IN04:NOT attn:1'] }), /after NOT/],
    [byBlocks('Sum', 0, RAMP, { ...ELEMENTAL, elemental: ['IN77:attn:1'] }), /no block IN77/],
  ])('is refused with a sentence: %j', (recipe, why) => {
    const { missing } = imported(recipe, { aa: NAMED.aa, bb: NAMED.bb })
    expect(missing.map((m) => `${m.where}: ${m.what}: ${m.why}`).join('\n')).toMatch(why)
  })
})

describe('files of presets', () => {
  const MINE = `preset_name\tpreset_weights\nMINE\t0.5,${RAMP.join(',')}\nGRAD_V:0,${RAMP.join(',')}\nSHORT\t${RAMP.slice(0, 22).join(',')}\nMINE\t0.25,${RAMP.join(',')}\n`

  test('become files of presets that recipes name', async () => {
    const result = importFile(textInput('presets.tsv', MINE, NO_MODELS))
    const text = result.type === 'ok' ? result.value.recipe! : ''
    expect(text).toMatchInlineSnapshot(`
      "# Imported from presets.tsv (supermerger).
      # smelt has presets of its own; where one here has the same name, this one is used.
      # Each number is the share of the second model, as supermerger has it. To merge by one of them:
      #
      #   presets: THIS-FILE.yaml
      #   steps:
      #     kept: { op: weights.combine, like: first, a: 1, b: { preset: NAME }, operation: subtract }
      #     blended: { op: merge.blend, a: first, b: second, keep: kept }
      #
      # What differs:
      # - line 5: \`MINE\` is on line 2 as well; supermerger takes the last
      #
      # Not in this file, because smelt cannot say it:
      # - line 4: SHORT: 22 block weights; smelt knows 20, 21, 26 and 61

      smelt: 1
      name: presets

      presets:
        MINE: [0.25, 0, 0.03125, 0.0625, 0.09375, 0.125, 0.15625, 0.1875, 0.21875, 0.25, 0.28125, 0.3125, 0.34375, 0.375, 0.40625, 0.4375, 0.46875, 0.5, 0.53125, 0.5625, 0.59375, 0.625, 0.65625, 0.6875, 0.71875, 0.75]
        GRAD_V: [0, 0, 0.03125, 0.0625, 0.09375, 0.125, 0.15625, 0.1875, 0.21875, 0.25, 0.28125, 0.3125, 0.34375, 0.375, 0.40625, 0.4375, 0.46875, 0.5, 0.53125, 0.5625, 0.59375, 0.625, 0.65625, 0.6875, 0.71875, 0.75]
      "
    `)
    const merge = `smelt: 1
models: { first: first.safetensors, second: second.safetensors }
presets: mine.yaml
steps:
  kept: { op: weights.combine, like: first, a: 1, b: { preset: MINE }, operation: subtract }
  blended: { op: merge.blend, a: first, b: second, keep: kept }
outputs: { merged: { from: blended, path: merged.safetensors } }
`
    await inFolder(async (folder) => {
      for (const [i, name] of ['first', 'second'].entries())
        writeSafetensors(join(folder, `${name}.safetensors`), sd1File(i + 1))
      writeFileSync(join(folder, 'mine.yaml'), text)
      writeFileSync(join(folder, 'recipe.yaml'), merge)
      expect((await runHere(folder, ['build', 'recipe.yaml', '--workers', '1'])).code).toBe(0)
      const built = await readTensors(join(folder, 'merged.safetensors'))
      const numbers = Object.fromEntries(Object.entries(built).map(([name, { values }]) => [name, [...values]]))
      expect(
        worstDifference(
          numbers,
          each((n, a, b) => a + weightOf(RAMP, 0.25, n, 'IN00') * (b - a)),
        ),
      ).toBeLessThan(1e-6)
    })
  })

  test('and lists of block weights, and elemental merge alone', () => {
    const of = (text: string): string => {
      const result = importFile(textInput('x.txt', text, NO_MODELS))
      return result.type === 'ok' ? result.value.recipe!.split('keep:')[1]!.split('missing:')[0]!.trim() : ''
    }
    expect(of(`0.5,${RAMP.join(', ')}`)).toContain('[0.5, 1, 0.96875,')
    expect(of('IN00-IN02 OUT11:attn1.to_q to_k:0.2,\n\n:ff:0.9')).toMatchInlineSnapshot(`
      "default: 1
            "**.{time_embed,label_emb,input_blocks.{0..2},output_blocks.11,out}.**.*attn1.to_q*": 0.8
            "**.{time_embed,label_emb,input_blocks.{0..2},output_blocks.11,out}.**.*to_k*": 0.8
            "**.*ff*": 0.1"
    `)
  })
})
