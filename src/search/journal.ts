import { appendFile, readFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { journalOfOther, journalUnread } from '../base/catalogue/search.js'
import { canonicalJson } from '../base/canonical.js'
import { isObject } from '../base/is-object.js'
import { failed, ok, type Result } from '../base/result.js'
import { writeOutput } from '../safetensors/output.js'

/** A trial of a search. */
export interface Trial {
  /** The params that were searched, in the order of `--over`. */
  readonly values: readonly number[]
  /** Null where the trial failed. */
  readonly score: number | null
}

/** What the trials of a search depend on besides the scores: with another of these, a journal is of another search. */
export interface SearchKey {
  readonly version: number
  /** Digest of the recipe's text. */
  readonly recipe: string
  readonly set: Readonly<Record<string, string>>
  readonly over: readonly { readonly name: string; readonly low: number; readonly high: number }[]
  readonly score: string
  readonly goal: 'maximize' | 'minimize'
  readonly seed: string
}

/** The path of a recipe's search journal: beside it, `NAME.search.jsonl` for `NAME.yaml`. */
export const searchJournalPath = (recipe: string): string =>
  join(dirname(recipe), `${basename(recipe).replace(/\.(ya?ml|json)$/i, '')}.search.jsonl`)

const isTrial = (value: unknown, dimensions: number): value is Trial =>
  isObject(value) &&
  Array.isArray(value['values']) &&
  value['values'].length === dimensions &&
  value['values'].every((v) => typeof v === 'number') &&
  (value['score'] === null || typeof value['score'] === 'number')

const parseLine = (line: string): unknown => {
  try {
    return JSON.parse(line)
  } catch {
    return undefined
  }
}

const lineOf = (value: unknown): string => `${JSON.stringify(value)}\n`

/** The trials of a search on disk: a line for the search, and one for each trial. */
export interface SearchJournal {
  readonly trials: readonly Trial[]
  /** Adds a trial; a kill leaves at most its line unfinished. */
  add(trial: Trial): Promise<void>
}

/**
 * Opens the journal of a search, with the trials of earlier runs unless it is to `restart`; an unfinished last line is
 * dropped.
 */
export const openSearchJournal = async (
  path: string,
  key: SearchKey,
  restart: boolean,
): Promise<Result<SearchJournal>> => {
  const before = restart ? '' : await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => error)
  if (typeof before !== 'string' && before.code !== 'ENOENT') return failed(journalUnread(path, before.message))
  const text = typeof before === 'string' ? before : ''
  const lines = text.split('\n').slice(0, -1)
  const [head, ...rest] = lines.map(parseLine)
  if (lines.length > 0 && canonicalJson(head ?? null) !== canonicalJson({ ...key })) return failed(journalOfOther(path))
  const wrong = rest.findIndex((line) => !isTrial(line, key.over.length))
  if (wrong !== -1) return failed(journalUnread(path, `line ${wrong + 2}`))
  const trials = rest as readonly Trial[]
  const written = await writeOutput(path, new TextEncoder().encode([key, ...trials].map(lineOf).join('')))
  if (written.type === 'failed') return written
  return ok({ trials, add: (trial) => appendFile(path, lineOf(trial), { flush: true }) })
}
