/** The layers of a slice: their numbers in its step, and the number by which mergekit calls the first. */
export interface SliceLayers {
  readonly from: number
  readonly to: number
  readonly called: number
}

const LAYER = /^model\.layers\.\d+\./

const escaped = (text: string): string => text.replace(/[[\]{}?!*@+()|\\]/g, (c) => `[${c}]`)

/** The pattern of the tensors whose names contain a text. */
export const filterPattern = (filter: string): string => {
  const parts = filter.split('.').map(escaped)
  const [first, ...rest] = parts
  const start = first === '' ? '' : `*${first!}`
  const end = rest.at(-1)
  const middle = [start, ...rest.slice(0, -1)]
  const all = rest.length === 0 ? [`${start}*`] : end === '' ? middle : [...middle, `${end!}*`]
  return `**.${all.filter((part) => part !== '').join('.')}`
}

/** What is behind the layer in a name. */
const behindLayer = (name: string): string | undefined => (LAYER.test(name) ? name.replace(LAYER, '') : undefined)

/**
 * What a name has to begin with behind its layer, `prefix`, so that a text is in it that begins before that; empty where
 * all of the layer has it.
 */
const continuations = (filter: string, prefix: string, names: readonly string[] | undefined): readonly string[] =>
  prefix.includes(filter)
    ? ['']
    : Array.from({ length: filter.length - 1 }, (_, i) => i + 1)
        .flatMap((length) => (prefix.endsWith(filter.slice(0, length)) ? [filter.slice(length)] : []))
        .filter((text) =>
          names === undefined ? /^[a-z]/i.test(text) : names.some((name) => behindLayer(name)?.startsWith(text)),
        )

/** True where the tensors that a filter selects depend on the number of their layer. */
const isOfPlace = (filter: string, { from, to, called }: SliceLayers, names: readonly string[] | undefined): boolean =>
  Array.from({ length: to - from }, (_, i) => `model.layers.${called + i}.`).some(
    (prefix) => continuations(filter, prefix, names).length > 0,
  )

/** True for a filter that selects layers by a number, such as `layers.12` and `.12.`. */
const namesOtherLayer = (filter: string): boolean =>
  [...filter.matchAll(/\d+/g)].some(
    ([number]) => continuations(filter, `model.layers.${number}.`, undefined).length > 0,
  )

/** True where names of tensors behind their layer contain a text. */
const isInLayers = (filter: string, names: readonly string[] | undefined): boolean =>
  names === undefined
    ? !/^model\.|embed|lm_head/.test(filter) && !namesOtherLayer(filter)
    : names.some((name) => behindLayer(name)?.includes(filter))

/** The patterns of one layer of a slice for a filter: those it selects there, none where it selects nothing. */
export const layerPatterns = (
  filter: string,
  slice: SliceLayers,
  layer: number,
  names: readonly string[] | undefined,
): readonly string[] => {
  const here = `model.layers.${layer}`
  const begun = continuations(filter, `model.layers.${slice.called + layer - slice.from}.`, names)
  if (begun.includes('')) return [here]
  return [
    ...begun.map((text) => `${here}.${escaped(text.replace(/\.$/, ''))}${text.endsWith('.') ? '' : '*'}`),
    ...(isInLayers(filter, names) && !isOfPlace(filter, slice, names) ? [`${here}.${filterPattern(filter)}`] : []),
  ]
}

/** The pattern of a filter in a slice; undefined where it has to be said for each layer, or selects nothing. */
export const slicePattern = (
  filter: string,
  slice: SliceLayers,
  names: readonly string[] | undefined,
): string | undefined => {
  if (isOfPlace(filter, slice, names)) return slice.called === slice.from ? filterPattern(filter) : undefined
  const selects =
    names === undefined
      ? !namesOtherLayer(filter)
      : isInLayers(filter, names) || names.some((name) => !LAYER.test(name) && name.includes(filter))
  return selects ? filterPattern(filter) : undefined
}

/** Names of tensors, also as they are called in the result of a slice whose layers have other numbers there. */
export const namesInSlice = (
  names: readonly string[] | undefined,
  [from, to]: readonly [number, number],
  output: number,
): readonly string[] | undefined =>
  names?.flatMap((name) => {
    const layer = Number(LAYER.exec(name)?.[0].slice('model.layers.'.length, -1) ?? -1)
    return output === from || layer < from || layer >= to
      ? [name]
      : [name, name.replace(LAYER, `model.layers.${output + layer - from}.`)]
  })
