import { fsync } from 'node:fs'
import { stat } from 'node:fs/promises'
import { basename, dirname } from 'node:path'
import { promisify } from 'node:util'
import { contentDigest, tensorDigest, type Digest } from '../base/digest.js'
import { inputChanged, stopped, unordered } from '../base/catalogue/run.js'
import type { Diagnostic } from '../base/diagnostic.js'
import { failed, ok, type Result } from '../base/result.js'
import type { ReportDocument } from '../operators/report-document.js'
import type { InputFile, Plan, PlannedFile, PlannedOutput } from '../plan/plan.js'
import { decodingTables } from '../kernels/convert.js'
import { ioProblem } from '../safetensors/io-problem.js'
import { createOutput, type OutputFile } from '../safetensors/output.js'
import { createRunId } from '../safetensors/run-id.js'
import { preflight } from '../safetensors/space.js'
import { sweepTemporaries } from '../safetensors/temporary.js'
import { employ, startThread, type Hand } from './crew.js'
import type { Listener } from './events.js'
import type { Cutting } from './execute.js'
import { drawReport, renderReports, type RenderReport } from './reports.js'
import { createSchedule, digestKey, type Schedule } from './schedule.js'
import type { WorkerStart } from './worker.js'

/** How to run a plan. None of it changes a byte of the outputs. */
export interface RunOptions {
  /** At least 1. */
  readonly workers: number
  readonly device: 'cpu'
  readonly cutting?: Cutting
  readonly listener?: Listener
  /** Stops the build at the next chunk. */
  readonly signal?: AbortSignal
  /** Makes files of reports; needed where a plan has some. */
  readonly render?: RenderReport
  /** Starts a worker; tests pass ones they steer. */
  readonly start?: (start: WorkerStart) => Hand
}

/** What was written. */
export interface Built {
  readonly outputs: readonly { readonly name: string; readonly paths: readonly string[]; readonly bytes: number; readonly digest: Digest }[]
  readonly reports: readonly { readonly name: string; readonly path: string; readonly bytes: number }[]
  readonly readBytes: number
  readonly writtenBytes: number
  readonly seconds: number
}

/** The cutting measured best on two cores: 32 k elements a run, so that intermediates stay in the cache, and 128 k a read. */
export const DEFAULT_CUTTING: Cutting = { chunk: 1 << 15, block: 1 << 17 }

/** Carries a plan out: all files under temporary names, then all under their own, or none. */
export const run = async (plan: Plan, options: RunOptions): Promise<Result<Built>> => {
  const began = performance.now()
  const listener = options.listener ?? (() => undefined)
  const seconds = (): number => (performance.now() - began) / 1000
  listener({
    type: 'run-started', recipe: plan.name, device: options.device, workers: options.workers, jobs: plan.jobs.length,
    readBytes: plan.totals.readBytes, writeBytes: plan.totals.writeBytes,
  })
  const result = await attempt(plan, options, listener, seconds)
  if (result.type === 'failed') listener({ type: 'run-failed', diagnostics: result.diagnostics, seconds: seconds() })
  else {
    listener({
      type: 'run-finished', seconds: seconds(), readBytes: result.value.readBytes, writtenBytes: result.value.writtenBytes,
      peakMemory: process.resourceUsage().maxRSS * 1024,
    })
  }
  return result
}

const attempt = async (plan: Plan, options: RunOptions, listener: Listener, seconds: () => number): Promise<Result<Built>> => {
  const runId = createRunId()
  const files: OutputFile[] = []
  const discard = async (...diagnostics: readonly Diagnostic[]): Promise<Result<Built>> => {
    await Promise.all(files.map((f) => f.discard()))
    return failed(...diagnostics)
  }
  const wanted = filesOf(plan)
  const room = await makeRoom([...wanted, ...plan.reports.map(({ path }) => ({ path, bytes: 0 }))])
  if (room.type === 'failed') return room
  for (const planned of wanted) {
    const file = await createOutput(planned.path, planned.header, planned.bytes, runId)
    if (file.type === 'failed') return discard(...file.diagnostics)
    files.push(file.value)
  }

  const schedule = createSchedule(plan)
  const progress = { readBytes: 0, writtenBytes: 0 }
  const temporary = new Map(files.map((f) => [f.finalPath, f.temporaryPath]))
  const worked = plan.jobs.length === 0 ? ok(undefined) : await work(plan, options, temporary, schedule, listener, progress)
  if (worked.type === 'failed') return discard(...worked.diagnostics)
  const changed = await changedInputs(plan)
  if (changed.length > 0) return discard(...changed.map(inputChanged))
  const rendered = await renderReports(plan.reports, schedule, options.render)
  for (const [i, { path }] of plan.reports.entries()) {
    const file = await createOutput(path, rendered[i]!, rendered[i]!.length, runId)
    if (file.type === 'failed') return discard(...file.diagnostics)
    files.push(file.value)
  }
  const unsafe = await settle(files)
  if (unsafe !== undefined) return discard(unsafe)
  // From here on files appear under their own names; a stop asked for now comes too late to change that.
  if (options.signal?.aborted === true) return discard(stopped())

  for (const file of files) {
    const committed = await file.commit()
    if (committed.type === 'failed') return discard(...committed.diagnostics)
  }
  const outputs: Built['outputs'][number][] = []
  for (const output of plan.outputs) {
    const digest = outputDigest(plan, output, schedule)
    const bytes = output.files.reduce((n, f) => n + f.bytes, 0)
    outputs.push({ name: output.name, paths: output.files.map((f) => f.path), bytes, digest })
    listener({ type: 'output-written', name: output.name, path: output.label, files: output.files.length, bytes, tensors: output.tensors.length, digest })
  }
  const reports = plan.reports.map(({ name, label, path, format }, i) => {
    const bytes = rendered[i]!.length
    listener({ type: 'report-written', name, path: label, format, bytes })
    return { name, path, bytes }
  })
  return ok({ outputs, reports, ...progress, seconds: seconds() })
}

