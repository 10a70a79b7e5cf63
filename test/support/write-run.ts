import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { RecipeRun } from './recipe-run.js'
import { writeSafetensors } from './write-safetensors.js'

const STORED = { f32: 'F32', f16: 'F16', bf16: 'BF16', bool: 'BOOL', i64: 'I64' } as const

/** Writes a recipe with its files into a folder; gives the path of the recipe. */
export const writeRun = (folder: string, run: RecipeRun): string => {
  for (const [name, tensors] of Object.entries(run.files)) {
    writeSafetensors(
      join(folder, name),
      Object.fromEntries(Object.entries(tensors).map(([tensor, t]) => [tensor, { ...t, dtype: STORED[t.dtype] }])),
    )
  }
  const recipe = join(folder, 'recipe.yaml')
  writeFileSync(recipe, JSON.stringify(run.recipe))
  return recipe
}
