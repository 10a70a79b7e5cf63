import type { ReportFormat } from '../../operators/report-document.js'
import type { StepDetails } from '../../run/step-reports.js'
import type { DashboardState } from '../dashboard/state.js'
import { renderReport } from './render.js'
import { toRunDocument } from './run-document.js'

/** A build that has ended as the bytes of a file; the graph of its steps is in the page alone. */
export const renderRunReport = async (
  state: DashboardState,
  details: readonly StepDetails[],
  format: ReportFormat,
): Promise<Uint8Array> => {
  const document = toRunDocument(state, details)
  if (format !== 'html') return renderReport(document, format)
  const [{ renderReportHtml, scrolling }, { drawRunGraph }] = [
    await import('./html.js'),
    await import('./run-graph.js'),
  ]
  const graph = drawRunGraph(state)
  const before = graph === '' ? '' : `<section><h2>Graph</h2>\n${scrolling('Graph', graph)}</section>`
  return new TextEncoder().encode(await renderReportHtml(document, before))
}
