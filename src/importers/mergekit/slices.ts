import { mergekitLacks, mergekitSays } from '../../base/catalogue/import-mergekit.js'
import type { Yaml } from '../../document/write.js'
import type { DraftBuilder } from '../draft.js'
import { keyOf, type Config, type Slice, type Source } from './config.js'
import { namesInSlice } from './filters.js'
import { addMerge, type Place } from './stage.js'

const LAYERS = 'model.layers'
/** Tensors in front of the layers and behind them, as in Llama and its relatives. */
const BEFORE: readonly Yaml[] = ['model.embed_tokens']
const AFTER: readonly Yaml[] = ['model.norm', { match: 'lm_head', optional: true }]

const lineOf = (line: number): string => `line ${line}`

const patternOf = (from: number, to: number): string =>
  to - from === 1 ? `${LAYERS}.${from}` : `${LAYERS}.{${from}..${to - 1}}`

type Range = readonly [number, number]

/** The layers that a slice has in its result; undefined, once told, where that cannot be said. */
const rangeOf = (draft: DraftBuilder, { sources, base, line }: Slice): Range | undefined => {
  const ranges = sources.map((s) => s.range)
  const [first] = ranges
  const wrong = (why: string): undefined => draft.missing(lineOf(line), 'the slice', why) as undefined
  if (sources.length === 0) return wrong(mergekitLacks.noSources)
  if (
    first === undefined ||
    ranges.some((r) => r === undefined || !r.every(Number.isSafeInteger) || r[0] < 0 || r[1] < r[0] || r[1] > 10_000)
  )
    return wrong(mergekitLacks.range)
  const count = first[1] - first[0]
  if (ranges.some((r) => r![1] - r![0] !== count)) return wrong(mergekitLacks.unequalRanges)
  if (new Set(sources.map((s) => keyOf(s.model))).size < sources.length) return wrong(mergekitLacks.sameModel)
  if (count === 0 || !isShifted(sources)) return first
  if (base !== undefined && !sources.some((s) => keyOf(s.model) === keyOf(base)))
    return wrong(mergekitLacks.baseNotInSlice)
  return [0, count]
}

/** True where the sources of a slice give layers of different places, such as 0 to 7 of one and 8 to 15 of another. */
const isShifted = (sources: readonly Source[]): boolean => sources.some((s) => s.range![0] !== sources[0]!.range![0])

/** Finds models of a slice whose layers are of different places: those of each, numbered from 0. */
const placeShifted =
  (draft: DraftBuilder, sources: readonly Source[], place: Place): Place =>
  (reference) => {
    const name = place(reference)
    const range = sources.find((s) => keyOf(s.model) === keyOf(reference))?.range
    if (name === undefined || range === undefined) return name
    const layers = new Map<string, Yaml>([
      ['model', name],
      ['layers', range],
    ])
    return draft.step(`${name}_${range[0]}_${range[1]}`, 'model.stack', [['slices', [layers]]])
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
  const [{ sources, base, parameters, line }] = slices as readonly [Slice]
  const known = sources.map((s) => factsOf(draft, place, s))
  if (isWhole(slices) && known.every((layers) => layers === undefined || layers === ranges[0]![1])) {
    if (known.includes(undefined)) draft.note(lineOf(line), mergekitSays.allLayers(ranges[0]![1]))
    return addMerge(draft, { config, title, base, sources, parameters, slice: undefined }, place)
  }
  const merged: { readonly name: string; readonly range: Range }[] = []
  let output = 0
  for (const [i, { sources, base, parameters, line }] of slices.entries()) {
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
    const model = base ?? sources[0]!.model
    const found = place(model)
    const tensors = namesInSlice(found === undefined ? undefined : draft.facts(found)?.tensors, range, output)
    const slice = { layers: range, patterns, output, tensors }
    output += to - from
    const find = to > from && isShifted(sources) ? placeShifted(draft, sources, place) : place
    const name = addMerge(draft, { config, title: own, base, sources, parameters, slice }, find)
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
