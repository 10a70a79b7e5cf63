import { isFloat } from '../tensor/dtype.js'
import { sameShape } from './shape.js'
import type { Slot } from './value.js'

type Tensors = ReadonlyMap<string, Slot>

/** How the tensors of a model differ from those of a step's first. */
export interface Pair {
  /** The floats of the first for which the other has no float of the same name and shape. */
  readonly unlike: ReadonlySet<string>
  /** The tensors of the other that the first lacks or has with fewer input channels. */
  readonly beyond: readonly Slot[]
}

const SAME: Pair = { unlike: new Set(), beyond: [] }

const known = new WeakMap<Tensors, WeakMap<Tensors, Pair>>()

/** Compares the tensors of two models, once for all steps that combine them. */
export const pairOf = (first: Tensors, other: Tensors): Pair => {
  if (first === other) return SAME
  const pairs = known.get(first) ?? new WeakMap<Tensors, Pair>()
  known.set(first, pairs)
  const pair = pairs.get(other) ?? compare(first, other)
  pairs.set(other, pair)
  return pair
}

const compare = (first: Tensors, other: Tensors): Pair => {
  const unlike = new Set<string>()
  for (const { name, shape, dtype } of first.values()) {
    const counterpart = other.get(name)
    const alike = counterpart !== undefined && isFloat(counterpart.dtype) && sameShape(counterpart.shape, shape)
    if (isFloat(dtype) && !alike) unlike.add(name)
  }
  const beyond: Slot[] = []
  for (const slot of other.values()) {
    const own = first.get(slot.name)
    if (own === undefined || isWider(slot.shape, own.shape)) beyond.push(slot)
  }
  return { unlike, beyond }
}

/** True for a weight with more input channels than another. */
const isWider = (shape: readonly number[], other: readonly number[]): boolean =>
  shape.length === other.length && (shape[1] ?? 0) > (other[1] ?? 0)
