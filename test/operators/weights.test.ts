import { beforeAll, describe, expect, test } from 'vitest'
import type { WeightsValue } from '#src/operators/value.js'
import { PRESETS, type PresetName } from '#src/operators/presets.js'
import { readTable } from '../architectures/tables.js'
import { evaluateNames } from '../support/evaluate.js'
import type { PlainFile, PlainRecipe } from '../support/recipe-run.js'
import { callsOf } from '../support/calls.js'

/** A checkpoint of real names and shapes without a single number: weights come from the header alone. */
const headerOf = (architecture: string): PlainFile =>
  Object.fromEntries(
    [...readTable(architecture)].map(([name, { shape }]) => [name, { dtype: 'f16', shape, values: [] }]),
  )

type Steps = PlainRecipe['steps']
let headers: Readonly<Record<'sd15' | 'sdxl' | 'flux-dev' | 'llama-2-7b', PlainFile>>
beforeAll(() => {
  headers = {
    sd15: headerOf('sd15'),
    sdxl: headerOf('sdxl'),
    'flux-dev': headerOf('flux-dev'),
    'llama-2-7b': headerOf('llama-2-7b'),
  }
})

const evaluate = (like: keyof typeof headers, steps: Steps) =>
  evaluateNames({ smelt: 1, models: { like: 'like' }, steps }, { like: headers[like] })(Object.keys(steps).at(-1)!)
const weigh = (like: keyof typeof headers, op: string, params: object = {}): ReadonlyMap<string, number> =>
  weighSteps(like, { w: { op, like: 'like', ...params } })
const weighSteps = (like: keyof typeof headers, steps: Steps): ReadonlyMap<string, number> => {
  const result = evaluate(like, steps)
  if (result.type === 'failed') throw new Error(result.diagnostics.map((d) => d.code).join())
  return (result.value as WeightsValue).numbers
}
const problemsOf = (like: keyof typeof headers, op: string, params: object = {}) =>
  evaluate(like, { w: { op, like: 'like', ...params } }).diagnostics

const UNET = 'model.diffusion_model'
const block = (part: string): string =>
  ({ in: 'input_blocks', out: 'output_blocks' })[part.split('.')[0]!] + part.slice(part.indexOf('.'))
/** The number of the first tensor of each block, `none` where it has none. */
const seen = (
  numbers: ReadonlyMap<string, number>,
  like: keyof typeof headers,
  paths: readonly string[],
): readonly (number | undefined)[] =>
  paths.map((path) => numbers.get(Object.keys(headers[like]).find((name) => name.startsWith(`${path}.`))!))

const SD15 = [
  'cond_stage_model',
  ...Array.from({ length: 12 }, (_, i) => `${UNET}.${block(`in.${i}`)}`),
  `${UNET}.middle_block`,
  ...Array.from({ length: 12 }, (_, i) => `${UNET}.${block(`out.${i}`)}`),
]
const SDXL = [
  'conditioner.embedders.0',
  ...Array.from({ length: 9 }, (_, i) => `${UNET}.${block(`in.${i}`)}`),
  `${UNET}.middle_block`,
  ...Array.from({ length: 9 }, (_, i) => `${UNET}.${block(`out.${i}`)}`),
]
const FLUX = ['model.diffusion_model.final_layer', 'model.diffusion_model.double_blocks.3']
const BESIDE = [`${UNET}.time_embed`, `${UNET}.out`, 'first_stage_model']

describe('weights.block', () => {
  test('gives each part its number and leaves out what has none', () => {
    const w = weigh('sdxl', 'weights.block', { time: 1, label: 2, input: 3, middle: 4, output: 5, out: 6, text: 7 })
    expect(
      seen(w, 'sdxl', [...BESIDE, `${UNET}.label_emb`, SDXL[0]!, SDXL[1]!, SDXL[9]!, SDXL[10]!, SDXL[19]!]),
    ).toEqual([1, 6, undefined, 2, 7, 3, 3, 4, 5])
    expect(seen(weigh('sdxl', 'weights.block', { input: 3, vae: 8, rest: 9 }), 'sdxl', [...BESIDE, SDXL[1]!])).toEqual([
      9, 9, 8, 3,
    ])
  })

  test('refuses the parts of a U-Net for a network that is none', () => {
    expect(problemsOf('flux-dev', 'weights.block', { input: 1 })).toMatchObject([
      { code: 'no-such-part', at: { name: 'w.input' }, message: expect.stringContaining('Flux') },
    ])
    expect(seen(weigh('flux-dev', 'weights.block', { out: 1, rest: 2 }), 'flux-dev', FLUX)).toEqual([1, 2])
  })
})

