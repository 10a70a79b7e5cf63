import { describe, expect, test } from 'vitest'
import type { Diagnostic } from '#src/base/diagnostic.js'
import { bake, f32, filled, type Bake, type Tensors } from './bake.js'

const model: Tensors = {
  'model.embed_tokens.weight': filled([3, 2], 1),
  'model.layers.0.self_attn.q_proj.weight': filled([2, 2], 1),
  'model.layers.0.self_attn.q_proj.bias': f32([2], 1, 1),
  'model.layers.0.input_layernorm.weight': f32([2], 1, 1),
  'lm_head.weight': filled([3, 2], 1),
}
const PEFT = 'base_model.model.'
const Q = `${PEFT}model.layers.0.self_attn.q_proj`
const factors: Tensors = { [`${Q}.lora_A.weight`]: f32([1, 2], 1, 1), [`${Q}.lora_B.weight`]: f32([2, 1], 1, 1) }
const config = { r: 1, lora_alpha: 1 }
const head = f32([3, 2], 0.1, 0.2, 0.3, 0.4, 0.5, 0.6)

const run = async (given: Partial<Bake>) => bake({ model, adapter: {}, config, ...given })
const built = async (given: Partial<Bake>): Promise<Readonly<Record<string, readonly number[]>>> => {
  const { problems, tensors } = await run(given)
  expect(problems.map((d) => d.message)).toEqual([])
  return tensors
}
const problem = async (given: Partial<Bake>): Promise<Diagnostic> => {
  const { problems } = await run(given)
  expect(problems).toHaveLength(1)
  return problems[0]!
}
const text = ({ code, message }: Diagnostic): string => `${code}: ${message}`

