import type { CORE_METHODS } from '../../kernels/solvers/core-space.js'
import { ADAPTER_KINDS, combineWithStrengths, STRENGTHS } from '../adapter-strengths.js'
import { valueOf } from '../call-arguments.js'
import type { Operator } from '../operator.js'
import { adapters, choice, flag, number } from '../params.js'

const METHODS = {
  ties: 'TIES: each core keeps its largest numbers, each position elects a sign, and the numbers of that sign are averaged',
  tsv: 'TSV-Merge, as in `merge.tsv`',
  sum: 'their sum; without `isotropic`, this is what `adapter.merge` gives',
} as const satisfies Readonly<Record<(typeof CORE_METHODS)[number], string>>

/** `U·merge(Uᵀ·B₁A₁·V, …)·Vᵀ`. */
export const coreSpaceMerge: Operator = {
  id: 'adapter.core_space',
  version: 2,
  summary: 'Merges LoRAs in the small space that all of them share.',
  aliases: [
    { name: 'Core Space', from: 'arXiv 2509.17786' },
    { name: 'merge.core_space', from: 'arXiv 2509.17786' },
    {
      name: 'core-space-merging',
      from: 'the authors’ code of Core Space',
      settings:
        '`method` is `merge_method` (`tv` is `sum`), `density` is `topK` in percent (it keeps one number more), `isotropic` is `isotropize`, and each of the `strengths` is `scaling_coeffs`',
    },
  ],
  details: [
    'For each module, `U` are the left singular vectors of all `up` factors next to each other, and `V` the right ones of all `down` factors below each other. Each adapter has a core `Mᵢ = strengthᵢ·Uᵀ·upᵢ·downᵢ·V` with as many rows and columns as all ranks together, and nothing of the adapter is lost in it. The cores are merged to `M`, and the result is `U·M·Vᵀ`, a LoRA whose rank is the sum of the ranks. `alpha / rank` is part of `up`.',
    '',
    'TIES depends on the directions that it is done in, and works better in these than in the weights. Where numbers of both signs cancel exactly, none is elected, since the signs of singular vectors are arbitrary. A core has few numbers, so a `density` of 0.1 is much more here than in `merge.ties`.',
    'TSV-Merge and sums do not depend on the directions: here they cost less than on the whole weights, and give the same; but with `isotropic`, the mean is over as many singular values as the core has, and not as the weights have.',
    '',
    '`adapter.resize` gives the result a lower rank. Stored differences have no core, and are added up. A module that only one adapter has is merged alone.',
    ADAPTER_KINDS,
    'Singular values below 2⁻²⁴ of the greatest are rounding of float32 and count as 0. Decompositions are in float64 with a fixed order of operations; with R the sum of the ranks their cost grows with `(rows + columns)·R²`.',
  ].join('\n'),
  source:
    'Panariello et al. 2025, “Accurate and Efficient Low-Rank Model Merging in Core Space”, arXiv 2509.17786; the authors’ code',
  output: 'adapter',
  inputs: { adapters: adapters('The adapters, whose modules are named by the same rules.') },
  params: {
    strengths: STRENGTHS,
    method: choice(METHODS, 'ties', 'How the cores are merged.'),
    density: number({
      default: 0.1,
      min: 0,
      max: 1,
      description: 'With `ties`: the share of the numbers of each core that are kept.',
    }),
    isotropic: flag(false, 'Gives all singular values of the merged core their mean, as `merge.isotropic` does.'),
  },
  merges: false,
  exact: true,
  draws: false,
  examples: [
    {
      title: 'what the result adds to a model: the largest number of each core, and where both have one, their mean',
      inputs: {
        adapters: [
          { 'x.lora_up.weight': [[1], [0]], 'x.lora_down.weight': [[8, 0]] },
          { 'x.lora_up.weight': [[0], [2]], 'x.lora_down.weight': [[0, 3]] },
        ],
      },
      params: { density: 0.25 },
      expect: [8, 0, 0, 6],
    },
    {
      title: 'directions of strengths 8 and 6 get 7 each',
      inputs: {
        adapters: [
          { 'x.lora_up.weight': [[1], [0]], 'x.lora_down.weight': [[8, 0]] },
          { 'x.lora_up.weight': [[0], [2]], 'x.lora_down.weight': [[0, 3]] },
        ],
      },
      params: { method: 'tsv', isotropic: true },
      expect: [7, 0, 0, 7],
    },
  ],
  evaluate: (call) =>
    combineWithStrengths(call, {
      core: {
        method: valueOf(call, 'method') as (typeof CORE_METHODS)[number],
        density: valueOf(call, 'density') as number,
        isotropic: valueOf(call, 'isotropic') as boolean,
      },
    }),
}
