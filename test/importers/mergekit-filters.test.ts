import { describe, expect, test } from 'vitest'
import { importAndBuild, numbersOf, worstDifference, type Numbers } from '../support/imported.js'
import { importFile } from '#src/importers/index.js'
import { NO_MODELS } from '#src/importers/find-models.js'
import { textInput } from '#src/importers/read-input.js'

/** A language model of five layers, in the names of Llama. */
const llama = (model: number): Numbers => {
  const layers = [0, 1, 2, 3, 4].flatMap((i) =>
    ['self_attn.q_proj', 'mlp.up_proj'].map((part) => `model.layers.${i}.${part}.weight`),
  )
  const names = ['model.embed_tokens.weight', ...layers, 'model.norm.weight', 'lm_head.weight']
  return Object.fromEntries(names.map((name, i) => [name, numbersOf(model, i, 4)]))
}
const [A, B, C] = [llama(1), llama(2), llama(3)]
const FILES = Object.fromEntries(
  Object.entries({ a: A, b: B, c: C }).flatMap(([name, numbers]) => [
    [`org/${name}/model.safetensors`, numbers],
    [`org/${name}/config.json`, '{ "num_hidden_layers": 5 }'],
  ]),
)

const LAYERS = `
  - base_model: org/c
    sources:
      - { model: org/a, layer_range: [1, 3], parameters: { weight: [{ filter: layers.1, value: 0.25 }, { value: 0.75 }] } }
      - { model: org/c, layer_range: [1, 3] }
  - sources:
      - { model: org/a, layer_range: [0, 2] }
      - { model: org/b, layer_range: [2, 4], parameters: { weight: [{ filter: layers.3.mlp, value: [0.5, 1] }, { filter: lm_head, value: [0.1, 0.2] }] } }
`
const SLICES = `
merge_method: task_arithmetic
base_model: org/a
slices:${LAYERS}parameters:
  weight: 0.375
  lambda: [{ filter: .1., value: 2 }, { filter: layers.3.self, value: 4 }, { value: 1 }]
`

describe('filters of mergekit that name a layer', () => {
  // By hand: place in the result → the layer of each model there, the base, the weight and lambda.
  const PLACES = [
    { tuned: [A, 1], base: [C, 1], weight: () => 0.25, lambda: () => 1 },
    { tuned: [A, 2], base: [C, 2], weight: () => 0.75, lambda: () => 2 },
    { tuned: [B, 2], base: [A, 0], weight: () => 0.375, lambda: () => 1 },
    {
      tuned: [B, 3],
      base: [A, 1],
      weight: (name: string) => (name.includes('mlp') ? 1 : 0.375),
      lambda: (name: string) => (name.includes('self') ? 4 : 1),
    },
  ] as const
  const changed = (name: string, place: (typeof PLACES)[number], from: string): readonly number[] => {
    const of = ([numbers, layer]: readonly [Numbers, number]): readonly number[] =>
      numbers[name.replace(from, `layers.${layer}.`)]!
    return of(place.base).map((x, i) => x + place.lambda(name) * place.weight(name) * (of(place.tuned)[i]! - x))
  }

  test.each([
    ['where the models are known', FILES, ['--models', '.']],
    ['where they are not', FILES, []],
  ])('mean that of the model for its own parameters, else that of the result, %s', async (_, files, args) => {
    const { numbers, code } = await importAndBuild('slices.yml', SLICES, files, args)
    const wanted = Object.fromEntries(
      PLACES.flatMap((place, layer) =>
        Object.keys(A)
          .filter((name) => name.includes('layers.0.'))
          .map((name) => name.replace('.0.', `.${layer}.`))
          .map((name) => [name, changed(name, place, `layers.${layer}.`)]),
      ),
    )
    const [embed, norm, head] = ['model.embed_tokens.weight', 'model.norm.weight', 'lm_head.weight'] as const
    const outside = {
      [embed]: C[embed]!.map((x, i) => x + 0.75 * (A[embed]![i]! - x)),
      [norm]: A[norm]!.map((x, i) => x + 0.375 * (B[norm]![i]! - x)),
      [head]: A[head]!.map((x, i) => x + 0.1 * (B[head]![i]! - x)),
    }
    expect(worstDifference(numbers, { ...wanted, ...outside })).toBeLessThan(1e-6)
    expect(code).toBe(0)
  })
})

const imported = (text: string) => {
  const result = importFile(textInput('config.yml', text, NO_MODELS))
  if (result.type === 'failed') throw new Error(result.diagnostics[0]!.message)
  return result.value
}
const SLERP = 'merge_method: slerp\nbase_model: org/a\n'

describe('parameters of mergekit', () => {
  test('may be one filter, or one value, that is in no list', () => {
    const { recipe } = imported(
      `${SLERP}models: [{ model: org/a }, { model: org/b }]\nparameters: { t: { value: [0.25, 0.5] } }`,
    )
    expect(recipe).toContain('keep: { default: 0.75, gradient: [0.75, 0.5] }')
  })

  test('that are of the whole merge are ignored below a model, as mergekit does', () => {
    const models = 'models: [{ model: org/a }, { model: org/b, parameters: { t: 0.125 } }]'
    const { recipe, notes } = imported(`${SLERP}${models}\nparameters: { t: 0.5 }`)
    expect(recipe).toContain('keep: 0.5')
    expect(notes.map((n) => [n.where, n.text])).toEqual([['line 3', 'mergekit ignores `t`, so the recipe does too']])
    expect(imported(`${SLERP}${models}`).missing.map((m) => m.why)).toEqual([
      'mergekit needs `t` here, and so does smelt',
    ])
  })

  test('of slices that mergekit ignores are told', () => {
    const { notes } = imported(
      'merge_method: passthrough\nslices: [{ residual_weight: 1, sources: [{ model: org/a, layer_range: [0, 2] }] }]',
    )
    expect(notes.map((n) => n.text)).toEqual(['mergekit ignores `residual_weight`, so the recipe does too'])
  })

  test('random numbers are not told of where nothing is drawn', () => {
    const dare = (density: number): readonly string[] =>
      imported(
        `merge_method: dare_ties\nbase_model: org/a\nmodels: [{ model: org/b }]\nparameters: { weight: 1, density: ${density} }`,
      ).notes.map((n) => n.text)
    expect([dare(1).length, dare(0.5).length]).toEqual([0, 1])
  })
})
