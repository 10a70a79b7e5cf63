import type { Diagnostic } from '../base/diagnostic.js'
import type { RunEvent } from '../run/events.js'
import type { PlanOutline } from '../view/plan-outline.js'

/** What a build tells while it goes on, and how. */
export interface Reporter {
  problems(diagnostics: readonly Diagnostic[]): void
  planned(outline: PlanOutline): void
  event(event: RunEvent): void
  stopAsked(signal: string): void
  /** Draws what is due; called many times a second. */
  tick(): void
  /**
   * Gives the terminal back as it was: called before anything else is written, before a signal ends the process, and
   * perhaps more than once.
   */
  release(): void
  ended(code: number): void
}
