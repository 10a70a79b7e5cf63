import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { groupAdapter } from '#src/architectures/adapters/modules.js'
import { FACTOR_ENDINGS, spellModules, type NameFormat } from '#src/architectures/adapters/spell.js'
import { detectArchitecture } from '#src/architectures/detect.js'
import { ok } from '#src/base/result.js'
import { createGraph } from '#src/graph/graph.js'
import { renameModules, type Renamed } from '#src/operators/convert-modules.js'
import type { AdapterValue } from '#src/operators/value.js'
import { sizeOf, type TensorInfo } from '#src/tensor/info.js'
import { readTable } from '../architectures/tables.js'
import { buildIn, built, codesOf } from '../run/support.js'
import { inFolder, readTensors } from '../support/build-run.js'
import { writeSafetensors } from '../support/write-safetensors.js'
import { f32, filled, type Tensors } from './bake.js'

type Table = ReturnType<typeof readTable>
const RANK = 4

/** The header of an adapter with factors for everything that a format has a name for. */
const fullAdapter = (tensors: Table, format: NameFormat): ReadonlyMap<string, TensorInfo> => {
  const spell = spellModules(tensors, detectArchitecture(tensors), format)
  const info = (name: string, shape: readonly number[]): [string, TensorInfo] => [
    name,
    { name, dtype: 'F16', shape, file: 'x', begin: 0, end: 2 * sizeOf(shape) },
  ]
  const [up, down] = FACTOR_ENDINGS[format]
  return new Map(
    [...tensors].flatMap(([tensor, { shape }]) =>
      shape.length < 2
        ? []
        : spell(tensor).flatMap(({ module, rows }) => [
            info(module + up, [rows?.count ?? shape[0]!, RANK, ...shape.slice(2).map(() => 1)]),
            info(module + down, [RANK, ...shape.slice(1)]),
          ]),
    ),
  )
}

const rename = (model: Table, tensors: ReadonlyMap<string, TensorInfo>, format: NameFormat): Renamed => {
  const adapter: AdapterValue = {
    kind: 'adapter',
    label: 'x',
    alpha: undefined,
    file: {
      path: 'x',
      files: [],
      tensors,
      metadata: new Map(),
      bytes: 0,
      sides: [],
      scalars: new Map(),
      config: undefined,
    },
  }
  const renamed = renameModules({
    graph: createGraph(),
    adapter,
    modules: groupAdapter(tensors).modules,
    scaleOf: () => ok(1),
    tensors: model,
    architecture: detectArchitecture(model),
    format,
  })
  if (renamed.type === 'failed') throw new Error(renamed.diagnostics[0]!.message)
  return renamed.value
}
const infosOf = ({ tensors }: Renamed): ReadonlyMap<string, TensorInfo> =>
  new Map(
    tensors
      .filter(({ slot: { name } }) => !name.endsWith('.alpha'))
      .map(({ slot: { name, shape, dtype } }) => [name, { name, shape, dtype, file: 'x', begin: 0, end: 0 }] as const),
  )

describe('an adapter with a pair of factors for everything that a format names', () => {
  test.each([
    ['sdxl', 'kohya', 'diffusers'],
    ['sd15', 'diffusers', 'kohya'],
    ['flux-dev', 'diffusers', 'kohya'],
    ['llama-3.1-8b', 'peft', 'peft'],
  ] as const)('of %s in the names of %s has all of them in those of %s', (table, from, to) => {
    const model = readTable(table)
    const renamed = rename(model, fullAdapter(model, from), to)
    expect(renamed.unnamed).toEqual([])
    const expected = [...fullAdapter(model, to).keys()].map((name) => name.replace(/\.lora_[^.]+\.weight$/, ''))
    expect(new Set(renamed.modules.map(({ name }) => name))).toEqual(new Set(expected))
  })

  test('comes back with the names and shapes that it had', () => {
    const model = readTable('sd15')
    const first = fullAdapter(model, 'kohya')
    const again = rename(model, infosOf(rename(model, first, 'diffusers')), 'kohya')
    expect(new Map([...infosOf(again)].map(([name, { shape }]) => [name, shape]))).toEqual(
      new Map([...first].map(([name, { shape }]) => [name, shape])),
    )
  })

  test('has as many factors as Flux has parts, where they are cut', () => {
    const model = readTable('flux-dev')
    const { tensors, unnamed } = rename(model, fullAdapter(model, 'kohya'), 'diffusers')
    const shapeOf = (name: string) => tensors.find(({ slot }) => slot.name === name)?.slot.shape
    expect(shapeOf('transformer.transformer_blocks.0.attn.add_k_proj.lora_B.weight')).toEqual([3072, RANK])
    expect(shapeOf('transformer.single_transformer_blocks.0.proj_mlp.lora_B.weight')).toEqual([12288, RANK])
    expect(unnamed).toEqual([])
  })
})

