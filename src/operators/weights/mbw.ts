import type { Architecture } from '../../architectures/detect.js'
import { blocksOrPreset, unknownBlock } from '../../base/catalogue/operators.js'
import type { Diagnostic } from '../../base/diagnostic.js'
import { failed, ok, type Result } from '../../base/result.js'
import { named } from '../aliases.js'
import { valueOf } from '../call-arguments.js'
import type { Call, Operator } from '../operator.js'
import { architectureOf, EXAMPLE_MODEL, likeInput, makeWeights, weightsByRules } from '../layer-numbers.js'
import { blocks as blocksParam, number, preset } from '../params.js'
import { PRESETS, type PresetName } from '../presets.js'

const NUMBERED = /^(IN|OUT|DOUBLE|SINGLE|JOINT|LAYER)(\d+)$/i
const WORDS: Readonly<Record<string, readonly string[]>> = {
  BASE: ['te', 'clip', 't5'],
  M00: ['mid'],
  MID: ['mid'],
  OUT: ['final'],
}

/** The blocks that a name of the field stands for: `IN04` is `in.4`; a block's own id is itself. */
const blocksOf = (name: string): readonly string[] => {
  const [, stem, index] = NUMBERED.exec(name) ?? []
  return stem === undefined
    ? (WORDS[name.toUpperCase()] ?? [name.toLowerCase()])
    : [`${stem.toLowerCase()}.${Number(index)}`]
}

const byName = (
  call: Call,
  given: Readonly<Record<string, number>>,
  { title, blocks, mbw }: Architecture,
): Result<ReadonlyMap<string, number>> => {
  const known = new Set([...blocks, ...mbw.flat()])
  const numbers = new Map<string, number>()
  const problems: Diagnostic[] = []
  for (const [name, value] of Object.entries(given)) {
    const found = blocksOf(name).filter((block) => known.has(block))
    if (found.length === 0 && name.toUpperCase() !== 'BASE')
      problems.push(unknownBlock(call.at('blocks'), name, title, [...known]))
    for (const block of found) numbers.set(block, value)
  }
  return problems.length > 0 ? failed(...problems) : ok(numbers)
}

/** One number for each block: a list, by name, or a preset. */
export const mbw: Operator = {
  id: 'weights.mbw',
  version: 2,
  summary: 'One number for each block: “merge block weights”.',
  aliases: [
    ...named(
      'ComfyUI-DareMerge',
      ['DM_MBWGradient', 'MBW Gradient'],
      '`blocks` by name: `TIME`, `LABEL`, `IN00` …, `M00`, `OUT00` …, `OUT`',
    ),
    ...named(
      'supermerger',
      ['MBW', 'use MBW', 'block weights'],
      'the same list of numbers; as `keep`, 1 − each of them',
    ),
    ...named(
      'AUTOMATIC1111 web UI',
      ['Merge Block Weighted', 'MBW'],
      'an extension: the same list of numbers; as `keep`, 1 − each of them',
    ),
  ],
  details: [
    'Give `blocks`, a list in the usual order or numbers by name, or a `preset`. The lists:',
    '',
    '- 26 for SD1, SD2 and the SDXL refiner: BASE (text encoder), IN00 … IN11, M00, OUT00 … OUT11;',
    '- 20 for SDXL: BASE, IN00 … IN08, M00, OUT00 … OUT08; 21 with VAE at the end; or 26 as for SD1, of which IN09 … IN11 and OUT09 … OUT11 are left out, as in supermerger;',
    '- 61 for Flux: CLIP, T5, IO, `double.0` … `double.18`, `single.0` … `single.37`, `final`.',
    '',
    'As in the tools that the lists come from, `time_embed` and `label_emb` take the number of IN00, and the last layers `out` that of the last OUT; in lists of 26 for SD1, SD2 and the refiner the VAE takes that of BASE. So a list of 26 zeros as `keep` gives the other model, and so does one of 20, except for the VAE, which the 21st number is for. The same holds for presets, and for `mbw` and `preset` in place of a number. Numbers by name apply to the named blocks only: `TIME`, `LABEL`, `OUT`, `VAE`.',
    '',
    'Names are those above, or the ids that `smelt inspect` shows (`in.4`, `mid`, `layer.12`), in upper or lower case; `OUT` without a number is the last layers, `final`. A tensor of another block takes `rest`, or has no number.',
    '',
    'A preset is a curve over the blocks, from the first (`x = 0`) to the last (1), sampled at as many blocks as the architecture has, so one name works for all; BASE is 0, in `ALL_B` 1. Sets of blocks such as `WRAP08` use, for each block, the nearest of the 25 blocks they were made for. In the tools that these come from a number is the share of the *second* model, and `keep` is that of the first: `op: weights.combine` with `a: 1`, `b: { preset: SMOOTHSTEP }` and `operation: subtract` turns one into the other.',
    '',
    'A recipe can have presets of its own, in files that it names under `presets`: see [recipes.md](recipes.md#presets-of-your-own).',
    '',
    `smelt’s presets: ${Object.keys(PRESETS)
      .map((name) => `\`${name}\``)
      .join(', ')}.`,
  ].join('\n'),
  source:
    'the “merge block weighted” extensions of the AUTOMATIC1111 web UI; presets as published with sd-webui-supermerger; names by ComfyUI-DareMerge, MBW gradient',
  output: 'weights',
  inputs: { like: likeInput },
  params: {
    blocks: blocksParam('The numbers, as a list of the length that the architecture has, or by the names of blocks.'),
    preset: preset('A curve by its name, in place of `blocks`.'),
    rest: number({ description: 'For every tensor that no block’s number covers.' }),
  },
  merges: false,
  exact: true,
  draws: false,
  examples: [
    {
      inputs: { like: EXAMPLE_MODEL },
      params: { blocks: { LAYER00: 0.25, 'layer.2': 0.75 }, rest: 0.5 },
      expect: {
        'model.embed_tokens.weight': [0.5],
        'model.layers.0.self_attn.q_proj.weight': [0.25],
        'model.layers.1.mlp.up_proj.weight': [0.5],
        'model.layers.2.input_layernorm.weight': [0.75],
      },
    },
    {
      title: 'a preset, falling to the middle block and rising again',
      inputs: { like: EXAMPLE_MODEL },
      params: { preset: 'GRAD_V' },
      expect: {
        'model.layers.0.self_attn.q_proj.weight': [1],
        'model.layers.1.mlp.up_proj.weight': [0],
        'model.layers.2.input_layernorm.weight': [1],
      },
    },
  ],
  evaluate: (call) => {
    const [given, name, rest] = [
      valueOf(call, 'blocks'),
      valueOf(call, 'preset') as PresetName | undefined,
      valueOf(call, 'rest') as number | undefined,
    ]
    if ((given === undefined) === (name === undefined)) return failed(blocksOrPreset(call.at('op')))
    const architecture = architectureOf(call)
    if (architecture.type === 'failed') return architecture
    if (name !== undefined) return weightsByRules(call, 'preset', { preset: name, default: rest })
    if (Array.isArray(given)) return weightsByRules(call, 'blocks', { mbw: given as readonly number[], default: rest })
    const numbers = byName(call, given as Readonly<Record<string, number>>, architecture.value)
    if (numbers.type === 'failed') return numbers
    return makeWeights(call, (tensor) => numbers.value.get(architecture.value.locate(tensor).block) ?? rest)
  },
}
