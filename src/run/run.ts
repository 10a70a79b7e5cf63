import { basename } from 'node:path'
import { contentDigest, EMPTY_DIGEST } from '../base/digest.js'
import { inputChanged, notMeasured, stopped } from '../base/catalogue/run.js'
import { lockDiffers } from '../base/catalogue/store.js'
import { append } from '../base/lists.js'
import { failed, ok, type Result } from '../base/result.js'
import { readPackage } from '../base/version.js'
import { makeLock, headerFactsOf, type Contents } from '../plan/make-lock.js'
import { estimateMemory } from '../plan/memory.js'
import { CONFIG } from '../plan/model-folder.js'
import type { Plan, PlannedFile, PlannedOutput, PlannedStep, WholeFile } from '../plan/plan.js'
import { claimOutput, type Claim } from '../safetensors/claim.js'
import { createOutput, withdraw, type OutputFile } from '../safetensors/output.js'
import { createRunId, type RunId } from '../safetensors/run-id.js'
import { compareLocks, describeChange } from '../store/compare-locks.js'
import { encodeLock, readLock, type Lock } from '../store/lock.js'
import type { MaskFile } from '../store/masks.js'
import type { Listener } from './events.js'
import { isInexact } from './devices/device.js'
import { checkDestinations } from './destinations.js'
import { changedInputs, syncAll } from './files.js'
import { clearUp, filesOf, findRoom } from './folders.js'
import { gatherOddities } from './oddities.js'
import type { Built, RunOptions } from './options.js'
import { openJournal, type Journal } from './journal.js'
import { watchPauses } from './pauses.js'
import { startMasks } from './kept-masks.js'
import { remember } from './remember.js'
import { renderReports } from './reports.js'
import { createSchedule, type Schedule } from './schedule.js'
import { startScratch } from './scratch.js'
import { warnOfStaleShards } from './stale-shards.js'
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
      peakMemory: process.resourceUsage().maxRSS * 1024,
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

/** What a run has taken and must give back. */
interface Holdings {
  readonly runId: RunId
  readonly claims: Claim[]
  readonly files: OutputFile[]
  readonly journals: Journal[]
  /** Files that masks are kept in; those that are finished have nothing left to give back. */
  readonly masks: MaskFile[]
  /** The scratch file, if there is one. */
  readonly scratch: OutputFile[]
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
  const started = await startFiles(plan, wanted, holdings)
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
  const changed = await changedInputs(plan)
  if (changed.length > 0) return failed(...changed.map(inputChanged))
  const contents = contentsOf(plan, schedule, options.sha256)
  const lock =
    plan.outputs.length === 0
      ? undefined
      : makeLock(plan, contents, readPackage().version, isInexact(options.device) ? options.device : undefined)
  for (const output of lock === undefined ? [] : plan.outputs) {
    const rewritten = finalizeHeaders(output, lock!, files)
    if (rewritten.type === 'failed') return rewritten
  }
  const drawn = plan.reports.filter((r) => !r.kept)
  const rendered = await renderReports(drawn, schedule, options.render)
  for (const [i, { path }] of drawn.entries()) {
    const file = await createOutput(path, rendered[i]!, rendered[i]!.length, runId)
    if (file.type === 'failed') return file
    files.push(file.value)
  }
  // The lock comes last: it speaks of files that stand.
  const locked = lock === undefined ? ok(undefined) : await startLock(lock, options, holdings)
  if (locked.type === 'failed') return locked
  const unsafe = await syncAll(files)
  if (unsafe !== undefined) return failed(unsafe)
  // From here on files appear under their own names; a stop asked for now comes too late to change that.
  if (options.signal?.aborted === true) return failed(stopped())

