import { extname } from 'node:path'
import { reportEnding, reportOption } from '../base/catalogue/plan.js'
import { canonicalJson } from '../base/canonical.js'
import { shortDigest, type Digest } from '../base/digest.js'
import { resolvePath } from '../base/resolve-path.js'
import { failed, ok, type Result } from '../base/result.js'
import { REPORT_FORMATS } from '../operators/report-document.js'
import type { ReportValue } from '../operators/value.js'
import { stepOf } from '../recipe/link.js'
import type { Output } from '../recipe/recipe.js'
import type { Folders } from './outputs.js'
import type { PlannedReport, PlannedSetting } from './plan.js'
import { fingerprintSteps } from './step-facts.js'

/** What an output can say of tensors, and a report has none of. */
const misplaced = (output: Output): string | undefined => {
  if (output.dtype !== 'same' || output.dtypeRules.length > 0) return 'dtype'
  if (output.shardBytes !== undefined) return 'shard_size'
  if (output.delta) return 'delta'
  if (output.nonFinite === 'allow') return 'non_finite'
  return Object.keys(output.metadata).length > 0 ? 'metadata' : undefined
}

/** Plans one report: where it goes, in the form that the ending of its path says, and what it has to measure. */
export const planReport = (output: Output, setting: number, value: ReportValue, folders: Folders): Result<PlannedReport> => {
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
    measured: value.measured,
    draw: value.draw,
    setting,
    fingerprint: undefined,
    kept: false,
  })
}

/** The version of how reports look: raised when the same figures begin to be drawn otherwise. */
const DRAWING = 1

/** What makes a report: its step, the names it shows, and its form; undefined while the contents of an input are not known. */
export const fingerprintReport = ({ step, format }: PlannedReport, { recipe, steps, inputs }: PlannedSetting, digestOf: (name: string) => Digest | undefined): string | undefined => {
  const names = [...inputs.keys()]
  if (names.some((name) => digestOf(name) === undefined)) return undefined
  const made = fingerprintSteps(recipe, steps, (name) => digestOf(name)!).get(stepOf(step))
  const labels = names.map((name) => [name, (recipe.models.get(name) ?? recipe.adapters.get(name))!.path])
  return shortDigest(canonicalJson([DRAWING, format, made, labels]))
}
