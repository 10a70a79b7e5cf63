/** The small files of a model's folder that are read for folders that a recipe writes. */
export interface ModelFolder {
  /** What is copied, by name, in order; `config.json` among them. */
  readonly files: ReadonlyMap<string, Uint8Array>
  /** The text of its model card; undefined where it has none. */
  readonly card: string | undefined
  /** True where further chat templates stand in a folder of their own. */
  readonly moreTemplates?: boolean
}

/** The name of the file that tells how to load a model. */
export const CONFIG = 'config.json'
/** The name of the file with the settings of generation. */
export const GENERATION = 'generation_config.json'
/** The name of the folder with further chat templates. */
export const MORE_TEMPLATES = 'additional_chat_templates'
/** The name of the model card. */
export const CARD = 'README.md'

const NAMES: ReadonlySet<string> = new Set([
  CONFIG,
  'added_tokens.json',
  'chat_template.jinja',
  'chat_template.json',
  GENERATION,
  'merges.txt',
  'preprocessor_config.json',
  'processor_config.json',
  'sentencepiece.bpe.model',
  'special_tokens_map.json',
  'spiece.model',
  'tekken.json',
  'tokenizer.json',
  'tokenizer.model',
  'tokenizer_config.json',
  'video_preprocessor_config.json',
  'vocab.json',
  'vocab.txt',
])
/** Code that a config may name under `auto_map`. */
const CODE = /^\w+\.py$/
const LICENCE = /^(?:licen[cs]e|notice|use_policy)(?:[._-][\w.-]*)?$/i

/** True for a file beside a model that belongs to a copy of it. */
export const isSideFile = (name: string): boolean => NAMES.has(name) || CODE.test(name) || LICENCE.test(name)

/** True for a file beside a model that a build may read: those of a copy, and the model card. */
export const isBeside = (name: string): boolean => name === CARD || isSideFile(name)

const CACHED = /(?:^|\/)models--([^/]+)--([^/]+)\/snapshots\/[^/]+$/
const BELOW_MODELS = /(?:^|\/)models\/([\w.-]+)\/([\w.-]+)$/

/** The id that a model has on a hub, as its path shows it: in a cache of downloads, or as `models/ORG/NAME`. */
export const hubIdOf = (path: string): string | undefined => {
  const folder = path.replaceAll('\\', '/').replace(/\/(?:[^/]*\.(?:safetensors|json|bin))?$/, '')
  const [, org, name] = CACHED.exec(folder) ?? BELOW_MODELS.exec(folder) ?? []
  return org === undefined || name === undefined || /^\.+$/.test(org) || /^\.+$/.test(name)
    ? undefined
    : `${org}/${name}`
}

/** Leaves out code that no config names: only that which a config names belongs to the model. */
export const withoutOtherCode = (files: ReadonlyMap<string, Uint8Array>): ReadonlyMap<string, Uint8Array> => {
  const isNamed = [...files].some(
    ([name, bytes]) => name.endsWith('.json') && Buffer.from(bytes).includes('"auto_map"'),
  )
  return isNamed ? files : new Map([...files].filter(([name]) => !CODE.test(name)))
}
