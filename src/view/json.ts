import type { Diagnostic } from '../base/diagnostic.js'
import { toJson } from '../base/screen.js'
import type { RunEvent } from '../run/events.js'

/** The version of everything that `--json` prints. It is raised when a field changes its meaning or goes away; new fields may come without that. */
export const JSON_VERSION = 1

const plain = (_key: string, value: unknown): unknown => (typeof value === 'bigint' ? String(value) : value)

/** A value as JSON, in one line; its first field is the version. Whole numbers beyond 64-bit floats become texts. */
export const toJsonLine = (value: object): string => `${JSON.stringify({ v: JSON_VERSION, ...value }, plain)}\n`

/** A value as JSON to be read by people too. */
export const toJsonText = (value: object): string => `${JSON.stringify({ v: JSON_VERSION, ...value }, plain, 2)}\n`

/** An event of a run as one line of JSON. Problems are lines of their own, so the event of a failure has none. */
export const eventLine = (event: RunEvent): string => {
  return event.type === 'run-failed' ? toJsonLine({ type: event.type, seconds: event.seconds }) : toJsonLine(event)
}

/** Problems as lines of JSON, in order of place. */
export const diagnosticLines = (diagnostics: readonly Diagnostic[]): string =>
  toJson(diagnostics).map((diagnostic) => toJsonLine({ type: 'problem-found', diagnostic })).join('')
