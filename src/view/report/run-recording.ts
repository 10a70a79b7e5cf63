import { append } from '../../base/lists.js'
import type { ReportFormat } from '../../operators/report-document.js'
import type { StepDetails } from '../../run/step-reports.js'
import type { BuildEvent, TimedEvent } from '../dashboard/build-event.js'
import { fold } from '../dashboard/fold.js'
import { NOTHING_HEARD } from '../dashboard/state.js'
import { renderRunReport } from './run-page.js'

/** The events of a build so far, and the report on it. */
export interface RunRecording {
  hear(...events: readonly BuildEvent[]): void
  /** Undefined where no plan was made: there is nothing to report on. */
  finish(): FinishedRecording | undefined
}

/** A build that has ended. */
export interface FinishedRecording {
  /** Steps that the build planned. */
  readonly steps: ReadonlySet<string>
  /** True if it wrote everything. */
  readonly complete: boolean
  render(details: readonly StepDetails[], format: ReportFormat): Promise<Uint8Array>
}

/** Records a build; `now` is the time since it was asked for, in ms. */
export const recordRun = (now: () => number): RunRecording => {
  const heard: TimedEvent[] = []
  return {
    hear: (...events) =>
      append(
        heard,
        events.map((event) => ({ event, at: now() })),
      ),
    finish: () => {
      const state = fold(NOTHING_HEARD, heard)
      if (state.plan === undefined) return undefined
      return {
        steps: new Set(state.plan.steps.map((s) => s.step)),
        complete: state.phase === 'finished',
        render: (details, format) => renderRunReport(state, details, format),
      }
    },
  }
}
