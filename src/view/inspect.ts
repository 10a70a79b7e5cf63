import { inspectWords } from '../base/catalogue/screens.js'
import { describeAdapter, type AdapterDescription } from '../architectures/adapters/describe.js'
import type { Architecture } from '../architectures/detect.js'
import { lookAtUnknown } from '../architectures/unknown.js'
import { seenInstead } from '../base/catalogue/architectures.js'
import { escapeControls } from '../base/excerpt.js'
import { greatest } from '../base/lists.js'
import type { Model } from '../safetensors/model.js'
import type { TensorInfo } from '../tensor/info.js'
import type { Quantised } from '../tensor/quantised.js'
import { widthOf } from '../base/columns.js'
import { align, cutMiddle, formatBytes, formatTally, paint, plural, tallyOf, wrap, type Look } from './text.js'

/**
 * What the numbers of a tensor are like; NaN and infinite ones count in `nan` and `infinite` alone. Statistics of no
 * numbers are null.
 */
export interface Statistics {
  readonly mean: number | null
  /** Of the population: divided by n. */
  readonly std: number | null
  readonly min: number | null
  readonly max: number | null
  /** The Euclidean norm. */
  readonly norm: number
  readonly nan: number
  readonly infinite: number
  readonly zeros: number
}

/** A model as `smelt inspect` shows it; `tensors` are those selected. */
export interface Inspected {
  readonly path: string
  readonly model: Model
  readonly architecture: Architecture | undefined
  /** What means something only together with other tensors; undefined where nothing does. */
  readonly quantised: Quantised | undefined
  readonly tensors: readonly TensorInfo[]
  /**
   * By name; those of scaled tensors are of the numbers they mean; tensors whose dtype holds no plain numbers have
   * none. Undefined when not asked for.
   */
  readonly statistics: ReadonlyMap<string, Statistics> | undefined
}

const LONGEST = 160

const partsOf = ({ model, architecture }: Inspected, part: 'component' | 'block'): Record<string, number> =>
  architecture === undefined ? {} : tallyOf([...model.tensors.keys()].map((name) => architecture.locate(name)[part]))

/** Blocks in the order of the architecture, which is the order of its computation. */
const blocksOf = (inspected: Inspected): Record<string, number> => {
  const counts = partsOf(inspected, 'block')
  return Object.fromEntries((inspected.architecture?.blocks ?? []).map((block) => [block, counts[block] ?? 0]))
}

const shapeOf = (shape: readonly number[]): string => (shape.length === 0 ? 'scalar' : shape.join('×'))

/** A number in at most ten characters, exact where that is possible. */
const short = (value: number | null): string => {
  if (value === null) return '-'
  const exact = String(value)
  return exact.length <= 10 ? exact : String(Number(value.toPrecision(5)))
}

const field = (name: string, text: string, look: Look): string[] => {
  const label = name.padEnd(12)
  return wrap(text, look.width - 14).map(
    (line, i) => `${paint(look, 'faint', i === 0 ? label : ' '.repeat(12))}  ${line}`,
  )
}

/** Quantised tensors by how they are: those with scales, which smelt computes with, and others by what packs them. */
const quantisedIn = ({ scaled, packed }: Quantised): Record<string, number> =>
  tallyOf([
    ...[...scaled.values()].map(({ stored }) => `${stored.dtype} with scales`),
    ...[...packed.values()].map(({ scheme }) => scheme),
  ])
const unknown = ({ tensors }: Model): string => {
  const seen = seenInstead(lookAtUnknown(tensors))
  return inspectWords.noArchitecture(seen)
}

const adapterOf = ({ model, path }: Inspected): AdapterDescription | undefined =>
  describeAdapter(model.tensors, model.metadata, path)

/** Tags of an adapter that a terminal shows. */
const TAGS = 12

const adapterFields = ({ kind, modules, ranks, network, base, tags }: AdapterDescription, look: Look): string[] => {
  const rank = ranks.length === 1 ? String(ranks[0]![0]) : ranks.map(([r, n]) => `${r} (${n})`).join(', ')
  const more = tags.length > TAGS ? `, … (${tags.length})` : ''
  const shown = tags.slice(0, TAGS).map(({ tag, count }) => `${tag} ${count}`)
  return [
    ...field('adapter', modules === 0 ? kind : `${kind}, ${plural(modules, 'module')}`, look),
    ...field('made for', network ?? 'unknown', look),
    ...(base === undefined ? [] : field('base model', escapeControls(base), look)),
    ...(rank === '' ? [] : field('rank', rank, look)),
    ...(tags.length === 0 ? [] : field('tags', escapeControls(shown.join(', ')) + more, look)),
  ]
}

