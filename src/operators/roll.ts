import { isFloat } from '../tensor/dtype.js'
import type { Call, Note } from './operator.js'
import type { Slot } from './value.js'

type Tensors = ReadonlyMap<string, Slot>

/** A tensor of a model, with what every step asks about it. */
export interface Entry {
  readonly slot: Slot
  readonly isFloat: boolean
  /** True for what the architecture declares constant. */
  readonly isConstant: boolean
  /** Equal for equal shapes. */
  readonly shapeText: string
  /** What a step notes that merges it, and one that finds it constant. */
  readonly merged: Note
  readonly constant: Note
}

/** The tensors of a model in their order. */
export interface Roll {
  readonly entries: readonly Entry[]
  /** The shapes of the floats, by name; of those that are not constant. */
  readonly floats: ReadonlyMap<string, readonly number[]>
  readonly varying: ReadonlyMap<string, readonly number[]>
}

const rolls = new WeakMap<Tensors, Roll>()

/** The roll of some tensors, made once for all steps. */
export const rollOf = (tensors: Tensors, isConstant: Call['isConstant']): Roll => {
  const known = rolls.get(tensors) ?? makeRoll(tensors, isConstant)
  rolls.set(tensors, known)
  return known
}

const makeRoll = (tensors: Tensors, isConstant: Call['isConstant']): Roll => {
  const entries = [...tensors.values()].map((slot): Entry => ({
    slot,
    isFloat: isFloat(slot.dtype),
    isConstant: isConstant(slot.name, tensors),
    shapeText: slot.shape.join(),
    merged: { type: 'merged', tensor: slot.name },
    constant: { type: 'constant', tensor: slot.name },
  }))
  const shapes = (own: readonly Entry[]) => new Map(own.map(({ slot }) => [slot.name, slot.shape] as const))
  const floats = entries.filter((entry) => entry.isFloat)
  return { entries, floats: shapes(floats), varying: shapes(floats.filter((entry) => !entry.isConstant)) }
}
