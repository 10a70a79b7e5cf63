import { failed, ok } from '../../base/result.js'
import { isFloat } from '../../tensor/dtype.js'
import { sizeOf } from '../../tensor/info.js'
import { modelsOf } from '../call-arguments.js'
import { unify } from '../emr.js'
import { refuseOpaque } from '../opaque.js'
import { layers as layersParam, model, models } from '../params.js'
import { columnsOf, count, figure, plainLabel, type Column } from '../report-document.js'
import { defineReport } from '../report-operator.js'
import { sameShape } from '../shape.js'
import type { Figures, Measured } from '../value.js'

/** Of one task, over one tensor or several: Σ|δ|, Σ|M·τ|, and how many parameters are its own. */
type Sums = Readonly<Record<'moved' | 'kept' | 'own', number>>

const scaleOf = ({ moved, kept }: Sums): number => (kept === 0 ? 0 : moved / kept)

const sumsOf = ({ scalars }: Figures, task: number): Sums => ({
  moved: scalars[`moved ${task}`]!,
  kept: scalars[`kept ${task}`]!,
  own: scalars[`own ${task}`]!,
})

const total = (all: readonly Sums[]): Sums =>
  all.reduce((x, y) => ({ moved: x.moved + y.moved, kept: x.kept + y.kept, own: x.own + y.own }), {
    moved: 0,
    kept: 0,
    own: 0,
  })

/** What the report shows besides the figures. */
type Shown = {
  readonly subject: string
  readonly tasks: readonly string[]
  readonly tensors: readonly { readonly name: string; readonly size: number }[]
}

/** The scale of each task of `merge.emr`. */
export const emrScales = defineReport<Shown>({
  id: 'report.emr',
  version: 1,
  summary: 'Shows the number by which EMR-Merging multiplies the shared difference for each model.',
  details:
    '`scale 1`, `scale 2` and so on are the `λᵢ` of `merge.emr`, over all tensors that every model has. The tables show how many parameters each mask of `mask.emr` selects, and the scale of each tensor by itself (`scope: tensor`).',
  source: 'Huang et al. 2024, “EMR-Merging: Tuning-Free High-Performance Model Merging”, arXiv 2405.17461',
  inputs: {
    base: model('The model that the others were trained from.', 'any'),
    models: models('The models, one for each task.', {}, 2, 'any'),
  },
  params: { layers: layersParam('The tensors that are merged; all of `base` unless given.', false) },
  examples: [
    {
      inputs: {
        base: [0, 0, 0],
        models: [
          [1, -3, 0],
          [3, 2, -1],
        ],
      },
      expect: { parameters: [3], 'scale 1': [2 / 3], 'scale 2': [1.5] },
    },
  ],
  look: (call) => {
    const { graph: g } = call
    const all = [...modelsOf(call, 'base'), ...modelsOf(call, 'models')]
    const [base, ...tasks] = all.map(({ value }) => value)
    const asked = call.params['layers']
    const selected = asked?.type === 'layers' ? call.select(asked, base!.tensors) : ok(undefined)
    if (selected.type === 'failed') return selected
    const slots = [...base!.tensors.values()].filter(
      (slot) =>
        selected.value?.has(slot.name) !== false &&
        !call.isConstant(slot.name, base!.tensors) &&
        all.every(({ value }) => {
          const own = value.tensors.get(slot.name)
          return own !== undefined && isFloat(own.dtype) && sameShape(own.shape, slot.shape)
        }),
    )
    const opaque = all.flatMap((m) => slots.flatMap(({ name }) => refuseOpaque([m], name)).slice(0, 1))
    if (opaque.length > 0) return failed(...opaque)
    const tensors = slots.map(({ name, shape }) => ({ name, size: sizeOf(shape) }))
    const measured = tensors.map(({ name, size }): Measured => {
      const { deltas, unified, masks } = unify(
        g,
        base!.tensor(name),
        tasks.map((task) => ({ x: task.tensor(name) })),
      )
      const scalars = deltas.flatMap((delta, i) => [
        [`moved ${i}`, g.sum(g.abs(delta))] as const,
        [`kept ${i}`, g.sum(g.abs(g.choose(masks[i]!, unified, 0)))] as const,
        [`own ${i}`, g.count(masks[i]!)] as const,
      ])
      return { tensor: name, size, scalars: Object.fromEntries(scalars) }
    })
    const shown = (): Shown => ({
      subject: plainLabel(`${tasks.map(({ label }) => label).join(', ')} on ${base!.label}`),
      tasks: tasks.map(({ label }) => plainLabel(label)),
      tensors,
    })
    return ok({ measured, shown })
  },
  draw: ({ subject, tasks, tensors }, figures) => {
    const size = tensors.reduce((n, tensor) => n + tensor.size, 0)
    const totals = tasks.map((_, i) => total(figures.map((f) => sumsOf(f, i))))
    const scales = tasks.map((_, i) => `scale ${i + 1}`)
    const task: Column = { label: 'model', format: 'text' }
    return {
      title: 'EMR-Merging',
      subject,
      facts: [count('parameters', size), ...totals.map((sums, i) => figure(scales[i]!, scaleOf(sums)))],
      sections: [
        {
          type: 'table',
          title: 'Models',
          columns: [task, ...columnsOf('number', 'scale'), ...columnsOf('share', 'its own')],
          rows: totals.map((sums, i) => ({ cells: [tasks[i]!, scaleOf(sums), size === 0 ? 0 : sums.own / size] })),
        },
        {
          type: 'table',
          title: 'Tensors',
          columns: [{ label: 'tensor', format: 'text' }, ...columnsOf('number', ...scales)],
          rows: tensors.map(({ name }, k) => ({
            cells: [name, ...tasks.map((_, i) => scaleOf(sumsOf(figures[k]!, i)))],
          })),
        },
      ],
    }
  },
})