const H = 2
/** The tensors by which Flux is known, and some that one format names as one and the other by parts. */
const FLUX: Tensors = {
  'img_in.weight': filled([H, 4], 1),
  'double_blocks.0.img_attn.norm.key_norm.scale': f32([1], 1),
  'double_blocks.0.img_attn.qkv.weight': filled([3 * H, H], 1),
  'double_blocks.0.img_attn.proj.weight': filled([H, H], 1),
  'single_blocks.0.linear1.weight': filled([7 * H, H], 1),
  'final_layer.adaLN_modulation.1.weight': filled([2 * H, H], 1),
}
const numbers = (count: number, seed: number): readonly number[] =>
  Array.from({ length: count }, (_, i) => ((i * 7 + seed * 5) % 11) - 5)
const pair = (up: string, down: string, rows: number, rank: number, seed: number): Tensors => ({
  [up]: f32([rows, rank], ...numbers(rows * rank, seed)),
  [down]: f32([rank, H], ...numbers(rank * H, seed + 1)),
})
const kohya = (module: string, rows: number, rank: number, alpha: number, seed: number): Tensors => ({
  ...pair(`${module}.lora_up.weight`, `${module}.lora_down.weight`, rows, rank, seed),
  [`${module}.alpha`]: f32([], alpha),
})
const diffusers = (module: string, rows: number, rank: number, seed: number): Tensors =>
  pair(`${module}.lora_B.weight`, `${module}.lora_A.weight`, rows, rank, seed)

const ADAPTERS: Readonly<Record<string, Tensors>> = {
  kohya: {
    ...kohya('lora_unet_double_blocks_0_img_attn_qkv', 3 * H, 2, 1, 1),
    ...kohya('lora_unet_double_blocks_0_img_attn_proj', H, 2, 2, 2),
    ...kohya('lora_unet_single_blocks_0_linear1', 7 * H, 1, 3, 3),
    ...kohya('lora_unet_final_layer_adaLN_modulation_1', 2 * H, 1, 2, 8),
  },
  diffusers: {
    ...diffusers('transformer.transformer_blocks.0.attn.to_q', H, 1, 4),
    ...diffusers('transformer.transformer_blocks.0.attn.to_v', H, 2, 5),
    ...diffusers('transformer.single_transformer_blocks.0.proj_mlp', 4 * H, 2, 6),
    // diffusers stores the two halves of this one the other way round.
    ...diffusers('transformer.norm_out.linear', 2 * H, 1, 9),
  },
  // XLabs names the three projections of a single block as one.
  xlabs: pair(
    'single_blocks.0.processor.qkv_lora.up.weight',
    'single_blocks.0.processor.qkv_lora.down.weight',
    3 * H,
    2,
    7,
  ),
  differences: { 'lora_unet_double_blocks_0_img_attn_qkv.diff': filled([3 * H, H], 1) },
  hadamard: Object.fromEntries(
    ['w1_a', 'w1_b', 'w2_a', 'w2_b'].map((x) => [
      `transformer.transformer_blocks.0.attn.to_q.hada_${x}`,
      filled(x.endsWith('a') ? [H, 1] : [1, H], 1),
    ]),
  ),
  wider: {
    ...kohya('lora_unet_double_blocks_0_img_attn_proj', H, 2, 2, 2),
    'lora_unet_double_blocks_0_img_attn_proj.reshape_weight': { dtype: 'I64', shape: [2], values: [H, H] },
  },
  part: { 'transformer.transformer_blocks.0.attn.to_q.diff': filled([H, H], 1) },
}

type Written = Awaited<ReturnType<typeof readTensors>>

interface Converted {
  /** What the adapter makes of the model, and what the converted one does, in the same recipe and from its file. */
  readonly expected: Written
  readonly atOnce: Written
  readonly fromFile: Written
  readonly adapter: Written
  readonly config: Readonly<Record<string, unknown>> | undefined
  readonly header: Readonly<Record<string, string>>
}

