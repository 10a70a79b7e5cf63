import type { Diagnostic } from '../diagnostic.js'
import { entry } from './entry.js'

/** A path whose extension is none of a report, in words. */
export const unsupportedReport = (path: string): string => {
  const [extension] = /\.[^./\\]+$/.exec(path) ?? []
  return extension === undefined
    ? `${path} has no extension, so the format of the report is unknown`
    : `unsupported report format \`${extension}\``
}

/** Nothing can be drawn on the terminal; what was to be shown goes on. */
export const dashboardLost = (reason: string): Diagnostic =>
  entry('dashboard-lost', `the dashboard cannot be drawn: ${reason}`, {
    severity: 'warning',
    blame: 'run',
    help: 'use `--no-dashboard`, and please report it with the size and the name ($TERM) of the terminal; the build goes on',
  })

/** A line of an event stream that is none of its events. */
export const eventNotUnderstood = (path: string, line: number): Diagnostic =>
  entry('event-not-understood', `line ${line} of ${path} is not a smelt event`, {
    at: { type: 'file', path },
    help: 'write the file with `smelt build RECIPE --json > events.jsonl`, and let nothing else write to it',
  })

/** An event stream of a later version. */
export const eventsTooNew = (path: string, version: number, known: number): Diagnostic =>
  entry('events-too-new', `${path} is an event stream of version ${version}; this smelt reads version ${known}`, {
    at: { type: 'file', path },
    help: 'watch it with the version of smelt that writes it, or a newer one',
  })

/** An event stream that ended before its build did. */
export const eventsEndEarly = (path: string): Diagnostic =>
  entry('events-end-early', `${path} ends before its build does`, {
    severity: 'warning',
    blame: 'run',
    at: { type: 'file', path },
    help: 'look at the machine it ran on: the build was killed, or its events were cut off',
  })

/** A number of times as fast that makes no sense. */
export const speedOutOfRange = (text: string): Diagnostic =>
  entry('speed-out-of-range', `\`--speed ${text}\` is not a number above 0 and at most 1000`, {
    at: { type: 'option', name: '--speed' },
    blame: 'usage',
    help: '1 replays the events as they came, 10 ten times as fast; leave it out to see where they ended',
  })

/** An extension that no report can have. */
export const reportEndingHere = (path: string, endings: readonly string[]): Diagnostic =>
  entry('report-ending', unsupportedReport(path), {
    at: { type: 'option', name: '--report' },
    blame: 'usage',
    help: `end the path in ${endings.map((ending) => `.${ending}`).join(', ')}`,
  })

/** The report on a build could not be written; the build itself is done. */
export const reportNotWritten = (path: string, reason: string): Diagnostic =>
  entry('report-not-written', `the report ${path} could not be written: ${reason}`, {
    severity: 'warning',
    blame: 'run',
    at: { type: 'option', name: '--report' },
    help: 'choose another place and build again, which is quick: the outputs are up to date',
  })
