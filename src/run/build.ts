import { defaultWorkers } from './machine.js'
import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import type { Diagnostic } from '../base/diagnostic.js'
import { stopped } from '../base/catalogue/run.js'
import { lockReplaced } from '../base/catalogue/store.js'
import { failed, ok, type Result } from '../base/result.js'
import { inTurns } from '../base/slices.js'
import { NO_PRIOR_STATE, type PriorState } from '../plan/prior-state.js'
import type { Destination } from '../plan/destinations.js'
import { completeInSlices } from '../plan/complete-plan.js'
import type { PlannedDevice } from '../plan/device.js'
import type { Plan } from '../plan/plan.js'
import { LOCK_VERSION, lockPath, readLock, type Lock } from '../store/lock.js'
import type { Store } from '../store/store.js'
import { withThreadsAhead } from './worker-pool.js'
import { chooseDevice, type ComputedPlan, type DeviceSelection, type DeviceRequest } from './devices/choose.js'
import { isInexact } from './devices/device.js'
import type { CudaPlaces } from './devices/places.js'
import { lockDestination, optionDestination } from './destinations.js'
import { answerQuestions } from './answer.js'
import { createDownloads } from './downloads.js'
import { refuseFrozen } from './frozen.js'
import { knowNothing } from './gather-prior-state.js'
import { loadPriorState } from './load-prior-state.js'
import { foreignSides } from './model-folders.js'
import { checkPins, draft, type Drafted, type PrepareOptions } from './prepare.js'
import { watchPauses, type Pauses } from './pauses.js'
import { run } from './run.js'
import type { Built, RunOptions } from './options.js'
import { sha256Of } from './sha256.js'

/** Options of a whole build; everything has a default. */
export interface BuildOptions
  extends
    PrepareOptions,
    Partial<
      Omit<RunOptions, 'lock' | 'memory' | 'sha256' | 'device' | 'deviceReason' | 'runtime' | 'pauses' | 'gathered'>
    > {
  /** Where programs run; the processor unless given. */
  readonly device?: DeviceRequest
  /** Where to look for CUDA's libraries, besides the usual places. */
  readonly places?: CudaPlaces
  /** Opens the device for a plan; tests pass their own. */
  readonly choose?: (plan: ComputedPlan, workers: number) => Promise<Result<DeviceSelection>>
  /** The build cache; without it nothing is reused and nothing is cached. */
  readonly store?: Store
  /** False writes no lock beside the recipe. */
  readonly lock?: boolean
  /** Fails if the build would differ from the lock. */
  readonly frozen?: boolean
  /** Computes everything and reuses nothing. */
  readonly force?: boolean
  /** Takes what branches and tags of the hub are now, not the commits that the lock has. */
  readonly update?: boolean
  /** Reads all inputs and existing outputs again, instead of trusting unchanged file times. */
  readonly rehash?: boolean
  /** Records the sha256 of every input in the lock. */
  readonly sha256?: boolean
  /** Where an in-toto statement with SLSA provenance of the build is written; none is unless given. */
  readonly attest?: string
  /** What the caller writes once the build is done, checked with the rest before anything runs. */
  readonly more?: readonly Destination[]
  /** Called with the plan, and the diagnostics so far, before anything is computed. */
  readonly planned?: (
    plan: Plan,
    device: PlannedDevice,
    diagnostics: readonly Diagnostic[],
    lock: Lock | undefined,
  ) => void
}

/** Builds a recipe: reads, plans, checks pins, computes, and writes its outputs and its lock, all of them or none. */
export const build = (path: string, options: BuildOptions = {}): Promise<Result<Built>> => {
  const workers = options.workers ?? defaultWorkers()
  // A recipe with a lock was built before, and may have nothing to do.
  const ahead = options.start === undefined && (options.force === true || !existsSync(lockPath(path)))
  const pauses = watchPauses()
  return withThreadsAhead(ahead ? workers : 0, () => buildWith(path, options, workers, pauses)).finally(pauses.end)
}