const convertIn = async (folder: string, adapter: Tensors, names: NameFormat): Promise<Converted> => {
  writeSafetensors(join(folder, 'model.safetensors'), FLUX)
  writeSafetensors(join(folder, 'adapter.safetensors'), adapter)
  const path = names === 'peft' ? 'converted/' : 'converted.safetensors'
  await built(
    buildIn(folder, {
      models: { base: 'model.safetensors' },
      adapters: { lora: 'adapter.safetensors' },
      steps: {
        converted: { op: 'adapter.convert', adapter: 'lora', model: 'base', names },
        expected: { op: 'adapter.apply', model: 'base', adapter: 'lora' },
        once: { op: 'adapter.apply', model: 'base', adapter: 'converted' },
      },
      outputs: {
        converted: { from: 'converted', path },
        expected: { from: 'expected', path: 'expected.safetensors' },
        once: { from: 'once', path: 'once.safetensors' },
      },
    }),
  )
  await built(
    buildIn(folder, {
      models: { base: 'model.safetensors' },
      adapters: { lora: names === 'peft' ? 'converted' : path },
      steps: { baked: { op: 'adapter.apply', model: 'base', adapter: 'lora' } },
      outputs: { baked: { from: 'baked', path: 'baked.safetensors' } },
    }),
  )
  const read = (name: string) => readTensors(join(folder, name))
  const file = join(folder, names === 'peft' ? 'converted/adapter_model.safetensors' : path)
  const bytes = readFileSync(file)
  const { __metadata__: header } = JSON.parse(bytes.subarray(8, 8 + Number(bytes.readBigUInt64LE())).toString()) as {
    readonly __metadata__: Readonly<Record<string, string>>
  }
  return {
    expected: await read('expected.safetensors'),
    atOnce: await read('once.safetensors'),
    fromFile: await read('baked.safetensors'),
    adapter: await readTensors(file),
    config:
      names === 'peft'
        ? (JSON.parse(readFileSync(join(folder, 'converted/adapter_config.json'), 'utf8')) as Record<string, unknown>)
        : undefined,
    header,
  }
}

/** Factors of every kind that only gets other names, for layers of H inputs and H outputs, by a module. */
const KINDS: Readonly<Record<string, (module: string) => Tensors>> = {
  LoHa: (module) => ({
    [`${module}.hada_w1_a`]: f32([H, 1], 1, 2),
    [`${module}.hada_w1_b`]: f32([1, H], 1, 3),
    [`${module}.hada_w2_a`]: f32([H, 1], 2, 1),
    [`${module}.hada_w2_b`]: f32([1, H], 1, 4),
    [`${module}.alpha`]: f32([], 0.5),
  }),
  LoKr: (module) => ({
    [`${module}.lokr_w1`]: f32([1, 2], 1, 2),
    [`${module}.lokr_w2_a`]: f32([2, 1], 3, 4),
    [`${module}.lokr_w2_b`]: f32([1, 1], 3),
    [`${module}.alpha`]: f32([], 4),
  }),
  'whole LoKr': (module) => ({
    [`${module}.lokr_w1`]: f32([2, 1], 1, 2),
    [`${module}.lokr_w2`]: f32([1, 2], 3, 4),
  }),
  'DoRA of diffusers': (module) => ({
    ...diffusers(module, H, 1, 1),
    [`${module}.lora_magnitude_vector`]: f32([H], 8, 4),
  }),
  'DoRA of inputs': (module) => ({ ...diffusers(module, H, 1, 1), [`${module}.dora_scale`]: f32([1, H], 8, 4) }),
}

interface Kind {
  readonly model: Tensors
  /** By kind, the layer of the model, its name in diffusers and in kohya's scripts. */
  readonly layers: Readonly<Record<string, readonly [tensor: string, from: string, to: string]>>
  readonly more: Tensors
}

