import { existsSync } from 'node:fs'
import { join } from 'node:path'
import * as problems from '../../base/catalogue/cuda.js'
import type { Diagnostic } from '../../base/diagnostic.js'
import { failed, ok, type Result } from '../../base/result.js'
import { CUDA_MAJOR, DRIVER, LIBRARIES, PROVIDER } from './cuda-parts.js'
import { openCudart, type CudaDevice } from './cudart.js'
import { findVersion } from './elf.js'
import { setForLibraries, whyNoCalls } from './ffi.js'
import { loadLibraries, type FoundLibrary } from './libraries.js'
import { completePlaces, searchPlaces, type CudaPlaces, type KnownPlaces } from './places.js'

export type { CudaDevice } from './cudart.js'
export type { CudaPlaces } from './places.js'

/** What was found of CUDA. */
export interface CudaFindings {
  /** The version of ONNX Runtime that is installed, which the provider must have. */
  readonly needed: string
  /** ONNX Runtime's provider, where ONNX Runtime looks for it; its version is undefined where it holds none. */
  readonly provider: { readonly path: string; readonly version: string | undefined } | undefined
  /** The libraries that the provider asks for, and where each was found. */
  readonly libraries: readonly { readonly name: string; readonly path: string | undefined }[]
  /** The newest CUDA the driver can do, as `13.0`. */
  readonly driver: string | undefined
  /** The version of the CUDA runtime, as `13.0`. */
  readonly runtime: string | undefined
  /** The visible devices, as CUDA_VISIBLE_DEVICES selects them. */
  readonly devices: readonly CudaDevice[]
  /** The first reason why CUDA cannot be used, with the one command that fixes it. */
  readonly problem: Diagnostic | undefined
}

/** The facts that decide whether CUDA can be used. */
export interface CudaFacts extends Omit<CudaFindings, 'problem' | 'libraries'> {
  /** As Node.js names it, such as `linux-x64`. */
  readonly platform: string
  /** Why no library can be called. */
  readonly noCalls: string | undefined
  readonly libraries: readonly FoundLibrary[]
  /** What the runtime said when it was asked for the number of devices, 0 for no error. */
  readonly error: number
}

/** The platform that ONNX Runtime's provider is made for. */
export const OFFERED = 'linux-x64'

/**
 * The first reason why CUDA cannot be used. The driver is checked first: without a GPU nobody should be told to install
 * the rest.
 */
export const judgeCuda = (facts: CudaFacts): Diagnostic | undefined => {
  const { platform, noCalls, libraries, provider, needed, driver, runtime, devices, error } = facts
  if (platform !== OFFERED) return problems.cudaNotOffered(platform)
  if (noCalls !== undefined) return problems.cudaNoCalls(noCalls)
  const missing = libraries.filter((l) => l.path === undefined).map((l) => l.name)
  if (missing.includes(DRIVER)) return problems.cudaDriverMissing(DRIVER)
  if (provider === undefined) return problems.cudaProviderMissing(needed)
  if (provider.version !== needed) return problems.cudaProviderWrong(provider.path, provider.version, needed)
  if (missing.length > 0) return problems.cudaLibrariesMissing(missing)
  const broken = libraries.find((l) => l.failure !== undefined)
  if (broken !== undefined) return problems.cudaLibraryBroken(broken.name, broken.path!, broken.failure!)
  if (runtime !== undefined && Number.parseInt(runtime, 10) !== CUDA_MAJOR)
    return problems.cudaRuntimeWrong(runtime, CUDA_MAJOR)
  if (driver === undefined || Number.parseInt(driver, 10) < CUDA_MAJOR)
    return problems.cudaDriverOld(driver, CUDA_MAJOR)
  return devices.length === 0 ? problems.cudaNoDevice(error) : undefined
}

const providerAt = (folder: string): CudaFindings['provider'] => {
  const paths = PROVIDER.map((part) => join(folder, part.name))
  return paths.every((path) => existsSync(path)) ? { path: paths[0]!, version: findVersion(paths[0]!) } : undefined
}

const collect = (places: KnownPlaces): CudaFacts => {
  const platform = `${process.platform}-${process.arch}`
  const noCalls = platform === OFFERED ? whyNoCalls() : undefined
  const needed = places.runtime?.version ?? 'unknown'
  const provider = places.runtime === undefined ? undefined : providerAt(places.runtime.binaries)
  if (platform !== OFFERED || noCalls !== undefined) {
    const names = [...LIBRARIES.flat().map((part) => part.name), DRIVER]
    return {
      platform,
      noCalls,
      needed,
      provider,
      libraries: names.map((name) => ({ name, path: undefined, failure: undefined })),
      driver: undefined,
      runtime: undefined,
      devices: [],
      error: 0,
    }
  }
  // cuBLAS would round the factors of products to 10 bits otherwise; it reads this when it is loaded.
  setForLibraries('NVIDIA_TF32_OVERRIDE', '0')
  const libraries = loadLibraries(searchPlaces(places))
  const found = libraries.find((l) => l.name === CUDART && l.failure === undefined)?.path
  const cudart = found === undefined ? undefined : openCudart(found)
  // Without the driver the runtime looks for it everywhere, which takes longer than the rest.
  const driven = libraries.some((l) => l.name === DRIVER && l.path !== undefined) ? cudart : undefined
  const { count, error } = driven?.count() ?? { count: 0, error: 0 }
  const devices = Array.from({ length: count }, (_, index) => driven?.device(index)).filter((d) => d !== undefined)
  return {
    platform,
    noCalls,
    needed,
    provider,
    libraries,
    driver: driven?.driver(),
    runtime: cudart?.runtime(),
    devices,
    error,
  }
}

const CUDART = LIBRARIES[0]![0]!.name

/** Where the CUDA runtime was found, for what needs it by path. */
export const cudartOf = (findings: CudaFindings): string | undefined =>
  findings.libraries.find((l) => l.name === CUDART)?.path

const known = new Map<string, CudaFindings>()

/** Forgets what was found, for when something was installed. What is loaded stays loaded. */
export const forgetCuda = (): void => known.clear()

/**
 * Looks for everything CUDA needs, loads its libraries into the process and asks them what there is; makes no session.
 * What was found is remembered.
 * Main thread only: the environment of a worker's is a copy, which no library sees.
 */
export const examineCuda = (places: CudaPlaces = {}): CudaFindings => {
  const key = JSON.stringify(places)
  const before = known.get(key)
  if (before !== undefined) return before
  const facts = collect(completePlaces(places))
  const { needed, provider, driver, runtime, devices } = facts
  const libraries = facts.libraries.map(({ name, path }) => ({ name, path }))
  const findings = { needed, provider, libraries, driver, runtime, devices, problem: judgeCuda(facts) }
  known.set(key, findings)
  return findings
}

/**
 * Makes ONNX Runtime's provider usable in this process, without TF32; `index` counts the devices that can be seen. Main
 * thread only, before the first session.
 */
export const openCuda = (index: number, places: CudaPlaces = {}): Result<CudaDevice> => {
  const { problem, devices } = examineCuda(places)
  if (problem !== undefined) return failed(problem)
  const device = devices.find((d) => d.index === index)
  return device === undefined
    ? failed(
        problems.cudaNoSuchDevice(
          index,
          devices.map((d) => `${d.index} (${d.name})`),
        ),
      )
    : ok(device)
}
