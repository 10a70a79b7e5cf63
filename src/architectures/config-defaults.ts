import type { ConfigValue } from './moe-layouts.js'

/** A default that is the value of another key. */
interface Like {
  readonly like: string
}

/** True for a default that is the value of another key. */
export const isLike = (value: ConfigValue | Like): value is Like =>
  typeof value === 'object' && value !== null && 'like' in value

type Defaults = Readonly<Record<string, ConfigValue | Like>>

const COMMON = {
  hidden_act: 'silu',
  initializer_range: 0.02,
  rms_norm_eps: 1e-6,
  rope_theta: 10_000,
  tie_word_embeddings: false,
} as const
const LLAMA = { ...COMMON, vocab_size: 32_000, bos_token_id: 1, eos_token_id: 2 } as const
const QWEN = { ...COMMON, vocab_size: 151_936, max_position_embeddings: 32_768, num_key_value_heads: 32 } as const

/**
 * What transformers takes where a config.json of a model type says nothing, for the keys whose defaults differ between
 * types: of Llama `rope_theta` is 10000, of Mixtral a million. A config that changes its type has to say them.
 */
export const CONFIG_DEFAULTS: Readonly<Record<string, Defaults>> = {
  llama: { ...LLAMA, max_position_embeddings: 2048, num_key_value_heads: { like: 'num_attention_heads' } },
  mistral: { ...LLAMA, max_position_embeddings: 131_072, num_key_value_heads: 8 },
  qwen2: QWEN,
  qwen3: { ...QWEN, head_dim: 128 },
}
