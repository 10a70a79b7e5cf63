import * as problems from '../base/catalogue/sharded-index.js'
import type { ShardNameFlaw } from '../base/catalogue/sharded-index.js'
import type { Diagnostic } from '../base/diagnostic.js'
import { greatest } from '../base/lists.js'

/**
 * Judges the file names that an index gives: none may lead out of its folder on any system, nor fall together on one
 * that ignores case.
 */
export const checkShardNames = (path: string, shards: readonly string[], suffix = '.safetensors'): Diagnostic[] => {
  const refused = shards.flatMap((shard) => {
    const flaw = flawOf(shard) ?? (shard.endsWith(suffix) ? undefined : 'suffix')
    return flaw === undefined ? [] : [problems.shardNameRefused(path, shard, flaw)]
  })
  if (refused.length > 0) return refused
  const folded = new Map<string, string>()
  for (const shard of shards) {
    const key = shard.normalize('NFC').toLowerCase()
    const other = folded.get(key)
    if (other !== undefined) return [problems.shardNamesCollide(path, other, shard)]
    folded.set(key, shard)
  }
  const deep = shards.find((shard) => shard.includes('/'))
  return [...(deep === undefined ? [] : [problems.shardInSubfolder(path, deep)]), ...checkNumbers(path, shards)]
}

const FLAWS: readonly (readonly [ShardNameFlaw, RegExp])[] = [
  ['control', /\p{Cc}/u],
  ['backslash', /\\/],
  ['escape', /%[0-9a-f]{2}/i],
  ['absolute', /^\/|^[a-z][a-z0-9+.-]*:/i],
  ['dots', /(?:^|\/)\.{1,2}(?:\/|$)/],
  ['empty', /^$|\/\/|\/$/],
]

/** The first reason against a shard's name, or undefined. */
const flawOf = (shard: string): ShardNameFlaw | undefined => FLAWS.find(([, pattern]) => pattern.test(shard))?.[0]

const NUMBERED = /^(.*)-(\d{5,6})-of-(\d{5,6})\.(?:safetensors|bin)$/s

/** The number of a shard and how many there are of it, told from its name, or undefined. */
export const shardNumber = (
  name: string,
): { readonly stem: string; readonly number: number; readonly of: number } | undefined => {
  const [, stem, number, of] = NUMBERED.exec(name) ?? []
  return stem === undefined ? undefined : { stem, number: Number(number), of: Number(of) }
}

/** Shards of one model that no index names. */
export interface Unindexed {
  readonly stem: string
  readonly of: number
  /** In the order of their numbers. */
  readonly shards: readonly string[]
  readonly numbers: readonly number[]
}

/**
 * The shards among the names of a folder without an index, where they are those of one model and nothing else is;
 * undefined otherwise.
 */
export const findUnindexed = (names: readonly string[]): Unindexed | undefined => {
  const files = names.filter((name) => name.endsWith('.safetensors') && !name.startsWith('.'))
  const numbered = files.flatMap((name) => {
    const shard = shardNumber(name)
    return shard === undefined ? [] : [{ name, ...shard }]
  })
  const [first] = numbered
  if (
    first === undefined ||
    first.of < 2 ||
    numbered.length < files.length ||
    names.some((name) => name.endsWith('.safetensors.index.json'))
  )
    return undefined
  if (numbered.some((shard) => shard.stem !== first.stem || shard.of !== first.of)) return undefined
  const sorted = numbered.toSorted((x, y) => x.number - y.number)
  return {
    stem: first.stem,
    of: first.of,
    shards: sorted.map((shard) => shard.name),
    numbers: sorted.map((shard) => shard.number),
  }
}

const checkNumbers = (path: string, shards: readonly string[]): Diagnostic[] => {
  const numbered = shards.map(shardNumber).filter((shard) => shard !== undefined)
  const totals = new Set(numbered.map((shard) => shard.of))
  const [total] = totals
  if (total === undefined) return []
  const present = new Set(numbered.map((shard) => shard.number))
  // Not an array of `total` numbers: a hostile name may claim 999,999 of them.
  const whole =
    totals.size === 1 && present.size === total && [...present].every((number) => number >= 1 && number <= total)
  return whole ? [] : [problems.shardsOddlyNumbered(path, [...present], greatest(totals))]
}
