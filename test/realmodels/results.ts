import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The folder of trained networks: `SMELT_REALMODELS`, or the repo's own copy. */
export const FOLDER = process.env['SMELT_REALMODELS'] ?? fileURLToPath(new URL('../data/realmodels/', import.meta.url))

export const NETS = ['mlp', 'conv', 'transformer'] as const
export type Net = (typeof NETS)[number]

/** The distortions of the test images: the specialist of each is the model of that name. */
export type Task = 'upright' | 'A' | 'B' | 'C' | 'D'

/** What a merge that draws nothing must come to. */
export interface Measured {
  readonly recipe: string
  readonly accuracy: Readonly<Record<Task, number>>
  readonly sum: number
  readonly sum_sq: number
  readonly logits_first_2_of_A: readonly (readonly number[])[]
}

/** A bound on an accuracy; `model` names a file where nothing is merged. */
export interface Bound {
  readonly model?: string
  readonly task: Task
  readonly op: '>=' | '<='
  readonly value: number
  readonly one_run: number
  readonly mean_of_5_runs: number
  readonly measured: number
}

export interface Claim {
  readonly id: string
  readonly kind: 'deterministic' | 'random'
  readonly recipe: string
  readonly assert: readonly Bound[]
}

/** The accuracy of files by their name. */
type Accuracies = Readonly<Record<string, Readonly<Record<Task, number>>>>

/** The accuracy that runs of 20 seeds had, one for each of the tasks. */
export interface Spread {
  readonly mean: readonly number[]
  readonly sd: readonly number[]
}

interface OneSpread {
  readonly mean: number
  readonly sd: number
}

interface Results {
  readonly nets: Readonly<
    Record<
      Net,
      {
        readonly accuracy: Accuracies
        readonly accuracy_fp16_files: Accuracies
        readonly deterministic_merges: Readonly<Record<string, Measured>>
        readonly best_single_model_on_worse_of_A_B: number
        readonly claims: readonly Claim[]
        readonly random_merges_20_seeds: Readonly<Record<string, Spread & { readonly tasks: readonly Task[] }>>
        readonly dare_one_model_20_seeds: Readonly<
          Record<string, { readonly rescaled: OneSpread; readonly not_rescaled: OneSpread }>
        >
      }
    >
  >
}

/** Every measured number of the folder. */
export const results = JSON.parse(readFileSync(join(FOLDER, 'results.json'), 'utf8')) as Results
