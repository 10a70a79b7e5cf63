import { mergekitLacks, mergekitSays } from '../../base/catalogue/import-mergekit.js'
import { isObject } from '../../base/is-object.js'
import { readForeign, type ForeignMap, type ForeignValue } from '../../document/foreign.js'
import { isRepository, shortReference } from '../../hub/reference.js'
import { createDraft, type DraftBuilder, type DraftFile } from '../draft.js'
import type { Importer, ImportInput, ImportResult } from '../importer.js'
import { CHAT_TEMPLATES } from './chat-templates.js'
import { mapOf, readConfig, textOf, unknownKeys, type Config, type ModelReference } from './config.js'
import { addMixture } from './moe.js'
import { addSlices } from './slices.js'
import { addMerge } from './stage.js'
import { addTokenizer } from './tokenizer.js'

/** Keys by which a text is one of another tool of mergekit, and why it cannot be imported. */
const OTHERS = {
  genome: mergekitLacks.evolve,
  layer_slices: mergekitLacks.bakllama,
  metric_method: mergekitLacks.metric,
} as const

const KEY =
  /^(?:yaml|- |\{ *)?["']?(merge_method|experts|gate_mode|genome|layer_slices|metric_method|tokenizer|tokenizer_source)["']?\s*:/m

const DTYPES: ReadonlyMap<string, string> = new Map([
  ['bfloat16', 'bf16'],
  ['float16', 'f16'],
  ['float32', 'f32'],
])

const lineOf = (line: number): string => `line ${line}`

/** The name of a model without what is only about where it lies. */
const titleOf = (path: string): string =>
  /models--([^/\\]+)[/\\]snapshots[/\\]/.exec(path)?.[1]?.replace(/^.*--/, '') ??
  path.replace(/[/\\]+$/, '').replace(/^.*[/\\]/, '')

/** A model or adapter as the recipe is told of it. What has a revision is of the hub, as to mergekit. */
const fileOf = ({ path, revision, line }: ModelReference): DraftFile => ({
  path: path.replace(/^\/+/, '/'),
  title: titleOf(path),
  where: lineOf(line),
  hub:
    shortReference(path) === undefined && (revision === undefined || !isRepository(path))
      ? undefined
      : { repository: path, revision, files: undefined },
  comment: revision === undefined ? undefined : mergekitSays.revision(revision),
})

/** Adds a model, with its adapter applied. */
const placeModel = (draft: DraftBuilder, reference: ModelReference): string => {
  const model = draft.model(fileOf(reference))
  return reference.lora === undefined ? model : applyLora(draft, model, reference.lora)
}

const applyLora = (draft: DraftBuilder, model: string, lora: ModelReference): string => {
  const adapter = draft.adapter(fileOf(lora))
  return draft.step(`${model}_${adapter}`, 'adapter.apply', [
    ['model', model],
    ['adapter', adapter],
  ])
}

/** The chat template of an output; undefined where the configuration has none. */
const templateOf = (draft: DraftBuilder, { root }: Config): string | undefined => {
  const template = root.get('chat_template')
  const text = textOf(template)
  if (text === 'auto' || (text !== undefined && text.length >= 20 && text.includes('{'))) return text
  const shipped = CHAT_TEMPLATES.get(text ?? '')
  if (shipped !== undefined) {
    draft.header(mergekitSays.chatTemplate(text!))
    return shipped
  }
  if (template !== undefined && template.value !== null)
    draft.missing(lineOf(template.line), '`chat_template`', mergekitLacks.chatTemplate)
  return undefined
}

/** The dtype of an output; `same` unless the configuration has one. */
const dtypeOf = (draft: DraftBuilder, { root }: Config): string => {
  const given = root.get('out_dtype')?.value != null ? root.get('out_dtype')! : root.get('dtype')
  const text = textOf(given)?.replace(/^torch\./, '')
  if (text === undefined) return 'same'
  const dtype = DTYPES.get(text)
  if (dtype === undefined) draft.missing(lineOf(given!.line), `\`dtype: ${text}\``, mergekitLacks.dtype)
  return dtype ?? 'same'
}

/** The folder of an output. mergekit is given one on the command line; the name of the file keeps two imports apart. */
const folderOf = (title: string): string => `build/${title.replace(/[^\w.-]+|^\.+/g, '-')}/`

/** Adds the steps of every document that outputs need, and the outputs. */
const addConfigs = (draft: DraftBuilder, configs: readonly Config[], file: string): void => {
  const stages = new Map<string, Config>()
  for (const config of configs)
    if (config.name !== undefined) {
      if (stages.has(config.name)) {
        draft.missing(lineOf(config.line), `\`name: ${config.name}\``, mergekitLacks.sameName)
        return
      }
      stages.set(config.name, config)
    }
  const made = new Map<Config, string | undefined>()
  const open = new Set<Config>()
  const used = new Set<Config>()

  const place = (reference: ModelReference): string | undefined => {
    const stage = stages.get(reference.path)
    if (stage === undefined) return placeModel(draft, reference)
    used.add(stage)
    const name = make(stage)
    return name === undefined || reference.lora === undefined ? name : applyLora(draft, name, reference.lora)
  }
  const make = (config: Config): string | undefined => {
    if (made.has(config)) return made.get(config)
    if (open.has(config)) {
      draft.missing(lineOf(config.line), `\`${config.name ?? ''}\``, mergekitLacks.cycle)
      return undefined
    }
    open.add(config)
    const name = build(config)
    open.delete(config)
    made.set(config, name)
    return name
  }
  /** The model whose config and tokenizer mergekit writes: the base, or the first; of a stage, that of the stage. */
  const donorOf = ({ base, models, slices }: Config, seen = new Set<string>()): ModelReference | undefined => {
    const donor = base ?? models?.[0]?.model ?? slices?.[0]?.sources[0]?.model
    const stage = donor === undefined ? undefined : stages.get(donor.path)
    if (stage === undefined || seen.has(donor!.path)) return donor
    return donorOf(stage, seen.add(donor!.path))
  }
  const build = (config: Config): string | undefined => {
    const title = config.name ?? 'merged'
    if (config.root.has('modules') && config.root.get('modules')!.value !== null) {
      draft.missing(lineOf(config.root.get('modules')!.line), '`modules`', mergekitLacks.modules)
      return undefined
    }
    const [unreadable] = config.unreadable
    if (unreadable !== undefined) {
      draft.missing(lineOf(unreadable), 'the entry', mergekitLacks.notModel)
      return undefined
    }
    const older = config.root.get('input_model_parameters')
    if (older !== undefined && older.value !== null) {
      draft.missing(lineOf(older.line), '`input_model_parameters`', mergekitLacks.olderParameters)
      return undefined
    }
    for (const [key, line] of unknownKeys(config)) draft.note(lineOf(line), mergekitSays.ignored(key))
    if (config.slices !== undefined) {
      return addSlices(draft, config, config.slices, title, place)
    }
    if (config.models === undefined) {
      draft.missing(
        lineOf(config.line),
        config.method === '' ? 'the file' : `\`${config.method}\``,
        mergekitLacks.noInputs,
      )
      return undefined
    }
    const { base, models: sources } = config
    return addMerge(draft, { config, title, base, sources, parameters: undefined, slice: undefined }, place)
  }

  const placeWhole = (reference: ModelReference): string | undefined =>
    stages.has(reference.path) ? undefined : placeModel(draft, { ...reference, lora: undefined })

  const unnamed = configs.filter((c) => c.name === undefined)
  const results = unnamed.length > 0 ? unnamed : configs
  for (const config of results) make(config)
  addTokenizer(draft, configs, placeWhole)
  const final = unnamed.length > 0 ? unnamed : configs.filter((c) => !used.has(c))
  if (unnamed.length === 0 && configs.length > 1) draft.note('the file', mergekitSays.allNamed)
  const precisions = new Set<string>()
  if (draft.usesHub()) draft.header(mergekitSays.download)
  for (const config of final) {
    const from = made.get(config)
    if (from === undefined) continue
    const dtype = dtypeOf(draft, config)
    const title = config.name ?? 'merged'
    const donor = donorOf(config)
    const template = templateOf(draft, config)
    draft.output(title, from, folderOf(config.name ?? file), [
      ...(dtype === 'same' ? [] : [['dtype', dtype] as const]),
      // The files are those of the model, whatever adapter it is merged with.
      ...(donor === undefined ? [] : [['files', placeModel(draft, { ...donor, lora: undefined })] as const]),
      ...(template === undefined ? [] : [['chat_template', template] as const]),
    ])
  }
  if (configs.length > 1 && final.some((c) => made.get(c) !== undefined)) draft.header(mergekitSays.unroundedStages)
  for (const config of made.keys()) {
    const dtype = textOf(config.root.get('dtype'))?.replace(/^torch\./, '')
    if (dtype !== undefined && dtype !== 'float32' && config.method !== 'passthrough') precisions.add(dtype)
  }
  for (const dtype of precisions) draft.header(mergekitSays.precision(dtype))
}

const refuseOther = (draft: DraftBuilder, root: ForeignMap): boolean => {
  for (const [key, why] of Object.entries(OTHERS)) {
    const found = [...root].find(([name]) => name === key || name === `yaml${key}`)
    if (found !== undefined && !root.has('merge_method')) {
      draft.missing(lineOf(found[1].line), `\`${key}\``, why)
      return true
    }
  }
  if (root.has('merge_method')) return false
  const [first] = root
  draft.missing(lineOf(first?.[1].line ?? 1), 'the file', mergekitLacks.fragment)
  return true
}

/** A configuration of mergekit-moe; `yaml` in front of its first key is left of a model card. */
const isMixture = (root: ForeignMap): boolean =>
  !root.has('merge_method') && [...root.keys()].some((key) => /^(?:yaml)?(?:experts|gate_mode)$/.test(key))

const addMixtureConfig = (draft: DraftBuilder, given: ForeignMap, file: string): void => {
  const root = new Map([...given].map(([key, value]) => [key.replace(/^yaml(?=[a-z])/, ''), value]))
  const name = addMixture(draft, root, (reference) => placeModel(draft, reference))
  if (name === undefined) return
  if (draft.usesHub()) draft.header(mergekitSays.download)
  const config = readConfig({ line: 1, value: root })
  const dtype = dtypeOf(draft, config)
  draft.output('mixture', name, folderOf(file), [
    ...(dtype === 'same' ? [] : [['dtype', dtype] as const]),
    ...(config.base === undefined ? [] : [['files', placeModel(draft, { ...config.base, lora: undefined })] as const]),
  ])
}

const importText = (input: ImportInput): ImportResult => {
  const draft = createDraft(input)
  const { documents, errors, twice } = readForeign(input.text)
  for (const { line, message } of errors.slice(0, 3))
    draft.missing(lineOf(line), 'the file', mergekitLacks.yaml(message))
  for (const { line, key } of twice.slice(0, 1)) draft.missing(lineOf(line), `\`${key}\``, mergekitLacks.twice)
  if (errors.length > 0 || twice.length > 0) return draft.finish()
  // A line `---` at the end begins a document with nothing in it.
  const filled = documents.filter((d) => d.value !== null)
  const roots = filled.filter((d: ForeignValue) => mapOf(d) !== undefined)
  if (roots.length < filled.length || roots.length === 0) {
    draft.missing(lineOf(filled.find((d) => mapOf(d) === undefined)?.line ?? 1), 'the file', mergekitLacks.fragment)
    return draft.finish()
  }
  if (roots.length === 1 && isMixture(mapOf(roots[0]!)!)) {
    addMixtureConfig(draft, mapOf(roots[0]!)!, input.title)
    return draft.finish()
  }
  if (roots.some((root) => refuseOther(draft, mapOf(root)!))) return draft.finish()
  addConfigs(draft, roots.map(readConfig), input.title)
  return draft.finish()
}

/** Configurations of mergekit: single, and several documents. */
export const mergekit: Importer = {
  name: 'mergekit',
  recognises: ({ type, text, json }) =>
    type === 'text'
      ? KEY.test(text)
      : type === 'json' &&
        isObject(json) &&
        ['merge_method', 'experts', 'gate_mode', ...Object.keys(OTHERS)].some((key) => key in json),
  import: importText,
}
