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

/** New names for layers that move, in an order in which none takes the place of one that is still to move. */
const renames = ([from, to]: Range, start: number): ReadonlyMap<string, string> => {
  const layers = Array.from({ length: to - from }, (_, i) => from + i)
  const order = start > from ? layers.toReversed() : layers
  return new Map(order.map((layer) => [`${LAYERS}.${layer}`, `${LAYERS}.${layer - from + start}`]))
}

/** The number of layers of a model, where its config.json is there. */
const factsOf = (draft: DraftBuilder, place: Place, { model }: Source): number | undefined => {
  const name = place(model)
  return name === undefined ? undefined : draft.facts(name)?.layers
}

/** True where all that a configuration merges is taken whole: one slice, from the first layer on. */
const isWhole = (slices: readonly Slice[]): boolean =>
  slices.length === 1 && slices[0]!.sources.length > 1 && slices[0]!.sources.every((s: Source) => s.range?.[0] === 0)

/**
 * Adds the steps of slices; gives the name of the last, and the number of layers where it may be another than that of
 * the models.
 */
export const addSlices = (
  draft: DraftBuilder,
  config: Config,
  slices: readonly Slice[],
  title: string,
  place: Place,
): { readonly name: string; readonly layers: number | undefined } | undefined => {
  const ranges = slices.map((slice) => rangeOf(draft, slice))
  if (ranges.some((r) => r === undefined)) return undefined
  const [{ sources, parameters, line }] = slices as readonly [Slice]
  const known = sources.map((s) => factsOf(draft, place, s))
  if (isWhole(slices) && known.every((layers) => layers === undefined || layers === ranges[0]![1])) {
    if (known.includes(undefined)) draft.note(lineOf(line), mergekitSays.allLayers(ranges[0]![1]))
    const name = addMerge(draft, { config, title, sources, parameters, slice: undefined }, place)
    return name === undefined ? undefined : { name, layers: undefined }
  }
  const parts: string[] = []
  let start = 0
  for (const [i, slice] of slices.entries()) {
    const range = ranges[i]!
    const [from, to] = range
    const patterns: Yaml[] = [
      ...(i === 0 ? BEFORE : []),
      ...(to > from ? [patternOf(from, to)] : []),
      ...(i === slices.length - 1 ? AFTER : []),
    ]
    if (patterns.length === 0) {
      draft.note(lineOf(slice.line), mergekitSays.singleLayerRange)
      continue
    }
    const label = slices.length === 1 ? title : `${title}_${i + 1}`
    const { sources, parameters } = slice
    const merged = addMerge(
      draft,
      { config, title: label, sources, parameters, slice: { layers: range, patterns } },
      place,
    )
    if (merged === undefined) return undefined
    const taken = draft.step(`${label}_layers`, 'model.select', [
      ['model', merged],
      ['layers', patterns],
    ])
    parts.push(
      start === from || to === from
        ? taken
        : draft.step(`${label}_moved`, 'model.rename', [
            ['model', taken],
            ['rules', renames(range, start)],
          ]),
    )
    start += to - from
  }
  draft.header(mergekitSays.stacked)
  return {
    name: parts.length === 1 ? parts[0]! : draft.step(title, 'model.combine', [['models', parts]]),
    layers: start,
  }
}
