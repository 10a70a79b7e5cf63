import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { staleFile } from '../base/catalogue/operators.js'
import { clusterSchema } from '../cluster/cluster-schema.js'
import { shareSchemas } from '../document/share-schemas.js'
import { operators } from '../operators/index.js'
import { adaptersDocument } from '../operators/adapters-page.js'
import { methodsDocument } from '../operators/methods-page.js'
import { operatorsDocument } from '../operators/page.js'
import { partSchema } from '../recipe/part-schema.js'
import { presetsFileSchema } from '../recipe/presets-schema.js'
import { recipeSchema } from '../recipe/schema.js'
import { lockSchema } from '../store/lock-schema.js'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))

/** The generated files, by path in the repository. */
export const generated = (): Readonly<Record<string, string>> => ({
  'schema/recipe.schema.json': `${JSON.stringify(shareSchemas(recipeSchema(operators, { editor: true })), null, 1)}\n`,
  'schema/part.schema.json': `${JSON.stringify(partSchema(operators, { editor: true }), null, 1)}\n`,
  'schema/presets.schema.json': `${JSON.stringify(presetsFileSchema({ editor: true }), null, 1)}\n`,
  'schema/cluster.schema.json': `${JSON.stringify(clusterSchema({ editor: true }), null, 1)}\n`,
  'schema/lock.schema.json': `${JSON.stringify(lockSchema, null, 1)}\n`,
  'docs/adapters.md': adaptersDocument(),
  'docs/operators.md': operatorsDocument(operators),
  'docs/methods.md': methodsDocument(operators),
})

const readIfThere = (path: string): string | undefined => {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
}

/** The generated files below a folder that are out of date. */
export const findStale = (root: string): readonly string[] =>
  Object.entries(generated())
    .filter(([path, text]) => readIfThere(join(root, path)) !== text)
    .map(([path]) => path)

/** Writes the generated files below a folder. */
export const writeGenerated = (root: string): void => {
  for (const [path, text] of Object.entries(generated())) {
    mkdirSync(dirname(join(root, path)), { recursive: true })
    writeFileSync(join(root, path), text)
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const stale = process.argv.includes('--check') ? findStale(ROOT) : (writeGenerated(ROOT) ?? [])
  for (const path of stale) process.stderr.write(`${staleFile(path).message}; ${staleFile(path).help}\n`)
  process.exitCode = stale.length > 0 ? 1 : 0
}
