import { isUtf8 } from 'node:buffer'
import * as problems from '../base/catalogue/sharded-index.js'
import type { Diagnostic } from '../base/diagnostic.js'
import { failed, ok } from '../base/result.js'
import type { Result } from '../base/result.js'
import { openingProblem } from './open.js'
import { HEAD, recogniseOther } from './recognise.js'
import { readRegular } from './regular-file.js'
import { checkShardNames } from './shard-names.js'
import { readJson } from './strict-json.js'

/** How the name of an index file ends. */
export const INDEX_SUFFIX = '.safetensors.index.json'

/** How the names of an index and of its shards end, for each format that has them. */
export type ShardSuffix = '.safetensors' | '.bin'

/**
 * What an index says: which shard holds each tensor, the shards in order of name, and the bytes it claims for all
 * tensors.
 */
export interface ShardedIndex {
  readonly shardOf: ReadonlyMap<string, string>
  readonly shards: readonly string[]
  /** Undefined where the index gives none, or none that is a plain integer. */
  readonly totalSize: number | undefined
}

const MAX_BYTES = 250_000_000
const MAX_SHARDS = 10_000
const RULES = { depth: 64, longest: 100_000 }

/**
 * Reads an index file; its shards' names are checked to stay inside the folder, the shards themselves are not opened.
 */
export const readIndex = async (path: string, suffix: ShardSuffix = '.safetensors'): Promise<Result<ShardedIndex>> => {
  try {
    const read = await readRegular(path, {
      wanted: 'an index',
      most: MAX_BYTES,
      tooLarge: (size) => problems.indexTooLarge(path, size, MAX_BYTES),
    })
    return read.type === 'failed' ? read : parseIndex(path, read.value, suffix)
  } catch (error) {
    return failed(await openingProblem(error, path))
  }
}

/**
 * Reads the bytes of an index. A tensor named twice and a `weight_map` that maps to anything but file names are
 * refused.
 */
export const parseIndex = (path: string, bytes: Buffer, suffix: ShardSuffix = '.safetensors'): Result<ShardedIndex> => {
  if (!isUtf8(bytes)) return failed(problems.indexNotUtf8(path))
  const json = readJson(bytes, { ...RULES, describe: (reason, offset) => problems.indexNotJson(path, reason, offset) })
  const met = new Set<string>()
  const shardOf = new Map<string, string>()
  let totalSize: number | undefined
  const readWeights = (): void =>
    json.object((tensor) => {
      if (tensor === '__metadata__') json.refuse(problems.reservedWeight(path))
      else if (shardOf.has(tensor)) json.refuse(problems.weightTwice(path, tensor))
      else shardOf.set(tensor, json.string())
    })
  json.object((key) => {
    if (met.has(key)) json.refuse(problems.indexKeyTwice(path, key))
    met.add(key)
    if (key === 'weight_map') readWeights()
    else if (key !== 'metadata' || json.peek() !== 0x7b) json.skip()
    else {
      json.object((field) => {
        const text = json.skip().toString('latin1')
        if (field === 'total_size' && /^\d{1,15}$/.test(text)) totalSize = Number(text)
      })
    }
  })
  json.finish()
  const fault = json.fault()
  if (fault !== undefined) {
    const head = bytes.subarray(0, HEAD)
    // Any JSON is a text, so only what does not even begin like an index is looked at for what else it is.
    return failed((/^\s*[[{]/.test(head.toString('latin1')) ? undefined : recogniseOther(path, head)) ?? fault)
  }
  if (!met.has('weight_map')) return failed(problems.weightMapMissing(path))
  if (shardOf.size === 0) return failed(problems.weightMapEmpty(path))
  const shards = [...new Set(shardOf.values())].sort()
  if (shards.length > MAX_SHARDS) return failed(problems.tooManyShards(path, shards.length, MAX_SHARDS))
  const named: readonly Diagnostic[] = checkShardNames(path, shards, suffix)
  return named.some((d) => d.severity === 'error') ? failed(...named) : ok({ shardOf, shards, totalSize }, named)
}
