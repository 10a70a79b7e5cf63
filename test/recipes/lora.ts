import { makeRandom } from '../safetensors/files.js'
import { half, type Checkpoint } from './checkpoint.js'

/** A module as a LoRA calls it, and the tensor it is: all of its rows, or some. */
export interface Adapted {
  readonly name: string
  readonly tensor: string
  readonly rows?: readonly [first: number, count: number]
}

const RANK = 3
const ALPHA = 1.5

/**
 * A LoRA in kohya’s names for some modules of a checkpoint, and what it adds to each tensor at strength 1, by element.
 */
export const makeLora = (
  checkpoint: Checkpoint,
  modules: readonly Adapted[],
  seed: number,
): { readonly file: Checkpoint; readonly deltas: ReadonlyMap<string, Float64Array> } => {
  const random = makeRandom(seed)
  const draw = (n: number): Float32Array => half(Float32Array.from({ length: n }, () => random() - 0.5))
  const file = new Map<string, Checkpoint extends ReadonlyMap<string, infer T> ? T : never>()
  const deltas = new Map<string, Float64Array>()
  for (const { name, tensor, rows } of modules) {
    const { shape, numbers } = checkpoint.get(tensor)!
    const [first, count] = rows ?? [0, shape[0]!]
    const columns = numbers.length / shape[0]!
    const [up, down] = [draw(count * RANK), draw(RANK * columns)]
    const kernel = shape.slice(1)
    file.set(`${name}.lora_up.weight`, {
      dtype: 'F16',
      shape: kernel.length > 1 ? [count, RANK, 1, 1] : [count, RANK],
      numbers: up,
    })
    file.set(`${name}.lora_down.weight`, { dtype: 'F16', shape: [RANK, ...kernel], numbers: down })
    file.set(`${name}.alpha`, { dtype: 'F16', shape: [], numbers: Float32Array.of(ALPHA) })
    const delta = deltas.get(tensor) ?? new Float64Array(numbers.length)
    for (let i = 0; i < count; i++) {
      for (let j = 0; j < columns; j++)
        for (let r = 0; r < RANK; r++)
          delta[(first + i) * columns + j]! += (ALPHA / RANK) * up[i * RANK + r]! * down[r * columns + j]!
    }
    deltas.set(tensor, delta)
  }
  return { file, deltas }
}

const layer = (n: number): string => `text_model.encoder.layers.${n}`

/** Modules of SD1 in the names of diffusers, which kohya’s trainer uses for it: attention, a 3×3 convolution, text. */
export const SD1_MODULES: readonly Adapted[] = [
  ...['q', 'k', 'v'].map((x) => ({
    name: `lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_attn1_to_${x}`,
    tensor: `model.diffusion_model.input_blocks.4.1.transformer_blocks.0.attn1.to_${x}.weight`,
  })),
  {
    name: 'lora_unet_up_blocks_3_attentions_2_transformer_blocks_0_attn2_to_out_0',
    tensor: 'model.diffusion_model.output_blocks.11.1.transformer_blocks.0.attn2.to_out.0.weight',
  },
  { name: 'lora_unet_mid_block_attentions_0_proj_in', tensor: 'model.diffusion_model.middle_block.1.proj_in.weight' },
  {
    name: 'lora_unet_down_blocks_0_resnets_1_conv1',
    tensor: 'model.diffusion_model.input_blocks.2.0.in_layers.2.weight',
  },
  {
    name: 'lora_te_text_model_encoder_layers_11_mlp_fc1',
    tensor: `cond_stage_model.transformer.${layer(11)}.mlp.fc1.weight`,
  },
]

const FUSED = 'conditioner.embedders.1.model.transformer.resblocks.31.attn.in_proj_weight'

/** Modules of SDXL in the original names, and its two text encoders, of which the second has fused attention. */
export const SDXL_MODULES: readonly Adapted[] = [
  {
    name: 'lora_unet_input_blocks_4_1_transformer_blocks_1_ff_net_0_proj',
    tensor: 'model.diffusion_model.input_blocks.4.1.transformer_blocks.1.ff.net.0.proj.weight',
  },
  { name: 'lora_unet_output_blocks_0_1_proj_out', tensor: 'model.diffusion_model.output_blocks.0.1.proj_out.weight' },
  {
    name: 'lora_te1_text_model_encoder_layers_0_self_attn_out_proj',
    tensor: `conditioner.embedders.0.transformer.${layer(0)}.self_attn.out_proj.weight`,
  },
  { name: 'lora_te2_text_model_encoder_layers_31_self_attn_q_proj', tensor: FUSED, rows: [0, 2] },
  { name: 'lora_te2_text_model_encoder_layers_31_self_attn_v_proj', tensor: FUSED, rows: [4, 2] },
  {
    name: 'lora_te2_text_model_encoder_layers_31_mlp_fc2',
    tensor: 'conditioner.embedders.1.model.transformer.resblocks.31.mlp.c_proj.weight',
  },
]

/** Queries and keys of SDXL, by the block’s number in the original names. */
export const SDXL_ATTENTION: readonly Adapted[] = ['q', 'k'].map((x) => ({
  name: `lora_unet_middle_block_1_transformer_blocks_3_attn2_to_${x}`,
  tensor: `model.diffusion_model.middle_block.1.transformer_blocks.3.attn2.to_${x}.weight`,
}))

/** A small SDXL whose fused projections have rows enough to be told apart. */
export const withFusedRows = (checkpoint: Checkpoint): Checkpoint =>
  new Map(checkpoint).set(FUSED, {
    dtype: 'F16',
    shape: [6, 2],
    numbers: Float32Array.from({ length: 12 }, (_, i) => i / 16),
  })
