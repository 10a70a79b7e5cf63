import { describe, expect, test } from 'vitest'
import { modelOf, planOf, problemsOf, readsOf, type Outline, type Paper } from './support.js'

const TWO: Outline = { head: ['F16', [4, 8]], tail: ['F16', [8]] }
const blend = (more: object = {}) => ({ op: 'merge.blend', a: 'a', b: 'b', keep: 0.25, ...more })
const paper = (step: object, models: Paper['models'] = { a: TWO, b: TWO, base: TWO }, output: object = {}): Paper => ({
  models,
  steps: { x: step },
  outputs: { out: { from: 'x', path: 'out.safetensors', ...output } },
})
const many = (count: number): Outline =>
  Object.fromEntries(Array.from({ length: count }, (_, i) => [`layers.${i}.weight`, ['F16', [3, i + 1]] as const]))

describe('steps', () => {
  const chain: Paper = {
    models: { a: TWO, b: TWO },
    steps: {
      last: { op: 'merge.blend', a: 'middle', b: 'first', mask: 'big' },
      spare: { op: 'model.scale', model: 'middle', factor: 2 },
      middle: { op: 'merge.blend', a: 'first', b: 'b' },
      first: blend(),
      big: { op: 'mask.magnitude', model: 'a', base: 'b', quantile: 0.5 },
      more: { op: 'model.scale', model: 'spare', factor: 2 },
    },
    outputs: { out: { from: 'last', path: 'out.safetensors' } },
  }

  test('are in the order they are done, with what they use and who wants them', () => {
    const { steps } = planOf(chain)
    expect(steps.map(({ name, op, kind, uses, wantedBy }) => ({ name, op, kind, uses, wantedBy }))).toEqual([
      { name: 'first', op: 'merge.blend', kind: 'model', uses: ['a', 'b'], wantedBy: ['middle', 'last'] },
      { name: 'middle', op: 'merge.blend', kind: 'model', uses: ['first', 'b'], wantedBy: ['last'] },
      { name: 'big', op: 'mask.magnitude', kind: 'mask', uses: ['a', 'b'], wantedBy: ['last'] },
      { name: 'last', op: 'merge.blend', kind: 'model', uses: ['middle', 'first', 'big'], wantedBy: ['out'] },
    ])
  })

  test('that nothing uses are not run, which is a warning for each', () => {
    const plan = planOf(chain)
    expect(plan.unused).toEqual(['spare', 'more'])
    expect(problemsOf(chain)).toEqual(['warning unused-step "spare"', 'warning unused-step "more"'])
    expect(plan.warnings.map((w) => w.code)).toEqual(['unused-step', 'unused-step'])
  })

  test('that nothing uses are still told their mistakes', () => {
    const wrong = { ...chain, steps: { ...chain.steps, spare: { op: 'model.select', model: 'middle', layers: 'nek' } } }
    expect(problemsOf(wrong)).toEqual([
      'warning unused-step "spare"',
      'error pattern-selects-nothing "nek"',
      'warning unused-step "more"',
    ])
  })

  test('that use a failed one are not blamed for it', () => {
    const wrong = { ...chain, steps: { ...chain.steps, first: blend({ layers: 'nek' }) } }
    expect(problemsOf(wrong).filter((p) => p.startsWith('error'))).toEqual(['error pattern-selects-nothing "nek"'])
  })

  test('count what they merge, keep and lack', () => {
    const models = {
      a: { ...TWO, position_ids: ['I64', [7]], lone: ['F16', [2]], odd: ['F16', [2]], left: ['F16', [3]] },
      b: { ...TWO, position_ids: ['I64', [7]], odd: ['F16', [3]], left: ['F16', [3]] },
    } as const
    const plan = planOf(
      paper(blend({ missing: 'keep', mismatch: 'keep', keep: { head: 0.5, tail: 1, odd: 0, lone: 0 } }), models),
    )
    expect(plan.steps[0]!.counts).toEqual({ constant: 1, missing: 1, mismatched: 1, merged: 2, kept: 1 })
    expect(plan.steps[0]!.tensors).toBe(6)
  })
})

