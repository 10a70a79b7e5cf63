// How the program that is measured is called.
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The compiled program of this folder. */
export const PROGRAM = fileURLToPath(new URL('../dist/bin/smelt.js', import.meta.url))

/** Workers that every measured build uses. */
export const WORKERS = 2

/**
 * Writes a recipe into a new folder `work`, so that no build finds the traces of an earlier one; gives the recipe's
 * path.
 */
export const placeRecipe = (work, text, parts = {}) => {
  mkdirSync(join(work, 'parts'), { recursive: true })
  const path = join(work, 'recipe.yaml')
  writeFileSync(path, text)
  for (const [name, part] of Object.entries(parts)) writeFileSync(join(work, 'parts', name), part)
  return path
}

/** The command that builds a recipe. */
export const buildCommand = (program, path) => [
  process.execPath,
  program,
  'build',
  path,
  '--quiet',
  '--workers',
  String(WORKERS),
]

/** The environment of a run: nothing kept from other runs, nothing looked up on the network. */
export const cleanEnvironment = (work) => ({
  XDG_CACHE_HOME: join(work, 'cache'),
  HF_HUB_OFFLINE: '1',
  TRANSFORMERS_OFFLINE: '1',
})
