import { describe, expect, test } from 'vitest'
import { bake, f32, filled, type Bake, type Tensors } from './bake.js'

const model: Tensors = { 'net.fc.weight': filled([2, 3], 1) }
const peft: Tensors = {
  'base_model.model.net.fc.lora_A.weight': filled([2, 3], 1),
  'base_model.model.net.fc.lora_B.weight': filled([2, 2], 1),
}
const BIASES = '`none`, `all`, `lora_only`, `oft_only` or `boft_only`'
const config = { peft_type: 'LORA', r: 2, lora_alpha: 2 }

const problemOf = async (given: Partial<Bake>): Promise<string> => {
  const { problems } = await bake({ model, adapter: peft, ...given })
  expect(problems.map((d) => [d.severity, d.help === undefined])).toEqual([['error', false]])
  return `${problems[0]!.code}: ${problems[0]!.message}`
}
/** What of the first tensor was added to ones. */
const addedBy = async (given: Partial<Bake>): Promise<number> => {
  const { problems, tensors } = await bake({ model, adapter: peft, ...given })
  expect(problems.map((d) => d.message)).toEqual([])
  return tensors['net.fc.weight']![0]! - 1
}

test.each([
  ['use_rslora', 'yes', 'true or false'],
  ['use_rslora', 1, 'true or false'],
  ['lora_alpha', '16', 'a number above 0'],
  ['lora_alpha', null, 'a number above 0'],
  ['r', 2.5, 'a whole number above 0'],
  ['r', 0, 'a whole number above 0'],
  ['r', true, 'a whole number above 0'],
  ['peft_type', 1, 'a name'],
  ['rank_pattern', { fc: 0 }, 'a map of names to whole numbers above 0'],
  ['rank_pattern', [2], 'a map of names to whole numbers above 0'],
  ['alpha_pattern', { fc: '2' }, 'a map of names to numbers above 0'],
  ['alpha_pattern', 'fc', 'a map of names to numbers above 0'],
  ['target_modules', 3, 'a name or a list of names'],
  ['target_modules', [3], 'a name or a list of names'],
  ['modules_to_save', 'lm_head', 'a list of names'],
  ['bias', true, BIASES],
  ['bias', 'some', BIASES],
  ['use_dora', 'no', 'true or false'],
  ['fan_in_fan_out', 0, 'true or false'],
  ['lora_bias', 'x', 'true or false'],
  ['init_lora_weights', 3, 'true, false or a name'],
  ['layer_replication', [[2, 2]], 'a list of ranges such as [0, 16]'],
  ['target_parameters', 'experts', 'a list of names'],
] as const)(
  'a setting of the wrong type is refused with its name, its value and what it should be: %s = %j',
  async (key, value, expected) => {
    expect(await problemOf({ config: { ...config, [key]: value } })).toBe(
      `bad-adapter-config: \`${key}\` in \`adapter_config.json\` of \`lora\` (peft) is ${JSON.stringify(value)}; expected ${expected}`,
    )
  },
)

test.each([
  ['trainable_token_indices', [1, 2], 'trained tokens'],
  ['alora_invocation_tokens', [1, 2], 'activated LoRA'],
  ['use_qalora', true, 'QA-LoRA'],
  ['kasa_config', { beta: 0.1 }, 'KaSA, which cuts the base model’s singular values'],
  ['init_lora_weights', 'pissa_niter_4', 'a LoRA initialised with `pissa_niter_4`, which changes the base model'],
  ['init_lora_weights', 'olora', 'a LoRA initialised with `olora`, which changes the base model'],
  ['peft_type', 'VERA', 'an adapter of type `VERA`'],
] as const)(
  'a setting that changes what the tensors mean is refused by its name: %s = %j',
  async (key, value, kind) => {
    expect(await problemOf({ config: { ...config, [key]: value } })).toBe(
      `adapter-unsupported: \`lora\` (peft) is ${kind} (\`${key}\` in \`adapter_config.json\`), which smelt does not apply`,
    )
  },
)

test('settings that are left out, null or the default change nothing', async () => {
  const nothing = {
    use_rslora: null,
    use_dora: false,
    fan_in_fan_out: false,
    lora_bias: false,
    bias: 'none',
    rank_pattern: {},
    alpha_pattern: null,
    modules_to_save: null,
    target_modules: ['fc'],
    init_lora_weights: 'gaussian',
    layer_replication: null,
    trainable_token_indices: null,
    lora_dropout: 0.1,
    task_type: 'CAUSAL_LM',
  }
  expect(await addedBy({ config: { ...config, ...nothing } })).toBe(2)
})

