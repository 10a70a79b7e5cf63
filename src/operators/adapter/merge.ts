import { COMMON, named } from '../aliases.js'
import { adapterOf, valueOf } from '../call-arguments.js'
import { rankChooser, RANK_DETAILS, RANK_PARAMS } from '../choose-rank.js'
import type { Operator } from '../operator.js'
import { adapter, adapters, integer } from '../params.js'
import { combineAdapters } from '../combine-adapters.js'
import { ADAPTER_KINDS, combineWithStrengths, OWN_KINDS, STRENGTHS } from '../adapter-strengths.js'

const TRUNCATED =
  'Factors of a lower rank are the best approximation of their product (truncated singular value decomposition in float64, as in `adapter.extract`).'

/** `Σ strength · alpha / rank · up·down`. */
export const mergeAdapters: Operator = {
  id: 'adapter.merge',
  version: 2,
  summary: 'Merges any number of LoRAs into one.',
  aliases: [
    { name: 'merge_lora', from: 'kohya', settings: '`strengths` are its `--ratios`' },
    { name: 'svd_merge_lora', from: 'kohya', settings: '`rank` is its `--new_rank`, `strengths` are its `--ratios`' },
    { name: 'add_weighted_adapter', from: 'PEFT', settings: 'its `combination_type` `cat`, or with `rank`, `svd`' },
    { name: 'merge LoRAs', from: 'supermerger' },
    ...named(COMMON, ['combine loras', 'merge loras']),
  ],
  details: [
    'Applying the result is applying all adapters one after another, each with its strength. Without `rank` this is exact: the factors of a module stand next to each other, and its rank is the sum of their ranks.',
    '',
    TRUNCATED,
    ADAPTER_KINDS,
  ].join('\n'),
  output: 'adapter',
  inputs: { adapters: adapters('The adapters, whose modules are named by the same rules.') },
  params: {
    strengths: STRENGTHS,
    rank: integer({ min: 1, description: 'The greatest rank of a module in the result; no limit unless given.' }),
  },
  merges: false,
  exact: true,
  draws: false,
  examples: [
    {
      title: 'what the result adds to a model: half of the first adapter, and the second',
      inputs: {
        adapters: [
          { 'x.lora_up.weight': [[1], [2]], 'x.lora_down.weight': [[2, 4]] },
          { 'x.lora_up.weight': [[1], [0]], 'x.lora_down.weight': [[0, 1]], 'x.alpha': 3 },
        ],
      },
      params: { strengths: [0.5, 1] },
      expect: [1, 5, 2, 4],
    },
  ],
  evaluate: (call) => combineWithStrengths(call, { rank: valueOf(call, 'rank') as number | undefined }),
}

/** The best approximation of a rank. */
export const resize: Operator = {
  id: 'adapter.resize',
  version: 2,
  summary: 'Gives a LoRA a lower rank.',
  aliases: [
    {
      name: 'resize_lora',
      from: 'kohya',
      settings:
        '`rank` is its `--new_rank`; `--dynamic_method sv_fro` is `method: energy` with `--dynamic_param` squared, `sv_cumulative` is `quantile`, `sv_ratio` is `ratio` with 1 divided by it',
    },
    ...named(COMMON, ['resize lora']),
  ],
  details: [TRUNCATED, 'Modules of no higher rank keep it.', '', RANK_DETAILS, '', OWN_KINDS].join('\n'),
  output: 'adapter',
  inputs: { adapter: adapter('The adapter: from the block `adapters` of the recipe, or what a step makes.') },
  params: {
    rank: integer({ min: 1, required: true, description: 'The greatest rank of a module in the result.' }),
    ...RANK_PARAMS,
  },
  merges: false,
  exact: true,
  draws: false,
  examples: [
    {
      title: 'what the result adds to a model: the stronger of two directions',
      inputs: {
        adapter: {
          'x.lora_up.weight': [
            [3, 0],
            [0, 1],
          ],
          'x.lora_down.weight': [
            [1, 0],
            [0, 1],
          ],
        },
      },
      params: { rank: 1 },
      expect: [3, 0, 0, 0],
    },
  ],
  evaluate: (call) => {
    const choose = rankChooser(call)
    if (choose.type === 'failed') return choose
    return combineAdapters(call, [adapterOf(call, 'adapter')], [1], {
      rank: valueOf(call, 'rank') as number,
      choose: choose.value,
    })
  },
}