describe('a tensor that was trained as a whole takes the place of the model’s', () => {
  test.each([
    ['as PEFT saves `modules_to_save`', `${PEFT}lm_head.weight`],
    ['as a copied state of PEFT has it', `${PEFT}lm_head.modules_to_save.default.weight`],
    ['without the name of the adapter', `${PEFT}lm_head.modules_to_save.weight`],
    ['below factors that are elsewhere', `${PEFT}lm_head.base_layer.weight`],
    ['under its own name', 'lm_head.weight'],
    ['as `set_weight`', 'lm_head.set_weight'],
  ])('%s', async (_what, name) => {
    const { 'lm_head.weight': found, 'model.embed_tokens.weight': other } = await built({
      adapter: { ...factors, [name]: head },
    })
    expect(found).toEqual([0.1, 0.2, 0.3, 0.4, 0.5, 0.6].map(Math.fround))
    expect(other).toEqual([1, 1, 1, 1, 1, 1])
  })

  test('which is told of an embedding that is the output layer, too, unless both were trained as one', async () => {
    const { 'lm_head.weight': _, ...tied } = model
    const adapter = { ...factors, [`${PEFT}model.embed_tokens.weight`]: head }
    const saved = { ...config, modules_to_save: ['embed_tokens'] }
    const { severity, code, message } = await problem({ model: tied, adapter, config: saved })
    expect([severity, code, message]).toEqual([
      'warning',
      'embedding-shared',
      expect.stringContaining('`model.embed_tokens.weight`'),
    ])
    await built({ model: tied, adapter, config: { ...saved, ensure_weight_tying: true } })
    await built({ adapter, config: saved })
  })

  test('inside a module that was trained as a whole', async () => {
    const nested: Tensors = { 'score.dense.weight': f32([1], 1), 'score.norm.weight': f32([1], 1) }
    const adapter = {
      [`${PEFT}score.modules_to_save.default.dense.weight`]: f32([1], 2),
      [`${PEFT}score.modules_to_save.norm.weight`]: f32([1], 3),
    }
    const { tensors } = await bake({ model: nested, adapter, config: { ...config, modules_to_save: ['score'] } })
    expect(tensors).toEqual({ 'score.dense.weight': [2], 'score.norm.weight': [3] })
  })

  test('biases and norms too', async () => {
    const tensors = await built({
      adapter: {
        ...factors,
        [`${Q}.bias`]: f32([2], 5, 6),
        [`${PEFT}model.layers.0.input_layernorm.weight`]: f32([2], 7, 8),
      },
      config: { ...config, bias: 'all' },
    })
    expect(tensors['model.layers.0.self_attn.q_proj.bias']).toEqual([5, 6])
    expect(tensors['model.layers.0.input_layernorm.weight']).toEqual([7, 8])
    expect(tensors['model.layers.0.self_attn.q_proj.weight']).toEqual([2, 2, 2, 2])
  })

  test('biases below factors too', async () => {
    const tensors = await built({
      adapter: { ...factors, [`${Q}.base_layer.bias`]: f32([2], 5, 6) },
      config: { ...config, bias: 'lora_only' },
    })
    expect(tensors['model.layers.0.self_attn.q_proj.bias']).toEqual([5, 6])
  })

  test('in part where the strength is another than 1', async () => {
    const adapter = { ...factors, [`${PEFT}lm_head.weight`]: filled([3, 2], 5) }
    expect((await built({ adapter, params: { strength: 0.25 } }))['lm_head.weight']).toEqual([2, 2, 2, 2, 2, 2])
    const { tensors } = await run({ adapter, params: { strength: 0 } })
    expect(tensors['lm_head.weight']).toEqual([1, 1, 1, 1, 1, 1])
    expect((await built({ adapter, params: { strength: -1 } }))['lm_head.weight']).toEqual([-3, -3, -3, -3, -3, -3])
  })

  test('and factors are added to the base that they were trained on', async () => {
    const tensors = await built({ adapter: { ...factors, [`${Q}.base_layer.weight`]: filled([2, 2], 10) } })
    expect(tensors['model.layers.0.self_attn.q_proj.weight']).toEqual([11, 11, 11, 11])
  })

  test('without any factors beside it', async () => {
    expect(
      (
        await built({
          adapter: { [`${PEFT}lm_head.weight`]: head },
          config: { ...config, modules_to_save: ['lm_head'] },
        })
      )['lm_head.weight']![0],
    ).toBe(Math.fround(0.1))
  })

  test('in a text encoder by `clip_strength`', async () => {
    const net: Tensors = { 'net.fc.weight': filled([1, 1], 1), 'net.norm.weight': f32([1], 1) }
    const adapter = {
      'lora_te_net_fc.lora_up.weight': filled([1, 1], 1),
      'lora_te_net_fc.lora_down.weight': filled([1, 1], 1),
      'text_encoder.net.norm.weight': f32([1], 3),
    }
    const { tensors } = await bake({ model: net, adapter, params: { strength: 0, clip_strength: 1 } })
    expect(tensors).toEqual({ 'net.fc.weight': [2], 'net.norm.weight': [3] })
  })
})

describe('a whole tensor is refused', () => {
  test.each([
    [
      'of more rows than the vocabulary',
      { [`${PEFT}model.embed_tokens.weight`]: filled([5, 2], 1) },
      /^adapter-vocabulary: `base_model\.model\.model\.embed_tokens\.weight` of `lora` .* has 5 rows, but `model\.embed_tokens\.weight` has 3: the adapter was trained with another vocabulary$/,
    ],
    [
      'of another width',
      { [`${PEFT}lm_head.weight`]: filled([3, 4], 1) },
      /^adapter-shape: .* is \[3, 4\], but `lm_head\.weight`, which it replaces, is \[3, 2\]$/,
    ],
    [
      'of whole numbers',
      { [`${PEFT}lm_head.weight`]: { dtype: 'I64' as const, shape: [3, 2], values: 1 } },
      /^adapter-dtype: /,
    ],
    [
      'beside a difference',
      { 'lm_head.diff': head, 'lm_head.set_weight': head },
      /^two-changes: .*`lm_head\.weight` in two ways/,
    ],
    ['beside factors', { [`${Q}.weight`]: filled([2, 2], 1) }, /^two-changes: /],
    [
      'twice',
      { [`${PEFT}lm_head.weight`]: head, 'lm_head.weight': head },
      /^two-adapters: .*`base_model\.model\.lm_head`, `lm_head` all change `lm_head\.weight`$/,
    ],
    [
      'with an ending that says nothing',
      { [`${PEFT}lm_head.shift`]: head },
      /^adapter-role-unknown: .*`base_model\.model\.lm_head\.shift` of `lora` .*`\.shift` is not a kind/,
    ],
    ['with an ending of kohya’s names', { lora_unet_lm_head: head, 'lora_unet_lm_head.weight': head }, undefined],
    [
      'without a target',
      { [`${PEFT}score.weight`]: head },
      /^adapter-unmatched: 1 of 3 tensors .*: `base_model\.model\.score\.weight`$/,
    ],
  ])('%s', async (_what, adapter, expected) => {
    const found = await problem({ adapter: { ...factors, ...adapter } })
    if (expected !== undefined) expect(text(found)).toMatch(expected)
    else expect(found.code).toMatch(/^adapter-(?:role-unknown|unmatched)$/)
  })

  test('but not what the model has not either, nor what the recipe leaves out', async () => {
    await built({ adapter: factors, config: { ...config, modules_to_save: ['classifier', 'score'] } })
    const adapter = { ...factors, [`${PEFT}lm_head.weight`]: head }
    const tensors = await built({
      adapter,
      config: { ...config, modules_to_save: ['lm_head'] },
      params: { exclude: '**.lm_head' },
    })
    expect(tensors['lm_head.weight']).toEqual([1, 1, 1, 1, 1, 1])
  })
})

