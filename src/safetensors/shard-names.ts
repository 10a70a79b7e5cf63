import * as problems from '../base/catalogue/sharded-index.js'
import type { ShardNameFlaw } from '../base/catalogue/sharded-index.js'
import type { Diagnostic } from '../base/diagnostic.js'
import { greatest } from '../base/lists.js'

/** Judges the file names that an index gives: none may lead out of its folder on any system, nor fall together on one that ignores case. */
export const checkShardNames = (path: string, shards: readonly string[]): Diagnostic[] => {
  const refused = shards.flatMap((shard) => {
    const flaw = flawOf(shard)
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
  ['suffix', /(?<!\.safetensors)$/],
]

/** The first reason against a shard's name, or undefined. */
const flawOf = (shard: string): ShardNameFlaw | undefined => FLAWS.find(([, pattern]) => pattern.test(shard))?.[0]

const NUMBERED = /^(.*)-(\d{5,6})-of-(\d{5,6})\.safetensors$/s

/** The number of a shard and how many there are of it, told from its name, or undefined. */
export const shardNumber = (name: string): { readonly stem: string; readonly number: number; readonly of: number } | undefined => {
  const [, stem, number, of] = NUMBERED.exec(name) ?? []
  return stem === undefined ? undefined : { stem, number: Number(number), of: Number(of) }
}

const checkNumbers = (path: string, shards: readonly string[]): Diagnostic[] => {
  const numbered = shards.map(shardNumber).filter((shard) => shard !== undefined)
  const totals = new Set(numbered.map((shard) => shard.of))
  const [total] = totals
  if (total === undefined) return []
  const present = new Set(numbered.map((shard) => shard.number))
  // Not an array of `total` numbers: a hostile name may claim 999,999 of them.
  const whole = totals.size === 1 && present.size === total && [...present].every((number) => number >= 1 && number <= total)
  return whole ? [] : [problems.shardsOddlyNumbered(path, [...present], greatest(totals))]
}
