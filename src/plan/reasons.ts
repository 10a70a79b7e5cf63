import { append } from '../base/lists.js'
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
  /** Nothing is different, and what it gave is not at hand. */
  | { readonly type: 'lost' }

/** What makes a step run, given the lock of the last build: nothing or one reason of the first two kinds, else all that apply, the nearest first. */
export const reasonsOf = (planned: PlannedStep, plan: Plan, lock: Lock | undefined): readonly Reason[] => {
  if (planned.neededBy.length === 0) return [{ type: 'taken-over' }]
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
  return reasons.length === 0 ? [{ type: 'lost' }] : reasons
}

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
    append(queue, usesOf(step).map((u) => u.name))
  }
  return { steps: [...steps.values()], inputs: [...read] }
}