const block = (name: string) => `input_blocks.1.1.transformer_blocks.0.${name}`
const inUnet = (name: string, own = name): readonly [string, string, string] => {
  const path = `down_blocks.0.attentions.0.transformer_blocks.0.${own}`
  return [`model.diffusion_model.${block(name)}.weight`, `unet.${path}`, `lora_unet_${path.replaceAll('.', '_')}`]
}
const CONVOLUTION = 'model.diffusion_model.input_blocks.1.0.in_layers.2.weight'
const ONLY_RENAMED: Readonly<Record<string, Kind>> = {
  'Stable Diffusion 1': {
    layers: {
      LoHa: inUnet('attn1.to_q'),
      LoKr: inUnet('attn1.to_k'),
      'whole LoKr': inUnet('attn1.to_v'),
      'DoRA of diffusers': inUnet('attn1.to_out.0'),
      'DoRA of inputs': inUnet('attn2.to_q'),
      'LoCon with a core': [
        CONVOLUTION,
        'unet.down_blocks.0.resnets.0.conv1',
        'lora_unet_down_blocks_0_resnets_0_conv1',
      ],
    },
    model: {
      'model.diffusion_model.input_blocks.0.0.weight': filled([320, 1, 1, 1], 1),
      'model.diffusion_model.input_blocks.4.1.transformer_blocks.0.attn2.to_k.weight': filled([1, 768], 1),
      'model.diffusion_model.out.2.weight': filled([1, 2, 1, 1], 1),
      [CONVOLUTION]: f32([2, 2, 1, 2], 1, 2, 3, 4, 5, 6, 7, 8),
    },
    more: {
      'unet.down_blocks.0.resnets.0.conv1.lora_up.weight': f32([2, 1, 1, 1], 1, 2),
      'unet.down_blocks.0.resnets.0.conv1.lora_down.weight': f32([1, 2, 1, 1], 1, 2),
      'unet.down_blocks.0.resnets.0.conv1.lora_mid.weight': f32([1, 1, 1, 2], 1, 4),
    },
  },
  Flux: {
    layers: Object.fromEntries(
      (
        [
          ['LoHa', 'img_attn.proj', 'attn.to_out.0'],
          ['LoKr', 'txt_attn.proj', 'attn.to_add_out'],
          ['whole LoKr', 'img_mlp.0', 'ff.net.0.proj'],
          ['DoRA of diffusers', 'img_mlp.2', 'ff.net.2'],
          ['DoRA of inputs', 'txt_mlp.2', 'ff_context.net.2'],
        ] as const
      ).map(([kind, own, theirs]) => [
        kind,
        [
          `double_blocks.0.${own}.weight`,
          `transformer.transformer_blocks.0.${theirs}`,
          `lora_unet_double_blocks_0_${own.replaceAll('.', '_')}`,
        ],
      ]),
    ),
    model: FLUX,
    more: {},
  },
}

test.each(Object.entries(ONLY_RENAMED))(
  'LoHa, LoKr, DoRA and LoCon with a core of %s keep their factors, and the model its bytes',
  (_, { layers, model, more }) =>
    inFolder(async (folder) => {
      const own = Object.values(layers).map(([tensor]) => [tensor, f32([H, H], 1, 2, 3, 5)] as const)
      const whole = { ...Object.fromEntries(own), ...model }
      const lora = Object.entries(layers).map(([kind, [, from]]) => KINDS[kind]?.(from) ?? more)
      writeSafetensors(join(folder, 'model.safetensors'), whole)
      writeSafetensors(join(folder, 'adapter.safetensors'), Object.assign({}, ...lora) as Tensors)
      const apply = (adapter: string) => ({ op: 'adapter.apply', model: 'base', adapter, strength: 0.5 })
      const written = (name: string) => ({ from: name, path: `${name}.safetensors` })
      const read = (name: string) => readTensors(join(folder, `${name}.safetensors`))
      await built(
        buildIn(folder, {
          models: { base: 'model.safetensors' },
          adapters: { lora: 'adapter.safetensors' },
          steps: {
            converted: { op: 'adapter.convert', adapter: 'lora', model: 'base', names: 'kohya' },
            expected: apply('lora'),
            once: apply('converted'),
          },
          outputs: { converted: written('converted'), expected: written('expected'), once: written('once') },
        }),
      )
      await built(
        buildIn(folder, {
          models: { base: 'model.safetensors' },
          adapters: { lora: 'converted.safetensors' },
          steps: { baked: apply('lora') },
          outputs: { baked: written('baked') },
        }),
      )
      const [expected, converted] = [await read('expected'), await read('converted')]
      expect(await read('once')).toEqual(expected)
      expect(await read('baked')).toEqual(expected)
      for (const [kind, [tensor, , to]] of Object.entries(layers)) {
        expect(expected[tensor], kind).not.toEqual(whole[tensor])
        expect(
          Object.keys(converted).some((name) => name.startsWith(`${to}.`)),
          kind,
        ).toBe(true)
      }
      expect(converted[`${layers['LoHa']![2]}.hada_w1_b`]!.values).toEqual([1, 3])
      expect(converted[`${layers['LoHa']![2]}.alpha`]!.values).toEqual([0.5])
      expect(converted[`${layers['DoRA of diffusers']![2]}.dora_scale`]).toMatchObject({
        shape: [H, 1],
        values: [8, 4],
      })
    }),
)

