import { a1111Lacks, a1111Says } from '../../base/catalogue/import-a1111.js'
import { isObject } from '../../base/is-object.js'
import { createDraft } from '../draft.js'
import type { ModelFinder } from '../find-models.js'
import type { Importer, ImportInput, ImportResult } from '../importer.js'
import type { Merge, MergeContext } from './context.js'
import { bareName, mergeMixer } from './mixer.js'
import { mergeSupermerger } from './supermerger.js'
import { mergeWebui } from './webui.js'

const KINDS: Readonly<Record<string, (context: MergeContext, merge: Merge) => string | undefined>> = {
  webui: mergeWebui,
  'sd-webui-supermerger': mergeSupermerger,
  'sd-webui-model-mixer': mergeMixer,
}

const FOLDER = 'models/Stable-diffusion'

/** True for what a web UI has for a file: its sha256, or the short form of it. */
const isHash = (text: string): boolean => /^[0-9a-f]+$/i.test(text)

const parse = (value: unknown): unknown => {
  if (typeof value !== 'string') return value
  try {
    return JSON.parse(value)
  } catch {
    return undefined
  }
}

/** A name in which `_` may stand for the `/` behind a folder, with that folder where it is there. */
const withFolder = (name: string, finder: ModelFinder): string =>
  [name, ...[...name.matchAll(/_/g)].map(({ index }) => `${name.slice(0, index)}/${name.slice(index + 1)}`)].find(
    (spelling) => {
      const found = finder.find(spelling, FOLDER)
      return found !== undefined && found.others === undefined
    },
  ) ?? name

/** The merge that a file tells of, and the models by hash. */
const mergeOf = ({
  type,
  json,
  metadata,
}: ImportInput): { readonly merge: unknown; readonly models: unknown } | undefined => {
  if (type === 'safetensors')
    return metadata.has('sd_merge_recipe')
      ? { merge: parse(metadata.get('sd_merge_recipe')), models: parse(metadata.get('sd_merge_models')) }
      : undefined
  if (type !== 'json' || !isObject(json)) return undefined
  const inner = isObject(json['__metadata__']) ? json['__metadata__'] : json
  if ('sd_merge_recipe' in inner)
    return { merge: parse(inner['sd_merge_recipe']), models: parse(inner['sd_merge_models']) }
  return typeof json['type'] === 'string' && json['type'] in KINDS ? { merge: json, models: undefined } : undefined
}

const importMerge = (input: ImportInput): ImportResult => {
  const draft = createDraft(input)
  const { merge, models } = mergeOf(input)!
  const known = isObject(models) ? models : {}
  /** Model Mixer refers to models by their names, without folder and ending. */
  const byName = new Map(
    Object.entries(known).flatMap(([hash, entry]) =>
      isObject(entry) && typeof entry['name'] === 'string' ? [[bareName(entry['name']), hash] as const] : [],
    ),
  )
  const open = new Set<string>()
  const made = new Map<string, string | undefined>()

  const model = (hash: unknown, key: string): string | undefined => {
    if (typeof hash !== 'string' || hash === '')
      return draft.missing('the merge', `\`${key}\``, a1111Lacks.noModel) as undefined
    const own = known[hash] === undefined ? (byName.get(bareName(hash)) ?? hash) : hash
    if (!made.has(own)) made.set(own, find(own, key))
    return made.get(own)
  }
  const find = (hash: string, key: string): string | undefined => {
    const entry = known[hash]
    const given = isObject(entry) ? entry['name'] : isHash(hash) ? undefined : hash
    const name = typeof given === 'string' ? given.replace(/ \[\w+\]$/, '') : undefined
    const file =
      name === undefined || /\.(safetensors|ckpt)$/i.test(name) ? name : `${withFolder(name, input.finder)}.safetensors`
    const own = isObject(entry) ? parse(entry['sd_merge_recipe']) : undefined
    if (file !== undefined && isObject(own) && input.finder.find(file, FOLDER) === undefined) {
      if (open.has(hash)) return draft.missing('the merge', file, a1111Lacks.cycle) as undefined
      open.add(hash)
      const result = build(own, file)
      open.delete(hash)
      if (result !== undefined) draft.note(file, a1111Says.rebuilt(file))
      return result
    }
    if (file === undefined) draft.missing('the merge', `\`${key}: ${hash.slice(0, 12)}\``, a1111Lacks.hashOnly)
    return draft.model({
      path: file ?? `${hash.slice(0, 12)}.safetensors`,
      folder: FOLDER,
      where: `\`${key}\``,
      ...(/^[0-9a-f]{64}$/i.test(hash) ? { sha256: hash.toLowerCase() } : {}),
    })
  }
  const build = (given: unknown, where: string): string | undefined => {
    if (!isObject(given)) return draft.missing(where, 'the recipe', a1111Lacks.unreadable) as undefined
    const kind = typeof given['type'] === 'string' ? given['type'] : ''
    const make = Object.hasOwn(KINDS, kind) ? KINDS[kind] : undefined
    const miss = (what: string, why: string): undefined => draft.missing(where, what, why) as undefined
    return make === undefined
      ? miss(`\`type: ${kind}\``, a1111Lacks.type)
      : make({ draft, where, model, known, miss }, given)
  }

  const from = build(merge, 'the merge')
  if (from !== undefined) {
    const title = isObject(merge) && typeof merge['custom_name'] === 'string' ? merge['custom_name'] : ''
    const name = (title || input.title).replace(/[^\w.-]+/g, '-')
    const half = isObject(merge) && merge['save_as_half'] === true
    draft.output('merged', from, `build/${name}.safetensors`, half ? [['dtype', 'f16']] : [])
    draft.header(a1111Says.half)
  }
  return draft.finish()
}

/** Merges in the metadata of models: by the AUTOMATIC1111 web UI, supermerger and Model Mixer. */
export const a1111: Importer = {
  name: 'AUTOMATIC1111 web UI',
  recognises: (input) => mergeOf(input) !== undefined,
  import: importMerge,
}
