import { existsSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import {
  importDiffers,
  importExists,
  importLacks,
  importNotYaml,
  importOntoItself,
  modelsNotFolder,
  nothingImported,
} from '../base/catalogue/import.js'
import { exitCode, type Diagnostic } from '../base/diagnostic.js'
import { resolvePath } from '../base/resolve-path.js'
import { findModels, NO_MODELS } from '../importers/find-models.js'
import { importFile } from '../importers/index.js'
import { modelFolders } from '../importers/model-folders.js'
import { readInput } from '../importers/read-input.js'
import { folderObstacle, obstacleAt } from '../safetensors/obstacle.js'
import { writeOutput } from '../safetensors/output.js'
import { toJsonText } from '../view/json.js'
import type { Console } from './console.js'

/** What `smelt import` takes besides the file. */
export interface ImportFlags {
  readonly output?: string
  readonly models: readonly string[]
  readonly force?: boolean
  readonly json?: boolean
}

/** The exit code where a recipe was written that lacks something. */
export const INCOMPLETE = 5

/** True where two paths are one file, by whatever name. */
const isSame = (x: string, y: string): boolean => {
  try {
    const [a, b] = [statSync(x, { bigint: true }), statSync(y, { bigint: true })]
    return a.dev === b.dev && a.ino === b.ino
  } catch {
    return false
  }
}

/** `smelt import`: a recipe from a file of another tool. */
export const importRecipe = async (console: Console, path: string, flags: ImportFlags): Promise<number> => {
  const refuse = (...problems: readonly Diagnostic[]): number => {
    console.tell(problems)
    return exitCode(problems)
  }
  const from = resolvePath(console.cwd, path)
  const out = flags.output === undefined ? undefined : resolvePath(console.cwd, flags.output)
  const folders = flags.models.map((folder) => modelFolders(resolvePath(console.cwd, folder), process.env))
  const notFolder = flags.models.find((_, i) => folders[i]!.length === 0)
  if (notFolder !== undefined) return refuse(modelsNotFolder(notFolder))
  const roots = folders.flat()
  if (out !== undefined && !/\.(ya?ml|json)$/i.test(out)) return refuse(importNotYaml(flags.output!))
  if (out !== undefined && isSame(from, out)) return refuse(importOntoItself(path))
  if (out !== undefined && flags.force !== true && existsSync(out)) return refuse(importExists(flags.output!))
  const home = out === undefined ? console.cwd : dirname(out)
  const input = await readInput(path, from, roots.length === 0 ? NO_MODELS : await findModels(roots, home))
  if (input.type === 'failed') return refuse(...input.diagnostics)
  const imported = importFile(input.value)
  if (imported.type === 'failed') return refuse(...imported.diagnostics)
  const { recipe, notes, missing, tool } = imported.value
  const problems = [
    ...notes.map(({ where, text }) => importDiffers(where, text)),
    ...missing.map(({ where, what, why }) => importLacks(where, what, why, recipe !== undefined)),
    ...(recipe === undefined ? [nothingImported(path)] : []),
  ]
  if (recipe !== undefined && out !== undefined) {
    const at = { type: 'file' as const, path: out }
    const obstacle = obstacleAt(out, flags.output!, at) ?? folderObstacle(out, flags.output!, at, true)
    if (obstacle !== undefined) return refuse(obstacle)
    const written = await writeOutput(out, Buffer.from(recipe), { fresh: flags.force !== true })
    if (written.type === 'failed')
      return refuse(...(flags.force !== true && existsSync(out) ? [importExists(flags.output!)] : written.diagnostics))
  }
  if (flags.json === true)
    console.out(toJsonText({ type: 'import', tool, recipe: recipe ?? null, out: out ?? null, notes, missing }))
  else {
    console.tell(problems)
    if (recipe !== undefined) console.out(out === undefined ? recipe : `${flags.output!}\n`)
  }
  return recipe === undefined ? exitCode(problems) : missing.length > 0 ? INCOMPLETE : 0
}
