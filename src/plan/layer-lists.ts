import { append } from '../base/lists.js'

type Plain = Readonly<Record<string, unknown>>
/** Keys of a config with their new values. */
export type Entries = readonly (readonly [key: string, value: unknown])[]

/** One thing that a config says of each layer. */
interface Setting {
  /** The key that says it, or would say it. */
  readonly key: string
  /** What it says of a layer of so many; undefined where it says nothing. */
  of(layer: number, count: number): unknown
  /** What says it of layers that are given in order; undefined where no value of the key can. */
  write(values: readonly unknown[]): Entries | undefined
}

/** The layers that a config is for, and those that are written, which may be others of them. */
interface Layers {
  readonly was: number
  readonly is: number
  /** The number that each layer had, in order; undefined where that is not known. */
  readonly numbers: readonly number[] | undefined
}

/** Lists of the numbers of some layers. */
const CHOSEN: ReadonlySet<string> = new Set([
  'attn_layer_indices',
  'cross_attention_layers',
  'full_attn_idxs',
  'mlp_only_layers',
  'moe_layers',
])
/** Lists with an entry for each layer, even where a file has more layers than its config. */
const LISTS: ReadonlySet<string> = new Set(['layer_types', 'mlp_layer_types', 'layers_block_type', 'no_rope_layers'])
/** Lists of other things, which may happen to be as long. */
const OTHER_LISTS = /token|^architectures$/
/** How many layers at the beginning, or at the end, are of another kind. */
const LEADING = ['first_k_dense_replace', 'num_dense_layers'] as const
const TRAILING = ['num_kv_shared_layers'] as const

const numberIn = (config: Plain, key: string, otherwise: number): number => {
  const value = config[key]
  return typeof value === 'number' ? value : otherwise
}

const alternating =
  (pattern: number) =>
  (layer: number): string =>
    (layer + 1) % pattern === 0 ? 'full_attention' : 'sliding_attention'

/** What kind of attention a layer has where the config has no list of it: some networks decide by its number. */
const unsaidType = (config: Plain): ((layer: number) => string) | undefined => {
  switch (config['model_type']) {
    case 'gemma2':
      return alternating(2)
    case 'gemma3_text':
      return alternating(numberIn(config, 'sliding_window_pattern', 6))
    case 'cohere2':
      return alternating(numberIn(config, 'sliding_window_pattern', 4))
    case 'qwen2':
    case 'qwen3': {
      const first = numberIn(config, 'max_window_layers', 28)
      return config['use_sliding_window'] === true && config['sliding_window'] !== null
        ? (layer) => (layer >= first ? 'sliding_attention' : 'full_attention')
        : undefined
    }
    default:
      return undefined
  }
}

const positions = (values: readonly unknown[]): readonly number[] => values.flatMap((x, i) => (x === true ? [i] : []))

/** How many values at the beginning are true, where no others are; undefined where others are. */
const lead = (values: readonly unknown[]): number | undefined => {
  const count = values.findIndex((x) => x !== true)
  const first = count < 0 ? values.length : count
  return values.slice(first).includes(true) ? undefined : first
}

/** What a list that the config lacks would say, where the network decides by the number of the layer. */
const unsaid = (
  config: Plain,
  key: string,
  of: ((layer: number) => unknown) | undefined,
  write: (values: readonly unknown[]) => unknown,
): readonly Setting[] => {
  const own = config[key]
  const isSaid = own !== undefined && own !== null && !(Array.isArray(own) && own.length === 0)
  return isSaid || of === undefined ? [] : [{ key, of, write: (values) => [[key, write(values)]] }]
}

/** Of mixtures with some dense layers: those of a list, and all but every n-th. */
const sparseSteps = (config: Plain): readonly Setting[] => {
  const step = numberIn(config, 'decoder_sparse_step', 1)
  const dense = Array.isArray(config['mlp_only_layers']) ? (config['mlp_only_layers'] as readonly unknown[]) : []
  return step > 1
    ? [
        {
          key: 'decoder_sparse_step',
          of: (layer) => dense.includes(layer) || (layer + 1) % step > 0,
          write: (values) => [
            ['decoder_sparse_step', 1],
            ['mlp_only_layers', positions(values)],
          ],
        },
      ]
    : []
}

