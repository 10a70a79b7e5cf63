import { describe, expect, it, test } from 'vitest'
import { parse } from 'yaml'
import { importAndBuild, numbersOf, worstDifference, type Numbers } from '../support/imported.js'
import { importFile } from '#src/importers/index.js'
import { NO_MODELS } from '#src/importers/find-models.js'
import { textInput } from '#src/importers/read-input.js'

/** A language model of some layers, in the names of Llama. */
const llama = (model: number, layers: number): Numbers => {
  const names = [
    'model.embed_tokens.weight',
    ...Array.from({ length: layers }, (_, i) =>
      ['self_attn.q_proj', 'mlp.up_proj', 'input_layernorm'].map((part) => `model.layers.${i}.${part}.weight`),
    ).flat(),
    'model.norm.weight',
    'lm_head.weight',
  ]
  return Object.fromEntries(
    names.map((name, i) => [name, numbersOf(model, i, /norm/.test(name) ? 2 : name.includes('embed') ? 6 : 8)]),
  )
}

type Setting = number | readonly number[]

/** mergekit's number of a tensor: `t` runs over the layers of the slice, and is 0 elsewhere. */
const at = (setting: Setting, name: string, [from, to]: readonly [number, number]): number => {
  if (typeof setting === 'number') return setting
  const layer = /layers\.(\d+)\./.exec(name)?.[1]
  const t = layer === undefined ? 0 : (Number(layer) - from) / (to - from - 1)
  const x = t * (setting.length - 1)
  const low = Math.min(Math.floor(x), setting.length - 2)
  return setting[low]! + (x - low) * (setting[low + 1]! - setting[low]!)
}

/** The first of some filtered settings that fits a tensor. */
const first = (
  filters: readonly (readonly [string, Setting])[],
  name: string,
  layers: readonly [number, number],
): number => at(filters.find(([filter]) => name.includes(filter))![1], name, layers)

const each = (names: Numbers, make: (name: string, values: readonly number[]) => readonly number[]): Numbers =>
  Object.fromEntries(Object.entries(names).map(([name, values]) => [name, make(name, values)]))

/** mergekit's slerp of two flat tensors. */
const slerp = (t: number, a: readonly number[], b: readonly number[]): readonly number[] => {
  const norm = (x: readonly number[]): number => Math.hypot(...x)
  const dot = a.reduce((sum, x, i) => sum + (x / norm(a)) * (b[i]! / norm(b)), 0)
  if (Math.abs(dot) > 0.9995) return a.map((x, i) => (1 - t) * x + t * b[i]!)
  const theta = Math.acos(dot)
  return a.map((x, i) => (Math.sin((1 - t) * theta) * x + Math.sin(t * theta) * b[i]!) / Math.sin(theta))
}

/** mergekit's trimming by magnitude: ⌊density·n⌋ numbers stay. */
const trim = (delta: readonly number[], density: number): readonly number[] => {
  const order = delta.map((_, i) => i).toSorted((i, j) => Math.abs(delta[j]!) - Math.abs(delta[i]!))
  const kept = new Set(order.slice(0, Math.floor(density * delta.length)))
  return delta.map((x, i) => (kept.has(i) ? x : 0))
}

/** Sign election by the weighted sum, then the mean of what agrees. */
const ties = (
  base: readonly number[],
  models: readonly { readonly values: readonly number[]; readonly weight: number; readonly density: number }[],
): readonly number[] => {
  const deltas = models.map((m) =>
    trim(
      m.values.map((x, i) => x - base[i]!),
      m.density,
    ),
  )
  return base.map((x, i) => {
    const weighted = deltas.map((d, m) => d[i]! * models[m]!.weight)
    const sign = weighted.reduce((s, w) => s + w, 0) >= 0 ? 1 : -1
    const agree = weighted.map((w) => Math.sign(w) === sign)
    const sum = weighted.reduce((s, w, m) => s + (agree[m]! ? w : 0), 0)
    const share = models.reduce((s, m, k) => s + (agree[k]! ? m.weight : 0), 0)
    return x + (Math.abs(share) < 1e-8 ? sum : sum / share)
  })
}

const imported = (text: string) => {
  const result = importFile(textInput('config.yml', text, NO_MODELS))
  if (result.type === 'failed') throw new Error(result.diagnostics[0]!.message)
  return result.value
}

