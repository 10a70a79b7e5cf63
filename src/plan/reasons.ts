import { canonicalJson } from '../base/canonical.js'
import { append } from '../base/lists.js'
import { stepOf } from '../recipe/scope.js'
import type { Step } from '../recipe/recipe.js'
import { usesOf } from '../recipe/step.js'
import { compareAside, comparePlaces, compareSteps, type LockChange } from '../store/compare-locks.js'
import type { Lock } from '../store/lock.js'
import { digestModel, lockAside, lockPlace } from './make-lock.js'
import type { Plan, PlannedSetting, PlannedStep } from './plan.js'
import { factsOf } from './step-facts.js'

/** Something that makes a step run. */
export type Reason =
  /** It does not run: all of its results are reused. */
  | { readonly type: 'taken-over' }
  /** The last build had no such step. */
  | { readonly type: 'new' }
  /** The step itself, or one it uses (`by`), changed. */
  | { readonly type: 'changed'; readonly by: string; readonly changes: readonly LockChange[] }
  /** An output that needs it is new, goes elsewhere, or is written in other dtypes. */
  | { readonly type: 'output'; readonly changes: readonly LockChange[] }
  /** The contents of an input that it uses changed or, if they are not `known`, may have. */
  | { readonly type: 'input'; readonly path: string; readonly known: boolean }
  /** It computes nothing: what outputs need of it is copied from inputs. */
  | { readonly type: 'copied' }
  /** Nothing changed, and no output that needs it has been written here yet. */
  | { readonly type: 'not-written' }
  /** Nothing changed; `--force` computes everything. */
  | { readonly type: 'forced' }
  /** Nothing changed, but its previous result is gone. */
  | { readonly type: 'lost' }
  /** The metadata of an input that it uses, or a file beside it, changed. */
  | { readonly type: 'input-facts'; readonly path: string; readonly changes: readonly LockChange[] }
  /** It did not change, but an output that needs it did. */
  | { readonly type: 'needed'; readonly output: string }

/**
 * Why each step runs, given the lock of the last build: one reason of the first two kinds, else all that apply, the
 * nearest first. Changed metadata of inputs, which outputs repeat in their headers, is listed even for a step whose
 * results are reused. `force` is true for a build that reuses nothing.
 */
export const reasonsOf = (
  plan: Plan,
  lock: Lock | undefined,
  force = false,
): ((planned: PlannedStep) => readonly Reason[]) => {
  const settings = plan.settings.map((setting, index) => {
    const builtBefore = lock?.builds[index]
    const aside = once((name: string) => inputFacts(name, setting, lock))
    const changed = once((name: string) =>
      builtBefore === undefined ? [] : stepChanges(setting.recipe.steps.get(name)!, builtBefore, setting),
    )
    // A forced build asks nothing of its inputs before it reads them.
    const contents = once((name: string) =>
      lock === undefined
        ? []
        : inputChanges(name, plan, setting, lock).filter((r) => !force || r.type !== 'input' || r.known),
    )
    const uses = once((name: string) => usesOf(setting.recipe.steps.get(name)!).map((u) => u.name))
    const asideBehind = createBehind(setting, uses, NOTHING, aside)
    const differences = createBehind(setting, uses, changed, contents)
    return { setting, builtBefore, asideBehind, differences }
  })
  return (planned) => {
    const { setting, builtBefore, asideBehind, differences } = settings[planned.setting]!
    const aside = asideBehind(planned.step)
    if (planned.neededBy.length === 0) return [{ type: plan.totals.reused > 0 ? 'taken-over' : 'copied' }, ...aside]
    if (lock === undefined || builtBefore?.steps[planned.step] === undefined) return [{ type: 'new' }]
    const outputs = planned.neededBy.flatMap((name): Reason[] => {
      const output = plan.outputs.some((o) => o.name === name) ? setting.recipe.outputs.get(name)! : undefined
      const changes =
        output === undefined
          ? []
          : comparePlaces(name, builtBefore.outputs[name], lock.lock === 1 ? { path: output.path } : lockPlace(output))
      return changes.length === 0 ? [] : [{ type: 'output', changes }]
    })
    const reasons = [...differences(planned.step), ...outputs, ...aside]
    if (reasons.length > 0) return reasons
    const isChanged = (name: string): boolean => differences(name).length > 0 || asideBehind(name).length > 0
    const output = planned.neededBy.find((name) => isChanged(setting.recipe.outputs.get(name)!.from.name))
    if (output !== undefined) return [{ type: 'needed', output }]
    return [{ type: force ? 'forced' : isWritten(planned, plan) ? 'lost' : 'not-written' }]
  }
}

