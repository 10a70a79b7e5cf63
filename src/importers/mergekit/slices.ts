import { mergekitLacks, mergekitSays } from '../../base/catalogue/import-mergekit.js'
import type { Yaml } from '../../document/write.js'
import type { DraftBuilder } from '../draft.js'
import { keyOf, type Config, type Slice, type Source } from './config.js'
import { addMerge, type Place } from './stage.js'

const LAYERS = 'model.layers'
/** Tensors in front of the layers and behind them, as in Llama and its relatives. */
const BEFORE: readonly Yaml[] = ['model.embed_tokens']
const AFTER: readonly Yaml[] = ['model.norm', { match: 'lm_head', optional: true }]

const lineOf = (line: number): string => `line ${line}`

const patternOf = (from: number, to: number): string =>
  to - from === 1 ? `${LAYERS}.${from}` : `${LAYERS}.{${from}..${to - 1}}`

type Range = readonly [number, number]

/** The range of a slice, which all its sources share; undefined, once told, where they do not. */
const rangeOf = (draft: DraftBuilder, { sources, line }: Slice): Range | undefined => {
  const ranges = sources.map((s) => s.range)
  const [first] = ranges
  const wrong = (why: string): undefined => draft.missing(lineOf(line), 'the slice', why) as undefined
  if (
    first === undefined ||
    ranges.some((r) => r === undefined || !r.every(Number.isSafeInteger) || r[0] < 0 || r[1] < r[0] || r[1] > 10_000)
  )
    return wrong(mergekitLacks.range)
  if (ranges.some((r) => r![0] !== first[0] || r![1] !== first[1])) return wrong(mergekitLacks.unequalRanges)
  if (new Set(sources.map((s) => keyOf(s.model))).size < sources.length) return wrong(mergekitLacks.sameModel)
  return first
}

/** The number of layers of a model, where its config.json is there. */
const factsOf = (draft: DraftBuilder, place: Place, { model }: Source): number | undefined => {
  const name = place(model)
  return name === undefined ? undefined : draft.facts(name)?.layers
}

/** True where all that a configuration merges is taken whole: one slice, from the first layer on. */
const isWhole = (slices: readonly Slice[]): boolean =>
  slices.length === 1 && slices[0]!.sources.length > 1 && slices[0]!.sources.every((s: Source) => s.range?.[0] === 0)

/** Adds the steps of slices; gives the name of the last. */
export const addSlices = (
  draft: DraftBuilder,
  config: Config,
  slices: readonly Slice[],
  title: string,
  place: Place,
): string | undefined => {
  const ranges = slices.map((slice) => rangeOf(draft, slice))
  if (ranges.some((r) => r === undefined)) return undefined
  const [{ sources, parameters, line }] = slices as readonly [Slice]
  const known = sources.map((s) => factsOf(draft, place, s))
  if (isWhole(slices) && known.every((layers) => layers === undefined || layers === ranges[0]![1])) {
    if (known.includes(undefined)) draft.note(lineOf(line), mergekitSays.allLayers(ranges[0]![1]))
    return addMerge(draft, { config, title, sources, parameters, slice: undefined }, place)
  }
  const merged: { readonly name: string; readonly range: Range }[] = []
  for (const [i, { sources, parameters, line }] of slices.entries()) {
    const range = ranges[i]!
    const [from, to] = range
    const patterns: Yaml[] = [
      ...(i === 0 ? BEFORE : []),
      ...(to > from ? [patternOf(from, to)] : []),
      ...(i === slices.length - 1 ? AFTER : []),
    ]
    if (patterns.length === 0) {
      draft.note(lineOf(line), mergekitSays.emptySlice)
      continue
    }
    const own = slices.length === 1 ? `${title}_layers` : `${title}_${i + 1}`
    const slice = { layers: range, patterns }
    const name = addMerge(draft, { config, title: own, sources, parameters, slice }, place)
    if (name === undefined) return undefined
    merged.push({ name, range })
  }
  const stacked = merged.filter(({ range: [from, to] }) => to > from)
  if (stacked.length === 0) {
    draft.missing(lineOf(line), 'the slices', mergekitLacks.noLayers)
    return undefined
  }
  const rest = addRest(draft, title, merged[0]!.name, merged.at(-1)!.name)
  return draft.step(title, 'model.stack', [
    [
      'slices',
      stacked.map(
        ({ name, range }) =>
          new Map<string, Yaml>([
            ['model', name],
            ['layers', range],
          ]),
      ),
    ],
    ...(rest === stacked[0]!.name ? [] : ([['rest', rest]] as const)),
  ])
}

/** What stands outside of the layers: mergekit takes the embeddings from the first slice, all else from the last. */
const addRest = (draft: DraftBuilder, title: string, first: string, last: string): string => {
  if (first === last) return first
  draft.header(mergekitSays.stacked)
  const part = (end: string, model: string, layers: readonly Yaml[]) =>
    draft.step(`${title}_${end}`, 'model.select', [
      ['model', model],
      ['layers', layers],
    ])
  return draft.step(`${title}_rest`, 'model.combine', [
    ['models', [part('begin', first, BEFORE), part('end', last, AFTER)]],
  ])
}
