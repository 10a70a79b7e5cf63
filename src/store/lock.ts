import { basename, dirname, join } from 'node:path'
import { lockInvalid, lockUnreadable } from '../base/catalogue/store.js'
import { canonicalJson } from '../base/canonical.js'
import { blake3, toDigest, type Digest } from '../base/digest.js'
import { escapeJson } from '../base/excerpt.js'
import { reasonOf } from '../base/reason.js'
import { failed, ok, type Result } from '../base/result.js'
import { firstViolation } from '../document/validate.js'
import type { HubOrigin } from '../hub/reference.js'
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
  /** Digest of the `__metadata__` of its headers, if they have any: outputs and reports show parts of it. */
  readonly metadata?: Digest
  /**
   * Files beside it that say what its numbers mean, such as its tokenizer, by name: the digest of their bytes, or null if
   * there is none.
   */
  readonly sides?: Readonly<Record<string, Digest | null>>
  /** Where it was found on a hub, whose branches move: the next build takes the same commit. */
  readonly hub?: HubOrigin
}

/** One step: everything that determines its result, and the fingerprint of that with the contents of its inputs. */
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

/** How and where an output is written. */
export interface OutputPlace {
  /** As the recipe has it. */
  readonly path: string
  /**
   * As the recipe has it, where it does not leave every tensor its own: the dtype, and rules of which later ones win.
   */
  readonly dtype?: string | readonly (string | readonly [pattern: string, dtype: string])[]
  /** Bytes of a shard, where it has several. */
  readonly shard_size?: number
}

/** One output. */
export interface LockedOutput extends OutputPlace {
  readonly from: string
  readonly digest: Digest
  /** Bytes of all its files. */
  readonly bytes: number
  readonly tensors: number
  /** What belongs to it, where it is a folder, by name: the digests of their bytes. */
  readonly sides?: Readonly<Record<string, Digest>>
}

/** What one setting of the params built. */
export interface LockedBuild {
  /** Digest of everything below and of the recipe, without paths; the outputs contain it. */
  readonly digest: Digest
  readonly params: Readonly<Record<string, string | number | boolean>>
  /** What each `${expression}` of the recipe came to, by its text; absent where there is none. */
  readonly computed?: Readonly<Record<string, number>>
  /** Models and adapters by name: their paths in `inputs`. */
  readonly inputs: Readonly<Record<string, string>>
  readonly steps: Readonly<Record<string, LockedStep>>
  readonly outputs: Readonly<Record<string, LockedOutput>>
}

/**
 * The versions of locks that can be read. Version 1 does not record metadata and files beside inputs, version 2 not the
 * files beside models; `--frozen` checks what it records.
 */
export type LockVersion = 1 | 2 | 3

/** The version that is written. */
export const LOCK_VERSION = 3

/**
 * The inputs, steps and outputs of a build. Kept in git beside the recipe: sorted, without times, absolute paths and
 * machine names.
 */
export interface Lock {
  readonly lock: LockVersion
  readonly smelt: string
  /** Digest of the recipe's text. */
  readonly recipe: Digest
  /** By path, as the recipe has it. */
  readonly inputs: Readonly<Record<string, LockedInput>>
  /** One for each setting of the params. */
  readonly builds: readonly LockedBuild[]
}

/** The path of a recipe's lock: beside it, `NAME.lock.json` for `NAME.yaml`. */
export const lockPath = (recipe: string): string =>
  join(dirname(recipe), `${basename(recipe).replace(/\.(ya?ml|json)$/i, '')}.lock.json`)

/**
 * Everything about an input that a build depends on, as one string: its contents, and its metadata and side files as
 * far as the lock records them.
 */
export const identityOfInput = ({ digest, metadata, sides }: LockedInput): string =>
  metadata === undefined && sides === undefined ? digest : canonicalJson({ digest, metadata, sides })

/**
 * The digest of a build: of the recipe, the params, all inputs, the fingerprints of all steps and the contents of all
 * outputs.
 */
export const digestBuild = (recipe: Digest, build: Omit<LockedBuild, 'digest'>, inputs: Lock['inputs']): Digest =>
  toDigest(
    blake3(
      canonicalJson({
        recipe,
        params: build.params,
        inputs: Object.fromEntries(
          Object.entries(build.inputs).map(([name, path]) => [name, identityOfInput(inputs[path]!)]),
        ),
        steps: Object.fromEntries(Object.entries(build.steps).map(([name, step]) => [name, step.fingerprint])),
        outputs: Object.fromEntries(Object.entries(build.outputs).map(([name, output]) => [name, output.digest])),
      }),
    ),
  )

/** The bytes of a lock. Throws if it does not match the schema, which would be a bug. */
export const encodeLock = (lock: Lock): Uint8Array => {
  const wrong = firstViolation(lock, lockSchema)
  if (wrong !== undefined) throw new Error(`a lock that breaks its own schema: ${wrong}`)
  return Buffer.from(`${escapeJson(canonicalJson(lock, 2))}\n`)
}

/** The largest lock that is read, in bytes; real ones are far smaller. */
const MOST_BYTES = 250_000_000

/** Reads a lock; undefined if there is none. */
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
    return failed(lockInvalid(path, reasonOf(error)))
  }
  const wrong = firstViolation(value, lockSchema)
  return wrong === undefined ? ok(value as Lock) : failed(lockInvalid(path, wrong))
}
