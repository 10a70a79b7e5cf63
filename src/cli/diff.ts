import { exitCode } from '../base/diagnostic.js'
import type { Result } from '../base/result.js'
import { createDownloads } from '../run/downloads.js'
import type { Plan } from '../plan/plan.js'
import { defaultWorkers } from '../run/machine.js'
import type { RunEvent } from '../run/events.js'
import { planDiff } from '../run/plan-diff.js'
import { drawReports } from '../run/draw-reports.js'
import { run } from '../run/run.js'
import { toJsonText } from '../view/json.js'
import { renderReport } from '../view/report/render.js'
import { renderReportText } from '../view/report/text.js'
import { renderSummary } from '../view/summary.js'
import type { Console } from './console.js'
import { userHub } from './hub.js'
import { withProgress } from './with-progress.js'

/** What `smelt diff` takes besides two models and layers. */
export interface DiffFlags {
  readonly html?: string
  readonly json?: boolean
}

/** The exit code of a failure; that of the signal if one stopped it. */
const codeOf = (result: Result<unknown>, signalled: number | undefined): number =>
  (result.type === 'failed' ? signalled : undefined) ?? exitCode(result.diagnostics)

/** Writes the report as a page and says so. */
const writePage = async (console: Console, plan: Plan): Promise<number> => {
  const events: RunEvent[] = []
  const { result, exitCode: signalled } = await withProgress(console, defaultWorkers(), (options) =>
    run(plan, {
      ...options,
      render: renderReport,
      listener: (event) => {
        options.listener(event)
        if (event.type === 'report-written' || event.type === 'run-finished') events.push(event)
      },
    }),
  )
  console.tell(result.diagnostics)
  console.err(renderSummary(events, console.look('err'), performance.now() / 1000))
  return codeOf(result, signalled)
}

/** `smelt diff`: how two models differ, as text, JSON or a page. */
export const diff = async (
  console: Console,
  a: string,
  b: string,
  layers: readonly string[],
  flags: DiffFlags,
): Promise<number> => {
  const hub = userHub()
  const { result: plan, exitCode: stoppedBy } = await withProgress(console, defaultWorkers(), ({ listener, signal }) =>
    planDiff(a, b, layers, console.cwd, flags.html ?? 'diff.txt', hub, createDownloads(hub, listener, signal)),
  )
  console.tell(plan.diagnostics)
  if (plan.type === 'failed') return codeOf(plan, stoppedBy)
  if (flags.html !== undefined) return writePage(console, plan.value)
  const { result, exitCode: signalled } = await withProgress(console, defaultWorkers(), (options) =>
    drawReports(plan.value, options),
  )
  if (result.type === 'failed') {
    console.tell(result.diagnostics)
    return codeOf(result, signalled)
  }
  const [document] = result.value
  console.out(
    flags.json === true
      ? toJsonText({ type: 'report', ...document! })
      : renderReportText(document!, console.look('out')),
  )
  return codeOf(result, signalled)
}
