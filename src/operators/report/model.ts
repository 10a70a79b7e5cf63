import { severalLayers } from '../../base/catalogue/operators.js'
import { greatest, groupBy, least } from '../../base/lists.js'
import { failed, ok, type Result } from '../../base/result.js'
import { TALLY_FIELDS } from '../../graph/expression.js'
import { isFloat } from '../../tensor/dtype.js'
import { sizeOf } from '../../tensor/info.js'
import { named } from '../aliases.js'
import { modelsOf, valueOf } from '../call-arguments.js'
import type { Call } from '../operator.js'
import { refuseOpaqueModels } from '../opaque.js'
import { choice, layers as layersParam, model as modelInput } from '../params.js'
import { columnsOf, count, figure, plainLabel, words, type Section } from '../report-document.js'
import { blockMap, blockOf, layOut, shapeText, type Layout } from '../report-layout.js'
import { defineReport } from '../report-operator.js'
import type { Figures, Measured, ModelValue, Slot } from '../value.js'

const SCALES = {
  mean: 'the mean of its elements',
  std: 'their standard deviation',
  min: 'the smallest',
  max: 'the largest',
  log: 'log₁₀ of their root mean square',
  none: 'one element, in layers of at most 128 × 128; the mean in larger ones',
} as const
type Scale = keyof typeof SCALES

/** The finest grid of a heat map, in rows and columns, and of one that shows single elements. */
const [ROWS, COLUMNS, SINGLE] = [48, 64, 128]
const BINS = 60

type Named = { readonly name: string; readonly shape: readonly number[] }

interface Layer {
  readonly name: string
  readonly shape: readonly number[]
  readonly size: number
  readonly mean: number
  readonly std: number
  readonly min: number
  readonly max: number
  readonly squares: number
}

/** The one layer that is looked at closely; undefined when none is asked for. */
const chosen = (call: Call, model: ModelValue): Result<Slot | undefined> => {
  const argument = call.params['layer']
  if (argument?.type !== 'layers') return ok(undefined)
  const selected = call.select(argument, model.tensors)
  if (selected.type === 'failed') return selected
  const names = [...selected.value].filter((name) => isFloat(model.tensors.get(name)!.dtype))
  return names.length === 1 ? ok(model.tensors.get(names[0]!)) : failed(severalLayers(argument.at, names))
}

/** A tensor as a matrix: the first dimension by all others; a vector is one row. */
const matrixOf = (shape: readonly number[]): readonly [rows: number, columns: number] =>
  shape.length < 2 ? [1, sizeOf(shape)] : [shape[0]!, sizeOf(shape.slice(1))]

const gridOf = (shape: readonly number[], scale: Scale) => {
  const [rows, columns] = matrixOf(shape)
  const single = scale === 'none' && rows <= SINGLE && columns <= SINGLE
  const [gridRows, gridColumns] = single ? [rows, columns] : [Math.min(rows, ROWS), Math.min(columns, COLUMNS)]
  return { by: 'place', rows, columns, gridRows, gridColumns } as const
}

/** What a cell of the heat map shows of its count, sum, sum of squares, least and greatest. */
const cellValue = (scale: Scale, [n, sum, squares, min, max]: readonly number[]): number | null => {
  if (n === 0) return null
  const mean = sum! / n!
  switch (scale) {
    case 'mean':
    case 'none':
      return mean
    case 'std':
      return Math.sqrt(Math.max(0, squares! / n! - mean * mean))
    case 'min':
      return min!
    case 'max':
      return max!
    case 'log':
      return squares === 0 ? null : Math.log10(Math.sqrt(squares! / n!))
  }
}

const labelsOf = (cells: number, length: number): string[] =>
  Array.from({ length: cells }, (_, i) => String(Math.ceil((i * length) / cells)))

/** The heat map and the histogram of one layer. */
const closeUp = (slot: Named, scale: Scale, { scalars, tallies }: Figures): readonly Section[] => {
  const grid = gridOf(slot.shape, scale)
  const cells = tallies['grid']!
  const values = Array.from({ length: grid.gridRows }, (_, row) =>
    Array.from({ length: grid.gridColumns }, (_, column) => {
      const at = (row * grid.gridColumns + column) * TALLY_FIELDS
      return cellValue(scale, [...cells.subarray(at, at + TALLY_FIELDS)])
    }),
  )
  const found = values.flat().filter((v) => v !== null)
  const bins = tallies['bins']!
  const cut = grid.gridRows < grid.rows || grid.gridColumns < grid.columns
  return [
    {
      type: 'heatmap',
      title: slot.name,
      axes: ['row', 'column'],
      rows: labelsOf(grid.gridRows, grid.rows),
      columns: labelsOf(grid.gridColumns, grid.columns),
      values,
      format: 'number',
      low: found.reduce((x, y) => Math.min(x, y), Infinity),
      high: found.reduce((x, y) => Math.max(x, y), -Infinity),
      note: `${shapeText(slot.shape)}${cut ? `, in ${grid.gridRows} × ${grid.gridColumns} cells` : ''}; a cell shows ${SCALES[scale === 'none' && cut ? 'mean' : scale]}`,
    },
    {
      type: 'histogram',
      title: `Values of ${slot.name}`,
      axis: 'value',
      low: scalars['min']!,
      high: scalars['max']!,
      counts: Array.from({ length: BINS }, (_, i) => bins[i * TALLY_FIELDS]!),
    },
  ]
}

const layerOf = ({ name, shape }: Named, { scalars }: Figures): Layer => {
  const size = sizeOf(shape)
  const [sum, squares] = [scalars['sum']!, scalars['squares']!]
  const mean = size === 0 ? 0 : sum / size
  const std = size === 0 ? 0 : Math.sqrt(Math.max(0, squares / size - mean * mean))
  return { name, shape, size, mean, std, min: scalars['min']!, max: scalars['max']!, squares }
}

