import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { inFolder, readTensors } from '../support/build-run.js'
import { writeSafetensors, type TensorValues } from '../support/write-safetensors.js'
import { planOf, problemsOf, tryPlan, type Outline, type Paper } from '../plan/support.js'
import { buildIn, built } from '../run/support.js'

interface Size {
  readonly layers: number
  readonly hidden?: number
  readonly head?: boolean
  readonly more?: readonly string[]
  readonly root?: string
}

/** Names and shapes of a tiny Llama. */
const llama = ({ layers, hidden = 4, head = true, more = [], root = '' }: Size): Outline => {
  const matrix = ['BF16', [hidden, hidden]] as const
  const vector = ['BF16', [hidden]] as const
  const layer = (i: number): Outline => ({
    ...Object.fromEntries(
      ['self_attn.q_proj', 'self_attn.k_proj', 'self_attn.v_proj', 'self_attn.o_proj', 'mlp.up_proj', ...more].map(
        (name) => [`${root}model.layers.${i}.${name}.weight`, matrix],
      ),
    ),
    [`${root}model.layers.${i}.input_layernorm.weight`]: vector,
  })
  return Object.assign(
    { [`${root}model.embed_tokens.weight`]: ['BF16', [8, hidden]], [`${root}model.norm.weight`]: vector } as const,
    head ? { [`${root}lm_head.weight`]: ['BF16', [8, hidden]] } : {},
    ...Array.from({ length: layers }, (_, i) => layer(i)),
  ) as Outline
}

const paper = (models: Paper['models'], step: object, more: Readonly<Record<string, object>> = {}): Paper => ({
  models,
  steps: { ...more, deep: { op: 'model.stack', ...step } },
  outputs: { o: { from: 'deep', path: 'out.safetensors' } },
})

/** The layers of the result in order, each as the model and the layer that it is copied from; and what lies outside. */
const layoutOf = (made: Paper) => {
  const plan = planOf(made)
  const copies = plan.jobs.flatMap((job) =>
    job.copies.map(({ to, from }) => ({
      to: to.tensor,
      from: from!.tensor.name,
      file: from!.tensor.file.replace(/^.*\/|\.safetensors$/g, ''),
    })),
  )
  const layers = new Map<number, Set<string>>()
  const outside = new Set<string>()
  for (const { to, from, file } of copies) {
    const [number, old] = [to, from].map((name) => /\.(\d+)\./.exec(name)?.[1])
    if (number === undefined) outside.add(`${file} ${to}`)
    else layers.set(Number(number), (layers.get(Number(number)) ?? new Set()).add(`${file} ${old}`))
    expect(to.replace(/\.\d+\./, '.#.')).toBe(from.replace(/\.\d+\./, '.#.'))
  }
  expect(copies.length).toBe(plan.outputs[0]!.tensors.length)
  return {
    layers: [...layers].sort(([x], [y]) => x - y).map(([, from]) => [...from].join()),
    outside: [...outside].sort(),
  }
}

