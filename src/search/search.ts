import { rm } from 'node:fs/promises'
import { existsSync } from 'node:fs'
import { dirname, join, resolve, sep } from 'node:path'
import {
  overMissing,
  overTwice,
  scoreFailed,
  scoreMissing,
  searchGivenUp,
  searchOfSettings,
  searchOutside,
} from '../base/catalogue/search.js'
import { stopped } from '../base/catalogue/run.js'
import type { Diagnostic } from '../base/diagnostic.js'
import { blake3, toDigest } from '../base/digest.js'
import { resolvePath } from '../base/resolve-path.js'
import { failed, ok, type Result } from '../base/result.js'
import { readDocument } from '../document/read.js'
import { readDeclarations } from '../recipe/params.js'
import { parse } from '../recipe/parse.js'
import { expandSettings } from '../recipe/settings.js'
import { build, type BuildOptions } from '../run/build.js'
import { readParts, readSource } from '../run/parts.js'
import { openSearchJournal, searchJournalPath, type SearchJournal, type SearchKey, type Trial } from './journal.js'
import { createOptimizer } from './optimizer.js'
import { placeOf, readOver, valueAt, type Dimension } from './over.js'
import { checkScoreCommand, fillCommand, runScore } from './score.js'

/** What a search is told. */
export interface SearchOptions {
  /** `name=low:high` for each param to search. */
  readonly over: readonly string[]
  readonly set: Readonly<Record<string, string>>
  /** A command of the shell, with `{output}` or `{output:NAME}` for the path of an output. */
  readonly score: string
  /** The folder that the command runs in. */
  readonly folder: string
  readonly windows: boolean
  readonly goal: 'maximize' | 'minimize'
  readonly seed: string
  /** The most trials, those of earlier runs included. */
  readonly trials: number
  /** True once no further trial is to begin. */
  readonly isOver: () => boolean
  /** Forgets the trials of earlier runs. */
  readonly restart: boolean
  readonly signal: AbortSignal
  readonly build: Pick<BuildOptions, 'workers' | 'device' | 'hub' | 'store' | 'places' | 'render'>
  /** Called when trials of an earlier run were found. */
  readonly resumed: (trials: number, journal: string) => void
  /** Called after each trial, with what went wrong in it. */
  readonly tried: (search: Found, problems: readonly Diagnostic[]) => void
}

/** A search, at its end or after some trial. */
export interface Found {
  readonly dimensions: readonly Dimension[]
  readonly trials: readonly Trial[]
  /** Index of the best trial; undefined while none has a score. Of equal ones the first. */
  readonly best: number | undefined
  /** The folder with the outputs of the best trial, if they are still there. */
  readonly output: string | undefined
  /** The text of the recipe that was searched. */
  readonly text: string
}

/** Failed trials in a row that end a search. */
const MOST_FAILURES = 3

/** The version of journals: another optimizer proposes other points. */
const VERSION = 1

const isBetter = (goal: SearchOptions['goal'], score: number, than: number): boolean =>
  goal === 'maximize' ? score > than : score < than

const bestOf = (goal: SearchOptions['goal'], trials: readonly Trial[]): number | undefined => {
  let best: number | undefined
  for (const [i, { score }] of trials.entries())
    if (score !== null && (best === undefined || isBetter(goal, score, trials[best]!.score!))) best = i
  return best
}

/** What a search needs to know of its recipe, or why it cannot be searched. */
interface Subject {
  readonly text: string
  readonly folder: string
  readonly dimensions: readonly Dimension[]
}

const readSubject = async (path: string, options: SearchOptions): Promise<Result<Subject>> => {
  const source = await readSource(path, 'a recipe')
  if (source.type === 'failed') return source
  const recipe = parse(source.value, { set: options.set }, await readParts(source.value))
  const document = readDocument(source.value)
  if (recipe.type === 'failed') return recipe
  if (document.type === 'failed') return document
  const { declarations } = readDeclarations(document.value, false)
  const numbers = [...declarations.values()].filter(({ expected }) => expected.type === 'number')
  if (options.over.length === 0) return failed(overMissing(numbers.map(({ name }) => name)))
  const dimensions = readOver(options.over, declarations)
  if (dimensions.type === 'failed') return dimensions
  const fixed = dimensions.value.find(({ name }) => Object.hasOwn(options.set, name))
  if (fixed !== undefined) return failed(overTwice(fixed.name))
  const starts = Object.fromEntries(dimensions.value.map(({ name, start }) => [name, String(start)]))
  const settings = expandSettings(source.value, { ...options.set, ...starts })
  if (settings.type === 'failed') return settings
  if (settings.value.length > 1) return failed(searchOfSettings(settings.value.length))
  const outputs = [...recipe.value.outputs.values()]
  const wrong = checkScoreCommand(
    options.score,
    outputs.map(({ name }) => name),
  )
  if (wrong !== undefined) return failed(wrong)
  const folder = dirname(resolve(path))
  const outside = outputs.find((o) => !resolvePath(folder, o.path).startsWith(`${folder}${sep}`))
  if (outside !== undefined) return failed(searchOutside(outside.name, outside.path))
  return ok({ text: source.value.text, folder, dimensions: dimensions.value })
}

