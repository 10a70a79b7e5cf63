import { numbersOf, type Numbers } from './imported.js'
import type { TensorValues } from './write-safetensors.js'

const UNET = 'model.diffusion_model'

/** Tensors of each part of Stable Diffusion 1, as few as it is recognised by, and their shapes. */
const SHAPES: Readonly<Record<string, readonly number[]>> = {
  [`${UNET}.time_embed.0.weight`]: [4, 2],
  [`${UNET}.input_blocks.0.0.weight`]: [320, 1],
  [`${UNET}.input_blocks.4.1.transformer_blocks.0.attn2.to_k.weight`]: [1, 768],
  [`${UNET}.input_blocks.4.0.in_layers.2.weight`]: [4, 2],
  [`${UNET}.input_blocks.11.0.in_layers.0.weight`]: [4, 2],
  [`${UNET}.middle_block.0.in_layers.0.weight`]: [4, 2],
  [`${UNET}.output_blocks.0.0.in_layers.0.weight`]: [4, 2],
  [`${UNET}.output_blocks.11.1.proj_in.weight`]: [4, 2],
  [`${UNET}.output_blocks.11.1.transformer_blocks.0.attn1.to_q.weight`]: [4, 2],
  [`${UNET}.out.2.weight`]: [4, 2],
  'cond_stage_model.transformer.text_model.encoder.layers.0.mlp.fc1.weight': [4, 2],
  'cond_stage_model.transformer.text_model.encoder.layers.11.mlp.fc1.weight': [4, 2],
  'first_stage_model.decoder.conv_in.weight': [4, 2],
}

const sizeOf = (shape: readonly number[]): number => shape.reduce((n, d) => n * d, 1)

/** The numbers of a model that is Stable Diffusion 1 by its names. */
export const tinySd1 = (model: number): Numbers =>
  Object.fromEntries(Object.entries(SHAPES).map(([name, shape], i) => [name, numbersOf(model, i, sizeOf(shape))]))

/** The same as tensors to write. */
export const sd1File = (model: number): Readonly<Record<string, TensorValues>> =>
  Object.fromEntries(
    Object.entries(tinySd1(model)).map(([name, values]) => [name, { dtype: 'F32', shape: SHAPES[name]!, values }]),
  )

/** The block of a tensor, as supermerger and sd-mecha call them: BASE, IN00 …, M00, OUT00 …, TIME, OUT, VAE. */
export const blockOf = (name: string): string => {
  const two = (n: string): string => n.padStart(2, '0')
  if (name.startsWith('first_stage')) return 'VAE'
  if (!name.startsWith(UNET)) return 'BASE'
  const [, kind, n] = /\.(time_embed|input_blocks|middle_block|output_blocks|out)\.(\d+)/.exec(name)!
  if (kind === 'input_blocks') return `IN${two(n!)}`
  if (kind === 'output_blocks') return `OUT${two(n!)}`
  return { time_embed: 'TIME', middle_block: 'M00', out: 'OUT' }[kind!]!
}
