import { closeSync, openSync } from 'node:fs'
import { isIdleAdapter } from '../architectures/adapters/idle.js'
import { adapterIdle } from '../base/catalogue/adapter-tensors.js'
import { ok, type Result } from '../base/result.js'
import { openAdapterFile } from '../pytorch/open.js'
import type { AdapterFile } from '../safetensors/adapter-file.js'
import { readFully } from '../safetensors/positional.js'
import { READ_ONLY } from '../safetensors/regular-file.js'
import { bytesFor } from '../tensor/dtype.js'
import type { TensorInfo } from '../tensor/info.js'

/** Bytes that are looked at in one go: in nearly all tensors the first of them tell. */
const PIECE = 1 << 16

/** The byte of a number that has its sign, in every dtype of floating point. */
const SIGN = 0x80

/** True where all numbers of a piece are 0 or −0, `width` bytes each. */
const holdsZeros = (bytes: Uint8Array, width: number): boolean =>
  bytes.every((byte, i) => byte === 0 || (byte === SIGN && i % width === width - 1))

/** True where the changes of an adapter are all zero. What cannot be read is left to the build, which says why. */
export const isIdle = ({ tensors }: Pick<AdapterFile, 'tensors'>): boolean => {
  const files = new Map<string, number>()
  const piece = new Uint8Array(PIECE)
  const isZero = ({ file, begin, end, dtype }: TensorInfo): boolean => {
    const fd = files.get(file) ?? openSync(file, READ_ONLY)
    files.set(file, fd)
    for (let at = begin; at < end; at += PIECE) {
      const bytes = piece.subarray(0, Math.min(PIECE, end - at))
      if (readFully(fd, file, bytes, at) !== undefined || !holdsZeros(bytes, bytesFor(1, dtype))) return false
    }
    return begin < end
  }
  try {
    return isIdleAdapter(tensors, isZero)
  } catch {
    return false
  } finally {
    for (const fd of files.values()) closeSync(fd)
  }
}

/**
 * Opens an adapter that is to be used, and warns if it changes nothing: its factors are read as far as they are zeros,
 * which of one that was trained is two pieces.
 */
export const openTrainedAdapter = async (path: string): Promise<Result<AdapterFile>> => {
  const opened = await openAdapterFile(path)
  return opened.type === 'ok' && isIdle(opened.value)
    ? ok(opened.value, [...opened.diagnostics, adapterIdle(opened.value.path)])
    : opened
}
