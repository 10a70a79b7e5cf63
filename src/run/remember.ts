import { stat } from 'node:fs/promises'
import { storeUnwritable } from '../base/catalogue/store.js'
import type { Diagnostic } from '../base/diagnostic.js'
import { blake3, EMPTY_DIGEST, toDigest, type Digest } from '../base/digest.js'
import { inTurns, type Sliced } from '../base/slices.js'
import type { Fingerprints } from '../plan/fingerprint.js'
import { headerFactsOf } from '../plan/make-lock.js'
import { wholeFilesOf } from '../plan/outputs.js'
import type { Plan, Target } from '../plan/plan.js'
import { fingerprintReport } from '../plan/reports.js'
import { correctSpeed } from '../plan/time.js'
import { errorCode } from '../safetensors/io-problem.js'
import { identityOf, type FileIdentity } from '../safetensors/open.js'
import { isSettled, type KnownFile, type KnownTensor } from '../store/files.js'
import type { Lock } from '../store/lock.js'
import type { StoredOutcome } from '../store/outcomes.js'
import type { MaskFile } from '../store/masks.js'
import type { Store } from '../store/store.js'
import type { TensorInfo } from '../tensor/info.js'
import { finishMasks } from './kept-masks.js'
import { inputFiles } from './gather-prior-state.js'
import type { Schedule } from './schedule.js'
import type { Timings } from './stopwatch.js'

/** Longest wait, in ms, for the clock of the file system to pass the moment of the last write. */
const PATIENCE = 40

/** What a run has written: its files as they then were, and bits of masks. */
export interface WrittenFiles {
  readonly files: ReadonlyMap<string, FileIdentity>
  readonly masks: readonly MaskFile[]
  /** The device, and what the workers' time went to. */
  readonly device: string
  readonly spent: Timings
  /** The bytes of reports by path. */
  readonly reports: ReadonlyMap<string, Uint8Array>
}

/**
 * Keeps in the store what later builds can use: digests of inputs, what made the tensors of outputs, masks, and what
 * measures came to.
 * A store that cannot be written costs later builds time and this one a warning.
 */
export const remember = async (
  plan: Plan,
  schedule: Schedule,
  lock: Lock | undefined,
  { files: written, masks, reports, device, spent }: WrittenFiles,
  { store, since }: { readonly store: Store; readonly since: number },
): Promise<readonly Diagnostic[]> => {
  try {
    const digestOf = (tensor: TensorInfo): Digest | undefined =>
      plan.digestOf(tensor) ?? schedule.ledger.digest(tensor.file, tensor.name)
    const fingerprints = plan.fingerprints(digestOf)
    await allTurns(fingerprints.prepare())
    // The largest first, so that they are the first to go where the store is too small.
    finishMasks(plan, schedule, fingerprints, masks)
    rememberInputs(plan, digestOf, store, since)
    const outcomes = await allTurns(outcomesOf(schedule, fingerprints))
    for (const [measure, outcome] of plan.outcomes) outcomes.set(fingerprints.ofMeasure(measure)!, outcome)
    if (outcomes.size > 0) store.outcomes.keep(outcomes)
    for (const [index, output] of plan.outputs.entries()) {
      if (output.kept !== undefined || lock === undefined) continue
      const headers = output.finalizeHeader(headerFactsOf(lock.builds[output.setting]!, lock.inputs))
      for (const [i, { path }] of output.files.entries()) {
        await rememberFile(path, written, store, {
          header: toDigest(blake3(headers[i]!)),
          fingerprint: undefined,
          tensors: await allTurns(tensorsOf(plan, index, path, schedule, (t) => fingerprints.of(t.value, t))),
        })
      }
      for (const { path, bytes } of wholeFilesOf(output))
        await rememberFile(path, written, store, {
          header: toDigest(blake3(bytes)),
          fingerprint: undefined,
          tensors: new Map(),
        })
    }
    for (const report of plan.reports.filter((r) => !r.kept)) {
      const { path } = report
      const header = toDigest(blake3(reports.get(path)!))
      const fingerprint = fingerprintReport(report, fingerprints)
      if (fingerprint !== undefined)
        await rememberFile(path, written, store, { header, fingerprint, tensors: new Map() })
    }
    rememberSpeed(plan, store, device, spent)
    store.collect()
    return []
  } catch (error) {
    if (errorCode(error) === '') throw error
    return [storeUnwritable(store.folder, errorCode(error))]
  }
}

