import { named } from './aliases.js'
import type { Alias, Example } from './definition.js'
import type { Rescale, Sparsify } from './family-params.js'

/**
 * How members of the family differ: what is dropped of each difference, whether signs are elected, and the defaults of
 * their papers.
 */
export interface Member {
  readonly id: string
  readonly aliases: readonly Alias[]
  readonly summary: string
  readonly details: string
  readonly source: string
  readonly sparsify: Sparsify
  readonly consensus: boolean
  readonly normalize: boolean
  readonly rescale: Rescale
  readonly examples: readonly Example[]
}

const DARE = 'Yu et al. 2023, “Language Models are Super Mario” (DARE), arXiv 2311.03099'
const DAREX = '`rescale: q`: Deng et al. 2024, “DARE the Extreme” (DAREx), arXiv 2410.09344'
const TIES = 'Yadav et al. 2023, “TIES-Merging”, arXiv 2306.01708'

const BREADCRUMBS = 'Davari and Belilovsky 2023, “Model Breadcrumbs”, arXiv 2312.06795'
const OUTLIERS =
  'Keeps `⌊density·n⌋` numbers of each difference: those below the `⌊gamma·n⌋` largest and above the rest, which are the smallest. Where `density + gamma` exceeds 1, fewer of the largest are dropped.'

const DELLA = 'Deep, Bhardwaj and Poria 2024, “DELLA-Merging”, arXiv 2406.11617'
const RANKED =
  'Ranks the magnitudes of each difference within a row (everything of one output; a vector is one row), keeps each number with a probability that rises evenly from `density − epsilon` at the smallest to `density + epsilon` at the largest, and with `rescale: density` divides it by that probability. mergekit, which refuses an `epsilon` that goes beyond 0 or 1, ranks the kernels of a convolution along their second axis alone.'

/** What mergekit has where a recipe of its own gives no density, which is not what smelt has. */
const DENSITY = '`density: 1` where the config has none'

