import { words, type Family } from './family.js'

const llm = {
  roots: [''],
  component: 'transformer',
  diffusion: false,
  words: words(
    'model embed_tokens layers norm lm_head self_attn q_proj k_proj v_proj o_proj q_norm k_norm mlp gate_proj up_proj down_proj',
    'input_layernorm post_attention_layernorm pre_feedforward_layernorm post_feedforward_layernorm',
    // Relatives with experts.
    'block_sparse_moe experts shared_expert shared_experts shared_expert_gate gate w1 w2 w3',
  ),
  blocks: [
    ['model.embed_tokens', 'embed'],
    ['model.layers.#', 'layer.#'],
    ['model.norm', 'norm'],
    ['lm_head', 'head'],
  ],
  groups: [
    ['attn', 'self_attn'],
    ['ff', 'mlp'],
    ['mlp', 'mlp'],
    [
      'norm',
      'input_layernorm',
      'post_attention_layernorm',
      'pre_feedforward_layernorm',
      'post_feedforward_layernorm',
      'q_norm',
      'k_norm',
      'model.norm',
    ],
    ['emb', 'embed_tokens'],
    ['head', 'lm_head'],
  ],
  encoders: { clip: 'te', t5: 'te' },
  mbw: [],
} as const satisfies Partial<Family>

const LLM = { 'model.embed_tokens.weight': [], 'model.layers.0.self_attn.q_proj.weight': [] }

/**
 * Decoder-only language models in the names of Hugging Face. Llama and Mistral have the same names and shapes, so they
 * are one family.
 */
export const LLMS: readonly Family[] = [
  { ...llm, id: 'qwen2', title: 'Qwen2', when: { ...LLM, 'model.layers.0.self_attn.k_proj.bias': [] } },
  {
    ...llm,
    id: 'gemma2',
    title: 'Gemma 2',
    when: {
      ...LLM,
      'model.layers.0.post_feedforward_layernorm.weight': [],
      'model.layers.0.self_attn.q_norm.weight': false,
    },
  },
  { ...llm, id: 'llama', title: 'Llama family', when: LLM },
]
