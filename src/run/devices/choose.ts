import { deviceNoKernel, devicePick, deviceTooSmall, webgpuMissing } from '../../base/catalogue/devices.js'
import { failed, ok, type Result } from '../../base/result.js'
import { isDecodedByHost, isEncodedByHost, kernelsOf, lowerFor, type Provider } from '../../graph/lower.js'
import { hasKernel } from '../../graph/provider-kernels.js'
import type { Program } from '../../graph/program.js'
import { estimateDeviceMemory } from '../../plan/device-memory.js'
import type { PlannedDevice } from '../../plan/device.js'
import type { Plan } from '../../plan/plan.js'
import type { Dtype } from '../../tensor/dtype.js'
import type { Cutting } from '../workspace.js'
import { indexOf, LEAST_CHUNK, type Device } from './device.js'
import type { CudaPlaces } from './places.js'

/** What is asked for: a device, or the best that works. */
export type DeviceRequest = Device | 'auto'

/** A device that is open, and how a plan is carried out on it. */
export interface DeviceSelection {
  readonly device: Device
  readonly planned: PlannedDevice
  readonly workers: number
  /** How the work is cut; undefined for what is best on the processor. */
  readonly cutting?: Cutting
  /** Path of CUDA's runtime library. */
  readonly runtime?: string
}

/** What a device is chosen by. */
export type ComputedPlan = Pick<Plan, 'jobs' | 'programs' | 'totals'>

/**
 * Elements of a run on a device: a whole segment, whose digest is one worker's. Copies of that length already run at
 * the bus's speed.
 */
const MOST_CHUNK = 1 << 20
/** The part of a device's free memory that a build may take. */
const SHARE = 0.8

/**
 * Seconds that the processor takes for one instruction of a program and one element. Measured at 0.08 to 0.2 ns, see
 * docs/devices.md.
 */
const SECONDS_PER_OPERATION = 0.15e-9
/** Seconds of arithmetic below which the start of CUDA, which takes about as long, is not worth it. */
const WORTHWHILE = 2

/** The processor, for a reason. */
export const onProcessor = (reason: string, workers: number): DeviceSelection => ({
  device: 'cpu',
  workers,
  planned: { name: 'cpu', title: undefined, reason, workers, chunk: 0, memory: undefined, notes: [] },
})

/**
 * Opens the requested device, or says why it cannot be used. Tests it with a small program, and chooses chunks that fit
 * into its memory. If a plan computes nothing, no device is opened.
 */
export const chooseDevice = async (
  wish: DeviceRequest,
  plan: ComputedPlan,
  workers: number,
  places: CudaPlaces = {},
): Promise<Result<DeviceSelection>> => {
  if (wish === 'cpu') return ok(onProcessor('asked for', workers))
  if (plan.programs.length === 0) return ok(onProcessor(devicePick.nothing(wish), workers))
  if (wish === 'webgpu') return chooseWebgpu(plan)
  return wish === 'auto' ? chooseBest(plan, workers, places) : chooseCuda(wish, plan, workers, places, devicePick.asked)
}

const chooseBest = async (
  plan: ComputedPlan,
  workers: number,
  places: CudaPlaces,
): Promise<Result<DeviceSelection>> => {
  const seconds = (plan.totals.operations * SECONDS_PER_OPERATION) / workers
  if (seconds < WORTHWHILE) return ok(onProcessor(devicePick.small(seconds), workers))
  const chosen = await chooseCuda('cuda:0', plan, workers, places, devicePick.gains(seconds))
  return chosen.type === 'ok' ? chosen : ok(onProcessor(devicePick.unusable(chosen.diagnostics[0]!), workers))
}