describe('weights.mbw', () => {
  test('reads 26 numbers for SD1 and 20 or 21 for SDXL in the order of the field', () => {
    const numbers = Array.from({ length: 26 }, (_, i) => i / 25)
    const sd15 = weigh('sd15', 'weights.mbw', { blocks: numbers })
    expect(seen(sd15, 'sd15', SD15)).toEqual(numbers)
    expect(seen(sd15, 'sd15', BESIDE)).toEqual([1 / 25, 1, 0])
    const list = Array.from({ length: 21 }, (_, i) => i)
    expect(
      seen(weigh('sdxl', 'weights.mbw', { blocks: list.slice(0, 20), rest: -1 }), 'sdxl', [...SDXL, ...BESIDE]),
    ).toEqual([...list.slice(0, 20), 1, 19, -1])
    expect(
      seen(weigh('sdxl', 'weights.mbw', { blocks: list.slice(0, 20) }), 'sdxl', [
        `${UNET}.label_emb`,
        'first_stage_model',
      ]),
    ).toEqual([1, undefined])
    expect(seen(weigh('sdxl', 'weights.mbw', { blocks: list }), 'sdxl', ['first_stage_model'])).toEqual([20])
  })

  test('a list of one number is of every tensor but the constants outside all blocks, so that zeros are exactly the other model', () => {
    const zeros = weigh('sd15', 'weights.mbw', { blocks: Array(26).fill(0) })
    expect(
      Object.keys(headers['sd15'])
        .filter((name) => zeros.get(name) !== 0)
        .every((name) => !name.includes('.')),
    ).toBe(true)
    const named = weigh('sd15', 'weights.mbw', { blocks: { IN00: 1, OUT11: 1, BASE: 1 } })
    expect(seen(named, 'sd15', BESIDE)).toEqual([undefined, undefined, undefined])
  })

  test('reads the names of the field and the ids of blocks', () => {
    const w = weigh('sd15', 'weights.mbw', {
      blocks: { BASE: 1, IN04: 2, m00: 3, OUT11: 4, OUT: 5, 'in.10': 6, TIME: 7, vae: 8 },
    })
    expect(
      seen(w, 'sd15', [
        SD15[0]!,
        SD15[5]!,
        SD15[13]!,
        SD15[25]!,
        `${UNET}.out`,
        SD15[11]!,
        `${UNET}.time_embed`,
        'first_stage_model',
        SD15[2]!,
      ]),
    ).toEqual([1, 2, 3, 4, 5, 6, 7, 8, undefined])
    expect(
      seen(weigh('llama-2-7b', 'weights.mbw', { blocks: { LAYER07: 1, head: 2 } }), 'llama-2-7b', [
        'model.layers.7',
        'lm_head',
        'model.layers.8',
      ]),
    ).toEqual([1, 2, undefined])
  })

  test('refuses a list made for another architecture, and blocks that there are not', () => {
    expect(problemsOf('sdxl', 'weights.mbw', { blocks: Array(25).fill(0) })).toMatchObject([
      { code: 'wrong-block-weight-count', message: expect.stringContaining('20, 21 or 26') },
    ])
    expect(problemsOf('llama-2-7b', 'weights.mbw', { blocks: Array(26).fill(0) })).toMatchObject([
      { code: 'no-block-weight-list' },
    ])
    expect(problemsOf('sdxl', 'weights.mbw', { blocks: { IN11: 1, 'layer.3': 1 } })).toMatchObject([
      { code: 'unknown-block', message: expect.stringContaining('IN11') },
      { code: 'unknown-block' },
    ])
  })

  test('takes either numbers or a preset', () => {
    expect(problemsOf('sd15', 'weights.mbw')).toMatchObject([{ code: 'blocks-or-preset', at: { name: 'w.op' } }])
    expect(problemsOf('sd15', 'weights.mbw', { blocks: { IN00: 1 }, preset: 'GRAD_V' })).toMatchObject([
      { code: 'blocks-or-preset' },
    ])
  })
})

