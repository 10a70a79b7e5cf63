import { describe, expect, test } from 'vitest'
import { findOperator } from '#src/operators/index.js'
import { parse } from '#src/recipe/parse.js'
import { renderOneOff, type OneOff } from '#src/recipe/one-off.js'

const render = (
  id: string,
  files: readonly string[],
  values: Readonly<Record<string, string>> = {},
  more: Partial<OneOff> = {},
) =>
  renderOneOff({
    operator: findOperator(id)!,
    files,
    values,
    output: 'out.safetensors',
    dtype: undefined,
    shardSize: undefined,
    ...more,
  })

describe('the recipe that a command line stands for', () => {
  test('names its models after their files, and gives them to the inputs in order', () => {
    expect(
      render(
        'merge.blend',
        ['models/a.safetensors', 'other/a.safetensors'],
        { keep: '0.6' },
        { dtype: 'bf16', shardSize: '5GB' },
      ).text,
    ).toBe(`smelt: 1
models:
  a: models/a.safetensors
  a-2: other/a.safetensors
steps:
  result:
    op: merge.blend
    a: a
    b: a-2
    keep: 0.6
outputs:
  file:
    from: result
    path: out.safetensors
    dtype: bf16
    shard_size: "5GB"
`)
  })

  test('gives no model a name that YAML reads as anything but a string', () => {
    expect(render('merge.blend', ['true.safetensors', 'x/No.safetensors']).text).toContain(
      'models:\n  true_model: true.safetensors\n  No_model: x/No.safetensors\n',
    )
  })

  test('gives a list of models what the single inputs leave, with a value for each or one for all', () => {
    const { text } = render('merge.ties', ['base.st', '1.st', '2.st'], {
      density: '0.2, 0.3',
      weight: '2',
      lambda: '{default: 1, "**.mlp": 0.5}',
    })
    expect(text).toContain(
      '    base: base_st\n    models:\n      - { model: st, weight: 2, density: 0.2 }\n      - { model: st-2, weight: 2, density: 0.3 }\n    lambda: {default: 1, "**.mlp": 0.5}\n',
    )
  })

  test('takes a file by key, and a LoRA as an adapter', () => {
    expect(render('merge.dare', ['a.st', 'b.st'], { base: 'c.st' }).text).toContain(
      '    a: a_st\n    b: b_st\n    base: c_st\n',
    )
    expect(render('adapter.apply', ['m.safetensors', 'l.safetensors'], { strength: '0.8' }).text).toContain(
      'adapters:\n  l: l.safetensors\n',
    )
  })

  test('gives files back that no input takes', () => {
    expect(render('merge.blend', ['a', 'b', 'c']).unused).toEqual(['c'])
  })

  test.each([
    ['merge.blend', ['a', 'b'], { keep: '0.6', layers: '"**.attn2"' }],
    ['merge.linear', ['a', 'b', 'c'], { weight: '1,2,3' }],
    ['merge.dare', ['a', 'b'], { drop: '0.9', rescale: 'true', seed: '7' }],
    ['adapter.apply', ['m', 'l'], {}],
    ['report.diff', ['a', 'b'], {}],
  ] as const)('is a sound recipe: %s', (id, files, values) => {
    const { text } = render(id, files, values)
    expect(parse({ path: 'command line', text }).diagnostics).toEqual([])
  })
})
