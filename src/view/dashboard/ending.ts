import type { JsonDiagnostic, JsonPlace } from '../../base/screen.js'
import { escapeControls } from '../../base/excerpt.js'
import type { RunEvent } from '../../run/events.js'
import { renderSummary } from '../summary.js'
import { paint, type Look } from '../text.js'
import type { BuildEvent } from './build-event.js'

const placeOf = (place: JsonPlace): string => {
  if ('option' in place) return place.option
  if ('line' in place) return `${place.path}:${place.line}:${place.column}`
  return [
    place.path,
    ...(place.tensor === undefined ? [] : [`tensor ${place.tensor}`]),
    ...(place.offset === undefined ? [] : [`byte ${place.offset}`]),
  ].join(', ')
}

const drawProblem = ({ severity, code, message, at, help }: JsonDiagnostic, look: Look): string[] => [
  `${paint(look, severity === 'error' ? 'bad' : 'warn', `${severity}[${escapeControls(code)}]`)}: ${escapeControls(message)}`,
  ...(at === undefined ? [] : [` --> ${escapeControls(placeOf(at))}`]),
  ...(help === undefined ? [] : [`help: ${escapeControls(help)}`]),
  '',
]

/** Problems as a stream of events tells them, which has no text to show them in. */
const renderProblems = (problems: readonly JsonDiagnostic[], look: Look): string =>
  problems.map((p) => `${drawProblem(p, look).join('\n')}\n`).join('')

const PASSING: ReadonlySet<BuildEvent['type']> = new Set([
  'units-finished',
  'work-planned',
  'tensor-finished',
  'memory-measured',
  'bytes-downloaded',
])

/** What of an event the events of a run hold; undefined for those that the command adds. */
export const toRunEvent = (event: BuildEvent): RunEvent | undefined => {
  switch (event.type) {
    case 'plan-made':
    case 'problem-found':
    case 'stop-requested':
    case 'command-ended':
      return undefined
    case 'run-failed':
      return { ...event, diagnostics: [] }
    default:
      return event
  }
}

/** True for the events that a summary is made of: not for those of which a run has thousands. */
export const isLasting = (event: BuildEvent | RunEvent): boolean => !PASSING.has(event.type)

/**
 * What stays in the scrollback of a build whose events were heard from elsewhere: its problems, and what it wrote,
 * `seconds` after its command began.
 */
export const renderEnding = (events: readonly BuildEvent[], look: Look, seconds: number): string => {
  const problems = events.flatMap((event) => (event.type === 'problem-found' ? [event.diagnostic] : []))
  return (
    renderProblems(problems, look) +
    renderSummary(
      events.flatMap((event) => toRunEvent(event) ?? []),
      look,
      seconds,
    )
  )
}