/** Keeps what measures of a plan came to, and the digests of the inputs that were read for them. */
export const rememberMeasures = async (
  plan: Plan,
  schedule: Schedule,
  { store, since }: { readonly store: Store; readonly since: number },
): Promise<void> => {
  try {
    const digestOf = (tensor: TensorInfo): Digest | undefined =>
      plan.digestOf(tensor) ?? schedule.ledger.digest(tensor.file, tensor.name)
    const fingerprints = plan.fingerprints(digestOf)
    await allTurns(fingerprints.prepare())
    rememberInputs(plan, digestOf, store, since)
    const outcomes = await allTurns(outcomesOf(schedule, fingerprints))
    if (outcomes.size > 0) store.outcomes.keep(outcomes)
  } catch (error) {
    // The build that follows tells of a store that cannot be written.
    if (errorCode(error) === '') throw error
  }
}

const rememberSpeed = (
  { totals }: Plan,
  { speeds }: Store,
  device: string,
  { read, draw, run, take, write }: Timings,
): void => {
  const speed = correctSpeed(speeds.find(device), totals, { read, write, compute: draw + run + take })
  if (speed !== undefined) speeds.keep(device, speed)
}

const rememberInputs = (
  plan: Plan,
  digestOf: (t: TensorInfo) => Digest | undefined,
  store: Store,
  since: number,
): void => {
  const tensors = new Map<string, Map<string, KnownTensor>>()
  const incomplete = new Set<string>()
  const inputs = plan.settings.flatMap((s) => [...s.inputs.values()])
  for (const tensor of inputs.flatMap(({ file }) => [...file.tensors.values()])) {
    const digest = tensor.begin === tensor.end ? EMPTY_DIGEST : digestOf(tensor)
    if (digest === undefined) incomplete.add(tensor.file)
    else
      tensors.set(
        tensor.file,
        (tensors.get(tensor.file) ?? new Map<string, KnownTensor>()).set(tensor.name, {
          digest,
          begin: tensor.begin,
          fingerprint: undefined,
        }),
      )
  }
  for (const file of inputFiles(plan)) {
    const found = tensors.get(file.path) ?? new Map<string, KnownTensor>()
    // What was read for its digest before the plan was made, or by a run that died, is not in the store either; and
    // what is in the store may be of bytes that changed unseen.
    if (!incomplete.has(file.path) && !isRemembered(found, store.files.find(file.path, file)))
      store.files.keep(file.path, { identity: file, header: undefined, fingerprint: undefined, tensors: found }, since)
  }
}

const isRemembered = (tensors: ReadonlyMap<string, KnownTensor>, file: KnownFile | undefined): boolean =>
  file !== undefined && [...tensors].every(([name, { digest }]) => file.tensors.get(name)?.digest === digest)

function* outcomesOf(schedule: Schedule, fingerprints: Fingerprints): Sliced<Map<string, StoredOutcome>> {
  const outcomes = new Map<string, StoredOutcome>()
  for (const [measure, outcome] of schedule.outcomes()) {
    yield
    const made = fingerprints.ofMeasure(measure)
    if (made !== undefined) outcomes.set(made, outcome)
  }
  return outcomes
}

function* tensorsOf(
  plan: Plan,
  index: number,
  path: string,
  { ledger }: Schedule,
  fingerprint: (t: Target) => string | undefined,
): Sliced<ReadonlyMap<string, KnownTensor>> {
  const tensors = new Map<string, KnownTensor>()
  for (const t of plan.targets[index]!) {
    if (t.path !== path) continue
    yield
    tensors.set(t.tensor, {
      digest: ledger.digest(path, t.tensor) ?? EMPTY_DIGEST,
      begin: t.begin,
      fingerprint: fingerprint(t),
    })
  }
  return tensors
}

/** Does all of some sliced work in turns: nothing stops it. */
const allTurns = async <T>(work: Sliced<T>): Promise<T> => (await inTurns(work))!.value

/** Remembers a file that was just written, unless something has happened to it since. */
const rememberFile = async (
  path: string,
  written: ReadonlyMap<string, FileIdentity>,
  store: Store,
  facts: {
    readonly header: Digest | undefined
    readonly fingerprint: string | undefined
    readonly tensors: ReadonlyMap<string, KnownTensor>
  },
): Promise<void> => {
  const now = await stat(path, { bigint: true }).catch(() => undefined)
  const before = written.get(path)
  if (now === undefined || before === undefined) return
  const identity = identityOf(now)
  // Renaming changes the change time and nothing else.
  if (identity.ino !== before.ino || identity.size !== before.size || identity.mtimeNs !== before.mtimeNs) return
  for (let waited = 0; waited < PATIENCE && !isSettled(identity, Date.now()); waited += 5)
    await new Promise((resolve) => setTimeout(resolve, 5))
  store.files.keep(path, { identity, ...facts }, Date.now())
}
