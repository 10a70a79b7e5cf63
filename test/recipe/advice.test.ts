import { expect, test } from 'vitest'
import { operators } from '#src/operators/index.js'
import { DTYPE_WORDS, INPUT_WORDS, OUTPUT_WORDS, PARAMETER_WORDS } from '#src/recipe/other-words.js'
import { OUTPUT_DTYPES } from '#src/tensor/dtype.js'
import { problemsOf } from './support.js'

const paramsOf = (op: (typeof operators)[number]): readonly string[] => [
  ...Object.keys(op.params),
  ...Object.values(op.inputs).flatMap((input) => (input.type === 'model' && input.many ? Object.keys(input.each) : [])),
]

test('every word of other programs leads to something that smelt has', () => {
  const [params, inputs] = [
    new Set([...operators.flatMap(paramsOf), 'layers']),
    new Set(operators.flatMap((op) => Object.keys(op.inputs))),
  ]
  expect(Object.keys(PARAMETER_WORDS).filter((own) => !params.has(own))).toEqual([])
  expect(Object.keys(INPUT_WORDS).filter((own) => !inputs.has(own))).toEqual([])
  expect(Object.values(DTYPE_WORDS).filter((own) => !(own in OUTPUT_DTYPES))).toEqual([])
  const output = problemsOf(
    'smelt: 1\nmodels: { a: a.safetensors }\noutputs: { o: { from: a, path: o.safetensors, nonsense: 1 } }\n',
  )[0]!.help
  for (const own of Object.keys(OUTPUT_WORDS).filter((key) => key !== 'from' && key !== 'path'))
    expect(output).toContain(`\`${own}\``)
})

const helpOf = (step: string): string | undefined =>
  problemsOf(
    `smelt: 1\nmodels: { base: b.safetensors, anime: a.safetensors, photo: p.safetensors }\nsteps: { x: { ${step} } }\noutputs: { o: { from: x, path: o.safetensors } }\n`,
  )[0]?.help

test.each([
  [
    'op: merge.blend, a: anime, b: photo, alpha: 0.3',
    'write `keep: 0.7`: `alpha: 0.3` elsewhere is the share of the second model, and `keep` is the share of the first model, `a`',
  ],
  [
    'op: merge.blend, a: anime, b: photo, t: { default: 0.3 }',
    'write `keep` with 1 − t for every number: `t` elsewhere is the share of the second model, and `keep` is the share of the first model, `a`',
  ],
  [
    'op: merge.dare, a: anime, b: photo, density: 0.1',
    'write `drop: 0.9`: `density: 0.1` elsewhere is the share that is kept, and `drop` is the share of the difference that is dropped',
  ],
  [
    'op: merge.ties, base: base, models: [anime, photo], alpha: 0.5',
    'write `lambda: 0.5`, which is what smelt calls `alpha`',
  ],
  [
    'op: merge.ties, base: base, models: [anime, photo], param_value_mask_rate: 0.8',
    'for `ties_merging` of MergeLM: `density` is 1 − its `param_value_mask_rate` (it keeps one number more); `smelt ops ties_merging` shows more',
  ],
  [
    'op: merge.model_stock, base: base, models: [anime, photo], filter_wise: true',
    'for `model_stock` of mergekit: `over: row` where `filter_wise` is true (of a convolution, mergekit takes single lines of a kernel for rows); `smelt ops model_stock` shows more',
  ],
  [
    'op: model.adjust, model: anime, cont: 3',
    'for `Adjust` of supermerger: `contrast` is its CONT; `smelt ops Adjust` shows more',
  ],
  [
    'op: merge.ties, base: base, models: [{ model: anime, select_topk: 1 }, photo]',
    'use one of `weight`, `density`, or delete it',
  ],
  [
    'op: merge.ties, base: base, models: [{ model: anime, weight: [0, 0.5, 1] }, photo]',
    'write `weight: { gradient: [0, 0.5, 1] }` for numbers that go evenly from one to the next over the layers, as a list does in mergekit, or one number',
  ],
  ['op: merge.dare, a: anime, b: photo, p: 0.1', 'write `drop: 0.1`, which is what smelt calls `p`'],
  [
    'op: merge.linear, models: [{ model: anime, ratio: 0.3 }]',
    'write `weight: 0.3`, which is what smelt calls `ratio`',
  ],
  [
    'op: merge.ties, base: base, models: [{ model: anime, parameters: { weight: 0.3, density: 0.5 } }]',
    'write `weight`, `density` one level higher, in place of `parameters`',
  ],
  ['op: merge.blend, model1: anime, model2: photo', 'write `a`, which is what smelt calls `model1`'],
  ['op: merge.linear, model_a: anime, model_b: photo', 'write `models: [anime, photo]`'],
  [
    'op: merge.blend, models: [anime, photo, base]',
    'use `merge.linear`, which takes any number of `models`; `merge.blend` takes two, `a` and `b`',
  ],
  ['op: dare_ties, base: base, models: [anime]', 'write the full name: `merge.dare_ties`'],
  ['op: lora, model: base', 'write `op: adapter.apply`, which is what smelt calls `lora`'],
  [
    'op: ModelMergeSimple, a: anime, b: photo',
    'write `op: merge.blend`, which is what smelt calls `ModelMergeSimple` of ComfyUI: `keep: ratio`, `layers: component:diffusion`, `missing: keep`',
  ],
  [
    'op: merge.weighted_sum, a: anime, b: photo',
    'write `op: merge.blend`, which is what smelt calls `weighted_sum` of sd-mecha: `keep: 1 − alpha`; `smelt ops weighted_sum` shows how for AUTOMATIC1111 web UI',
  ],
  [
    'op: n average, models: [anime, photo]',
    'write `op: merge.linear`, which is what smelt calls `n_average` of sd-mecha: `models` without weights',
  ],
])('%s', (step, help) => expect(helpOf(step)).toBe(help))

