import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'

/** The version of ONNX Runtime that the program uses; a provider must have the same. */
export const VERSION = (createRequire(import.meta.url)('onnxruntime-node/package.json') as { readonly version: string })
  .version

/** The two files of a provider, as they are named in the wheel and beside ONNX Runtime's library. */
export const PROVIDER_FILES = {
  cuda: 'libonnxruntime_providers_cuda.so',
  shared: 'libonnxruntime_providers_shared.so',
} as const

/** The folder in which ONNX Runtime's library and its providers lie, in a package's folder. */
export const BINARIES = join('bin', 'napi-v6', 'linux', 'x64')

const DOWNLOAD_LIMIT = 120_000
const CACHE = join(tmpdir(), `smelt-provider-${VERSION}`)

const isComplete = (folder: string): boolean =>
  Object.values(PROVIDER_FILES).every((file) => existsSync(join(folder, file)))
/** Anyone may leave a folder of that name in a shared temporary folder, and what is in it is run. */
const isOwn = (folder: string): boolean => existsSync(folder) && statSync(folder).uid === process.getuid?.()
const packageFolder = (): string => dirname(createRequire(import.meta.url).resolve('onnxruntime-node/package.json'))

/** Downloads the provider's wheel and keeps its two files in a folder for later runs. */
const download = (): string => {
  const folder = mkdtempSync(`${CACHE}-`)
  try {
    const python = (...args: readonly string[]): void =>
      void execFileSync('python3', ['-m', ...args], {
        cwd: folder,
        timeout: DOWNLOAD_LIMIT,
        stdio: ['ignore', 'ignore', 'pipe'],
      })
    python(
      'pip',
      'download',
      '--quiet',
      '--disable-pip-version-check',
      '--no-deps',
      '--only-binary=:all:',
      '--python-version',
      '3.13',
      '--implementation',
      'cp',
      '--platform',
      'manylinux_2_28_x86_64',
      '--dest',
      '.',
      `onnxruntime-gpu==${VERSION}`,
    )
    python(
      'zipfile',
      '-e',
      readdirSync(folder).find((name) => name.endsWith('.whl'))!,
      'wheel',
    )
    const capi = join(folder, 'wheel', 'onnxruntime', 'capi')
    const ready = mkdtempSync(`${CACHE}-`)
    for (const file of Object.values(PROVIDER_FILES)) renameSync(join(capi, file), join(ready, file))
    rmSync(CACHE, { recursive: true, force: true })
    renameSync(ready, CACHE)
    return CACHE
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/**
 * A folder with the provider for CUDA: the one of SMELT_PROVIDER, one that is installed, one downloaded earlier, or one
 * downloaded now; or why there is none.
 */
export const findProvider = (): { readonly folder: string } | { readonly missing: string } => {
  const given = process.env['SMELT_PROVIDER']
  if (given !== undefined)
    return isComplete(given) ? { folder: given } : { missing: `SMELT_PROVIDER has no ${PROVIDER_FILES.cuda}` }
  if (process.platform !== 'linux' || process.arch !== 'x64')
    return { missing: 'the provider for CUDA is only for Linux on x64' }
  const found = [join(packageFolder(), BINARIES), ...(isOwn(CACHE) ? [CACHE] : [])].find(isComplete)
  if (found !== undefined) return { folder: found }
  try {
    return { folder: download() }
  } catch (error) {
    return {
      missing: `the provider could not be downloaded (${String((error as Error).message)
        .trim()
        .split('\n')
        .at(-1)!
        .slice(0, 200)})`,
    }
  }
}
