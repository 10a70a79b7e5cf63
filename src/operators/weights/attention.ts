import { named } from '../aliases.js'
import { valueOf } from '../call-arguments.js'
import type { Operator } from '../operator.js'
import { architectureOf, EXAMPLE_MODEL, likeInput, restParam, weightsWithRest } from '../layer-numbers.js'
import { number } from '../params.js'

/** The kinds of layer in the order they are looked at: the particular before the general. */
const KINDS = ['norm', 'attn1', 'attn2', 'attn', 'ff', 'conv', 'emb'] as const

/** One number by kind of layer. */
export const attention: Operator = {
  id: 'weights.attention',
  version: 1,
  summary: 'One number for each kind of layer: attention, feed-forward, norms.',
  aliases: [
    ...named(
      'ComfyUI-DareMerge',
      ['DM_AttentionGradient', 'Attention Gradient'],
      '`norm`, `attn`, and `ff` for `ff_net`; leave out those that are not processed',
    ),
  ],
  details: [
    'The kinds are the architecture’s groups, as `group:attn` selects them. `attn1` (self) and `attn2` (cross attention) win over `attn`. `norm` is every norm, those of residual blocks included.',
    'A kind without a number takes `rest`; without `rest` it has none, and a step that uses the weights keeps the first model there.',
  ].join('\n'),
  source: 'ComfyUI-DareMerge, attention gradient (which misses the norms of residual blocks)',
  output: 'weights',
  inputs: { like: likeInput },
  params: {
    norm: number({ description: 'For norms.' }),
    attn: number({ description: 'For attention.' }),
    ff: number({ description: 'For feed-forward layers.' }),
    attn1: number({ description: 'For self attention of a U-Net.' }),
    attn2: number({ description: 'For cross attention of a U-Net.' }),
    conv: number({ description: 'For convolutions of a U-Net’s residual blocks, and its down- and upsampling.' }),
    emb: number({ description: 'For embeddings.' }),
    rest: restParam,
  },
  merges: false,
  exact: true,
  draws: false,
  examples: [
    {
      inputs: { like: EXAMPLE_MODEL },
      params: { attn: 0.25, norm: 1, rest: 0.5 },
      expect: {
        'model.embed_tokens.weight': [0.5],
        'model.layers.0.self_attn.q_proj.weight': [0.25],
        'model.layers.1.mlp.up_proj.weight': [0.5],
        'model.layers.2.input_layernorm.weight': [1],
      },
    },
  ],
  evaluate: (call) => {
    const architecture = architectureOf(call)
    if (architecture.type === 'failed') return architecture
    const { locate } = architecture.value
    const given = KINDS.filter((kind) => valueOf(call, kind) !== undefined)
    return weightsWithRest(call, (tensor) => {
      const { groups } = locate(tensor)
      const kind = given.find((k) => groups.includes(k))
      return kind === undefined ? undefined : (valueOf(call, kind) as number)
    })
  },
}
