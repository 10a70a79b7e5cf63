import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { TestProject } from 'vitest/node'
import { BINARIES, findProvider, PROVIDER_FILES } from './provider.js'
import { buildStubs } from './stubs.js'

/**
 * What the tests of devices find: where the copy of the program lies, and the libraries that stand in for CUDA's, or
 * why there are none.
 */
export interface Devices {
  readonly tree: string
  readonly cuda:
    | { readonly libraries: readonly string[]; readonly folder: string; readonly provider: string }
    | { readonly missing: string }
}

declare module 'vitest' {
  export interface ProvidedContext {
    readonly devices: Devices
  }
}

const REPOSITORY = fileURLToPath(new URL('../../', import.meta.url))
const ORT = 'onnxruntime-node'

/**
 * The program with packages of its own, of which all but ONNX Runtime's are the repository's: what is put beside that
 * one is not in the way of anything else.
 */
const fillTree = (tree: string): void => {
  for (const part of ['dist', 'package.json', 'schema'])
    cpSync(join(REPOSITORY, part), join(tree, part), { recursive: true })
  const packages = join(tree, 'node_modules')
  mkdirSync(packages)
  for (const name of readdirSync(join(REPOSITORY, 'node_modules')).filter((n) => n !== ORT && n !== '.bin'))
    symlinkSync(join(REPOSITORY, 'node_modules', name), join(packages, name))
  const isOther = (path: string): boolean => /\/bin\/napi-v6\/(darwin|win32|linux\/arm64)|providers_/.test(path)
  cpSync(join(REPOSITORY, 'node_modules', ORT), join(packages, ORT), {
    recursive: true,
    filter: (path) => !isOther(path),
  })
}

const makeCuda = (tree: string, stubs: string): Devices['cuda'] => {
  const found = findProvider()
  if ('missing' in found) return found
  const provider = join(found.folder, PROVIDER_FILES.cuda)
  try {
    const libraries = buildStubs(provider, stubs)
    for (const file of Object.values(PROVIDER_FILES))
      symlinkSync(join(found.folder, file), join(tree, 'node_modules', ORT, BINARIES, file))
    return { libraries, folder: stubs, provider }
  } catch (error) {
    return { missing: `stub libraries could not be built (${(error as Error).message.split('\n')[0]})` }
  }
}

/** Puts the copy of the program together, with the real provider for CUDA over libraries that compute nothing. */
export const setup = (project: TestProject): (() => void) => {
  const tree = process.env['SMELT_DEVICES_TREE']!
  const stubs = mkdtempSync(join(tmpdir(), 'smelt-stubs-'))
  fillTree(tree)
  const cuda = makeCuda(tree, stubs)
  project.provide('devices', { tree, cuda })
  if ('missing' in cuda) process.stdout.write(`the tests over the provider for CUDA are skipped: ${cuda.missing}\n`)
  return () => {
    for (const folder of [tree, stubs]) rmSync(folder, { recursive: true, force: true })
  }
}
