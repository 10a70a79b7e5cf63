import type { ReportDocument, ReportFormat } from '../operators/report-document.js'
import type { Figures } from '../operators/value.js'
import type { PlannedReport } from '../plan/plan.js'
import type { Schedule } from './schedule.js'

/** Turns a report into the bytes of a file. */
export type RenderReport = (document: ReportDocument, format: ReportFormat) => Promise<Uint8Array>

/** What a report measures, once its schedule is finished. */
export const figuresOf = ({ value }: PlannedReport, schedule: Schedule): readonly Figures[] =>
  value.measured.map(({ scalars, tallies = {} }) => ({
    scalars: Object.fromEntries(Object.entries(scalars).map(([name, scalar]) => [name, schedule.valueOf(scalar)])),
    tallies: Object.fromEntries(Object.entries(tallies).map(([name, tally]) => [name, schedule.cellsOf(tally)])),
  }))

/** Draws a report from the figures of a schedule that is finished. */
export const drawReport = (report: PlannedReport, schedule: Schedule): ReportDocument =>
  report.value.draw(figuresOf(report, schedule))

/** The files of some reports, in their order. */
export const renderReports = (
  reports: readonly PlannedReport[],
  schedule: Schedule,
  render: RenderReport | undefined,
): Promise<Uint8Array[]> => {
  if (reports.length > 0 && render === undefined)
    throw new Error('a plan with reports was run without a way to render them')
  return Promise.all(
    reports.map(async (report) => {
      const bytes: unknown = await render!(drawReport(report, schedule), report.format)
      if (!(bytes instanceof Uint8Array))
        throw new TypeError(`\`render\` gave no Uint8Array for the report ${report.name}`)
      return bytes
    }),
  )
}
