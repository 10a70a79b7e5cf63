import { basename } from 'node:path'
import { contentDigest, EMPTY_DIGEST } from '../base/digest.js'
import { inputChanged, stopped } from '../base/catalogue/run.js'
import { lockDiffers } from '../base/catalogue/store.js'
import { failed, ok, type Result } from '../base/result.js'
import { readPackage } from '../base/version.js'
import { makeLock, headerFactsOf, type Contents } from '../plan/make-lock.js'
import { CONFIG } from '../plan/model-folder.js'
import type { Plan, PlannedOutput, WholeFile } from '../plan/plan.js'
import type { Claim } from '../safetensors/claim.js'
import { createOutput, withdraw, type OutputFile } from '../safetensors/output.js'
import type { RunId } from '../safetensors/run-id.js'
import { compareLocks, describeChange } from '../store/compare-locks.js'
import { encodeLock, readLock, type Lock } from '../store/lock.js'
import type { MaskFile } from '../store/masks.js'
import type { Listener } from './events.js'
import { isInexact } from './devices/device.js'
import { changedInputs, syncAll } from './files.js'
import type { Built, RunOptions } from './options.js'
import type { Journal } from './journal.js'
import { damagedByAdapters, warnOfUnchanged, warnOfZeros } from './adapter-results.js'
import type { Oddities } from './oddities.js'
import { remember } from './remember.js'
import { renderReports } from './reports.js'
import type { Schedule } from './schedule.js'
import { warnOfStaleShards } from './stale-shards.js'
import type { UnitProgress } from './work.js'

/** What a run has taken and must give back. */
export interface Holdings {
  readonly runId: RunId
  readonly claims: Claim[]
  readonly files: OutputFile[]
  readonly journals: Journal[]
  /** Files that masks are kept in; those that are finished have nothing left to give back. */
  readonly masks: MaskFile[]
  /** The scratch file, if there is one. */
  readonly scratch: OutputFile[]
}

/** What the work of a plan has found out. */
export interface Worked {
  readonly schedule: Schedule
  readonly progress: UnitProgress
  readonly oddities: Oddities
}

/**
 * Puts together what the work of a plan has left: makes the lock, finishes the headers, and gives all files their names.
 * Until the first has it, nothing that stood before has changed.
 */
export const conclude = async (
  plan: Plan,
  options: RunOptions,
  listener: Listener,
  holdings: Holdings,
  { schedule, progress, oddities }: Worked,
): Promise<Result<Omit<Built, 'seconds'>>> => {
  const { runId, files } = holdings
  const changed = await changedInputs(plan)
  if (changed.length > 0) return failed(...changed.map(inputChanged))
  const damaged = damagedByAdapters(plan, oddities)
  if (damaged.length > 0) return failed(...damaged)
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
  const rendered =
    options.gathered === undefined
      ? await renderReports(drawn, schedule, options.render)
      : drawn.map(({ path }) => options.gathered!.report(path))
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
    ...warnOfUnchanged(plan, schedule.ledger),
    ...warnOfZeros(plan),
    ...warnOfStaleShards(plan.outputs),
    ...forgotten,
  ])
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
