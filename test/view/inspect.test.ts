import { describe, expect, it } from 'vitest'
import { detectArchitecture } from '#src/architectures/detect.js'
import { inspectedToJson, renderInspected } from '#src/view/inspect.js'

type Inspected = Parameters<typeof renderInspected>[0]

const LAYER = 'model.layers.0.self_attn.q_proj.weight'

/** The beginning of a Llama: enough for its architecture to be known. */
const tensors = new Map(
  (
    [
      ['lm_head.weight', [32000, 4096]],
      ['model.embed_tokens.weight', [32000, 4096]],
      ['model.norm.weight', [4096]],
      [LAYER, [4096, 4096]],
      ['model.layers.0.self_attn.k_proj.weight', [4096, 4096]],
      ['model.layers.0.mlp.gate_proj.weight', [11008, 4096]],
      ['model.layers.0.input_layernorm.weight', [4096]],
    ] as const
  ).map(([name, shape]) => [
    name,
    {
      name,
      dtype: 'F16' as const,
      shape,
      file: '/m.safetensors',
      begin: 8,
      end: 8 + 2 * shape.reduce((n: number, d) => n * d, 1),
    },
  ]),
)

const inspected: Inspected = {
  path: 'm.safetensors',
  model: { path: '/m.safetensors', files: [], tensors, metadata: new Map(), bytes: 6.5e8, sides: [] },
  architecture: detectArchitecture(tensors),
  quantised: undefined,
  tensors: [tensors.get(LAYER)!],
  statistics: new Map([
    [LAYER, { mean: -0.000123456, std: 0.02, min: -1, max: 1, norm: 81.92, nan: 0, infinite: 0, zeros: 3 }],
  ]),
}

describe('an inspected model', () => {
  it('shows its architecture with components and blocks, and the statistics of what was selected', () => {
    expect(renderInspected(inspected, { color: false, width: 100 })).toBe(`m.safetensors
size          650 MB in 7 tensors
dtypes        F16 7
architecture  Llama family (llama)
components    transformer 7
blocks        embed 1, layer.0 4, norm 1, head 1

Tensors, 1 of 7
    dtype  shape         size         mean   std  min  max   norm  zeros  NaN  inf
  ${LAYER}
    F16    4096×4096  33.6 MB  -0.00012346  0.02   -1    1  81.92      3    0    0
`)
  })

  it('is the same for other programs', () => {
    expect(inspectedToJson(inspected)).toMatchObject({
      bytes: 6.5e8,
      dtypes: { F16: 7 },
      architecture: { id: inspected.architecture!.id },
      tensors: [{ name: LAYER, statistics: { zeros: 3 } }],
    })
  })
})

describe('an inspected adapter', () => {
  const info = (name: string, shape: readonly number[]) =>
    [name, { name, dtype: 'F16' as const, shape, file: '/l.safetensors', begin: 0, end: 0 }] as const
  const q = 'lora_unet_input_blocks_4_1_transformer_blocks_0_attn2_to_k'
  const lora = new Map([
    info(`${q}.lora_up.weight`, [640, 8]),
    info(`${q}.lora_down.weight`, [8, 2048]),
    info(`${q}.alpha`, []),
    info('lora_te1_x.lora_up.weight', [768, 4]),
    info('lora_te1_x.lora_down.weight', [4, 768]),
  ])
  const metadata = new Map([
    ['ss_sd_model_name', 'base.safetensors'],
    ['ss_tag_frequency', JSON.stringify({ '1_a': { ink: 3, sky: 7 } })],
  ])
  const adapter: Inspected = {
    path: 'l.safetensors',
    model: { path: '/l.safetensors', files: [], tensors: lora, metadata, bytes: 1000, sides: [] },
    architecture: undefined,
    quantised: undefined,
    tensors: [],
    statistics: undefined,
  }

  it('shows its kind, what it is made for, its ranks and its tags', () => {
    expect(renderInspected(adapter, { color: false, width: 100 })).toContain(`
adapter       LoRA, 2 modules
made for      Stable Diffusion XL
base model    base.safetensors
rank          8 (1), 4 (1)
tags          sky 7, ink 3
`)
    expect(inspectedToJson(adapter)).toMatchObject({
      architecture: null,
      adapter: {
        kind: 'LoRA',
        modules: 2,
        ranks: { 8: 1, 4: 1 },
        network: 'Stable Diffusion XL',
        base: 'base.safetensors',
        tags: [
          ['sky', 7],
          ['ink', 3],
        ],
      },
    })
    expect(inspectedToJson(inspected)).not.toHaveProperty('adapter')
  })
})