const rms = (layers: readonly Layer[]): number | null => {
  const size = layers.reduce((n, l) => n + l.size, 0)
  return size === 0 ? null : Math.sqrt(layers.reduce((n, l) => n + l.squares, 0) / size)
}

const table = (layers: readonly Layer[], layout: Layout): Section => ({
  type: 'table',
  title: 'Layers',
  columns: [...columnsOf('text', 'tensor', 'shape'), ...columnsOf('number', 'mean', 'std', 'min', 'max', 'norm')],
  rows: layers.map((l) => ({
    group: blockOf(layout, l.name),
    cells: [l.name, shapeText(l.shape), l.mean, l.std, l.min, l.max, Math.sqrt(l.squares)],
  })),
})

/**
 * What the report shows besides sums: the tensors of floats, in order, how many others there are, and which one is
 * shown closely.
 */
type Shown = {
  readonly title: string
  readonly subject: string
  readonly architecture: string
  readonly slots: readonly Named[]
  readonly integers: number
  readonly close: string | undefined
  readonly scale: Scale
  readonly layout: Layout
}

/** What the numbers of a model are like. */
export const model = defineReport<Shown>({
  id: 'report.model',
  version: 1,
  summary: 'Shows mean, deviation, extremes and norm of every layer, and one layer in detail.',
  aliases: [
    ...named('ComfyUI-DareMerge', ['DM_ModelReporting', 'Model Reporting'], 'the same `layer`; `scaling` as `scale`'),
  ],
  details: [
    'The heat map of the whole shows the root mean square by block and kind of layer. `layer` adds a heat map and a histogram of one layer.',
    'Integer tensors are left out.',
  ].join('\n'),
  source: 'ComfyUI-DareMerge, model reporting',
  inputs: { model: modelInput('The model, or a difference of two.', 'any') },
  params: {
    layer: layersParam('A layer to show in detail: a pattern that selects one tensor.', false),
    scale: choice(SCALES, 'mean', 'What a cell of that layer’s heat map shows.'),
  },
  examples: [{ inputs: { model: [3, -4] }, expect: { parameters: [2], norm: [5], min: [-4], max: [3] } }],
  look: (call) => {
    const { graph: g } = call
    const opaque = refuseOpaqueModels(modelsOf(call, 'model'))
    if (opaque.length > 0) return failed(...opaque)
    const { value } = modelsOf(call, 'model')[0]!
    const close = chosen(call, value)
    if (close.type === 'failed') return close
    const scale = (valueOf(call, 'scale') ?? 'mean') as Scale
    const slots = [...value.tensors.values()].filter((t) => isFloat(t.dtype))
    const architecture = call.architecture(value.tensors)
    const measured = slots.map((slot): Measured => {
      const x = value.tensor(slot.name)
      const [min, max] = [g.least(x), g.greatest(x)]
      const measured = {
        tensor: slot.name,
        size: sizeOf(slot.shape),
        scalars: { sum: g.sum(x), squares: g.dot(x, x), min, max },
      }
      if (slot.name !== close.value?.name) return measured
      return {
        ...measured,
        tallies: {
          grid: g.tally(x, gridOf(slot.shape, scale)),
          bins: g.tally(x, { by: 'value', low: min, high: max, count: BINS }),
        },
      }
    })
    const shown = (): Shown => ({
      title: value.space === 'delta' ? 'Difference' : 'Model',
      subject: plainLabel(value.label),
      architecture: architecture?.title ?? 'unknown',
      slots: slots.map(({ name, shape }) => ({ name, shape })),
      integers: value.tensors.size - slots.length,
      close: close.value?.name,
      scale,
      layout: layOut(
        slots.map((slot) => slot.name),
        architecture,
      ),
    })
    return ok({ measured, shown })
  },
  draw: ({ title, subject, architecture, slots, integers, close, scale, layout }, figures) => {
    const layers = slots.map((slot, i) => layerOf(slot, figures[i]!))
    const groups = groupBy(layers, ({ name }) => blockOf(layout, name))
    const at = slots.findIndex((slot) => slot.name === close)
    return {
      title,
      subject,
      facts: [
        words('architecture', architecture),
        count('tensors', slots.length + integers),
        count('integer tensors', integers),
        count(
          'parameters',
          layers.reduce((n, l) => n + l.size, 0),
        ),
        figure('norm', Math.sqrt(layers.reduce((n, l) => n + l.squares, 0))),
        figure(
          'min',
          layers.reduce((n, l) => Math.min(n, l.min), Infinity),
        ),
        figure(
          'max',
          layers.reduce((n, l) => Math.max(n, l.max), -Infinity),
        ),
      ],
      sections: [
        ...(at < 0 ? [] : closeUp(slots[at]!, scale, figures[at]!)),
        blockMap('Root mean square, by block and kind of layer', layers, layout, rms, { format: 'number', low: 0 }),
        {
          type: 'table',
          title: 'Blocks',
          columns: [
            ...columnsOf('text', 'block'),
            ...columnsOf('count', 'tensors', 'parameters'),
            ...columnsOf('number', 'root mean square', 'min', 'max'),
          ],
          rows: layout.blocks.map((block) => {
            const group = groups.get(block)!
            const [low, high] = [least(group.map((l) => l.min)), greatest(group.map((l) => l.max))]
            return { cells: [block, group.length, group.reduce((n, l) => n + l.size, 0), rms(group), low, high] }
          }),
        },
        table(layers, layout),
      ],
    }
  },
})
