import { bytesOf, layoutFile, quote } from './layout.js'
import type { FileLayout, TensorOutline } from './layout.js'
import { compareNames } from './name-order.js'
import { INDEX_SUFFIX } from './sharded-index.js'

/** A model to be written in several files and the index that joins them; names are without folder. */
export interface ShardLayout {
  readonly shards: readonly (FileLayout & { readonly name: string; readonly tensors: readonly TensorOutline[] })[]
  readonly index: { readonly name: string; readonly bytes: Uint8Array }
}

/**
 * Fills shards with the tensors in the order given, starting a new one where the next tensor would exceed `shardBytes`
 * of data; a
 * larger tensor has a shard of its own. Every shard carries the metadata. Files are named
 * `<stem>-00001-of-0000N.safetensors`, also
 * when there is one.
 */
export const layoutShards = (
  tensors: readonly TensorOutline[],
  metadata: Readonly<Record<string, string>>,
  shardBytes: number,
  stem = 'model',
): ShardLayout => {
  const groups: TensorOutline[][] = [[]]
  let filled = 0
  let total = 0
  for (const tensor of tensors) {
    const bytes = bytesOf(tensor)
    if (filled > 0 && filled + bytes > shardBytes) {
      groups.push([])
      filled = 0
    }
    groups.at(-1)?.push(tensor)
    filled += bytes
    total += bytes
  }
  const digits = (n: number): string => String(n).padStart(5, '0')
  const shards = groups.map((group, i) => ({
    name: `${stem}-${digits(i + 1)}-of-${digits(groups.length)}.safetensors`,
    tensors: group,
    ...layoutFile(group, metadata),
  }))
  const weights = shards.flatMap((shard) => shard.tensors.map((tensor) => [tensor.name, shard.name] as const))
  return { shards, index: { name: stem + INDEX_SUFFIX, bytes: Buffer.from(indexText(weights, total)) } }
}

/** The text of an index, from the shard of each tensor and the bytes of all of them. */
export const indexText = (shardOf: readonly (readonly [tensor: string, shard: string])[], total: number): string => {
  // By hand, for an object would move names such as "0" to the front and lose "__proto__".
  const lines = [...shardOf]
    .sort(([x], [y]) => compareNames(x, y))
    .map(([name, shard]) => `    ${quote(name)}: ${quote(shard)}`)
    .join(',\n')
  return `{\n  "metadata": {\n    "total_size": ${total}\n  },\n  "weight_map": {\n${lines}\n  }\n}\n`
}
