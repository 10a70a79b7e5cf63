import { randomBytes } from 'node:crypto'
import { fstatSync, rmSync, writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { runAlarmed, runCancelled, runPartUnknown } from '../base/catalogue/cluster.js'
import { stageWords } from '../base/catalogue/stage.js'
import { inputChanged } from '../base/catalogue/run.js'
import { canonicalJson } from '../base/canonical.js'
import { blake3, toDigest } from '../base/digest.js'
import { failed, ok, type Result } from '../base/result.js'
import type { Measure } from '../graph/expression.js'
import { groupKey } from '../graph/groups.js'
import { passesOf, targetsOf } from '../plan/jobs.js'
import { chooseDevice, type ComputedPlan, type DeviceRequest, type DeviceSelection } from '../run/devices/choose.js'
import type { CudaPlaces } from '../run/devices/places.js'
import type { Listener } from '../run/events.js'
import { changedInputs, syncAll } from '../run/files.js'
import { gatherOddities } from '../run/oddities.js'
import type { ProcessorEngine, RunOptions } from '../run/options.js'
import { renderReports } from '../run/reports.js'
import { createSchedule, type Schedule } from '../run/schedule.js'
import { startScratch } from '../run/scratch.js'
import { noTime } from '../run/stopwatch.js'
import { work, type UnitProgress } from '../run/work.js'
import { withThreadsAhead } from '../run/worker-pool.js'
import { createPart } from '../safetensors/part-file.js'
import { ioProblem } from '../safetensors/io-problem.js'
import type { OutputFile } from '../safetensors/output.js'
import { createRunId } from '../safetensors/run-id.js'
import { partName } from '../safetensors/temporary.js'
import { encodeOutcome } from '../store/outcomes.js'
import {
  beat,
  beginAttempt,
  isCancelled,
  placesOf,
  raiseAlarm,
  readAlarm,
  readPlan,
  readResult,
  writeResult,
  type PartResult,
  type RunAttempt,
  type RunPart,
  type RunPlan,
} from './layout.js'
import { readPart } from './part-files.js'
import { findWork } from './own-work.js'
import type { OwnWork, PartPlan } from './part-plan.js'
import type { PlanAccess } from './plan-part.js'
import { partsIn, versionProblem } from './run-state.js'
import { openStage, type Stage, type StageOptions } from './stage.js'

/** How a task works. None of it changes a byte. */
export interface TaskOptions extends Pick<RunOptions, 'workers' | 'render' | 'start' | 'cutting'>, PlanAccess {
  readonly places?: CudaPlaces
  /** Chooses the device; tests pretend that there is one. */
  readonly choose?: (plan: ComputedPlan, workers: number) => Promise<Result<DeviceSelection>>
  /** What the scheduler calls this task. */
  readonly job?: string
  /** The GPUs that this task may use, as Slurm or `CUDA_VISIBLE_DEVICES` names them. */
  readonly gpus?: string
  readonly listen?: (attempt: RunAttempt) => Listener
  /** A folder of this machine where inputs are copied to, or why there is none although one was asked for. */
  readonly stage?: StagePlace
}

/** A folder for copies of inputs, and what tests say of it; or why there is none although one was asked for. */
export type StagePlace =
  | ({ readonly folder: string } & Pick<StageOptions, 'least' | 'reserve'>)
  | { readonly problem: string }

/** How often a task shows that it is alive, in ms. */
const BEAT = 10_000

/** Does one part of a run, unless it is done; gives what it came to. */
export const workOn = async (run: string, number: number, options: TaskOptions): Promise<Result<PartResult>> => {
  const plan = readPlan(run)
  if (plan.type === 'failed') return plan
  const other = versionProblem(plan.value)
  if (other !== undefined) return failed(other)
  if (number >= partsIn(plan.value)) return failed(runPartUnknown(String(number), partsIn(plan.value)))
  const part = readPart(run, number)
  if (part.type === 'failed') return part
  const halted = haltOf(run)
  if (halted.type === 'failed') return halted
  const before = readResult(run, number)
  if (before.type === 'failed') return before
  if (before.value !== undefined) return ok(before.value)
  let attempt: RunAttempt
  try {
    attempt = beginAttempt(run, number, {
      host: hostname(),
      pid: process.pid,
      started: new Date().toISOString(),
      ...(options.job === undefined ? {} : { job: options.job }),
      ...(options.gpus === undefined ? {} : { gpus: options.gpus }),
    })
  } catch (error) {
    return failed(ioProblem(error, run, 'create'))
  }
  const halt = new AbortController()
  const stop = (): void => halt.abort()
  options.signal?.addEventListener('abort', stop, { once: true })
  const beating = setInterval(() => {
    beat(run, number, attempt.attempt)
    if (haltOf(run).type === 'failed') stop()
  }, BEAT)
  beating.unref()
  try {
    const task = { run, plan: plan.value, part: part.value, attempt }
    const done = await withThreadsAhead(options.start === undefined ? options.workers : 0, () =>
      attemptPart(task, { ...options, signal: halt.signal }),
    )
    const why = done.type === 'failed' && halt.signal.aborted ? haltOf(run) : ok(undefined)
    return why.type === 'failed' ? why : done
  } finally {
    clearInterval(beating)
    options.signal?.removeEventListener('abort', stop)
  }
}

/** Why nothing more is to be done for a run. */
export const haltOf = (run: string): Result<void> => {
  const alarm = readAlarm(run)
  if (alarm.type === 'failed') return alarm
  if (alarm.value !== undefined) return failed(runAlarmed(alarm.value.part, alarm.value.hosts, alarm.value.differs))
  return isCancelled(run) ? failed(runCancelled(run)) : ok(undefined)
}

interface Task {
  readonly run: string
  readonly plan: RunPlan
  readonly part: RunPart
  readonly attempt: RunAttempt
}

const attemptPart = async (task: Task, options: TaskOptions): Promise<Result<PartResult>> => {
  const { run, plan, part } = task
  const own = await findWork(run, plan, part, options)
  if (own.type === 'failed') return own
  const stage = await stageInputs(own.value.plan, options)
  try {
    const done = await doPart(task, own.value, stage, options)
    if (done !== 'altered') return done
  } finally {
    stage?.close()
  }
  // Whatever is the matter with the copies, the inputs are there.
  const again = { ...options, stage: { problem: stageWords.altered(folderOf(options)) } }
  const done = await doPart(task, own.value, undefined, again)
  if (done === 'altered') throw new Error('a part without copies found one altered')
  return done
}

const folderOf = ({ stage }: Pick<TaskOptions, 'stage'>): string =>
  stage !== undefined && 'folder' in stage ? stage.folder : ''

/** Copies what a part reads to this machine, if that is wanted. */
const stageInputs = async (own: PartPlan, { stage, signal }: TaskOptions): Promise<Stage | undefined> => {
  if (stage === undefined || !('folder' in stage)) return undefined
  const views = own.jobs.flatMap((job) => [
    ...passesOf(job).flatMap((pass) => pass.reads),
    ...job.copies.flatMap(({ from }) => from ?? []),
  ])
  const files = new Map(own.models.flatMap((m) => m.files).map((file) => [file.path, file] as const))
  return openStage(
    stage.folder,
    views.map(({ tensor }) => tensor),
    files,
    { ...stage, ...(signal === undefined ? {} : { signal }) },
  )
}

/** Does the work of a part and hands its result in; nothing of it counts if a copy of an input was altered. */
const doPart = async (
  task: Task,
  own: OwnWork,
  stage: Stage | undefined,
  options: TaskOptions,
): Promise<Result<PartResult> | 'altered'> => {
  const files = startParts(task, own.plan)
  if (files.type === 'failed') return files
  const scratch = own.plan.scratchBytes === 0 ? ok([]) : await startScratch(own.plan, createRunId())
  let isKept = false
  try {
    if (scratch.type === 'failed') return scratch
    const result = await carryOut(task, own, files.value, scratch.value[0]?.temporaryPath, stage, options)
    if (result === 'altered' || result.type === 'failed') return result
    const handed = hand(task, result.value)
    if (handed.type === 'failed') return handed
    isKept = handed.value
    return result
  } finally {
    await Promise.all(files.value.map((f) => f.discard()))
    if (!isKept) for (const file of files.value) rmSync(file.temporaryPath, { force: true })
    if (scratch.type === 'ok') await Promise.all(scratch.value.map((f) => f.discard()))
  }
}

/** Starts a file for each output file that a part writes to. */
const startParts = ({ plan, part, attempt }: Task, own: PartPlan): Result<readonly OutputFile[]> => {
  const written = new Set(own.jobs.flatMap(targetsOf).map((t) => t.path))
  const token = `${part.number}-${attempt.attempt}-${randomBytes(4).toString('hex')}`
  const files: OutputFile[] = []
  for (const { path, bytes } of own.outputs.flatMap((o) => o.files)) {
    if (!written.has(path)) continue
    const file = createPart(path, join(dirname(path), partName(basename(path), plan.id, token)), bytes)
    if (file.type === 'failed') {
      for (const started of files) {
        void started.discard()
        rmSync(started.temporaryPath, { force: true })
      }
      return file
    }
    files.push(file.value)
  }
  return ok(files)
}

const carryOut = async (
  { run, plan, part, attempt }: Task,
  { plan: own, measures }: OwnWork,
  files: readonly OutputFile[],
  scratch: string | undefined,
  stage: Stage | undefined,
  options: TaskOptions,
): Promise<Result<PartResult> | 'altered'> => {
  const began = performance.now()
  const choose = options.choose ?? ((p, some) => chooseDevice(plan.device as DeviceRequest, p, some, options.places))
  const chosen = await choose(own, options.workers)
  if (chosen.type === 'failed') return chosen
  const { device, cutting, runtime, workers, planned } = chosen.value
  const schedule = createSchedule(stage === undefined ? own : { ...own, copyOf: stage.copyOf })
  const progress: UnitProgress = { readBytes: 0, writtenBytes: 0, spent: noTime(), stepSeconds: new Map() }
  const odd: PartResult['odd'][number][] = []
  const listener = options.listen?.(attempt) ?? (() => undefined)
  const runOptions: RunOptions = {
    workers,
    device,
    listener,
    ...(plan.engine === undefined ? {} : { engine: plan.engine as ProcessorEngine }),
    ...(cutting === undefined ? {} : { cutting }),
    ...(runtime === undefined ? {} : { runtime }),
    ...(options.cutting === undefined ? {} : { cutting: options.cutting }),
    ...(options.signal === undefined ? {} : { signal: options.signal }),
    ...(options.start === undefined ? {} : { start: options.start }),
  }
  listener({
    type: 'run-started',
    recipe: plan.name,
    device,
    workers,
    jobs: own.jobs.length,
    seed: own.seed,
    readBytes: own.totals.readBytes + own.totals.digestBytes,
    writeBytes: own.totals.writeBytes,
    tensors: own.jobs.reduce((n, job) => n + job.targets.length + job.copies.length, 0),
    reused: 0,
    cached: own.totals.cached,
    memoryBudget: 0,
  })
  const worked = await work(own, runOptions, {
    files,
    journals: [],
    masks: [],
    scratch,
    schedule,
    listener,
    progress,
    oddities: { ...gatherOddities(), add: (path, tensor, oddity) => void odd.push({ path, tensor, oddity }) },
  })
  // Whatever came of altered copies, even an error, is no result.
  const isStopped = options.signal?.aborted === true
  if (stage !== undefined && !isStopped && !(await stage.verify(schedule.ledger.digest))) return 'altered'
  if (worked.type === 'failed') return worked
  const changed = await changedInputs(own)
  if (changed.length > 0) return failed(...changed.map(inputChanged))
  const unsafe = await syncAll(files)
  if (unsafe !== undefined) return failed(unsafe)
  const rendered = await renderReports(own.reports, schedule, options.render)
  const reports = own.reports.map(({ path }, index) => {
    const file = placesOf(run).report(part.number, attempt.attempt, index)
    writeFileSync(file, rendered[index]!, { flush: true })
    return { path, digest: toDigest(blake3(rendered[index]!)), file }
  })
  const found = contentOf(own, schedule, measures)
  const content = toDigest(
    blake3(canonicalJson({ ...found, reports: reports.map(({ path, digest }) => ({ path, digest })) })),
  )
  return ok({
    part: part.number,
    attempt: attempt.attempt,
    host: attempt.host,
    device,
    reason: [planned.title, planned.reason].filter((word) => word !== undefined).join(': '),
    content,
    ...found,
    reports,
    files: files.map((file) => ({
      path: file.finalPath,
      file: file.temporaryPath,
      bytes: fstatSync(file.fd).size,
      mtime: String(file.identity().mtimeNs),
    })),
    odd: [...new Map(odd.map((o) => [canonicalJson(o), o] as const))]
      .sort(([x], [y]) => (x < y ? -1 : 1))
      .map(([, o]) => o),
    seconds: (performance.now() - began) / 1000,
    readBytes: progress.readBytes,
    writtenBytes: progress.writtenBytes,
    ...(options.stage === undefined
      ? {}
      : { staged: stage?.staged ?? { copied: 0, found: 0, problem: problemOf(options.stage) } }),
  })
}

const problemOf = (place: StagePlace): string => ('problem' in place ? place.problem : '')

const byPlace = (x: { path: string; tensor: string }, y: { path: string; tensor: string }): number =>
  x.path < y.path ? -1 : x.path > y.path ? 1 : x.tensor < y.tensor ? -1 : x.tensor > y.tensor ? 1 : 0

/** What a part found out, in an order that does not depend on when. */
const contentOf = (
  own: PartPlan,
  schedule: Schedule,
  measures: ReadonlyMap<string, Measure>,
): Pick<PartResult, 'written' | 'read' | 'outcomes'> => {
  const outputs = new Set(own.outputs.flatMap((o) => o.files).map((f) => f.path))
  const inputs = new Set(own.models.flatMap((m) => m.files).map((f) => f.path))
  const digests = schedule.ledger.all()
  const outcomes = new Map([...schedule.outcomes()].map(([m, outcome]) => [groupKey(m), outcome] as const))
  return {
    written: digests.filter((d) => outputs.has(d.path)).sort(byPlace),
    read: digests.filter((d) => inputs.has(d.path)).sort(byPlace),
    outcomes: [...measures]
      .map(([fingerprint, m]) => encodeOutcome(fingerprint, outcomes.get(groupKey(m))!).trimEnd())
      .sort(),
  }
}

/** Hands a result in. False if another attempt was first and came to the same; an alarm if it came to another. */
const hand = ({ run, part }: Task, result: PartResult): Result<boolean> => {
  try {
    if (writeResult(run, result)) return ok(true)
  } catch (error) {
    return failed(ioProblem(error, placesOf(run).result(part.number), 'create'))
  }
  const first = readResult(run, part.number)
  if (first.type === 'failed') return first
  if (first.value === undefined || first.value.content === result.content) return ok(false)
  const hosts = [...new Set([first.value.host, result.host])]
  const differs = differencesOf(first.value, result)
  raiseAlarm(run, { part: part.number, attempts: [first.value.attempt, result.attempt], hosts, differs })
  return failed(runAlarmed(part.number, hosts, differs))
}

/** Names of what two results have otherwise, the first few. */
const differencesOf = (x: PartResult, y: PartResult): readonly string[] => {
  const named = (result: PartResult): ReadonlyMap<string, string> =>
    new Map([
      ...[...result.written, ...result.read].map((d) => [`${d.tensor} (${basename(d.path)})`, d.digest] as const),
      ...result.reports.map((r) => [basename(r.path), r.digest] as const),
      ...result.outcomes.map((line) => [line, line] as const),
    ])
  const [one, other] = [named(x), named(y)]
  return [...new Set([...one.keys(), ...other.keys()])].filter((key) => one.get(key) !== other.get(key)).slice(0, 5)
}
