import { groupBy } from '../../base/lists.js'
import { failed, ok } from '../../base/result.js'
import { isFloat } from '../../tensor/dtype.js'
import { sizeOf } from '../../tensor/info.js'
import { modelsOf } from '../call-arguments.js'
import { refuseOpaque } from '../opaque.js'
import { layers as layersParam, model } from '../params.js'
import { count, figure, plainLabel, words, type Column, type Section } from '../report-document.js'
import { blockMap, blockOf, layOut, type Layout } from '../report-layout.js'
import { defineReport } from '../report-operator.js'
import { sameShape } from '../shape.js'
import type { Figures, Measured } from '../value.js'

/**
 * Sums over one tensor or several: a², ab, b², (b − a)², how many elements differ and how many there are, and the
 * largest |b − a|.
 */
type Sums = Readonly<Record<'size' | 'aa' | 'ab' | 'bb' | 'dd' | 'changed' | 'largest', number>>
type Layer = Sums & { readonly name: string }

const NOTHING: Sums = { size: 0, aa: 0, ab: 0, bb: 0, dd: 0, changed: 0, largest: 0 }

const add = (x: Sums, y: Sums): Sums => ({
  size: x.size + y.size,
  aa: x.aa + y.aa,
  ab: x.ab + y.ab,
  bb: x.bb + y.bb,
  dd: x.dd + y.dd,
  changed: x.changed + y.changed,
  largest: Math.max(x.largest, y.largest),
})

const total = (layers: readonly Layer[]): Sums => layers.reduce(add, NOTHING)

/** The cosine of the angle between a and b; null where one of them is 0. Identical numbers have exactly 1. */
const cosine = ({ aa, ab, bb, changed }: Sums): number | null =>
  aa === 0 || bb === 0 ? null : changed === 0 ? 1 : ab / Math.sqrt(aa * bb)

/** |b − a|/|a|; null where a is 0 and b is not. */
const relative = ({ aa, dd }: Sums): number | null => (dd === 0 ? 0 : aa === 0 ? null : Math.sqrt(dd / aa))

const NUMBERS: readonly Column[] = [
  { label: 'change', format: 'number' },
  { label: 'cosine', format: 'number' },
  { label: 'changed', format: 'share' },
  { label: 'largest', format: 'number' },
]

const cellsOf = (sums: Sums): readonly (number | null)[] => [
  relative(sums),
  cosine(sums),
  sums.size === 0 ? 0 : sums.changed / sums.size,
  sums.largest,
]

const byBlock = (layers: readonly Layer[], layout: Layout): Section => {
  const groups = groupBy(layers, ({ name }) => blockOf(layout, name))
  return {
    type: 'table',
    title: 'Blocks',
    columns: [
      { label: 'block', format: 'text' },
      { label: 'tensors', format: 'count' },
      { label: 'identical', format: 'count' },
      ...NUMBERS,
    ],
    rows: layout.blocks.map((block) => {
      const group = groups.get(block)!
      return { cells: [block, group.length, group.filter((l) => l.changed === 0).length, ...cellsOf(total(group))] }
    }),
  }
}

const layerOf = (name: string, size: number, { scalars }: Figures): Layer => ({
  name,
  size,
  aa: scalars['aa']!,
  ab: scalars['ab']!,
  bb: scalars['bb']!,
  dd: scalars['dd']!,
  changed: scalars['changed']!,
  largest: Math.max(0, scalars['largest']!),
})

/** What the report shows besides sums: the tensors that are compared, and the others with the reason why not. */
type Shown = {
  readonly subject: string
  readonly architecture: string
  readonly compared: readonly { readonly name: string; readonly size: number }[]
  readonly others: readonly { readonly name: string; readonly why: string }[]
  readonly layout: Layout
}

