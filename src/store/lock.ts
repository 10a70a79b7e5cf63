import { basename, dirname, join } from 'node:path'
import { lockInvalid, lockUnreadable } from '../base/catalogue/store.js'
import { canonicalJson } from '../base/canonical.js'
import { blake3, toDigest, type Digest } from '../base/digest.js'
import { failed, ok, type Result } from '../base/result.js'
import { firstViolation } from '../document/validate.js'
import { readRegular } from '../safetensors/regular-file.js'
import { lockSchema } from './lock-schema.js'

/** One input as it was when the lock was made. */
export interface LockedInput {
  /** Content digest: of names, dtypes, shapes and numbers, however they are spread over files. */
  readonly digest: Digest
  /** Bytes of its tensors. */
  readonly bytes: number
  readonly tensors: number
  /** Of the file, where the recipe pins it or it was asked for. */
  readonly sha256?: string
}

/** One step: everything that decides what it gives, and the fingerprint of that with the contents of its inputs. */
export interface LockedStep {
  readonly op: string
  readonly version: number
  readonly inputs: Readonly<Record<string, string | readonly string[]>>
  readonly params: Readonly<Record<string, unknown>>
  readonly fingerprint: string
  /** The device, where its numbers depend on it. */
  readonly device?: string
  readonly [fact: string]: unknown
}

/** One output. */
export interface LockedOutput {
  /** As the recipe has it. */
  readonly path: string
  readonly from: string
  readonly digest: Digest
  /** Bytes of all its files. */
  readonly bytes: number
  readonly tensors: number
}

/** What one setting of the params built. */
export interface LockedBuild {
  /** Digest of everything below and of the recipe; the outputs bear it, and paths do not enter. */
  readonly digest: Digest
  readonly params: Readonly<Record<string, string | number | boolean>>
  /** Models and adapters by name: their paths in `inputs`. */
  readonly inputs: Readonly<Record<string, string>>
  readonly steps: Readonly<Record<string, LockedStep>>
  readonly outputs: Readonly<Record<string, LockedOutput>>
}

/** What a build was made of and what it gave. Kept in git beside the recipe: sorted, without times, absolute paths and names of machines. */
export interface Lock {
  readonly lock: 1
  readonly smelt: string
  /** Digest of the recipe's text. */
  readonly recipe: Digest
  /** By path, as the recipe has it. */
  readonly inputs: Readonly<Record<string, LockedInput>>
  /** One for each setting of the params. */
  readonly builds: readonly LockedBuild[]
}

/** Where the lock of a recipe lies: beside it, `NAME.lock.json` for `NAME.yaml`. */
export const lockPath = (recipe: string): string => join(dirname(recipe), `${basename(recipe).replace(/\.(ya?ml|json)$/i, '')}.lock.json`)

/** The digest of a build: of the recipe, the params, the contents of all inputs, the fingerprints of all steps and the contents of all outputs. */
export const digestBuild = (recipe: Digest, build: Omit<LockedBuild, 'digest'>, inputs: Lock['inputs']): Digest => toDigest(blake3(canonicalJson({
  recipe,
  params: build.params,
  inputs: Object.fromEntries(Object.entries(build.inputs).map(([name, path]) => [name, inputs[path]!.digest])),
  steps: Object.fromEntries(Object.entries(build.steps).map(([name, step]) => [name, step.fingerprint])),
  outputs: Object.fromEntries(Object.entries(build.outputs).map(([name, output]) => [name, output.digest])),
})))

/** The bytes of a lock. Throws when it is not what the schema says, which would be a bug. */
export const encodeLock = (lock: Lock): Uint8Array => {
  const wrong = firstViolation(lock, lockSchema)
  if (wrong !== undefined) throw new Error(`a lock that breaks its own schema: ${wrong}`)
  return Buffer.from(`${canonicalJson(lock, 2)}\n`)
}

/** No lock is nearly as large, in bytes. */
const MOST_BYTES = 250_000_000

/** Reads a lock; undefined where there is none. */
export const readLock = async (path: string): Promise<Result<Lock | undefined>> => {
  let text: string
  try {
    const read = await readRegular(path, { wanted: 'a lock', most: MOST_BYTES })
    if (read.type === 'failed') return failed(...read.diagnostics.map((d) => ({ ...d, blame: 'lock' as const })))
    text = read.value.toString('utf8')
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException
    return code === 'ENOENT' ? ok(undefined) : failed(lockUnreadable(path, code))
  }
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    return failed(lockInvalid(path, error instanceof Error ? error.message : String(error)))
  }
  const wrong = firstViolation(value, lockSchema)
  return wrong === undefined ? ok(value as Lock) : failed(lockInvalid(path, wrong))
}
