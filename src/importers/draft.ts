import { isDeepStrictEqual } from 'node:util'
import type { HubReference } from '../hub/reference.js'
import { nameOfFile } from '../recipe/one-off.js'
import type { ModelFacts } from './model-facts.js'
import type {
  DraftEntry,
  DraftInput,
  DraftParam,
  Field,
  ImportGap,
  ImportInput,
  ImportNote,
  ImportResult,
} from './importer.js'
import { pathHasDollar } from '../base/catalogue/import.js'

/** A model or adapter that the other tool names. */
export interface DraftFile {
  /** The path as the other tool has it; `\` counts as `/`. */
  readonly path: string
  /** The folder in which that tool looks, such as `models/checkpoints`; left out for absolute paths. */
  readonly folder?: string
  /** Where on a hub it is, unless a file or folder has its name. */
  readonly hub?: HubReference | undefined
  /** What to call it, if not by its file. */
  readonly title?: string | undefined
  readonly sha256?: string | undefined
  /** What is said beside it where the path is that of a file or folder. */
  readonly comment?: string | undefined
  /** Where the source names it, for messages. */
  readonly where: string
}

/** Collects a recipe in the order in which it will be written. */
export interface DraftBuilder {
  /** Adds comment lines to the top of the recipe. */
  header(...lines: readonly string[]): void
  seed(seed: number | string): void
  /** Adds a param; gives its name, which a value refers to as `$name`. */
  param(title: string, value: number | string | boolean, comment?: string): string
  /** Adds a model, once for each path; gives its name. */
  model(file: DraftFile): string
  /** Adds an adapter, once for each path; gives its name. */
  adapter(file: DraftFile): string
  /** Adds a step; gives its name, which is made from the title. An equal step without a comment is used again. */
  step(
    title: string,
    op: string,
    fields: readonly Field[],
    comment?: string,
    /** `always` keeps a step that no output needs. */
    options?: { readonly always?: boolean },
  ): string
  /** Says what vocabulary the models are brought to. */
  tokenizer(fields: readonly Field[]): void
  /** The names of the models so far, in their order. */
  modelNames(): readonly string[]
  /** Adds an output of a model or step. */
  output(title: string, from: string, path: string, fields?: readonly Field[], comment?: string): void
  /** Adds block weights with a name, of which a file of presets is made in place of a recipe. */
  preset(name: string, numbers: readonly number[]): void
  /** What a model says of itself; undefined where its file was not found, and of a step. */
  facts(model: string): ModelFacts | undefined
  /** True where a model or adapter is named as a hub has it. */
  usesHub(): boolean
  /** Tells of a difference, once. */
  note(where: string, text: string): void
  /** Tells of what smelt cannot say, once. */
  missing(where: string, what: string, why: string): void
  finish(): ImportResult
}

/** Endings of files that no name needs. */
const endings = /\.(safetensors|ckpt|pt|pth|bin)$/i

const endingOf = (path: string): string | undefined => endings.exec(path)?.[0].toLowerCase()

/** What stands where a path would: `org/name@revision`; undefined without a place on a hub. */
const hubPath = (hub: HubReference | undefined): string | undefined =>
  hub && `${hub.repository}${hub.revision === undefined ? '' : `@${hub.revision}`}`

/** Names that stand in a value: as a text of its own, wherever it is. */
const namesIn = (value: unknown, into: Set<string>): void => {
  if (typeof value === 'string') {
    into.add(value)
    into.add(value.replace(/\.\d+$/, ''))
    if (value.startsWith('$')) into.add(value.slice(1))
    for (const [, name] of value.matchAll(/\$\{([^}]*)\}/g)) for (const word of name!.split(/[^\w-]+/)) into.add(word)
  } else if (Array.isArray(value)) for (const item of value) namesIn(item, into)
  else if (value instanceof Map)
    for (const [key, item] of value) {
      namesIn(key, into)
      namesIn(item, into)
    }
  else if (typeof value === 'object' && value !== null)
    for (const [key, item] of Object.entries(value)) {
      namesIn(key, into)
      namesIn(item, into)
    }
}

/** The entries of which outputs need something, however far away. */
const reachable = (steps: readonly DraftEntry[], outputs: readonly DraftEntry[]): ReadonlySet<string> => {
  const byName = new Map(steps.map((s) => [s.name, s]))
  const found = new Set<string>()
  const queue: (readonly Field[])[] = outputs.map((o) => o.fields)
  for (const fields of queue) {
    const names = new Set<string>()
    for (const [, value] of fields) namesIn(value, names)
    for (const name of names)
      if (!found.has(name)) {
        found.add(name)
        const step = byName.get(name)
        if (step !== undefined) queue.push(step.fields)
      }
  }
  return found
}

