import { existsSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import {
  mended,
  nothingToIndex,
  repairTargetExists,
  shardsDisagree,
  shardsIncomplete,
} from '../base/catalogue/repair.js'
import type { Diagnostic } from '../base/diagnostic.js'
import { append } from '../base/lists.js'
import { failed, ok, type Result } from '../base/result.js'
import { openingProblem, readHeader } from './open.js'
import { writeOutput } from './output.js'
import type { Repaired } from './repair.js'
import { findUnindexed } from './shard-names.js'
import { INDEX_SUFFIX } from './sharded-index.js'
import { indexText } from './shards.js'

/** Writes the index of the shards in a folder that has none: every tensor of every shard, as their headers say. */
export const repairIndex = async (folder: string): Promise<Result<Repaired>> => {
  const names = await readdir(folder).catch((error: unknown) => openingProblem(error, folder))
  if (!Array.isArray(names)) return failed(names)
  const set = findUnindexed(names)
  if (set === undefined) return failed(nothingToIndex(folder))
  if (set.shards.length < set.of) return failed(shardsIncomplete(folder, set.numbers, set.of))
  const problems: Diagnostic[] = []
  const shardOf = new Map<string, string>()
  let total = 0
  for (const shard of set.shards) {
    const file = await readHeader(join(folder, shard))
    append(problems, file.diagnostics)
    if (file.type === 'failed') continue
    total += file.value.bytes
    for (const name of file.value.tensors.keys()) {
      const first = shardOf.get(name)
      if (first !== undefined) return failed(...problems, shardsDisagree(folder, name, first, shard))
      shardOf.set(name, shard)
    }
  }
  if (problems.some((d) => d.severity === 'error')) return failed(...problems)
  const out = join(folder, set.stem + INDEX_SUFFIX)
  const bytes = Buffer.from(indexText([...shardOf], total))
  const written = await writeOutput(out, bytes, { fresh: true })
  if (written.type === 'failed') return existsSync(out) ? failed(repairTargetExists(out)) : written
  return ok(
    {
      path: folder,
      out,
      mended: [mended.index(set.stem + INDEX_SUFFIX, set.of)],
      tensors: shardOf.size,
      bytes: bytes.length,
    },
    problems,
  )
}
