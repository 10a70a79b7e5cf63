import { dirname, join } from 'node:path'
import { documentTooLarge } from '../base/catalogue/document.js'
import { A_PART } from '../base/catalogue/parts.js'
import { PRESETS_FILE } from '../base/catalogue/presets.js'
import type { Source } from '../base/diagnostic.js'
import { resolvePath } from '../base/resolve-path.js'
import { failed, type Result } from '../base/result.js'
import { readDocument } from '../document/read.js'
import { MOST_BYTES, toSource } from '../document/source.js'
import { usedFiles } from '../recipe/parts.js'
import { partPath, type Parts } from '../recipe/used-texts.js'
import { openingProblem } from '../safetensors/open.js'
import { readRegular } from '../safetensors/regular-file.js'

/** Reads a file that is a document: a recipe, a part or a file of presets. `path` is shown in messages. */
export const readSource = async (path: string, wanted: string): Promise<Result<Source>> => {
  const absolute = resolvePath('', path)
  const limits = {
    wanted,
    most: MOST_BYTES,
    tooLarge: (size: number) => documentTooLarge(path, size, MOST_BYTES),
  }
  const read = await readRegular(absolute, limits).catch(async (error: unknown) =>
    failed(await openingProblem(error, absolute, /\.ya?ml$/i)),
  )
  return read.type === 'failed' ? read : toSource(path, read.value)
}

/** The path of a part or file of presets that a person would write to open it from where they opened the recipe. */
export const shownPart = (part: string, recipe: string): string =>
  part.startsWith('~') ? part : join(part.startsWith('/') ? '' : dirname(recipe), part)

/**
 * Reads the files of all parts and presets that a recipe uses, and those that they use, each once. What cannot be read is told where
 * it is used.
 */
export const readParts = async (recipe: Source): Promise<Parts> => {
  const parts = new Map<string, Result<Source>>()
  const readUsed = async (source: Source, user: string): Promise<void> => {
    const document = /\b(use|presets)\b/.test(source.text) ? readDocument(source) : undefined
    if (document?.type !== 'ok') return
    for (const used of usedFiles(document.value)) {
      const path = partPath(used.path, user)
      if (parts.has(path)) continue
      const read = await readSource(shownPart(path, recipe.path), used.is === 'part' ? A_PART : PRESETS_FILE)
      parts.set(path, read)
      if (read.type === 'ok' && used.is === 'part') await readUsed(read.value, path)
    }
  }
  await readUsed(recipe, 'recipe')
  return parts
}
