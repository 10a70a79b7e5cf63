import { valueOf } from '../call-arguments.js'
import type { Operator } from '../operator.js'
import { EXAMPLE_MODEL, likeInput, weightsByRules } from '../layer-numbers.js'
import { number, numbers } from '../params.js'

/** Anchors over the layers. */
export const gradient: Operator = {
  id: 'weights.gradient',
  version: 1,
  summary: 'One number per layer, on a line through given numbers, over the layers in order.',
  aliases: [
    {
      name: 'gradient',
      from: 'mergekit',
      settings: 'a list of numbers in place of one: the list as `anchors`, its first number as `rest`',
    },
  ],
  details:
    'The anchors are spread evenly over the blocks of the network, the first at the first block and the last at the last; numbers between them are interpolated linearly. `[0, 1, 0]` rises to the middle and falls again. Other tensors (embeddings, the last layers, encoders, VAE) take `rest`, or have no number.',
  source: 'mergekit, gradients as lists of numbers',
  output: 'weights',
  inputs: { like: likeInput },
  params: {
    anchors: numbers({ required: true, description: 'The numbers; a single one applies to all blocks.' }),
    rest: number({ description: 'For every tensor outside the blocks.' }),
  },
  merges: false,
  exact: true,
  draws: false,
  examples: [
    {
      inputs: { like: EXAMPLE_MODEL },
      params: { anchors: [0.25, 0.75] },
      expect: {
        'model.layers.0.self_attn.q_proj.weight': [0.25],
        'model.layers.1.mlp.up_proj.weight': [0.5],
        'model.layers.2.input_layernorm.weight': [0.75],
      },
    },
  ],
  evaluate: (call) =>
    weightsByRules(call, 'anchors', {
      gradient: valueOf(call, 'anchors') as readonly number[],
      default: valueOf(call, 'rest') as number | undefined,
    }),
}