test('a setting that smelt does not know is told where it is given', async () => {
  const { problems } = await bake({
    model,
    adapter: peft,
    config: { ...config, some_new_thing: true, other_new_thing: null, rank_dropout: 0.5 },
  })
  expect(problems.map(({ code, severity, message }) => [code, severity, message.replace(/^.*: /, '')])).toEqual([
    ['adapter-setting-unknown', 'warning', '`some_new_thing`'],
  ])
})

test('a config that is no map is refused', async () => {
  expect(await problemOf({ config: '[1]' })).toMatch(
    /^bad-adapter-config: `adapter_config\.json` of `lora` \(peft\) is \[1\]; expected a map of settings$/,
  )
  expect(await problemOf({ config: 'null' })).toMatch(/is null; expected a map of settings$/)
})

test('the config of a kind that is not applied is read for factors of other names too', async () => {
  const loha = Object.fromEntries(
    ['w1_a', 'w2_a']
      .map((role) => [`base_model.model.net.fc.hada_${role}`, filled([2, 2], 1)])
      .concat(['w1_b', 'w2_b'].map((role) => [`base_model.model.net.fc.hada_${role}`, filled([2, 3], 1)])),
  )
  expect(await problemOf({ adapter: loha, config: { peft_type: 'XLORA', r: 2, alpha: 8 } })).toMatch(
    /is an adapter of type `XLORA`/,
  )
})

describe('a config in the header', () => {
  const diffusers: Tensors = {
    'unet.net.fc.lora_A.weight': filled([2, 3], 1),
    'unet.net.fc.lora_B.weight': filled([2, 2], 1),
  }
  const of = (lora_adapter_metadata: string): Partial<Bake> => ({
    adapter: diffusers,
    metadata: { lora_adapter_metadata },
  })
  test.each([
    [
      'that is not JSON',
      '{"unet.r": ',
      /^bad-adapter-config: `lora_adapter_metadata` in the header of `lora` .* is not a JSON object:/,
    ],
    ['that is no map', '3', /^bad-adapter-config: .*: it is some other value$/],
    [
      'with a setting of the wrong type',
      JSON.stringify({ 'unet.r': 2, 'unet.lora_alpha': [4] }),
      /^bad-adapter-config: `lora_alpha` in `lora_adapter_metadata` of `lora` .* is \[4\]/,
    ],
    [
      'with DoRA, of factors without lengths,',
      JSON.stringify({ 'unet.r': 2, 'unet.lora_alpha': 4, 'unet.use_dora': true }),
      /^factor-missing: .* has no `lora_magnitude_vector`$/,
    ],
    [
      'with layers that are stored transposed',
      JSON.stringify({ 'unet.r': 2, 'unet.lora_alpha': 4, 'unet.fan_in_fan_out': true }),
      /^adapter-unsupported: .* \(`fan_in_fan_out` in `lora_adapter_metadata`\)/,
    ],
  ])('%s is refused', async (_what, text, expected) => {
    expect(await problemOf(of(text))).toMatch(expected)
  })
})

describe('the alpha that a recipe gives', () => {
  const native: Tensors = { 'net.fc.lora_A.weight': filled([2, 3], 1), 'net.fc.lora_B.weight': filled([2, 2], 1) }
  const kohya: Tensors = {
    'lora_unet_net_fc.lora_down.weight': filled([2, 3], 1),
    'lora_unet_net_fc.lora_up.weight': filled([2, 2], 1),
  }
  test('scales factors that have no scale of their own', async () => {
    expect(await problemOf({ adapter: native })).toMatch(/^adapter-config-missing: `lora` .* states no scale/)
    expect(await addedBy({ adapter: native, alpha: 4 })).toBe(4)
    expect(await addedBy({ adapter: native, alpha: 0.5 })).toBe(0.5)
  })

  test('holds where programs would otherwise take alpha for the rank', async () => {
    for (const adapter of [
      kohya,
      {
        'diffusion_model.net.fc.lora_A.weight': filled([2, 3], 1),
        'diffusion_model.net.fc.lora_B.weight': filled([2, 2], 1),
      },
    ]) {
      expect(await addedBy({ adapter })).toBe(2)
      expect(await addedBy({ adapter, alpha: 4 })).toBe(4)
    }
  })

  test('does not win over what the adapter says, but is refused', async () => {
    expect(await problemOf({ adapter: { ...kohya, 'lora_unet_net_fc.alpha': f32([], 2) }, alpha: 2 })).toMatch(
      /^alpha-twice: .*`lora`.* already states one in `lora_unet_net_fc\.alpha`$/,
    )
    expect(await problemOf({ config, alpha: 2 })).toMatch(/^alpha-twice: .* already states one in its config$/)
  })

  test.each([0, -1, '16'])('is a number above 0, not %j', async (alpha) => {
    expect(await problemOf({ adapter: native, alpha: alpha as number })).toMatch(
      /^(?:out-of-range|number-as-text): `alpha`/,
    )
  })
})
