import { maskOfSmallFloats } from '../../base/catalogue/operators.js'
import { failed, ok } from '../../base/result.js'
import { DTYPES } from '../../tensor/dtype.js'
import { labelOf, modelsOf } from '../call-arguments.js'
import { tensorClassOf, withTensorClass } from '../tensor-class.js'
import type { Operator } from '../operator.js'
import { model } from '../params.js'
import type { MaskValue } from '../value.js'

/** A mask from a file. */
export const load: Operator = {
  id: 'mask.load',
  version: 1,
  summary: 'Loads a mask from a safetensors file.',
  details: 'True where a number is not 0, in any dtype. The mask covers the tensors of the file, under their names.',
  output: 'mask',
  inputs: { file: model('The file, listed under `models`.', 'any') },
  params: {},
  merges: false,
  exact: true,
  draws: false,
  examples: [{ inputs: { file: [0, 1, 0.5] }, expect: [false, true, true] }],
  evaluate: (call) => {
    const file = modelsOf(call, 'file')[0]!.value
    const { graph: g } = call
    const packed = [...file.tensors.values()].find(({ dtype }) => DTYPES[dtype].bits % 8 !== 0)
    if (packed !== undefined) return failed(maskOfSmallFloats(call.at('file'), packed.name, packed.dtype))
    return ok([
      withTensorClass<MaskValue>(
        {
          kind: 'mask',
          label: labelOf(call),
          shapes: new Map([...file.tensors].map(([name, { shape }]) => [name, shape])),
          mask: (name) => {
            const x = file.tensor(name)
            return x.type === 'read' ? g.readMask(x.view) : g.not(g.compare('equal', x, 0))
          },
          constant: () => undefined,
        },
        tensorClassOf(file),
      ),
    ])
  },
}