test('two whole matrices of a LoKr that PEFT scales have no names of kohya: LyCORIS does not scale them', () =>
  inFolder(async (folder) => {
    writeSafetensors(join(folder, 'model.safetensors'), FLUX)
    const module = 'base_model.model.double_blocks.0.img_attn.proj'
    writeSafetensors(join(folder, 'adapter_model.safetensors'), KINDS['whole LoKr']!(module))
    const convertedWith = async (alpha: number) => {
      writeFileSync(join(folder, 'adapter_config.json'), JSON.stringify({ peft_type: 'LOKR', r: 2, alpha }))
      return codesOf(
        await buildIn(folder, {
          models: { base: 'model.safetensors' },
          adapters: { lora: 'adapter_model.safetensors' },
          steps: { converted: { op: 'adapter.convert', adapter: 'lora', model: 'base', names: 'kohya' } },
          outputs: { converted: { from: 'converted', path: 'converted.safetensors' } },
        }),
      )
    }
    expect(await convertedWith(2)).toEqual([])
    expect(await convertedWith(4)).toEqual(['modules-unnamed'])
  }))

describe('a converted adapter', () => {
  test.each([
    ['kohya', 'diffusers'],
    ['kohya', 'kohya'],
    ['diffusers', 'kohya'],
    ['diffusers', 'diffusers'],
    ['xlabs', 'diffusers'],
    ['xlabs', 'kohya'],
  ] as const)('changes a model as it did: from %s to %s', (from, to) =>
    inFolder(async (folder) => {
      const { expected, atOnce, fromFile } = await convertIn(folder, ADAPTERS[from]!, to)
      // Small whole numbers and scales that are powers of two: nothing is rounded.
      expect(fromFile).toEqual(expected)
      expect(atOnce).toEqual(expected)
      expect(expected['single_blocks.0.linear1.weight']).not.toEqual(FLUX['single_blocks.0.linear1.weight'])
    }),
  )

  test('keeps the numbers of its factors, and has the scale where the format has it', () =>
    inFolder(async (folder) => {
      const { adapter } = await convertIn(folder, ADAPTERS['kohya']!, 'diffusers')
      const up = ADAPTERS['kohya']!['lora_unet_double_blocks_0_img_attn_qkv.lora_up.weight']!
        .values as readonly number[]
      const [q, k] = ['to_q', 'to_k'].map((x) => `transformer.transformer_blocks.0.attn.${x}`)
      expect(adapter[`${q}.lora_B.weight`]!.values).toEqual(up.slice(0, 2 * H).map((x) => x / 2))
      expect(adapter[`${k}.lora_B.weight`]!.values).toEqual(up.slice(2 * H, 4 * H).map((x) => x / 2))
      expect(adapter[`${k}.lora_A.weight`]!.values).toEqual(
        ADAPTERS['kohya']!['lora_unet_double_blocks_0_img_attn_qkv.lora_down.weight']!.values,
      )
    }))

  test('puts the parts of a fused tensor next to each other', () =>
    inFolder(async (folder) => {
      const { adapter, header } = await convertIn(folder, ADAPTERS['diffusers']!, 'kohya')
      const qkv = 'lora_unet_double_blocks_0_img_attn_qkv'
      expect(adapter[`${qkv}.lora_up.weight`]!.shape).toEqual([3 * H, 3])
      expect(adapter[`${qkv}.alpha`]!.values).toEqual([3])
      expect(header).toMatchObject({
        ss_network_module: 'networks.lora_flux',
        ss_base_model_version: 'flux1',
        ss_network_dim: 'Dynamic',
        'modelspec.title': 'recipe (converted)',
      })
      expect(header['sshs_model_hash']).toMatch(/^(?!0{64})[0-9a-f]{64}$/)
    }))
})

