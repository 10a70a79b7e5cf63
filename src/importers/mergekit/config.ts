import type { ForeignMap, ForeignValue } from '../../document/foreign.js'

/** A model as mergekit refers to it. */
export interface ModelReference {
  readonly path: string
  readonly revision: string | undefined
  /** The adapter, which has none itself. */
  readonly lora: ModelReference | undefined
  readonly line: number
}

/** A model that is merged, with its parameters from the narrowest to the widest. */
export interface Source {
  readonly model: ModelReference
  readonly range: readonly [number, number] | undefined
  readonly parameters: ForeignMap | undefined
  readonly line: number
}

/** A stretch of layers of the result. */
export interface Slice {
  readonly sources: readonly Source[]
  /** Its own base, or that of the configuration. */
  readonly base: ModelReference | undefined
  readonly parameters: ForeignMap | undefined
  readonly line: number
}

/** One document of a mergekit configuration. */
export interface Config {
  readonly line: number
  readonly root: ForeignMap
  readonly name: string | undefined
  readonly method: string
  readonly methodLine: number
  readonly base: ModelReference | undefined
  readonly models: readonly Source[] | undefined
  readonly slices: readonly Slice[] | undefined
  readonly parameters: ForeignMap | undefined
  /** Lines of entries that name no model. */
  readonly unreadable: readonly number[]
}

/** Keys that mergekit knows at the top of a configuration, and older ones. */
const KEYS = new Set(
  'merge_method models slices modules base_model parameters dtype out_dtype tokenizer_source tokenizer chat_template name'.split(
    ' ',
  ),
)

const SLICE_KEYS = new Set(['sources', 'base_model', 'parameters'])

const unknownIn = (map: ForeignMap | undefined, known: ReadonlySet<string>): readonly (readonly [string, number])[] =>
  [...(map ?? [])].filter(([key]) => !known.has(key)).map(([key, { line }]) => [key, line])

/** Keys of a configuration that mergekit ignores. */
export const unknownKeys = ({ root }: Config): readonly (readonly [string, number])[] => [
  ...unknownIn(root, KEYS),
  ...(listOf(root.get('slices')) ?? []).flatMap((slice) => unknownIn(mapOf(slice), SLICE_KEYS)),
]

/** The map of a value; undefined for anything else. */
export const mapOf = (value: ForeignValue | undefined): ForeignMap | undefined =>
  value?.value instanceof Map ? (value.value as ForeignMap) : undefined

/** The list of a value; undefined for anything else. */
export const listOf = (value: ForeignValue | undefined): readonly ForeignValue[] | undefined =>
  Array.isArray(value?.value) ? (value.value as readonly ForeignValue[]) : undefined

/** The text of a scalar; undefined for anything else, and for one that is empty. */
export const textOf = (value: ForeignValue | undefined): string | undefined =>
  typeof value?.value === 'string' || typeof value?.value === 'number' ? String(value.value) || undefined : undefined

/** A path and its revision: `path@revision`, or a map of both. */
const readPath = (value: ForeignValue | undefined): ModelReference | undefined => {
  if (value === undefined) return undefined
  const map = mapOf(value)
  // mergekit takes no more than one `@`, in local paths too.
  const [path, revision, ...more] =
    map === undefined ? (textOf(value)?.split('@') ?? []) : [textOf(map.get('path')), textOf(map.get('revision'))]
  return path === undefined || path === '' || more.length > 0
    ? undefined
    : { path, revision: revision === '' ? undefined : revision, lora: undefined, line: value.line }
}

/** A reference: `path@revision+lora@revision`, or a map. */
export const readReference = (value: ForeignValue | undefined): ModelReference | undefined => {
  if (value === undefined) return undefined
  const map = mapOf(value)
  const parts =
    map === undefined
      ? textOf(value)
          ?.split('+')
          .map((text): ForeignValue => ({ value: text, line: value.line }))
      : [map.get('model'), ...(map.get('lora')?.value == null ? [] : [map.get('lora')])]
  if (parts === undefined || parts.length > 2) return undefined
  const [model, lora] = parts.map(readPath)
  return model === undefined || (parts.length === 2 && lora === undefined) ? undefined : { ...model, lora }
}

/** The text by which mergekit compares two references. */
export const keyOf = ({ path, revision, lora }: ModelReference): string =>
  `${path}@${revision ?? ''}+${lora === undefined ? '' : keyOf(lora)}`

const rangeOf = (value: ForeignValue | undefined): readonly [number, number] | undefined => {
  const [from, to, ...rest] = (listOf(value) ?? []).map((v) => Number(v.value))
  return from === undefined || to === undefined || rest.length > 0 ? undefined : [from, to]
}

const readSource = (value: ForeignValue): Source | undefined => {
  const map = mapOf(value)
  const model = map === undefined ? readReference(value) : (readReference(map.get('model')) ?? readReference(value))
  return model === undefined
    ? undefined
    : { model, range: rangeOf(map?.get('layer_range')), parameters: mapOf(map?.get('parameters')), line: value.line }
}

/** Reads one document; whatever it lacks is undefined. */
export const readConfig = (document: ForeignValue): Config => {
  const root = mapOf(document) ?? new Map<string, ForeignValue>()
  const models = listOf(root.get('models'))
  const slices = listOf(root.get('slices'))
  const base = readReference(root.get('base_model'))
  const unreadable: number[] = []
  const readSources = (list: readonly ForeignValue[]): readonly Source[] =>
    list.flatMap((value) => {
      const source = readSource(value)
      if (source === undefined) unreadable.push(value.line)
      return source ?? []
    })
  return {
    line: document.line,
    root,
    name: textOf(root.get('name')),
    method: textOf(root.get('merge_method')) ?? '',
    methodLine: root.get('merge_method')?.line ?? document.line,
    base,
    models: models === undefined || models.length === 0 ? undefined : readSources(models),
    slices:
      slices === undefined || slices.length === 0
        ? undefined
        : slices.map((slice) => ({
            sources: readSources(listOf(mapOf(slice)?.get('sources')) ?? []),
            base: readReference(mapOf(slice)?.get('base_model')) ?? base,
            parameters: mapOf(mapOf(slice)?.get('parameters')),
            line: slice.line,
          })),
    parameters: mapOf(root.get('parameters')),
    unreadable,
  }
}
