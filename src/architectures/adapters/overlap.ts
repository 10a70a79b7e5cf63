import { twoChanges, twoNames } from '../../base/catalogue/adapter-tensors.js'
import type { Diagnostic, Place } from '../../base/diagnostic.js'
import type { Patch } from './patch.js'

/** A patch, and the module of the adapter that it was made of. */
export interface Sourced {
  readonly module: string
  readonly patch: Patch
  /** True for the tensor below factors, to which these are added. */
  readonly base?: boolean
}

/** What some tensors of an adapter come to: patches by tensor of the model, tensors without a target, problems. */
export interface Patched {
  readonly patches: readonly (readonly [tensor: string, sourced: Sourced])[]
  readonly unmatched: readonly string[]
  readonly problems: readonly Diagnostic[]
}

/** The rows that a patch changes, end exclusive. */
const rowsOf = ({ rows }: Patch): readonly [first: number, end: number] =>
  rows === undefined ? [0, Infinity] : [rows.first, rows.first + rows.count]

const overlaps = (x: Patch, y: Patch): boolean => {
  const [[xFirst, xEnd], [yFirst, yEnd]] = [rowsOf(x), rowsOf(y)]
  return xFirst < yEnd && yFirst < xEnd
}

/**
 * Two patches of the same rows of a tensor: no trainer writes both, and their sum is neither. `patches` are all of one
 * tensor.
 * Factors over the base that they were trained on are the exception, if they change one tensor by itself.
 */
export const overlapProblem = (
  at: Place,
  adapter: string,
  tensor: string,
  patches: readonly Sourced[],
): Diagnostic | undefined => {
  for (const [i, x] of patches.entries()) {
    for (const y of patches.slice(i + 1)) {
      if (!overlaps(x.patch, y.patch)) continue
      if (x.module !== y.module) return twoNames(at, adapter, tensor, [x.module, y.module])
      const overBase = (x.base === true || y.base === true) && (x.patch.joined ?? y.patch.joined) === undefined
      if (!overBase) return twoChanges(at, adapter, x.module, tensor)
    }
  }
  return undefined
}
