import { createBranch, follow, type Branch } from '../operators/alike.js'
import type { TensorClass } from '../operators/tensor-class.js'
import type { Model } from '../safetensors/model.js'
import type { Dtype } from '../tensor/dtype.js'
import type { TensorInfo } from '../tensor/info.js'

/**
 * The tensors of outputs that stand for all others like them. Two names are alike where each output has tensors of both
 * that are made alike and written alike, or of neither: then the work on all that is called so is the same, but for where
 * the bytes lie.
 */
export interface StandIns {
  /** The name that stands for another, which may be itself; undefined for what no output has. */
  of(name: string): string | undefined
  /** How many names one that stands for others stands for, itself counted. */
  count(name: string): number
}

/** The tensors of an output, and which of them are made alike. */
interface OutputByClass {
  readonly output: { readonly tensors: readonly { readonly name: string; readonly dtype: Dtype }[] }
  readonly tensorClass: TensorClass | undefined
}

/** A plan of all tensors, each of which stands for itself. */
export const ITSELF: StandIns = { of: (name) => name, count: () => 1 }

/** The stand-ins of some outputs; undefined where it is not known of each of their tensors what it is like. */
export const findStandIns = (outputs: readonly OutputByClass[]): StandIns | undefined => {
  const root = createBranch<never>()
  const kinds = new Map<string, Branch<never>>()
  for (const [i, { output, tensorClass }] of outputs.entries()) {
    if (tensorClass === undefined) return undefined
    for (const { name, dtype } of output.tensors) {
      const own = tensorClass(name)
      if (own === undefined) return undefined
      kinds.set(name, follow(follow(follow(kinds.get(name) ?? root, i), dtype), own))
    }
  }
  const firsts = new Map<Branch<never>, string>()
  const counts = new Map<string, number>()
  for (const [name, kind] of kinds) {
    const first = firsts.get(kind) ?? name
    firsts.set(kind, first)
    counts.set(first, (counts.get(first) ?? 0) + 1)
  }
  return {
    of: (name) => {
      const kind = kinds.get(name)
      return kind === undefined ? undefined : firsts.get(kind)
    },
    count: (name) => counts.get(name) ?? 1,
  }
}

/**
 * The tensor of a model that the work on another is known by: read if that is, and as far. Undefined where no work reads
 * either.
 */
export const standInOf = ({ of }: StandIns, { tensors }: Model, info: TensorInfo): TensorInfo | undefined => {
  const name = of(info.name)
  if (name === info.name) return info
  return name === undefined ? undefined : tensors.get(name)
}
