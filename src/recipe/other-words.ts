/**
 * How another word's number relates to the one smelt has: the same, what it leaves of 1, or either, by the program it
 * comes from.
 */
export type Turn = 'same' | 'turned' | 'either'

/** For a parameter, what other programs call it or its counterpart. */
export const PARAMETER_WORDS: Readonly<Record<string, Readonly<Record<string, Turn>>>> = {
  keep: {
    t: 'turned',
    alpha: 'turned',
    base_alpha: 'turned',
    multiplier: 'turned',
    weight: 'turned',
    weight_b: 'turned',
    mix: 'turned',
    interpolation: 'turned',
    amount: 'turned',
    ratio: 'either',
  },
  drop: { density: 'turned', drop_rate: 'same', dropout: 'same', p: 'same', sparsity: 'same', probability: 'same' },
  density: {
    drop: 'turned',
    drop_rate: 'turned',
    dropout: 'turned',
    p: 'turned',
    sparsity: 'turned',
    k: 'same',
    topk: 'same',
    top_k: 'same',
    trim: 'same',
  },
  strength: {
    weight: 'same',
    scale: 'same',
    alpha: 'same',
    multiplier: 'same',
    ratio: 'same',
    amount: 'same',
    strength_model: 'same',
    lora_strength: 'same',
    noise: 'same',
  },
  clip_strength: { strength_clip: 'same', te_strength: 'same' },
  weight: {
    alpha: 'same',
    ratio: 'same',
    scale: 'same',
    strength: 'same',
    weights: 'same',
    multiplier: 'same',
    lambda: 'same',
  },
  lambda: { alpha: 'same', lamda: 'same', scaling: 'same', scaling_factor: 'same', scale: 'same' },
  threshold: { t: 'same' },
  width: { alpha: 'same' },
  offset: { beta: 'same' },
  layers: { layer: 'same', blocks: 'same', filter: 'same', filters: 'same', include: 'same', modules: 'same' },
}

/** For an input, what other programs call it. */
export const INPUT_WORDS: Readonly<Record<string, readonly string[]>> = {
  a: ['A', 'model_a', 'model_A', 'model1', 'modela', 'primary', 'first', 'model_1', 'base', 'base_model'],
  b: ['B', 'model_b', 'model_B', 'model2', 'modelb', 'secondary', 'second', 'model_2', 'other'],
  c: ['C', 'model_c', 'model_C', 'model3', 'modelc', 'tertiary', 'third', 'model_3', 'base', 'base_model'],
  base: ['base_model', 'basemodel', 'model_base', 'origin', 'original', 'pretrained'],
  model: ['base', 'base_model', 'checkpoint', 'ckpt', 'input', 'source', 'from'],
  adapter: ['lora', 'lora_path', 'adapters', 'loras'],
}

/** For a key of an output, what other programs call it. */
export const OUTPUT_WORDS: Readonly<Record<string, readonly string[]>> = {
  from: ['model', 'step', 'source', 'input', 'of', 'merge', 'result', 'use'],
  path: ['file', 'filename', 'file_name', 'name', 'output', 'out', 'to', 'save', 'save_as'],
  dtype: ['precision', 'out_dtype', 'type', 'save_dtype', 'quantize'],
  shard_size: ['max_shard_size', 'shards', 'out_shard_size'],
}

/** For a dtype, what other programs call it. */
export const DTYPE_WORDS: Readonly<Record<string, string>> = {
  bf16: 'bf16',
  bfloat16: 'bf16',
  float: 'f32',
  float16: 'f16',
  float32: 'f32',
  float8: 'f8_e4m3',
  float8_e4m3fn: 'f8_e4m3',
  float8_e5m2: 'f8_e5m2',
  fp16: 'f16',
  fp32: 'f32',
  fp8: 'f8_e4m3',
  fp8_e4m3fn: 'f8_e4m3',
  fp8_e5m2: 'f8_e5m2',
  full: 'f32',
  half: 'f16',
  single: 'f32',
}

/** For the key that names a step's operator, what other programs call it. */
export const OP_WORDS: readonly string[] = [
  'method',
  'merge_method',
  'operation',
  'operator',
  'type',
  'node',
  'class_type',
  'kind',
  'mode',
  'use',
  'merge',
]
