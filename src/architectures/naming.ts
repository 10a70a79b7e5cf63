/**
 * Ways in which the same networks are named, each with names that only it has. The first that a model shows is its own.
 */
const NAMINGS: readonly (readonly [title: string, pattern: RegExp])[] = [
  [
    'diffusers',
    /^(?:unet\.|transformer\.)?(?:down_blocks|up_blocks|mid_block|transformer_blocks|single_transformer_blocks|time_text_embed|time_embedding)\./,
  ],
  [
    'the original checkpoints',
    /(?:^|\.)(?:input_blocks|output_blocks|middle_block|double_blocks|single_blocks|joint_blocks)\./,
  ],
  ['Hugging Face', /(?:^|\.)layers\.\d+\.self_attn\./],
  ['Meta’s release', /^(?:layers\.\d+\.(?:attention|feed_forward)|tok_embeddings)\./],
]

/** What convention names the tensors of a network, where it is one that others of the same network differ from. */
export const namingOf = (tensors: ReadonlyMap<string, unknown>): string | undefined => {
  const counts = new Map<string, number>()
  for (const name of tensors.keys()) {
    const title = NAMINGS.find(([, pattern]) => pattern.test(name))?.[0]
    if (title !== undefined) counts.set(title, (counts.get(title) ?? 0) + 1)
  }
  return [...counts].sort(([, x], [, y]) => y - x)[0]?.[0]
}
