import type { Golden } from './scene.js'

/** Bytes of files by their path relative to the folder of a recipe. */
export type Files = ReadonlyMap<string, Buffer>

/**
 * What stands under the names of an output, judged by its bytes alone. `none`: a reader finds nothing, or shards
 * without an index;
 * `old`, `new`: all of one build; `torn`: a file that is not what any build wrote; `mixed`: whole files of two builds
 * that a reader takes for one model;
 * `unlocked`: `new`, but not yet the lock; `early`: the lock speaks of outputs that are not there.
 */
export type Verdict = 'none' | 'old' | 'new' | 'unlocked' | 'torn' | 'mixed' | 'early'

/** True for what must never be seen, whatever happens to a build. */
export const isWrong = (verdict: Verdict): boolean => verdict === 'torn' || verdict === 'mixed' || verdict === 'early'

type Build = 'old' | 'new'
const BUILDS: readonly Build[] = ['old', 'new']

/** Judges the files that were found by those that undisturbed builds wrote. */
export const judge = (found: Files, golden: Golden): Verdict => {
  const same = (name: string): readonly Build[] =>
    BUILDS.filter((build) => golden[build].get(name)?.equals(found.get(name)!) === true)
  const names = [...golden.new.keys()]
  const outputs = names.filter((name) => name.startsWith('out/'))
  const present = outputs.filter((name) => found.has(name))
  if (present.some((name) => same(name).length === 0)) return 'torn'
  const verdict = judgeOutputs(outputs, present, same)
  const lock = names.find((name) => !name.startsWith('out/'))
  if (lock === undefined || verdict === 'mixed') return verdict
  const speaksOf = found.has(lock) ? same(lock) : []
  if (found.has(lock) && speaksOf.length === 0) return 'torn'
  if (verdict === 'new') return speaksOf.includes('new') ? 'new' : 'unlocked'
  return speaksOf.includes('new') && !speaksOf.includes('old') ? 'early' : verdict
}

const judgeOutputs = (
  outputs: readonly string[],
  present: readonly string[],
  same: (name: string) => readonly Build[],
): Verdict => {
  const index = outputs.find((name) => name.endsWith('.index.json'))
  if (present.length === 0 || (index !== undefined && !present.includes(index))) return 'none'
  // With an index there, every shard it names has to be.
  if (present.length < outputs.length) return 'mixed'
  return [...BUILDS].reverse().find((build) => outputs.every((name) => same(name).includes(build))) ?? 'mixed'
}
