import type { Diagnostic, Place } from '#src/base/diagnostic.js'
import { positionOf } from '#src/base/position.js'
import { renderDiagnostics } from '#src/base/screen.js'
import type { Result } from '#src/base/result.js'
import { parse } from '#src/recipe/parse.js'
import type { Recipe } from '#src/recipe/recipe.js'

/** Parses a recipe's text, with params set from outside. */
export const parseText = (text: string, set: Readonly<Record<string, string>> = {}): Result<Recipe> =>
  parse({ path: 'recipe.yaml', text }, { set })

/** A place as `line: the text there`, or the option's name. */
export const placeText = (at: Place | undefined): string => {
  if (at === undefined) return 'nowhere'
  if (at.type === 'option') return at.name
  if (at.type === 'file') return at.path
  const { source, start, end } = at.range
  return `${positionOf(source, start).line}: ${source.text.slice(start, end)}`
}

/** Problems as `code @ line: the text underlined`, in the order given. */
export const tell = (diagnostics: readonly Diagnostic[]): readonly string[] =>
  diagnostics.map((d) => `${d.code} @ ${placeText(d.at)}`)

/** The problems of a recipe's text. */
export const problemsOf = (text: string, set: Readonly<Record<string, string>> = {}): readonly Diagnostic[] =>
  parseText(text, set).diagnostics

/** The recipe of a sound text; throws its problems otherwise. */
export const recipeOf = (text: string, set: Readonly<Record<string, string>> = {}): Recipe => {
  const parsed = parseText(text, set)
  if (parsed.type === 'failed') throw new Error(renderDiagnostics(parsed.diagnostics, { color: false }))
  return parsed.value
}
