import { mergekitLacks, mergekitSays } from '../../base/catalogue/import-mergekit.js'
import type { ForeignMap } from '../../document/foreign.js'
import type { Yaml } from '../../document/write.js'
import type { DraftBuilder } from '../draft.js'
import type { Field } from '../importer.js'
import { oneMinus } from '../numbers.js'
import { keyOf, type Config, type ModelReference, type Source } from './config.js'
import type { SliceLayers } from './filters.js'
import { METHODS, WITHOUT_EFFECT, type Method, type Parameter } from './methods.js'
import { constantOf, findSetting, writeSetting } from './settings.js'

/** A merge of some models, whole or limited to a slice of their layers. */
export interface Merge {
  readonly config: Config
  /** What its step is called. */
  readonly title: string
  readonly base: ModelReference | undefined
  readonly sources: readonly Source[]
  /** Parameters of the slice. */
  readonly parameters: ForeignMap | undefined
  /** Undefined for whole models. */
  readonly slice: MergeSlice | undefined
}

/** A stretch of layers that a merge is limited to. */
export interface MergeSlice {
  /** The first layer in the step, and the one behind the last. */
  readonly layers: readonly [number, number]
  /** The patterns that select its tensors. */
  readonly patterns: readonly Yaml[]
  /** What mergekit calls its first layer in the result. */
  readonly output: number
  /** The tensors of a model that is merged, as far as they are known. */
  readonly tensors: readonly string[] | undefined
}

/** Makes the step that a model reference stands for, or its name. */
export type Place = (reference: ModelReference) => string | undefined

const lineOf = (line: number): string => `line ${line}`

/** The models that a method merges, and its base; undefined, once told, where it cannot. */
const sortModels = (
  draft: DraftBuilder,
  { config, base, sources }: Merge,
  method: Method,
): { readonly base: ModelReference | undefined; readonly models: readonly Source[] } | undefined => {
  const where = lineOf(config.methodLine)
  const refuse = (why: string): undefined => draft.missing(where, `\`${config.method}\``, why) as undefined
  if (method.base === 'needed' && base === undefined) return refuse(mergekitLacks.needsBase)
  const own = base === undefined ? [] : sources.filter((s) => keyOf(s.model) === keyOf(base))
  const others = sources.filter((s) => !own.includes(s))
  if (method.shape === 'list' || (method.shape === 'one' && method.base === undefined)) {
    // What `models` does not list, mergekit adds; of `linear` it then misses the weight.
    const added: readonly Source[] =
      base === undefined || own.length > 0 || config.models === undefined
        ? []
        : [{ model: base, range: undefined, parameters: undefined, line: base.line }]
    const all = [...sources, ...added]
    return method.count !== undefined && all.length !== method.count
      ? refuse(mergekitLacks.modelCount(method.count, false))
      : { base: undefined, models: all }
  }
  for (const { parameters } of own)
    for (const { key } of method.each)
      if (parameters?.has(key) === true) draft.note(lineOf(parameters.get(key)!.line), mergekitSays.baseIgnored(key))
  if (method.count !== undefined && others.length !== method.count)
    return refuse(
      method.shape === 'pair' && others.length === 2 && own.length === 0
        ? mergekitLacks.thirdBase
        : mergekitLacks.modelCount(method.count, method.base !== undefined),
    )
  if (others.length === 0) return refuse(mergekitLacks.modelCount(undefined, true))
  return { base, models: others }
}

/** Tells of parameters that the method does not have. */
const tellIgnored = (draft: DraftBuilder, { config, sources, parameters }: Merge, method: Method): void => {
  const ofModels = new Set(method.each.map((p) => p.key))
  const known = new Set([...ofModels, ...method.all.map((p) => p.key)])
  if (method.shape === 'pair') known.add('t')
  if (config.method === 'nuslerp') for (const key of ['nuslerp_flatten', 'nuslerp_row_wise']) known.add(key)
  for (const [map, keys] of [
    [config.parameters, known],
    [parameters, known],
    ...sources.map((s) => [s.parameters, ofModels] as const),
  ] as const)
    for (const [key, { line, value }] of map ?? []) {
      if (key === 'embed_slerp') draft.note(lineOf(line), mergekitSays.embedSlerp)
      else if (!keys.has(key) && !WITHOUT_EFFECT.has(key)) draft.note(lineOf(line), mergekitSays.ignored(key))
      else if (
        map !== undefined &&
        !sources.some((s) => s.parameters === map) &&
        method.each.some((p) => p.key === key) &&
        Array.isArray(value) &&
        value.length === sources.length &&
        value.length > 1 &&
        value.every((v: { readonly value: unknown }) => typeof v.value === 'number')
      )
        draft.note(lineOf(line), mergekitSays.gradientNotList(key))
    }
}

/**
 * Adds the step of one merge; gives its name, or undefined where something of it cannot be said, which is then told.
 */
