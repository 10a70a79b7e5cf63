import { greatest } from '../base/lists.js'
import type { PlannedDevice } from '../plan/device.js'
import { estimateMemory } from '../plan/memory.js'
import type { Plan, PlannedStep } from '../plan/plan.js'
import { reasonsOf, type Reason } from '../plan/reasons.js'
import { factsOf } from '../plan/step-facts.js'
import type { PlannedVocabulary } from '../plan/vocabulary.js'
import { estimateSeconds } from '../plan/time.js'
import type { Name } from '../recipe/recipe.js'
import type { Lock } from '../store/lock.js'
import type { Speed } from '../store/speed.js'
import type { RowCounts } from '../tokenizers/align-rows.js'
import { shortReason } from './reason-text.js'
import { tallyOf } from './text.js'

/** The plan as every view shows it: figures, names and edges, without jobs and programs. */
export interface PlanOutline {
  readonly name: string
  readonly seed: number | string
  readonly models: readonly OutlinedModel[]
  /** Those that the settings of the params give; absent where the recipe has none. */
  readonly vocabularies?: readonly OutlinedVocabulary[]
  readonly steps: readonly OutlinedStep[]
  readonly unused: readonly string[]
  readonly outputs: readonly OutlinedOutput[]
  readonly reports: readonly OutlinedReport[]
  readonly work: WorkOutline
  readonly device: PlannedDevice
}

/** The vocabulary that models are brought to before any step. */
export interface OutlinedVocabulary {
  readonly from: 'union' | 'base' | 'model'
  /** The model whose tokenizer it is, and how many tokens that gets. */
  readonly owner: string
  readonly added: number
  readonly tokens: number
  readonly rows: number
  readonly models: readonly { readonly name: string; readonly rows: number; readonly counts: RowCounts }[]
}

const outlineVocabulary = ({
  from,
  owner,
  appended: added,
  tokens,
  rows,
  models,
  alignments,
}: PlannedVocabulary): OutlinedVocabulary => ({
  from,
  owner,
  added,
  tokens,
  rows,
  models: [...models.values()].map(({ name, side }) => ({
    name,
    rows: side.rows,
    counts: alignments.of.get(name)!.counts,
  })),
})

/** One step, and why it runs, in words. */
export type OutlinedStep = PlannedStep & {
  readonly reasons: readonly Reason[]
  readonly reason: string
  readonly numbers: Readonly<Record<string, string | number | boolean>>
}

/** The parameters of a step as the recipe gives them; what is not one value is shown as JSON. */
const numbersOf = ({ step, setting }: PlannedStep, plan: Plan): OutlinedStep['numbers'] => {
  const { recipe } = plan.settings[setting]!
  const found = recipe.steps.get(step)!
  const { params, models = [], mask } = factsOf(recipe, found)
  // The parameters of each model of a list stand under the model's name.
  const names = Object.values(found.inputs).flatMap((input) =>
    Array.isArray(input) ? (input as readonly Name[]).map((n) => n.name) : [],
  )
  return Object.fromEntries(
    [
      ...Object.entries(params),
      ...models.map((m, i) => [names[i] ?? `model ${i + 1}`, m] as const),
      ...(mask === undefined ? [] : [['mask', mask] as const]),
    ].map(([key, value]) => [key, shownValue(value)]),
  )
}

/** A parameter as people read it: `default 0.7, **.bias 0.5` for rules, names and numbers as they are. */
const shownValue = (value: unknown): string | number | boolean => {
  if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') return value
  if (Array.isArray(value)) return value.map(shownValue).join(', ')
  if (typeof value !== 'object' || value === null) return String(value)
  return Object.entries(value)
    .map(
      ([key, v]) =>
        (key === 'rules' || key === 'from' ? '' : `${key} `) +
        (key === 'rules'
          ? (v as readonly (readonly [string, string | number])[]).map(([pattern, n]) => `${pattern} ${n}`).join(', ')
          : shownValue(v)),
    )
    .join(', ')
}