describe('`unmatched: ignore`', () => {
  const ignore = { params: { unmatched: 'ignore' } }
  test('leaves out what has no target, and says in a warning what that is', async () => {
    const { problems, plan } = await run({ adapter: { ...factors, [`${PEFT}score.weight`]: head }, ...ignore })
    expect(problems.map((d) => [d.severity, text(d)])).toEqual([
      [
        'warning',
        expect.stringMatching(
          /^adapter-ignored: ignoring 1 of 3 tensors of `lora` .*: `base_model\.model\.score\.weight`$/,
        ),
      ],
    ])
    expect(plan!.steps[0]!.counts).toMatchObject({ unmatched: 1, merged: 1 })
  })

  test('does not leave out what smelt does not know', async () => {
    expect((await problem({ adapter: { ...factors, [`${PEFT}lm_head.shift`]: head }, ...ignore })).code).toBe(
      'adapter-role-unknown',
    )
  })

  test('is not advised without saying what is lost', async () => {
    expect((await problem({ adapter: { ...factors, [`${PEFT}score.weight`]: head } })).help).toMatch(
      /the result then lacks what they were trained for/,
    )
  })
})

describe('`exclude`', () => {
  const more = {
    ...factors,
    [`${PEFT}lm_head.weight`]: head,
    [`${PEFT}lm_head.shift`]: head,
    'net.gone.lora_A.weight': head,
    'lora_te_gone.alpha': f32([], 1),
  }
  test('leaves out whole modules by their names in the adapter, which the plan counts', async () => {
    const { problems, plan, tensors } = await run({
      adapter: more,
      params: { exclude: [`${PEFT}lm_head`, 'net.*', 'lora_te*'] },
    })
    expect(problems).toEqual([])
    expect(plan!.steps[0]!.counts).toEqual({ merged: 1, excluded: 4 })
    expect(tensors['lm_head.weight']).toEqual([1, 1, 1, 1, 1, 1])
  })

  test('leaves out modules of a kind that is not applied', async () => {
    await built({
      adapter: { ...factors, [`${PEFT}lm_head.dora_scale`]: head, [`${PEFT}lm_head.lora_A.weight`]: head },
      params: { exclude: '**.lm_head' },
    })
  })

  test('that selects nothing, or leaves nothing, is a mistake', async () => {
    expect((await problem({ adapter: factors, params: { exclude: 'lm_head' } })).code).toBe('pattern-selects-nothing')
    expect((await problem({ adapter: factors, params: { exclude: '**' } })).code).toBe('adapter-all-excluded')
    await built({ adapter: factors, params: { exclude: { match: 'lm_head', optional: true } } })
  })
})

test('`layers` that select nothing of what an adapter changes leave the model as it is, with a warning', async () => {
  const found = await problem({ adapter: factors, params: { layers: 'lm_head' } })
  expect([found.severity, found.code]).toEqual(['warning', 'adapter-outside-layers'])
  await built({ adapter: { ...factors, [`${PEFT}lm_head.weight`]: head }, params: { layers: 'lm_head' } })
})