const buildWith = async (
  path: string,
  options: BuildOptions,
  workers: number,
  pauses: Pauses,
): Promise<Result<Built>> => {
  const order = { path: lockPath(resolve(path)), frozen: options.frozen === true }
  const beside = destinationsBeside(options, order)
  const sources =
    options.hub === undefined || order.frozen
      ? options
      : { ...options, download: createDownloads(options.hub, options.listener, options.signal) }
  const first = await draft(path, sources, beside)
  const drafted = await answerQuestions(
    first,
    (answers) => draft(path, sources, beside, answers),
    async (asking) =>
      options.force === true || options.rehash === true || order.frozen
        ? ok(knowNothing(asking, options.store))
        : loadPriorState(asking, options.store, 'if-useful', { ...common(options), workers, device: 'cpu' }),
    {
      ...common(options),
      // What is measured beforehand is no part of the run that listeners follow.
      listener: () => undefined,
      workers,
      device: 'cpu',
      ...(options.store === undefined || first.type === 'failed'
        ? {}
        : { memory: { store: options.store, since: first.value.since } }),
    },
  )
  if (drafted.type === 'failed') return drafted
  const ready = await makeReady(drafted.value, options, order)
  if (ready.type === 'failed') return failed(...drafted.diagnostics, ...ready.diagnostics)
  const told = [...drafted.diagnostics, ...ready.diagnostics]
  const foreign = foreignSides(drafted.value.draft, ready.value.lock, options.store)
  if (foreign.length > 0) return failed(...told, ...foreign)
  const nothing: PriorState = {
    ...knowNothing(drafted.value.draft, options.store),
    lock: order.frozen ? (ready.value.lock?.lock ?? LOCK_VERSION) : LOCK_VERSION,
  }
  const learned =
    options.force === true && !order.frozen
      ? ok(nothing)
      : await loadPriorState(
          drafted.value.draft,
          options.store,
          order.frozen || options.rehash === true ? 'anew' : 'if-useful',
          { ...common(options), workers, device: 'cpu' },
        )
  if (learned.type === 'failed') return failed(...told, ...learned.diagnostics)
  const known: PriorState = { ...learned.value, lock: nothing.lock }
  // Numbers that only one device gives are neither taken over nor left for others; where nothing is computed there are
  // none.
  const complete = async (from: PriorState): Promise<Plan | undefined> =>
    (await inTurns(completeInSlices(drafted.value.draft, from), options.signal))?.value
  const inexact = options.device !== undefined && options.device !== 'auto' && isInexact(options.device)
  const bare = inexact ? await complete(withoutResults(known)) : undefined
  if (inexact && bare === undefined) return failed(...told, stopped())
  const alone = bare === undefined || bare.programs.length === 0 ? undefined : options.device
  const refused = order.frozen ? await refuseFrozen(drafted.value.draft, known, order.path, alone) : []
  if (refused.length > 0) return failed(...told, ...refused)

  const plan = alone !== undefined ? bare : await complete(options.force === true ? withoutResults(known) : known)
  if (plan === undefined) return failed(...told, stopped())
  const choose = options.choose ?? ((p, some) => chooseDevice(options.device ?? 'cpu', p, some, options.places))
  const chosen = await choose(plan, workers)
  if (chosen.type === 'failed') return failed(...told, ...chosen.diagnostics)
  const { device, planned, cutting, runtime } = chosen.value
  options.planned?.(plan, planned, told, ready.value.lock)
  const runOptions: RunOptions = {
    ...common(options),
    device,
    deviceReason: planned.reason,
    workers: chosen.value.workers,
    pauses,
    ...(cutting === undefined || options.cutting !== undefined ? {} : { cutting }),
    ...(runtime === undefined ? {} : { runtime }),
    sha256: options.sha256 === true ? ready.value.sha256 : new Map(),
    ...(options.lock === false ? {} : { lock: order }),
    ...(options.store === undefined || alone !== undefined
      ? {}
      : { memory: { store: options.store, since: drafted.value.since } }),
  }
  const built = await runOrAnew(plan, () => complete(nothing), runOptions)
  if (built.type === 'failed' || options.attest === undefined)
    return { ...built, diagnostics: [...told, ...built.diagnostics] }
  const { attest } = await import('./attest.js')
  const unstated = await attest(drafted.value, built.value, {
    path: options.attest,
    set: options.set ?? {},
    rows: options.rows ?? [],
    device: runOptions.device,
    sha256: ready.value.sha256,
  })
  const diagnostics = [...told, ...built.diagnostics, ...unstated]
  return unstated.length > 0 ? failed(...diagnostics) : ok(built.value, diagnostics)
}

