import { noSuchPart } from '../../base/catalogue/operators.js'
import { failed } from '../../base/result.js'
import { named } from '../aliases.js'
import { valueOf } from '../call-arguments.js'
import type { Operator } from '../operator.js'
import { architectureOf, likeInput, restParam, weightsWithRest } from '../layer-numbers.js'
import { number } from '../params.js'

/** Which blocks a parameter is for, by the first part of their ids. */
const PARTS = {
  time: ['time'],
  label: ['label'],
  input: ['in'],
  middle: ['mid'],
  output: ['out'],
  out: ['final'],
  text: ['te', 'clip', 't5'],
  vae: ['vae'],
} as const

/** Parts that a U-Net always has: asking another network for them is a mistake. */
const OF_UNETS = ['input', 'middle', 'output'] as const

const stemOf = (block: string): string => block.split('.')[0]!

/** One number for each kind of block. */
export const block: Operator = {
  id: 'weights.block',
  version: 1,
  summary: 'One number for each part of a U-Net: its inputs, its middle, its outputs.',
  aliases: [...named('ComfyUI-DareMerge', ['DM_BlockGradient', 'Block Gradient'])],
  details: [
    'For architectures with input, middle and output blocks; for others, use `weights.mbw`, `weights.gradient` or patterns. A part without a number takes `rest`; without `rest` it has none, and a step that uses the weights keeps the first model there.',
    'Blocks are matched by whole segments of the names: `input_blocks.1` is never `input_blocks.10`.',
  ].join('\n'),
  source: 'ComfyUI-DareMerge, block gradient',
  output: 'weights',
  inputs: { like: likeInput },
  params: {
    time: number({ description: 'For the embedding of the time step, `time_embed`.' }),
    label: number({ description: 'For the embedding of sizes and labels, `label_emb`, where the model has it.' }),
    input: number({ description: 'For `input_blocks`.' }),
    middle: number({ description: 'For `middle_block`.' }),
    output: number({ description: 'For `output_blocks`.' }),
    out: number({ description: 'For the last layers, `out`.' }),
    text: number({ description: 'For the text encoders of the file.' }),
    vae: number({ description: 'For the VAE of the file.' }),
    rest: restParam,
  },
  merges: false,
  exact: true,
  draws: false,
  examples: [
    {
      title: 'a number for everything, in a model of unknown architecture',
      inputs: { like: [1, 2] },
      params: { rest: 0.75 },
      expect: [0.75],
    },
  ],
  evaluate: (call) => {
    const given = Object.entries(PARTS).filter(([part]) => valueOf(call, part) !== undefined)
    if (given.length === 0) return weightsWithRest(call, () => undefined)
    const architecture = architectureOf(call)
    if (architecture.type === 'failed') return architecture
    const { title, blocks, locate } = architecture.value
    const absent = OF_UNETS.find(
      (part) => valueOf(call, part) !== undefined && !blocks.some((id) => stemOf(id) === PARTS[part][0]),
    )
    if (absent !== undefined) return failed(noSuchPart(call.at(absent), absent, title, blocks))
    const numbers = new Map(
      given.flatMap(([part, stems]) => stems.map((stem) => [stem as string, valueOf(call, part) as number])),
    )
    return weightsWithRest(call, (name) => numbers.get(stemOf(locate(name).block)))
  },
}