test('a merged adapter is applied to the rows that its names mean, in the recipe that makes it and from its file', () =>
  inFolder(async (folder) => {
    writeSafetensors(join(folder, 'model.safetensors'), FLUX)
    // diffusers stores the two halves of this one the other way round.
    writeSafetensors(join(folder, 'adapter.safetensors'), diffusers('transformer.norm_out.linear', 2 * H, 2, 8))
    const apply = (adapter: string) => ({ op: 'adapter.apply', model: 'base', adapter })
    await built(
      buildIn(folder, {
        models: { base: 'model.safetensors' },
        adapters: { lora: 'adapter.safetensors' },
        steps: { merged: { op: 'adapter.merge', adapters: ['lora'] }, once: apply('merged'), expected: apply('lora') },
        outputs: {
          once: { from: 'once', path: 'once.safetensors' },
          expected: { from: 'expected', path: 'expected.safetensors' },
        },
      }),
    )
    const expected = await readTensors(join(folder, 'expected.safetensors'))
    expect(await readTensors(join(folder, 'once.safetensors'))).toEqual(expected)
    const { values } = expected['final_layer.adaLN_modulation.1.weight']!
    expect(values).not.toEqual([...values.slice(values.length / 2), ...values.slice(0, values.length / 2)])
  }))

describe('an adapter in the names of PEFT', () => {
  const LLAMA: Tensors = Object.fromEntries([
    ['model.embed_tokens.weight', filled([8, H], 1)],
    ...['self_attn.q_proj', 'self_attn.k_proj', 'self_attn.v_proj', 'self_attn.o_proj'].map((x) => [
      `model.layers.0.${x}.weight`,
      filled([H, H], 1),
    ]),
    ...['mlp.gate_proj', 'mlp.up_proj', 'mlp.down_proj'].map((x) => [`model.layers.0.${x}.weight`, filled([H, H], 1)]),
    ...['input_layernorm', 'post_attention_layernorm'].map((x) => [`model.layers.0.${x}.weight`, filled([H], 1)]),
    ['model.norm.weight', filled([H], 1)],
    ['lm_head.weight', filled([8, H], 1)],
  ])
  const [q, v] = ['q', 'v'].map((x) => `base_model.model.model.layers.0.self_attn.${x}_proj`) as [string, string]
  const config = {
    peft_type: 'LORA',
    r: 1,
    lora_alpha: 2,
    rank_pattern: { v_proj: 2 },
    alpha_pattern: { v_proj: 1 },
    base_model_name_or_path: 'some/model',
    task_type: 'CAUSAL_LM',
  }
  const withPeft = async (work: (folder: string) => Promise<void>): Promise<void> =>
    inFolder(async (folder) => {
      writeSafetensors(join(folder, 'model.safetensors'), LLAMA)
      writeSafetensors(join(folder, 'adapter_model.safetensors'), {
        ...diffusers(q, H, 1, 1),
        ...diffusers(v, H, 2, 2),
      })
      writeFileSync(join(folder, 'adapter_config.json'), JSON.stringify(config))
      await work(folder)
    })
  const recipe = (step: object, path: string) => ({
    models: { base: 'model.safetensors' },
    adapters: { lora: 'adapter_model.safetensors' },
    steps: { result: step },
    outputs: { result: { from: 'result', path } },
  })
  const convert = { op: 'adapter.convert', adapter: 'lora', model: 'base', names: 'peft' }

  test('is written with its config, which says what the other did', () =>
    withPeft(async (folder) => {
      await built(buildIn(folder, recipe(convert, 'lora/')))
      const written = JSON.parse(readFileSync(join(folder, 'lora/adapter_config.json'), 'utf8')) as object
      expect(written).toMatchObject({
        r: 1,
        lora_alpha: 2,
        rank_pattern: { 'model.layers.0.self_attn.v_proj': 2 },
        alpha_pattern: { 'model.layers.0.self_attn.v_proj': 1 },
        target_modules: ['model.layers.0.self_attn.q_proj', 'model.layers.0.self_attn.v_proj'],
        base_model_name_or_path: 'some/model',
        task_type: 'CAUSAL_LM',
        peft_type: 'LORA',
      })
      expect(await readTensors(join(folder, 'lora/adapter_model.safetensors'))).toEqual(
        await readTensors(join(folder, 'adapter_model.safetensors')),
      )
    }))

  test('is read again with that config', () =>
    withPeft(async (folder) => {
      await built(buildIn(folder, recipe({ op: 'adapter.merge', adapters: ['lora'], strengths: [3] }, 'merged/')))
      const bakedFrom = async (adapter: string, strength: number, path: string) => {
        await built(
          buildIn(folder, {
            models: { base: 'model.safetensors' },
            adapters: { lora: adapter },
            steps: { baked: { op: 'adapter.apply', model: 'base', adapter: 'lora', strength } },
            outputs: { baked: { from: 'baked', path } },
          }),
        )
        return readTensors(join(folder, path))
      }
      expect(await bakedFrom('merged', 1, 'x.safetensors')).toEqual(
        await bakedFrom('adapter_model.safetensors', 3, 'y.safetensors'),
      )
    }))

  test('whose layers are stored transposed is refused: its factors mean another difference', () =>
    withPeft(async (folder) => {
      writeFileSync(join(folder, 'adapter_config.json'), JSON.stringify({ ...config, fan_in_fan_out: true }))
      for (const step of [convert, { op: 'adapter.merge', adapters: ['lora'] }])
        expect(codesOf(await buildIn(folder, recipe(step, 'lora/')))).toEqual(['not-plain-lora'])
    }))

  test('needs a folder if its scale is not 1, and other names get none', () =>
    withPeft(async (folder) => {
      expect(codesOf(await buildIn(folder, recipe(convert, 'lora.safetensors')))).toEqual(['adapter-folder'])
      const own = { ...convert, names: 'kohya' }
      expect(codesOf(await buildIn(folder, recipe(own, 'lora/')))).toEqual(['modules-unnamed'])
      const extract = { op: 'adapter.extract', model: 'base', base: 'base', rank: 1 }
      expect(codesOf(await buildIn(folder, recipe(extract, 'lora/')))).toEqual(['nothing-extracted'])
    }))
})

