import { noPositions } from '../../base/catalogue/operators.js'
import { failed, ok } from '../../base/result.js'
import { labelOf, modelsOf } from '../call-arguments.js'
import type { Operator } from '../operator.js'
import { model } from '../params.js'
import type { Slot } from '../value.js'

const isPositions = ({ name, shape }: Slot): boolean => /(?:^|\.)position_ids$/.test(name) && shape.length > 0

/** Token positions as they should be. */
export const renumber: Operator = {
  id: 'model.renumber',
  version: 1,
  summary: 'Resets the `position_ids` of text encoders.',
  aliases: [{ name: 'Reset CLIP ids', from: 'supermerger' }],
  details:
    'Every tensor `position_ids` becomes 0, 1, 2, … as whole numbers (`I64`); all others are copied. For models whose positions were merged like weights: programs that load a position such as 75.9 cut it to 75, and read a token in the wrong place. A build warns when it copies such positions.',
  output: 'model',
  inputs: { model: model('The model.') },
  params: {},
  merges: false,
  exact: true,
  draws: false,
  examples: [
    {
      inputs: { model: { 'text_model.embeddings.position_ids': [[0, 0.99, 2.01, 2.98]] } },
      expect: { 'text_model.embeddings.position_ids': [0, 1, 2, 3] },
      dtypes: { 'text_model.embeddings.position_ids': 'I64' },
    },
  ],
  evaluate: (call) => {
    const { tensors, space, tensor, label } = modelsOf(call, 'model')[0]!.value
    if (![...tensors.values()].some(isPositions)) return failed(noPositions(call.at('model'), label))
    const slots = new Map(
      [...tensors].map(([name, slot]): [string, Slot] => [name, isPositions(slot) ? { ...slot, dtype: 'I64' } : slot]),
    )
    return ok([
      {
        kind: 'model',
        space,
        label: labelOf(call),
        tensors: slots,
        tensor: (name) => {
          const slot = slots.get(name)!
          return isPositions(slot) ? call.graph.position(1, slot.shape.at(-1)!) : tensor(name)
        },
      },
    ])
  },
}
