import { ok } from '../../base/result.js'
import { isFloat } from '../../tensor/dtype.js'
import { labelOf, layersOf, modelsOf } from '../call-arguments.js'
import { withTensorClass } from '../tensor-class.js'
import type { Operator } from '../operator.js'
import { layers as layersParam, model } from '../params.js'
import type { MaskValue } from '../value.js'

/** A mask of whole tensors. */
export const layers: Operator = {
  id: 'mask.layers',
  version: 1,
  summary: 'A mask that is true on whole layers.',
  details: 'True on the selected tensors, false on all others of the model.',
  output: 'mask',
  inputs: { like: model('A model whose tensors the mask is for; its numbers are not read.', 'any') },
  params: { layers: layersParam('The layers that are true.') },
  merges: false,
  exact: true,
  draws: false,
  examples: [{ inputs: { like: [1, 2] }, params: { layers: '*' }, expect: [true, true] }],
  evaluate: (call) => {
    const like = modelsOf(call, 'like')[0]!.value
    const selected = call.select(layersOf(call, 'layers'), like.tensors)
    if (selected.type === 'failed') return selected
    const shapes = new Map(
      [...like.tensors.values()].filter((slot) => isFloat(slot.dtype)).map((slot) => [slot.name, slot.shape]),
    )
    return ok(
      [
        withTensorClass<MaskValue>(
          {
            kind: 'mask',
            label: labelOf(call),
            shapes,
            mask: (name) => call.graph.constant(selected.value.has(name)),
            constant: (name) => selected.value.has(name),
          },
          (name) => (shapes.has(name) ? `${selected.value.has(name)} ${shapes.get(name)!.join()}` : undefined),
        ),
      ],
      selected.diagnostics,
    )
  },
}