/** Asks for what a name comes to once: it may be behind many steps. */
const once = <T>(find: (name: string) => readonly T[]): ((name: string) => readonly T[]) => {
  const known = new Map<string, readonly T[]>()
  return (name) => {
    const found = known.get(name) ?? find(name)
    known.set(name, found)
    return found
  }
}

/** Whether the metadata of an input are others, or the files beside it. */
const inputFacts = (name: string, setting: PlannedSetting, lock: Lock | undefined): readonly Reason[] => {
  if (lock === undefined || lock.lock === 1) return []
  const input = setting.inputs.get(name)!
  const { path } = input
  const was = lock.inputs[path]
  const changes = was === undefined ? [] : compareAside(path, was, lockAside(input, lock.lock))
  return changes.length === 0 ? [] : [{ type: 'input-facts', path, changes }]
}

/** Whether the facts of a step are others. */
const stepChanges = (step: Step, before: Lock['builds'][number], { recipe }: PlannedSetting): readonly Reason[] => {
  const now = { ...factsOf(recipe, step), fingerprint: '' }
  const changes = compareSteps(step.name, before.steps[step.name], now)
  return changes.length === 0 ? [] : [{ type: 'changed', by: step.name, changes }]
}

/** Whether the contents of an input are others, or may be. */
const inputChanges = (name: string, plan: Plan, setting: PlannedSetting, lock: Lock): readonly Reason[] => {
  const { path, file, origin, isRemote } = setting.inputs.get(name)!
  const was = lock.inputs[path]
  // A commit of a hub never changes.
  if (isRemote === true && canonicalJson(was?.hub ?? {}) === canonicalJson(origin ?? {})) return []
  const known = [...file.tensors.values()].every((t) => t.begin === t.end || plan.digestOf(t) !== undefined)
  return known && was?.digest === digestModel(file, plan.digestOf) ? [] : [{ type: 'input', path, known }]
}

/** True where a file of an output or report that needs a step stands already. */
const isWritten = ({ neededBy, setting }: PlannedStep, { outputs, reports, existing }: Plan): boolean =>
  [
    ...outputs.map((o) => ({ ...o, paths: o.files.map((f) => f.path) })),
    ...reports.map((r) => ({ ...r, paths: [r.path] })),
  ].some((o) => o.setting === setting && neededBy.includes(o.name) && o.paths.some((path) => existing.has(path)))

const NOTHING = (): readonly Reason[] => []

/**
 * For a name, what is told of the step of it with the steps it depends on, the nearest first, and then of the inputs that
 * all of them read.
 */
const createBehind = (
  { recipe, steps: ordered, inputs }: PlannedSetting,
  uses: (step: string) => readonly string[],
  ofStep: (step: string) => readonly Reason[],
  ofInput: (input: string) => readonly Reason[],
): ((name: string) => readonly Reason[]) => {
  /** The steps behind which anything is told: only those are looked through, again for each step, of thousands maybe. */
  let telling: Set<string> | undefined
  const isTelling = (name: string): boolean => {
    const step = stepOf(name)
    return recipe.steps.has(step) ? telling!.has(step) : inputs.has(name) && ofInput(name).length > 0
  }
  return (name) => {
    if (telling === undefined) {
      telling = new Set()
      for (const step of ordered)
        if (ofStep(step.name).length > 0 || uses(step.name).some(isTelling)) telling.add(step.name)
    }
    const steps = new Set<string>()
    const read = new Set<string>()
    const queue = [name].filter(isTelling)
    for (const next of queue) {
      const step = stepOf(next)
      if (!recipe.steps.has(step)) read.add(next)
      else if (!steps.has(step)) {
        steps.add(step)
        append(queue, uses(step).filter(isTelling))
      }
    }
    return [...[...steps].flatMap(ofStep), ...[...read].flatMap(ofInput)]
  }
}