/** Begins the recipe for a file. */
export const createDraft = (input: ImportInput): DraftBuilder => {
  const taken = new Set<string>()
  const [header, notes, missing]: [string[], ImportNote[], ImportGap[]] = [[], [], []]
  const files = { models: new Map<string, DraftInput>(), adapters: new Map<string, DraftInput>() }
  const [params, steps, outputs]: [DraftParam[], DraftEntry[], DraftEntry[]] = [[], [], []]
  /** Steps by their fields as JSON, which may be equal where the fields are not. */
  const byFields = new Map<string, readonly DraftEntry[]>()
  const outputNames = new Set<string>()
  const presets = new Map<string, readonly number[]>()
  const always: string[] = []
  const facts = new Map<string, () => ModelFacts>()
  const read = new Map<string, ModelFacts | undefined>()
  let seed: number | string | undefined
  let tokenizer: readonly Field[] | undefined

  const addMissing = (where: string, what: string, why: string): void => {
    if (!missing.some((m) => m.where === where && m.what === what)) missing.push({ where, what, why })
  }
  const addNote = (where: string, text: string): void => {
    if (!notes.some((n) => n.where === where && n.text === text)) notes.push({ where, text })
  }
  const addFile = (kind: 'models' | 'adapters', file: DraftFile): string => {
    const asked = file.path.replaceAll('\\', '/')
    const key = `${file.folder ?? ''}\0${asked}\0${file.hub?.revision ?? ''}`
    const known = files[kind].get(key)
    if (known !== undefined) return known.name
    const found = input.finder.find(asked, file.folder)
    if (found?.others !== undefined) addNote(file.where, found.others)
    const isWhole = file.folder === undefined || /^(\/|~\/|[A-Za-z]:|\.\.?\/)/.test(asked)
    const path = found?.path ?? hubPath(file.hub) ?? (isWhole ? asked : `${file.folder}/${asked}`)
    const hub = found === undefined ? file.hub : undefined
    if (path.includes('$') && !params.some((p) => `$${p.name}` === path)) addMissing(file.where, asked, pathHasDollar)
    const name = nameOfFile((file.title ?? asked.replace(/\/+$/, '').replace(/^.*\//, '')).replace(endings, ''), taken)
    if (found?.facts !== undefined) facts.set(name, found.facts)
    // Another file of the same name has another digest.
    const same = found === undefined || endingOf(found.path) === endingOf(asked)
    const comment = hub === undefined ? file.comment : undefined
    files[kind].set(key, { name, path, hub, sha256: same ? file.sha256 : undefined, comment })
    return name
  }

  return {
    header: (...lines) => {
      for (const line of lines) if (!header.includes(line)) header.push(line)
    },
    seed: (value) => {
      seed = value
    },
    param: (title, value, comment) => {
      const name = nameOfFile(title, taken)
      params.push({ name, value, comment })
      return name
    },
    model: (file) => addFile('models', file),
    adapter: (file) => addFile('adapters', file),
    step: (title, op, fields, comment, options) => {
      const all: readonly Field[] = [['op', op], ...fields]
      const key = JSON.stringify(all, (_, value: unknown) => (value instanceof Map ? [...value] : value))
      const alike = byFields.get(key) ?? []
      const same = alike.find((s) => isDeepStrictEqual(s.fields, all))
      if (same !== undefined) return same.name
      const entry = { name: nameOfFile(title, taken), fields: all, comment }
      steps.push(entry)
      byFields.set(key, [...alike, entry])
      if (options?.always === true) always.push(entry.name)
      return entry.name
    },
    tokenizer: (fields) => {
      tokenizer = fields
    },
    modelNames: () => [...files.models.values()].map(({ name }) => name),
    output: (title, from, path, fields = [], comment) => {
      const name = nameOfFile(title, outputNames)
      outputs.push({ name, fields: [['from', from], ['path', path], ...fields], comment })
    },
    preset: (name, numbers) => {
      presets.set(name, numbers)
    },
    facts: (model) => {
      if (!read.has(model)) read.set(model, facts.get(model)?.())
      return read.get(model)
    },
    usesHub: () => [...files.models.values(), ...files.adapters.values()].some(({ hub }) => hub !== undefined),
    note: addNote,
    missing: addMissing,
    finish: () => {
      const more: readonly Field[] = [['', always], ...(tokenizer ?? [])]
      const needed = reachable(steps, [...outputs, { name: '', fields: more, comment: undefined }])
      const used = <T extends { readonly name: string }>(list: Iterable<T>): readonly T[] =>
        [...list].filter(({ name }) => needed.has(name))
      const models = used(files.models.values())
      const adapters = used(files.adapters.values())
      const named = new Set(needed)
      for (const { path } of [...models, ...adapters]) namesIn(path, named)
      return {
        draft: {
          header,
          name: nameOfFile(input.title, new Set()),
          seed,
          params: params.filter(({ name }) => named.has(name)),
          models,
          adapters,
          tokenizer,
          steps: used(steps),
          outputs,
          presets: [...presets].map(([name, numbers]) => ({ name, numbers })),
        },
        notes,
        missing,
      }
    },
  }
}
