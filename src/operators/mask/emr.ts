import { defineOperator } from '../define.js'
import { unify } from '../emr.js'
import { model, models } from '../params.js'

/** What of the unified difference of `merge.emr` belongs to each model. */
export const emrMasks = defineOperator({
  id: 'mask.emr',
  version: 1,
  summary: 'Selects, for each of several models, the parameters that it moved in the direction all together elected.',
  details: [
    'True where `xᵢ − base` has the sign of the sum of all differences (0 counts as −). The results are `step.1`, `step.2` and so on, in the order of `models`.',
    'With the one model that `merge.emr` makes, and the scales that `report.emr` shows, they bring back the model of each task: `merge.task_arithmetic` of that model on `base`, with the mask, and the scale as `lambda`.',
  ].join('\n'),
  source: 'Huang et al. 2024, “EMR-Merging: Tuning-Free High-Performance Model Merging”, arXiv 2405.17461',
  output: 'mask',
  results: (_, count) => count,
  inputs: {
    base: model('The model that the others were trained from.', 'any'),
    models: models('The models, one for each task.', {}, 2, 'any'),
  },
  params: {},
  merges: false,
  exact: true,
  draws: false,
  examples: [
    {
      title: 'the mask of the first model',
      inputs: {
        base: [0, 0, 0, 0],
        models: [
          [1, -3, 0, 1],
          [3, 2, -1, -2],
        ],
      },
      expect: [true, true, false, false],
    },
  ],
  build: (g, { base, models: all }) => unify(g, base, all).masks,
})
