import { mechaLacks, mechaSays } from '../../base/catalogue/import-sd-mecha.js'
import { createDraft } from '../draft.js'
import type { Importer, ImportInput, ImportResult } from '../importer.js'
import { createEvaluator } from './evaluate.js'
import { isMecha, readMecha } from './read.js'

/** sd-mecha's recipe in the metadata of what it wrote. */
const EMBEDDED = 'mecha_recipe'

const recipeOf = ({ type, text, metadata }: ImportInput): string | undefined =>
  type === 'safetensors' ? metadata.get(EMBEDDED) : type === 'text' && isMecha(text) ? text : undefined

const importRecipe = (input: ImportInput): ImportResult => {
  const draft = createDraft(input)
  const { version, instructions, errors } = readMecha(recipeOf(input) ?? '')
  for (const { line, text } of errors.slice(0, 3)) draft.missing(`line ${line}`, 'this line', mechaLacks.syntax(text))
  if (errors.length > 0) return draft.finish()
  const last = instructions.at(-1)
  if (last === undefined) {
    draft.missing('line 1', 'the recipe', mechaLacks.noInstructions)
    return draft.finish()
  }
  const { result } = createEvaluator(draft, instructions, version !== undefined)
  const made = result()
  if (made !== undefined) {
    draft.output('merged', made.name, `build/${input.title.replace(/[^\w.-]+/g, '-')}.safetensors`, [
      made.dtype === undefined ? ['dtype', 'f16', mechaSays.dtype] : ['dtype', made.dtype],
      ...(made.delta ? [['delta', true] as const] : []),
    ])
    draft.header(mechaSays.rounded)
  }
  return draft.finish()
}

/** Recipes of sd-mecha, 0.0 to 1.x: `.mecha` files, and the metadata of merged models. */
export const sdMecha: Importer = {
  name: 'sd-mecha',
  recognises: (input) => recipeOf(input) !== undefined,
  import: importRecipe,
}
