import { renameScaled } from '../tensor/scaled-names.js'
import type { Slot } from './value.js'

/** A tensor under another name, with all that belongs to it; `rename` gives the new names of what is not a tensor. */
export const renameSlot = (slot: Slot, name: string, rename: (name: string) => string): Slot => ({
  ...slot,
  name,
  ...(slot.scaled === undefined ? {} : { scaled: renameScaled(slot.scaled, name, rename) }),
  ...(slot.opaque === undefined ? {} : { opaque: { ...slot.opaque, weight: rename(slot.opaque.weight) } }),
})
