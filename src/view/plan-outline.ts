import { greatest } from '../base/lists.js'
import type { PlannedDevice } from '../plan/device.js'
import { estimateMemory } from '../plan/memory.js'
import type { Plan, PlannedStep } from '../plan/plan.js'
import { reasonsOf, type Reason } from '../plan/reasons.js'
import { factsOf } from '../plan/step-facts.js'
import type { Lock } from '../store/lock.js'
import { shortReason } from './why.js'
import { tallyOf } from './text.js'

/** The plan as every view shows it: figures, names and edges, without jobs and programs. */
export interface PlanOutline {
  readonly name: string
  readonly seed: number | string
  readonly models: readonly OutlinedModel[]
  readonly steps: readonly OutlinedStep[]
  readonly unused: readonly string[]
  readonly outputs: readonly OutlinedOutput[]
  readonly reports: readonly OutlinedReport[]
  readonly work: Work
  readonly device: PlannedDevice
}

/** One step, and why it runs, in words. */
export type OutlinedStep = PlannedStep & { readonly reasons: readonly Reason[]; readonly reason: string; readonly numbers: Readonly<Record<string, string | number | boolean>> }

/** The parameters of a step as the recipe gives them; what is not one value is shown as JSON. */
const numbersOf = ({ step, setting }: PlannedStep, plan: Plan): OutlinedStep['numbers'] => {
  const { recipe, steps } = plan.settings[setting]!
  const { params, models = [], mask } = factsOf(recipe, steps.find((s) => s.name === step)!)
  const shown = (value: unknown): string | number | boolean =>
    (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean' ? value : JSON.stringify(value))
  return Object.fromEntries([...Object.entries(params), ...models.map((m, i) => [`model ${i + 1}`, m] as const), ...(mask === undefined ? [] : [['mask', mask] as const])]
    .map(([key, value]) => [key, shown(value)]))
}

/** One input model. */
export interface OutlinedModel {
  readonly name: string
  readonly path: string
  readonly architecture: string | undefined
  readonly tensors: number
  readonly bytes: number
  readonly files: readonly string[]
}

/** What the plan costs. `sweeps` counts the passes over the tensor that has most of them; memory is in bytes. */
export type Work = Plan['totals'] & Readonly<Record<'jobs' | 'programs' | 'sweeps' | 'peakMemory' | 'workers', number>>

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
  readonly files: readonly string[]
}

/** Reduces a plan, and the device it is for, to what people and other programs read. */
export const outlinePlan = (plan: Plan, device: PlannedDevice, lock?: Lock): PlanOutline => {
  return {
    name: plan.name,
    seed: plan.seed,
    models: plan.models.map(({ name, label, architecture, tensors, bytes, files }) =>
      ({ name, path: label, architecture, tensors, bytes, files: files.map((f) => f.path) })),
    steps: plan.steps.map((step) => {
      const reasons = reasonsOf(step, plan, lock)
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
      files: [...o.files.map((f) => f.path), ...(o.index === undefined ? [] : [o.index.path])],
    })),
    reports: plan.reports.map((r) => ({ name: r.name, path: r.label, from: plan.nameOf(r.setting, r.step), format: r.format, measured: r.measured.length })),
    work: {
      ...plan.totals,
      jobs: plan.jobs.length,
      programs: plan.programs.length,
      sweeps: greatest(plan.jobs.map((job) => job.sweeps?.passes.length ?? 1), 0),
      peakMemory: estimateMemory(plan, device.workers, { onDevice: device.name !== 'cpu' }),
      workers: device.workers,
    },
    device,
  }
}
