import { opaqueModel } from '../base/catalogue/quantised.js'
import type { Diagnostic } from '../base/diagnostic.js'
import type { Packed } from '../tensor/quantised.js'
import type { ModelValue, Reference, Slot } from './value.js'

const known = new WeakMap<ReadonlyMap<string, Slot>, ReadonlyMap<string, Packed>>()

/** The packed tensors of a model, by the names of their parts and of the unpacked tensors. */
const opaqueIn = (tensors: ReadonlyMap<string, Slot>): ReadonlyMap<string, Packed> => {
  const found =
    known.get(tensors) ??
    new Map(
      [...tensors.values()].flatMap(({ name, opaque }) =>
        opaque === undefined ? [] : [[name, opaque] as const, [opaque.weight, opaque] as const],
      ),
    )
  known.set(tensors, found)
  return found
}

/** True if some model has a tensor that cannot be computed with. */
export const anyOpaque = (models: readonly Reference<ModelValue>[]): boolean =>
  models.some(({ value }) => opaqueIn(value.tensors).size > 0)

/** A problem for each model that has a tensor packed in a way that cannot be computed with. */
export const refuseOpaque = (models: readonly Reference<ModelValue>[], tensor: string): readonly Diagnostic[] =>
  models.flatMap(({ value, at }) => {
    const packed = opaqueIn(value.tensors).get(tensor)
    return packed === undefined ? [] : [opaqueModel(at, value.label, packed.scheme, tensor)]
  })

/** A problem for each model that has any such tensor. */
export const refuseOpaqueModels = (models: readonly Reference<ModelValue>[]): readonly Diagnostic[] =>
  models.flatMap((model) => {
    const [first] = opaqueIn(model.value.tensors).keys()
    return first === undefined ? [] : refuseOpaque([model], first)
  })