describe('layers are stacked by copying', () => {
  test('of one model, with some of them twice', () => {
    const made = paper(
      { a: llama({ layers: 4 }) },
      {
        slices: [
          { model: 'a', layers: [0, 3] },
          { model: 'a', layers: [1, 4] },
        ],
      },
    )
    expect(layoutOf(made)).toEqual({
      layers: ['a 0', 'a 1', 'a 2', 'a 1', 'a 2', 'a 3'],
      outside: ['a lm_head.weight', 'a model.embed_tokens.weight', 'a model.norm.weight'],
    })
    const { jobs, steps } = planOf(made)
    expect(jobs.filter((job) => job.sweeps !== undefined)).toEqual([])
    expect(steps.map((s) => s.counts)).toEqual([{ kept: 3 + 3 * 6, renamed: 3 * 6 }])
  })

  test('of two models, with gaps and in any order', () => {
    const models = { a: llama({ layers: 4 }), b: llama({ layers: 6 }) }
    const slices = [
      { model: 'b', layers: [5, 6] },
      { model: 'a', layers: [0, 1] },
      { model: 'b', layers: [2, 4] },
    ]
    expect(layoutOf(paper(models, { slices }))).toMatchObject({ layers: ['b 5', 'a 0', 'b 2', 'b 3'] })
    expect(layoutOf(paper(models, { slices })).outside[0]).toBe('b lm_head.weight')
    expect(layoutOf(paper(models, { slices, rest: 'a' })).outside[0]).toBe('a lm_head.weight')
  })

  test('all of them, where a slice says no range', () => {
    const models = { a: llama({ layers: 2 }) }
    expect(layoutOf(paper(models, { slices: ['a', 'a'] })).layers).toEqual(['a 0', 'a 1', 'a 0', 'a 1'])
  })

  test('of a model that has the same network under another root', () => {
    const models = { a: llama({ layers: 2 }), b: llama({ layers: 2, root: 'language_model.' }) }
    const made = planOf(paper(models, { slices: ['a', { model: 'b', layers: [1, 2] }] }))
    const names = made.outputs[0]!.tensors.map(({ name }) => name)
    expect(names.sort()).toEqual(Object.keys(llama({ layers: 3 })).sort())
  })

  test('of an unknown network with numbered layers', () => {
    const gpt2: Outline = {
      'wte.weight': ['F32', [4, 2]],
      'h.0.attn.bias': ['F32', [2]],
      'h.1.attn.bias': ['F32', [2]],
      'ln_f.bias': ['F32', [2]],
    }
    expect(layoutOf(paper({ a: gpt2 }, { slices: [{ model: 'a', layers: [1, 2] }, 'a'] }))).toEqual({
      layers: ['a 1', 'a 0', 'a 1'],
      outside: ['a ln_f.bias', 'a wte.weight'],
    })
  })

  test('with their scales', () => {
    const layer = (i: number): Outline => ({
      [`model.layers.${i}.mlp.up_proj.weight`]: ['F8_E4M3', [4, 4]],
      [`model.layers.${i}.mlp.up_proj.weight_scale`]: ['F32', []],
    })
    const models = { a: { 'model.embed_tokens.weight': ['BF16', [8, 4]], ...layer(0), ...layer(1) } as Outline }
    const plan = planOf(paper(models, { slices: [{ model: 'a', layers: [1, 2] }, 'a'] }))
    expect(plan.outputs[0]!.tensors.map(({ name }) => name).sort()).toEqual([
      'model.embed_tokens.weight',
      ...[0, 1, 2].flatMap((i) => ['', '_scale'].map((end) => `model.layers.${i}.mlp.up_proj.weight${end}`)),
    ])
    expect(plan.jobs.filter((job) => job.sweeps !== undefined)).toEqual([])
  })
})

test('the rest may be a part without layers', () => {
  const models = { a: llama({ layers: 2 }), b: llama({ layers: 3 }) }
  const made = paper(
    models,
    { slices: ['b'], rest: 'outside' },
    {
      embeddings: { op: 'model.select', model: 'a', layers: 'model.embed_tokens' },
      head: { op: 'model.select', model: 'b', layers: ['model.norm', 'lm_head'] },
      outside: { op: 'model.combine', models: ['embeddings', 'head'] },
    },
  )
  expect(layoutOf(made)).toEqual({
    layers: ['b 0', 'b 1', 'b 2'],
    outside: ['a model.embed_tokens.weight', 'b lm_head.weight', 'b model.norm.weight'],
  })
})

test('a tied model gets no output head from a slice of one that has it apart', () => {
  const models = { a: llama({ layers: 2, head: false }), b: llama({ layers: 2 }) }
  const slices = ['a', 'b']
  const outside = ['a model.embed_tokens.weight', 'a model.norm.weight']
  expect(layoutOf(paper(models, { slices })).outside).toEqual(outside)
  expect(layoutOf(paper(models, { slices: ['b'], rest: 'a' })).outside).toEqual(outside)
})

test('of merged models only the layers that are stacked are computed', () => {
  const models = { a: llama({ layers: 4 }), b: llama({ layers: 4 }) }
  const plan = planOf(
    paper(
      models,
      {
        slices: [
          { model: 'a', layers: [0, 2] },
          { model: 'mixed', layers: [3, 4] },
        ],
      },
      { mixed: { op: 'merge.blend', a: 'a', b: 'b' } },
    ),
  )
  const computed = plan.jobs.filter((job) => job.sweeps !== undefined).flatMap((job) => job.targets)
  expect(computed.map(({ tensor }) => /layers\.(\d+)/.exec(tensor)?.[1])).toEqual(Array(6).fill('2'))
})

test('the result is known by its architecture, with its new layers', () => {
  const made: Paper = {
    models: { a: llama({ layers: 2 }) },
    steps: {
      deep: { op: 'model.stack', slices: ['a', 'a'] },
      scaled: { op: 'model.scale', model: 'deep', factor: 2, layers: 'block:layer.3' },
    },
    outputs: { o: { from: 'scaled', path: 'out.safetensors' } },
  }
  expect(planOf(made).steps[1]!.counts).toEqual({ merged: 6 })
})