describe('presets', () => {
  /** As published for the 26 positions of SD1, some of them. */
  const PUBLISHED: Readonly<Partial<Record<PresetName, readonly number[]>>> = {
    WRAP14: [0, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1],
    MID12_50: [
      0, 0, 0, 0, 0, 0, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0, 0, 0, 0, 0, 0,
    ],
    OUT12_5: [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0.5, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1],
    RING08_SOFT: [0, 0, 0, 0, 0, 0, 0.5, 1, 1, 1, 0.5, 0, 0, 0, 0, 0, 0.5, 1, 1, 1, 0.5, 0, 0, 0, 0, 0],
    RING10_3: [0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 0, 0, 0, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0],
    'R_SMOOTHSTEP*3': [
      0, 1, 0.984809, 0.940972, 0.871094, 0.777778, 0.663628, 0.53125, 0.383247, 0.222222, 0.050781, 0.128472, 0.312934,
      0.5, 0.687066, 0.871528, 0.949219, 0.777778, 0.616753, 0.46875, 0.336372, 0.222222, 0.128906, 0.059028, 0.015191,
      0,
    ],
    'SMOOTHSTEP/3': [
      0, 0, 0.042969, 0.15625, 0.316406, 0.5, 0.683594, 0.84375, 0.957031, 1, 0.957031, 0.84375, 0.683594, 0.5,
      0.316406, 0.15625, 0.042969, 0, 0.042969, 0.15625, 0.316406, 0.5, 0.683594, 0.84375, 0.957031, 1,
    ],
    REVERSE_COSINE: [
      0, 0, 0.004278, 0.017037, 0.03806, 0.066987, 0.103323, 0.146447, 0.195619, 0.25, 0.308658, 0.37059, 0.434737, 0.5,
      0.565263, 0.62941, 0.691342, 0.75, 0.804381, 0.853553, 0.896677, 0.933013, 0.96194, 0.982963, 0.995722, 1,
    ],
    TRUE_CUBIC_HERMITE: [
      0, 0, 0.199032, 0.325762, 0.424642, 0.498457, 0.549992, 0.582031, 0.597361, 0.598765, 0.58903, 0.570939, 0.547279,
      0.520833, 0.494388, 0.470727, 0.452637, 0.442901, 0.444306, 0.459635, 0.491675, 0.54321, 0.617025, 0.715905,
      0.842635, 1,
    ],
    FAKE_CUBIC_HERMITE: [
      0, 0, 0.157576, 0.284915, 0.384766, 0.459877, 0.512997, 0.546875, 0.56426, 0.567901, 0.560547, 0.544946, 0.523847,
      0.5, 0.476153, 0.455054, 0.439453, 0.432099, 0.43574, 0.453125, 0.487003, 0.540123, 0.615234, 0.715085, 0.842424,
      1,
    ],
    ALL_B: Array<number>(26).fill(1),
  }

  test.each(Object.entries(PUBLISHED))('%s is as published', (preset, expected) => {
    const found = seen(weigh('sd15', 'weights.mbw', { preset }), 'sd15', SD15)
    expect(found.map((x) => Number(x!.toFixed(6)))).toEqual(expected)
  })

  test('one that is reversed adds up to 1 with its counterpart everywhere', () => {
    const pairs = Object.keys(PRESETS).flatMap((name) => {
      const other = name.replace(/^R_|REVERSE[-_]/, '')
      return other === name ? [] : [[name, other]]
    }) as [PresetName, PresetName][]
    expect(pairs).toHaveLength(10)
    for (const [x, y] of pairs)
      for (const at of [0, 0.125, 0.5, 0.9, 1]) expect(PRESETS[x].curve(at) + PRESETS[y].curve(at)).toBeCloseTo(1, 12)
  })

  test('is sampled at the block count of the architecture', () => {
    expect(
      seen(weigh('sdxl', 'weights.mbw', { preset: 'GRAD_V' }), 'sdxl', SDXL).map((x) => Number(x!.toFixed(6))),
    ).toEqual([0, 1, ...[8, 7, 6, 5, 4, 3, 2, 1, 0, 1, 2, 3, 4, 5, 6, 7, 8].map((n) => Number((n / 9).toFixed(6))), 1])
    const llama = weigh('llama-2-7b', 'weights.mbw', { preset: 'GRAD_A' })
    expect(seen(llama, 'llama-2-7b', ['model.layers.0', 'model.layers.31', 'lm_head'])).toEqual([0, 0, undefined])
  })

  test('stands in rules in place as well, where patterns win over it and `default` fills the rest', () => {
    const w = weigh('sd15', 'weights.rules', { rules: { preset: 'GRAD_V', 'block:in.3': 7, default: 0.25 } })
    expect(seen(w, 'sd15', [SD15[0]!, SD15[1]!, SD15[4]!, SD15[13]!, ...BESIDE])).toEqual([0, 1, 7, 0, 1, 1, 0])
    expect(
      seen(weigh('sdxl', 'weights.rules', { rules: { preset: 'GRAD_V', default: 0.25 } }), 'sdxl', BESIDE),
    ).toEqual([1, 1, 0.25])
  })
})

