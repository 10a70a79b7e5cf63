import { named } from './aliases.js'
import type { Alias } from './definition.js'

/** What mergekit has where a recipe of its own gives no density, which is not what smelt has. */
const DENSITY = '`density: 1` where the config has none'

/** How sd-mecha elects signs. */
const COUNTED = '`undecided: none`, `elect: count`'

/** The names of the operators that add differences to a base, by their ids. */
export const DELTA_ALIASES: Readonly<Record<string, readonly Alias[]>> = {
  'merge.task_arithmetic': [
    { name: 'task_arithmetic', from: 'mergekit' },
    { name: 'task_arithmetic', from: 'MergeLM', settings: '`lambda: scaling_coefficient`' },
  ],
  'merge.ties': [
    { name: 'ties', from: 'mergekit', settings: DENSITY },
    {
      name: 'ties_sum',
      from: 'sd-mecha',
      settings: `\`density: k\`, ${COUNTED} unless \`vote_sgn=True\`, \`equal: all\`; for differences from one base`,
    },
    {
      name: 'add_difference_ties',
      from: 'sd-mecha',
      settings: `\`density: k\`, ${COUNTED}, \`equal: all\`, \`lambda: alpha\``,
    },
    {
      name: 'ties_merging',
      from: 'MergeLM',
      settings:
        '`density: 1 − param_value_mask_rate`, `lambda: scaling_coefficient`, `scope: model`, `equal: all`, `undecided: majority`',
    },
    {
      name: 'mask_merging',
      from: 'MergeLM',
      settings:
        'for `mask_strategy` magnitude, a step for each model: `density: 1 − weight_mask_rate`, `equal: none`, `rescale: off` unless `use_weight_rescale`; then a step that merges the results',
    },
    {
      name: 'TIES-Merging',
      from: 'arXiv 2306.01708',
      settings: '`scope: model`; `undecided: majority` as in its code',
    },
  ],
  'merge.dare_linear': [
    { name: 'dare_linear', from: 'mergekit', settings: `${DENSITY}; \`rescale: l1\` for mergekit 0.1 and later` },
    {
      name: 'mask_merging',
      from: 'MergeLM',
      settings:
        'for `mask_strategy` random, `density: 1 − weight_mask_rate`, `rescale: off` unless `use_weight_rescale`; `normalize: true` for `average_merging`, `lambda: scaling_coefficient` for `task_arithmetic`',
    },
    {
      name: 'dropout',
      from: 'sd-mecha',
      settings: '`density: 1 − probability`, `normalize: kept`, `lambda: alpha`; for `overlap=1`',
    },
    { name: 'DARE', from: 'arXiv 2311.03099', settings: '`density: 1 − p`' },
    { name: 'DAREx-q', from: 'arXiv 2410.09344', settings: '`density: 1 − p`, `rescale: q` and a `q` for each model' },
  ],
  'merge.dare_ties': [
    { name: 'dare_ties', from: 'mergekit', settings: `${DENSITY}; \`rescale: l1\` for mergekit 0.1 and later` },
    ...named(
      'sd-mecha',
      ['ties_sum_with_dropout', 'add_ties_with_dare'],
      `\`density: 1 − probability\`, \`normalize: true\`, ${COUNTED} unless \`vote_sgn=True\`, \`rescale: off\` unless \`rescale\`; for \`k=1\` and \`apply_stock=True\`, which turns Model Stock off there`,
    ),
  ],
  'merge.breadcrumbs': [{ name: 'breadcrumbs', from: 'mergekit', settings: DENSITY }],
  'merge.breadcrumbs_ties': [{ name: 'breadcrumbs_ties', from: 'mergekit', settings: DENSITY }],
}
