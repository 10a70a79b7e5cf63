import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { NO_MODELS } from '#src/importers/find-models.js'
import { importFile } from '#src/importers/index.js'
import { textInput } from '#src/importers/read-input.js'

test.each([
  ['mergekit', 'config.yml'],
  ['sd-mecha', 'merge.mecha'],
  ['supermerger', 'merged.json'],
])('docs/coming-from-%s.md shows what smelt import makes of its example', (tool, name) => {
  const page = readFileSync(fileURLToPath(new URL(`../../docs/coming-from-${tool}.md`, import.meta.url)), 'utf8')
  const blocks = [...page.matchAll(/^```(\w*)\n([^]*?)^```$/gm)].map(([, language, text]) => ({
    language,
    text: text!,
  }))
  expect(blocks[0]).toMatchObject({ language: 'sh', text: expect.stringMatching(/^smelt import /) })
  const imported = importFile(textInput(name, blocks[1]!.text, NO_MODELS))
  expect(imported.type === 'ok' && imported.value.recipe).toBe(blocks[2]!.text)
  expect(imported.type === 'ok' && imported.value.missing).toEqual([])
})