test('a build writes the numbers of the layers in their new places', () =>
  inFolder(async (folder) => {
    const numbers = (from: number): Record<string, TensorValues> =>
      Object.fromEntries(
        Object.entries(llama({ layers: 3 })).map(([name, [dtype, shape]], i) => [
          name,
          { dtype: dtype as 'BF16', shape, values: from + i },
        ]),
      )
    writeSafetensors(join(folder, 'a.safetensors'), numbers(0))
    writeSafetensors(join(folder, 'b.safetensors'), numbers(100))
    await built(
      buildIn(folder, {
        models: { a: 'a.safetensors', b: 'b.safetensors' },
        steps: {
          deep: {
            op: 'model.stack',
            slices: [
              { model: 'a', layers: [0, 2] },
              { model: 'b', layers: [1, 3] },
            ],
          },
        },
        outputs: { o: { from: 'deep', path: 'o.safetensors' } },
      }),
    )
    const read = async (name: string) => Object.entries(await readTensors(join(folder, `${name}.safetensors`)))
    const [a, b, o] = [await read('a'), await read('b'), await read('o')]
    const layer = (name: string): number => Number(/layers\.(\d+)/.exec(name)?.[1] ?? 0)
    const moved = (name: string, to: number): string => name.replace(/layers\.\d+/, `layers.${to}`)
    const expected = new Map([
      ...a.filter(([name]) => layer(name) < 2),
      ...b.filter(([name]) => layer(name) > 0).map(([name, data]) => [moved(name, layer(name) + 1), data] as const),
    ])
    expect(new Map(o)).toEqual(expected)
  }))

describe('mistakes are told at their place in the recipe', () => {
  const models = {
    a: llama({ layers: 4 }),
    wide: llama({ layers: 4, hidden: 8 }),
    gated: llama({ layers: 4, more: ['mlp.gate_proj'] }),
    flat: { w: ['F32', [2]] } as Outline,
    pair: { 'encoder.block.0.w': ['F32', [2]], 'decoder.block.0.w': ['F32', [2]] } as Outline,
  }
  const part = { part: { op: 'model.select', model: 'a', layers: ['**', '!model.layers.{1..2}'] } }

  test.each([
    [{ slices: [{ model: 'a', layers: [2, 6] }] }, ['error no-such-layer [2,6]']],
    [{ slices: [{ model: 'a', layers: [2, 2] }] }, ['error empty-slice [2,2]']],
    [{ slices: [{ model: 'a', layers: [3, 1] }] }, ['error empty-slice [3,1]']],
    [{ slices: [{ model: 'part', layers: [0, 2] }] }, ['error no-such-layer [0,2]']],
    [{ slices: ['part'] }, ['error no-such-layer "part"']],
    [{ slices: ['flat'] }, ['error no-layers "flat"']],
    [{ slices: ['a'], path: 'model.layer' }, ['error no-layers "a"']],
    [{ slices: ['pair'] }, ['error several-layer-stacks "pair"']],
    [{ slices: ['a', 'wide'] }, ['error layers-differ "wide"']],
    [{ slices: ['a', 'gated'] }, ['error layers-differ "gated"']],
    [{ slices: ['gated', 'a'] }, ['error layers-differ "a"']],
    [{ slices: ['a'], rest: 'wide' }, ['error layers-differ "a"']],
    [{ slices: [{ model: 'a', layers: [0] }] }, ['error wrong-length [0]']],
    [{ slices: [{ model: 'a', layers: [0, 9] }, 'flat'] }, ['error no-such-layer [0,9]', 'error no-layers "flat"']],
  ])('%j', (step, problems) => {
    const told = problemsOf(paper(models, step, JSON.stringify(step).includes('part') ? part : {})).map((line) =>
      line.replaceAll(/\s+(?![a-z"[])/g, '').replaceAll(/(?<=\[)\s+/g, ''),
    )
    expect(told).toEqual(problems)
  })

  test('a difference cannot be stacked with a model', () => {
    const difference = { moved: { op: 'model.subtract', a: 'a', b: 'a' } }
    expect(problemsOf(paper(models, { slices: ['a', 'moved'] }, difference))).toEqual(['error mixed-spaces "moved"'])
  })

  test('layers of two sizes are told with both', () => {
    const { diagnostics } = tryPlan(paper(models, { slices: ['a', 'wide'] }))
    expect(diagnostics[0]!.message).toBe(
      '`self_attn.q_proj.weight` is [8, 8] in the layers of `wide` (/models/wide.safetensors), but [4, 4] in those of `a` (/models/a.safetensors)',
    )
  })
})
