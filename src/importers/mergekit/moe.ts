import { mergekitLacks, mergekitSays } from '../../base/catalogue/import-mergekit.js'
import type { ForeignMap, ForeignValue } from '../../document/foreign.js'
import type { Yaml } from '../../document/write.js'
import type { DraftBuilder } from '../draft.js'
import type { Field } from '../importer.js'
import { listOf, mapOf, readReference, textOf, type ModelReference } from './config.js'

/** An expert of a mergekit-moe configuration. */
interface Expert {
  readonly model: ModelReference
  readonly map: ForeignMap
  readonly line: number
}

/** The architectures of mergekit-moe, by the beginning of their names, and their layouts here. */
const LAYOUTS: readonly (readonly [name: string, layout: string])[] = [
  ['mixtral', 'mixtral'],
  ['deepseek moe', 'deepseek'],
  ['qwen3 moe', 'qwen3'],
  ['qwen moe', 'qwen2'],
]

/** Ways to make routers that come from running the base model, and how the script is told. */
const HIDDEN: ReadonlyMap<string, string> = new Map([
  ['hidden', ''],
  ['hidden_last', ''],
  ['hidden_avg', ' --average'],
])

const KEYS = new Set('base_model experts gate_mode dtype experts_per_token shared_experts architecture'.split(' '))
const EXPERT_KEYS = new Set('source_model positive_prompts negative_prompts noise_scale residual_scale'.split(' '))

const lineOf = (line: number): string => `line ${line}`

/** The experts of a list; one that names no model is told. */
const readExperts = (draft: DraftBuilder, list: ForeignValue | undefined): readonly Expert[] | undefined => {
  const experts: Expert[] = []
  for (const item of listOf(list) ?? []) {
    const map = mapOf(item)
    const model = readReference(map?.get('source_model'))
    if (map === undefined || model === undefined) {
      draft.missing(lineOf(item.line), 'the entry', mergekitLacks.notModel)
      return undefined
    }
    for (const [key, { line }] of map) if (!EXPERT_KEYS.has(key)) draft.note(lineOf(line), mergekitSays.ignored(key))
    experts.push({ model, map, line: item.line })
  }
  return experts
}

/** The prompts of an expert, as texts; undefined where it has none. */
const promptsOf = (draft: DraftBuilder, map: ForeignMap, key: string): readonly string[] | undefined => {
  const given = map.get(key)
  if (given === undefined || given.value === null) return undefined
  const texts = listOf(given)?.map((item) => textOf(item) ?? '')
  if (texts === undefined) {
    draft.missing(lineOf(given.line), `\`${key}\``, mergekitLacks.promptList)
    return undefined
  }
  // mergekit puts the beginning token in front of an empty text, too.
  if (texts.includes('')) draft.note(lineOf(given.line), mergekitSays.emptyPrompt)
  const told = texts.filter((text) => text !== '')
  return told.length === 0 ? undefined : told
}

const numberOf = (map: ForeignMap, key: string): number | undefined => {
  const value = map.get(key)?.value
  const number = typeof value === 'string' ? Number(value) : value
  return typeof number === 'number' && Number.isFinite(number) ? number : undefined
}

const layoutOf = (draft: DraftBuilder, root: ForeignMap, hasGatedShared: boolean): string | undefined | 'unknown' => {
  const given = root.get('architecture')
  const text = textOf(given)?.toLowerCase()
  if (text === undefined) return hasGatedShared ? 'qwen2' : undefined
  const found = LAYOUTS.filter(([name]) => name.startsWith(text))
  if (found.length === 1) return found[0]![1]
  // Qwen alone is both; the base model decides.
  if (found.length > 1) return undefined
  draft.missing(lineOf(given!.line), `\`architecture: ${textOf(given)}\``, mergekitLacks.noLayout)
  return 'unknown'
}

