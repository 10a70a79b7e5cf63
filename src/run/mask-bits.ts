import { reuseBroken } from '../base/catalogue/store.js'
import type { Diagnostic } from '../base/diagnostic.js'
import type { Hasher } from '../base/digest.js'
import type { Kernels } from '../kernels/kernels.js'
import { readFully, writeFully } from '../safetensors/positional.js'
import { bytesOfBits } from '../store/masks.js'
import type { ReadOrder, WriteOrder } from './unit.js'

/**
 * Moves blocks of cached masks between files, where an element is a bit, and the kernels' memory, where it is a byte.
 */
export interface MaskBits {
  /**
   * Reads `n` elements from element `from` on, a multiple of 8. Returns a problem if the file is unusable: the build
   * then runs without it.
   */
  read(order: ReadOrder, offset: number, from: number, n: number, hash: Hasher | undefined): Diagnostic | undefined
  /** Writes `n` elements in the same way; false where that was not possible. */
  write(order: WriteOrder, offset: number, from: number, n: number, hash: Hasher): boolean
}

/** Blocks have at most `block` elements. `open` gives the file of a path, and throws where there is none. */
export const createMaskBits = (
  kernels: Kernels,
  block: number,
  open: (path: string, flags: 'r' | 'r+') => number,
): MaskBits => {
  const packed = kernels.alloc(bytesOfBits(block))
  const bitsAt = (n: number): Uint8Array => kernels.view(Uint8Array, packed, bytesOfBits(n))
  const tryOpen = (path: string, flags: 'r' | 'r+'): number | undefined => {
    try {
      return open(path, flags)
    } catch {
      return undefined
    }
  }
  return {
    read: ({ path, begin, tensor }, offset, from, n, hash) => {
      const data = bitsAt(n)
      // Another build may have removed it since the plan was made.
      const fd = tryOpen(path, 'r')
      if (fd === undefined || readFully(fd, path, data, begin + from / 8) !== undefined)
        return reuseBroken(path, tensor)
      hash?.update(data)
      kernels.unpackBits(packed, n, offset)
      return undefined
    },
    write: ({ path, begin }, offset, from, n, hash) => {
      const data = bitsAt(n)
      kernels.packBits(offset, n, packed)
      hash.update(data)
      const fd = tryOpen(path, 'r+')
      return fd !== undefined && writeFully(fd, path, data, begin + from / 8) === undefined
    },
  }
}