describe('weights.shell', () => {
  test.each([
    ['sd15', SD15, [undefined, 1, 1, 1, 1, 2, 2, 2, 2, 2, 3, 3, 3, 3, 3, 3, 3, 3, 2, 2, 2, 2, 2, 1, 1, 1]],
    ['sdxl', SDXL, [undefined, 1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3, 3, 3, 2, 2, 2, 1, 1, 1]],
  ] as const)('of %s has the documented sets', (like, paths, expected) => {
    const w = weigh(like, 'weights.shell', { exterior: 1, interior: 2, core: 3 })
    expect(seen(w, like, paths)).toEqual(expected)
    expect(seen(w, like, BESIDE)).toEqual([undefined, undefined, undefined])
  })

  test('times an attention is a number by depth and kind', () => {
    const w = weighSteps('sd15', {
      depth: { op: 'weights.shell', like: 'like', exterior: 1, core: 0.5 },
      kind: { op: 'weights.attention', like: 'like', attn: 0.5, ff: 1 },
      both: { op: 'weights.combine', like: 'like', a: 'depth', b: 'kind', operation: 'multiply' },
    })
    const of = (name: string) => w.get(`${UNET}.${name}`)
    expect([
      of('middle_block.1.transformer_blocks.0.attn1.to_q.weight'),
      of('input_blocks.1.1.transformer_blocks.0.ff.net.2.weight'),
      of('input_blocks.4.1.transformer_blocks.0.attn1.to_q.weight'),
      of('middle_block.0.in_layers.2.weight'),
    ]).toEqual([0.25, 1, undefined, undefined])
  })
})

test('weights.attention tells self from cross attention, and finds every norm', () => {
  const w = weigh('sd15', 'weights.attention', { norm: 1, attn: 2, attn2: 3, ff: 4, conv: 5, emb: 6 })
  const under = (name: string) => w.get(`${UNET}.input_blocks.1.${name}`)
  expect([
    under('0.in_layers.0.weight'),
    under('1.transformer_blocks.0.norm1.weight'),
    under('1.transformer_blocks.0.attn1.to_q.weight'),
    under('1.transformer_blocks.0.attn2.to_q.weight'),
    under('1.transformer_blocks.0.ff.net.2.bias'),
    under('0.in_layers.2.weight'),
    under('0.emb_layers.1.weight'),
    under('1.proj_in.weight'),
  ]).toEqual([1, 1, 2, 3, 4, 5, 6, undefined])
})

describe('weights.gradient', () => {
  test('runs over the blocks in their order, not those of the text encoder', () => {
    const w = weigh('sd15', 'weights.gradient', { anchors: [0, 12, 0], rest: -1 })
    expect(seen(w, 'sd15', SD15.slice(1)).map((x) => Math.round(x!))).toEqual([
      0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0,
    ])
    expect(seen(w, 'sd15', [SD15[0]!, ...BESIDE])).toEqual([-1, -1, -1, -1])
  })
})

