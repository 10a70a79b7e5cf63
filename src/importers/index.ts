import {
  differsHeading,
  differsLine,
  emptyFile,
  importedFrom,
  lacksHeading,
  lacksLine,
  notImportable,
} from '../base/catalogue/import.js'
import { failed, ok, type Result } from '../base/result.js'
import { a1111 } from './a1111/index.js'
import { supermergerPresets } from './a1111/presets.js'
import { comfyui } from './comfyui/index.js'
import type { Importer, ImportGap, ImportInput, ImportResult } from './importer.js'
import { mergekit } from './mergekit/index.js'
import { sdMecha } from './sd-mecha/index.js'
import { renderDraft } from './render.js'

/** Every importer; the first that recognises a file reads it. */
export const importers: readonly Importer[] = [sdMecha, a1111, mergekit, comfyui, supermergerPresets]

/** Said of a file in which there is nothing to say. */
const EMPTY: ImportGap = emptyFile

/** An imported file: the text of the recipe or of the file of presets, undefined where nothing is left to write. */
export interface Imported extends Pick<ImportResult, 'notes' | 'missing'> {
  /** The tool whose file it is. */
  readonly tool: string
  readonly recipe: string | undefined
}

/** Makes a recipe of a file of another tool. */
export const importFile = (input: ImportInput, known: readonly Importer[] = importers): Result<Imported> => {
  const importer = known.find((i) => i.recognises(input))
  if (importer === undefined)
    return failed(
      notImportable(input.path, input.type === 'picture' || input.type === 'safetensors' ? 'no-metadata' : 'unknown'),
    )
  const { draft, notes, missing: told } = importer.import(input)
  const isEmpty = draft.outputs.length === 0 && draft.presets.length === 0
  const missing = isEmpty && told.length === 0 ? [EMPTY] : told
  const header = [
    importedFrom(input.path.replace(/^.*[/\\]/, ''), importer.name),
    ...draft.header,
    ...(notes.length === 0 ? [] : ['', differsHeading, ...notes.map((n) => differsLine(n.where, n.text))]),
    ...(missing.length === 0
      ? []
      : ['', lacksHeading(draft.presets.length === 0), ...missing.map((m) => lacksLine(m.where, m.what, m.why))]),
  ]
  return ok({
    tool: importer.name,
    recipe: isEmpty ? undefined : renderDraft({ ...draft, header }),
    notes,
    missing,
  })
}
