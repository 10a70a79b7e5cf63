import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Diagnostic } from '#src/base/diagnostic.js'
import type { Plan } from '#src/plan/plan.js'
import { prepare } from '#src/run/prepare.js'
import { run } from '#src/run/run.js'
import { inFolder, readTensors } from '../support/build-run.js'
import { inlineWorker } from '../support/inline-worker.js'
import { writeSafetensors, type TensorValues } from '../support/write-safetensors.js'

/** Tensors by name: numbers with a shape, of float32 unless said. */
export type Tensors = Readonly<Record<string, TensorValues>>

/** Float32 numbers of a shape. */
export const f32 = (shape: readonly number[], ...values: readonly number[]): TensorValues => ({
  dtype: 'F32',
  shape,
  values,
})

/** A matrix all of whose numbers are the same. */
export const filled = (shape: readonly number[], value: number): TensorValues => ({
  dtype: 'F32',
  shape,
  values: value,
})

/** An adapter on disk, and how it is applied. */
export interface Bake {
  readonly model: Tensors
  readonly adapter: Tensors
  readonly metadata?: Readonly<Record<string, string>>
  /** Put beside the adapter, as PEFT does; a text is written as it is. */
  readonly config?: object | string
  readonly params?: Readonly<Record<string, unknown>>
  /** What the recipe says of its scale. */
  readonly alpha?: number
}

/** What came of it: problems, or the plan and the numbers of every tensor. */
export interface Baked {
  readonly problems: readonly Diagnostic[]
  readonly plan: Plan | undefined
  readonly tensors: Readonly<Record<string, readonly number[]>>
}

/** Bakes an adapter by a recipe, files in and file out. */
export const bake = ({ model, adapter, metadata, config, params, alpha }: Bake): Promise<Baked> =>
  inFolder(async (folder) => {
    const path = config === undefined ? 'adapter.safetensors' : 'peft/adapter_model.safetensors'
    mkdirSync(join(folder, 'peft'))
    writeSafetensors(join(folder, 'model.safetensors'), model)
    writeSafetensors(join(folder, path), adapter, metadata)
    if (config !== undefined)
      writeFileSync(
        join(folder, 'peft/adapter_config.json'),
        typeof config === 'string' ? config : JSON.stringify(config),
      )
    const recipe = join(folder, 'recipe.yaml')
    writeFileSync(
      recipe,
      JSON.stringify({
        smelt: 1,
        models: { base: 'model.safetensors' },
        adapters: { lora: { path: config === undefined ? path : 'peft', ...(alpha === undefined ? {} : { alpha }) } },
        steps: { baked: { op: 'adapter.apply', model: 'base', adapter: 'lora', ...params } },
        outputs: { out: { from: 'baked', path: 'out.safetensors' } },
      }),
    )
    const prepared = await prepare(recipe)
    if (prepared.type === 'failed') return { problems: prepared.diagnostics, plan: undefined, tensors: {} }
    const { plan } = prepared.value
    const built = await run(plan, { workers: 1, device: 'cpu', start: inlineWorker })
    if (built.type === 'failed') return { problems: built.diagnostics, plan, tensors: {} }
    const written = await readTensors(join(folder, 'out.safetensors'))
    return {
      problems: [...prepared.diagnostics, ...built.diagnostics],
      plan,
      tensors: Object.fromEntries(Object.entries(written).map(([name, { values }]) => [name, values])),
    }
  })
