import { orderSteps } from '../recipe/link.js'
import { stepOf } from '../recipe/scope.js'
import type { Step } from '../recipe/recipe.js'
import { describeStep, usersOf } from './describe.js'
import type { Evaluation } from './draft.js'
import type { Evaluated } from './evaluate.js'
import type { Note } from '../operators/operator.js'
import type { Plan, PlannedOutput, PlannedStep } from './plan.js'

const valueOf = ({ evaluated }: Evaluation, name: string): unknown =>
  evaluated.values.get(name) ?? evaluated.values.get(`${name}.1`)

/** What the labels of some settings have in common, such as `share=0.2` of `keep=0, share=0.2` and `keep=1, share=0.2`. */
const commonLabel = (labels: readonly string[]): string => {
  const [first = [], ...others] = labels.map((label) => label.split(/, (?=[\w-]+=)/))
  return first.filter((word) => others.every((words) => words.includes(word))).join(', ')
}

/**
 * What a name of the recipe is called under a setting: steps that differ from setting to setting bear its label, or what
 * it has in common with those of the settings that share the step.
 */
export const nameUnder = (evaluations: readonly Evaluation[]): ((setting: number, name: string) => string) => {
  // Asked for every expression of a build.
  const known = evaluations.map(() => new Map<string, string>())
  const make = (setting: number, name: string): string => {
    const step = stepOf(name)
    const own = evaluations[setting]!
    const value = valueOf(own, step)
    const sharing = evaluations.filter((other) => valueOf(other, step) === value)
    if (sharing.length === evaluations.length || !own.setting.recipe.steps.has(step)) return name
    const label = commonLabel(sharing.map((other) => other.setting.label))
    return label === '' ? name : `${step}[${label}]${name.slice(step.length)}`
  }
  return (setting, name) => {
    const made = known[setting]!.get(name) ?? make(setting, name)
    known[setting]!.set(name, made)
    return made
  }
}

/** The steps of all settings, those that settings have in common once. */
export const describeSteps = (
  evaluations: readonly Evaluation[],
  workingOf: (setting: number) => ReadonlySet<string>,
  nameOf: (setting: number, name: string) => string,
): PlannedStep[] => {
  const seen = new Set<unknown>()
  return evaluations.flatMap(({ setting: { recipe }, steps, evaluated }, setting) => {
    const working = workingOf(setting)
    const users = usersOf(steps)
    const behind = new Map(
      [...recipe.outputs.values()].map((o) => [o.name, new Set(orderSteps(recipe.steps, [o.from.name]))] as const),
    )
    const neededBy = (step: Step): readonly string[] =>
      [...behind].filter(([name, below]) => working.has(name) && below.has(step)).map(([name]) => name)
    return steps.flatMap((step) => {
      const value = valueOf(evaluations[setting]!, step.name)
      if (seen.has(value)) return []
      seen.add(value)
      return [
        describeStep(step, setting, users.get(step.name) ?? [], recipe, evaluated, {
          neededBy,
          nameOf: (name) => nameOf(setting, name),
        }),
      ]
    })
  })
}

/** What a step told of tensors, by their names in its result. */
interface Told {
  /** Undefined for a step that does not say what it touches. */
  readonly touched: ReadonlySet<string> | undefined
  /** The names that tensors had before. */
  readonly before: ReadonlyMap<string, string>
}

/** True for a note on a tensor that its step does something to. */
const isTouch = ({ type }: Note): boolean =>
  type === 'merged' || type === 'renamed' || type === 'replaced' || type === 'made' || type.startsWith('cast to ')

const toldBy = (notes: readonly Note[]): Told => ({
  touched: notes.length === 0 ? undefined : new Set(notes.filter(isTouch).map((n) => n.tensor)),
  before: new Map(notes.flatMap(({ tensor, from }) => (from === undefined ? [] : [[tensor, from] as const]))),
})

/** For the steps behind a tensor, the last first: whether each does something to it, under the name that it has there. */
const touching = (steps: ReadonlyMap<string, Told>, tensor: string): ((step: Step) => boolean) => {
  const names = new Set([tensor])
  return ({ name }) => {
    const { touched, before } = steps.get(name)!
    const own = touched === undefined || [...names].some((n) => touched.has(n))
    if (before.size > 0)
      for (const n of [...names]) {
        const earlier = before.get(n)
        if (earlier !== undefined) names.add(earlier)
      }
    return own
  }
}

/**
 * For each output the steps behind it, in order, that do something to a tensor; steps that do not say what they touch
 * touch everything.
 */
export const stepsBehind = (
  evaluations: readonly Evaluation[],
  outputs: readonly PlannedOutput[],
  nameOf: (setting: number, name: string) => string,
): Plan['stepsOf'] => {
  const told = new Map<Evaluated, ReadonlyMap<string, Told>>()
  const toldIn = ({ evaluated }: Evaluation): ReadonlyMap<string, Told> => {
    const known = told.get(evaluated) ?? new Map([...evaluated.notes].map(([step, notes]) => [step, toldBy(notes)]))
    told.set(evaluated, known)
    return known
  }
  const behind = outputs.map(({ setting, from }) => orderSteps(evaluations[setting]!.setting.recipe.steps, [from]))
  /** Most tensors are the work of the same steps: one list for all of them. */
  const lists = new Map<string, readonly string[]>()
  return ({ output, tensor }) => {
    const { setting } = outputs[output]!
    const steps = toldIn(evaluations[setting]!)
    const names = behind[output]!.toReversed()
      .filter(touching(steps, tensor))
      .map((s) => nameOf(setting, s.name))
      .reverse()
    const same = lists.get(names.join()) ?? names
    lists.set(names.join(), same)
    return same
  }
}
