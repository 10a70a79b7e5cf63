type Plain = Readonly<Record<string, unknown>>

/** Keys of a config that have an entry for each layer. */
const LISTS = ['layer_types', 'mlp_layer_types', 'no_rope_layers'] as const

const alternating =
  (pattern: number) =>
  (layer: number): string =>
    (layer + 1) % pattern === 0 ? 'full_attention' : 'sliding_attention'

/**
 * What kind of attention a layer has that the config does not say: some networks decide by its number. Undefined where
 * all layers are alike.
 */
const unsaidTypes = (config: Plain): ((layer: number) => string) | undefined => {
  switch (config['model_type']) {
    case 'gemma2':
      return alternating(2)
    case 'gemma3_text':
      return alternating(typeof config['sliding_window_pattern'] === 'number' ? config['sliding_window_pattern'] : 6)
    case 'cohere2':
      return alternating(typeof config['sliding_window_pattern'] === 'number' ? config['sliding_window_pattern'] : 4)
    case 'qwen2':
    case 'qwen3': {
      const first = typeof config['max_window_layers'] === 'number' ? config['max_window_layers'] : 28
      return config['use_sliding_window'] === true && config['sliding_window'] !== null
        ? (layer) => (layer >= first ? 'sliding_attention' : 'full_attention')
        : undefined
    }
    default:
      return undefined
  }
}

/** The layers that a config is for, and those that are written, which may be others of them. */
interface Layers {
  readonly was: number
  readonly is: number
  /** The number that each layer had, in order; undefined where that is not known. */
  readonly numbers: readonly number[] | undefined
}

/** What a config says of each layer, for other layers: the lists that it gets, and those that cannot be brought to them. */
export const layerLists = (
  config: Plain,
  { was, is, numbers }: Layers,
): { readonly set: readonly (readonly [string, readonly unknown[]])[]; readonly left: readonly string[] } => {
  const [set, left]: [(readonly [string, readonly unknown[]])[], string[]] = [[], []]
  const unchanged = was === is && (numbers === undefined || numbers.every((number, i) => number === i))
  if (unchanged) return { set, left }
  for (const key of LISTS) {
    const list = config[key]
    if (!Array.isArray(list) || list.length === 0) continue
    if (list.every((x) => x === list[0])) set.push([key, Array.from({ length: list.length + is - was }, () => list[0])])
    else if (numbers?.length === is && numbers.every((number) => number < list.length))
      set.push([key, numbers.map((number) => list[number] as unknown)])
    else left.push(key)
  }
  const typeOf = config['layer_types'] === undefined ? unsaidTypes(config) : undefined
  if (typeOf !== undefined && numbers?.some((number, i) => typeOf(number) !== typeOf(i)) === true)
    set.push(['layer_types', numbers.map(typeOf)])
  return { set, left }
}
