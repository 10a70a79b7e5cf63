import type { ReportDocument, ReportFormat } from '../../operators/report-document.js'
import { toJsonText } from '../json.js'

/** The width of reports in text files, in columns. */
const WIDTH = 80

const textOf = async (document: ReportDocument, format: Exclude<ReportFormat, 'png'>): Promise<string> => {
  switch (format) {
    case 'txt':
      return (await import('./text.js')).renderReportText(document, { color: false, width: WIDTH })
    case 'json':
      return toJsonText({ type: 'report', ...document })
    case 'svg':
      return (await import('./svg.js')).renderReportSvg(document)
    case 'html':
      return (await import('./html.js')).renderReportHtml(document)
  }
}

/**
 * A report as the bytes of a file; the same report gives the same bytes. Loads what a form needs only when it is asked
 * for.
 */
export const renderReport = async (document: ReportDocument, format: ReportFormat): Promise<Uint8Array> =>
  format === 'png'
    ? (await import('./png.js')).renderPng(await textOf(document, 'svg'))
    : new TextEncoder().encode(await textOf(document, format))
