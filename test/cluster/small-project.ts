import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { commitRun } from '#src/cluster/commit.js'
import { layOut, type LaidOut, type LayOutOptions } from '#src/cluster/lay-out.js'
import { partsIn } from '#src/cluster/run-state.js'
import { workOn, type TaskOptions } from '#src/cluster/task.js'
import { renderDiagnostics } from '#src/base/screen.js'
import type { Result } from '#src/base/result.js'
import { renderReport } from '#src/view/report/render.js'
import { inlineWorker } from '../support/inline-worker.js'
import { writeSafetensors, type TensorValues } from '../support/write-safetensors.js'

/** Numbers that differ from each other, the same for the same seed. */
const numbers = (count: number, seed: number): readonly number[] => {
  let state = seed
  return Array.from({ length: count }, () => {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648
    return state / 2_147_483_648 - 0.5
  })
}

const LAYERS = 6

/** A model of a few layers; `seed` tells models apart. */
const modelOf = (seed: number, dtype: TensorValues['dtype'] = 'F32'): Readonly<Record<string, TensorValues>> =>
  Object.fromEntries([
    ...Array.from({ length: LAYERS }, (_, i): readonly (readonly [string, TensorValues])[] => [
      [`layers.${i}.weight`, { dtype, shape: [8, 8], values: numbers(64, 100 * seed + i) }],
      [`layers.${i}.bias`, { dtype, shape: [8], values: numbers(8, 100 * seed + 50 + i) }],
    ]).flat(),
    ['steps', { dtype: 'I64', shape: [2], values: [1, 2] }],
  ])

/** Symmetric, positive definite matrices of the inputs of each weight. */
const GRAMS: Readonly<Record<string, TensorValues>> = Object.fromEntries(
  Array.from({ length: LAYERS }, (_, i) => [
    `layers.${i}.weight`,
    {
      dtype: 'F32',
      shape: [8, 8],
      values: Array.from({ length: 64 }, (__, at) =>
        at % 8 === Math.floor(at / 8) ? 8 + (at % 3) : (((at % 8) + Math.floor(at / 8)) % 5) / 8,
      ),
    },
  ]),
)

/** What is in every project; more of it than a recipe reads does no harm. */
export const MODELS = {
  base: 'base.safetensors',
  a: 'a.safetensors',
  b: 'b.safetensors',
  c: 'c.safetensors',
} as const

/** Fills a folder with models and a recipe, and gives the path of the recipe. */
export const writeProject = (folder: string, recipe: object): string => {
  mkdirSync(folder, { recursive: true })
  for (const [i, file] of Object.values(MODELS).entries()) writeSafetensors(join(folder, file), modelOf(i + 1))
  writeSafetensors(join(folder, 'grams.safetensors'), GRAMS)
  const path = join(folder, 'recipe.yaml')
  writeFileSync(path, JSON.stringify({ smelt: 1, seed: 5, models: MODELS, ...recipe }))
  return path
}

/** What a result holds; throws its problems otherwise. */
export const valueOf = <T>(result: Result<T>): T => {
  if (result.type === 'failed') throw new Error(renderDiagnostics(result.diagnostics, { color: false }))
  return result.value
}

/** Lays a run out in this process. */
export const laidOut = async (recipe: string, options: Partial<LayOutOptions> = {}): Promise<LaidOut> =>
  valueOf(await layOut(recipe, { device: 'cpu', parts: 4, parallel: 2, start: inlineWorker, ...options }))

/** Does one part in this process. */
export const doPart = (run: string, part: number, more: Partial<TaskOptions> = {}): ReturnType<typeof workOn> =>
  workOn(run, part, { workers: 1, start: inlineWorker, render: renderReport, lag: 0, ...more })

/** Does all parts of a run in this process, the last of each stage first, and commits. */
export const finish = async ({ run, plan }: LaidOut): ReturnType<typeof commitRun> => {
  for (const { first, parts } of plan.stages)
    for (let part = first + parts - 1; part >= first; part--) valueOf(await doPart(run, part))
  expectParts(run, partsIn(plan))
  return commitRun(run)
}

const expectParts = (run: string, parts: number): void => {
  if (readdirSync(join(run, 'results')).length !== parts) throw new Error('a part left no result')
}

/** The files of a folder by name, without the folders of runs. */
export const contentsOf = (folder: string): Readonly<Record<string, string>> =>
  Object.fromEntries(
    readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((e) => e.isFile() && !e.parentPath.includes('.smelt'))
      .map((e) => [
        join(e.parentPath, e.name).slice(folder.length + 1),
        readFileSync(join(e.parentPath, e.name)).toString('base64'),
      ]),
  )
