import * as say from '../base/catalogue/document.js'
import type { Diagnostic } from '../base/diagnostic.js'
import { sortDiagnostics } from '../base/screen.js'

/** How many problems of one document are shown; the rest is only counted. */
export const MOST_PROBLEMS = 50

const identity = ({ code, message, at }: Diagnostic): string =>
  `${code}\n${at?.type === 'text' ? `${at.range.source.path} ${at.range.start}` : ''}\n${message}`

/**
 * Problems in order of place, each once (an alias repeats those of its value), at most {@link MOST_PROBLEMS}: errors
 * before warnings, since many warnings must neither hide an error nor become one.
 */
export const orderProblems = (problems: readonly Diagnostic[]): readonly Diagnostic[] => {
  const unique = [...new Map(problems.map((problem) => [identity(problem), problem])).values()]
  const sorted = sortDiagnostics(unique)
  if (sorted.length <= MOST_PROBLEMS) return sorted
  const isError = ({ severity }: Diagnostic): boolean => severity === 'error'
  const byWeight = [...sorted.filter(isError), ...sorted.filter((problem) => !isError(problem))]
  const shown = new Set(byWeight.slice(0, MOST_PROBLEMS))
  const { at, severity } = byWeight[MOST_PROBLEMS]!
  return [
    ...sorted.filter((problem) => shown.has(problem)),
    say.moreProblems(sorted.length - MOST_PROBLEMS, at, severity),
  ]
}