describe('folding', () => {
  const bytes = 2 * 40

  test('`keep: 1` is a copy, and the other model is not read', () => {
    const plan = planOf(paper(blend({ keep: 1 }), { a: TWO, b: TWO }))
    expect(plan.totals).toMatchObject({ copied: 2, computed: 0, readBytes: bytes, skippedBytes: bytes, operations: 0 })
    expect(plan.programs).toEqual([])
    expect(plan.jobs.flatMap((j) => j.copies.map((c) => c.from?.tensor.file))).toEqual([
      '/models/a.safetensors',
      '/models/a.safetensors',
    ])
  })

  test('`keep: 0` is a copy of the other model', () => {
    const plan = planOf(paper(blend({ keep: 0 }), { a: TWO, b: TWO }))
    expect(plan.jobs.flatMap((j) => j.copies.map((c) => c.from?.tensor.file))).toEqual([
      '/models/b.safetensors',
      '/models/b.safetensors',
    ])
  })

  test('`keep: 0` of a model with another dtype is computed, since the first has the say', () => {
    const plan = planOf(paper(blend({ keep: 0 }), { a: TWO, b: { head: ['F32', [4, 8]], tail: ['F16', [8]] } }))
    expect(plan.totals).toMatchObject({ copied: 1, computed: 1, readBytes: 4 * 32 + 2 * 8 })
  })

  test('a model whose weight is 0 is not read', () => {
    const plan = planOf(paper({ op: 'merge.linear', models: { a: 1, b: 0, base: 3 } }))
    expect(plan.jobs.map(readsOf)).toEqual([[['a:head', 'base:head']], [['a:tail', 'base:tail']]])
    expect(plan.totals).toMatchObject({ readBytes: 2 * bytes, skippedBytes: bytes })
  })

  test('a layer that no rule reaches is copied, and so is one that a mask excludes', () => {
    expect(planOf(paper(blend({ keep: { tail: 0.5 } }))).totals).toMatchObject({ copied: 1, computed: 1 })
    const masked = planOf({
      models: { a: TWO, b: TWO },
      steps: { only: { op: 'mask.layers', like: 'a', layers: 'tail' }, x: blend({ mask: 'only' }) },
      outputs: { out: { from: 'x', path: 'o.safetensors' } },
    })
    expect(masked.totals).toMatchObject({ copied: 1, computed: 1, readBytes: 2 * 32 + 2 * (2 * 8) })
  })

  test('integers and constants of the architecture are copied from the first model', () => {
    const outline: Outline = {
      'text.position_ids': ['I64', [1, 77]],
      logit_scale: ['F32', []],
      steps: ['U8', [3]],
      weight: ['F32', [2]],
    }
    const plan = planOf(paper(blend(), { a: outline, b: outline }))
    expect(plan.jobs.flatMap((j) => j.copies.map((c) => c.from?.tensor.name)).sort()).toEqual([
      'logit_scale',
      'steps',
      'text.position_ids',
    ])
    expect(plan.totals.computed).toBe(1)
  })

  test('copies through any number of steps stay copies', () => {
    const plan = planOf({
      models: { a: TWO, b: TWO },
      steps: {
        one: { op: 'model.select', model: 'a', layers: 'head' },
        two: { op: 'model.select', model: 'b', layers: 'tail' },
        x: { op: 'model.combine', models: ['one', 'two'] },
        y: { op: 'merge.blend', a: 'x', b: 'a', keep: 1 },
      },
      outputs: { out: { from: 'y', path: 'o.safetensors' } },
    })
    expect(plan.totals).toMatchObject({ copied: 2, computed: 0, readBytes: bytes })
  })
})

describe('bytes', () => {
  test('to write are those of the file, header and all', () => {
    const plan = planOf(paper(blend()))
    expect(plan.totals.writeBytes).toBe(plan.outputs[0]!.files[0]!.header.length + 2 * 40)
  })

  test('to read count each sweep', () => {
    expect(planOf(paper(blend())).totals.readBytes).toBe(2 * 2 * 40)
    // Norms and dot product of the matrix first, then the blend.
    expect(planOf(paper(blend({ method: 'slerp' }))).totals.readBytes).toBe(2 * 2 * (32 + 40))
  })
})

