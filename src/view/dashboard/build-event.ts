import type { JsonDiagnostic } from '../../base/screen.js'
import type { RunEvent } from '../../run/events.js'
import type { PlanOutline } from '../plan-outline.js'

/** The events of a build, as `--json` prints them: those of its run, and those that the command adds. */
export type BuildEvent =
  | Exclude<RunEvent, { readonly type: 'run-failed' }>
  | { readonly type: 'run-failed'; readonly seconds: number }
  | { readonly type: 'plan-made'; readonly plan: PlanOutline }
  | { readonly type: 'problem-found'; readonly diagnostic: JsonDiagnostic }
  | { readonly type: 'stop-requested'; readonly signal: string }
  | { readonly type: 'command-ended'; readonly exit: number }

/** An event and its time, in ms of any monotonic clock. */
export interface TimedEvent {
  readonly at: number
  readonly event: BuildEvent
}
