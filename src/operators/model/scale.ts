import { COMMON } from '../aliases.js'
import { defineOperator } from '../define.js'
import { model as modelInput, perLayer } from '../params.js'

/** `factor·model`. */
export const scale = defineOperator({
  id: 'model.scale',
  version: 1,
  summary: 'Multiplies a model or a difference by a number.',
  aliases: [
    { name: 'scale', from: 'sd-mecha', settings: '`factor: alpha`' },
    {
      name: 'self',
      from: 'supermerger',
      settings: '`factor: alpha`, for all layers but `to_out`, `proj_out` and norms',
    },
    { name: 'multiply', from: COMMON },
  ],
  details: '`factor·model`',
  output: 'model',
  inputs: { model: modelInput('The model or difference.', 'any') },
  params: { factor: perLayer({ required: true, description: 'The number to multiply by.' }) },
  merges: true,
  exact: true,
  draws: false,
  examples: [{ inputs: { model: [1, -2] }, params: { factor: 1.5 }, expect: [1.5, -3] }],
  build: (g, { model }, { factor }) => g.mul(model, factor),
})
