import { notMeasured } from '../base/catalogue/run.js'
import { append } from '../base/lists.js'
import { failed, ok, type Result } from '../base/result.js'
import { estimateMemory } from '../plan/memory.js'
import type { Plan, PlannedFile, PlannedStep } from '../plan/plan.js'
import { claimOutput, type Claim } from '../safetensors/claim.js'
import { createOutput, type OutputFile } from '../safetensors/output.js'
import { createRunId } from '../safetensors/run-id.js'
import type { MaskFile } from '../store/masks.js'
import { conclude, type Holdings } from './conclude.js'
import type { Listener } from './events.js'
import { checkDestinations } from './destinations.js'
import { clearUp, filesOf, findRoom } from './folders.js'
import { gatherOddities } from './oddities.js'
import type { Built, RunOptions } from './options.js'
import { openJournal, type Journal } from './journal.js'
import { watchPauses } from './pauses.js'
import { startMasks } from './kept-masks.js'
import { peakMemory } from './machine.js'
import { createSchedule } from './schedule.js'
import { startScratch } from './scratch.js'
import { noTime } from './stopwatch.js'
import { work, type UnitProgress } from './work.js'

/** Carries a plan out: all files under temporary names, then all under their own, or none. */
export const run = async (plan: Plan, options: RunOptions): Promise<Result<Built>> => {
  const began = performance.now()
  const listener = options.listener ?? (() => undefined)
  const seconds = (): number => (performance.now() - began) / 1000
  const { totals } = plan
  listener({
    type: 'run-started',
    recipe: plan.name,
    device: options.device,
    workers: options.workers,
    jobs: plan.jobs.length,
    seed: plan.seed,
    readBytes: totals.readBytes + totals.digestBytes,
    writeBytes: totals.writeBytes,
    tensors: totals.tensors,
    reused: totals.reused,
    cached: totals.cached,
    memoryBudget: estimateMemory(plan, options.workers, {
      onDevice: options.device !== 'cpu',
      onRuntime: options.engine === 'onnx',
      reporting: options.reporting === true,
    }),
    ...(options.deviceReason === undefined ? {} : { deviceReason: options.deviceReason }),
  })
  const pauses = options.pauses ?? watchPauses()
  for (const { name, op, tensors, counts } of plan.steps.filter(isPartial))
    listener({ type: 'step-counted', step: name, op, tensors, counts })
  const measuring = setInterval(() => listener({ type: 'memory-measured', bytes: process.memoryUsage.rss() }), 1000)
  measuring.unref()
  const result = await attempt(plan, options, listener, seconds).finally(() => clearInterval(measuring))
  if (result.type === 'failed') listener({ type: 'run-failed', diagnostics: result.diagnostics, seconds: seconds() })
  else {
    listener({
      type: 'run-finished',
      seconds: seconds(),
      readBytes: result.value.readBytes,
      writtenBytes: result.value.writtenBytes,
      spent: result.value.spent,
      stepSeconds: Object.fromEntries(result.value.stepSeconds),
      peakMemory: peakMemory(),
      longestPause: pauses.longest(),
    })
  }
  if (options.pauses === undefined) pauses.end()
  return result
}

/** What befalls tensors of every model, and needs no word. */
const USUAL: ReadonlySet<string> = new Set(['merged', 'constant'])

const isPartial = ({ counts }: PlannedStep): boolean => Object.keys(counts).some((type) => !USUAL.has(type))

/** How often claims are renewed, in ms. */
const RENEWAL = 10_000

const attempt = async (
  plan: Plan,
  options: RunOptions,
  listener: Listener,
  seconds: () => number,
): Promise<Result<Built>> => {
  const runId = createRunId()
  const claims: Claim[] = []
  const files: OutputFile[] = []
  const journals: Journal[] = []
  const masks: MaskFile[] = []
  const scratch: OutputFile[] = []
  const renewing = setInterval(() => claims.forEach((claim) => claim.renew()), RENEWAL)
  renewing.unref()
  try {
    const result = await produce(plan, options, listener, { runId, claims, files, journals, masks, scratch })
    if (result.type === 'failed') {
      await Promise.all(files.map((f) => f.discard()))
      return result
    }
    return { ...result, value: { ...result.value, seconds: seconds() } }
  } catch (error) {
    await Promise.all(files.map((f) => f.discard()))
    throw error
  } finally {
    clearInterval(renewing)
    await Promise.all(scratch.map((f) => f.discard()))
    for (const mask of masks) mask.discard()
    for (const journal of journals) journal.remove()
    for (const claim of claims) claim.release()
  }
}

const produce = async (
  plan: Plan,
  options: RunOptions,
  listener: Listener,
  holdings: Holdings,
): Promise<Result<Omit<Built, 'seconds'>>> => {
  const { runId, files } = holdings
  if (plan.unanswered.length > 0) return failed(notMeasured(plan.unanswered))
  const refused = checkDestinations(
    plan,
    options.lock === undefined || options.lock.frozen === true ? undefined : options.lock.path,
  )
  if (refused.length > 0) return failed(...refused)
  const wanted = filesOf(plan)
  const room = findRoom(plan, wanted)
  if (room.type === 'failed') return room
  const claimed = await claimAll(plan, holdings)
  if (claimed.type === 'failed') return claimed
  await clearUp(plan, [...wanted.map((f) => f.path), ...(options.lock === undefined ? [] : [options.lock.path])])
  const started = await startFiles(plan, options, wanted, holdings)
  if (started.type === 'failed') return started

  const scratch = await startScratch(plan, runId)
  if (scratch.type === 'failed') return scratch
  append(holdings.scratch, scratch.value)
  append(holdings.masks, startMasks(plan, options.memory?.store))
  const schedule = createSchedule(
    plan,
    holdings.masks.map((m) => m.path),
  )
  const progress: UnitProgress = { readBytes: 0, writtenBytes: 0, spent: noTime(), stepSeconds: new Map() }
  const oddities = gatherOddities()
  options.gathered?.fill(schedule.ledger, oddities)
  const worked = await work(plan, options, {
    files,
    journals: holdings.journals,
    masks: holdings.masks,
    scratch: scratch.value[0]?.temporaryPath,
    schedule,
    listener,
    progress,
    oddities,
  })
  if (worked.type === 'failed') return worked
  return conclude(plan, options, listener, holdings, { schedule, progress, oddities })
}

/** Claims every output; of several files the first stands for all. */
const claimAll = async ({ outputs }: Plan, { runId, claims }: Holdings): Promise<Result<void>> => {
  for (const {
    files: [first],
    kept,
  } of outputs) {
    if (first === undefined || kept !== undefined) continue
    const claim = await claimOutput(first.path, runId)
    if (claim.type === 'failed') return claim
    claims.push(claim.value)
  }
  return ok(undefined)
}

const startFiles = async (
  plan: Plan,
  options: RunOptions,
  wanted: readonly PlannedFile[],
  { runId, files, journals }: Holdings,
): Promise<Result<void>> => {
  for (const { path, header, bytes } of wanted) {
    const gathered = await options.gathered?.open(path, bytes)
    if (gathered?.type === 'failed') return gathered
    if (gathered?.value !== undefined) {
      files.push(gathered.value)
      continue
    }
    const adopt = plan.resumed.get(path)
    const file = await createOutput(path, header, bytes, runId, { adopt })
    if (file.type === 'failed') return file
    files.push(file.value)
    journals.push(openJournal(file.value.temporaryPath, adopt))
  }
  return ok(undefined)
}
