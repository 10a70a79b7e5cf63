import { readFileSync } from 'node:fs'
import { addressSpaceTooSmall } from '../base/catalogue/limits.js'
import type { Diagnostic } from '../base/diagnostic.js'

/**
 * Bytes of address space that a worker reserves, measured with Node 20 on x64: 10 GiB are V8's guard regions around the
 * memory of a WebAssembly module, most of the rest is its heap. If the reservation fails, V8 ends the process, which
 * cannot be caught.
 */
const PER_WORKER = 11.3e9

/** What the process has of its address space, and may have, in bytes. */
export interface AddressSpace {
  readonly used: number
  readonly limit: number
}

const numberIn = (path: string, pattern: RegExp): number =>
  Number(pattern.exec(readFileSync(path, 'latin1'))?.[1] ?? NaN)

/** Undefined if there is no limit, or it is unknown. */
const addressSpace = (): AddressSpace | undefined => {
  try {
    const [limit, used] = [
      numberIn('/proc/self/limits', /^Max address space +(\d+)/m),
      1024 * numberIn('/proc/self/status', /^VmSize:\s+(\d+)/m),
    ]
    return Number.isFinite(limit) && Number.isFinite(used) ? { used, limit } : undefined
  } catch {
    return undefined
  }
}

/** Why this many more workers cannot be started; undefined if they can, as far as is known. */
export const lacksAddressSpace = (
  workers: number,
  space: AddressSpace | undefined = addressSpace(),
): Diagnostic | undefined => {
  if (space === undefined || workers === 0) return undefined
  const left = Math.max(0, space.limit - space.used)
  if (workers * PER_WORKER <= left) return undefined
  return addressSpaceTooSmall(workers, workers * PER_WORKER, left, space.limit, Math.floor(left / PER_WORKER))
}
