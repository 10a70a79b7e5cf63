/**
 * The folder of a run: all that its driver and its tasks know of each other, on the file system that they share.
 *
 * - `plan.json`: what the run is; `recipe/`: a copy of the recipe
 * - `parts/N.json`: what part N and those after it do, a hundred together; `work`: the plans of all parts
 * - `attempts/N.K.json`: that attempt K at part N began, and where
 * - `beats/N.K`: written every few seconds while it works; only the time of the file counts
 * - `events/N.K.jsonl`: what it told, as `smelt build --json` does
 * - `results/N.json`: that part N is done; the first attempt that links it there wins
 * - `driver.json`, `driver.claim`: how tasks are started; which driver is alive
 * - `submitted.jsonl`: what the drivers have handed to the scheduler, one after the other
 * - `cancelled`, `alarm.json`, `committed.json`: why no more work is to be done
 * - `account.json`: who did each part, once all are done
 *
 * Shared file systems have links and renames that are atomic within a folder, and nothing else that can be trusted: no
 * locks, no appending by two, listings that lag. So each file has one writer, and appears whole or not at all.
 */
import { randomBytes } from 'node:crypto'
import {
  appendFileSync,
  existsSync,
  linkSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { runFileInvalid, runFileMissing } from '../base/catalogue/cluster.js'
import { canonicalJson } from '../base/canonical.js'
import type { Digest } from '../base/digest.js'
import { reasonOf } from '../base/reason.js'
import { failed, ok, type Result } from '../base/result.js'
import type { JsonSchema } from '../document/schema.js'
import { firstViolation } from '../document/validate.js'
import { errorCode, ioProblem } from '../safetensors/io-problem.js'
import { makeFolder } from '../safetensors/make-folder.js'
import { readRegularSync } from '../safetensors/regular-file.js'
import {
  accountSchema,
  alarmSchema,
  attemptSchema,
  driverSchema,
  jobSchema,
  planSchema,
  resultSchema,
} from './layout-schema.js'
import type { PlanPlace } from './part-plan.js'
import type { Staged } from './stage.js'

/** The parts of a run that can be done at one time, whose numbers follow each other; a later stage reads its results. */
export interface RunStage {
  readonly first: number
  readonly parts: number
  /** Bytes that its parts read and write together. */
  readonly bytes: number
}

/** What a run is. Nothing in it changes once it is laid out; `id` is the digest of all the rest. */
export interface RunPlan {
  readonly format: 1
  readonly id: string
  /** The versions that every task must have: smelt's, and the major one of Node.js. */
  readonly smelt: string
  readonly node: number
  /** Absolute path of the recipe that was copied, which its paths are relative to. */
  readonly recipe: string
  readonly name: string
  readonly set: Readonly<Record<string, string>>
  readonly rows: readonly Readonly<Record<string, string>>[]
  /** Absolute. */
  readonly out?: string
  readonly device: string
  readonly engine?: string
  /** The files that are read, as they must still be; times in ns as decimal texts. */
  readonly inputs: readonly { readonly path: string; readonly size: string; readonly mtime: string }[]
  readonly outputs: readonly { readonly path: string; readonly bytes: number; readonly header: Digest }[]
  readonly stages: readonly RunStage[]
}

/** What one part does. */
export interface RunPart {
  readonly number: number
  readonly stage: number
  /** Measures are taken for parts of the next stage; tensors are written; a report is drawn. */
  readonly type: 'measures' | 'tensors' | 'report'
  /** Bytes to read and write. */
  readonly bytes: number
  /** The jobs of the plan that are its own. */
  readonly jobs: readonly string[]
  /** The measures whose results it gives. */
  readonly measures: readonly string[]
  /** Absolute final paths. */
  readonly reports: readonly string[]
  /** Tensors of inputs that are read for their digests alone. */
  readonly reads: readonly { readonly path: string; readonly tensor: string }[]
  /** Where it is written down as a plan; undefined where a task has to plan it. */
  readonly work?: PlanPlace
}

/** Which process began a part, and where. */
export interface RunAttempt {
  readonly part: number
  /** From 1. */
  readonly attempt: number
  readonly host: string
  readonly pid: number
  /** As an ISO date, by the clock of the host. */
  readonly started: string
  /** What the scheduler calls it. */
  readonly job?: string
  /** The GPUs that it may use, as Slurm or `CUDA_VISIBLE_DEVICES` names them. */
  readonly gpus?: string
}

/** Who did the parts of a run. */
export interface RunAccount {
  readonly parts: readonly (Pick<
    PartResult,
    'part' | 'attempt' | 'host' | 'device' | 'reason' | 'seconds' | 'readBytes' | 'writtenBytes' | 'staged'
  > & { readonly type: RunPart['type']; readonly attempts: readonly RunAttempt[] })[]
}

/** A tensor of a file, and what its numbers are. */
export interface DigestedPlace {
  readonly path: string
  readonly tensor: string
  readonly digest: Digest
}

/** What a finished part came to. Attempts at one part differ in where and how fast, never in `content`. */
export interface PartResult {
  readonly part: number
  readonly attempt: number
  readonly host: string
  readonly device: string
  /** What that device is, and why it was taken. */
  readonly reason: string
  /** Digest of `written`, `read`, `outcomes` and the digests of `reports`. */
  readonly content: Digest
  /** Tensors of outputs by their final paths, and tensors of inputs that were read whole. */
  readonly written: readonly DigestedPlace[]
  readonly read: readonly DigestedPlace[]
  /** Results of measures, as the build cache writes them. */
  readonly outcomes: readonly string[]
  readonly reports: readonly { readonly path: string; readonly digest: Digest; readonly file: string }[]
  /** Where the bytes for each output file are until the commit, how long that file is, and its time in ns. */
  readonly files: readonly {
    readonly path: string
    readonly file: string
    readonly bytes: number
    readonly mtime: string
  }[]
  readonly odd: readonly { readonly path: string; readonly tensor: string; readonly oddity: string }[]
  readonly seconds: number
  readonly readBytes: number
  readonly writtenBytes: number
  /** What it had of the copies of inputs on its machine, if it was told to use some. */
  readonly staged?: Staged
}

/** Who starts the tasks. `options` are the scheduler's own. */
export interface RunDriver {
  readonly scheduler: 'exec' | 'slurm' | 'kubernetes'
  readonly started: string
  /** Where tasks keep copies of inputs on their machines, as the user wrote it. */
  readonly stage?: string
  readonly options: Readonly<Record<string, unknown>>
}

/** Parts that were handed to a scheduler, and what it calls the job. */
export interface RunJob {
  readonly id: string
  readonly parts: readonly number[]
}

/** Two attempts at one part that came to different contents: nothing of the run can be trusted. */
export interface RunAlarm {
  readonly part: number
  readonly attempts: readonly number[]
  readonly hosts: readonly string[]
  /** Names of what differs, the first of them. */
  readonly differs: readonly string[]
}

/** The folder of a run: `.smelt/runs/ID` beside its recipe, where its lock will be, unless another is asked for. */
export const runFolder = (recipe: string, id: string, runs?: string): string =>
  join(runs === undefined ? join(dirname(resolve(recipe)), '.smelt', 'runs') : resolve(runs), id)

const FOLDERS = ['parts', 'attempts', 'beats', 'events', 'results', 'recipe', 'reports', 'logs'] as const

/** Where the files of a run are. */
export const placesOf = (run: string) => ({
  plan: join(run, 'plan.json'),
  recipe: join(run, 'recipe', 'recipe.yaml'),
  used: join(run, 'recipe', 'used.json'),
  answers: join(run, 'recipe', 'answers.json'),
  work: join(run, 'parts', 'work'),
  driver: join(run, 'driver.json'),
  claim: join(run, 'driver.claim'),
  submitted: join(run, 'submitted.jsonl'),
  cancelled: join(run, 'cancelled'),
  alarm: join(run, 'alarm.json'),
  committed: join(run, 'committed.json'),
  account: join(run, 'account.json'),
  parts: (first: number): string => join(run, 'parts', `${first}.json`),
  attempt: (part: number, attempt: number): string => join(run, 'attempts', `${part}.${attempt}.json`),
  beat: (part: number, attempt: number): string => join(run, 'beats', `${part}.${attempt}`),
  events: (part: number, attempt: number): string => join(run, 'events', `${part}.${attempt}.jsonl`),
  result: (part: number): string => join(run, 'results', `${part}.json`),
  /** What a task says on its standard error. */
  log: (part: number, attempt: number): string => join(run, 'logs', `${part}.${attempt}.txt`),
  report: (part: number, attempt: number, index: number): string => join(run, 'reports', `${part}.${attempt}.${index}`),
})

/** Makes the folder of a run and those in it. Throws what the system says. */
export const makeRunFolder = (run: string): void => {
  for (const folder of FOLDERS) makeFolder(join(run, folder))
}

const textOf = (value: object): string => `${canonicalJson(value, 1)}\n`

/** A name in the same folder that nobody else writes. */
const ownName = (path: string): string => `${path}.${randomBytes(6).toString('hex')}.tmp`

/** Writes a file that only its writer replaces: whole, or not at all. Throws what the system says. */
export const writeWhole = (path: string, value: object): void => {
  const temporary = ownName(path)
  try {
    writeFileSync(temporary, textOf(value), { flush: true })
    renameSync(temporary, path)
  } catch (error) {
    rmSync(temporary, { force: true })
    throw error
  }
}

/**
 * Writes a file that the first of several writers makes: whole, by a link, which fails where one is. False for all but
 * the first. Throws what the system says.
 */
export const writeOnce = (path: string, text: string): boolean => {
  const temporary = ownName(path)
  try {
    writeFileSync(temporary, text, { flush: true })
    linkSync(temporary, path)
    return true
  } catch (error) {
    if (errorCode(error) !== 'EEXIST') throw error
    // A server that answers late may be asked twice: the link is ours if the file has two names.
    return statSync(temporary).nlink === 2
  } finally {
    rmSync(temporary, { force: true })
  }
}

const read = <T>(path: string, schema: JsonSchema): Result<T | undefined> => {
  let text: string | undefined
  try {
    text = readRegularSync(path)
  } catch (error) {
    return errorCode(error) === 'ENOENT' ? ok(undefined) : failed(ioProblem(error, path, 'read'))
  }
  try {
    const value: unknown = JSON.parse(text ?? '')
    const wrong = firstViolation(value, schema)
    return wrong === undefined ? ok(value as T) : failed(runFileInvalid(path, wrong))
  } catch (error) {
    return failed(runFileInvalid(path, reasonOf(error)))
  }
}

/** Reads a file that has to be there. */
export const demand = <T>(path: string, schema: JsonSchema): Result<T> => {
  const found = read<T>(path, schema)
  if (found.type === 'failed') return found
  return found.value === undefined ? failed(runFileMissing(path)) : ok(found.value)
}

/** Reads what a run is. */
export const readPlan = (run: string): Result<RunPlan> => demand(placesOf(run).plan, planSchema)

/** Reads what a part came to; undefined if it is not done. */
export const readResult = (run: string, part: number): Result<PartResult | undefined> =>
  read(placesOf(run).result(part), resultSchema)

/** Reads who began a part; undefined where nobody can have. */
export const readAttempt = (run: string, part: number, attempt: number): Result<RunAttempt | undefined> =>
  read(placesOf(run).attempt(part, attempt), attemptSchema)

/** Reads who starts the tasks; undefined if nobody does yet. */
export const readDriver = (run: string): Result<RunDriver | undefined> => read(placesOf(run).driver, driverSchema)

/** Reads who did the parts of a run; undefined if that was not written down yet. */
export const readAccount = (run: string): Result<RunAccount | undefined> => read(placesOf(run).account, accountSchema)

/** Reads what was handed to a scheduler; undefined if nothing ever was. Throws what the system says. */
export const readSubmitted = (run: string): readonly RunJob[] | undefined => {
  const { submitted } = placesOf(run)
  if (!existsSync(submitted)) return undefined
  return readFileSync(submitted, 'utf8').split('\n').flatMap(jobOf)
}

/** A line that a driver was killed over counts as if it had not been begun: its job may be known to the scheduler. */
const jobOf = (line: string): RunJob | [] => {
  try {
    const value: unknown = JSON.parse(line)
    return firstViolation(value, jobSchema) === undefined ? (value as RunJob) : []
  } catch {
    return []
  }
}

/** Notes what was handed over, or that something is about to be. There is one driver at a time. */
export const noteSubmitted = (run: string, job?: RunJob): void =>
  // The line begins with its end: one that was torn off does not spoil the next.
  appendFileSync(placesOf(run).submitted, job === undefined ? '' : `\n${JSON.stringify(job)}`, { flush: true })

/** Forgets what was handed over. Throws what the system says. */
export const forgetSubmitted = (run: string): void => writeFileSync(placesOf(run).submitted, '', { flush: true })

/** Reads the alarm of a run; undefined if there is none. */
export const readAlarm = (run: string): Result<RunAlarm | undefined> => read(placesOf(run).alarm, alarmSchema)

const numbersIn = (folder: string, pattern: RegExp): (readonly number[])[] =>
  readdirSync(folder).flatMap((name) => {
    const found = pattern.exec(name)
    return found === null ? [] : [found.slice(1).map(Number)]
  })

/** The parts that are done, as far as a listing tells; it may lag. Throws what the system says. */
export const finishedParts = (run: string): ReadonlySet<number> =>
  new Set(numbersIn(join(run, 'results'), /^(\d+)\.json$/).map(([part]) => part!))

/** How often each part was begun, as far as a listing tells. Throws what the system says. */
export const attemptsOf = (run: string): ReadonlyMap<number, number> => {
  const attempts = new Map<number, number>()
  for (const [part, attempt] of numbersIn(join(run, 'attempts'), /^(\d+)\.(\d+)\.json$/))
    attempts.set(part!, Math.max(attempt!, attempts.get(part!) ?? 0))
  return attempts
}

/** Begins a part: the attempt has the first number that nobody has. Throws what the system says. */
export const beginAttempt = (run: string, part: number, who: Omit<RunAttempt, 'part' | 'attempt'>): RunAttempt => {
  const places = placesOf(run)
  for (let attempt = 1; ; attempt++) {
    const own: RunAttempt = { ...who, part, attempt }
    if (writeOnce(places.attempt(part, attempt), textOf(own))) {
      beat(run, part, attempt)
      return own
    }
  }
}

/** Shows that an attempt is alive. It writes, so that the time is that of the file system and not of a skewed clock. */
export const beat = (run: string, part: number, attempt: number): void => {
  try {
    writeFileSync(placesOf(run).beat(part, attempt), '.')
  } catch {
    // Whoever misses it begins the part again, which costs time and nothing else.
  }
}

/** When an attempt was last seen alive, in ms of the file system's clock; undefined if never. */
export const lastBeat = (run: string, part: number, attempt: number): number | undefined =>
  statSync(placesOf(run).beat(part, attempt), { throwIfNoEntry: false })?.mtimeMs

/** What time it is by the clock of the file system, in ms: that of a file that is written now. */
export const fileSystemNow = (run: string): number => {
  const path = ownName(join(run, 'beats', 'now'))
  try {
    writeFileSync(path, '.')
    return statSync(path).mtimeMs
  } finally {
    rmSync(path, { force: true })
  }
}

/** Notes what a part came to. False if another attempt was first. Throws what the system says. */
export const writeResult = (run: string, result: PartResult): boolean =>
  writeOnce(placesOf(run).result(result.part), textOf(result))

/** Stops all work of a run for good; of several alarms the first stays. Throws what the system says. */
export const raiseAlarm = (run: string, alarm: RunAlarm): void => void writeOnce(placesOf(run).alarm, textOf(alarm))

/** Asks all tasks and the driver of a run to stop. Throws what the system says. */
export const cancelRun = (run: string): void => void writeOnce(placesOf(run).cancelled, '\n')

/** True once a run was cancelled. */
export const isCancelled = (run: string): boolean =>
  statSync(placesOf(run).cancelled, { throwIfNoEntry: false }) !== undefined
