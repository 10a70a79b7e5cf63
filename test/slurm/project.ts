import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { writeSafetensors, type TensorValues } from '../support/write-safetensors.js'

/** Numbers that differ from each other, the same for the same seed. */
const numbers = (count: number, seed: number): readonly number[] => {
  let state = seed
  return Array.from({ length: count }, () => {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648
    return state / 2_147_483_648 - 0.5
  })
}

const modelOf = (seed: number, layers: number): Readonly<Record<string, TensorValues>> =>
  Object.fromEntries(
    Array.from({ length: layers }, (_, i) => [
      `layers.${i}.weight`,
      { dtype: 'F32', shape: [16, 16], values: numbers(256, 100 * seed + i) },
    ]),
  )

/** Fills a folder with four small models, and a recipe over them; a run has at most one part for each layer. */
export const writeProject = (folder: string, recipe: object, layers: number): void => {
  mkdirSync(folder, { recursive: true })
  const names = ['base', 'a', 'b', 'c']
  for (const [i, name] of names.entries()) writeSafetensors(join(folder, `${name}.safetensors`), modelOf(i + 1, layers))
  const models = Object.fromEntries(names.map((name) => [name, `${name}.safetensors`]))
  writeFileSync(join(folder, 'recipe.yaml'), JSON.stringify({ smelt: 1, seed: 5, models, ...recipe }))
}