export const addMerge = (draft: DraftBuilder, merge: Merge, place: Place): string | undefined => {
  const { config, title, slice } = merge
  const method = METHODS.get(config.method)
  if (method === undefined) {
    draft.missing(
      lineOf(config.methodLine),
      `\`merge_method: ${config.method}\``,
      mergekitLacks.unknownMethod(config.method, METHODS.keys()),
    )
    return undefined
  }
  const sorted = sortModels(draft, merge, method)
  if (sorted === undefined) return undefined
  tellIgnored(draft, merge, method)
  const { base, models } = sorted
  const baseName = base === undefined ? undefined : place(base)
  const names = models.map((m) => place(m.model))
  if ((base !== undefined && baseName === undefined) || names.some((n) => n === undefined)) return undefined
  const tensors = slice === undefined ? draft.facts(baseName ?? names[0]!)?.tensors : slice.tensors
  /** A model's own parameters go by the names of its tensors, others by those of the result. */
  const layersOf = (source: Source | undefined): SliceLayers | undefined =>
    slice === undefined
      ? undefined
      : { from: slice.layers[0], to: slice.layers[1], called: source?.range?.[0] ?? slice.output }
  let failed = false
  /** True where a density leaves something out. */
  let cuts = false

  const read = (parameter: Parameter, source: Source | undefined): Yaml | undefined => {
    const { key, fallback, perLayer, write, unless } = parameter
    const levels = [source?.parameters, merge.parameters, config.parameters]
    const setting = findSetting(draft, key, levels, fallback, tensors)
    if (setting === undefined) {
      failed = true
      draft.missing(
        lineOf(source?.line ?? config.methodLine),
        `\`${config.method}\``,
        mergekitLacks.needsParameter(key),
      )
      return undefined
    }
    const constant = constantOf(setting)
    if (key === 'density' && constant !== 1) cuts = true
    if (perLayer !== true && constant === undefined) {
      failed = true
      draft.missing(lineOf(setting[0]!.line), `\`${key}\``, mergekitLacks.notConstant)
      return undefined
    }
    if (constant !== undefined && constant === unless) return undefined
    if (write !== undefined) return write(constant!)
    return constant === undefined ? writeSetting(setting, layersOf(source), tensors) : Number(constant)
  }
  const field = (key: string, value: Yaml | undefined, comment?: string): readonly Field[] =>
    value === undefined ? [] : [comment === undefined ? [key, value] : [key, value, comment]]
  const own = (parameter: Parameter): readonly Field[] => {
    const { key, as = key } = parameter
    const value = read(parameter, undefined)
    return field(as, value, key === 'rescale' && value === 'l1' ? mergekitSays.rescale : undefined)
  }

  const fields: Field[] = []
  if (method.shape === 'pair') {
    const levels = [merge.parameters, config.parameters]
    const t = findSetting(draft, 't', levels, undefined, tensors)
    if (t === undefined) {
      draft.missing(lineOf(config.methodLine), '`slerp`', mergekitLacks.needsParameter('t'))
      return undefined
    }
    fields.push(['a', baseName!], ['b', names[0]!])
    fields.push(['keep', writeSetting(t, layersOf(undefined), tensors, oneMinus), mergekitSays.direction])
  } else if (method.shape === 'one') {
    if (baseName !== undefined) fields.push(['base', baseName])
    fields.push(['model', names[0]!])
    for (const p of method.each) for (const one of field(p.as ?? p.key, read(p, models[0]))) fields.push(one)
  } else {
    if (baseName !== undefined) fields.push(['base', baseName])
    const list = models.map((source, i): Yaml => {
      const values = method.each.flatMap((p) => field(p.as ?? p.key, read(p, source)))
      return values.length === 0
        ? names[i]!
        : new Map<string, Yaml>([['model', names[i]!], ...values.map(([k, v]) => [k, v] as const)])
    })
    fields.push(['models', list])
  }
  for (const parameter of method.all) for (const one of own(parameter)) fields.push(one)
  for (const [key, value] of method.fixed ?? []) fields.push([key, value])
  if (config.method === 'nuslerp') for (const one of nuslerpOver()) fields.push(one)
  if (failed) return undefined
  for (const key of method.differs ?? [])
    if ((key !== 'equalSizes' && key !== 'keepsOne') || cuts) draft.header(mergekitSays[key])
  if (slice !== undefined) fields.push(['layers', slice.patterns])
  if (method.draws === true && cuts) draft.note(lineOf(config.methodLine), mergekitSays.draws)
  // A model that is passed on as it is needs no step.
  if (config.method === 'passthrough' && fields.every(([key]) => key !== 'scale')) return names[0]!
  return draft.step(title, method.op, fields)

  function nuslerpOver(): readonly Field[] {
    const flat = read({ key: 'nuslerp_flatten', fallback: true, write: Boolean }, undefined)
    const rows = read({ key: 'nuslerp_row_wise', fallback: false, write: Boolean }, undefined)
    return flat === false ? [['over', rows === true ? 'column' : 'row']] : []
  }
}
