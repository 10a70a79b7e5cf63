import { extname } from 'node:path'
import { reportEndingHere, reportNotWritten } from '../base/catalogue/watch.js'
import type { Diagnostic } from '../base/diagnostic.js'
import { reasonOf } from '../base/reason.js'
import { failed, ok, type Result } from '../base/result.js'
import { resolvePath } from '../base/resolve-path.js'
import { REPORT_FORMATS, type ReportDocument, type ReportFormat } from '../operators/report-document.js'
import type { PrepareOptions } from '../run/prepare.js'
import { drawReports } from '../run/draw-reports.js'
import { measureSteps } from '../run/step-reports.js'
import { writeOutput } from '../safetensors/output.js'
import { problemEvents, toBuildEvent } from '../view/json.js'
import { renderReport } from '../view/report/render.js'
import { recordRun } from '../view/report/run-recording.js'
import type { Console } from './console.js'
import { userHub } from './hub.js'
import type { Reporter } from './reporter.js'
import { withProgress } from './with-progress.js'

/** Where a report on a build goes, and in which form. */
export interface ReportPlace {
  readonly path: string
  readonly format: ReportFormat
}

/** Reads `--report`: the ending of the file says the form. */
export const readReportPath = (text: string | undefined, cwd: string): Result<ReportPlace | undefined> => {
  if (text === undefined) return ok(undefined)
  const ending = extname(text).slice(1).toLowerCase()
  const format = REPORT_FORMATS.find((f) => f === ending)
  return format === undefined
    ? failed(reportEndingHere(text, REPORT_FORMATS))
    : ok({ path: resolvePath(cwd, text), format })
}

/** Writes a report on a build that is done; problems, as warnings, if it cannot be written. */
export const writeReport = async (
  { path, format }: ReportPlace,
  document: ReportDocument,
): Promise<readonly Diagnostic[]> => {
  try {
    const written = await writeOutput(path, await renderReport(document, format))
    return written.diagnostics.map((d) => reportNotWritten(path, d.message))
  } catch (error) {
    return [reportNotWritten(path, reasonOf(error))]
  }
}

/** Takes what a plan's reports need, under a line of progress; a signal ends that and not the build. */
const measureUnder =
  (console: Console, workers: number, quiet: boolean): Parameters<typeof measureSteps>[3] =>
  async (plan) => {
    const drawn = await withProgress(
      console,
      workers,
      (options) => {
        options.listener({
          type: 'run-started',
          recipe: 'report',
          device: 'cpu',
          workers,
          jobs: plan.jobs.length,
          seed: 0,
          readBytes: plan.totals.readBytes,
          writeBytes: 0,
          tensors: 0,
          reused: 0,
          cached: 0,
          memoryBudget: 0,
        })
        return drawReports(plan, options)
      },
      quiet,
    )
    return drawn.result
  }

/** A build that may be reported on: the reporter that it tells, and what is left to do at its end. */
export interface Reporting {
  readonly reporter: Reporter
  readonly place: Result<ReportPlace | undefined>
  /** Writes the report, if one is wanted and the plan was made; tells of it or of what went wrong. */
  write(recipe: string, settings: Pick<PrepareOptions, 'set' | 'rows'>, workers: number, quiet: boolean): Promise<void>
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
  const recording = recordRun(() => performance.now() - began)
  return {
    place,
    reporter: {
      ...reporter,
      problems: (diagnostics) => {
        recording.hear(...problemEvents(diagnostics))
        reporter.problems(diagnostics)
      },
      planned: (plan) => {
        recording.hear({ type: 'plan-made', plan })
        reporter.planned(plan)
      },
      event: (event) => {
        recording.hear(toBuildEvent(event))
        reporter.event(event)
      },
    },
    write: async (recipe, settings, workers, quiet) => {
      const recorded = recording.finish()
      if (recorded === undefined) return
      const details = recorded.complete
        ? await measureSteps(
            recipe,
            { ...settings, hub: userHub() },
            recorded.steps,
            measureUnder(console, workers, quiet),
          )
        : []
      try {
        const bytes = await recorded.render(details, wanted.format)
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
        reporter.problems([reportNotWritten(wanted.path, error instanceof Error ? error.message : String(error))])
      }
    },
  }
}
