import { mergekitLacks, mergekitSays } from '../../base/catalogue/import-mergekit.js'
import type { ForeignValue } from '../../document/foreign.js'
import type { Yaml } from '../../document/write.js'
import type { DraftBuilder } from '../draft.js'
import type { Field } from '../importer.js'
import { mapOf, readReference, textOf, type Config } from './config.js'
import type { Place } from './stage.js'

const lineOf = (line: number): string => `line ${line}`

/** What a configuration says of its tokenizer: the source, and the section with the rest. */
interface Section {
  readonly at: ForeignValue
  readonly source: ForeignValue | undefined
  readonly rest: ReadonlyMap<string, ForeignValue>
}

const NONE: ReadonlyMap<string, ForeignValue> = new Map()

const isGiven = (value: ForeignValue | undefined): value is ForeignValue => value !== undefined && value.value !== null

/** The section of a configuration; undefined where it has none, or, once that is told, two. */
const sectionOf = (draft: DraftBuilder, { root }: Config): Section | undefined => {
  const [source, section] = [root.get('tokenizer_source'), root.get('tokenizer')]
  if (isGiven(source) && isGiven(section)) {
    draft.missing(lineOf(section.line), '`tokenizer`', mergekitLacks.twoTokenizers)
    return undefined
  }
  if (isGiven(source)) return { at: source, source, rest: NONE }
  if (!isGiven(section)) return undefined
  const rest = mapOf(section)
  if (rest === undefined) {
    draft.missing(lineOf(section.line), '`tokenizer`', mergekitLacks.tokenizerNotMap)
    return undefined
  }
  return { at: section, source: isGiven(rest.get('source')) ? rest.get('source') : undefined, rest }
}

/** Plain data of a value, to compare. */
const plain = (value: unknown): unknown => {
  if (value instanceof Map) return [...value].map(([key, item]) => [key, plain((item as ForeignValue).value)])
  return Array.isArray(value) ? value.map((item: ForeignValue) => plain(item.value)) : value
}

/** Where the row of a token comes from; undefined where that cannot be said. */
const sourceOf = (value: ForeignValue, place: Place): Yaml | undefined => {
  const map = mapOf(value)
  const kind = textOf(map?.get('kind'))
  if (kind === 'zero') return 'zero'
  const reference = readReference(kind === 'model_token' ? map!.get('model') : value)
  const model = reference === undefined ? undefined : place(reference)
  if (model === undefined || kind !== 'model_token') return kind === undefined ? model : undefined
  const [token, id] = [textOf(map!.get('token')), map!.get('token_id')?.value]
  if ((token === undefined) === (typeof id !== 'number')) return undefined
  return new Map<string, Yaml>([['model', model], token === undefined ? ['id', Number(id)] : ['token', token]])
}

const tokensOf = (draft: DraftBuilder, section: Section, place: Place): Yaml | undefined => {
  const tokens = new Map<string, Yaml>()
  for (const [token, value] of mapOf(section.rest.get('tokens')) ?? []) {
    const map = mapOf(value) ?? NONE
    const [source, force] = [map.get('source'), map.get('force')?.value === true]
    const from = isGiven(source) ? sourceOf(source, place) : undefined
    if (isGiven(source) && from === undefined) {
      draft.missing(lineOf(value.line), `\`${token}\``, mergekitLacks.tokenSource)
      continue
    }
    tokens.set(
      token,
      new Map<string, Yaml>([
        ...(from === undefined ? [] : [['from', from] as const]),
        ...(force && from !== undefined ? [['force', true] as const] : []),
      ]),
    )
  }
  return tokens.size === 0 ? undefined : tokens
}

/** Brings the models to the vocabulary that the configurations ask for; `place` names models that are no stages. */
export const addTokenizer = (draft: DraftBuilder, configs: readonly Config[], place: Place): void => {
  const sections = configs.map((config) => sectionOf(draft, config))
  const [index] = sections.flatMap((s, i) => (s === undefined ? [] : [i]))
  if (index === undefined) return
  const [config, section] = [configs[index]!, sections[index]!]
  const where = lineOf(section.at.line)
  if (new Set(sections.map((s) => JSON.stringify([plain(s?.source?.value), plain(s?.rest)]))).size > 1)
    return draft.missing(where, '`tokenizer`', mergekitLacks.tokenizersOfStages)
  const source = textOf(section.source)
  const isMode = section.source === undefined || source === 'union' || source === 'base'
  const reference = isMode ? undefined : readReference(section.source)
  const owner = reference === undefined ? undefined : place(reference)
  const base = config.base ?? config.models?.[0]?.model ?? config.slices?.[0]?.sources[0]?.model
  const baseName = base === undefined ? undefined : place(base)
  if ((!isMode && owner === undefined) || baseName === undefined)
    return draft.missing(where, '`tokenizer`', mergekitLacks.tokenizerOfStage)
  const pad = section.rest.get('pad_to_multiple_of')?.value
  const tokens = tokensOf(draft, section, place)
  const fields: Field[] = [
    ['from', isMode ? (source ?? 'union') : owner!],
    ...(draft.modelNames()[0] === baseName ? [] : [['base', baseName] as const]),
    ...(tokens === undefined ? [] : [['tokens', tokens] as const]),
    typeof pad === 'number' && pad >= 1 ? ['pad_to', pad] : ['pad_to', 1, mergekitSays.exactRows],
  ]
  if (isMode && source !== 'base') draft.note(where, mergekitSays.newIds)
  draft.tokenizer(fields)
}
