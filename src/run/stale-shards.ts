import { readdirSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { shardsLeft, sidesLeft } from '../base/catalogue/shards-left.js'
import type { Diagnostic } from '../base/diagnostic.js'
import { isSideFile } from '../plan/model-folder.js'
import { pathsOf } from '../plan/outputs.js'
import type { PlannedOutput } from '../plan/plan.js'
import { INDEX_SUFFIX } from '../safetensors/sharded-index.js'

const SHARD = /^(.+)-\d{5}-of-\d{5}\.safetensors$/

/** The name that a file of a model begins with, whether it is a shard, an index or all there is. */
const stemOf = (name: string): string =>
  SHARD.exec(name)?.[1] ?? name.replace(INDEX_SUFFIX, '').replace(/\.safetensors$/, '')

const namesIn = (folder: string): readonly string[] => {
  try {
    return readdirSync(folder)
  } catch {
    // The output is written; what lies beside it is only worth a warning.
    return []
  }
}

/**
 * Warns of shards and indexes that lie beside outputs, under their names, and belong to none: those of a build with
 * another `shard_size`. Of a folder also of other models and of side files, such as those of another tokenizer.
 */
export const warnOfStaleShards = (outputs: readonly PlannedOutput[]): Diagnostic[] => {
  const own = new Set(outputs.flatMap(pathsOf))
  return outputs
    .filter((o) => o.kept === undefined)
    .flatMap((output) => {
      const [path] = pathsOf(output)
      if (path === undefined) return []
      const [folder, stem] = [dirname(path), stemOf(basename(path))]
      const left = namesIn(folder)
        .filter((name) => !own.has(join(folder, name)))
        .sort()
      const isModel = (name: string): boolean =>
        SHARD.exec(name)?.[1] === stem ||
        name === stem + INDEX_SUFFIX ||
        (output.sides.length > 0 && name.endsWith('.safetensors'))
      const [shards, sides] = [left.filter(isModel), output.sides.length > 0 ? left.filter(isSideFile) : []]
      return [
        ...(shards.length === 0 ? [] : [shardsLeft(output.label, shards)]),
        ...(sides.length === 0 ? [] : [sidesLeft(output.label, sides)]),
      ]
    })
}
