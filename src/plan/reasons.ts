import { stepOf } from '../recipe/link.js'
import type { Step } from '../recipe/recipe.js'
import { usesOf } from '../recipe/step.js'
import { compareSteps, type Change } from '../store/compare-locks.js'
import type { Lock } from '../store/lock.js'
import { digestModel } from './make-lock.js'
import type { Plan, PlannedSetting, PlannedStep } from './plan.js'
import { factsOf } from './step-facts.js'

/** Something that makes a step run. */
export type Reason =
  /** Nothing does: all it would do is taken from earlier builds. */
  | { readonly type: 'taken-over' }
  /** The last build had no such step. */
  | { readonly type: 'new' }
  /** Facts of the step itself, or of one it uses (`by`), are others. */
  | { readonly type: 'changed'; readonly by: string; readonly changes: readonly Change[] }
  /** An input that it is made of has other contents, or, where they are not `known`, may have. */
  | { readonly type: 'input'; readonly path: string; readonly known: boolean }
  /** It computes nothing: what outputs need of it is copied from inputs. */
  | { readonly type: 'copied' }
  /** Nothing changed, and no output that needs it has been written here yet. */
  | { readonly type: 'not-written' }
  /** Nothing changed, and everything is computed since that was asked for. */
  | { readonly type: 'forced' }
  /** Nothing changed, but its previous result is gone. */
  | { readonly type: 'lost' }

/** What makes a step run, given the lock of the last build: nothing or one reason of the first two kinds, else all that apply, the nearest first. `force` tells a build that takes nothing from earlier ones. */
export const reasonsOf = (planned: PlannedStep, plan: Plan, lock: Lock | undefined, force = false): readonly Reason[] => {
  if (planned.neededBy.length === 0) return [{ type: plan.totals.reused > 0 ? 'taken-over' : 'copied' }]
  const setting = plan.settings[planned.setting]!
  const before = lock?.builds[planned.setting]
  if (lock === undefined || before?.steps[planned.step] === undefined) return [{ type: 'new' }]
  const { steps, inputs } = behind(planned.step, setting)
  const changed = steps.flatMap((step): Reason[] => {
    const now = { ...factsOf(setting.recipe, step), fingerprint: '' }
    const changes = compareSteps(step.name, before.steps[step.name], now)
    return changes.length === 0 ? [] : [{ type: 'changed', by: step.name, changes }]
  })
  const others = inputs.flatMap((name): Reason[] => {
    const { path } = (setting.recipe.models.get(name) ?? setting.recipe.adapters.get(name))!
    const model = setting.inputs.get(name)!
    const known = [...model.tensors.values()].every((t) => t.begin === t.end || plan.digestOf(t) !== undefined)
    return known && lock.inputs[path]?.digest === digestModel(model, plan.digestOf) ? [] : [{ type: 'input', path, known }]
  })
  const reasons = [...changed, ...others]
  return reasons.length > 0 ? reasons : [{ type: force ? 'forced' : isWritten(planned, plan) ? 'lost' : 'not-written' }]
}

/** True where a file of an output or report that needs a step stands already. */
const isWritten = ({ neededBy, setting }: PlannedStep, { outputs, reports, existing }: Plan): boolean =>
  [...outputs.map((o) => ({ ...o, paths: o.files.map((f) => f.path) })), ...reports.map((r) => ({ ...r, paths: [r.path] }))]
    .some((o) => o.setting === setting && neededBy.includes(o.name) && o.paths.some((path) => existing.has(path)))

/** A step with the steps it depends on, the nearest first, and the inputs that all of them read. */
const behind = (name: string, { recipe, inputs }: PlannedSetting): { readonly steps: readonly Step[]; readonly inputs: readonly string[] } => {
  const steps = new Map<string, Step>()
  const read = new Set<string>()
  const queue = [name]
  for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
    const step = recipe.steps.get(stepOf(next))
    if (step === undefined && inputs.has(next)) read.add(next)
    if (step === undefined || steps.has(step.name)) continue
    steps.set(step.name, step)
    queue.push(...usesOf(step).map((u) => u.name))
  }
  return { steps: [...steps.values()], inputs: [...read] }
}
