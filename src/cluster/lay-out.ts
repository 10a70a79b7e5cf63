import { existsSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { canonicalJson } from '../base/canonical.js'
import { shortDigest } from '../base/digest.js'
import { append } from '../base/lists.js'
import { failed, ok, type Result } from '../base/result.js'
import { readPackage } from '../base/version.js'
import { jobKey } from '../plan/jobs.js'
import type { Destination } from '../plan/destinations.js'
import type { Plan } from '../plan/plan.js'
import type { Answers } from '../plan/questions.js'
import { foreignSides } from '../run/model-folders.js'
import { readParts as readUsedParts, readSource } from '../run/parts.js'
import { answerQuestions } from '../run/answer.js'
import { createDownloads } from '../run/downloads.js'
import { knowNothing } from '../run/gather-prior-state.js'
import { defaultWorkers } from '../run/machine.js'
import type { RunOptions } from '../run/options.js'
import { checkPins, draft, type Drafted, type DraftOptions, type PrepareOptions } from '../run/prepare.js'
import { lockDestination } from '../run/destinations.js'
import { ioProblem } from '../safetensors/io-problem.js'
import { preflight } from '../safetensors/space.js'
import { lockPath, readLock } from '../store/lock.js'
import type { Store } from '../store/store.js'
import { cutPlan, type Cut } from './cut.js'
import {
  makeRunFolder,
  placesOf,
  readPlan,
  runFolder,
  writeWhole,
  type RunPart,
  type RunPlan,
  type RunStage,
} from './layout.js'
import { writeParts } from './part-files.js'
import { writePlans, type OwnWork } from './part-plan.js'
import { askFor, partOf } from './plan-part.js'
import {
  complete,
  identifyShared,
  inputsOf,
  knowledgeOf,
  outputsOf,
  toTexts,
  type AnswerTexts,
  type UsedTexts,
} from './ready.js'
import { nodeMajor } from './run-state.js'

/** How a recipe is built on many machines. */
export interface LayOutOptions
  extends Pick<PrepareOptions, 'set' | 'rows' | 'out' | 'signal' | 'hub'>, Pick<RunOptions, 'start'> {
  readonly device: string
  readonly engine?: string
  /** About how many parts there are to be. */
  readonly parts?: number
  /** How many tasks run at a time. */
  readonly parallel: number
  /** The folder of runs; `.smelt/runs` beside the recipe unless given. */
  readonly runs?: string
  readonly store?: Store
  /** What the caller writes once the build is done, checked with the rest before anything runs. */
  readonly more?: readonly Destination[]
}

/** A run that is laid out. */
export interface LaidOut {
  readonly run: string
  readonly plan: RunPlan
  /** The recipe as the run has it. */
  readonly drafted: Drafted
  /** True if it was there before. */
  readonly isResumed: boolean
}

/** Bytes below which a part is not worth starting a task for, unless more parts are asked for. */
const LEAST = 2e9
/** Bytes above which a part that fails costs too much. */
const MOST = 64e9
/**
 * Parts for each task at a time: with more, those that are done first have something to do until the end. One alone
 * waits for nobody, and each part has to start.
 */
const partsEach = (parallel: number): number => (parallel === 1 ? 1 : 4)

/** Bytes of a part, of all that there are. */
export const sizeOfParts = (bytes: number, { parts, parallel }: Pick<LayOutOptions, 'parts' | 'parallel'>): number =>
  parts === undefined
    ? Math.min(MOST, Math.max(LEAST, bytes / (parallel * partsEach(parallel))))
    : Math.max(1, bytes / parts)

/**
 * Lays a run out: cuts the plan of a recipe into parts and writes down what each does. The same recipe, with the same
 * inputs and options, has the same run, which goes on where it was; one that is committed begins anew.
 */
export const layOut = async (recipe: string, options: LayOutOptions): Promise<Result<LaidOut>> => {
  const source = await readSource(recipe, 'a recipe')
  if (source.type === 'failed') return source
  const used = await readUsedParts(source.value)
  const { set = {}, rows = [] } = options
  const sources: DraftOptions = {
    set,
    rows,
    text: source.value.text,
    parts: used,
    ...(options.out === undefined ? {} : { out: options.out }),
    ...(options.signal === undefined ? {} : { signal: options.signal }),
    ...(options.hub === undefined
      ? {}
      : { hub: options.hub, download: createDownloads(options.hub, undefined, options.signal) }),
  }
  let answers: Answers = new Map()
  const draftWith = (given: Answers): ReturnType<typeof draft> => {
    answers = given
    return draft(resolve(recipe), sources, [lockDestination(lockPath(resolve(recipe))), ...(options.more ?? [])], given)
  }
  // What has to be known before the outputs can be laid out is measured here, and handed to all tasks.
  const drafted = await answerQuestions(
    await draftWith(answers),
    draftWith,
    (asking) => Promise.resolve(ok(knowNothing(asking, options.store))),
    {
      workers: defaultWorkers(),
      device: 'cpu',
      ...(options.signal === undefined ? {} : { signal: options.signal }),
      ...(options.start === undefined ? {} : { start: options.start }),
    },
  )
  if (drafted.type === 'failed') return drafted
  const pins = await checkPins(drafted.value)
  if (pins.length > 0) return failed(...drafted.diagnostics, ...pins)
  const lock = await readLock(lockPath(resolve(recipe)))
  const foreign = foreignSides(drafted.value.draft, lock.type === 'ok' ? lock.value : undefined, options.store)
  if (foreign.length > 0) return failed(...drafted.diagnostics, ...foreign)
  const cut = await cutDraft(drafted.value, options)
  if (cut.type === 'failed') return cut
  const known: Omit<RunPlan, 'id'> = {
    format: 1,
    smelt: readPackage().version,
    node: nodeMajor(),
    recipe: resolve(recipe),
    name: drafted.value.settings[0]!.recipe.name,
    set,
    rows,
    ...(options.out === undefined ? {} : { out: resolve(options.out) }),
    device: options.device,
    ...(options.engine === undefined ? {} : { engine: options.engine }),
    inputs: inputsOf(drafted.value.draft),
    outputs: outputsOf(drafted.value.draft),
    stages: cut.value.stages,
  }
  const texts: UsedTexts = Object.fromEntries(
    [...used].flatMap(([path, part]) => (part.type === 'ok' ? [[path, part.value.text]] : [])),
  )
  const copies: Copies = { text: source.value.text, used: texts, answers: toTexts(answers) }
  const id = shortDigest(canonicalJson({ known, ...copies, parts: cut.value.parts })).slice(0, 12)
  const plan: RunPlan = { ...known, id }
  const run = runFolder(recipe, id, options.runs)
  const places = placesOf(run)
  if (existsSync(places.plan) && !existsSync(places.committed) && !existsSync(places.cancelled)) {
    const found = readPlan(run)
    return found.type === 'failed'
      ? found
      : ok({ run, plan: found.value, drafted: drafted.value, isResumed: true }, drafted.diagnostics)
  }
  const room = findRoom(plan)
  if (room.type === 'failed') return failed(...drafted.diagnostics, ...room.diagnostics)
  try {
    writeRun(run, plan, copies, cut.value)
  } catch (error) {
    return failed(ioProblem(error, run, 'create'))
  }
  return ok({ run, plan, drafted: drafted.value, isResumed: false }, drafted.diagnostics)
}

/** Asks each folder for the room that the outputs in it take, before any task begins. */
const findRoom = ({ outputs }: Pick<RunPlan, 'outputs'>): Result<void> => {
  const needed = new Map<string, number>()
  for (const { path, bytes } of outputs) needed.set(dirname(path), (needed.get(dirname(path)) ?? 0) + bytes)
  for (const [folder, bytes] of needed) {
    const room = preflight(folder, bytes)
    if (room.type === 'failed') return room
  }
  return ok(undefined)
}

/** What a run has copies of, so that what becomes of it elsewhere does not matter. */
interface Copies {
  readonly text: string
  readonly used: UsedTexts
  readonly answers: AnswerTexts
}

/** Writes the folder of a run, which appears whole. Throws what the system says. */
const writeRun = (run: string, plan: RunPlan, copies: Copies, stages: Stages): void => {
  const made = join(dirname(run), `.${basename(run)}.${process.pid}.tmp`)
  rmSync(made, { recursive: true, force: true })
  try {
    fillRun(made, plan, copies, stages)
    rmSync(run, { recursive: true, force: true })
    renameSync(made, run)
  } catch (error) {
    rmSync(made, { recursive: true, force: true })
    throw error
  }
}

const fillRun = (made: string, plan: RunPlan, { text, used, answers }: Copies, { parts, works }: Stages): void => {
  makeRunFolder(made)
  const places = placesOf(made)
  writeFileSync(places.recipe, text)
  writeFileSync(places.used, canonicalJson(used, 1))
  writeFileSync(places.answers, canonicalJson(answers, 1))
  const written = writePlans(places.work, works)
  writeParts(
    made,
    parts.map((part, i) => (written[i] === undefined ? part : { ...part, work: written[i] })),
  )
  writeWhole(places.plan, plan)
}

interface Stages {
  readonly parts: readonly RunPart[]
  /** Parallel to the parts: the work of each; nothing where it depends on what others come to, or on operators. */
  readonly works: readonly (() => OwnWork | undefined)[]
  readonly stages: readonly RunStage[]
}

/** Cuts the work of a draft into parts, stage by stage. */
const cutDraft = async ({ draft: whole }: Drafted, options: LayOutOptions): Promise<Result<Stages>> => {
  const nothing = knowledgeOf(whole, [])
  const planned = await complete({ ...whole, reports: [] }, nothing, options.signal)
  if (planned.type === 'failed') return planned
  const fingerprints = planned.value.fingerprints(identifyShared(whole))
  const cut = cutPlan(
    planned.value,
    (bytes) => sizeOfParts(bytes, options),
    (m) => fingerprints.ofMeasure(m) !== undefined,
  )

  const measuring: Uncounted[] = []
  const works: (() => OwnWork | undefined)[] = []
  for (const measures of cut.early) {
    const own = await complete({ ...whole, outputs: [], reports: [] }, nothing, options.signal, measures.map(askFor))
    if (own.type === 'failed') return own
    const named = new Map(measures.map((m) => [fingerprints.ofMeasure(m)!, m] as const))
    const { readBytes } = own.value.totals
    measuring.push({ ...EMPTY, stage: 0, type: 'measures', bytes: readBytes, measures: [...named.keys()] })
    works.push(() => ({ plan: own.value, measures: named }))
  }
  const drawing: Uncounted[] = []
  for (const report of whole.reports) {
    const own = await complete({ ...whole, outputs: [], reports: [report] }, nothing, options.signal)
    if (own.type === 'failed') return own
    drawing.push({ ...EMPTY, stage: 1, type: 'report', bytes: own.value.totals.readBytes, reports: [report.path] })
  }
  const tensors = writing(cut, planned.value)
  // What comes after measures depends on what they come to.
  append(works, measuring.length > 0 ? tensors.map(() => nothingYet) : worksOf(planned.value, tensors))
  append(
    works,
    drawing.map(() => nothingYet),
  )
  const parts = [...measuring, ...tensors, ...drawing]
    // A run without measures that come first has one stage.
    .map((part, number): RunPart => ({ ...part, number, stage: measuring.length === 0 ? 0 : part.stage }))
  return ok({ parts, works, stages: stagesOf(parts) })
}

const nothingYet = (): undefined => undefined

type Uncounted = Omit<RunPart, 'number'>

/** The work of each part that writes tensors. */
const worksOf = (plan: Plan, parts: readonly Uncounted[]): readonly (() => OwnWork)[] => {
  const jobs = new Map(plan.jobs.flatMap((job) => (job.solve === undefined ? [[jobKey(job), job] as const] : [])))
  const alone = new Map(plan.undigested.map((tensor) => [`${tensor.file}\0${tensor.name}`, tensor] as const))
  return parts.map((part) => () => ({
    plan: partOf(
      plan,
      part.jobs.map((key) => jobs.get(key)!),
      part.reads.map(({ path, tensor }) => alone.get(`${path}\0${tensor}`)!),
    ),
    measures: new Map(),
  }))
}

const EMPTY = { jobs: [], measures: [], reports: [], reads: [] } as const

/** The parts that write tensors; what is read for its digest alone is dealt out among them. */
const writing = (cut: Cut, { undigested }: Plan): readonly Uncounted[] => {
  const parts = cut.parts.map((bundles) => ({
    jobs: bundles.flatMap((b) => b.jobs),
    bytes: bundles.reduce((n, b) => n + b.bytes, 0),
    reads: [] as { readonly path: string; readonly tensor: string }[],
  }))
  if (parts.length === 0 && undigested.length > 0) parts.push({ jobs: [], bytes: 0, reads: [] })
  const share =
    (parts.reduce((n, p) => n + p.bytes, 0) + undigested.reduce((n, t) => n + t.end - t.begin, 0)) / parts.length
  let at = 0
  for (const { file, name, begin, end } of undigested) {
    while (at < parts.length - 1 && parts[at]!.bytes >= share) at += 1
    const part = parts[at]!
    part.reads.push({ path: file, tensor: name })
    part.bytes += end - begin
  }
  return parts.map((part) => ({ ...EMPTY, ...part, stage: 1, type: 'tensors' }))
}

const stagesOf = (parts: readonly RunPart[]): readonly RunStage[] =>
  [...new Set(parts.map((p) => p.stage))].map((stage) => {
    const own = parts.filter((p) => p.stage === stage)
    return { first: own[0]!.number, parts: own.length, bytes: own.reduce((n, p) => n + p.bytes, 0) }
  })
