import { appendFileSync, renameSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { shortDigest } from '../base/digest.js'
import { errorCode } from '../safetensors/io-problem.js'
import { makeFolder } from '../safetensors/make-folder.js'
import { readRegularSync, specialKind } from '../safetensors/regular-file.js'

/**
 * The result of a measure, in a form that can be cached. For a `top` mask: which of the elements with exactly these
 * magnitude bits are in it.
 */
export type StoredOutcome =
  | { readonly type: 'number'; readonly value: number }
  | { readonly type: 'top'; readonly bits: number; readonly cut: Cut }

/**
 * All elements with equal magnitude, none of them, or those before an element: of the tensor itself, whatever its name,
 * or, for a measure
 * over several tensors, in the order of names and indexes.
 */
export type Cut = 'all' | 'none' | { readonly tensor?: string; readonly at: number }

/** Results of measures by fingerprint, from all builds that used the cache lately. */
export interface Outcomes {
  /** True if there can be none, so that no fingerprint needs to be computed for a lookup. */
  isEmpty(): boolean
  find(fingerprint: string): StoredOutcome | undefined
  /** Stores results for later builds. Throws errors of the file system. */
  keep(outcomes: ReadonlyMap<string, StoredOutcome>): void
}

/**
 * Two logs, a new and an old one. Used results are appended to the new log; when it is full it replaces the old one. So
 * results that were not used for the length of a log are dropped, without any bookkeeping.
 */
const [YOUNG, OLD] = ['outcomes.young', 'outcomes.old']

/** A result as one line, with a checksum. */
export const encodeOutcome = (fingerprint: string, outcome: StoredOutcome): string => {
  const payload =
    outcome.type === 'number'
      ? [fingerprint, 'n', Object.is(outcome.value, -0) ? '-0' : String(outcome.value)]
      : [fingerprint, 't', outcome.bits, outcome.cut]
  const text = JSON.stringify(payload)
  return `${shortDigest(text).slice(0, 16)} ${text}\n`
}

/** Reads such a line; undefined if it is torn or altered. */
export const decodeOutcome = (line: string): readonly [string, StoredOutcome] | undefined => {
  const text = line.slice(17)
  // A torn or altered line fails here, and is as if it had never been written.
  if (line.length < 18 || line.slice(0, 16) !== shortDigest(text).slice(0, 16)) return undefined
  const [fingerprint, type, value, cut] = JSON.parse(text) as [string, 'n' | 't', string | number, Cut]
  return [
    fingerprint,
    type === 'n' ? { type: 'number', value: Number(value) } : { type: 'top', bits: Number(value), cut },
  ]
}

/** The results of a log. A line is checked and read when its result is asked for: of many few may be. */
interface Log {
  isEmpty(): boolean
  get(fingerprint: string): StoredOutcome | undefined
  set(fingerprint: string, outcome: StoredOutcome): void
}

/** Where the fingerprint begins in a line: after the checksum and `["`. */
const BEGIN = 19

const readLog = (path: string): Log => {
  const lines = new Map<string, string>()
  const read = new Map<string, StoredOutcome | undefined>()
  for (const line of linesOf(path)) lines.set(line.slice(BEGIN, line.indexOf('"', BEGIN)), line)
  return {
    isEmpty: () => lines.size + read.size === 0,
    get: (fingerprint) => {
      const line = lines.get(fingerprint)
      if (line !== undefined && !read.has(fingerprint)) {
        const found = decodeOutcome(line)
        read.set(fingerprint, found?.[0] === fingerprint ? found[1] : undefined)
      }
      return read.get(fingerprint)
    },
    set: (fingerprint, outcome) => void read.set(fingerprint, outcome),
  }
}

const linesOf = (path: string): readonly string[] => {
  try {
    return (readRegularSync(path) ?? '').split('\n').filter((line) => line.length > BEGIN)
  } catch {
    return []
  }
}

/**
 * Makes the young log the old one. Another process may have done it a moment before, which costs what is in one log and
 * no more.
 */
const rotate = (young: string, old: string): void => {
  try {
    renameSync(young, old)
  } catch (error) {
    if (errorCode(error) !== 'ENOENT') throw error
  }
}

/** Opens the outcomes of a store's folder; each log grows to about `limit` bytes. Reads at the first look-up. */
export const openOutcomes = (folder: string, limit: number): Outcomes => {
  const [young, old] = [join(folder, YOUNG), join(folder, OLD)]
  let logs: { readonly young: Log; readonly old: Log } | undefined
  const read = () => (logs ??= { young: readLog(young), old: readLog(old) })
  return {
    isEmpty: () => read().young.isEmpty() && read().old.isEmpty(),
    find: (fingerprint) => read().young.get(fingerprint) ?? read().old.get(fingerprint),
    keep: (outcomes) => {
      const known = read().young
      const fresh = [...outcomes].filter(([fingerprint]) => known.get(fingerprint) === undefined)
      if (fresh.length === 0) return
      // Outcomes may be the first to be kept.
      makeFolder(folder)
      const found = statSync(young, { throwIfNoEntry: false })
      // Appending to a FIFO would wait for its reader.
      if (found !== undefined && specialKind(found) !== undefined) rmSync(young, { force: true })
      else if ((found?.size ?? 0) > limit) rotate(young, old)
      // A line torn by a crash must not swallow the first of these.
      appendFileSync(young, `\n${fresh.map(([fingerprint, outcome]) => encodeOutcome(fingerprint, outcome)).join('')}`)
      for (const [fingerprint, outcome] of fresh) known.set(fingerprint, outcome)
    },
  }
}
