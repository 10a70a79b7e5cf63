import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Result } from '#src/base/result.js'
import type { Plan } from '#src/plan/plan.js'
import { build, type BuildOptions } from '#src/run/build.js'
import type { RunEvent } from '#src/run/events.js'
import type { Built } from '#src/run/options.js'
import { openStore, type Store } from '#src/store/store.js'
import { inFolder } from '../support/build-run.js'
import { inlineWorker } from '../support/inline-worker.js'
import { writeSafetensors, type TensorValues } from '../support/write-safetensors.js'
import { codesOf } from './support.js'

type Event<T extends RunEvent['type']> = RunEvent & { readonly type: T }

/** What one build of several did. */
export interface Rebuilt {
  readonly result: Result<Built>
  readonly codes: readonly string[]
  readonly events: readonly RunEvent[]
  /** Of the last run, if a build made two. */
  readonly started: Event<'run-started'> | undefined
  readonly plan: Plan | undefined
  /** Workers that were started. */
  readonly workers: number
}

/** A folder in which a recipe is built again and again, and the store of those builds beside it. */
export interface BuildFixture {
  readonly folder: string
  readonly storeFolder: string
  at(name: string): string
  /** Writes a model whose tensors differ by `seed`, and waits until a later change of it would show. */
  model(name: string, seed: number, tensors?: Readonly<Record<string, TensorValues>>): Promise<void>
  /** Writes a recipe, given as a value or as a text. */
  write(recipe: object | string): void
  /** Writes a recipe and builds it. */
  build(recipe: object | string, options?: BuildOptions): Promise<Rebuilt>
  /**
   * The bytes of files as they are when the same recipe is built from the same inputs in another folder, without a
   * store.
   */
  fresh(recipe: object | string, files: readonly string[], options?: BuildOptions): Promise<readonly Buffer[]>
  read(...names: readonly string[]): readonly Buffer[]
}

const write = (folder: string, recipe: object | string): string => {
  const path = join(folder, 'recipe.yaml')
  writeFileSync(path, typeof recipe === 'string' ? recipe : JSON.stringify({ smelt: 1, ...recipe }))
  return path
}

/**
 * Waits until the clock has left a file behind: contents of a file as young as this moment are not remembered, since a
 * change in the same tick would not show.
 */
export const settled = async (path: string): Promise<void> => {
  while (Date.now() <= Math.max(statSync(path).mtimeMs, statSync(path).ctimeMs) + 22)
    await new Promise((resolve) => setTimeout(resolve, 2))
}

/** Four blocks of two floats each, and integers that are copied: numbers by `seed`, different everywhere. */
export const layersBy = (seed: number): Readonly<Record<string, TensorValues>> => {
  const values = (n: number, by: number): number[] => Array.from({ length: n }, (_, i) => Math.sin((i + 1) * by + seed))
  return {
    ...Object.fromEntries(
      [0, 1, 2, 3].flatMap((i): [string, TensorValues][] => [
        [`layers.${i}.weight`, { dtype: 'F16', shape: [8, 16], values: values(128, 0.7 + i) }],
        [`layers.${i}.bias`, { dtype: 'F32', shape: [24], values: values(24, 0.3 + i) }],
      ]),
    ),
    ids: { dtype: 'I64', shape: [3], values: [1, 2, 3] },
  }
}

/** Runs a test in a folder of its own, which is removed afterwards. */
export const withBuildFixture = (work: (shop: BuildFixture) => Promise<void>): Promise<void> =>
  inFolder(async (root) => {
    const [folder, storeFolder] = [join(root, 'work'), join(root, 'store')]
    mkdirSync(folder)
    const at = (name: string): string => join(folder, name)
    const read = (...names: readonly string[]): readonly Buffer[] => names.map((name) => readFileSync(at(name)))
    const store = (): Store => openStore(storeFolder)
    await work({
      folder,
      storeFolder,
      at,
      read,
      write: (recipe) => void write(folder, recipe),
      model: async (name, seed, tensors = layersBy(seed)) => {
        writeSafetensors(at(name), tensors)
        await settled(at(name))
      },
      build: async (recipe, options = {}) => {
        const events: RunEvent[] = []
        let plan: Plan | undefined
        let workers = 0
        const result = await build(write(folder, recipe), {
          workers: 1,
          store: store(),
          ...options,
          start: (order) => {
            workers += 1
            return (options.start ?? inlineWorker)(order)
          },
          listener: (event) => {
            events.push(event)
            options.listener?.(event)
          },
          planned: (made) => {
            plan = made
          },
        })
        const started = events.findLast((e): e is Event<'run-started'> => e.type === 'run-started')
        return { result, codes: codesOf(result), events, started, plan, workers }
      },
      fresh: async (recipe, files, options = {}) => {
        const other = join(root, 'fresh')
        rmSync(other, { recursive: true, force: true })
        cpSync(folder, other, { recursive: true })
        for (const name of [...files, 'recipe.lock.json']) if (existsSync(join(other, name))) rmSync(join(other, name))
        const result = await build(write(other, recipe), { workers: 1, start: inlineWorker, ...options })
        if (result.type === 'failed') throw new Error(codesOf(result).join())
        return files.map((name) => readFileSync(join(other, name)))
      },
    })
  })

/** Of a build: tensors computed, taken over from earlier ones, and copied from inputs. */
export const shares = ({
  plan,
}: Rebuilt): { readonly computed: number; readonly reused: number; readonly copied: number } => {
  if (plan === undefined) throw new Error('there was no plan')
  const { computed, reused, copied } = plan.totals
  return { computed, reused, copied }
}

/** Names of the tensors that a build computed, sorted. */
export const computedBy = ({ plan }: Rebuilt): readonly string[] =>
  plan!.jobs.flatMap((j) => j.targets.map((t) => t.tensor)).sort()
