import { escapeControls } from '../base/excerpt.js'
import { commented, writeDocument, type Section, type Yaml } from '../document/write.js'
import { shortReference, type HubReference } from '../hub/reference.js'
import type { DraftEntry, DraftInput, Field, RecipeDraft } from './importer.js'

const safe = (text: string): string =>
  text
    .split(/\r\n|\r|\n/)
    .map(escapeControls)
    .join('\n')

const said = (value: Yaml, comment: string | undefined): Yaml =>
  comment === undefined ? value : commented(value, safe(comment))

const inputs = (list: readonly DraftInput[]): Yaml =>
  new Map(
    list.map(({ name, path, hub, sha256, comment }) => [
      name,
      said(hub !== undefined ? hubEntry(path, hub) : sha256 === undefined ? path : { path, sha256 }, comment),
    ]),
  )

/** A model of a hub: by its short name, where that is a name to smelt too. */
const hubEntry = (path: string, { repository, revision }: HubReference): Yaml =>
  shortReference(path) !== undefined ? path : { hub: repository, ...(revision === undefined ? {} : { revision }) }

const entries = (list: readonly DraftEntry[]): Yaml =>
  new Map(list.map(({ name, fields, comment }) => [name, said(fieldsOf(fields), comment)]))

const fieldsOf = (fields: readonly Field[]): Yaml =>
  new Map(fields.map(([key, value, note]) => [key, said(value, note)]))

/** The text of a drafted recipe, with its comments. */
export const renderDraft = (draft: RecipeDraft): string => {
  const section = (key: string, list: readonly unknown[], value: () => Yaml, levels = 1): readonly Section[] =>
    list.length === 0 ? [] : [{ key, value: value(), levels }]
  return writeDocument(draft.header.map(safe), [
    { key: 'smelt', value: 1 },
    { key: 'name', value: draft.name },
    ...(draft.seed === undefined ? [] : [{ key: 'seed', value: draft.seed }]),
    ...section('params', draft.params, () => new Map(draft.params.map((p) => [p.name, said(p.value, p.comment)]))),
    ...section('models', draft.models, () => inputs(draft.models)),
    ...section('adapters', draft.adapters, () => inputs(draft.adapters)),
    ...(draft.tokenizer === undefined
      ? []
      : [{ key: 'tokenizer', value: fieldsOf(draft.tokenizer), levels: 1 } as const]),
    ...section('steps', draft.steps, () => entries(draft.steps), 2),
    ...section('outputs', draft.outputs, () => entries(draft.outputs), 2),
    ...section('presets', draft.presets, () => new Map(draft.presets.map(({ name, numbers }) => [name, numbers]))),
  ])
}
