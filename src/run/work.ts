import { reuseBroken } from '../base/catalogue/store.js'
import { unordered } from '../base/catalogue/run.js'
import type { Diagnostic } from '../base/diagnostic.js'
import type { Digest } from '../base/digest.js'
import { ok, type Result } from '../base/result.js'
import { inTurns, type Sliced } from '../base/slices.js'
import { decodingTables } from '../kernels/convert.js'
import { lowerFor } from '../graph/lower.js'
import { isCompilable } from '../graph/wasm-program.js'
import type { Plan, PlannedModel, PlannedOutput, PlannedSetting, Target } from '../plan/plan.js'
import { SCRATCH } from '../plan/scratch.js'
import type { OutputFile } from '../safetensors/output.js'
import type { MaskFile } from '../store/masks.js'
import { runPool, recruit } from './worker-pool.js'
import type { Listener, PlannedTensor } from './events.js'
import type { Cutting } from './workspace.js'
import type { EngineOptions } from './devices/create-engine.js'
import { isInexact, providerOf } from './devices/device.js'
import type { Journal } from './journal.js'
import { identifyByFile } from './identify-by-file.js'
import type { Finished } from './digest-ledger.js'
import type { Oddities } from './oddities.js'
import type { ProcessorEngine, RunOptions } from './options.js'
import type { Schedule } from './schedule.js'
import { createStepClock } from './step-clock.js'
import { createStopFlag } from './stop-flag.js'
import { addTimes, totalOf, type Timings } from './stopwatch.js'
import { isSettled } from '../store/files.js'
import { bytesFor } from '../tensor/dtype.js'
import type { UnitOrder } from './unit.js'
import type { WorkerStart } from './worker.js'

/**
 * The cuttings measured best. Of compiled programs a chunk's numbers stay in the first two caches, and a block's from
 * when it is read until it is written; a run of ONNX Runtime costs more, and is worth more elements.
 */
export const CUTTINGS: Readonly<Record<ProcessorEngine, Cutting>> = {
  compiled: { chunk: 1 << 13, block: 1 << 16 },
  onnx: { chunk: 1 << 15, block: 1 << 17 },
}

/** Bytes moved so far. */
export interface UnitProgress {
  readBytes: number
  writtenBytes: number
  /** Seconds of all workers together. */
  spent: Timings
  /** The same seconds by step, by the names of the plan. */
  stepSeconds: ReadonlyMap<string, number>
}

/** What workers carry out of a plan, and what is told of it meanwhile. */
export interface WorkPlan extends Pick<
  Plan,
  'jobs' | 'programs' | 'undigested' | 'masks' | 'stepsOf' | 'sharesOf' | 'fingerprints'
> {
  readonly models: readonly Pick<PlannedModel, 'files'>[]
  readonly settings: readonly Pick<PlannedSetting, 'inputs'>[]
  readonly outputs: readonly Pick<PlannedOutput, 'name'>[]
}

/** What the work fills and tells. `journals` are parallel to `files`. */
export interface RunContext {
  readonly files: readonly OutputFile[]
  readonly journals: readonly Journal[]
  readonly masks: readonly MaskFile[]
  /** The path of the scratch file; undefined if no solver makes anything. */
  readonly scratch: string | undefined
  readonly schedule: Schedule
  readonly listener: Listener
  readonly progress: UnitProgress
  readonly oddities: Oddities
}

/** Has workers do all units of a schedule. Nothing is started where there is nothing to do. */
export const work = async (plan: WorkPlan, options: RunOptions, place: RunContext): Promise<Result<void>> => {
  if (plan.jobs.length + plan.undigested.length === 0) return ok(undefined)
  const { schedule, listener, progress, files } = place
  const stop = createStopFlag(options.signal)
  const cutting = options.cutting ?? CUTTINGS[engineOf(plan, options)]
  const temporary = new Map([
    ...files.map((f) => [f.finalPath, f.temporaryPath] as const),
    ...place.masks.map((m) => [m.path, m.temporary] as const),
    ...(place.scratch === undefined ? [] : [[SCRATCH, place.scratch] as const]),
  ])
  const start: WorkerStart = {
    engine: await engineOptions(plan, options, cutting.chunk),
    temporary,
    cutting,
    stop: stop.shared,
  }
  const pool = recruit(options.workers, start, options.start)
  if (pool.type === 'failed') return pool
  // An input that another write could change without a trace is nothing to carry on from, and neither are numbers that
  // only this device gives.
  const settled = plan.models.flatMap((m) => m.files).every((f) => isSettled(f, options.memory?.since ?? Date.now()))
  const note = createCompletionTracker(plan, settled && !isInexact(options.device) ? place : { ...place, journals: [] })
  await inTurns(note.prepare())
  listener({ type: 'work-planned', tensors: note.planned })
  return runPool(
    pool.value,
    {
      next: schedule.next,
      get left() {
        return schedule.left
      },
      finish: (worker, results, units, next) => {
        for (const [i, result] of results.entries()) {
          const unit = units[i]!
          progress.readBytes += result.bytesRead
          progress.writtenBytes += result.bytesWritten
          progress.spent = addTimes(progress.spent, result.spent)
          note.spent(unit, totalOf(result.spent))
          for (const [index, oddity] of result.odd ?? []) {
            const { path, tensor } = unit.writes[index]!
            place.oddities.add(path, tensor, oddity)
          }
          const trouble = schedule.finish(result)
          if (trouble !== undefined) return unordered(trouble.nonFinite.tensor, trouble.step)
        }
        progress.stepSeconds = note.stepSeconds()
        const broken = note.finished(schedule.ledger.takeFinished())
        if (broken !== undefined) return broken
        const last = units.at(-1)
        listener({
          type: 'units-finished',
          worker,
          units: results.length,
          readBytes: progress.readBytes,
          writtenBytes: progress.writtenBytes,
          tensor: last?.reads[0]?.tensor ?? last?.writes[0]?.tensor ?? '',
          step: last?.writes[0]?.step ?? '',
          next: next?.reads[0]?.tensor ?? next?.writes[0]?.tensor ?? '',
        })
        return undefined
      },
    },
    stop.set,
  ).finally(stop.release)
}

