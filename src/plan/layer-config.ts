import { findLayerStacks, type LayerStack } from '../architectures/layer-stacks.js'
import { layerKindsLeft, layerKindsUnsaid, layerTypesLeft } from '../base/catalogue/model-folders.js'
import type { Diagnostic, Place } from '../base/diagnostic.js'
import { toPlain, type ListValue, type MapValue } from '../document/value.js'
import type { LayerOrigins } from '../operators/value.js'
import type { Dtype } from '../tensor/dtype.js'
import { insert, replace, sectionsOf, toScalar, type Edit } from './config-text.js'
import type { LayerContext } from './context.js'
import { layerSettings, type LayerSettings } from './layer-lists.js'

/** The tensors of a model by name. */
export type Tensors = ReadonlyMap<string, { readonly dtype: Dtype; readonly shape: readonly number[] }>

/** What decides what a config says of layers. */
export interface LayersOf {
  /** The tensors of the model that the config is of, and those that are written. */
  readonly donor: Tensors
  readonly written: Tensors
  readonly layers: Pick<LayerContext, 'architecture'>
  readonly model: string
  /** Which layers were stacked. */
  readonly origins?: LayerOrigins | undefined
  readonly at: Place
}

/** Keys that count layers. */
const COUNTS = ['num_hidden_layers', 'n_layer', 'n_layers', 'num_layers'] as const
/** Of networks whose path of layers has a word, the section of the config, and the keys that count them there. */
const PARTS: readonly {
  readonly path: RegExp
  readonly section?: string
  readonly counts: readonly string[]
}[] = [
  { path: /vision|visual/, section: 'vision_config', counts: [...COUNTS, 'depth'] },
  { path: /audio/, section: 'audio_config', counts: [...COUNTS, 'encoder_layers'] },
  { path: /(?:^|\.)decoder\./, counts: ['num_decoder_layers', 'decoder_layers'] },
  { path: /(?:^|\.)encoder\./, counts: [...COUNTS, 'encoder_layers'] },
]

/** The layers of a model: those at a path, or else those that it has in one place. */
const layersOf = (tensors: Tensors, { layers, origins }: LayersOf): LayerStack | undefined => {
  const [own] = origins === undefined ? [] : findLayerStacks(tensors, undefined, origins.path)
  if (own !== undefined) return own
  const [stack, ...others] = findLayerStacks(tensors, layers.architecture(tensors), undefined)
  return others.length > 0 ? undefined : stack
}

/** The sections of a config that count some layers, each with the keys by which it does. */
const countsIn = (root: MapValue, path: string): readonly (readonly [MapValue, readonly string[]])[] => {
  const part = PARTS.find((known) => known.path.test(path))
  const own = part?.section === undefined ? undefined : root.entries.get(part.section)?.value
  const sections = part?.section === undefined ? sectionsOf(root) : own?.type === 'map' ? [own] : []
  return sections.flatMap((section) => {
    const keysOf = (counts: readonly string[]): readonly string[] => counts.filter((key) => section.entries.has(key))
    const named = keysOf(part?.counts ?? COUNTS)
    // Models that only decode have their layers at the path of a decoder, too.
    const isPair = toScalar(section.entries.get('is_encoder_decoder')?.value) === true
    const keys = named.length > 0 || isPair ? named : keysOf(COUNTS)
    return keys.length === 0 ? [] : [[section, keys] as const]
  })
}

/** A list of values, each as it is written in the list before: programs tell 0 from 0.0. */
const rewriteList = (before: ListValue, values: readonly unknown[], text: string): string => {
  const known = new Map(
    before.items.map((item) => [JSON.stringify(toPlain(item)), text.slice(item.range.start, item.range.end)]),
  )
  return `[${values
    .map((value) => JSON.stringify(value))
    .map((own) => known.get(own) ?? own)
    .join(',')}]`
}

/** What sets layers of one kind apart from others: the tensors that they have. */
const kindOf = (layer: ReadonlyMap<string, string>): string =>
  [...new Set([...layer.keys()].map((name) => name.replaceAll(/\d+/g, '#')))].sort().join(' ')

const differenceOf = (kind: string, other: string): string | undefined => {
  const known = new Set(other.split(' '))
  return kind.split(' ').find((name) => !known.has(name))
}

/** A layer that is of another kind than the config, which does not say the kinds, makes of its place. */
const findUnsaid = (
  of: LayersOf,
  donor: LayerStack,
  written: LayerStack,
  settings: readonly LayerSettings[],
): Diagnostic | undefined => {
  const was = new Map([...donor.layers].map(([layer, tensors]) => [layer, kindOf(tensors)]))
  const kinds = new Map<string, Set<string>>()
  for (const [layer, kind] of was) {
    const said = settings.map(({ describe }) => describe(layer)).join(' ')
    kinds.set(said, (kinds.get(said) ?? new Set()).add(kind))
  }
  if (settings.some(({ left }) => left.length > 0) || [...kinds.values()].every((set) => set.size === 1))
    return undefined
  // Of some networks only the first layer differs, and further ones are like the rest.
  const [, ...rest] = [...was].sort(([x], [y]) => x - y).map(([, kind]) => kind)
  const further = rest.every((kind) => kind === rest[0]) ? rest[0] : undefined
  for (const [layer, tensors] of [...written.layers].sort(([x], [y]) => x - y)) {
    const [kind, before] = [kindOf(tensors), was.get(layer)]
    if (kind === (before ?? further)) continue
    const own = before === undefined ? undefined : differenceOf(kind, before)
    return layerKindsUnsaid(of.at, of.model, layer, own)
  }
  return undefined
}

/** The number of layers in a config, and what it says of each. */
export const layerEdits = (
  root: MapValue,
  of: LayersOf,
  text: string,
): { readonly edits: readonly Edit[]; readonly warnings: readonly Diagnostic[] } => {
  const [donor, written] = [layersOf(of.donor, of), layersOf(of.written, of)]
  const [edits, warnings]: [Edit[], Diagnostic[]] = [[], []]
  const [was, is] = [donor?.layers.size, written?.layers.size]
  if (donor === undefined || written === undefined || was === undefined || is === undefined) return { edits, warnings }
  const sections = countsIn(root, written.path)
  for (const [section, keys] of was === is ? [] : sections)
    for (const key of keys) {
      const value = section.entries.get(key)?.value
      // Some files have layers that their config does not count, such as those that predict several tokens.
      if (value?.type === 'number') edits.push(replace(value, value.value + is - was))
    }
  if (sections.length === 0) return { edits, warnings }
  const settings = sections.map(([section]) =>
    layerSettings(toPlain(section) as Readonly<Record<string, unknown>>, { was, is, numbers: of.origins?.numbers }),
  )
  for (const [i, { set, left }] of settings.entries()) {
    const [section] = sections[i]!
    for (const [key, value] of set) {
      const own = section.entries.get(key)?.value
      const edit = own === undefined ? insert(section, key, value) : replace(own, value)
      edits.push(own?.type === 'list' && Array.isArray(value) ? { ...edit, text: rewriteList(own, value, text) } : edit)
    }
    for (const key of left) {
      const isCount = typeof toScalar(section.entries.get(key)?.value) === 'number'
      warnings.push(isCount ? layerKindsLeft(of.at, key) : layerTypesLeft(of.at, key, was, is))
    }
  }
  const unsaid = findUnsaid(of, donor, written, settings)
  return { edits, warnings: unsaid === undefined ? warnings : [...warnings, unsaid] }
}