/** Measures what the reports of a plan need and draws them, without writing anything. */
export const drawReports = async (plan: Plan, options: RunOptions): Promise<Result<readonly ReportDocument[]>> => {
  const schedule = createSchedule(plan)
  const worked = await work(plan, options, new Map(), schedule, options.listener ?? (() => undefined), { readBytes: 0, writtenBytes: 0 })
  if (worked.type === 'failed') return worked
  const changed = await changedInputs(plan)
  if (changed.length > 0) return failed(...changed.map(inputChanged))
  return ok(plan.reports.map((report) => drawReport(report, schedule)))
}

/** Every file to write, in the order they appear under their names: indexes last, since a sharded output is complete only once its index stands. */
const filesOf = ({ outputs }: Plan): readonly PlannedFile[] => [
  ...outputs.flatMap((o) => o.files),
  ...outputs.flatMap(({ index }) => (index === undefined ? [] : [{ path: index.path, header: index.bytes, bytes: index.bytes.length }])),
]

/** Clears what dead builds left behind, and asks each folder for the room its files need. */
const makeRoom = async (files: readonly Pick<PlannedFile, 'path' | 'bytes'>[]): Promise<Result<void>> => {
  await Promise.all(files.map((f) => sweepTemporaries(dirname(f.path), basename(f.path))))
  for (const folder of new Set(files.map((f) => dirname(f.path)))) {
    const needed = files.filter((f) => dirname(f.path) === folder).reduce((n, f) => n + f.bytes, 0)
    const room = await preflight(folder, needed)
    if (room.type === 'failed') return room
  }
  return ok(undefined)
}

/** Puts the bytes of all files on the disk before the first of them gets its name: a disk that fails now leaves every old file as it was. */
const settle = async (files: readonly OutputFile[]): Promise<Diagnostic | undefined> => {
  for (const { fd, finalPath } of files) {
    try {
      await promisify(fsync)(fd)
    } catch (error) {
      return ioProblem(error, finalPath, 'sync')
    }
  }
  return undefined
}

const work = async (
  plan: Plan, options: RunOptions, temporary: ReadonlyMap<string, string>, schedule: Schedule, listener: Listener, progress: { readBytes: number; writtenBytes: number },
): Promise<Result<void>> => {
  const flag = new Int32Array(new SharedArrayBuffer(4))
  const stop = (): void => void Atomics.store(flag, 0, 1)
  if (options.signal?.aborted === true) stop()
  options.signal?.addEventListener('abort', stop, { once: true })
  const { encodeOnnx } = await import('../graph/onnx.js')
  const tables = decodingTables()
  const models = plan.programs.map((p) => encodeOnnx(p, tables))
  const start: WorkerStart = { programs: plan.programs, models, temporary, cutting: options.cutting ?? DEFAULT_CUTTING, stop: flag }
  const hands = Array.from({ length: options.workers }, () => (options.start ?? startThread)(start))
  return employ(hands, {
    next: () => schedule.next(),
    finish: (worker, results, units) => {
      for (const result of results) {
        progress.readBytes += result.bytesRead
        progress.writtenBytes += result.bytesWritten
        const trouble = schedule.finish(result)
        if (trouble !== undefined) return unordered(trouble.nonFinite.tensor, trouble.step)
      }
      const last = units.at(-1)
      listener({
        type: 'units-finished', worker, units: results.length, readBytes: progress.readBytes, writtenBytes: progress.writtenBytes,
        tensor: last?.reads[0]?.tensor ?? last?.writes[0]?.tensor ?? '', step: last?.writes[0]?.step ?? '',
      })
      return undefined
    },
  }, stop).finally(() => options.signal?.removeEventListener('abort', stop))
}

/** The inputs that are no longer what their headers were read from. */
const changedInputs = async (plan: Plan): Promise<string[]> => {
  const files = plan.models.flatMap((m) => m.files)
  const same = async (file: InputFile): Promise<boolean> => {
    const now = await stat(file.path, { bigint: true }).catch(() => undefined)
    return now !== undefined && Number(now.size) === file.size && now.mtimeNs === file.mtimeNs && now.ino === file.ino && now.dev === file.dev
  }
  const kept = await Promise.all(files.map(same))
  return files.filter((_, i) => !kept[i]).map((f) => f.path)
}

const outputDigest = (plan: Plan, output: PlannedOutput, schedule: Schedule): Digest => {
  const index = plan.outputs.indexOf(output)
  const paths = new Map(plan.jobs.flatMap((j) => [...j.copies.map((c) => c.to), ...j.targets])
    .filter((t) => t.output === index).map((t) => [t.tensor, t.path]))
  return contentDigest(output.tensors.map((t) => {
    const segments = schedule.digests.get(digestKey(paths.get(t.name) ?? '', t.name)) ?? []
    return { ...t, digest: tensorDigest(segments.filter((s) => s !== undefined)) }
  }))
}