describe('passes', () => {
  const sweeps = (step: object): readonly number[] => planOf(paper(step)).jobs.map((j) => j.sweeps?.passes.length ?? 0)
  const reads = (step: object): readonly (readonly string[])[] => readsOf(planOf(paper(step)).jobs[0]!)

  test('an elementwise merge takes one', () => expect(sweeps(blend())).toEqual([1, 1]))
  test('slerp takes two for a matrix: its sums, and the blend', () =>
    expect(sweeps(blend({ method: 'slerp' }))).toEqual([2, 1]))
  test('trimming takes three: high bits, low bits, and the merge', () => {
    expect(
      reads({
        op: 'merge.ties',
        base: 'base',
        models: [
          { model: 'a', density: 0.2 },
          { model: 'b', density: 0.5 },
        ],
      }),
    ).toEqual(
      [
        ['a:head', 'base:head', 'b:head'],
        ['a:head', 'base:head', 'b:head'],
        ['base:head', 'a:head', 'b:head'],
      ].map((names) => expect.arrayContaining(names)),
    )
  })
  test('TIES rescaled to the sum before takes four, because what is left must be known first', () => {
    expect(sweeps({ op: 'merge.ties', base: 'base', models: [{ model: 'a', density: 0.2 }], rescale: 'l1' })).toEqual([
      4, 4,
    ])
  })
  test('DARE takes one, and two when it is rescaled to the sum before', () => {
    expect(sweeps({ op: 'merge.dare', a: 'a', b: 'b', drop: 0.5, rescale: true })).toEqual([1, 1])
    expect(sweeps({ op: 'merge.dare', a: 'a', b: 'b', drop: 0.5, rescale: 'l1' })).toEqual([2, 2])
  })
  test('each iteration of a rescaled DARE adds one', () => {
    expect(sweeps({ op: 'merge.dare', a: 'a', b: 'b', drop: 0.5, rescale: 'l1', iterations: 3 })).toEqual([4, 4])
  })
})

describe('sharing', () => {
  test('a thousand tensors of different sizes and numbers share one program', () => {
    const rules = Object.fromEntries(Array.from({ length: 1000 }, (_, i) => [`layers.${i}`, (i + 1) / 2001]))
    const plan = planOf(paper(blend({ keep: rules }), { a: many(1000), b: many(1000) }))
    expect(plan.jobs.length).toBe(1000)
    expect(plan.programs.length).toBe(1)
  })

  test('a dtype is part of the structure', () => {
    const outline: Outline = { x: ['F16', [2]], y: ['BF16', [2]], z: ['F16', [5]] }
    expect(planOf(paper(blend(), { a: outline, b: outline })).programs.length).toBe(2)
  })

  test('outputs of one tensor share a job, its reads, and what they compute', () => {
    const plan = planOf({
      models: { a: TWO, b: TWO },
      steps: { x: blend({ method: 'slerp' }), y: { op: 'merge.blend', a: 'x', b: 'a' } },
      outputs: {
        one: { from: 'x', path: 'one.safetensors' },
        two: { from: 'x', path: 'two.safetensors', dtype: 'f32' },
        three: { from: 'y', path: 'three.safetensors' },
        four: { from: 'a', path: 'four.safetensors' },
      },
    })
    expect(plan.jobs.map((j) => [j.tensor, j.targets.length, j.copies.length])).toEqual([
      ['head', 3, 1],
      ['tail', 3, 1],
    ])
    expect(readsOf(plan.jobs[0]!).map((names) => [...names].sort())).toEqual([
      ['a:head', 'b:head'],
      ['a:head', 'b:head'],
    ])
    expect(readsOf(plan.jobs[1]!).map((names) => [...names].sort())).toEqual([['a:tail', 'b:tail']])
    expect(plan.totals.writeBytes).toBe(plan.outputs.reduce((n, o) => n + o.files[0]!.bytes, 0))
  })

  test('tensors of one name and different sizes are different jobs', () => {
    const plan = planOf({
      models: { a: { x: ['F16', [2]] }, b: { x: ['F16', [3]] } },
      outputs: { one: { from: 'a', path: 'one.safetensors' }, two: { from: 'b', path: 'two.safetensors' } },
    })
    expect(plan.jobs.map((j) => [j.tensor, j.size])).toEqual([
      ['x', 2],
      ['x', 3],
    ])
  })

  test('a trim over the whole model also sweeps the tensors that are not written', () => {
    const plan = planOf({
      models: { base: TWO, a: TWO },
      steps: {
        x: { op: 'merge.ties', base: 'base', models: [{ model: 'a', density: 0.2 }], scope: 'model' },
        y: { op: 'model.select', model: 'x', layers: 'tail' },
      },
      outputs: { out: { from: 'y', path: 'out.safetensors' } },
    })
    expect(plan.jobs.map((j) => [j.tensor, j.targets.length, j.sweeps!.passes.length])).toEqual([
      ['tail', 1, 3],
      ['head', 0, 2],
    ])
  })
})

