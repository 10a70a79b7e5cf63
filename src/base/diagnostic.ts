/** A text that a user wrote, kept whole so that problems can be shown in place. `path` is as the user gave it. */
export interface Source {
  readonly path: string
  readonly text: string
}

/** A stretch of a source, in UTF-16 offsets; `end` is exclusive. Line and column exist only when printed. */
export interface Range {
  readonly source: Source
  readonly start: number
  readonly end: number
}

/** Where a problem is: in a text, in a binary file (perhaps at one tensor), or on the command line. */
export type Place =
  | { readonly type: 'text'; readonly range: Range }
  | { readonly type: 'file'; readonly path: string; readonly tensor?: string; readonly offset?: number }
  | { readonly type: 'option'; readonly name: string }

export type Severity = 'error' | 'warning'

/**
 * Which exit code a problem leads to: the recipe or its inputs, the command line, the run, the lock, or worth trying
 * again.
 */
export type ErrorCategory = 'input' | 'usage' | 'run' | 'lock' | 'retry'

/** One problem, for the user: what is wrong, where, what is related, and what to do next. */
export interface Diagnostic {
  /** Stable kebab-case name, asserted by tests and usable in searches. */
  readonly code: string
  readonly severity: Severity
  readonly blame: ErrorCategory
  readonly message: string
  readonly at?: Place
  readonly related: readonly { readonly at: Place; readonly message: string }[]
  /** What the reader can do next. */
  readonly help?: string
}

/**
 * The exit code of a finished command, from its problems: 0 done, 1 recipe or inputs, 2 command line, 3 run, 4 lock, 75
 * try again.
 */
export const exitCode = (diagnostics: readonly Diagnostic[]): number => {
  const codes = { input: 1, usage: 2, run: 3, lock: 4, retry: 75 } as const
  const first = diagnostics.find((d) => d.severity === 'error')
  return first === undefined ? 0 : codes[first.blame]
}
