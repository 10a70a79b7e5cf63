import { defineOperator } from '../define.js'
import { unify } from '../emr.js'
import { choice, model, models } from '../params.js'

const GIVE = {
  unified: 'one model: `base + τ`, which fits no task by itself',
  tasks: 'a model for each task, as `step.1`, `step.2` and so on in the order of `models`: `base + λᵢ·Mᵢ·τ`',
} as const

const SCOPE = {
  model: 'one `λᵢ` for all tensors of a task, as in the paper',
  tensor: 'one for each tensor',
} as const

/** Elect, mask and rescale. */
export const emr = defineOperator({
  id: 'merge.emr',
  version: 1,
  summary: 'Merges models into one difference that a mask and a scale turn back into each of them.',
  details: [
    'Elect: with `δᵢ = xᵢ − base`, the sign of `Σδᵢ` is elected for each parameter (0 counts as −, as in the authors’ code), and `τ` is the greatest `|δᵢ|` of the models with that sign, with the sign. Mask: `Mᵢ` is true where `δᵢ` has the elected sign. Rescale: `λᵢ = Σ|δᵢ| / Σ|Mᵢ·τ|`, over all tensors that the step merges.',
    '',
    'All models share `τ`; a task adds one bit for each parameter, which `mask.emr` makes, and one number, which `report.emr` shows. The authors’ code for vision models takes the mean of each tensor in place of its sum.',
  ].join('\n'),
  source: 'Huang et al. 2024, “EMR-Merging: Tuning-Free High-Performance Model Merging”, arXiv 2405.17461',
  aliases: [
    { name: 'EMR-Merging', from: 'arXiv 2405.17461', settings: '`give: tasks`' },
    { name: 'emr_merging', from: 'FusionBench', settings: '`give: tasks`' },
  ],
  output: 'model',
  results: ({ give }, count) => (give === 'tasks' ? count : 1),
  inputs: {
    base: model('The model that the others were trained from.'),
    models: models('The models, one for each task.', {}, 2),
  },
  params: {
    give: choice(GIVE, 'unified', 'What the step gives.'),
    scope: choice(SCOPE, 'model', 'What has a scale of its own.'),
  },
  merges: true,
  exact: true,
  draws: false,
  examples: [
    {
      title: 'the greatest of the elected sign',
      inputs: {
        base: [1, 1, 1, 1],
        models: [
          [2, -2, 1, 2],
          [4, 2, 1, -1],
        ],
      },
      expect: [4, -2, 1, -1],
    },
    {
      title: 'the first model moves 4 in all, and 6 of the unified difference are its own',
      inputs: {
        base: [0, 0, 0],
        models: [
          [1, -3, 0],
          [3, 2, -1],
        ],
      },
      params: { give: 'tasks' },
      expect: [2, -2, 0],
    },
  ],
  build: (g, { base, models: all }, { give, scope }, { whole }) => {
    const { deltas, unified, masks } = unify(g, base, all)
    if (give === 'unified') return g.add(base, unified)
    return deltas.map((delta, i) => {
      const own = g.choose(masks[i]!, unified, 0)
      const over = (label: string) => (scope === 'model' ? whole(`${label} ${i}`) : undefined)
      const [moved, kept] = [g.sum(g.abs(delta), over('moved')), g.sum(g.abs(own), over('kept'))]
      return g.add(base, g.mul(own, g.ifLess(kept, Number.MIN_VALUE, 0, g.div(moved, kept))))
    })
  },
})