/** One input model. */
export interface OutlinedModel {
  /** Absent for a model. */
  readonly kind?: 'adapter'
  readonly name: string
  readonly path: string
  readonly architecture: string | undefined
  readonly tensors: number
  readonly bytes: number
  readonly files: readonly string[]
  /** Bytes that the build downloads first; absent where the model is on this machine. */
  readonly download?: number
}

/**
 * What the plan costs. `sweeps` counts the passes over the tensor that has most of them; memory is in bytes, `seconds`
 * are estimated.
 */
export type WorkOutline = Plan['totals'] &
  Readonly<Record<'jobs' | 'programs' | 'sweeps' | 'peakMemory' | 'seconds' | 'workers', number>>

/** One report: where it goes, which step draws it, in which form, and how many tensors are measured for it. */
export interface OutlinedReport {
  readonly name: string
  readonly path: string
  readonly from: string
  readonly format: string
  readonly measured: number
}

/** One output: where it goes, which name of the recipe it holds, and its dtypes with the number of their tensors. */
export interface OutlinedOutput {
  readonly name: string
  readonly path: string
  readonly from: string
  /** True when it stands already as it would be written. */
  readonly kept: boolean
  readonly tensors: number
  readonly bytes: number
  readonly dtypes: Readonly<Record<string, number>>
  /** How many tensors the first model stores with scales and this output without. */
  readonly unscaled: number
  readonly files: readonly string[]
}

/**
 * What is known beside a plan: the lock of the last build, whether everything is to be computed, and how fast builds go
 * on the device.
 */
export interface PlanContext {
  readonly lock?: Lock | undefined
  readonly force?: boolean
  readonly speed?: Speed | undefined
}

/** Reduces a plan, and the device it is for, to what people and other programs read. */
export const outlinePlan = (
  plan: Plan,
  device: PlannedDevice,
  { lock, force = false, speed }: PlanContext = {},
): PlanOutline => {
  const vocabularies = new Map(
    plan.settings.flatMap(({ vocabulary }) =>
      vocabulary === undefined ? [] : [[vocabulary.key, vocabulary] as const],
    ),
  )
  const reasonsFor = reasonsOf(plan, lock, force)
  return {
    name: plan.name,
    seed: plan.seed,
    models: plan.models.map(({ kind, name, label, architecture, tensors, bytes, files, isRemote }) => ({
      ...(kind === 'adapter' ? { kind } : {}),
      name,
      path: label,
      architecture,
      tensors,
      bytes,
      files: files.map((f) => f.path),
      ...(isRemote ? { download: files.reduce((n, f) => n + f.size, 0) } : {}),
    })),
    ...(vocabularies.size === 0 ? {} : { vocabularies: [...vocabularies.values()].map(outlineVocabulary) }),
    steps: plan.steps.map((step) => {
      const reasons = reasonsFor(step)
      return { ...step, reasons, reason: shortReason(step.step, reasons), numbers: numbersOf(step, plan) }
    }),
    unused: plan.unused,
    outputs: plan.outputs.map((o) => ({
      name: o.name,
      path: o.label,
      from: plan.nameOf(o.setting, o.from),
      kept: o.kept !== undefined,
      tensors: o.tensors.length,
      bytes: o.files.reduce((n, f) => n + f.bytes, 0),
      dtypes: tallyOf(o.tensors.map((t) => t.dtype)),
      unscaled: o.unscaled,
      files: [...o.files.map((f) => f.path), ...(o.index === undefined ? [] : [o.index.path])],
    })),
    reports: plan.reports.map((r) => ({
      name: r.name,
      path: r.label,
      from: plan.nameOf(r.setting, r.step),
      format: r.format,
      measured: r.value.measured.length,
    })),
    work: {
      ...plan.totals,
      jobs: plan.jobs.reduce((n, job) => n + plan.standsFor(job), 0),
      programs: plan.programs.length,
      sweeps: greatest(
        plan.jobs.map((job) => job.sweeps?.passes.length ?? 1),
        0,
      ),
      peakMemory: estimateMemory(plan, device.workers, { onDevice: device.name !== 'cpu' }),
      seconds: estimateSeconds(plan.totals, device.workers, speed),
      workers: device.workers,
    },
    device,
  }
}