const counted = (config: Plain, key: string, isAtEnd: boolean): readonly Setting[] => {
  const count = numberIn(config, key, 0)
  if (count <= 0) return []
  return [
    {
      key,
      of: (layer, all) => (isAtEnd ? layer >= all - count : layer < count),
      write: (values) => {
        const found = lead(isAtEnd ? [...values].reverse() : values)
        return found === undefined ? undefined : [[key, found]]
      },
    },
  ]
}

/** All that a config of so many layers says of each of them. */
const settingsOf = (config: Plain, was: number): readonly Setting[] => {
  const steps = sparseSteps(config)
  const found = Object.entries(config).flatMap(([key, list]): Setting[] => {
    if (!Array.isArray(list) || list.length === 0 || (key === 'mlp_only_layers' && steps.length > 0)) return []
    const own = list as readonly unknown[]
    if (CHOSEN.has(key))
      return [{ key, of: (layer) => own.includes(layer), write: (values) => [[key, positions(values)]] }]
    if (!LISTS.has(key) && (own.length !== was || OTHER_LISTS.test(key))) return []
    return [{ key, of: (layer) => own[layer], write: (values) => [[key, [...values, ...own.slice(was)]]] }]
  })
  const isLlama4 = config['model_type'] === 'llama4_text'
  const [every, step] = [
    numberIn(config, 'no_rope_layer_interval', 4),
    numberIn(config, 'interleave_moe_layer_step', 1),
  ]
  return [
    ...found,
    ...steps,
    ...unsaid(config, 'layer_types', unsaidType(config), (values) => values),
    ...unsaid(
      config,
      'no_rope_layers',
      isLlama4 || config['model_type'] === 'smollm3' ? (layer) => ((layer + 1) % every === 0 ? 0 : 1) : undefined,
      (values) => values,
    ),
    ...unsaid(config, 'moe_layers', isLlama4 ? (layer) => (layer + 1) % step === 0 : undefined, positions),
    ...LEADING.flatMap((key) => counted(config, key, false)),
    ...TRAILING.flatMap((key) => counted(config, key, true)),
  ]
}

const sameAs =
  (first: unknown) =>
  (other: unknown): boolean =>
    other === first || JSON.stringify(other) === JSON.stringify(first)

/** What a config says of each layer, brought to other layers. */
export interface LayerSettings {
  readonly set: Entries
  /** Keys that cannot say it of the other layers. */
  readonly left: readonly string[]
  /** All that the config said of a layer, as a text. */
  describe(layer: number): string
}

/** Brings what a config says of each layer to the layers that are written. */
export const layerSettings = (config: Plain, { was, is, numbers }: Layers): LayerSettings => {
  const settings = settingsOf(config, was)
  const describe = (layer: number): string => JSON.stringify(settings.map(({ of }) => of(layer, was) ?? null))
  const [set, left]: [(readonly [string, unknown])[], string[]] = [[], []]
  const unchanged = was === is && (numbers === undefined || numbers.every((number, i) => number === i))
  for (const { key, of, write } of unchanged ? [] : settings) {
    const list = config[key]
    const length = Array.isArray(list) && !CHOSEN.has(key) ? list.length : undefined
    const before = Array.from({ length: length ?? was }, (_, layer) => of(layer, was))
    if (length !== undefined && length > 0 && before.every(sameAs(before[0]))) {
      if (was !== is) set.push([key, Array.from({ length: length + is - was }, () => before[0])])
      continue
    }
    const values = numbers?.length === is ? numbers.map((number) => of(number, was)) : undefined
    if (values?.includes(undefined) === true) left.push(key)
    else if (values === undefined) {
      // Layers that are not stacked have their numbers still.
      if (length !== undefined) left.push(key)
    } else if ((was !== is && length !== undefined) || values.some((value, i) => !sameAs(of(i, is))(value))) {
      const entries = write(values)
      if (entries === undefined) left.push(key)
      else append(set, entries)
    }
  }
  return { set, left, describe }
}
