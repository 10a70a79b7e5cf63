/** A value of a config.json. */
export type ConfigValue = string | number | boolean | null | readonly string[] | Readonly<Record<string, string>>

/** What a config.json has to say of a model that a step made of others; everything else is that of its files. */
export interface ConfigChange {
  /** A tensor that every such model has: what lacks it is another model again. */
  readonly tensor: string
  /** The `model_type` that it gets, and those that it can be made of. */
  readonly type: string
  readonly from: readonly string[]
  readonly set: Readonly<Record<string, ConfigValue>>
}

/** What of a mixture decides its config. */
export interface MixtureSizes {
  readonly experts: number
  readonly perToken: number
  readonly shared: boolean
  /** Rows of an expert’s `gate_proj`. */
  readonly intermediate: number
}

/** How a mixture of experts of one kind names and describes what dense models have. */
export interface MoeLayout {
  /** What messages call it. */
  readonly title: string
  /** What stands before an expert’s number, below a layer. */
  readonly experts: string
  /** What an expert calls the three matrices of an MLP. */
  readonly matrices: Readonly<Record<Matrix, string>>
  readonly router: string
  /** The names of the shared expert and, where it has one, of its gate; undefined where there is no shared expert. */
  readonly shared: { readonly needed: boolean; readonly path: string; readonly gate: string | undefined } | undefined
  /** Tensors of attention besides the four matrices: `zeros` are filled with 0 where the base lacks them. */
  readonly attention: {
    readonly zeros: readonly string[]
    readonly needed: readonly string[]
    readonly optional: readonly string[]
  }
  /** Model types of the configs that it can be made of, and its own. */
  readonly from: readonly string[]
  readonly type: string
  config(sizes: MixtureSizes): Readonly<Record<string, ConfigValue>>
}

/** The matrices of a dense model’s MLP, as they stand below `mlp.` in a layer. */
export const MATRICES = ['gate_proj', 'up_proj', 'down_proj'] as const
export type Matrix = (typeof MATRICES)[number]

const SAME = { gate_proj: 'gate_proj', up_proj: 'up_proj', down_proj: 'down_proj' } as const
const BIASES = ['q_proj', 'k_proj', 'v_proj'].map((name) => `self_attn.${name}.bias`)
const NORMS = ['q_norm', 'k_norm'].map((name) => `self_attn.${name}.weight`)
const LLAMAS = ['llama', 'mistral']
const PLAIN = { zeros: [], needed: [], optional: [] } as const
const DEEPSEEK = 'deepseek-ai/deepseek-moe-16b-base'

/** What the configs of Qwen's mixtures have in common. */
const qwenConfig = ({ experts, perToken, intermediate }: MixtureSizes): Readonly<Record<string, ConfigValue>> => ({
  num_experts: experts,
  num_experts_per_tok: perToken,
  decoder_sparse_step: 1,
  mlp_only_layers: [],
  norm_topk_prob: true,
  output_router_logits: false,
  router_aux_loss_coef: 0.001,
  moe_intermediate_size: intermediate,
})

/** The layouts of mergekit-moe, with the names that checkpoints on hubs have: one tensor for each matrix of each expert. */
export const MOE_LAYOUTS = {
  mixtral: {
    title: 'Mixtral',
    experts: 'block_sparse_moe.experts',
    matrices: { gate_proj: 'w1', up_proj: 'w3', down_proj: 'w2' },
    router: 'block_sparse_moe.gate.weight',
    shared: undefined,
    attention: PLAIN,
    from: LLAMAS,
    type: 'mixtral',
    config: ({ experts, perToken }) => ({
      architectures: ['MixtralForCausalLM'],
      num_local_experts: experts,
      num_experts_per_tok: perToken,
      output_router_logits: false,
      router_aux_loss_coef: 0.001,
      sliding_window: null,
    }),
  },
  qwen2: {
    title: 'Qwen2-MoE',
    experts: 'mlp.experts',
    matrices: SAME,
    router: 'mlp.gate.weight',
    shared: { needed: true, path: 'mlp.shared_expert', gate: 'mlp.shared_expert_gate.weight' },
    attention: { zeros: BIASES, needed: [], optional: [] },
    from: [...LLAMAS, 'qwen2'],
    type: 'qwen2_moe',
    config: (sizes) => ({
      architectures: ['Qwen2MoeForCausalLM'],
      ...qwenConfig(sizes),
      shared_expert_intermediate_size: sizes.intermediate,
    }),
  },
  qwen3: {
    title: 'Qwen3-MoE',
    experts: 'mlp.experts',
    matrices: SAME,
    router: 'mlp.gate.weight',
    shared: undefined,
    attention: { zeros: [], needed: NORMS, optional: [...BIASES, 'self_attn.o_proj.bias'] },
    from: ['qwen3'],
    type: 'qwen3_moe',
    config: (sizes) => ({
      architectures: ['Qwen3MoeForCausalLM'],
      ...qwenConfig(sizes),
    }),
  },
  deepseek: {
    title: 'DeepSeek',
    experts: 'mlp.experts',
    matrices: SAME,
    router: 'mlp.gate.weight',
    shared: { needed: false, path: 'mlp.shared_experts', gate: undefined },
    attention: { zeros: [], needed: [], optional: [...BIASES, 'self_attn.o_proj.bias'] },
    from: LLAMAS,
    type: 'deepseek',
    config: ({ experts, perToken, shared, intermediate }) => ({
      architectures: ['DeepseekForCausalLM'],
      n_routed_experts: experts,
      n_shared_experts: shared ? 1 : null,
      num_experts_per_tok: perToken,
      first_k_dense_replace: 0,
      moe_layer_freq: 1,
      scoring_func: 'softmax',
      norm_topk_prob: true,
      moe_intermediate_size: intermediate,
      auto_map: {
        AutoConfig: `${DEEPSEEK}--configuration_deepseek.DeepseekConfig`,
        AutoModel: `${DEEPSEEK}--modeling_deepseek.DeepseekModel`,
        AutoModelForCausalLM: `${DEEPSEEK}--modeling_deepseek.DeepseekForCausalLM`,
      },
    }),
  },
} as const satisfies Readonly<Record<string, MoeLayout>>

/** The name of a layout. */
export type MoeLayoutName = keyof typeof MOE_LAYOUTS

/** The layout of a name, as the interface has it. */
export const moeLayout = (name: MoeLayoutName): MoeLayout => MOE_LAYOUTS[name]

/** What the config.json of a mixture says. */
export const mixtureConfig = (name: MoeLayoutName, path: string, sizes: MixtureSizes): ConfigChange => {
  const layout = moeLayout(name)
  return {
    tensor: `${path}.0.${layout.router}`,
    type: layout.type,
    from: layout.from,
    set: { ...layout.config(sizes), model_type: layout.type },
  }
}