test.each(['constructor', '__proto__', 'toString', 'hasOwnProperty'])(
  '`%s` is a word like any other, wherever it stands',
  (word) => {
    const codes = (step: string, output = 'from: x, path: o.safetensors'): readonly string[] =>
      problemsOf(
        `smelt: 1\nmodels: { a: a.safetensors }\nsteps: { x: { ${step} } }\noutputs: { o: { ${output} } }\n`,
      ).map((p) => p.code)
    expect(codes(`op: merge.blend, a: a, b: a, ${word}: 1`)).toEqual(['unknown-key'])
    expect(codes(`op: merge.ties, base: a, models: [{ model: a, ${word}: 1 }], ${word}: 1`)).toEqual([
      'unknown-key',
      'unknown-key',
    ])
    expect(codes(`op: ${word}, a: a`)).toEqual(['unknown-choice'])
    expect(codes(`${word}: merge.blend, a: a`)).toEqual(['missing-key'])
    expect(
      codes('op: merge.blend, a: a, b: a', `from: x, path: o.safetensors, dtype: ${word}, ${word}: 1`).length,
    ).toBe(2)
  },
)

test('a base by another name is no model of the list', () =>
  expect(helpOf('op: merge.ties, base_model: base, a: anime, b: photo')).toBe(
    'write `base`, which is what smelt calls `base_model`',
  ))

test.each([
  ['75', '0.75'],
  ['30', '0.3'],
  ['100', '1'],
])('`keep: %s` is taken for percent', (keep, meant) =>
  expect(helpOf(`op: merge.blend, a: anime, b: photo, keep: ${keep}`)).toBe(`write \`${meant}\` for ${keep} percent`),
)

test.each([
  ['"0.5"', '0.5'],
  ['50%', '0.5'],
  ['12.5 %', '0.125'],
  ['"0,5"', '0.5'],
  ['1/4', '0.25'],
  ['-5%', '-0.05'],
])('`keep: %s` is not read as a name', (keep, meant) => {
  const problems = problemsOf(
    `smelt: 1\nmodels: { a: a.safetensors }\nsteps:\n  x:\n    op: merge.blend\n    a: a\n    b: a\n    keep: ${keep}\noutputs: { o: { from: x, path: o.safetensors } }\n`,
  )
  expect(problems.map((p) => p.code)).toEqual(['number-as-text'])
  expect(problems[0]!.help!.endsWith(`: \`${meant}\``)).toBe(true)
})

test('extrapolation stays allowed', () =>
  expect(helpOf('op: merge.blend, a: anime, b: photo, keep: -1.5')).toBeUndefined())
