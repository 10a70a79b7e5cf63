import type { Graph } from '../graph/graph.js'
import { padding } from '../kernels/solvers/padding.js'
import type { ModelValue, Slot } from './value.js'

/** A model some of whose tensors have zeros behind their numbers, up to greater shapes. */
export const widenModel = (
  g: Graph,
  model: ModelValue,
  shapes: ReadonlyMap<string, readonly number[]>,
): ModelValue => ({
  ...model,
  tensors: new Map(
    [...model.tensors].map(([name, slot]): [string, Slot] => {
      const shape = shapes.get(name)
      if (shape === undefined) return [name, slot]
      const { dtype, cast } = slot
      return [name, { name, shape, dtype, ...(cast === undefined ? {} : { cast }) }]
    }),
  ),
  tensor: (name) => {
    const shape = shapes.get(name)
    const x = model.tensor(name)
    return shape === undefined ? x : g.solve(padding, [{ x, shape: model.tensors.get(name)!.shape }], [], shape)
  },
})