describe('weights.edit and weights.combine', () => {
  const half = { op: 'weights.rules', like: 'like', rules: { 'block:in.*': 0.5 } }

  test('an edit never changes its input', () => {
    const steps = {
      half,
      twice: { op: 'weights.edit', like: 'like', weights: 'half', layers: ['block:in.1', '**.in_layers'], multiply: 2 },
    }
    const names = evaluateNames({ smelt: 1, models: { like: 'like' }, steps }, { like: headers.sd15 })
    const numbersOf = (name: string) => {
      const v = names(name)
      return v.type === 'ok' ? (v.value as WeightsValue).numbers : undefined
    }
    const tensor = `${UNET}.input_blocks.1.0.in_layers.0.weight`
    expect([numbersOf('twice')!.get(tensor), numbersOf('half')!.get(tensor)]).toEqual([1, 0.5])
    expect(numbersOf('twice')!.has(`${UNET}.output_blocks.1.0.in_layers.0.weight`)).toBe(false)
  })

  test('`set` gives a number to tensors without one', () => {
    const w = weigh('sd15', 'weights.edit', { weights: { 'block:in.*': 0.5 }, layers: 'block:out.*', set: 0.25 })
    expect(seen(w, 'sd15', [SD15[1]!, SD15[14]!, SD15[13]!])).toEqual([0.5, 0.25, undefined])
  })

  test('an edit does one thing', () => {
    expect(problemsOf('sd15', 'weights.edit', { weights: 1, layers: '*' })).toMatchObject([
      { code: 'one-operation', at: { name: 'w.op' } },
    ])
    expect(problemsOf('sd15', 'weights.edit', { weights: 1, layers: '*', add: 1, set: 0 })).toMatchObject([
      { code: 'one-operation' },
    ])
  })

  test('division by 0 names the layer', () => {
    const layer = `${UNET}.input_blocks.0.0.weight`
    expect(problemsOf('sd15', 'weights.edit', { weights: 1, layers: layer, divide: 0 })).toMatchObject([
      { code: 'divide-by-zero', at: { name: 'w.divide' }, message: expect.stringContaining(layer) },
    ])
    expect(
      problemsOf('sd15', 'weights.combine', { a: 1, b: { default: 1, [layer]: 0 }, operation: 'divide' }),
    ).toMatchObject([{ code: 'divide-by-zero', at: { name: 'w.b' }, message: expect.stringContaining(layer) }])
    expect(
      problemsOf('sd15', 'weights.combine', {
        a: { 'block:out.*': 1 },
        b: { default: 1, [layer]: 0 },
        operation: 'divide',
      }),
    ).toEqual([])
  })
})

test('weights by block need an architecture', () => {
  const like: PlainFile = { x: { dtype: 'f32', shape: [1], values: [] } }
  for (const params of [
    { op: 'weights.block', input: 1 },
    { op: 'weights.mbw', preset: 'GRAD_V' },
    { op: 'weights.shell', core: 1 },
    { op: 'weights.attention', attn: 1 },
  ]) {
    const result = evaluateNames(
      { smelt: 1, models: { like: 'like' }, steps: { w: { like: 'like', ...params } } },
      { like },
    )('w')
    expect(result.diagnostics).toMatchObject([{ code: 'unknown-architecture', at: { name: 'w.like' } }])
  }
})

test('all weights of SDXL together take some hundred calls a tensor', async () => {
  const weighAll = () =>
    weighSteps('sdxl', {
      block: { op: 'weights.block', like: 'like', input: 1, middle: 2, output: 3, rest: 0 },
      mbw: { op: 'weights.mbw', like: 'like', preset: 'SMOOTHSTEP', rest: 1 },
      shell: { op: 'weights.shell', like: 'like', exterior: 1, interior: 2, core: 3, rest: 4 },
      kind: { op: 'weights.attention', like: 'like', attn: 1, ff: 2, rest: 3 },
      line: { op: 'weights.gradient', like: 'like', anchors: [0, 1], rest: 1 },
      x: { op: 'weights.combine', like: 'like', a: 'block', b: 'mbw' },
      y: { op: 'weights.combine', like: 'like', a: 'shell', b: 'kind' },
      z: { op: 'weights.combine', like: 'like', a: 'x', b: 'y' },
      r: { op: 'weights.combine', like: 'like', a: 'z', b: 'line' },
      w: { op: 'weights.edit', like: 'like', weights: 'r', layers: '**.attn2', multiply: 0.5 },
    })
  const tensors = weighAll().size
  expect(tensors).toBeGreaterThan(2500)
  expect((await callsOf(weighAll)) / tensors).toBeLessThan(700)
})
