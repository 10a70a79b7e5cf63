import type { Diagnostic } from '../diagnostic.js'
import { entry } from './entry.js'

/** Nothing can be drawn on the terminal; what was to be shown goes on. */
export const dashboardLost = (reason: string): Diagnostic =>
  entry('dashboard-lost', `the dashboard cannot be drawn: ${reason}`, {
    severity: 'warning',
    blame: 'run',
    help: 'what it showed goes on without it; use `--no-dashboard`, and please report it with the size and the name ($TERM) of the terminal',
  })

/** A line of an event stream that is none of its events. */
export const eventNotUnderstood = (path: string, line: number): Diagnostic =>
  entry('event-not-understood', `line ${line} of ${path} is no event of smelt`, {
    at: { type: 'file', path },
    help: 'write the file with `smelt build RECIPE --json > events.jsonl`, and let nothing else write to it',
  })

/** An event stream of a later version. */
export const eventsTooNew = (path: string, version: number, known: number): Diagnostic =>
  entry('events-too-new', `${path} is an event stream of version ${version}; this smelt reads version ${known}`, {
    at: { type: 'file', path },
    help: 'watch it with the smelt that writes it, or a newer one',
  })

/** An event stream that ended before its build did. */
export const eventsEndEarly = (path: string): Diagnostic =>
  entry('events-end-early', `${path} ends before its build does`, {
    severity: 'warning',
    blame: 'run',
    at: { type: 'file', path },
    help: 'the build was killed or its events were cut off; look at the machine that it ran on',
  })

/** A number of times as fast that makes no sense. */
export const speedOutOfRange = (text: string): Diagnostic =>
  entry('speed-out-of-range', `\`--speed ${text}\` is not a number above 0 and at most 1000`, {
    at: { type: 'option', name: '--speed' },
    blame: 'usage',
    help: '1 replays the events as they came, 10 ten times as fast; leave it out to see where they ended',
  })

/** An ending that says no form of a report. */
export const reportEndingHere = (path: string, endings: readonly string[]): Diagnostic =>
  entry('report-ending', `the ending of ${path} says no form of a report`, {
    at: { type: 'option', name: '--report' },
    blame: 'usage',
    help: `let it end in ${endings.map((ending) => `.${ending}`).join(', ')}`,
  })

/** The report on a build could not be written; the build itself is done. */
export const reportNotWritten = (path: string, reason: string): Diagnostic =>
  entry('report-not-written', `the report ${path} could not be written: ${reason}`, {
    severity: 'warning',
    blame: 'run',
    at: { type: 'option', name: '--report' },
    help: 'the outputs are whole; choose another place and build again, which will find its work done',
  })