const TWO = { 'org/first/model.safetensors': llama(1, 5), 'org/second/model.safetensors': llama(2, 5) }
const [A, B, C] = [llama(1, 5), llama(2, 5), llama(3, 5)]

const GRADIENTS = `# a comment
slices:
  - sources:
      - model: org/first
        layer_range: [0, 5]
      - model: org/second
        layer_range: [0, 5]
merge_method: slerp
base_model: org/first
parameters:
  t:
    - filter: self_attn
      value: [0, 0.5, 0.3, 0.7, 1]
    - filter: mlp
      value: [1, 0.5, 0.7, 0.3, 0]
    - value: 0.5 # all else
dtype: bfloat16
out_dtype: float32
`

describe('mergekit', () => {
  test('slerp with gradients below filters', async () => {
    const { numbers, recipe, code } = await importAndBuild('slerp.yml', GRADIENTS, TWO)
    const wanted = each(A, (name, a) => {
      const filters = [
        ['self_attn', [0, 0.5, 0.3, 0.7, 1]],
        ['mlp', [1, 0.5, 0.7, 0.3, 0]],
        ['', 0.5],
      ] as const
      return slerp(first(filters, name, [0, 5]), a, B[name]!)
    })
    expect(worstDifference(numbers, wanted)).toBeLessThan(1e-6)
    expect(code).toBe(0)
    expect(recipe).toMatchInlineSnapshot(`
      "# Imported from slerp.yml (mergekit).
      # Where one of two tensors, or of two differences, is all zeros, mergekit follows an arc (at equal weights 0.71 of the other), smelt a line (half of it).
      # \`smelt build\` downloads the models called ORG/NAME from the Hugging Face hub, unless a folder of that name is beside this recipe.
      # mergekit computes in bfloat16; smelt computes in float32 and rounds once, so the last digits differ.
      #
      # What differs:
      # - line 3: layers 0 to 4 are taken for all layers; mergekit leaves out any others

      smelt: 1
      name: slerp

      models:
        first: org/first
        second: org/second

      steps:
        merged:
          op: merge.blend
          a: first
          b: second
          # mergekit’s t is 1 − keep
          keep:
            default: 0.5
            "**.*mlp*": [0, 0.5, 0.3, 0.7, 1]
            "**.*self_attn*": [1, 0.5, 0.7, 0.3, 0]
          method: slerp
          vectors: slerp

      outputs:
        merged:
          from: merged
          path: build/slerp/
          dtype: f32
          files: first
      "
    `)
  })

  test('TIES with gradients of weight and density, and filters', async () => {
    const text = `
models:
  - model: org/first
    parameters:
      density: [1, 0.7, 0.1]
      weight: 1.0
  - model: org/second
    parameters:
      weight: [0, 0.3, 0.7, 1]
  - model: org/base
merge_method: ties
base_model: org/base
parameters:
  density:
    - filter: q_proj
      value: 0.5
    - filter: lm_
      value: 0.25
  normalize: true
  int8_mask: true
`
    const { numbers, recipe } = await importAndBuild('ties.yml', text, {
      ...TWO,
      'org/base/model.safetensors': C,
    })
    const wanted = each(C, (name, base) =>
      ties(base, [
        { values: A[name]!, weight: 1, density: at([1, 0.7, 0.1], name, [0, 5]) },
        {
          values: B[name]!,
          weight: at([0, 0.3, 0.7, 1], name, [0, 5]),
          density: first(
            [
              ['q_proj', 0.5],
              ['lm_', 0.25],
              ['', 1],
            ],
            name,
            [0, 5],
          ),
        },
      ]),
    )
    expect(worstDifference(numbers, wanted)).toBeLessThan(1e-6)
    expect(recipe).toMatchInlineSnapshot(`
      "# Imported from ties.yml (mergekit).
      # Of differences that are equally large where the density cuts, smelt keeps those of the lower index, mergekit others.
      # Of a tensor too small for its density, mergekit keeps the largest difference, smelt none.
      # \`smelt build\` downloads the models called ORG/NAME from the Hugging Face hub, unless a folder of that name is beside this recipe.

      smelt: 1
      name: ties

      models:
        base: org/base
        first: org/first
        second: org/second

      steps:
        merged:
          op: merge.ties
          base: base
          models:
            - model: first
              weight: 1
              density: { default: 1, gradient: [1, 0.7, 0.1] }
            - model: second
              weight: { default: 0, gradient: [0, 0.3, 0.7, 1] }
              density: { default: 1, "**.*lm_*": 0.25, "**.*q_proj*": 0.5 }
          normalize: true

      outputs:
        merged:
          from: merged
          path: build/ties/
          files: base
      "
    `)
  })

  test('weights of linear that are not normalised, and of a list that is a gradient', async () => {
    const text = `
merge_method: linear
models:
- model: org/first
- model: org/second
parameters: { weight: [0.9, 0.1], normalize: no }
`
    const { numbers, screen } = await importAndBuild('linear.yml', text, TWO)
    const wanted = each(A, (name, a) => a.map((x, i) => at([0.9, 0.1], name, [0, 5]) * (x + B[name]![i]!)))
    expect(worstDifference(numbers, wanted)).toBeLessThan(1e-6)
    expect(screen).toContain('not as one number for each model')
  })

  test('task arithmetic with a lambda, of stages that name each other', async () => {
    const text = `
name: half
merge_method: linear
models:
  - { model: org/first, parameters: { weight: 1 } }
  - { model: org/second, parameters: { weight: 3 } }
---
merge_method: task_arithmetic
base_model: org/first
models:
  - model: half
    parameters: { weight: 0.5 }
  - model: org/second
    parameters: { weight: -1 }
parameters: { lambda: 1.5 }
dtype: float32
`
    const { numbers, recipe } = await importAndBuild('multi.yml', text, TWO)
    const wanted = each(A, (name, a) =>
      a.map((x, i) => {
        const b = B[name]![i]!
        const half = (x + 3 * b) / 4
        return x + 1.5 * (0.5 * (half - x) - (b - x))
      }),
    )
    expect(worstDifference(numbers, wanted)).toBeLessThan(1e-6)
    expect(recipe).toMatchInlineSnapshot(`
      "# Imported from multi.yml (mergekit).
      # \`smelt build\` downloads the models called ORG/NAME from the Hugging Face hub, unless a folder of that name is beside this recipe.
      # mergekit writes each stage in its dtype and reads it again; smelt keeps float32 between steps.

      smelt: 1
      name: multi

      models:
        first: org/first
        second: org/second

      steps:
        half:
          op: merge.linear
          models: [{ model: first, weight: 1 }, { model: second, weight: 3 }]
        merged:
          op: merge.task_arithmetic
          base: first
          models: [{ model: half, weight: 0.5 }, { model: second, weight: -1 }]
          lambda: 1.5

      outputs:
        merged:
          from: merged
          path: build/multi/
          dtype: f32
          files: first
      "
    `)
  })

  test('stacked layers take the names of their new places', async () => {
    const text = `
slices:
  - sources:
    - model: org/first
      layer_range: [0, 3]
  - sources:
    - model: org/second
      layer_range: [1, 5]
      parameters: { scale: 0.5 }
  - sources:
    - model: org/first
      layer_range: [4, 5]
merge_method: passthrough
dtype: float32
`
    const { numbers, recipe } = await importAndBuild('stack.yml', text, TWO)
    const layer = (model: Numbers, from: number, to: number, scale = 1): Numbers =>
      Object.fromEntries(
        Object.entries(model)
          .filter(([name]) => name.startsWith(`model.layers.${from}.`))
          .map(([name, values]) => [name.replace(`.${from}.`, `.${to}.`), values.map((x) => x * scale)]),
      )
    const wanted: Numbers = {
      'model.embed_tokens.weight': A['model.embed_tokens.weight']!,
      ...[0, 1, 2].reduce((all, i) => ({ ...all, ...layer(A, i, i) }), {}),
      ...[1, 2, 3, 4].reduce((all, i) => ({ ...all, ...layer(B, i, i + 2, 0.5) }), {}),
      ...layer(A, 4, 7),
      'model.norm.weight': A['model.norm.weight']!,
      'lm_head.weight': A['lm_head.weight']!,
    }
    expect(worstDifference(numbers, wanted)).toBe(0)
    expect(recipe).toMatchInlineSnapshot(`
      "# Imported from stack.yml (mergekit).
      # \`smelt build\` downloads the models called ORG/NAME from the Hugging Face hub, unless a folder of that name is beside this recipe.

      smelt: 1
      name: stack

      models:
        first: org/first
        second: org/second

      steps:
        merged_2:
          op: merge.passthrough
          model: second
          scale: 0.5
          layers: ["model.layers.{1..4}"]
        merged:
          op: model.stack
          slices:
            - { model: first, layers: [0, 3] }
            - { model: merged_2, layers: [1, 5] }
            - { model: first, layers: [4, 5] }

      outputs:
        merged:
          from: merged
          path: build/stack/
          dtype: f32
          files: first
      "
    `)
  })

  test.each([
    ['the last slice', ['[0, 3]', '[3, 5]'], { embed: A, head: B }],
    ['a slice without layers at the end', ['[0, 3]', '[3, 5]', '[0, 0]'], { embed: A, head: A }],
  ])('what stands behind the layers comes from %s', async (_, ranges, { embed, head }) => {
    const slices = ranges.map(
      (range, i) => `  - sources: [{ model: org/${i === 1 ? 'second' : 'first'}, layer_range: ${range} }]`,
    )
    const text = ['merge_method: passthrough', 'slices:', ...slices].join('\n')
    const { numbers } = await importAndBuild('ends.yml', text, TWO)
    const wanted = each(A, (name, a) => {
      if (name === 'model.embed_tokens.weight') return embed[name]!
      return /layers\.[012]\./.test(name) ? a : (name.includes('layers') ? B : head)[name]!
    })
    expect(worstDifference(numbers, wanted)).toBe(0)
  })

  test('slices without any layer are refused', () => {
    const { recipe, missing } = imported(
      'merge_method: passthrough\nslices: [{ sources: [{ model: a, layer_range: [2, 2] }] }]',
    )
    expect([recipe, missing.map((m) => m.what)]).toEqual([undefined, ['the slices']])
  })

  test('layers of different places are merged one by one', async () => {
    const text = `
merge_method: linear
slices:
  - sources: [{ model: org/first, layer_range: [0, 2] }]
  - sources: [{ model: org/first, layer_range: [1, 4] }, { model: org/second, layer_range: [2, 5] }]
parameters: { weight: 1 }
---
`
    const { numbers, code } = await importAndBuild('shifted.yml', text, TWO)
    const wanted = Object.fromEntries(
      [0, 1, 2, 3, 4].flatMap((layer) =>
        Object.entries(A)
          .filter(([name]) => name.includes('layers.0.'))
          .map(([name]) => {
            const of = (model: Numbers, from: number) => model[name.replace('.0.', `.${from}.`)]!
            const own = layer < 2 ? of(A, layer) : of(A, layer - 1).map((x, i) => (x + of(B, layer)[i]!) / 2)
            return [name.replace('.0.', `.${layer}.`), own]
          }),
      ),
    )
    const layers = Object.fromEntries(Object.entries(numbers).filter(([name]) => name.includes('layers')))
    expect(worstDifference(layers, wanted)).toBeLessThan(1e-6)
    expect(code).toBe(0)
  })

  test('slices of merged layers begin their gradients anew', async () => {
    const text = `
merge_method: slerp
base_model: org/first
slices:
  - sources: [{ model: org/first, layer_range: [0, 2] }, { model: org/second, layer_range: [0, 2] }]
    parameters: { t: 0.25 }
  - sources: [{ model: org/first, layer_range: [2, 5] }, { model: org/second, layer_range: [2, 5] }]
parameters:
  t:
    - filter: mlp
      value: [0, 1, 0.5]
    - value: [0.2, 0.4]
`
    const { numbers } = await importAndBuild('slices.yml', text, TWO)
    const wanted = each(A, (name, a) => {
      const late = /layers\.[234]\.|model\.norm|lm_head/.test(name)
      const t = late
        ? first(
            [
              ['mlp', [0, 1, 0.5]],
              ['', [0.2, 0.4]],
            ],
            name,
            [2, 5],
          )
        : 0.25
      return slerp(t, a, B[name]!)
    })
    expect(worstDifference(numbers, wanted)).toBeLessThan(1e-6)
  })

  test('layers that are left out, and filters that fit no tensor, where the models are there', async () => {
    const text = `
merge_method: slerp
base_model: org/first
slices:
  - sources: [{ model: org/first, layer_range: [0, 3] }, { model: org/second, layer_range: [0, 3] }]
parameters:
  t:
    - { filter: self_attn, value: 0.25 }
    - { filter: lm_haed, value: 1 }
    - value: [0.5, 1]
`
    const config = JSON.stringify({ num_hidden_layers: 5 })
    const files = { ...TWO, 'org/first/config.json': config, 'org/second/config.json': config }
    const { numbers, config: written, screen } = await importAndBuild('cut.yml', text, files, ['--models', '.'])
    const kept = Object.fromEntries(Object.entries(A).filter(([name]) => !/layers\.[34]\./.test(name)))
    const wanted = each(kept, (name, a) =>
      slerp(
        first(
          [
            ['self_attn', 0.25],
            ['', [0.5, 1]],
          ],
          name,
          [0, 3],
        ),
        a,
        B[name]!,
      ),
    )
    expect(worstDifference(numbers, wanted)).toBeLessThan(1e-6)
    expect(JSON.parse(written!)).toEqual({ num_hidden_layers: 3, torch_dtype: 'float32' })
    expect(screen).toContain('no tensor has `lm_haed` in its name')
    const whole = await importAndBuild('whole.yml', text.replaceAll('[0, 3]', '[0, 5]'), files, ['--models', '.'])
    expect(whole.screen).not.toContain('taken for all layers')
    expect(whole.recipe).toContain('gradient: [0.5, 0]')
  })

  test('DARE, DELLA and breadcrumbs with the defaults of mergekit written out', () => {
    const of = (method: string) =>
      imported(`{ merge_method: ${method}, base_model: b, models: [{ model: x, parameters: { weight: 1 } }] }`)
        .recipe!.replace(/^[^]*\nsteps:\n/, '')
        .replace(/\n\noutputs:[^]*$/, '')
    expect(
      [
        'dare_ties',
        'dare_linear',
        'della',
        'della_linear',
        'breadcrumbs',
        'sce',
        'ramplus_tl',
        'model_stock',
        'arcee_fusion',
      ]
        .map(of)
        .join('\n'),
    ).toMatchInlineSnapshot(`
      "  merged:
          op: merge.dare_ties
          base: b
          models: [{ model: x, weight: 1, density: 1 }]
          normalize: false
          rescale: l1 # mergekit 0.1 and later; \`density\` for versions before
        merged:
          op: merge.dare_linear
          base: b
          models: [{ model: x, weight: 1, density: 1 }]
          normalize: false
          rescale: l1 # mergekit 0.1 and later; \`density\` for versions before
        merged:
          op: merge.della
          base: b
          models: [{ model: x, weight: 1, density: 1, epsilon: 0.15 }]
          normalize: true
          rescale: l1 # mergekit 0.1 and later; \`density\` for versions before
        merged:
          op: merge.della_linear
          base: b
          models: [{ model: x, weight: 1, density: 1, epsilon: 0.15 }]
          normalize: false
          rescale: l1 # mergekit 0.1 and later; \`density\` for versions before
        merged:
          op: merge.breadcrumbs
          base: b
          models: [{ model: x, weight: 1, density: 1, gamma: 0.01 }]
          normalize: false
        merged:
          op: merge.sce
          base: b
          models: [x]
          density: 1
        merged:
          op: merge.ram
          base: b
          models: [x]
          epsilon: 0.00001
          rescale: 0.1
          limit: 0.2
        merged:
          op: merge.model_stock
          base: b
          models: [x]
          cancelling: base
        merged:
          op: merge.arcee_fusion
          base: b
          model: x"
    `)
  })

  const EXPERTS = `
base_model: org/base
gate_mode: hidden
dtype: bfloat16
experts_per_token: 1
experts:
  - source_model: org/code
    positive_prompts: ["def main():", "sort a list"]
    negative_prompts: ["once upon a time"]
    residual_scale: 0.5
  - source_model: org/stories
    positive_prompts: ["once upon a time"]
`

  test('a mixture of experts, whose routers come from hidden states', () => {
    const { recipe, missing } = imported(EXPERTS)
    expect(missing).toEqual([])
    expect(recipe).toMatchInlineSnapshot(`
      "# Imported from config.yml (mergekit).
      # The routers come from the hidden states of the prompts: make them with \`python examples/gates/gates.py RECIPE\` before the build.
      # \`smelt build\` downloads the models called ORG/NAME from the Hugging Face hub, unless a folder of that name is beside this recipe.

      smelt: 1
      name: config

      models:
        base: org/base
        code: org/code
        stories: org/stories
        routers: routers.safetensors

      steps:
        mixture:
          op: model.moe
          base: base
          experts:
            - model: code
              positive: ["def main():", "sort a list"]
              negative: ["once upon a time"]
              residual_scale: 0.5
            - { model: stories, positive: ["once upon a time"] }
          routers: routers
          experts_per_token: 1

      outputs:
        mixture:
          from: mixture
          path: build/config/
          dtype: bf16
          files: base
      "
    `)
  })

  test('mixtures of other kinds', () => {
    const stepOf = (from: string, to: string) =>
      /steps:\n([^]*?)\n\n/.exec(imported(EXPERTS.replace(from, to)).recipe!)![1]
    expect(stepOf('hidden', 'random')).toMatchInlineSnapshot(`
      "  mixture:
          op: model.moe
          base: base
          experts: [{ model: code, residual_scale: 0.5 }, stories]
          gates: random
          experts_per_token: 1"
    `)
    expect(
      stepOf(
        'gate_mode: hidden',
        'gate_mode: cheap_embed\nshared_experts: [{ source_model: org/base, positive_prompts: [all] }]',
      ),
    ).toMatchInlineSnapshot(`
      "  mixture:
          op: model.moe
          base: base
          experts:
            - model: code
              positive: ["def main():", "sort a list"]
              negative: ["once upon a time"]
              residual_scale: 0.5
            - { model: stories, positive: ["once upon a time"] }
          shared: base
          layout: qwen2
          gates: cheap_embed
          shared_positive: [all]
          experts_per_token: 1"
    `)
    expect(stepOf('gate_mode: hidden', 'gate_mode: uniform_random\narchitecture: DeepSeek')).toContain(
      'layout: deepseek',
    )
  })

  it.each([
    ['base_model: a\nexperts: [{ source_model: a }]\ngate_mode: random', /has at least two/],
    ['base_model: a\nexperts: [{ source_model: a }, {}]\ngate_mode: random', /does not name a model/],
    ['experts: [{ source_model: a }, { source_model: b }]\ngate_mode: random', /does not name a model/],
    ['base_model: a\nexperts: [{ source_model: a }, { source_model: b }]\ngate_mode: soft', /smelt knows `hidden`/],
    [
      'base_model: a\nexperts: [{ source_model: a }, { source_model: b }]\ngate_mode: random\narchitecture: phi',
      /the architectures Mixtral/,
    ],
    ['genome: { models: [a] }\ntasks: []', /a search over merges/],
    ['layer_slices: []', /bakllama/],
    ['tokenizer: { source: union }', /part of a configuration/],
    ['words before\nmerge_method: linear\nmodels: [a]', /not valid YAML/],
    ['merge_method: linear\nmerge_method: ties', /put a line `---` between them/],
    ['merge_method: zipit\nmodels: [a, b]', /no operator for this method; merge methods of mergekit/],
    ['merge_method: tise\nmodels: [a, b]', /no operator for this method; did you mean `ties`\?/],
    ['merge_method: slerp\nmodels: [a, b]\nparameters: { t: 0.5 }', /needs a `base_model`/],
    ['merge_method: slerp\nbase_model: c\nmodels: [a, b]\nparameters: { t: 0.5 }', /one of the two models/],
    ['merge_method: ties\nbase_model: b\nmodels: [{ model: a }]', /mergekit needs `weight`/],
    ['merge_method: linear\nmodels: [{ model: a, parameters: { weight: soon } }]', /not a number/],
    [
      'merge_method: ties\nbase_model: b\nmodels: [{ model: a, parameters: { weight: 1 } }]\nparameters: { normalize: [0, 1] }',
      /one value for the whole step/,
    ],
    ['merge_method: linear\nmodules: { text: { models: [a] } }', /several networks/],
    ['merge_method: linear', /no `models` or `slices`/],
    [
      'merge_method: linear\nmodels: [a, { parameters: { weight: 1 } }]\nparameters: { weight: 1 }',
      /does not name a model/,
    ],
    ['merge_method: passthrough\nmodels: [a, b]', /merges one model/],
    ['merge_method: linear\nmodels: [a]\ninput_model_parameters: { a: { weight: 1 } }', /under `parameters`/],
    [
      'name: a\nmerge_method: linear\nmodels: [b]\nparameters: { weight: 1 }\n---\nname: b\nmerge_method: linear\nmodels: [a]\nparameters: { weight: 1 }',
      /need each other/,
    ],
    ['merge_method: passthrough\nslices: [{ sources: [{ model: a, layer_range: [4, 2] }] }]', /layer range/],
    [
      'merge_method: linear\nslices: [{ sources: [{ model: a, layer_range: [0, 2] }, { model: b, layer_range: [1, 4] }] }]',
      /the same number of layers/,
    ],
    [
      'merge_method: ties\nbase_model: c\nslices: [{ sources: [{ model: a, layer_range: [0, 2] }, { model: b, layer_range: [1, 3] }] }]',
      /add it to the slice/,
    ],
    ['merge_method: linear\nslices: [{ sources: [] }]', /it has no `sources`/],
    ['merge_method: linear\nslices: [{ sources: }]', /it has no `sources`/],
  ])('is refused with a sentence: %s', (text, why) => {
    const { recipe, missing } = imported(text)
    expect(recipe).toBeUndefined()
    expect(missing.map((m) => `${m.where}: ${m.what}: ${m.why}`).join('\n')).toMatch(why)
  })

  it.each([
    ['chat_template: vicuna', '`chat_template`'],
    ['dtype: bfloat', '`dtype: bfloat`'],
  ])('tells what the recipe lacks: %s', (line, what) => {
    const { recipe, missing } = imported(`merge_method: linear\nmodels: [a, b]\nparameters: { weight: 1 }\n${line}\n`)
    expect(recipe).toContain(`# - line 4: ${what}`)
    expect(missing).toHaveLength(1)
  })

  const linear = 'merge_method: linear\nmodels: [a, b]\nparameters: { weight: 1 }\n'
  /** The section of an imported recipe. */
  const tokenizerIn = (text: string): string =>
    /\ntokenizer:\n((?: .*\n)*)/.exec(imported(text).recipe!)?.[1]?.replace(/^ {2}/gm, '') ?? ''

  test.each([
    ['tokenizer_source: union', 'from: union\n'],
    ['tokenizer: {}', 'from: union\n'],
    ['tokenizer_source: base', 'from: base\n'],
    ['tokenizer_source: b', 'from: b\n'],
    ['base_model: b\ntokenizer: { source: union }', 'from: union\nbase: b\n'],
  ])('the tokenizer of %s', (line, expected) => {
    const made = tokenizerIn(`${linear}${line}\n`)
    expect(made).toBe(`${expected}pad_to: 1 # as many rows as tokens, as mergekit writes them\n`)
  })

  test('choices for tokens, and padding', () => {
    const made = tokenizerIn(`${linear}tokenizer:
  source: base
  pad_to_multiple_of: 64
  tokens:
    <|im_start|>: { source: b, force: true }
    <|x|>: { source: { kind: model_token, model: a, token: hey } }
    <|y|>: { source: { kind: model_token, model: b, token_id: 5 } }
    <|z|>: { source: { kind: zero } }
    <|w|>: { force: false }
`)
    expect(made).toMatchInlineSnapshot(`
      "from: base
      tokens:
        "<|im_start|>": { from: b, force: true }
        "<|x|>": { from: { model: a, token: hey } }
        "<|y|>": { from: { model: b, id: 5 } }
        "<|z|>": { from: zero }
        "<|w|>": {}
      pad_to: 64
      "
    `)
  })

  test.each([
    ['tokenizer_source: union\ntokenizer: { source: base }', /not both/],
    ['tokenizer: union', /a `source`/],
    ['tokenizer: { tokens: { x: { source: { kind: magic } } } }', /a token of a model, or zero/],
    ['tokenizer: { tokens: { x: { source: { kind: model_token, model: a } } } }', /a token of a model, or zero/],
    ['tokenizer_source: union\n---\nmerge_method: linear\nmodels: [a]\nparameters: { weight: 1 }', /one by one/],
    [
      'tokenizer_source: s\n---\nname: s\nmerge_method: linear\nmodels: [a]\nparameters: { weight: 1 }\ntokenizer_source: s',
      /what another document makes/,
    ],
  ])('a tokenizer that cannot be said: %s', (lines, why) => {
    const { missing } = imported(`${linear}${lines}\n`)
    expect(missing.map((m) => m.why).join('\n')).toMatch(why)
  })

  test.each(['auto', '"{% for m in messages %}{{ m.content }}{% endfor %}"'])('the chat template %s', (template) => {
    const { recipe, missing } = imported(`${linear}chat_template: ${template}\n`)
    expect(missing).toEqual([])
    expect(recipe).toContain(`chat_template: ${template}`)
  })

  test('the name of a template that mergekit has becomes its text', () => {
    const { recipe, missing } = imported(`${linear}chat_template: chatml\n`)
    expect(missing).toEqual([])
    const written = (parse(recipe!) as { outputs: Record<string, { chat_template: string }> }).outputs
    expect(Object.values(written)[0]!.chat_template).toBe(
      "{% for m in messages %}{{ '<|im_start|>' ~ m['role'] ~ '\\n' ~ m['content'] ~ '<|im_end|>\\n' }}{% endfor %}" +
        "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}",
    )
  })

  test.each([
    ['gpt2@v1', '{ hub: gpt2, revision: v1 }'],
    ['{ path: gpt2 }', 'gpt2'],
    ['org/model.bin@v1', 'org/model.bin@v1'],
    ['org/model.safetensors', 'org/model.safetensors'],
    ['{ model: { path: org/a, revision: refs/pr/1 } }', 'org/a@refs/pr/1'],
    ['/data/org/a', '/data/org/a'],
  ])('%s is %s', (given, written) => {
    const { recipe } = imported(`merge_method: passthrough\nmodels: [{ model: ${given} }]`)
    expect(/^models:\n +[\w-]+: (.*)$/m.exec(recipe!)![1]).toBe(written)
  })

  test('two revisions of a model are two models, and of an adapter two adapters', () => {
    const { recipe } = imported(
      'merge_method: linear\nmodels: [org/a@v1, org/a@v2, org/a@v1+org/ink@x, org/a@v1+org/ink@y]\nparameters: { weight: 1 }',
    )
    expect(recipe).toContain('models:\n  a: org/a@v1\n  a-2: org/a@v2\n')
    expect(recipe).toContain('adapters:\n  ink: org/ink@x\n  ink-2: org/ink@y\n')
  })

  test('references with adapters and revisions', () => {
    const { recipe } = imported(
      'merge_method: linear\nmodels: [org/a@main, {model: {model: {path: org/a, revision: main}, lora: org/ink}}]\nparameters: { weight: 1 }',
    )
    expect(recipe).toMatchInlineSnapshot(`
      "# Imported from config.yml (mergekit).
      # \`smelt build\` downloads the models called ORG/NAME from the Hugging Face hub, unless a folder of that name is beside this recipe.

      smelt: 1
      name: config

      models:
        a: org/a@main

      adapters:
        ink: org/ink

      steps:
        a_ink:
          op: adapter.apply
          model: a
          adapter: ink
        merged:
          op: merge.linear
          models: [{ model: a, weight: 1 }, { model: a_ink, weight: 1 }]

      outputs:
        merged:
          from: merged
          path: build/config/
          files: a
      "
    `)
  })

  test('anchors, and the keys `<<` of what they name, are read as YAML has them', () => {
    const { recipe, missing } = imported(`some: &some { weight: 0.5, density: 0.25 }
other: &other { weight: 0.75, gamma: 0.125 }
merge_method: ties
base_model: org/base
models:
  - model: org/a
    parameters: *some
  - model: org/b
    parameters: { <<: *some, weight: 1 }
  - model: org/c
    parameters:
      weight: 2
      <<: [*some, *other]
`)
    expect(missing).toEqual([])
    expect(parse(recipe!).steps.merged.models).toEqual([
      { model: 'a', weight: 0.5, density: 0.25 },
      { model: 'b', weight: 1, density: 0.25 },
      { model: 'c', weight: 2, density: 0.25 },
    ])
  })
})
