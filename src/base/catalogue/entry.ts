import type { ErrorCategory, Diagnostic, Place, Severity } from '../diagnostic.js'

/** What a diagnostic may have besides its code and message. */
export interface Details {
  readonly at?: Place | undefined
  readonly related?: readonly { readonly at: Place; readonly message: string }[]
  readonly help?: string | undefined
  readonly severity?: Severity
  readonly blame?: ErrorCategory
}

/** Makes a diagnostic; only catalogue files call this, so every user-facing sentence is found there. */
export const entry = (code: string, message: string, details: Details = {}): Diagnostic => ({
  code,
  severity: details.severity ?? 'error',
  blame: details.blame ?? 'input',
  message,
  related: details.related ?? [],
  ...(details.at === undefined ? {} : { at: details.at }),
  ...(details.help === undefined ? {} : { help: details.help }),
})