const summary = (inspected: Inspected, look: Look): string[] => {
  const { model, architecture, path, quantised } = inspected
  const adapter = adapterOf(inspected)
  const files = model.files.length > 1 ? `, ${plural(model.files.length, 'file')}` : ''
  const blocks = Object.entries(blocksOf(inspected))
    .map(([block, count]) => `${block} ${count}`)
    .join(', ')
  return [
    paint(look, 'title', escapeControls(path)),
    ...field('size', `${formatBytes(model.bytes)} in ${plural(model.tensors.size, 'tensor')}${files}`, look),
    ...field('dtypes', formatTally(tallyOf([...model.tensors.values()].map((t) => t.dtype))) || 'none', look),
    ...(quantised === undefined
      ? []
      : field(
          'quantised',
          `${formatTally(quantisedIn(quantised))}${quantised.packed.size === 0 ? '' : `; ${inspectWords.onlyScaled}`}`,
          look,
        )),
    ...(adapter === undefined
      ? field(
          'architecture',
          architecture === undefined ? unknown(model) : `${architecture.title} (${architecture.id})`,
          look,
        )
      : adapterFields(adapter, look)),
    ...(architecture === undefined ? [] : field('components', formatTally(partsOf(inspected, 'component')), look)),
    ...(architecture === undefined ? [] : field('blocks', blocks, look)),
  ]
}

const metadata = ({ model }: Inspected, look: Look): string[] => {
  if (model.metadata.size === 0) return []
  const rows = [...model.metadata].map(([key, text]) => {
    const shown = escapeControls(text.length > LONGEST ? text.slice(0, LONGEST) : text)
    const more = text.length > LONGEST ? ` … (${plural(text.length, 'character')})` : ''
    return [cutMiddle(escapeControls(key), 40), shown + more] as const
  })
  const head = greatest(rows.map(([key]) => widthOf(key)))
  return [
    '',
    paint(look, 'title', 'Metadata'),
    ...rows.flatMap(([key, text]) =>
      wrap(text, Math.max(20, look.width - head - 4)).map(
        (line, i) =>
          `  ${paint(look, 'faint', i === 0 ? key + ' '.repeat(head - widthOf(key)) : ' '.repeat(head))}  ${line}`,
      ),
    ),
  ]
}

const STATISTICS = ['mean', 'std', 'min', 'max', 'norm'] as const

const tensors = ({ tensors: selected, model, statistics }: Inspected, look: Look): string[] => {
  const title =
    selected.length === model.tensors.size ? 'Tensors' : `Tensors, ${selected.length} of ${model.tensors.size}`
  const head = statistics === undefined ? [] : [...STATISTICS, 'zeros', 'NaN', 'inf']
  const numbersOf = (s: Statistics): string[] => [
    ...STATISTICS.map((key) => short(s[key])),
    ...[s.zeros, s.nan, s.infinite].map(String),
  ]
  const rows = selected.map((t) => {
    const s = statistics?.get(t.name)
    const numbers = s === undefined ? head.map(() => '-') : numbersOf(s)
    return {
      name: escapeControls(t.name),
      cells: [t.dtype, shapeOf(t.shape), formatBytes(t.end - t.begin), ...numbers],
    }
  })
  const columns = align(
    [['dtype', 'shape', 'size', ...head], ...rows.map((r) => r.cells)],
    [2, 3, 4, 5, 6, 7, 8, 9, 10],
  )
  const longest = greatest(
    rows.map((r) => widthOf(r.name)),
    4,
  )
  // Statistics take a line of their own: names are too long to leave room for them.
  const beside = statistics === undefined && longest + 4 + greatest(columns.map(widthOf)) <= Math.max(look.width, 80)
  const lines = beside
    ? columns.map((c, i) => `  ${(i === 0 ? 'name' : rows[i - 1]!.name).padEnd(longest)}  ${c}`)
    : columns.flatMap((c, i) => [...(i === 0 ? [] : [`  ${paint(look, 'name', rows[i - 1]!.name)}`]), `    ${c}`])
  return ['', paint(look, 'title', title), paint(look, 'faint', lines[0]!), ...lines.slice(1)]
}

/** A model's totals, architecture, metadata and tensors for a terminal. Nothing in the file can drive the terminal. */
export const renderInspected = (inspected: Inspected, look: Look): string =>
  `${[...summary(inspected, look), ...metadata(inspected, look), ...tensors(inspected, look)].join('\n')}\n`

const adapterToJson = ({ kind, modules, ranks, network, base, tags }: AdapterDescription): object => ({
  kind,
  modules,
  ranks: Object.fromEntries(ranks),
  network: network ?? null,
  base: base ?? null,
  tags: tags.map(({ tag, count }) => [tag, count]),
})

/** The same for other programs, whole. */
export const inspectedToJson = (inspected: Inspected): object => {
  const { path, model, architecture, quantised, tensors: selected, statistics } = inspected
  const adapter = adapterOf(inspected)
  return {
    path,
    files: model.files.map((f) => f.path),
    bytes: model.bytes,
    dtypes: tallyOf([...model.tensors.values()].map((t) => t.dtype)),
    architecture:
      architecture === undefined
        ? null
        : {
            id: architecture.id,
            title: architecture.title,
            components: partsOf(inspected, 'component'),
            blocks: blocksOf(inspected),
          },
    ...(quantised === undefined ? {} : { quantised: quantisedIn(quantised) }),
    ...(adapter === undefined ? {} : { adapter: adapterToJson(adapter) }),
    ...(architecture === undefined && adapter === undefined ? { seen: lookAtUnknown(model.tensors) } : {}),
    metadata: Object.fromEntries(model.metadata),
    tensors: selected.map((t) => ({
      name: t.name,
      dtype: t.dtype,
      shape: t.shape,
      bytes: t.end - t.begin,
      ...(statistics === undefined ? {} : { statistics: statistics.get(t.name) ?? null }),
    })),
  }
}
