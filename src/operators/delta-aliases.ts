import type { Alias } from './definition.js'

/** What mergekit has where a recipe of its own gives no density, which is not what smelt has. */
const DENSITY = '`density: 1` where the config has none'

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
      settings:
        '`density: k`, for differences from one base, and with `vote_sgn=True`; without it the signs are counted there, which smelt does not do',
    },
    {
      name: 'ties_merging',
      from: 'MergeLM',
      settings: '`density: 1 − param_value_mask_rate`, `lambda: scaling_coefficient`, `scope: model`',
    },
    { name: 'TIES-Merging', from: 'arXiv 2306.01708', settings: '`scope: model`' },
  ],
  'merge.dare_linear': [
    { name: 'dare_linear', from: 'mergekit', settings: `${DENSITY}; \`rescale: l1\` for mergekit 0.1 and later` },
    {
      name: 'mask_merging',
      from: 'MergeLM',
      settings:
        '`density: 1 − weight_mask_rate`, `rescale: off` unless `use_weight_rescale`; `normalize: true` for `average_merging`, `lambda: scaling_coefficient` for `task_arithmetic`',
    },
    { name: 'DARE', from: 'arXiv 2311.03099', settings: '`density: 1 − p`' },
  ],
  'merge.dare_ties': [
    { name: 'dare_ties', from: 'mergekit', settings: `${DENSITY}; \`rescale: l1\` for mergekit 0.1 and later` },
    {
      name: 'ties_sum_with_dropout',
      from: 'sd-mecha',
      settings:
        '`density: 1 − probability`, `normalize: true`, `rescale: off` unless `rescale`; for differences from one base with `k=1`, `vote_sgn=True` and `apply_stock=True`, which turns Model Stock off there',
    },
  ],
  'merge.breadcrumbs': [{ name: 'breadcrumbs', from: 'mergekit', settings: DENSITY }],
  'merge.breadcrumbs_ties': [{ name: 'breadcrumbs_ties', from: 'mergekit', settings: DENSITY }],
}
