import type { TensorInfo } from '../../tensor/info.js'
import { rankOf } from './factors.js'
import { guessArchitecture } from './guess.js'
import { kindOf } from './kinds.js'
import { groupAdapter } from './modules.js'
import { isAdapter } from './recognise.js'
import { readTags, type Tag } from './tags.js'

/** What the header of an adapter tells. */
export interface AdapterDescription {
  /** LoRA or its relatives. */
  readonly kind: string
  readonly modules: number
  /** How many modules have which rank, the commonest first. */
  readonly ranks: readonly (readonly [rank: number, modules: number])[]
  /** The network that names and shapes show; undefined where they do not tell. */
  readonly network: string | undefined
  /** The model that the trainer names. */
  readonly base: string | undefined
  /** The most frequent first. */
  readonly tags: readonly Tag[]
}

/** Describes an adapter by its header; undefined for files that are none. `path` is for the words only. */
export const describeAdapter = (
  tensors: ReadonlyMap<string, TensorInfo>,
  metadata: ReadonlyMap<string, string>,
  path: string,
): AdapterDescription | undefined => {
  if (!isAdapter(tensors)) return undefined
  const { modules, refused } = groupAdapter(tensors)
  const counts = new Map<number, number>()
  for (const rank of modules.map(rankOf)) if (rank !== undefined) counts.set(rank, (counts.get(rank) ?? 0) + 1)
  const tags = readTags(metadata, path)
  return {
    kind: refused?.kind ?? [...new Set(modules.map(kindOf))].join(', '),
    modules: modules.length,
    ranks: [...counts].sort(([, x], [, y]) => y - x),
    network: guessArchitecture(tensors)?.title,
    base: metadata.get('ss_sd_model_name') ?? metadata.get('ss_base_model_version'),
    tags: tags.type === 'ok' ? tags.value : [],
  }
}