/** Runs a plan. If something that it reuses turns out to be damaged, runs a plan that reuses nothing. */
const runOrAnew = async (
  plan: Plan,
  anew: () => Promise<Plan | undefined>,
  options: RunOptions,
): Promise<Result<Built>> => {
  const built = await run(plan, options)
  const inputs = new Set(plan.models.flatMap((m) => m.files.map((f) => f.path)))
  const broken = built.diagnostics.find(
    (d) =>
      d.code === 'reuse-broken' ||
      // What cannot be read and is no input is something of an earlier run.
      (plan.totals.reused > 0 &&
        ['io-failed', 'read-past-end'].includes(d.code) &&
        d.at?.type === 'file' &&
        !inputs.has(d.at.path)),
  )
  if (built.type === 'ok' || broken === undefined) return built
  if (broken.at?.type === 'file') options.memory?.store.masks.drop(broken.at.path)
  const other = await anew()
  const second = other === undefined ? failed(stopped()) : await run(other, options)
  return { ...second, diagnostics: [{ ...broken, severity: 'warning' }, ...second.diagnostics] }
}

/** The options that a build hands to its run as they are. */
const common = ({
  engine,
  cutting,
  listener,
  signal,
  render,
  start,
  reporting,
}: BuildOptions): Partial<RunOptions> => ({
  ...(engine === undefined ? {} : { engine }),
  ...(cutting === undefined ? {} : { cutting }),
  ...(listener === undefined ? {} : { listener }),
  ...(signal === undefined ? {} : { signal }),
  ...(render === undefined ? {} : { render }),
  ...(start === undefined ? {} : { start }),
  ...(reporting === undefined ? {} : { reporting }),
})

/** A prior state with the digests of inputs, but no results to reuse. */
export const withoutResults = ({ digestOf, identify, room, lock, existing }: PriorState): PriorState => ({
  ...NO_PRIOR_STATE,
  digestOf,
  identify,
  room,
  lock,
  existing,
})

/** What a build writes besides the outputs of its recipe. */
const destinationsBeside = (
  { lock, attest, more = [] }: BuildOptions,
  order: { readonly path: string; readonly frozen: boolean },
): Destination[] => [
  ...(lock === false || order.frozen ? [] : [lockDestination(order.path)]),
  ...(attest === undefined ? [] : [optionDestination('--attest', attest)]),
  ...more,
]

/** Reads what must be known about inputs and the lock before planning. */
const makeReady = async (
  drafted: Drafted,
  options: BuildOptions,
  order: { readonly path: string; readonly frozen: boolean },
): Promise<Result<{ readonly sha256: ReadonlyMap<string, string>; readonly lock: Lock | undefined }>> => {
  const pins = await checkPins(drafted)
  if (pins.length > 0) return failed(...pins)
  const sha256 = new Map<string, string>()
  for (const { path, files } of options.sha256 === true || options.attest !== undefined ? drafted.draft.models : []) {
    if (files[0]?.path !== path || sha256.has(path)) continue
    const digest = await sha256Of(path)
    if (typeof digest !== 'string') return failed(digest)
    sha256.set(path, digest)
  }
  const lock = await readLock(order.path)
  if (lock.type === 'ok') return ok({ sha256, lock: lock.value })
  // A lock that cannot be read is no reason not to make a new one, but whoever resolves a conflict wants to know.
  return order.frozen ? lock : ok({ sha256, lock: undefined }, lock.diagnostics.map(lockReplaced))
}