const chooseCuda = async (
  device: Device,
  plan: ComputedPlan,
  workers: number,
  places: CudaPlaces,
  reason: string,
): Promise<Result<DeviceSelection>> => {
  const { cudartOf, examineCuda, openCuda } = await import('./cuda.js')
  const { probeCuda } = await import('./probe-cuda.js')
  const { freeDeviceMemory } = await import('./device-memory.js')
  const opened = openCuda(indexOf(device), places)
  if (opened.type === 'failed') return opened
  const problem = await probeCuda(indexOf(device), places)
  if (problem !== undefined) return failed(problem)
  const programs = lowerAll('cuda', plan)
  if (programs.type === 'failed') return programs
  const runtime = cudartOf(examineCuda(places))
  // Asked again: what CUDA itself takes is taken by now.
  const free =
    runtime === undefined ? opened.value.free : freeDeviceMemory(runtime, indexOf(device)) || opened.value.free
  const fit = fitInto(programs.value, workers, SHARE * free)
  if (fit === undefined)
    return failed(deviceTooSmall(device, opened.value.name, estimateDeviceMemory(programs.value, LEAST_CHUNK, 1), free))
  const { chunk } = fit
  return ok({
    device,
    workers: fit.workers,
    cutting: { chunk, block: MOST_CHUNK },
    ...(runtime === undefined ? {} : { runtime }),
    planned: {
      name: device,
      title: opened.value.name,
      reason,
      workers: fit.workers,
      chunk,
      memory: { most: estimateDeviceMemory(programs.value, chunk, fit.workers), free },
      notes: edgeNotes(plan, 'cuda'),
    },
  })
}

/**
 * The largest chunks with which a build takes no more device memory than `room`; uses fewer workers only if the
 * smallest chunks do not fit.
 */
export const fitInto = (
  programs: readonly Program[],
  workers: number,
  room: number,
): { readonly chunk: number; readonly workers: number } | undefined => {
  for (let some = workers; some >= 1; some--) {
    for (let chunk = MOST_CHUNK; chunk >= LEAST_CHUNK; chunk /= 2) {
      if (estimateDeviceMemory(programs, chunk, some) <= room) return { chunk, workers: some }
    }
  }
  return undefined
}

const chooseWebgpu = async (plan: ComputedPlan): Promise<Result<DeviceSelection>> => {
  const { probeWebgpu } = await import('./probe-webgpu.js')
  const problem = await probeWebgpu()
  if (problem !== undefined) return failed(webgpuMissing(problem))
  const programs = lowerAll('webgpu', plan)
  if (programs.type === 'failed') return programs
  return ok({
    device: 'webgpu',
    workers: 1,
    cutting: { chunk: MOST_CHUNK, block: MOST_CHUNK },
    planned: {
      name: 'webgpu',
      title: undefined,
      reason: devicePick.asked,
      workers: 1,
      chunk: MOST_CHUNK,
      memory: undefined,
      notes: [...devicePick.webgpu, ...edgeNotes(plan, 'webgpu')],
    },
  })
}

/** The programs of a plan as a provider runs them, if it has a kernel for everything in them. */
const lowerAll = (provider: Exclude<Provider, 'cpu'>, plan: ComputedPlan): Result<readonly Program[]> => {
  const programs = plan.programs.map((p) => lowerFor(provider, p))
  const missing = [...new Set(programs.flatMap(kernelsOf))].filter((kernel) => !hasKernel(provider, kernel))
  return missing.length > 0 ? failed(deviceNoKernel(provider, missing)) : ok(programs)
}

/** Notes on the dtypes that the CPU converts because the provider cannot. */
const edgeNotes = (plan: ComputedPlan, provider: Exclude<Provider, 'cpu'>): string[] => {
  const sorted = (dtypes: readonly Dtype[]): readonly Dtype[] => [...new Set(dtypes)].sort()
  const decoded = sorted(
    plan.jobs
      .flatMap((job) => job.sweeps?.passes ?? [])
      .flatMap((p) => p.reads.map((r) => r.tensor.dtype))
      .filter((d) => isDecodedByHost(provider, d)),
  )
  const encoded = sorted(
    plan.jobs.flatMap((job) => job.targets.map((t) => t.dtype)).filter((d) => isEncodedByHost(provider, d)),
  )
  return [
    ...(decoded.length === 0 ? [] : [devicePick.decoded(decoded)]),
    ...(encoded.length === 0 ? [] : [devicePick.encoded(encoded)]),
  ]
}
