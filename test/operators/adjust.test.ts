import { describe, expect, test } from 'vitest'
import { outlineOf, planOf, problemsOf, type Outline, type Paper } from '../plan/support.js'
import { evaluateLast, f32, problemsOf as problemsOfSmall } from '../support/small.js'

const paper = (model: Outline, step: object): Paper => ({
  models: { a: model },
  steps: { r: { op: 'model.adjust', model: 'a', ...step } },
  outputs: { o: { from: 'r', path: 'out.safetensors' } },
})
const computed = (model: Outline, step: object): readonly string[] =>
  planOf(paper(model, step))
    .jobs.flatMap((job) => job.targets.map((t) => t.tensor))
    .sort()
const EIGHT = {
  in: 1,
  out: 2,
  out2: 3,
  contrast: 4,
  brightness: 5,
  cyan_red: 6,
  magenta_green: 7,
  yellow_blue: 8,
}
const LAYERS = [
  'input_blocks.0.0.bias',
  'input_blocks.0.0.weight',
  'out.0.bias',
  'out.0.weight',
  'out.2.bias',
  'out.2.weight',
]

describe('the layers that are adjusted', () => {
  test.each(['sd15', 'sdxl'])('are the first and the last of the U-Net, wherever it hangs: %s', (table) => {
    const checkpoint = outlineOf(table)
    expect(computed(checkpoint, EIGHT)).toEqual(LAYERS.map((path) => `model.diffusion_model.${path}`))
    const bare = Object.fromEntries(
      Object.entries(checkpoint).flatMap(([name, t]) =>
        name.startsWith('model.diffusion_model.') ? [[name.slice('model.diffusion_model.'.length), t]] : [],
      ),
    )
    expect(computed(bare, EIGHT)).toEqual(LAYERS)
  })

  test('are those that a number other than 0 concerns', () => {
    expect(computed(outlineOf('sd15'), { out2: 1 })).toEqual(['model.diffusion_model.out.2.weight'])
    expect(computed(outlineOf('sd15'), {})).toEqual([])
  })
})

test('every number changes what supermerger’s does', () => {
  const files = { a: Object.fromEntries(LAYERS.map((name) => [name, f32(1, 1, 1, 1)])) }
  const adjusted = (latents: string) =>
    evaluateLast(files, { r: { op: 'model.adjust', model: 'a', latents, ...EIGHT } })
  const fround = (numbers: readonly number[]): readonly number[] => numbers.map(Math.fround)
  const scaled = {
    'input_blocks.0.0.weight': fround([0.99, 0.99, 0.99, 0.99]),
    'input_blocks.0.0.bias': fround([1.02, 1.02, 1.02, 1.02]),
    'out.0.weight': fround([0.98, 0.98, 0.98, 0.98]),
    'out.0.bias': fround([1.04, 1.04, 1.04, 1.04]),
    'out.2.weight': fround([0.97, 0.97, 0.97, 0.97]),
  }
  const [sd, xl] = [adjusted('sd'), adjusted('sdxl')]
  expect(sd).toMatchObject(scaled)
  expect(xl).toMatchObject(scaled)
  // 0.02 times: 4; −5 + 6 + 8; 5/3 + 6 − 7; 10/3 − 7 + 8.
  expect(sd['out.2.bias']!.map((x) => (x - 1) / 0.02)).toEqual([4, 9, 2 / 3, 13 / 3].map((x) => expect.closeTo(x, 4)))
  // 0.02 times: 4; 6 − 7 − 8; −7 + 8; 5.
  expect(xl['out.2.bias']!.map((x) => (x - 1) / 0.02)).toEqual([4, -9, 1, 5].map((x) => expect.closeTo(x, 4)))
})

describe('what cannot be adjusted is refused', () => {
  test.each([['flux-dev'], ['sd3-medium'], ['llama-2-7b']])('another architecture: %s', (table) => {
    expect(problemsOf(paper(outlineOf(table), { in: 1 }))).toEqual(['error adjust-architecture "a"'])
  })

  test.each([
    ['an unknown one', { x: f32(1) }, {}, 'adjust-architecture'],
    ['one without these layers', { x: f32(1) }, { latents: 'sd' }, 'adjusts-nothing'],
    ['latents of other channels', { 'out.2.bias': f32(1, 2) }, { latents: 'sd' }, 'adjust-channels'],
  ])('%s', (_, a, more, code) => {
    expect(problemsOfSmall({ a }, { r: { op: 'model.adjust', model: 'a', contrast: 1, ...more } })).toEqual([
      `error ${code} @r.model`,
    ])
  })
})
