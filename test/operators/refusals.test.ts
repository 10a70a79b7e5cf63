import { expect, test } from 'vitest'
import { missingTensor } from '#src/base/catalogue/reach.js'
import type { Tensor } from '#src/graph/expression.js'
import { createGraph } from '#src/graph/graph.js'
import { defineOperator, type ElementDefinition } from '#src/operators/define.js'
import type { Call, Operator } from '#src/operators/operator.js'
import { mask, model } from '#src/operators/params.js'
import type { MaskValue, ModelValue } from '#src/operators/value.js'
import { bool, f32, problemsOf } from '../support/small.js'

const SHAPES: Readonly<Record<string, readonly number[]>> = { one: [4], other: [4], wide: [4, 4] }
const at = { type: 'option', name: 'r.a' } as const

const graph = createGraph()
const a: ModelValue = {
  kind: 'model',
  space: 'weights',
  label: '`a`',
  tensors: new Map(Object.entries(SHAPES).map(([name, shape]) => [name, { name, shape, dtype: 'F32' }])),
  tensor: (name) => graph.read({ name, dtype: 'F32', shape: SHAPES[name]!, file: 'a', begin: 0, end: 0 }),
}
const call: Call = {
  graph,
  step: 'r',
  scope: 'r',
  seed: 0,
  ownSeed: undefined,
  inputs: { a: { value: a, at } },
  each: [],
  params: {},
  shared: {
    layers: undefined,
    mask: undefined,
    unmasked: 'keep',
    missing: 'error',
    mismatch: 'error',
    architectures: 'error',
  },
  select: () => {
    throw new Error('no layers')
  },
  numbers: () => {
    throw new Error('no numbers')
  },
  architecture: () => undefined,
  isConstant: () => false,
  find: () => undefined,
  at: () => at,
  note: () => undefined,
}
type Build = ElementDefinition<{ a: ReturnType<typeof model> }, Record<string, never>>['build']
const refusing = (output: 'model' | 'mask', build: Build): Operator =>
  defineOperator({
    id: 'merge.picky',
    version: 1,
    summary: '',
    output,
    inputs: { a: model('') },
    params: {},
    merges: output === 'model',
    exact: true,
    draws: false,
    examples: [],
    build,
  })
const refused = missingTensor(at, 'x', 'a', 'b', { type: 'some' })
const valueOf = (operator: Operator): ModelValue | MaskValue => {
  const result = operator.evaluate(call)
  if (result.type === 'failed') throw new Error('refused beforehand')
  return result.value[0] as ModelValue | MaskValue
}

test('what is refused for its shape is a problem before anything is built', () => {
  expect(
    refusing('model', (g, inputs, _, { shape }) => (shape.length === 2 ? refused : g.neg(inputs.a))).evaluate(call),
  ).toMatchObject({ type: 'failed', diagnostics: [{ code: 'missing-tensor' }] })
})

test.each([
  ['refuses', refused],
  ['makes nothing of', undefined],
])(
  'an operator that %s a tensor like one that it took stops the program, and the first model never stands in',
  (_what, made) => {
    const picky = valueOf(
      refusing('model', (g, inputs, _, { name }) => (name === 'other' ? (made as unknown as Tensor) : g.neg(inputs.a))),
    ) as ModelValue
    expect(picky.tensor('one').type).toBe('apply')
    expect(() => picky.tensor('other')).toThrow('merge.picky made nothing of other and had taken every tensor like it')
    const masked = valueOf(
      refusing('mask', (g, inputs, _, { name }) =>
        name === 'other' ? (made as never) : g.compare('less', inputs.a, 0),
      ),
    ) as MaskValue
    expect(masked.mask('one').type).toBe('compare')
    expect(() => masked.mask('other')).toThrow('merge.picky made nothing of other')
  },
)

test('a definition that makes fewer masks than it says stops the program', () => {
  const operator = defineOperator({
    id: 'mask.few',
    version: 1,
    summary: '',
    output: 'mask',
    results: () => 2,
    inputs: { a: model('') },
    params: {},
    merges: false,
    exact: true,
    draws: false,
    examples: [],
    build: (g) => [g.constant(true)],
  })
  const result = operator.evaluate(call)
  const [first, second] = (result.type === 'ok' ? result.value : []) as readonly MaskValue[]
  expect(first!.mask('one')).toMatchObject({ type: 'constant', value: true })
  expect(() => second!.mask('one')).toThrow('mask.few made nothing of one')
})

test('a warning does not refuse, and is told once', () => {
  const warning = { ...refused, severity: 'warning' } as const
  const result = refusing('model', (g, inputs, _, { warn }) => {
    warn(warning)
    return g.neg(inputs.a)
  }).evaluate(call)
  expect(result).toMatchObject({ type: 'ok', diagnostics: [{ severity: 'warning', code: 'missing-tensor' }] })
  expect((result.type === 'ok' ? (result.value[0] as ModelValue).tensor('other') : undefined)?.type).toBe('apply')
})

test('a mask in place of random draws has to know every tensor that is drawn for', () => {
  const files = { a: { x: f32(1), y: f32(1) }, b: { x: f32(2), y: f32(2) }, m: { x: bool(1) } }
  const load = { k: { op: 'mask.load', file: 'm' } }
  const lists = { op: 'merge.dare_linear', base: 'a', models: [{ model: 'b', kept: 'k', density: 0.5 }] }
  expect(problemsOf(files, { ...load, r: { op: 'merge.dare', a: 'a', b: 'b', kept: ['k'] } })).toEqual([
    'error mask-lacks-tensor @r.kept',
  ])
  expect(problemsOf(files, { ...load, r: lists })).toEqual(['error mask-lacks-tensor @r.kept'])
  expect(problemsOf(files, { ...load, r: { ...lists, layers: 'x' } })).toEqual([])
})

test('the masks among an operator’s inputs are whole', () => {
  const lacking: MaskValue = {
    kind: 'mask',
    label: '`m`',
    shapes: new Map([['one', [4]]]),
    mask: () => graph.constant(true),
    constant: () => true,
  }
  const operator = defineOperator({
    id: 'mask.both',
    version: 1,
    summary: '',
    output: 'mask',
    inputs: { a: model(''), m: mask('') },
    params: {},
    merges: false,
    exact: true,
    draws: false,
    examples: [],
    build: (g, inputs) => g.not(inputs.m),
  })
  expect(operator.evaluate({ ...call, inputs: { ...call.inputs, m: { value: lacking, at } } })).toMatchObject({
    type: 'failed',
    diagnostics: [{ code: 'mask-lacks-tensor' }],
  })
})
