import type { Tensor } from '../graph/expression.js'
import type { Graph } from '../graph/graph.js'
import { storedTensorClass, withTensorClass } from '../operators/tensor-class.js'
import type { Slot } from '../operators/value.js'
import type { Dtype } from '../tensor/dtype.js'
import { sizeOf, type TensorInfo } from '../tensor/info.js'
import { findQuantised, type Scaled } from '../tensor/quantised.js'

/** A model as operators see it: tensors with the numbers that are meant, and no scales beside them. */
export interface LogicalModel {
  readonly tensors: ReadonlyMap<string, Slot>
  tensor(name: string): Tensor
}

/** A scaled tensor as it is stored, times its scale. */
export const readScaled = (graph: Graph, { stored, scale, grid }: Scaled): Tensor => graph.scaled(stored, scale, grid)

/**
 * What computed tensors are written in that were stored with scales: what most numbers of the model's other tensors
 * have, of the two dtypes of 16 bits, else BF16.
 */
const plainDtype = (tensors: readonly TensorInfo[]): Dtype => {
  const numbers = (dtype: Dtype): number => tensors.reduce((n, t) => (t.dtype === dtype ? n + sizeOf(t.shape) : n), 0)
  return numbers('F16') > numbers('BF16') ? 'F16' : 'BF16'
}

/** Puts together what belongs together of a model's stored tensors. */
export const toLogical = (graph: Graph, stored: ReadonlyMap<string, TensorInfo>): LogicalModel => {
  const found = findQuantised(stored)
  if (found === undefined)
    return withTensorClass(
      { tensors: stored, tensor: (name) => graph.read(stored.get(name)!) },
      storedTensorClass(stored),
    )
  const { scaled, packed, companions } = found
  const others = [...stored.values()].filter((t) => !companions.has(t.name))
  const dtype = plainDtype(others.filter((t) => !scaled.has(t.name) && !packed.has(t.name)))
  const tensors = new Map(
    others.map((info): [string, Slot] => {
      const [own, part] = [scaled.get(info.name), packed.get(info.name)]
      return [
        info.name,
        own !== undefined
          ? { name: info.name, shape: info.shape, dtype, scaled: own }
          : part !== undefined
            ? { ...info, opaque: part }
            : info,
      ]
    }),
  )
  return {
    tensors,
    tensor: (name) => {
      const own = scaled.get(name)
      return own === undefined ? graph.read(stored.get(name)!) : readScaled(graph, own)
    },
  }
}
