import { existsSync, readdirSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { findRuntime, type InstalledRuntime } from './onnxruntime.js'

/** Where to look for what CUDA needs. What is left out is as on any machine. */
export interface CudaPlaces {
  /** A folder whose libraries are preferred to all others. */
  readonly libraries?: string | undefined
  /** Where what smelt installs is kept (default: `.local/share/smelt/cuda` in the home folder). */
  readonly data?: string | undefined
  /** Folders of CUDA toolkits, besides those below /usr/local. */
  readonly toolkits?: readonly string[]
  /** Folders of Python environments, whose packages may hold the libraries. */
  readonly pythons?: readonly string[]
  /** False to look neither where the system's loader does nor in the folders every machine has. */
  readonly system?: boolean
  /** The installed ONNX Runtime. */
  readonly runtime?: InstalledRuntime | undefined
}

/** The places with nothing left out but what there is not. */
export interface KnownPlaces extends Required<Omit<CudaPlaces, 'libraries' | 'runtime'>> {
  readonly libraries: string | undefined
  readonly data: string
  readonly runtime: InstalledRuntime | undefined
}

/** Fills in what every machine has. */
export const completePlaces = (places: CudaPlaces): KnownPlaces => ({
  libraries: places.libraries,
  data: places.data ?? join(homedir(), '.local', 'share', 'smelt', 'cuda'),
  toolkits: places.toolkits ?? [],
  pythons: places.pythons ?? [],
  system: places.system ?? true,
  runtime: 'runtime' in places ? places.runtime : findRuntime(),
})

/** Where installed libraries are kept. */
export const librariesFolder = (data: string): string => join(data, 'libraries')

/** Where the provider of a version of ONNX Runtime is kept. */
export const providerFolder = (data: string, version: string): string => join(data, version)

const entriesOf = (folder: string, pattern: RegExp): string[] => {
  try {
    return readdirSync(folder)
      .filter((name) => pattern.test(name))
      .sort()
      .reverse()
      .map((name) => join(folder, name))
  } catch {
    return []
  }
}

/**
 * The folders in which packages of a Python environment keep libraries: NVIDIA's own, newest Python first, then that of
 * conda.
 */
const ofPython = (prefix: string): string[] => [
  ...entriesOf(join(prefix, 'lib'), /^python3(\.\d+)?$/)
    .flatMap((python) => [join(python, 'site-packages', 'nvidia'), join(python, 'dist-packages', 'nvidia')])
    .flatMap((nvidia) => entriesOf(nvidia, /./).map((each) => join(each, 'lib'))),
  join(prefix, 'lib'),
]

const ofToolkit = (toolkit: string): string[] => [
  join(toolkit, 'lib64'),
  join(toolkit, 'targets', 'x86_64-linux', 'lib'),
]

/** A place to look in: a folder, or the search of the system's loader. */
export type LibraryLocation = { readonly type: 'folder'; readonly path: string } | { readonly type: 'loader' }

/** Where libraries are looked for, in order; folders that are not there are left out. */
export const searchPlaces = ({
  libraries,
  data,
  toolkits,
  pythons,
  system,
}: KnownPlaces): readonly LibraryLocation[] => {
  const folders = (paths: readonly (string | undefined)[]): LibraryLocation[] =>
    paths.flatMap((path) => (path !== undefined && existsSync(path) ? [{ type: 'folder' as const, path }] : []))
  return [
    ...folders([libraries, librariesFolder(data)]),
    ...(system ? [{ type: 'loader' as const }] : []),
    ...folders(toolkits.flatMap(ofToolkit)),
    ...folders(system ? ['/usr/local/cuda', ...entriesOf('/usr/local', /^cuda-13(\.\d+)?$/)].flatMap(ofToolkit) : []),
    ...folders(pythons.flatMap(ofPython)),
    ...folders(system ? ['/usr/local', '/usr'].flatMap(ofPython) : []),
    ...folders(
      system ? ['/usr/lib/x86_64-linux-gnu', '/usr/lib64', '/usr/local/nvidia/lib64', '/usr/lib/wsl/lib'] : [],
    ),
  ]
}
