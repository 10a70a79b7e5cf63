import type { Diagnostic } from './diagnostic.js'

/** A value with the warnings met on the way, or the problems that prevented it. */
export type Result<T> =
  | { readonly type: 'ok'; readonly value: T; readonly diagnostics: readonly Diagnostic[] }
  | { readonly type: 'failed'; readonly diagnostics: readonly Diagnostic[] }

/** Wraps a value that was reached, with any warnings. */
export const ok = <T>(value: T, diagnostics: readonly Diagnostic[] = []): Result<T> => ({
  type: 'ok',
  value,
  diagnostics,
})

/** Wraps the problems that prevented a value; at least one is an error. */
export const failed = (
  ...diagnostics: readonly Diagnostic[]
): { readonly type: 'failed'; readonly diagnostics: readonly Diagnostic[] } => ({
  type: 'failed',
  diagnostics,
})
