import { inputChanged, notMeasured } from '../base/catalogue/run.js'
import { failed, ok, type Result } from '../base/result.js'
import type { ReportDocument } from '../operators/report-document.js'
import type { Plan } from '../plan/plan.js'
import { createRunId } from '../safetensors/run-id.js'
import { changedInputs } from './files.js'
import { gatherOddities } from './oddities.js'
import type { RunOptions } from './options.js'
import { drawReport } from './reports.js'
import { createSchedule, type Schedule } from './schedule.js'
import { startScratch } from './scratch.js'
import { noTime } from './stopwatch.js'
import { work } from './work.js'

/** Measures what the reports of a plan need, without writing anything. */
export const measureReports = async (plan: Plan, options: RunOptions): Promise<Result<Schedule>> => {
  if (plan.unanswered.length > 0) return failed(notMeasured(plan.unanswered))
  const scratch = await startScratch(plan, createRunId())
  if (scratch.type === 'failed') return scratch
  const schedule = createSchedule(plan)
  const worked = await work(plan, options, {
    files: [],
    journals: [],
    masks: [],
    scratch: scratch.value[0]?.temporaryPath,
    schedule,
    listener: options.listener ?? (() => undefined),
    progress: { readBytes: 0, writtenBytes: 0, spent: noTime(), stepSeconds: new Map() },
    oddities: gatherOddities(),
  }).finally(() => Promise.all(scratch.value.map((f) => f.discard())))
  if (worked.type === 'failed') return worked
  const changed = await changedInputs(plan)
  return changed.length > 0 ? failed(...changed.map(inputChanged)) : ok(schedule)
}

/** Measures what the reports of a plan need and draws them, without writing anything. */
export const drawReports = async (plan: Plan, options: RunOptions): Promise<Result<readonly ReportDocument[]>> => {
  const measured = await measureReports(plan, options)
  return measured.type === 'failed' ? measured : ok(plan.reports.map((report) => drawReport(report, measured.value)))
}