test('a module that cannot be renamed is told by what it has no place for', () =>
  inFolder(async (folder) => {
    writeSafetensors(join(folder, 'model.safetensors'), FLUX)
    writeSafetensors(join(folder, 'adapter.safetensors'), ADAPTERS['differences']!)
    const result = await buildIn(folder, {
      models: { base: 'model.safetensors' },
      adapters: { lora: 'adapter.safetensors' },
      steps: { converted: { op: 'adapter.convert', adapter: 'lora', model: 'base', names: 'diffusers' } },
      outputs: { converted: { from: 'converted', path: 'converted.safetensors' } },
    })
    expect(result.diagnostics.map((d) => d.message)).toEqual([
      expect.stringMatching(
        /^cannot rename \d modules? of `lora` .*: no place with names of diffusers for the differences of /,
      ),
    ])
  }))

test.each([
  ['modules-unnamed', 'differences', 'diffusers', {}],
  ['nothing-converted', 'differences', 'peft', { unmatched: 'ignore', path: 'lora/' }],
  ['adapter-folder', 'kohya', 'kohya', { path: 'lora/' }],
  ['not-plain-lora', 'hadamard', 'diffusers', {}],
  // Factors that cannot be put together, of one part of a layer that the format names as a whole.
  ['modules-unnamed', 'hadamard', 'kohya', {}],
  ['not-plain-lora', 'wider', 'kohya', {}],
  // A difference of one part of a layer that the format names as a whole.
  ['modules-unnamed', 'part', 'kohya', {}],
])(
  'an adapter that cannot be converted is refused: %s',
  (code, from, names, { path, ...more }: Readonly<Record<string, string>>) =>
    inFolder(async (folder) => {
      writeSafetensors(join(folder, 'model.safetensors'), FLUX)
      writeSafetensors(join(folder, 'adapter.safetensors'), ADAPTERS[from]!)
      const result = await buildIn(folder, {
        models: { base: 'model.safetensors' },
        adapters: { lora: 'adapter.safetensors' },
        steps: { converted: { op: 'adapter.convert', adapter: 'lora', model: 'base', names, ...more } },
        outputs: { converted: { from: 'converted', path: path ?? 'converted.safetensors' } },
      })
      expect(codesOf(result)).toContain(code)
    }),
)
