import type { Diagnostic, Source } from '#src/base/diagnostic.js'
import { readDocument } from '#src/document/read.js'
import type { JsonSchema } from '#src/document/schema.js'
import { validate } from '#src/document/validate.js'
import type { Value } from '#src/document/value.js'

/** A text as a source. */
export const sourceOf = (text: string): Source => ({ path: 'recipe.yaml', text })

/** What is underlined, with the code: "unknown-key drp". */
export const shown = (diagnostics: readonly Diagnostic[]): string[] =>
  diagnostics.map(
    ({ code, at }) =>
      `${code} ${at?.type === 'text' ? at.range.source.text.slice(at.range.start, at.range.end) : at?.type === 'file' ? at.path : ''}`,
  )

/** The problems of reading a text, as {@link shown}. */
export const problemsOf = (text: string): string[] => shown(readDocument(sourceOf(text)).diagnostics)

/** The value of a text that has no problems. */
export const valueOf = (text: string): Value => {
  const read = readDocument(sourceOf(text))
  if (read.type === 'failed') throw new Error(shown(read.diagnostics).join('\n'))
  return read.value
}

/** The problems of a text under a schema. */
export const checkText = (text: string, schema: JsonSchema): readonly Diagnostic[] =>
  validate(valueOf(text), schema).diagnostics
