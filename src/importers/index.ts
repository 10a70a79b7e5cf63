import {
  differsHeading,
  differsLine,
  importedFrom,
  lacksHeading,
  lacksLine,
  notImportable,
} from '../base/catalogue/import.js'
import { failed, ok, type Result } from '../base/result.js'
import { comfyui } from './comfyui/index.js'
import type { Importer, ImportInput, ImportResult } from './importer.js'
import { mergekit } from './mergekit/index.js'
import { sdMecha } from './sd-mecha/index.js'
import { renderDraft } from './render.js'

/** Every importer; the first that recognises a file reads it. */
export const importers: readonly Importer[] = [sdMecha, mergekit, comfyui]

/** An imported file: the recipe's text, undefined where nothing is left that could be built. */
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
      notImportable(input.path, input.type === 'png' || input.type === 'safetensors' ? 'no-metadata' : 'unknown'),
    )
  const { draft, notes, missing } = importer.import(input)
  const header = [
    importedFrom(input.path.replace(/^.*[/\\]/, ''), importer.name),
    ...draft.header,
    ...(notes.length === 0 ? [] : ['', differsHeading, ...notes.map((n) => differsLine(n.where, n.text))]),
    ...(missing.length === 0 ? [] : ['', lacksHeading, ...missing.map((m) => lacksLine(m.where, m.what, m.why))]),
  ]
  return ok({
    tool: importer.name,
    recipe: draft.outputs.length === 0 ? undefined : renderDraft({ ...draft, header }),
    notes,
    missing,
  })
}
