import type { Diagnostic } from '../base/diagnostic.js'
import { escapeJson } from '../base/excerpt.js'
import { toJson } from '../base/screen.js'
import type { RunEvent } from '../run/events.js'
import type { BuildEvent } from './dashboard/build-event.js'

/**
 * The version of everything that `--json` prints. It is raised when a field changes its meaning or goes away; new
 * fields may come without that.
 */
export const JSON_VERSION = 1

const plain = (_key: string, value: unknown): unknown => (typeof value === 'bigint' ? String(value) : value)

/**
 * A value as JSON, in one line; its first field is the version. Whole numbers beyond 64-bit floats become texts.
 * Printing it cannot drive a terminal.
 */
export const toJsonLine = (value: object): string =>
  `${escapeJson(JSON.stringify({ v: JSON_VERSION, ...value }, plain))}\n`

/** A value as JSON to be read by people too. */
export const toJsonText = (value: object): string =>
  `${escapeJson(JSON.stringify({ v: JSON_VERSION, ...value }, plain, 2))}\n`

/** An event that a command tells, `at` whole ms after it began, as one line of JSON. */
export const buildEventLine = (event: BuildEvent, at: number): string => toJsonLine({ at: Math.round(at), ...event })

/** An event of a run as a command tells it. Problems are events of their own, so that of a failure has none. */
export const toBuildEvent = (event: RunEvent): BuildEvent =>
  event.type === 'run-failed' ? { type: event.type, seconds: event.seconds } : event

/** Problems as events, in order of place. */
export const problemEvents = (diagnostics: readonly Diagnostic[]): readonly BuildEvent[] =>
  toJson(diagnostics).map((diagnostic) => ({ type: 'problem-found', diagnostic }))
