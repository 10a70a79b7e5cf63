import type { Diagnostic } from '../diagnostic.js'
import { entry } from './entry.js'

/** The message on a path whose extension is not one of a report. */
export const unsupportedReport = (path: string): string => {
  const [extension] = /\.[^./\\]+$/.exec(path) ?? []
  return extension === undefined
    ? `${path} has no extension, so the format of the report is unknown`
    : `unsupported report format \`${extension}\``
}

/** The dashboard failed; the build goes on. */
export const dashboardLost = (reason: string): Diagnostic =>
  entry('dashboard-lost', `the dashboard cannot be drawn: ${reason}`, {
    severity: 'warning',
    blame: 'run',
    help: 'use `--no-dashboard`, and please report it with the size and the name ($TERM) of the terminal; the build goes on',
  })

/** A line of an event stream that is not an event. */
export const eventNotUnderstood = (path: string, line: number): Diagnostic =>
  entry('event-not-understood', `line ${line} of ${path} is not a smelt event`, {
    at: { type: 'file', path },
    help: 'write the file with `smelt build RECIPE --json > events.jsonl`, and let nothing else write to it',
  })

/** An event stream of a newer version. */
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
    help: 'check the machine it ran on: the build was killed, or its events were cut off',
  })

/** A value of `--speed` outside its bounds. */
export const speedOutOfRange = (text: string): Diagnostic =>
  entry('speed-out-of-range', `\`--speed ${text}\` is not a number above 0 and at most 1000`, {
    at: { type: 'option', name: '--speed' },
    blame: 'usage',
    help: 'use 1 for the original speed and 10 for ten times that; leave it out to see only the end',
  })

/** `--report` with an unsupported extension. */
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