  for (const output of plan.outputs) {
    // An index and a config say how to read the files that change now.
    const told =
      output.kept === undefined
        ? [...(output.index === undefined ? [] : [output.index]), ...output.sides.filter(isConfig)]
        : []
    for (const { path } of told) {
      const withdrawn = await withdraw(path)
      if (withdrawn.type === 'failed') return withdrawn
    }
  }
  const inodes = new Map(files.map((f) => [f.finalPath, f.identity()] as const))
  for (const file of files) {
    const committed = await file.commit()
    if (committed.type === 'failed') return committed
  }
  const outputs = plan.outputs.map((output): Built['outputs'][number] => {
    const { name, label: path, kept, tensors } = output
    const [bytes, digest] = [output.files.reduce((n, f) => n + f.bytes, 0), contents.output(output)]
    listener({
      type: kept === undefined ? 'output-written' : 'output-kept',
      name,
      path,
      files: output.files.length,
      bytes,
      tensors: tensors.length,
      digest,
    })
    return { name, paths: output.files.map((f) => f.path), bytes, digest, kept: kept !== undefined }
  })
  const reports = plan.reports.map(({ name, label, path, format, kept }) => {
    const bytes = kept ? 0 : rendered[drawn.findIndex((r) => r.path === path)]!.length
    if (!kept) listener({ type: 'report-written', name, path: label, format, bytes })
    return { name, path, bytes }
  })
  if (locked.value !== undefined)
    listener({
      type: 'lock-written',
      path: locked.value.label,
      changed: locked.value.changed,
      changes: locked.value.changes,
    })
  const forgotten =
    options.memory === undefined
      ? []
      : await remember(
          plan,
          schedule,
          lock,
          {
            files: inodes,
            masks: holdings.masks,
            reports: new Map(drawn.map((r, i) => [r.path, rendered[i]!] as const)),
            device: options.device,
            spent: progress.spent,
          },
          options.memory,
        )
  return ok({ outputs, reports, lock, ...progress }, [
    ...oddities.all(),
    ...warnOfStaleShards(plan.outputs),
    ...forgotten,
  ])
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
  wanted: readonly PlannedFile[],
  { runId, files, journals }: Holdings,
): Promise<Result<void>> => {
  for (const { path, header, bytes } of wanted) {
    const adopt = plan.resumed.get(path)
    const file = await createOutput(path, header, bytes, runId, { adopt })
    if (file.type === 'failed') return file
    files.push(file.value)
    journals.push(openJournal(file.value.temporaryPath, adopt))
  }
  return ok(undefined)
}

const contentsOf = (plan: Plan, { ledger }: Schedule, sha256: RunOptions['sha256']): Contents => {
  const places = new Map(
    plan.outputs.map((o, i) => [o, new Map(plan.targets[i]!.map((t) => [t.tensor, t.path] as const))] as const),
  )
  return {
    version: plan.lock,
    input: (tensor) => {
      if (tensor.begin === tensor.end) return EMPTY_DIGEST
      const digest = plan.digestOf(tensor) ?? ledger.digest(tensor.file, tensor.name)
      if (digest === undefined) throw new Error(`${tensor.name} of ${tensor.file} was not hashed`)
      return digest
    },
    output: (output) =>
      output.kept ??
      contentDigest(
        output.tensors.map((t) => ({
          ...t,
          digest: ledger.digest(places.get(output)!.get(t.name) ?? '', t.name) ?? EMPTY_DIGEST,
        })),
      ),
    sha256: (path) => sha256?.get(path),
  }
}

const isConfig = ({ path }: WholeFile): boolean => basename(path) === CONFIG

const finalizeHeaders = (output: PlannedOutput, lock: Lock, files: readonly OutputFile[]): Result<void> => {
  if (output.kept !== undefined) return ok(undefined)
  const headers = output.finalizeHeader(headerFactsOf(lock.builds[output.setting]!, lock.inputs))
  for (const [i, { path }] of output.files.entries()) {
    const rewritten = files.find((f) => f.finalPath === path)!.rewriteHeader(headers[i]!)
    if (rewritten.type === 'failed') return rewritten
  }
  return ok(undefined)
}

interface StartedLock {
  readonly label: string
  readonly changed: boolean
  readonly changes: readonly string[]
}

/**
 * Compares the lock with the one that stands; starts its file where they differ, and refuses where that is not allowed.
 */
const startLock = async (
  lock: Lock,
  { lock: order }: RunOptions,
  { runId, files }: Holdings,
): Promise<Result<StartedLock | undefined>> => {
  if (order === undefined) return ok(undefined)
  const old = await readLock(order.path)
  if (old.type === 'failed' && order.frozen === true) return old
  const before = old.type === 'ok' ? old.value : undefined
  const changes = compareLocks(before, lock).map(describeChange)
  if (order.frozen === true)
    return changes.length === 0 ? ok(undefined) : failed(...changes.map((change) => lockDiffers(order.path, change)))
  const label = basename(order.path)
  const bytes = encodeLock(lock)
  if (before !== undefined && Buffer.compare(encodeLock(before), bytes) === 0)
    return ok({ label, changed: false, changes })
  const file = await createOutput(order.path, bytes, bytes.length, runId)
  if (file.type === 'failed') return file
  files.push(file.value)
  return ok({ label, changed: true, changes })
}
