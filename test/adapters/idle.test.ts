import { expect, test } from 'vitest'
import { bake, f32, filled, type Bake, type Tensors } from './bake.js'

const [up, down, zeros] = [filled([2, 2], 1), filled([2, 3], 1), filled([2, 2], 0)]
const wide = filled([2, 3], 0)
const model: Tensors = { 'net.fc.weight': filled([2, 3], 1), 'net.to.weight': filled([2, 3], 1) }
const lora = (first: Tensors[string], second: Tensors[string]): Tensors => ({
  'net.fc.lora_up.weight': first,
  'net.fc.lora_down.weight': second,
})
const also: Tensors = { 'net.to.lora_up.weight': zeros, 'net.to.lora_down.weight': down }

/** The codes of what is told, each a warning with advice, of an adapter that leaves its model as it is. */
const toldOf = async (given: Omit<Bake, 'model'> & { readonly model?: Tensors }): Promise<readonly string[]> => {
  const { problems, tensors } = await bake({ model, ...given })
  expect(problems.filter(({ severity, help }) => severity === 'error' || help === undefined)).toEqual([])
  expect(tensors['net.fc.weight']).toEqual(Array.from({ length: 6 }, () => 1))
  return problems.map(({ code }) => code)
}

test.each([
  ['a LoRA whose `up` is zero', lora(zeros, down)],
  ['a LoRA whose `down` is zero', lora(up, wide)],
  ['zeros of both signs', lora(f32([2, 2], 0, -0, -0, 0), down)],
  ['zeros of f16', lora({ dtype: 'F16', shape: [2, 2], values: [0, -0, 0, -0] }, down)],
  ['two modules of which each is zero', { ...lora(up, wide), ...also }],
  [
    'a LoHa of which one factor is zero',
    { 'net.fc.hada_w1_a': up, 'net.fc.hada_w1_b': down, 'net.fc.hada_w2_a': zeros, 'net.fc.hada_w2_b': down },
  ],
  ['a LoKr of which one matrix is zero', { 'net.fc.lokr_w1': filled([1, 1], 0), 'net.fc.lokr_w2': down }],
  [
    'a GLoRA of which both products are zero',
    {
      'net.fc.a1.weight': filled([3, 2], 1),
      'net.fc.a2.weight': filled([2, 3], 0),
      'net.fc.b1.weight': filled([2, 2], 1),
      'net.fc.b2.weight': filled([2, 3], 0),
    },
  ],
  ['differences of zeros', { 'net.fc.diff': wide }],
  ['factors of 1', { 'net.fc.weight': filled([2], 0), 'net.fc.on_input': { dtype: 'BOOL', shape: [], values: [0] } }],
  ['a rotation by nothing', { 'net.fc.oft_blocks': filled([1, 2, 2], 0) }],
] as readonly (readonly [string, Tensors])[])(
  '%s is told before anything is written, and after',
  async (_, adapter) => {
    expect(await toldOf({ adapter })).toEqual(['adapter-idle', 'output-unchanged'])
  },
)

test('an adapter of which one module changes something is not told', async () => {
  const { problems } = await bake({ model, adapter: { ...also, ...lora(up, down) } })
  expect(problems).toEqual([])
})

test('many zeros before the first number are no zero adapter', async () => {
  const numbers = Float32Array.from({ length: 50_000 }, (_, i) => (i === 49_999 ? 1 : 0))
  const { problems } = await bake({
    model: { 'net.fc.weight': filled([50_000, 1], 0) },
    adapter: {
      'net.fc.lora_up.weight': f32([50_000, 1], ...numbers),
      'net.fc.lora_down.weight': filled([1, 1], 1),
    },
  })
  expect(problems).toEqual([])
})

test('a change below half a unit of the dtype is told after the build', async () => {
  const half: Tensors = { 'net.fc.weight': { dtype: 'F16', shape: [2, 3], values: 1 } }
  const small = lora(filled([2, 2], 1e-4), down)
  expect(await toldOf({ model: half, adapter: small })).toEqual(['output-unchanged'])
  const { problems } = await bake({ model: half, adapter: small, params: { strength: 10 } })
  expect(problems).toEqual([])
})

test('a DoRA that has learned nothing is told after the build', async () => {
  const root = Math.sqrt(3)
  const adapter = { ...lora(zeros, down), 'net.fc.dora_scale': f32([2, 1], root, root) }
  expect(await toldOf({ model: { 'net.fc.weight': { dtype: 'F16', shape: [2, 3], values: 1 } }, adapter })).toEqual([
    'output-unchanged',
  ])
})

test('a strength of 0 for all that an adapter changes is told', async () => {
  const adapter = lora(up, down)
  expect(await toldOf({ adapter, params: { strength: 0 } })).toEqual(['adapter-without-strength'])
  expect(await toldOf({ adapter, params: { strength: { 'net.fc*': 0, default: 1 } } })).toEqual([
    'adapter-without-strength',
  ])
  const { problems } = await bake({
    model,
    adapter: { ...adapter, ...also },
    params: { strength: { 'net.fc*': 0, default: 1 } },
  })
  expect(problems.map(({ code }) => code)).toEqual(['output-unchanged'])
})

test('a strength of 0 for the model leaves what the text encoder gets', async () => {
  const encoder: Tensors = {
    'cond_stage_model.transformer.text_model.encoder.layers.0.mlp.fc1.weight': filled([2, 3], 1),
  }
  const adapter: Tensors = {
    'lora_te_text_model_encoder_layers_0_mlp_fc1.lora_up.weight': up,
    'lora_te_text_model_encoder_layers_0_mlp_fc1.lora_down.weight': down,
  }
  const codes = async (params: Bake['params']): Promise<readonly string[]> =>
    (await bake({ model: encoder, adapter, params: params! })).problems.map(({ code }) => code)
  expect(await codes({ strength: 0, clip_strength: 1 })).toEqual([])
  expect(await codes({ strength: 1, clip_strength: 0 })).toEqual(['adapter-without-strength'])
})

test('an output whose other tensors change is not told', async () => {
  const { problems } = await bake({
    model,
    adapter: { ...lora(filled([2, 2], 1e-9), down), ...also, 'net.to.lora_up.weight': up },
  })
  expect(problems).toEqual([])
})

test('an alpha that some modules lack is told with their names', async () => {
  const adapter = { ...lora(up, down), ...also, 'net.to.lora_up.weight': up, 'net.to.alpha': f32([], 1) }
  const { problems, tensors } = await bake({ model, adapter })
  expect(problems.map(({ code, severity }) => [code, severity])).toEqual([['alpha-mixed', 'warning']])
  expect(problems[0]!.message).toBe(
    '1 of 2 modules of `lora` (adapter.safetensors) have no `alpha`, which the others have: `net.fc`. Their scale is 1, as that of an alpha that equals the rank',
  )
  expect(tensors['net.fc.weight']![0]).toBe(3)
  expect(tensors['net.to.weight']![0]).toBe(2)
})