describe('tensors that do not fit', () => {
  const other = (outline: Outline): Paper['models'] => ({ a: TWO, b: outline })

  test('a missing one is refused, naming it and both models', () => {
    const wrong = paper(blend(), other({ head: ['F16', [4, 8]] }))
    expect(problemsOf(wrong)).toEqual(['error missing-tensor "b"'])
    expect(planOf(paper(blend({ missing: 'keep' }), wrong.models)).totals).toMatchObject({ copied: 1, computed: 1 })
  })

  test('one of another shape is refused, and `mismatch: keep` takes the first model’s', () => {
    const models = other({ head: ['F16', [8, 4]], tail: ['F16', [8]] })
    expect(problemsOf(paper(blend(), models))).toEqual(['error shape-mismatch "b"'])
    expect(planOf(paper(blend({ mismatch: 'keep' }), models)).totals).toMatchObject({ copied: 1, computed: 1 })
  })

  test('one that holds integers in the other model is refused, and `mismatch: keep` takes the first model’s', () => {
    const models = other({ head: ['I32', [4, 8]], tail: ['F16', [8]] })
    expect(problemsOf(paper(blend(), models))).toEqual(['error dtype-mismatch "b"'])
    expect(planOf(paper(blend({ mismatch: 'keep' }), models)).totals).toMatchObject({ copied: 1 })
  })

  test('further tensors of the other model do not matter', () => {
    expect(
      planOf(paper(blend(), other({ ...TWO, more: ['F16', [9]] })))
        .outputs[0]!.tensors.map((t) => t.name)
        .sort(),
    ).toEqual(['head', 'tail'])
  })
})

describe('spaces', () => {
  const steps = { task: { op: 'model.subtract', a: 'a', b: 'b' } }
  const with_ = (more: object): Paper => ({
    models: { a: TWO, b: TWO },
    steps: { ...steps, ...more },
    outputs: { out: { from: 'x', path: 'out.safetensors' } },
  })

  test('a difference where weights are needed is refused at the place it is used', () => {
    expect(problemsOf(with_({ x: { op: 'merge.blend', a: 'a', b: 'task' } }))).toEqual(['error wrong-space "task"'])
  })

  test('weights where a difference is needed are refused', () => {
    expect(
      problemsOf(with_({ x: { op: 'model.add', a: 'a', delta: 'b' } })).filter((p) => p.startsWith('error')),
    ).toEqual(['error wrong-space "b"'])
  })

  test('a difference added to a model is a model', () => {
    const plan = planOf(
      with_({ twice: { op: 'model.scale', model: 'task', factor: 2 }, x: { op: 'model.add', a: 'a', delta: 'twice' } }),
    )
    expect(plan.steps.map((s) => [s.name, s.space])).toEqual([
      ['task', 'delta'],
      ['twice', 'delta'],
      ['x', 'weights'],
    ])
  })
})

test('the models are listed with what is known of them', () => {
  const plan = planOf({
    models: { a: TWO, b: modelOf('other', TWO) },
    outputs: { out: { from: 'a', path: 'out.safetensors' } },
  })
  expect(
    plan.models.map(({ name, label, path, tensors, bytes, architecture }) => ({
      name,
      label,
      path,
      tensors,
      bytes,
      architecture,
    })),
  ).toEqual([
    {
      name: 'a',
      label: '/models/a.safetensors',
      path: '/models/a.safetensors',
      tensors: 2,
      bytes: 80,
      architecture: undefined,
    },
    {
      name: 'b',
      label: '/models/other.safetensors',
      path: '/models/other.safetensors',
      tensors: 2,
      bytes: 80,
      architecture: undefined,
    },
  ])
})