/** The fields that make the routers. */
const gateFields = (draft: DraftBuilder, root: ForeignMap): readonly Field[] | undefined => {
  const given = root.get('gate_mode')
  const mode = textOf(given) ?? 'hidden'
  const where = lineOf(given?.line ?? root.get('experts')?.line ?? 1)
  if (mode === 'random' || mode === 'uniform_random') {
    draft.note(where, mergekitSays.drawsRouters)
    return [['gates', mode]]
  }
  if (mode === 'cheap_embed') return [['gates', mode]]
  const option = HIDDEN.get(mode)
  if (option === undefined) {
    draft.missing(where, `\`gate_mode: ${mode}\``, mergekitLacks.gateMode)
    return undefined
  }
  draft.header(mergekitSays.routers(option))
  return [['routers', draft.model({ path: 'routers.safetensors', title: 'routers', where })]]
}

/** Adds the step of a mixture; gives its name, or undefined where something of it cannot be said, which is then told. */
export const addMixture = (
  draft: DraftBuilder,
  root: ForeignMap,
  place: (reference: ModelReference) => string,
): string | undefined => {
  for (const [key, { line }] of root) if (!KEYS.has(key)) draft.note(lineOf(line), mergekitSays.ignored(key))
  const base = readReference(root.get('base_model'))
  if (base === undefined) {
    draft.missing(lineOf(root.get('base_model')?.line ?? 1), '`base_model`', mergekitLacks.notModel)
    return undefined
  }
  const [experts, shared] = [readExperts(draft, root.get('experts')), readExperts(draft, root.get('shared_experts'))]
  // The files of a recipe are listed in the order in which they are named first.
  const baseName = place(base)
  for (const { model } of [...(experts ?? []), ...(shared ?? [])]) place(model)
  const gates = gateFields(draft, root)
  if (experts === undefined || shared === undefined || gates === undefined) return undefined
  if (experts.length < 2) {
    draft.missing(lineOf(root.get('experts')?.line ?? 1), '`experts`', mergekitLacks.fewExperts)
    return undefined
  }
  if (shared.length > 1) {
    draft.missing(lineOf(shared[1]!.line), '`shared_experts`', mergekitLacks.sharedExperts)
    return undefined
  }
  const random = gates.some(([key, value]) => key === 'gates' && value !== 'cheap_embed')
  const prompted = (map: ForeignMap, names: readonly [string, string]): readonly (readonly [string, Yaml])[] =>
    random
      ? []
      : names.flatMap((name, i) => {
          const texts = promptsOf(draft, map, i === 0 ? 'positive_prompts' : 'negative_prompts')
          return texts === undefined ? [] : [[name, texts] as const]
        })
  const list = experts.map(({ model, map, line }): Yaml => {
    const fields: (readonly [string, Yaml])[] = [...prompted(map, ['positive', 'negative'])]
    if (!random && !fields.some(([key]) => key === 'positive'))
      draft.missing(lineOf(line), 'the expert', mergekitLacks.noPrompts)
    for (const key of ['noise_scale', 'residual_scale']) {
      const number = numberOf(map, key)
      if (number !== undefined) fields.push([key, number])
    }
    const name = place(model)
    return fields.length === 0 ? name : new Map<string, Yaml>([['model', name], ...fields])
  })
  const own = shared[0]
  const gated = own === undefined ? [] : prompted(own.map, ['shared_positive', 'shared_negative'])
  for (const key of ['noise_scale', 'residual_scale'])
    if (own?.map.get(key)?.value != null)
      draft.missing(lineOf(own.map.get(key)!.line), `\`${key}\``, mergekitLacks.sharedScale)
  // DeepSeek’s shared expert has no gate, and so no prompts.
  const layout = layoutOf(draft, root, own?.map.get('positive_prompts')?.value != null)
  if (layout === 'unknown') return undefined
  if (experts.some(({ map }) => map.get('noise_scale')?.value != null))
    draft.note(lineOf(root.get('experts')!.line), mergekitSays.draws)
  const perToken = numberOf(root, 'experts_per_token')
  return draft.step('mixture', 'model.moe', [
    ['base', baseName],
    ['experts', list],
    ...(own === undefined ? [] : ([['shared', place(own.model)]] as const)),
    ...(layout === undefined ? [] : ([['layout', layout]] as const)),
    ...gates,
    ...gated,
    ...(perToken === undefined || perToken === 2 ? [] : ([['experts_per_token', perToken]] as const)),
  ])
}
