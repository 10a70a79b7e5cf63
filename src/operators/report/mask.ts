import { groupBy } from '../../base/lists.js'
import { ok } from '../../base/result.js'
import { sizeOf } from '../../tensor/info.js'
import { named } from '../aliases.js'
import { masksOf } from '../call-arguments.js'
import { mask as maskInput } from '../params.js'
import { count, plainLabel, share, type Row, type Section } from '../report-document.js'
import { blockMap, blockOf, layOut, shapeText, type Layout } from '../report-layout.js'
import { defineReport } from '../report-operator.js'

type Sized = { readonly name: string; readonly shape: readonly number[]; readonly size: number }
type Layer = Sized & { readonly selected: number }

const sum = (layers: readonly Layer[], key: 'size' | 'selected'): number =>
  layers.reduce((n, layer) => n + layer[key], 0)

const shareOf = (layers: readonly Layer[]): number =>
  sum(layers, 'size') === 0 ? 0 : sum(layers, 'selected') / sum(layers, 'size')

const COUNTS = [
  { label: 'selected', format: 'count' },
  { label: 'parameters', format: 'count' },
  { label: 'share', format: 'share' },
] as const

const byBlock = (layers: readonly Layer[], layout: Layout): Section => {
  const groups = groupBy(layers, ({ name }) => blockOf(layout, name))
  const rows = layout.blocks.map((block): Row => {
    const group = groups.get(block)!
    return { cells: [block, group.length, sum(group, 'selected'), sum(group, 'size'), shareOf(group)] }
  })
  return {
    type: 'table',
    title: 'Blocks',
    columns: [{ label: 'block', format: 'text' }, { label: 'tensors', format: 'count' }, ...COUNTS],
    rows,
  }
}

const byLayer = (layers: readonly Layer[], layout: Layout): Section => ({
  type: 'table',
  title: 'Layers',
  columns: [{ label: 'tensor', format: 'text' }, { label: 'shape', format: 'text' }, ...COUNTS],
  rows: layers.map((layer) => ({
    group: blockOf(layout, layer.name),
    cells: [layer.name, shapeText(layer.shape), layer.selected, layer.size, shareOf([layer])],
  })),
})

/** What the report shows besides how much is selected. */
type Shown = { readonly subject: string; readonly tensors: readonly Sized[]; readonly layout: Layout }

/** How much of each layer a mask selects. */
export const mask = defineReport<Shown>({
  id: 'report.mask',
  version: 1,
  summary: 'Shows how many parameters a mask selects, by block and by layer.',
  aliases: [...named('ComfyUI-DareMerge', ['DM_MaskReporting', 'Mask Reporting'])],
  details: [
    'A heat map of blocks × kinds of layer, and a table with the number selected, the total, and the share.',
    'Blocks and kinds are the architecture’s; for an unknown one, a block is the part of a name up to its first number.',
  ].join('\n'),
  source: 'ComfyUI-DareMerge, mask reporting',
  inputs: { mask: maskInput('The mask.') },
  params: {},
  examples: [
    { inputs: { mask: [true, false, true, true] }, expect: { parameters: [4], selected: [3], share: [0.75] } },
  ],
  look: (call) => {
    const { value } = masksOf(call, 'mask')[0]!
    const tensors = [...value.shapes].map(([name, shape]) => ({ name, shape, size: sizeOf(shape) }))
    const architecture = call.architecture(new Map(tensors.map((t) => [t.name, t])))
    const measured = tensors.map(({ name, size }) => {
      const bits = value.mask(name)
      const selected = bits.type === 'constant' ? call.graph.number(bits.value ? size : 0) : call.graph.count(bits)
      return { tensor: name, size, scalars: { selected } }
    })
    return ok({
      measured,
      shown: () => ({ subject: plainLabel(value.label), tensors, layout: layOut(value.shapes.keys(), architecture) }),
    })
  },
  draw: ({ subject, tensors, layout }, figures) => {
    const layers = tensors.map((t, i): Layer => ({ ...t, selected: figures[i]!.scalars['selected']! }))
    const whole = layers.filter((l) => l.selected === l.size).length
    const none = layers.filter((l) => l.selected === 0 && l.size > 0).length
    return {
      title: 'Mask',
      subject,
      facts: [
        count('parameters', sum(layers, 'size')),
        count('selected', sum(layers, 'selected')),
        share('share', shareOf(layers)),
        count('tensors', layers.length),
        count('tensors wholly selected', whole),
        count('tensors not selected', none),
      ],
      sections: [
        blockMap('Share selected, by block and kind of layer', layers, layout, shareOf, {
          format: 'share',
          low: 0,
          high: 1,
        }),
        byBlock(layers, layout),
        byLayer(layers, layout),
      ],
    }
  },
})
