import * as say from '../base/catalogue/presets.js'
import type { Diagnostic, Range } from '../base/diagnostic.js'
import { append } from '../base/lists.js'
import { failed, ok, type Result } from '../base/result.js'
import { readDocument } from '../document/read.js'
import { validate } from '../document/validate.js'
import { find, type Entry, type ListValue, type MapValue, type Value } from '../document/value.js'
import { findOperator } from '../operators/index.js'
import type { ParamSpec } from '../operators/params.js'
import { isPreset, PRESETS } from '../operators/presets.js'
import { PRESETS_FILE_SCHEMA } from './presets-schema.js'
import { partPath, type Parts } from './used-texts.js'

const itemsOf = (value: Value | undefined): readonly Value[] =>
  value === undefined ? [] : value.type === 'list' ? value.items : [value]

/** The files of presets that a document names, as it has them. */
export const presetPaths = (document: Value): readonly string[] =>
  itemsOf(find(document, ['presets'])).flatMap((item) => (item.type === 'string' ? [item.value] : []))

/** Block weights by the names of presets. */
type Presets = ReadonlyMap<string, ListValue>

const listsIn = (block: Value | undefined): readonly (readonly [string, Entry])[] =>
  block?.type === 'map' ? [...block.entries] : []

const readFile = (path: Value & { readonly type: 'string' }, user: string, texts: Parts): Result<Value> => {
  const { range, value } = path
  const source = texts.get(partPath(value, user))
  if (source === undefined) return failed(say.presetsNotRead(value, range))
  const ledTo = (problems: readonly Diagnostic[]): readonly Diagnostic[] =>
    problems.map((d) => ({ ...d, related: [...d.related, say.presetsNamedHere(range)] }))
  // A file that is not there is a mistake of the document that names it.
  if (source.type === 'failed')
    return failed(...source.diagnostics.map((d) => ({ ...d, at: { type: 'text' as const, range } })))
  const document = readDocument(source.value)
  if (document.type === 'failed' && document.diagnostics.some((d) => d.code !== 'duplicate-key'))
    return failed(say.notPresets(value, range))
  if (document.type === 'failed') return failed(...ledTo(document.diagnostics))
  if (find(document.value, ['presets']) === undefined) return failed(say.notPresets(value, range))
  const checked = validate(document.value, PRESETS_FILE_SCHEMA)
  return checked.type === 'failed' ? failed(...ledTo(checked.diagnostics)) : checked
}

/** The presets of a document: its own, or those of the files it names. */
const readPresets = (document: Value, user: string, texts: Parts): Result<Presets> => {
  const block = find(document, ['presets'])
  const presets = new Map<string, ListValue>()
  const problems: Diagnostic[] = []
  const add = (from: Value | undefined, path?: Range): void => {
    for (const [name, { key, value }] of listsIn(from)) {
      if (presets.has(name)) problems.push(say.presetTwice(name, path ?? key))
      // Of what is no list, the schema tells.
      else presets.set(name, value.type === 'list' ? value : { type: 'list', items: [], range: value.range })
    }
  }
  add(block)
  for (const item of itemsOf(block)) {
    if (item.type !== 'string') continue
    const file = readFile(item, user, texts)
    if (file.type === 'failed') append(problems, file.diagnostics)
    else add(find(file.value, ['presets']), item.range)
  }
  return problems.length > 0 ? failed(...problems) : ok(presets)
}

/** A document whose presets are replaced by their numbers, and what is wrong with those it names. */
interface Expanded {
  readonly value: Value
  readonly problems: readonly Diagnostic[]
  /** Where presets are named that are none, of which nothing more is to be said. */
  readonly open: readonly Range[]
}

/**
 * Writes the numbers of a document's own presets in the places of their names: as `mbw` in rules by layer, and as the
 * blocks of a step. Those that smelt knows by itself stay names.
 */
export const expandPresets = (document: Value, user: string, texts: Parts): Expanded => {
  const steps = find(document, ['steps'])
  if (find(document, ['presets']) === undefined) return { value: document, problems: [], open: [] }
  const read = readPresets(document, user, texts)
  const problems: Diagnostic[] = [...read.diagnostics]
  const open: Range[] = []
  /** The list of a preset under another key, at the place of its name, so that what is wrong with it is told there. */
  const replaced = (map: MapValue, key: string): MapValue => {
    const entry = map.entries.get('preset')
    if (entry?.value.type !== 'string') return map
    const { value: name, range } = entry.value
    const list = read.type === 'ok' ? read.value.get(name) : undefined
    if (list === undefined) {
      if (isPreset(name)) return map
      open.push(range)
      // Of files that could not be read, nobody knows what is in them.
      if (read.type === 'ok')
        problems.push(say.unknownPreset(name, [...read.value.keys(), ...Object.keys(PRESETS)], range))
      return map
    }
    if (list.items.length === 0) open.push(range)
    const others = map.entries.get(key)
    if (others !== undefined) problems.push(say.presetAndBlocks(key, others.key))
    return {
      ...map,
      entries: new Map(
        [...map.entries].flatMap(([k, e]) =>
          k === key ? [] : [k === 'preset' ? [key, { key: e.key, value: { ...list, range } }] : [k, e]],
        ),
      ),
    }
  }
  const rules = (value: Value): Value => (value.type === 'map' ? replaced(value, 'mbw') : value)
  const argumentsIn = (specs: Readonly<Record<string, ParamSpec>>, map: MapValue): MapValue => ({
    ...map,
    entries: new Map(
      [...map.entries].map(([key, e]) => {
        const spec = specs[key]
        return [key, spec !== undefined && 'per' in spec && spec.per === 'layer' ? { ...e, value: rules(e.value) } : e]
      }),
    ),
  })
  const step = (value: Value): Value => {
    const op = find(value, ['op'])
    const operator = op?.type === 'string' ? findOperator(op.value) : undefined
    if (operator === undefined || value.type !== 'map') return value
    const specs = Object.entries(operator.params)
    const blocks = specs.find(([, spec]) => spec.type === 'blocks')?.[0]
    const named = specs.some(([key, spec]) => key === 'preset' && spec.type === 'preset')
    const own = argumentsIn(operator.params, named && blocks !== undefined ? replaced(value, blocks) : value)
    const entries = new Map(own.entries)
    for (const [key, spec] of Object.entries(operator.inputs)) {
      const entry = entries.get(key)
      if (entry === undefined || spec.type !== 'model' || !spec.many) continue
      entries.set(key, { ...entry, value: eachOf(spec.each, entry.value) })
    }
    return { ...own, entries }
  }
  const eachOf = (specs: Readonly<Record<string, ParamSpec>>, models: Value): Value => {
    if (models.type === 'list')
      return {
        ...models,
        items: models.items.map((item) => (item.type === 'map' ? argumentsIn(specs, item) : item)),
      }
    return models.type === 'map' ? within(models, rules) : models
  }
  const value =
    document.type === 'map' && steps?.type === 'map'
      ? within(document, (inner) => (inner === steps ? within(steps, step) : inner))
      : document
  return { value, problems, open }
}

/** A map with what `change` makes of each of its values. */
const within = (map: MapValue, change: (value: Value) => Value): MapValue => ({
  ...map,
  entries: new Map([...map.entries].map(([key, e]) => [key, { ...e, value: change(e.value) }])),
})
