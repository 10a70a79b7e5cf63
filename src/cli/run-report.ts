import { dirname, extname } from 'node:path'
import { reportEndingHere, reportNotWritten } from '../base/catalogue/watch.js'
import type { Place } from '../base/diagnostic.js'
import { append } from '../base/lists.js'
import { reasonOf } from '../base/reason.js'
import { failed, ok, type Result } from '../base/result.js'
import { resolvePath } from '../base/resolve-path.js'
import { findOperator } from '../operators/index.js'
import { REPORT_FORMATS, type ReportDocument, type ReportFormat } from '../operators/report-document.js'
import { makePlan } from '../plan/make-plan.js'
import type { Plan } from '../plan/plan.js'
import type { Name, Output, RawArgument, Recipe, Step } from '../recipe/recipe.js'
import { draft } from '../run/prepare.js'
import { drawReports } from '../run/run.js'
import { writeOutput } from '../safetensors/output.js'
import type { BuildEvent, TimedEvent } from '../view/dashboard/build-event.js'
import { fold } from '../view/dashboard/fold.js'
import { NOTHING_HEARD } from '../view/dashboard/state.js'
import { problemEvents, toBuildEvent } from '../view/json.js'
import type { StepDetails } from '../view/report/run-document.js'
import { renderRunReport } from '../view/report/run-page.js'
import { createProgressLine } from '../view/progress-line.js'
import type { Console } from './console.js'
import type { Reporter } from './reporter.js'
import { listenForStop } from './signals.js'

/** Where a report on a build goes, and in which form. */
export interface ReportPlace {
  readonly path: string
  readonly format: ReportFormat
}

/** Reads `--report`: the ending of the file says the form. */
const readReportPath = (text: string | undefined, cwd: string): Result<ReportPlace | undefined> => {
  if (text === undefined) return ok(undefined)
  const ending = extname(text).slice(1).toLowerCase()
  const format = REPORT_FORMATS.find((f) => f === ending)
  return format === undefined
    ? failed(reportEndingHere(text, REPORT_FORMATS))
    : ok({ path: resolvePath(cwd, text), format })
}

const HERE: Place = { type: 'option', name: '--report' }

const reportStep = (name: string, id: string, inputs: Step['inputs'], params: Step['params']): Step => ({
  name,
  operator: findOperator(id)!,
  at: HERE,
  keys: new Map(),
  seed: undefined,
  inputs,
  each: [],
  params,
  layers: undefined,
  mask: undefined,
  unmasked: 'keep',
  missing: 'error',
  mismatch: 'error',
  architectures: 'error',
})

const reportOutput = (name: string): Output => ({
  name,
  at: HERE,
  from: { name, at: HERE },
  path: `${name}.json`,
  pathAt: HERE,
  dtype: 'same',
  dtypeRules: [],
  shardBytes: undefined,
  delta: false,
  nonFinite: 'error',
  metadata: {},
  tags: [],
})

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
    return [{ about: name, step: reportStep(title, 'report.mask', { mask: self }, {}) }]
  const like = operator.output === 'weights' ? (inputs['like'] as Name | undefined) : modelOf(step)
  if (like === undefined) return []
  const weights = (about: string, stepName: string, argument: RawArgument) => ({
    about,
    step: reportStep(stepName, 'report.weights', { like }, { weights: argument }),
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
      outputs: new Map(all.map((d) => [d.step.name, reportOutput(d.step.name)])),
    },
  }
}

/** Takes what a plan's reports need. */
type Measure = (plan: Plan) => Promise<Result<readonly ReportDocument[]>>

const TICK = 100

/**
 * Measures under the signals of the terminal, which end that and not the build, and with a line that shows progress.
 */
const measureUnder =
  (console: Console, workers: number, quiet: boolean): Measure =>
  async (plan) => {
    const columns = (): number => console.look('err').width
    const line = createProgressLine({
      terminal: console.errRedraws,
      write: quiet ? () => undefined : console.err,
      columns,
      now: () => performance.now(),
    })
    const interruption = listenForStop(line.clear)
    const ticking = setInterval(line.tick, TICK)
    const { readBytes } = plan.totals
    line.hear({
      type: 'run-started',
      recipe: 'report',
      device: 'cpu',
      workers,
      jobs: plan.jobs.length,
      seed: 0,
      readBytes,
      writeBytes: 0,
      tensors: 0,
      reused: 0,
      cached: 0,
      memoryBudget: 0,
    })
    try {
      return await drawReports(plan, { workers, device: 'cpu', signal: interruption.signal, listener: line.hear })
    } finally {
      clearInterval(ticking)
      line.clear()
      interruption.end()
    }
  }

/**
 * Draws the masks and weights of a recipe. Masks that follow from the models' numbers make it read those once more.
 * Nothing where it cannot.
 */
const drawDetails = async (
  path: string,
  set: Readonly<Record<string, string>>,
  used: ReadonlySet<string>,
  measure: Measure,
): Promise<readonly StepDetails[]> => {
  const drafted = await draft(path, { set })
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

/** A build that may be reported on: the reporter that it tells, and what is left to do at its end. */
export interface Reporting {
  readonly reporter: Reporter
  readonly place: Result<ReportPlace | undefined>
  /** Writes the report, if one is wanted and the plan was made; tells of it or of what went wrong. */
  write(recipe: string, set: Readonly<Record<string, string>>, workers: number, quiet: boolean): Promise<void>
}

/** Lets a reporter go on as it is, and keeps what it is told where a report is wanted at a path. */
export const reportingOn = (
  console: Console,
  reporter: Reporter,
  path: string | undefined,
  began: number,
): Reporting => {
  const place = readReportPath(path, console.cwd)
  const wanted = place.type === 'ok' ? place.value : undefined
  if (wanted === undefined) return { reporter, place, write: () => Promise.resolve() }
  const heard: TimedEvent[] = []
  const keep = (...events: readonly BuildEvent[]): void =>
    append(
      heard,
      events.map((event) => ({ event, at: performance.now() - began })),
    )
  return {
    place,
    reporter: {
      ...reporter,
      problems: (diagnostics) => {
        keep(...problemEvents(diagnostics))
        reporter.problems(diagnostics)
      },
      planned: (plan) => {
        keep({ type: 'plan-made', plan })
        reporter.planned(plan)
      },
      event: (event) => {
        keep(toBuildEvent(event))
        reporter.event(event)
      },
    },
    write: async (recipe, set, workers, quiet) => {
      const state = fold(NOTHING_HEARD, heard)
      if (state.plan === undefined) return
      const used = new Set(state.plan.steps.map((s) => s.step))
      const details =
        state.phase === 'finished' ? await drawDetails(recipe, set, used, measureUnder(console, workers, quiet)) : []
      try {
        const bytes = await renderRunReport(state, details, wanted.format)
        const written = await writeOutput(wanted.path, bytes)
        if (written.type === 'ok')
          reporter.event({
            type: 'report-written',
            name: 'build',
            path: path!,
            format: wanted.format,
            bytes: bytes.length,
          })
        else reporter.problems(written.diagnostics.map((d) => reportNotWritten(wanted.path, d.message)))
      } catch (error) {
        // The build is done all the same.
        reporter.problems([reportNotWritten(wanted.path, reasonOf(error))])
      }
    },
  }
}
