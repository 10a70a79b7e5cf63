import { unusedStep } from '../base/catalogue/plan.js'
import type { Diagnostic } from '../base/diagnostic.js'
import { append } from '../base/lists.js'
import { failed, ok, type Result } from '../base/result.js'
import { atOnce, type Sliced } from '../base/slices.js'
import { orderProblems } from '../document/report.js'
import { createGraph } from '../graph/graph.js'
import { orderSteps } from '../recipe/link.js'
import type { Recipe, Step } from '../recipe/recipe.js'
import { completePlan } from './complete-plan.js'
import { createLayerContext } from './context.js'
import {
  byPath,
  destinationProblems,
  destinationsOf,
  reservedFor,
  reservedInputs,
  type Destination,
  type NamesOf,
} from './destinations.js'
import type { Draft, Evaluation } from './draft.js'
import { describeInputs } from './describe.js'
import { evaluateSteps, type StepCache } from './evaluate.js'
import type { OpenedInputs } from './inputs.js'
import type { KeepableMasks } from './masks.js'
import { planOutput, type Folders, type OutputRoots, type Root, type Setting } from './outputs.js'
import type { Plan, PlannedReport } from './plan.js'
import type { Answers, Question } from './questions.js'
import { planReport } from './reports.js'
import { planVocabulary } from './vocabulary.js'

/** How far to plan. */
export interface PlanOptions {
  /** False finds every mistake and leaves out the jobs: enough to check a recipe, and several times faster. */
  readonly jobs?: boolean
}

/** Where a command writes. */
export interface PlacesOptions {
  /** Tells which paths lead to one file. */
  readonly namesOf?: NamesOf
  /** What the command writes besides the outputs of the recipe. */
  readonly more?: readonly Destination[]
  /** What was measured for the questions of an earlier draft. */
  readonly answers?: Answers
}

/**
 * Evaluates a recipe under one or more settings of its params, with pauses. What they have in common is evaluated, and
 * later computed, once.
 */
export function* draftInSlices(
  settings: readonly Setting[],
  folders: Folders,
  { namesOf = byPath, more = [], answers = new Map() }: PlacesOptions = {},
): Sliced<Result<Draft>> {
  const graph = createGraph()
  const layers = createLayerContext()
  const memory: StepCache = new Map()
  const masks: KeepableMasks = new Map()
  const evaluations: Evaluation[] = []
  const problems: Diagnostic[] = []
  const unusedNames = new Set<string>()
  const questions = new Map<string, Question>()
  for (const [index, setting] of settings.entries()) {
    const { recipe } = setting
    const steps = orderSteps(
      recipe.steps,
      [...recipe.outputs.values()].map((o) => o.from.name),
    )
    const needed = new Set(steps.map((s) => s.name))
    const unused = [...recipe.steps.values()].filter((s) => !needed.has(s.name))
    // Unused steps are evaluated too: their mistakes are mistakes of the recipe, although nothing of them is run.
    const all = orderSteps(
      recipe.steps,
      [...steps, ...unused].map((s) => s.name),
    )
    const vocabulary = planVocabulary(setting)
    append(problems, vocabulary.diagnostics)
    if (vocabulary.type === 'failed') continue
    const asked = new Map<string, Question>()
    const evaluated = yield* evaluateSteps(recipe, all, setting.inputs, {
      vocabulary: vocabulary.value,
      graph,
      layers,
      memory,
      masks,
      setting: index,
      answers,
      questions: asked,
    })
    // Of a step that is not run nothing is measured.
    for (const [key, question] of asked) if (needed.has(question.step)) questions.set(key, question)
    for (const { name } of unused) unusedNames.add(name)
    append(problems, [...evaluated.diagnostics, ...tellUnused(recipe, unused)])
    if (evaluated.type === 'ok')
      evaluations.push({ setting, steps, evaluated: evaluated.value, vocabulary: vocabulary.value })
  }
  if (evaluations.length < settings.length) return failed(...orderProblems(problems))

  const outputs: OutputRoots[] = []
  const reports: PlannedReport[] = []
  for (const [index, { setting, evaluated, vocabulary }] of evaluations.entries()) {
    for (const output of setting.recipe.outputs.values()) {
      yield
      const value = evaluated.values.get(output.from.name)!
      const planned =
        value.kind === 'report'
          ? planReport(output, index, value, folders)
          : planOutput(setting, index, output, outputs.length, value, { graph, layers, vocabulary }, folders)
      append(problems, planned.diagnostics)
      if (planned.type === 'failed') continue
      if ('roots' in planned.value) outputs.push(planned.value)
      else reports.push(planned.value)
    }
  }
  const models = describeInputs(settings, layers)
  const destinations = [
    ...destinationsOf(
      settings,
      outputs.map((o) => o.output),
      reports,
    ),
    ...more,
  ]
  const reserved = [...reservedInputs(models), ...reservedFor(folders.recipe, settings[0]!.recipe)]
  const warnings = orderProblems([...problems, ...destinationProblems(destinations, reserved, namesOf, settings)])
  if (warnings.some((d) => d.severity === 'error')) return failed(...warnings)
  return ok(
    { evaluations, outputs, reports, models, unused: [...unusedNames], graph, masks, questions, warnings },
    warnings,
  )
}

/** A part of which some results are used has steps that are not, and that is no mistake. */
const tellUnused = (recipe: Recipe, unused: readonly Step[]): readonly Diagnostic[] => [
  ...unused.filter(({ name }) => !name.includes('/')).map((step) => unusedStep(step.name, step.at)),
  ...[...recipe.idleUses].map(([name, at]) => unusedStep(name, at)),
]

/** Like {@link draftInSlices}, without a pause. */
export const draftPlan = (settings: readonly Setting[], folders: Folders, places: PlacesOptions = {}): Result<Draft> =>
  atOnce(draftInSlices(settings, folders, places))

/** Decides everything a recipe will do, from the headers of its inputs alone. Touches no file. */
export const makePlan = (
  recipe: Recipe,
  inputs: OpenedInputs,
  folders: Folders,
  { jobs = true }: PlanOptions = {},
): Result<Plan> => {
  const draft = draftPlan([{ recipe, inputs, label: '' }], folders)
  if (draft.type === 'failed') return draft
  return ok(completePlan(jobs ? draft.value : withoutWork(draft.value)), draft.diagnostics)
}

/** A draft whose plan has no jobs: mistakes are found before, and cutting the work takes longer than all the rest. */
export const withoutWork = (draft: Draft): Draft => ({
  ...draft,
  outputs: draft.outputs.map((o) => ({ ...o, roots: noRoots })),
  reports: [],
})

function* noRoots(): Sliced<readonly Root[]> {
  yield
  return []
}
