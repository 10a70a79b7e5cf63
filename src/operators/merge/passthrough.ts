import { defineOperator } from '../define.js'
import { model as modelInput, perLayer } from '../params.js'

/** `scale·model`. */
export const passthrough = defineOperator({
  id: 'merge.passthrough',
  aliases: [{ name: 'passthrough', from: 'mergekit' }],
  version: 1,
  summary: 'Passes one model on, its layers scaled if wanted.',
  details:
    '`scale·model`. With `scale: 1`, tensors are copied as they are; rules scale some layers and copy all others: `scale: { "**.o_proj": 0.5 }`. `model.scale` is the same with a factor that has to be given.',
  source: 'mergekit, `passthrough`',
  output: 'model',
  inputs: { model: modelInput('The model or difference.', 'any') },
  params: {
    scale: perLayer({ default: 1, description: 'The number that a tensor is multiplied by.' }),
  },
  merges: true,
  exact: true,
  draws: false,
  examples: [
    { inputs: { model: [1, -2] }, expect: [1, -2] },
    {
      title: 'one kind of layer at half its size',
      inputs: { model: { q_proj: [2, 4], o_proj: [2, 4] } },
      params: { scale: { o_proj: 0.5 } },
      expect: { q_proj: [2, 4], o_proj: [1, 2] },
    },
  ],
  build: (g, { model }, { scale }) => g.mul(model, scale),
})
