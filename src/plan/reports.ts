import { extname } from 'node:path'
import { reportEnding, reportOption } from '../base/catalogue/plan.js'
import { exactJson } from '../base/canonical.js'
import { shortDigest } from '../base/digest.js'
import { resolvePath } from '../base/resolve-path.js'
import { failed, ok, type Result } from '../base/result.js'
import { REPORT_FORMATS } from '../operators/report-document.js'
import type { ReportValue } from '../operators/value.js'
import type { Output } from '../recipe/recipe.js'
import type { Fingerprints } from './fingerprint.js'
import type { Folders } from './outputs.js'
import type { PlannedReport } from './plan.js'

/** What an output can say of tensors, and a report has none of. */
const misplaced = (output: Output): string | undefined => {
  if (output.dtype !== 'same' || output.dtypeRules.length > 0) return 'dtype'
  if (output.shardBytes !== undefined) return 'shard_size'
  if (output.delta) return 'delta'
  if (output.nonFinite === 'allow') return 'non_finite'
  return Object.keys(output.metadata).length > 0 ? 'metadata' : undefined
}

/** Plans one report: where it goes, in the form that the ending of its path says, and what it has to measure. */
export const planReport = (
  output: Output,
  setting: number,
  value: ReportValue,
  folders: Folders,
): Result<PlannedReport> => {
  const key = misplaced(output)
  if (key !== undefined) return failed(reportOption(output.from.name, key, output.at))
  const ending = extname(output.path).slice(1).toLowerCase()
  const format = REPORT_FORMATS.find((f) => f === ending)
  if (format === undefined) return failed(reportEnding(output.path, REPORT_FORMATS, output.pathAt))
  return ok({
    name: output.name,
    label: output.path,
    path: resolvePath(folders.out ?? folders.recipe, output.path),
    format,
    step: output.from.name,
    value,
    setting,
    kept: false,
  })
}

/** The version of how reports look: raised when the same figures begin to be drawn otherwise. */
const DRAWING = 2

/**
 * What makes a report: its form, the operator that draws it, the figures, and everything else that its drawing sees,
 * which the operator
 * cannot reach past. Undefined while the contents of something that is measured are not known.
 */
export const fingerprintReport = ({ format, value }: PlannedReport, fingerprints: Fingerprints): string | undefined => {
  const figures = fingerprints.ofFigures(value.measured)
  return figures === undefined
    ? undefined
    : shortDigest(exactJson([DRAWING, format, value.maker, figures, value.shown()]))
}
