import {
  existsSync,
  lstatSync,
  readdirSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  unlinkSync,
} from 'node:fs'
import { access, constants, mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import * as problems from '../../base/catalogue/cuda.js'
import type { Diagnostic } from '../../base/diagnostic.js'
import { reasonOf } from '../../base/reason.js'
import { failed, ok, type Result } from '../../base/result.js'
import { ioProblem } from '../../safetensors/io-problem.js'
import { makeFolder } from '../../safetensors/make-folder.js'
import { preflight } from '../../safetensors/space.js'
import { PROVIDER } from './cuda-parts.js'
import { examineCuda, forgetCuda, OFFERED, type CudaPlaces } from './cuda.js'
import {
  downloadProvider,
  downloadWheels,
  LIBRARY_WHEELS,
  pipArguments,
  providerWheel,
  type Wheel,
} from './download.js'
import { findVersion, whyNoLibrary } from './elf.js'
import type { InstalledRuntime } from './onnxruntime.js'
import { completePlaces, providerFolder, type KnownPlaces } from './places.js'
import { STAGING, importFrom, type CudaListener, type ImportOptions } from './import-libraries.js'

/** Fetches what is nowhere; tests put their own in its place. Each gives why it could not. */
export interface Fetcher {
  readonly wheels: (requirements: readonly string[], folder: string) => Promise<string | undefined>
  readonly provider: (runtime: InstalledRuntime) => Promise<string | undefined>
}

/** What was installed. */
export interface CudaInstalled {
  readonly installed: readonly string[]
  /** The folder beside whose library the provider lies now; undefined where there is no provider to put there. */
  readonly linked: string | undefined
}

/** The provider in a folder, sound and of the right version. */
const holdsProvider = (folder: string, needed: string): boolean => {
  const paths = PROVIDER.map((part) => join(folder, part.name))
  return (
    paths.every((path) => existsSync(path) && whyNoLibrary(path) === undefined) && findVersion(paths[0]!) === needed
  )
}

/** Puts links to the provider beside ONNX Runtime's library, each at once; links that are right stay. */
const link = (folder: string, binaries: string): Diagnostic | undefined => {
  try {
    for (const { name } of PROVIDER) {
      const [from, to] = [join(folder, name), join(binaries, name)]
      if (lstatSync(to, { throwIfNoEntry: false })?.isSymbolicLink() === true && readlinkSync(to) === from) continue
      const beside = `${to}.${process.pid}.partial`
      rmSync(beside, { force: true })
      symlinkSync(from, beside)
      renameSync(beside, to)
    }
    return undefined
  } catch (error) {
    return problems.cudaLinkRefused(binaries, reasonOf(error))
  }
}

const DAY = 86_400_000

/** Removes unfinished work that nobody can be at any more. */
const sweep = (data: string): void => {
  for (const name of existsSync(data) ? readdirSync(data).filter((entry) => entry.startsWith(STAGING)) : []) {
    const path = join(data, name)
    if (Date.now() - (statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0) > DAY)
      rmSync(path, { recursive: true, force: true })
  }
}

interface Fetched {
  readonly installed: readonly string[]
  readonly diagnostics: readonly Diagnostic[]
}

const takeAll = async (sources: readonly string[], taking: ImportOptions): Promise<Fetched> => {
  const taken = []
  for (const source of sources) taken.push(await importFrom(source, taking))
  const installed = taken.flatMap((t) => t.installed)
  // Of several providers the right one is enough.
  const moot = (d: Diagnostic): boolean => d.code === 'cuda-provider-refused' && installed.includes(PROVIDER[0]!.name)
  return { installed, diagnostics: taken.flatMap((t) => t.refused).filter((d) => !moot(d)) }
}

/** Downloads wheels to a folder of its own, installs what is in them, and removes them. */
const fetchWheels = async (
  wheels: readonly Wheel[],
  taking: ImportOptions,
  fetcher: Fetcher,
): Promise<Fetched | string> => {
  const folder = await mkdtemp(join(taking.data, STAGING))
  try {
    for (const { requirement, bytes } of wheels) {
      taking.hear({ type: 'downloading', what: requirement, bytes })
      const failure = await fetcher.wheels([requirement], folder)
      if (failure !== undefined) return failure
    }
    return await takeAll([folder], taking)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

const NOTHING: Fetched = { installed: [], diagnostics: [] }

/** A command that fetches the same on a machine with internet. */
const commandFor = (wheels: readonly Wheel[]): string =>
  `python3 ${pipArguments(
    wheels.map((w) => `'${w.requirement}'`),
    'FOLDER',
  ).join(' ')}`

const fetchAll = async (
  places: KnownPlaces,
  runtime: InstalledRuntime,
  taking: ImportOptions,
  fetcher: Fetcher,
): Promise<Fetched> => {
  const hasProvider = [providerFolder(places.data, runtime.version), runtime.binaries].some((folder) =>
    holdsProvider(folder, runtime.version),
  )
  const missing = examineCuda(places)
    .libraries.filter((l) => l.path === undefined)
    .map((l) => l.name)
  const libraries = [...new Set(missing.flatMap((name) => LIBRARY_WHEELS[name] ?? []))]
  const provider = hasProvider ? [] : [providerWheel(runtime.version)]
  const wanted = [...provider, ...libraries]
  if (wanted.length === 0) return NOTHING
  const room = preflight(
    places.data,
    wanted.reduce((sum, w) => sum + w.bytes, 0),
  )
  if (room.type === 'failed') return { installed: [], diagnostics: room.diagnostics }
  const notFetched = (wheels: readonly Wheel[], reasons: readonly string[]): Fetched => ({
    installed: [],
    diagnostics: [
      problems.cudaNotFetched(
        wheels.map((w) => problems.wheelOf(w.requirement)),
        reasons,
        commandFor(wheels),
      ),
    ],
  })

  const fetchProvider = async (): Promise<Fetched> => {
    const first = await fetchWheels(provider, taking, fetcher)
    if (typeof first !== 'string') return first
    taking.hear({
      type: 'downloading',
      what: problems.providerOf(runtime.version),
      bytes: provider[0]!.bytes,
    })
    const second = await fetcher.provider(runtime)
    return second === undefined ? takeAll([runtime.binaries], taking) : notFetched(wanted, [first, second])
  }
  const fromProvider = hasProvider ? NOTHING : await fetchProvider()
  // Without a way to the provider there is none to the libraries either, and the command names them all.
  if (libraries.length === 0 || fromProvider.diagnostics.length > 0) return fromProvider
  const fetched = await fetchWheels(libraries, taking, fetcher)
  const fromLibraries = typeof fetched === 'string' ? notFetched(libraries, [fetched]) : fetched
  return { installed: [...fromProvider.installed, ...fromLibraries.installed], diagnostics: fromLibraries.diagnostics }
}

/**
 * Makes CUDA usable: takes what it needs from the sources, or, without any, fetches what is found nowhere; keeps it in
 * the data folder and puts
 * the provider beside ONNX Runtime. What is already installed is only put there again.
 */
export const installCuda = async (
  sources: readonly string[],
  given: CudaPlaces,
  hear: CudaListener,
  fetcher: Fetcher = { wheels: downloadWheels, provider: downloadProvider },
): Promise<Result<CudaInstalled>> => {
  const platform = `${process.platform}-${process.arch}`
  if (platform !== OFFERED) return failed(problems.cudaNotOffered(platform))
  const places = completePlaces(given)
  const { data, runtime } = places
  if (runtime === undefined) return failed(problems.cudaNoRuntime())
  try {
    makeFolder(data)
    await access(data, constants.W_OK)
    sweep(data)
  } catch (error) {
    return failed(ioProblem(error, data, 'create'))
  }
  const taking = { data, needed: runtime.version, hear }
  const { installed, diagnostics } =
    sources.length > 0 ? await takeAll(sources, taking) : await fetchAll(places, runtime, taking, fetcher)
  const home = providerFolder(data, runtime.version)
  const here = holdsProvider(home, runtime.version)
  const problem = here ? link(home, runtime.binaries) : undefined
  forgetCuda()
  const all = [...diagnostics, ...(problem === undefined ? [] : [problem])]
  return all.some((d) => d.severity === 'error')
    ? failed(...all)
    : ok({ installed, linked: here ? runtime.binaries : undefined }, all)
}

const bytesBelow = (path: string): number => {
  const found = lstatSync(path)
  return found.isDirectory()
    ? readdirSync(path).reduce((sum, name) => sum + bytesBelow(join(path, name)), 0)
    : found.size
}

/** Removes everything that {@link installCuda} installed; gives the bytes removed. */
export const removeCuda = (given: CudaPlaces): Result<number> => {
  const { data, runtime } = completePlaces(given)
  try {
    for (const { name } of runtime === undefined ? [] : PROVIDER) {
      const path = join(runtime!.binaries, name)
      if (lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() === true && readlinkSync(path).startsWith(data))
        unlinkSync(path)
    }
    const bytes = existsSync(data) ? bytesBelow(data) : 0
    rmSync(data, { recursive: true, force: true })
    forgetCuda()
    return ok(bytes)
  } catch (error) {
    return failed(problems.cudaLinkRefused(data, reasonOf(error)))
  }
}