/** How two models differ. */
export const diff = defineReport<Shown>({
  id: 'report.diff',
  version: 1,
  summary: 'Shows how two models differ, by block and by layer.',
  details: [
    'Per tensor and per block: `change` is the relative change `|b − a|/|a|` and `cosine` the cosine of the angle between the two, both over all numbers at once;',
    '`changed` is the share of numbers that differ, and `largest` the largest change of a single number.',
    'Tensors that only one model has, or that differ in shape or hold integers, are listed and not compared.',
  ].join('\n'),
  inputs: { a: model('The first model.', 'any'), b: model('The model to compare with it.', 'any') },
  params: { layers: layersParam('Limits the comparison to these layers.', false) },
  examples: [
    {
      inputs: { a: [3, 4], b: [3, 0] },
      expect: { 'tensors compared': [1], 'identical tensors': [0], 'relative change': [0.8], cosine: [0.6] },
    },
  ],
  look: (call) => {
    const { graph: g } = call
    const [a, b] = [modelsOf(call, 'a')[0]!.value, modelsOf(call, 'b')[0]!.value]
    const verdict = (name: string): string | undefined => {
      const [x, y] = [a.tensors.get(name), b.tensors.get(name)]
      if (x === undefined || y === undefined) return x === undefined ? 'only in b' : 'only in a'
      if (!sameShape(x.shape, y.shape)) return `${x.shape.join('×')} in a, ${y.shape.join('×')} in b`
      return isFloat(x.dtype) && isFloat(y.dtype) ? undefined : `holds ${isFloat(x.dtype) ? y.dtype : x.dtype}`
    }
    const asked = call.params['layers']
    const selected = asked?.type === 'layers' ? call.select(asked, a.tensors) : ok(undefined)
    if (selected.type === 'failed') return selected
    const names = [...(selected.value ?? new Set([...a.tensors.keys(), ...b.tensors.keys()]))]
    const models = [...modelsOf(call, 'a'), ...modelsOf(call, 'b')]
    const opaque = models.flatMap((m) => names.flatMap((name) => refuseOpaque([m], name)).slice(0, 1))
    if (opaque.length > 0) return failed(...opaque)
    const left = names.map((name) => ({ name, why: verdict(name) }))
    const compared = left
      .filter(({ why }) => why === undefined)
      .map(({ name }) => ({ name, size: sizeOf(a.tensors.get(name)!.shape) }))
    const others = left.flatMap(({ name, why }) => (why === undefined ? [] : [{ name, why }]))
    const architecture = call.architecture(a.tensors)
    const measured = compared.map(({ name, size }): Measured => {
      const [x, y] = [a.tensor(name), b.tensor(name)]
      if (x.id === y.id) {
        const aa = g.dot(x, x)
        return {
          tensor: name,
          size,
          scalars: { aa, ab: aa, bb: aa, dd: g.number(0), changed: g.number(0), largest: g.number(0) },
        }
      }
      const d = g.sub(y, x)
      const changed = g.count(g.not(g.compare('equal', x, y)))
      const dots = { aa: g.dot(x, x), ab: g.dot(x, y), bb: g.dot(y, y), dd: g.dot(d, d) }
      return { tensor: name, size, scalars: { ...dots, changed, largest: g.greatest(g.abs(d)) } }
    })
    const shown = (): Shown => ({
      subject: plainLabel(`a is ${a.label}, b is ${b.label}`),
      architecture: architecture?.title ?? 'unknown',
      compared,
      others,
      layout: layOut(
        compared.map((l) => l.name),
        architecture,
      ),
    })
    return ok({ measured, shown })
  },
  draw: ({ subject, architecture, compared, others, layout }, figures) => {
    const layers = compared.map(({ name, size }, i) => layerOf(name, size, figures[i]!))
    const all = total(layers)
    const [change, angle] = [relative(all), cosine(all)]
    return {
      title: 'Difference of two models',
      subject,
      facts: [
        words('architecture', architecture),
        count('tensors compared', layers.length),
        count('identical tensors', layers.filter((l) => l.changed === 0).length),
        ...(change === null ? [] : [figure('relative change', change)]),
        ...(angle === null ? [] : [figure('cosine', angle)]),
        figure('largest change', all.largest),
        count('tensors not compared', others.length),
      ],
      sections: [
        blockMap('Relative change, by block and kind of layer', layers, layout, (cell) => relative(total(cell)), {
          format: 'number',
          low: 0,
        }),
        byBlock(layers, layout),
        {
          type: 'table',
          title: 'Layers',
          columns: [{ label: 'tensor', format: 'text' }, { label: 'parameters', format: 'count' }, ...NUMBERS],
          rows: layers.map((l) => ({ group: blockOf(layout, l.name), cells: [l.name, l.size, ...cellsOf(l)] })),
        },
        ...(others.length === 0
          ? []
          : [
              {
                type: 'table' as const,
                title: 'Not compared',
                columns: [
                  { label: 'tensor', format: 'text' as const },
                  { label: 'why', format: 'text' as const },
                ],
                rows: others.map(({ name, why }) => ({ cells: [name, why] })),
              },
            ]),
      ],
    }
  },
})
