import { nonFinite } from '../base/catalogue/run.js'
import type { Diagnostic } from '../base/diagnostic.js'
import type { Hasher } from '../base/digest.js'
import type { Kernels } from '../kernels/kernels.js'
import { writeFully } from '../safetensors/positional.js'
import { bytesFor, isFloat, type FloatDtype } from '../tensor/dtype.js'
import { canonicalizeNaNs } from './host-codecs.js'
import type { WriteOrder } from './unit.js'
import type { Workspace } from './workspace.js'

/** A block of an input in the kernels' memory. */
export interface Source {
  readonly offset: number
  readonly dtype: FloatDtype
}

/**
 * The first NaN or infinity of a block that is computed, or 'copied' where all that there are stand in what the numbers
 * are copied from: a copy byte for byte has no other `source`.
 */
const findNonFinite = (
  kernels: Kernels,
  dtype: FloatDtype,
  offset: number,
  n: number,
  source: Source | undefined,
  isCopy: boolean,
): number | 'copied' | undefined => {
  let at = kernels.firstNonFinite(offset, n, dtype)
  if (at < 0) return undefined
  if (isCopy) return 'copied'
  if (source === undefined) return at
  while (kernels.firstNonFinite(source.offset + bytesFor(at, source.dtype), 1, source.dtype) === 0) {
    const next = kernels.firstNonFinite(offset + bytesFor(at + 1, dtype), n - at - 1, dtype)
    if (next < 0) return 'copied'
    at += 1 + next
  }
  return at
}

/**
 * Checks, digests and writes `n` elements of an output from element `from` on, which lie at `offset` of the kernels'
 * memory; tells a NaN or infinity that was copied.
 */
export const writeBlock = (
  { kernels, open, bytesAt }: Workspace,
  write: WriteOrder,
  offset: number,
  from: number,
  n: number,
  hash: Hasher,
  computed: boolean,
  source?: Source,
): Diagnostic | 'non-finite' | undefined => {
  const bytes = bytesFor(n, write.dtype)
  let copied = false
  if (isFloat(write.dtype) && !write.allowNonFinite) {
    const bad = findNonFinite(kernels, write.dtype, offset, n, source, !computed)
    if (typeof bad === 'number') return nonFinite(write.path, write.tensor, from + bad, write.step, write.advice)
    copied = bad === 'copied'
  } else if (computed && isFloat(write.dtype)) {
    const bad = kernels.firstNonFinite(offset, n, write.dtype)
    if (bad >= 0) canonicalizeNaNs(kernels, write.dtype, offset, n, bad)
  }
  const data = bytesAt(offset, bytes)
  hash.update(data)
  return (
    writeFully(open(write.path, 'r+'), write.path, data, write.begin + bytesFor(from, write.dtype)) ??
    (copied ? 'non-finite' : undefined)
  )
}
