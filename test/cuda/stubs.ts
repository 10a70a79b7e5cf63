import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const CUDART = 'libcudart.so.13'
const DRIVER = 'libcuda.so.1'

/** The libraries a provider for CUDA 13 needs, in the order in which they are to be loaded. */
export const LIBRARIES: readonly string[] = [CUDART, 'libcublasLt.so.13', 'libcublas.so.13', 'libcurand.so.10', DRIVER]

/** Functions of the other libraries that do more than say that all went well. */
const MADE: Readonly<Record<string, string>> = {
  cublasCreate_v2: 'int cublasCreate_v2(void **out) { *out = malloc(64); return 0; }',
  cublasLtCreate: 'int cublasLtCreate(void **out) { *out = malloc(64); return 0; }',
  cublasDestroy_v2: 'int cublasDestroy_v2(void *it) { free(it); return 0; }',
  cublasLtDestroy: 'int cublasLtDestroy(void *it) { free(it); return 0; }',
  cublasGetStatusName: 'const char *cublasGetStatusName(int code) { return "stub"; }',
  cublasGetStatusString: 'const char *cublasGetStatusString(int code) { return "stub"; }',
}

const runtime = readFileSync(fileURLToPath(new URL('./stub-cudart.c', import.meta.url)), 'utf8')
const isDefined = (source: string, name: string): boolean => new RegExp(`^[a-z].*\\b${name}\\(.*\\{`, 'm').test(source)

/** The functions a provider takes from each library. Those of the driver carry no version. */
const wantedOf = (provider: string): ReadonlyMap<string, readonly string[]> => {
  const wanted = new Map<string, string[]>(LIBRARIES.map((library) => [library, []]))
  for (const line of execFileSync('nm', ['-D', '--undefined-only', provider], {
    encoding: 'utf8',
    maxBuffer: 1 << 26,
  }).split('\n')) {
    const [name, version] = (line.trim().split(/\s+/).at(-1) ?? '').split('@')
    wanted.get(version ?? (/^cu[A-Z]/.test(name!) ? DRIVER : ''))?.push(name!)
  }
  return wanted
}

const sourceOf = (library: string, names: readonly string[]): string => {
  const source =
    library === CUDART ? runtime : `#include <stdlib.h>\n${names.map((name) => MADE[name] ?? '').join('\n')}`
  return `${source}\n${names
    .filter((name) => !isDefined(source, name))
    .map((name) => `int ${name}(void) { return 0; }`)
    .join('\n')}\n`
}

/**
 * Builds libraries that stand in for CUDA's into a folder, with everything that a provider takes from them; gives their
 * paths in the order of
 * `LIBRARIES`. With them the real provider places nodes, allocates, copies and runs as on a device, but computes
 * nothing. Needs `nm` and `cc`;
 * throws what those say.
 */
export const buildStubs = (provider: string, folder: string): readonly string[] => {
  mkdirSync(folder, { recursive: true })
  const wanted = wantedOf(provider)
  return LIBRARIES.map((library) => {
    const [out, source, versions] = ['', '.c', '.map'].map((ending) => join(folder, `${library}${ending}`)) as [
      string,
      string,
      string,
    ]
    writeFileSync(source, sourceOf(library, wanted.get(library)!))
    writeFileSync(versions, `${library} { global: *; };\n`)
    execFileSync('cc', [
      '-shared',
      '-fPIC',
      '-O1',
      '-w',
      `-Wl,-soname,${library}`,
      `-Wl,--version-script=${versions}`,
      '-o',
      out,
      source,
      '-lpthread',
    ])
    return out
  })
}
