import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { inFolder, readTensors } from './build-run.js'
import { runHere } from './run-here.js'
import { writeSafetensors, type TensorValues } from './write-safetensors.js'

/** Numbers by tensor, of any shape. */
export type Numbers = Readonly<Record<string, readonly number[]>>

/** What importing and building a file gave. */
export interface ImportedBuild {
  /** The exit code of the import. */
  readonly code: number
  readonly recipe: string
  /** What the import, the check and the build said. */
  readonly screen: string
  /** The numbers of the first output. */
  readonly numbers: Numbers
  /** Its config.json, where it is a folder that has one. */
  readonly config: string | undefined
}

/** A shape of two dimensions for a list of numbers: rows of two, where they fit. */
const shapeOf = (values: readonly number[]): readonly number[] =>
  values.length % 2 === 0 && values.length > 2 ? [values.length / 2, 2] : [values.length]

/**
 * Imports a file beside some models (tensors) and other files (texts), checks the recipe and builds it, as a person does. Throws what was said where any
 * of it fails.
 */
export const importAndBuild = (
  name: string,
  content: string | Uint8Array,
  models: Readonly<Record<string, string | Readonly<Record<string, readonly number[] | TensorValues>>>>,
  args: readonly string[] = [],
): Promise<ImportedBuild> =>
  inFolder(async (folder) => {
    for (const [path, tensors] of Object.entries(models)) {
      mkdirSync(dirname(join(folder, path)), { recursive: true })
      if (typeof tensors === 'string') {
        writeFileSync(join(folder, path), tensors)
        continue
      }
      writeSafetensors(
        join(folder, path),
        Object.fromEntries(
          Object.entries(tensors).map(([tensor, given]) => [
            tensor,
            'dtype' in given ? given : { dtype: 'F32', shape: shapeOf(given), values: given },
          ]),
        ),
      )
    }
    writeFileSync(join(folder, name), content)
    const imported = await runHere(folder, ['import', name, '-o', 'recipe.yaml', ...args])
    if (![0, 5].includes(imported.code)) throw new Error(imported.screen)
    const recipe = readFileSync(join(folder, 'recipe.yaml'), 'utf8')
    const checked = await runHere(folder, ['check', 'recipe.yaml'])
    const built = await runHere(folder, ['build', 'recipe.yaml', '--no-dashboard', '--workers', '1'])
    const screen = imported.screen + checked.screen + built.screen
    if (checked.code !== 0 || built.code !== 0) throw new Error(`${recipe}\n${screen}`)
    const [path] = /(?<=path: )\S+/.exec(recipe.slice(recipe.indexOf('\noutputs:')))!
    const tensors = await readTensors(join(folder, path))
    return {
      code: imported.code,
      recipe,
      screen,
      config: existsSync(join(folder, path, 'config.json'))
        ? readFileSync(join(folder, path, 'config.json'), 'utf8')
        : undefined,
      numbers: Object.fromEntries(Object.entries(tensors).map(([tensor, { values }]) => [tensor, values])),
    }
  })

/** Numbers of a model that is like no other: between −1 and 1, from a number of its own and the place of each. */
export const numbersOf = (model: number, tensor: number, length: number): readonly number[] =>
  Array.from({ length }, (_, i) => Math.fround(Math.sin(model * 12.9898 + tensor * 78.233 + i * 37.719)))

/** The largest difference between what was built and what should be, over all tensors; infinite where names differ. */
export const worstDifference = (found: Numbers, wanted: Numbers): number => {
  if (Object.keys(found).toSorted().join() !== Object.keys(wanted).toSorted().join()) return Infinity
  return Object.entries(wanted).reduce(
    (worst, [name, values]) => values.reduce((w, x, i) => Math.max(w, Math.abs(x - found[name]![i]!)), worst),
    0,
  )
}
