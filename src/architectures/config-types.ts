/** How tensors in layers of some networks are called, with an example of each. */
const NAMES: readonly (readonly [types: readonly string[], name: RegExp, example: string])[] = [
  [
    [
      'cohere',
      'cohere2',
      'deepseek_v2',
      'deepseek_v3',
      'gemma',
      'gemma2',
      'gemma3_text',
      'glm',
      'glm4',
      'gpt_oss',
      'granite',
      'llama',
      'mistral',
      'mixtral',
      'olmo',
      'olmo2',
      'phi3',
      'qwen2',
      'qwen2_moe',
      'qwen3',
      'qwen3_moe',
      'smollm3',
      'stablelm',
      'starcoder2',
    ],
    /(?:^|\.)layers\.\d+\.self_attn\./,
    'model.layers.0.self_attn',
  ],
  [['gpt2', 'gpt_bigcode', 'gptj', 'codegen', 'gpt_neo'], /(?:^|\.)h\.\d+\./, 'transformer.h.0'],
  [['bloom', 'falcon'], /(?:^|\.)h\.\d+\..*query_key_value/, 'transformer.h.0.self_attention.query_key_value'],
  [['gpt_neox'], /(?:^|\.)layers\.\d+\..*query_key_value/, 'gpt_neox.layers.0.attention.query_key_value'],
  [['bert', 'camembert', 'electra', 'roberta', 'xlm-roberta'], /(?:^|\.)encoder\.layer\.\d+\./, 'encoder.layer.0'],
  [['mt5', 't5', 'umt5'], /(?:^|\.)block\.\d+\.layer\./, 'encoder.block.0.layer'],
  [['mamba', 'mamba2'], /(?:^|\.)layers\.\d+\.mixer\./, 'backbone.layers.0.mixer'],
]
const NUMBERED = /\.\d+\./

/** A name of a layer as a network of a type has it, where a model has layers and none of them has such a name. */
export const unlikeType = (tensors: ReadonlyMap<string, unknown>, type: unknown): string | undefined => {
  const found = NAMES.find(([types]) => typeof type === 'string' && types.includes(type))
  if (found === undefined) return undefined
  const names = [...tensors.keys()].filter((name) => NUMBERED.test(name))
  return names.length === 0 || names.some((name) => found[1].test(name)) ? undefined : found[2]
}
