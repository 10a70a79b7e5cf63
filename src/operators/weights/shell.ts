import { named } from '../aliases.js'
import { valueOf } from '../call-arguments.js'
import type { Operator } from '../operator.js'
import { architectureOf, EXAMPLE_MODEL, likeInput, restParam, weightsWithRest } from '../layer-numbers.js'
import { number } from '../params.js'

/** One number by how deep a block lies. */
export const shell: Operator = {
  id: 'weights.shell',
  version: 1,
  summary: 'One number by depth of the block: at the ends, between, or in the middle.',
  aliases: [...named('ComfyUI-DareMerge', ['DM_ShellGradient', 'Shell Gradient'])],
  details: [
    'For SD1 and SD2: exterior IN00–03 and OUT09–11, interior IN04–08 and OUT04–08, core IN09–11, M00 and OUT00–03. For SDXL: exterior IN00–02 and OUT06–08, interior IN03–05 and OUT03–05, core IN06–08, M00 and OUT00–02.',
    'For other architectures, the blocks are divided into thirds by their distance from the ends; for networks that are not U-Nets this is smelt’s own definition. Blocks of a part that is left out, and tensors outside these blocks (time and label embedding, the last layers, encoders, VAE), take `rest`, or have no number.',
  ].join('\n'),
  source: 'ComfyUI-DareMerge, shell gradient, with the sets from its documentation',
  output: 'weights',
  inputs: { like: likeInput },
  params: {
    exterior: number({ description: 'For the blocks at both ends.' }),
    interior: number({ description: 'For the blocks between.' }),
    core: number({ description: 'For the blocks in the middle.' }),
    rest: restParam,
  },
  merges: false,
  exact: true,
  draws: false,
  examples: [
    {
      inputs: { like: EXAMPLE_MODEL },
      params: { exterior: 0.25, core: 0.75 },
      expect: {
        'model.layers.0.self_attn.q_proj.weight': [0.25],
        'model.layers.1.mlp.up_proj.weight': [0.75],
        'model.layers.2.input_layernorm.weight': [0.25],
      },
    },
  ],
  evaluate: (call) => {
    const architecture = architectureOf(call)
    if (architecture.type === 'failed') return architecture
    const { shells, locate } = architecture.value
    return weightsWithRest(call, (tensor) => {
      const found = shells.get(locate(tensor).block)
      return found === undefined ? undefined : (valueOf(call, found) as number | undefined)
    })
  },
}
