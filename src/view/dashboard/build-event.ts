import type { JsonDiagnostic } from '../../base/screen.js'
import type { RunEvent } from '../../run/events.js'
import type { PlanOutline } from '../plan-outline.js'

/**
 * What a build tells from its first word to its last, as `--json` writes it: the events of its run, and what the
 * command adds.
 */
export type BuildEvent =
  | Exclude<RunEvent, { readonly type: 'run-failed' }>
  | { readonly type: 'run-failed'; readonly seconds: number }
  | { readonly type: 'plan-made'; readonly plan: PlanOutline }
  | { readonly type: 'problem-found'; readonly diagnostic: JsonDiagnostic }
  | { readonly type: 'stop-requested'; readonly signal: string }
  | { readonly type: 'command-ended'; readonly exit: number }

/** An event and when it was heard, in ms of any clock that does not go back. */
export interface TimedEvent {
  readonly at: number
  readonly event: BuildEvent
}