/** What computes: compiled programs on the processor, where all of them can be compiled. */
const engineOf = (
  { programs }: Pick<Plan, 'programs'>,
  { device, engine }: Pick<RunOptions, 'device' | 'engine'>,
): ProcessorEngine => (device === 'cpu' && engine !== 'onnx' && programs.every(isCompilable) ? 'compiled' : 'onnx')

/** What workers run the plan's programs with: compiled ones on the processor, unless ONNX Runtime is asked for. */
const engineOptions = async (plan: WorkPlan, options: RunOptions, chunk: number): Promise<EngineOptions> => {
  const { programs } = plan
  const { device, runtime } = options
  if (engineOf(plan, options) === 'compiled') return { type: 'compiled', programs, chunk }
  const { encodeOnnx } = await import('../graph/onnx.js')
  const tables = decodingTables()
  const lowered = programs.map((p) => lowerFor(providerOf(device), p))
  const models = lowered.map((p) => encodeOnnx(p, tables))
  return { type: 'onnx', device, programs: lowered, models, chunk, ...(runtime === undefined ? {} : { runtime }) }
}

interface Expected {
  readonly target: Target
  readonly how: 'computed' | 'copied' | 'reused'
  readonly expect: Digest | undefined
  readonly told: PlannedTensor
}

/** Follows tensors until they are whole. */
interface CompletionTracker {
  /** What there is to do for each tensor of the outputs. */
  readonly planned: readonly PlannedTensor[]
  /** What has to be worked out before the first tensor is whole. */
  prepare(): Sliced<void>
  /** A worker spent so many seconds on a unit. */
  spent(unit: UnitOrder, seconds: number): void
  /** Seconds by step so far. */
  stepSeconds(): ReadonlyMap<string, number>
  /**
   * Checks what was taken over against its digest, notes in the journals what is done, and tells of it; gives what is
   * not as it should be.
   */
  finished(tensors: readonly Finished[]): Diagnostic | undefined
}

const createCompletionTracker = (plan: WorkPlan, { files, journals, listener }: RunContext): CompletionTracker => {
  const keyOf = (path: string, tensor: string): string => `${path}\0${tensor}`
  const clock = createStepClock(plan)
  const outputs = new Map<string, Map<string, Expected>>()
  const planned: PlannedTensor[] = []
  const expectTensor = (target: Target, size: number, how: Expected['how'], expect: Digest | undefined): void => {
    const { path, tensor } = target
    const told: PlannedTensor = {
      output: plan.outputs[target.output]!.name,
      tensor,
      steps: plan.stepsOf(target),
      bytes: bytesFor(size, target.dtype),
    }
    planned.push(told)
    const file = outputs.get(path) ?? new Map<string, Expected>()
    outputs.set(path, file.set(tensor, { target, how, expect, told }))
  }
  for (const { size, copies, targets } of plan.jobs) {
    for (const { to, expect } of copies) expectTensor(to, size, expect === undefined ? 'copied' : 'reused', expect)
    for (const target of targets) expectTensor(target, size, 'computed', undefined)
  }
  const masks = new Map(plan.masks.taken.map(({ bits, expect }) => [keyOf(bits.file, bits.name), expect] as const))
  const inputs = new Map(
    plan.settings
      .flatMap((s) => [...s.inputs.values()])
      .flatMap(({ file }) => file.files)
      .map((f) => [f.path, f.tensors] as const),
  )
  const identify = identifyByFile(plan.models.flatMap((m) => m.files))
  const fingerprints = plan.fingerprints(identify)
  const journalOf = new Map(files.map((f, i) => [f.finalPath, journals[i]] as const))
  const finish = (finished: readonly Finished[]): Diagnostic | undefined => {
    for (const { path, tensor, digest } of finished) {
      if ((masks.get(keyOf(path, tensor)) ?? digest) !== digest) return reuseBroken(path, tensor)
      const output = outputs.get(path)?.get(tensor)
      const input = output === undefined ? inputs.get(path)?.get(tensor) : undefined
      if (output !== undefined) {
        const { target, how, expect, told } = output
        if (expect !== undefined && expect !== digest) return reuseBroken(path, tensor)
        listener({
          type: 'tensor-finished',
          output: told.output,
          tensor,
          steps: told.steps,
          how,
          bytes: told.bytes,
          seconds: clock.secondsOf(tensor),
          stepSeconds: clock.takeOf(tensor),
        })
        const journal = journalOf.get(path)
        const made = journal === undefined ? undefined : fingerprints.of(target.value, target)
        if (made !== undefined) journal?.wrote(made, target.begin, digest)
      } else if (input !== undefined) {
        const identity = identify(input)
        if (identity !== undefined) journals[0]?.read(identity, digest)
      }
    }
    for (const journal of journals) journal.flush()
    return undefined
  }
  return {
    planned,
    *prepare() {
      if (journals.length > 0) yield* fingerprints.prepare()
    },
    spent: ({ reads, writes }, seconds) => clock.spend(writes[0]?.tensor ?? reads[0]?.tensor ?? '', seconds),
    stepSeconds: clock.totals,
    finished: finish,
  }
}
