import { noStatistics, wrongStatistics } from '../base/catalogue/operators.js'
import type { Diagnostic, Place } from '../base/diagnostic.js'
import type { Tensor } from '../graph/expression.js'
import { sizeOf } from '../tensor/info.js'
import { sameShape } from './shape.js'
import type { ModelValue, Slot } from './value.js'

/** The number of inputs of a layer: everything but the first dimension of its weight. */
export const inputsOf = (shape: readonly number[]): number => sizeOf(shape.slice(1))

const WEIGHT = '.weight'

/**
 * What a file of statistics has for a tensor: of its elements, a tensor of the same name and shape; of the inputs of its
 * layer, the Gram matrix [inputs, inputs] of that name, with or without `.weight`, or undefined where there is none.
 */
export const statisticsFor = (
  of: 'elements' | 'inputs',
  file: ModelValue,
  { name, shape }: Slot,
  at: Place,
): Tensor | undefined | Diagnostic => {
  const names = of === 'inputs' && name.endsWith(WEIGHT) ? [name, name.slice(0, -WEIGHT.length)] : [name]
  const found = names.map((n) => file.tensors.get(n)).find((slot) => slot !== undefined)
  if (found === undefined) return of === 'inputs' ? undefined : noStatistics(at, name, file.label)
  const wanted = of === 'inputs' ? [inputsOf(shape), inputsOf(shape)] : shape
  return sameShape(found.shape, wanted)
    ? file.tensor(found.name)
    : wrongStatistics(at, name, file.label, found.shape, wanted)
}