/** The members of the family: one table, read by one builder. */
export const MEMBERS: readonly Member[] = [
  {
    id: 'merge.task_arithmetic',
    aliases: [
      { name: 'task_arithmetic', from: 'mergekit' },
      { name: 'task_arithmetic', from: 'MergeLM', settings: '`lambda` is its `scaling_coefficient`' },
    ],
    summary: 'Adds what several models learned beyond a common base.',
    details: 'The differences are added as they are: “task vectors”.',
    source: 'Ilharco et al. 2022, “Editing Models with Task Arithmetic”, arXiv 2212.04089',
    sparsify: 'none',
    consensus: false,
    normalize: false,
    rescale: 'off',
    examples: [
      {
        inputs: {
          base: [1, 1],
          models: [
            { model: [2, 1], weight: 1 },
            { model: [1, 3], weight: 0.5 },
          ],
        },
        expect: [2, 2],
      },
    ],
  },
  {
    id: 'merge.ties',
    aliases: [
      { name: 'ties', from: 'mergekit', settings: DENSITY },
      {
        name: 'ties_merging',
        from: 'MergeLM',
        settings:
          '`scope: model`, `equal: all`, `undecided: majority`, `density` is 1 − its `param_value_mask_rate` (it keeps one number more), `lambda` is its `scaling_coefficient`',
      },
      {
        name: 'ties_sum',
        from: 'sd-mecha',
        settings:
          'of differences from one base: `elect: count`, `undecided: none`, `equal: all`, `density` is its `k`; with its `vote_sgn=True`, `elect: sum`',
      },
      ...named(
        'sd-mecha',
        ['ties_sum_extended', 'add_difference_ties_extended'],
        'as `ties_sum` and `add_difference_ties`, with its `apply_stock=True`, which turns Model Stock off there, and without `apply_median`',
      ),
      { name: 'TIES-Merging', from: 'arXiv 2306.01708', settings: '`scope: model`' },
      {
        name: 'add_difference_ties',
        from: 'sd-mecha',
        settings:
          '`elect: count`, `undecided: none`, `equal: all`, `density` is its `k` (it keeps one number more), `lambda` is its `alpha`',
      },
      {
        name: 'mask_merging',
        from: 'MergeLM',
        settings:
          'for its `mask_strategy=magnitude`, a step for each model: `equal: none`, `density` is 1 − its `weight_mask_rate`, `rescale: density` with `use_weight_rescale`; then a step that merges their results',
      },
    ],
    summary: 'Adds the largest differences of several models where their signs agree.',
    details:
      'Trims every difference to the `density` share of its largest numbers (exactly `⌊density·n⌋`, unless `equal` says otherwise), elects a sign for each parameter, and averages what agrees.',
    source: TIES,
    sparsify: 'magnitude',
    consensus: true,
    normalize: true,
    rescale: 'off',
    examples: [
      {
        inputs: {
          base: [0, 0, 0, 0],
          models: [
            { model: [4, 1, -3, 2], density: 0.5 },
            { model: [2, 5, 6, 1], density: 0.5 },
          ],
        },
        expect: [4, 5, 6, 0],
      },
      {
        title: 'trimmed over the whole model',
        inputs: { base: [0, 0], models: [{ model: [4, 1], density: 0.5 }] },
        params: { scope: 'model' },
        expect: [4, 0],
      },
      {
        title: 'signs elected by number, and nothing added where as many go up as down',
        inputs: {
          base: [0, 0],
          models: [
            { model: [5, 2], density: 1 },
            { model: [-1, -1], density: 1 },
            { model: [-2, 0], density: 1 },
          ],
        },
        params: { elect: 'count', undecided: 'none' },
        expect: [-1.5, 0],
      },
      {
        title: 'all of equal numbers kept',
        inputs: { base: [0, 0, 0, 0], models: [{ model: [1, 3, -1, 0], density: 0.5 }] },
        params: { equal: 'all' },
        expect: [1, 3, -1, 0],
      },
    ],
  },
  {
    id: 'merge.dare_linear',
    aliases: [
      {
        name: 'dare_linear',
        from: 'mergekit',
        settings: `${DENSITY}; \`rescale: l1\` for mergekit 0.1 and later`,
      },
      {
        name: 'mask_merging',
        from: 'MergeLM',
        settings:
          'for its `mask_strategy=random`, `density` is 1 − its `weight_mask_rate`, `rescale: off` unless `use_weight_rescale`; `normalize: true` to average, `lambda` for task arithmetic',
      },
      {
        name: 'mask_model_weights',
        from: 'MergeLM',
        settings:
          'one model: for its `mask_strategy=random`, `density` is 1 − its `weight_mask_rate`, `rescale: off` unless `use_weight_rescale`',
      },
      {
        name: 'dropout',
        from: 'sd-mecha',
        settings:
          'for its default `overlap`: `normalize: kept`, `density` is 1 − its `probability`, `lambda` is its `alpha`',
      },
      {
        name: 'DARE',
        from: 'arXiv 2311.03099',
        settings: '`density: 1 − p`',
      },
      {
        name: 'DAREx-q',
        from: 'arXiv 2410.09344',
        settings: '`rescale: q`, and a `q` for each model',
      },
    ],
    summary: 'Adds random parts of several models’ differences, scaled up.',
    details:
      'Drops each number of a difference with probability `1 − density` and, with `rescale: density`, divides the rest by `density`, so that the expected sum stays.',
    source: `${DARE}; ${DAREX}`,
    sparsify: 'random',
    consensus: false,
    normalize: false,
    rescale: 'density',
    examples: [
      { inputs: { base: [1, 1], models: [{ model: [2, 3], density: 0.5, kept: [true, false] }] }, expect: [3, 1] },
      {
        title: 'averaged over the models that keep a parameter',
        inputs: {
          base: [0, 0, 0],
          models: [
            { model: [1, 2, 3], density: 0.5, kept: [true, true, false] },
            { model: [3, 4, 5], density: 0.5, kept: [true, false, false] },
          ],
        },
        params: { normalize: 'kept' },
        expect: [4, 4, 0],
      },
      {
        title: 'divided by a number of its own, as DAREx does',
        inputs: { base: [1, 1], models: [{ model: [2, 3], density: 0.5, q: 0.8, kept: [true, false] }] },
        params: { rescale: 'q' },
        expect: [2.25, 1],
      },
    ],
  },
  {
    id: 'merge.dare_ties',
    aliases: [
      {
        name: 'dare_ties',
        from: 'mergekit',
        settings: `${DENSITY}; \`rescale: l1\` for mergekit 0.1 and later`,
      },
      {
        name: 'ties_sum_with_dropout',
        from: 'sd-mecha',
        settings:
          'of differences from one base, with its `k=1` and `apply_stock=True`, which turns Model Stock off there: `elect: count`, `undecided: none`, `normalize: true`, `density` is 1 − its `probability`, `rescale: off` unless `rescale`',
      },
      {
        name: 'add_ties_with_dare',
        from: 'sd-mecha',
        settings:
          'with its `k=1` and `apply_stock=True`: `elect: count`, `undecided: none`, `normalize: true`, `density` is 1 − its `probability`, `lambda` is its `alpha`',
      },
    ],
    summary: 'Like `merge.dare_linear`, with an elected sign for each parameter.',
    details:
      'Drops at random as DARE does, then elects signs as TIES does. (`merge.dare` is the two-model operator of the ComfyUI node pack, with its rules.)',
    source: `${DARE}; ${TIES}; ${DAREX}`,
    sparsify: 'random',
    consensus: true,
    normalize: false,
    rescale: 'density',
    examples: [
      {
        inputs: {
          base: [0, 0, 0],
          models: [
            { model: [1, 1, 1], density: 0.5, kept: [true, true, false] },
            { model: [2, -3, 4], density: 1 },
          ],
        },
        expect: [4, -3, 4],
      },
    ],
  },
  {
    id: 'merge.breadcrumbs',
    aliases: [{ name: 'breadcrumbs', from: 'mergekit', settings: DENSITY }],
    summary: 'Adds what several models learned, without the largest and the smallest differences.',
    details: OUTLIERS,
    source: BREADCRUMBS,
    sparsify: 'outliers',
    consensus: false,
    normalize: false,
    rescale: 'off',
    examples: [
      {
        inputs: { base: [0, 0, 0, 0], models: [{ model: [9, 2, -3, 1], density: 0.5, gamma: 0.25 }] },
        expect: [0, 2, -3, 0],
      },
    ],
  },
  {
    id: 'merge.breadcrumbs_ties',
    aliases: [{ name: 'breadcrumbs_ties', from: 'mergekit', settings: DENSITY }],
    summary: 'Like `merge.breadcrumbs`, with an elected sign for each parameter.',
    details: OUTLIERS,
    source: `${BREADCRUMBS}; ${TIES}`,
    sparsify: 'outliers',
    consensus: true,
    normalize: false,
    rescale: 'off',
    examples: [
      {
        inputs: {
          base: [0, 0, 0, 0],
          models: [
            { model: [9, 2, -3, 1], density: 0.5, gamma: 0.25 },
            { model: [1, 1, 1, 1], density: 1 },
          ],
        },
        expect: [1, 3, -3, 1],
      },
    ],
  },
  {
    id: 'merge.della_linear',
    aliases: [
      {
        name: 'della_linear',
        from: 'mergekit',
        settings: `${DENSITY}; \`rescale: l1\` for its defaults`,
      },
    ],
    summary: 'Adds random parts of several models’ differences, of which large numbers are kept more often.',
    details: RANKED,
    source: DELLA,
    sparsify: 'ranked',
    consensus: false,
    normalize: false,
    rescale: 'density',
    examples: [
      {
        inputs: {
          base: [0, 0, 0],
          models: [{ model: [1, 8, 2], density: 0.5, epsilon: 0.25, kept: [true, true, false] }],
        },
        expect: [4, 8 / 0.75, 0],
      },
    ],
  },
  {
    id: 'merge.della',
    aliases: [{ name: 'della', from: 'mergekit', settings: `${DENSITY}; \`rescale: l1\` for its defaults` }],
    summary: 'Like `merge.della_linear`, with an elected sign for each parameter.',
    details: RANKED,
    source: `${DELLA}; ${TIES}`,
    sparsify: 'ranked',
    consensus: true,
    normalize: true,
    rescale: 'density',
    examples: [
      {
        inputs: {
          base: [0, 0, 0],
          models: [
            { model: [1, 8, 2], density: 0.5, epsilon: 0.25, kept: [true, true, false] },
            { model: [3, -1, 2], density: 1 },
          ],
        },
        params: { rescale: 'off' },
        expect: [2, 8, 2],
      },
    ],
  },
]
