import { dirname } from 'node:path'
import type { Place } from '../base/diagnostic.js'
import { append } from '../base/lists.js'
import type { Result } from '../base/result.js'
import type { ReportDocument } from '../operators/report-document.js'
import { makePlan } from '../plan/make-plan.js'
import type { Plan } from '../plan/plan.js'
import type { Name, RawArgument, Recipe, Step } from '../recipe/recipe.js'
import { reportOutput, reportStep } from '../recipe/report-recipe.js'
import { draft, type PrepareOptions } from './prepare.js'

/** What a mask or some weights of a build look like, as the report operators draw them. */
export interface StepDetails {
  readonly step: string
  readonly document: ReportDocument
}

/** Takes what a plan's reports need. */
type Measure = (plan: Plan) => Promise<Result<readonly ReportDocument[]>>

const HERE: Place = { type: 'option', name: '--report' }

/** The first input of a step that is a model, for the layers that its rules are about. */
const modelOf = ({ operator, inputs }: Step): Name | undefined => {
  const key = Object.keys(operator.inputs)[0]
  const first = key === undefined ? undefined : inputs[key]
  return first === undefined || 'name' in first ? (first as Name | undefined) : (first as readonly Name[])[0]
}

/** What there is to draw for a step: a mask that it gives, weights that it gives, or rules that stand in it. */
const drawn = (step: Step): readonly { readonly about: string; readonly step: Step }[] => {
  const { name, operator, inputs, params } = step
  const title = `report on ${name}`
  const self: Name = { name, at: HERE }
  if (operator.output === 'mask' && operator.results === undefined)
    return [{ about: name, step: reportStep(title, 'report.mask', HERE, { mask: self }, {}) }]
  const like = operator.output === 'weights' ? (inputs['like'] as Name | undefined) : modelOf(step)
  if (like === undefined) return []
  const weights = (about: string, stepName: string, argument: RawArgument) => ({
    about,
    step: reportStep(stepName, 'report.weights', HERE, { like }, { weights: argument }),
  })
  if (operator.output === 'weights') return [weights(name, title, { type: 'name', ...self })]
  return Object.entries(params).flatMap(([param, argument]) =>
    argument.type === 'rules' ? [weights(`${name}, ${param}`, `${title} ${param}`, argument)] : [],
  )
}

/** The recipe with its masks and weights as its only results. Undefined where it has none. */
const withReports = (
  recipe: Recipe,
  used: ReadonlySet<string>,
): { readonly recipe: Recipe; readonly about: readonly string[] } | undefined => {
  const all = [...recipe.steps.values()].filter((s) => used.has(s.name)).flatMap(drawn)
  if (all.length === 0) return undefined
  return {
    about: all.map((d) => d.about),
    recipe: {
      ...recipe,
      steps: new Map([...recipe.steps, ...all.map((d) => [d.step.name, d.step] as const)]),
      outputs: new Map(all.map(({ step: { name } }) => [name, reportOutput(name, HERE, `${name}.json`, HERE)])),
    },
  }
}

/**
 * Measures the masks and weights of a recipe for a report on its build. Masks that follow from the models' numbers make
 * it read those once more. Nothing where it cannot.
 */
export const measureSteps = async (
  path: string,
  { set, rows, hub }: Pick<PrepareOptions, 'set' | 'rows' | 'hub'>,
  used: ReadonlySet<string>,
  measure: Measure,
): Promise<readonly StepDetails[]> => {
  const drafted = await draft(path, {
    ...(set === undefined ? {} : { set }),
    ...(rows === undefined ? {} : { rows }),
    ...(hub === undefined ? {} : { hub }),
  })
  if (drafted.type === 'failed') return []
  const details: StepDetails[] = []
  for (const { recipe, inputs, label } of drafted.value.settings) {
    const asked = withReports(recipe, used)
    const plan =
      asked === undefined
        ? undefined
        : makePlan(asked.recipe, inputs, { recipe: dirname(drafted.value.path), out: undefined })
    const documents = plan?.type === 'ok' ? await measure(plan.value) : undefined
    if (documents?.type !== 'ok') continue
    append(
      details,
      documents.value.map((document, i) => ({
        step: `${asked!.about[i]!}${label === '' ? '' : ` (${label})`}`,
        document,
      })),
    )
  }
  return details
}