/** Builds one setting into a folder and scores it. */
const runTrial = async (
  path: string,
  text: string,
  number: number,
  out: string,
  set: Readonly<Record<string, string>>,
  options: SearchOptions,
): Promise<{ readonly score: number | null; readonly problems: readonly Diagnostic[] }> => {
  await rm(out, { recursive: true, force: true })
  const built = await build(path, { ...options.build, text, set, out, lock: false, signal: options.signal })
  if (built.type === 'failed') return { score: null, problems: built.diagnostics }
  const paths = new Map([
    ...built.value.outputs.map(({ name, paths: files }) => {
      const index = files.find((file) => file.endsWith('.index.json'))
      return [name, index ?? files[0]!] as const
    }),
    ...built.value.reports.map((report) => [report.name, report.path] as const),
  ])
  const command = fillCommand(options.score, paths, options.windows)
  const { score, ended, complaint } = await runScore(command, options.folder, options.signal)
  if (score !== undefined) return { score, problems: [] }
  return { score: null, problems: [ended === undefined ? scoreMissing(number) : scoreFailed(number, ended, complaint)] }
}

/** Asks the optimizer for the next values, and tells it what came of them. */
const createProposer = (dimensions: readonly Dimension[], { seed, goal }: SearchOptions) => {
  const optimizer = createOptimizer(
    dimensions.map((d) => placeOf(d, d.start)),
    seed,
  )
  let isFirst = true
  return {
    next: (): readonly number[] => {
      const point = optimizer.ask()
      const values = dimensions.map((d, i) => (isFirst ? d.start : valueAt(d, point[i]!)))
      isFirst = false
      return values
    },
    tell: (score: number | null): void =>
      optimizer.tell(score === null ? undefined : goal === 'maximize' ? -score : score),
  }
}

/**
 * Searches the params of a recipe for the best score. The first trial is the recipe as it is. Every trial goes into the
 * journal beside the recipe, and trials that stand there are not run again.
 */
export const search = async (path: string, options: SearchOptions): Promise<Result<Found>> => {
  const subject = await readSubject(path, options)
  if (subject.type === 'failed') return subject
  const { text, dimensions, folder } = subject.value
  const key: SearchKey = {
    version: VERSION,
    recipe: toDigest(blake3(text)),
    set: options.set,
    over: dimensions.map(({ name, low, high }) => ({ name, low, high })),
    score: options.score,
    goal: options.goal,
    seed: options.seed,
  }
  const journal = await openSearchJournal(searchJournalPath(resolve(path)), key, options.restart)
  if (journal.type === 'failed') return journal
  if (journal.value.trials.length > 0) options.resumed(journal.value.trials.length, searchJournalPath(path))
  return runTrials(path, { text, folder, dimensions }, journal.value, options)
}

const runTrials = async (
  path: string,
  { text, folder, dimensions }: Subject,
  journal: SearchJournal,
  options: SearchOptions,
): Promise<Result<Found>> => {
  const { goal } = options
  const proposer = createProposer(dimensions, options)
  const trials = [...journal.trials]
  for (const { score } of trials) {
    proposer.next()
    proposer.tell(score)
  }
  const folderOf = (index: number): string => join(folder, '.smelt', 'search', `trial-${index + 1}`)
  const found = (): Found => {
    const best = bestOf(goal, trials)
    const output = best === undefined ? undefined : folderOf(best)
    return {
      dimensions,
      trials: [...trials],
      best,
      output: output !== undefined && existsSync(output) ? output : undefined,
      text,
    }
  }
  for (let failures = 0; trials.length < options.trials && !options.isOver();) {
    const values = proposer.next()
    const set = Object.fromEntries(dimensions.map(({ name }, i) => [name, String(values[i]!)]))
    const [index, before] = [trials.length, bestOf(goal, trials)]
    const { score, problems } = await runTrial(
      path,
      text,
      index + 1,
      folderOf(index),
      { ...options.set, ...set },
      options,
    )
    if (options.signal.aborted) {
      await rm(folderOf(index), { recursive: true, force: true })
      return failed(stopped())
    }
    // What stops the first trial of all, before anything is scored, would stop the others too.
    if (index === 0 && problems.some((d) => d.severity === 'error')) return failed(...problems)
    const trial: Trial = { values, score }
    await journal.add(trial)
    proposer.tell(score)
    trials.push(trial)
    const isBest = bestOf(goal, trials) === index
    const spare = isBest ? before : index
    if (spare !== undefined) await rm(folderOf(spare), { recursive: true, force: true })
    options.tried(found(), problems)
    failures = score === null ? failures + 1 : 0
    if (failures === MOST_FAILURES) return failed(searchGivenUp(failures))
  }
  return ok(found())
}
