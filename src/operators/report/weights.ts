import { greatest, groupBy, least } from '../../base/lists.js'
import { ok } from '../../base/result.js'
import { named } from '../aliases.js'
import { labelOf } from '../call-arguments.js'
import { likeInput, likeOf, numbersOf } from '../layer-numbers.js'
import { perLayer } from '../params.js'
import { columnsOf, count, figure, plainLabel, words, type ReportDocument, type Section } from '../report-document.js'
import { blockMap, blockOf, layOut, type Layout } from '../report-layout.js'
import { defineReport } from '../report-operator.js'

interface Layer {
  readonly name: string
  readonly number: number
}

/** The mean; of equal numbers, that number, which a sum may miss by a rounding. */
const meanOf = (layers: readonly Layer[]): number =>
  layers.every((l) => l.number === layers[0]!.number)
    ? layers[0]!.number
    : layers.reduce((sum, { number }) => sum + number, 0) / layers.length

const curve = (groups: ReadonlyMap<string, readonly Layer[]>, layout: Layout): Section => ({
  type: 'curve',
  title: 'Mean number of each block',
  axes: ['block', 'number'],
  format: 'number',
  points: layout.blocks.map((label) => ({ label, value: groups.has(label) ? meanOf(groups.get(label)!) : null })),
})

const byBlock = (groups: ReadonlyMap<string, readonly Layer[]>, layout: Layout): Section => ({
  type: 'table',
  title: 'Blocks',
  columns: [
    ...columnsOf('text', 'block'),
    ...columnsOf('count', 'tensors'),
    ...columnsOf('number', 'mean', 'min', 'max'),
  ],
  rows: layout.blocks.map((block) => {
    const layers = groups.get(block) ?? []
    const numbers = layers.map((l) => l.number)
    const figures = layers.length === 0 ? [null, null, null] : [meanOf(layers), least(numbers), greatest(numbers)]
    return { cells: [block, layers.length, ...figures] }
  }),
})

/** The number of every layer. */
export const weights = defineReport<ReportDocument>({
  id: 'report.weights',
  version: 1,
  summary: 'Shows the number that weights give to every layer and block.',
  aliases: [...named('ComfyUI-DareMerge', ['DM_GradientReporting', 'Gradient Reporting'])],
  details: 'Reads names and shapes only. Blocks are in the order of the network.',
  source: 'ComfyUI-DareMerge, gradient reporting',
  inputs: { like: likeInput },
  params: {
    weights: perLayer({
      required: true,
      description: 'The weights: the name of a `weights.*` step, or rules in place.',
    }),
  },
  examples: [
    {
      inputs: { like: [1, 2] },
      params: { weights: { default: 0.25, '*': 0.75 } },
      expect: { 'tensors with a number': [1], mean: [0.75] },
    },
  ],
  look: (call) => {
    const { tensors, label } = likeOf(call)
    const numbers = numbersOf(call, 'weights')
    if (numbers.type === 'failed') return numbers
    const architecture = call.architecture(tensors)
    const layers = [...tensors.keys()].flatMap((name): Layer[] => {
      const number = numbers.value(name)
      return number === undefined ? [] : [{ name, number }]
    })
    const given = layers.map((l) => l.number)
    return ok(
      {
        measured: [],
        shown: () => {
          const layout = layOut(tensors.keys(), architecture)
          const groups = groupBy(layers, ({ name }) => blockOf(layout, name))
          return {
            title: 'Weights',
            subject: plainLabel(`${labelOf(call)}, for ${label}`),
            facts: [
              words('architecture', architecture?.title ?? 'unknown'),
              count('tensors', tensors.size),
              count('tensors with a number', layers.length),
              ...(layers.length === 0
                ? []
                : [figure('mean', meanOf(layers)), figure('min', least(given)), figure('max', greatest(given))]),
            ],
            sections: [
              curve(groups, layout),
              blockMap('Mean number, by block and kind of layer', layers, layout, meanOf, { format: 'number' }),
              byBlock(groups, layout),
              {
                type: 'table',
                title: 'Layers',
                columns: [
                  { label: 'tensor', format: 'text' },
                  { label: 'number', format: 'number' },
                ],
                rows: [...tensors.keys()].map((name) => ({
                  group: blockOf(layout, name),
                  cells: [name, numbers.value(name) ?? null],
                })),
              },
            ],
          }
        },
      },
      numbers.diagnostics,
    )
  },
  draw: (document) => document,
})
