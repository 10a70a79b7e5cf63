import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { readDocument } from '#src/document/read.js'
import { NO_MODELS } from '#src/importers/find-models.js'
import { importFile } from '#src/importers/index.js'
import { textInput } from '#src/importers/read-input.js'
import { parse } from '#src/recipe/parse.js'

/** Files that other people published, which are not part of this repository. */
const CORPUS = fileURLToPath(new URL('../../../shared/importers/', import.meta.url))

/** Formats of this folder, by the folder of their examples. */
const FORMATS = ['a1111', 'mergekit', 'sd-mecha']

const files = FORMATS.map((format) => join(CORPUS, format))
  .filter((folder) => existsSync(folder))
  .flatMap((folder) => readdirSync(folder).map((name) => join(folder, name)))

describe.skipIf(files.length === 0)('published files', () => {
  test.each(files)('%s is imported, or refused with a sentence', (path) => {
    const result = importFile(textInput(path, readFileSync(path, 'utf8'), NO_MODELS))
    expect(result.type).toBe('ok')
    if (result.type === 'failed') return
    const { recipe, missing, notes } = result.value
    for (const { where, what, why } of missing) expect(`${where}: ${what}: ${why}`).toMatch(/^.+: .+: .{20,}$/)
    for (const { where, text } of notes) expect(`${where}: ${text}`).toMatch(/^.+: .{20,}$/)
    if (recipe === undefined) expect(missing).not.toEqual([])
    else {
      expect(recipe).not.toContain('TODO')
      const source = { path: 'recipe.yaml', text: recipe }
      expect(readDocument(source).diagnostics).toEqual([])
      const wrong = parse(source, {}).diagnostics.filter((d) => d.severity === 'error')
      expect(wrong.map(({ code }) => code)).toEqual(/^presets:/m.test(recipe) ? ['is-presets'] : [])
    }
  })
})
