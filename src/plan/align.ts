import { findMove, moveNames, type Named } from '../architectures/align.js'
import type { Argument, Call } from '../operators/operator.js'
import type { InputSpec } from '../operators/params.js'
import { renameSlot } from '../operators/rename-slot.js'
import type { MaskValue, ModelValue, Reference, Slot, Value, WeightsValue } from '../operators/value.js'
import { below, under } from '../tensor/roots.js'
import type { LayerContext } from './context.js'

/** Maps the names of a value to those in a model that keeps the same network under another root, and back. */
interface Renaming {
  readonly names: ReadonlyMap<string, string>
  readonly back: ReadonlyMap<string, string>
  /** The new name of what is no tensor of the value, such as a marker. */
  rename(name: string): string
  /** For models, the slots under their new names: one map for all steps, since architectures are known by it. */
  readonly slots: Map<string, Slot>
}

type Names = ReadonlyMap<string, unknown>

/** Renames what each step refers to, to the names of the step's first model. */
export interface Aligner {
  /** The call with models, masks and weights under the names of its first model, or else of its first mask. */
  align(call: Call, inputs: Readonly<Record<string, InputSpec>>): Call
}

const listOf = (input: Call['inputs'][string]): readonly Reference[] =>
  input === undefined ? [] : 'value' in input ? [input] : input

const namesOf = (value: Value): Names | undefined => {
  switch (value.kind) {
    case 'model':
      return value.tensors
    case 'mask':
      return value.shapes
    case 'weights':
      return value.numbers
    default:
      return undefined
  }
}

const renameKeys = <T>(map: ReadonlyMap<string, T>, names: ReadonlyMap<string, string>): Map<string, T> =>
  new Map([...map].map(([name, x]) => [names.get(name)!, x]))

/** A new aligner; what it finds out of two sets of names is found out once. */
export const createAligner = (layers: LayerContext): Aligner => {
  const found = new WeakMap<Names, WeakMap<Names, Renaming | 'none'>>()
  const named = (value: Value, names: Names): Named => ({
    names,
    architecture: value.kind === 'model' ? layers.architecture(value.tensors) : undefined,
  })

  const compare = (first: Named, other: Named): Renaming | 'none' => {
    const move = findMove(first, other)
    if (move === undefined) return 'none'
    const names = moveNames(first.names, other.names, move)
    const back = new Map([...names].map(([own, moved]) => [moved, own]))
    const rename = (name: string): string => {
      const path = below(move.from, name)
      return path === undefined ? name : under(move.to, path)
    }
    return { names, back, rename, slots: new Map() }
  }
  const renaming = (first: Value, other: Value): Renaming | undefined => {
    const [x, y] = [namesOf(first), namesOf(other)]
    if (x === undefined || y === undefined || x === y) return undefined
    const known = found.get(x) ?? new WeakMap<Names, Renaming | 'none'>()
    found.set(x, known)
    const made = known.get(y) ?? compare(named(first, x), named(other, y))
    known.set(y, made)
    return made === 'none' ? undefined : made
  }

  const moveModel = (first: Value, value: ModelValue, { names, back, rename, slots }: Renaming): ModelValue => {
    if (slots.size === 0) {
      for (const [own, slot] of value.tensors) {
        const name = names.get(own)!
        slots.set(name, renameSlot(slot, name, name === own ? (same) => same : rename))
      }
      const [x, y] = [
        first.kind === 'model' ? layers.architecture(first.tensors) : undefined,
        layers.architecture(value.tensors),
      ]
      if (first.kind === 'model' && x?.id === y?.id) layers.inherit(slots, first.tensors)
    }
    return { ...value, tensors: slots, tensor: (name) => value.tensor(back.get(name) ?? name) }
  }
  const moveMask = (value: MaskValue, { names, back }: Renaming): MaskValue => ({
    ...value,
    shapes: renameKeys(value.shapes, names),
    mask: (name) => value.mask(back.get(name) ?? name),
    constant: (name) => value.constant(back.get(name) ?? name),
  })
  const moveWeights = (value: WeightsValue, { names }: Renaming): WeightsValue => ({
    ...value,
    numbers: renameKeys(value.numbers, names),
  })

  const move = <V extends Value>(first: Value, value: V): V => {
    const made = renaming(first, value)
    if (made === undefined) return value
    switch (value.kind) {
      case 'model':
        return moveModel(first, value, made) as V
      case 'mask':
        return moveMask(value, made) as V
      case 'weights':
        return moveWeights(value, made) as V
      default:
        return value
    }
  }

  return {
    align: (call, inputs) => {
      const all = Object.keys(inputs).flatMap((key) => listOf(call.inputs[key]))
      const first = (all.find(({ value }) => value.kind === 'model') ?? all.find(({ value }) => value.kind === 'mask'))
        ?.value
      if (first === undefined) return call
      const reference = <V extends Value>(r: Reference<V>): Reference<V> => ({ ...r, value: move(first, r.value) })
      const argument = (a: Argument): Argument =>
        a.type === 'mask'
          ? { ...a, value: move(first, a.value) }
          : a.type === 'model'
            ? { ...a, value: move(first, a.value) }
            : a.type === 'weights'
              ? { ...a, value: move(first, a.value) }
              : a
      const args = (given: Readonly<Record<string, Argument>>) =>
        Object.fromEntries(Object.entries(given).map(([key, a]) => [key, argument(a)]))
      return {
        ...call,
        inputs: Object.fromEntries(
          Object.entries(call.inputs).map(([key, input]) => [
            key,
            input === undefined ? undefined : 'value' in input ? reference(input) : input.map(reference),
          ]),
        ),
        each: call.each.map(args),
        params: args(call.params),
        shared: { ...call.shared, mask: call.shared.mask === undefined ? undefined : reference(call.shared.mask) },
      }
    },
  }
}
