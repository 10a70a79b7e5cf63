import type { Source } from '../base/diagnostic.js'
import { readDocument } from './read.js'
import { find, type Path } from './value.js'

/**
 * A document's text with other numbers at some paths, and every other byte as it was: comments, order and spaces.
 * Undefined where the text cannot be read or has nothing there.
 */
export const setNumbers = (
  source: Source,
  numbers: readonly { readonly path: Path; readonly value: number }[],
): string | undefined => {
  const document = readDocument(source)
  if (document.type === 'failed') return undefined
  const places = numbers.map(({ path, value }) => ({ at: find(document.value, path), value }))
  let { text } = source
  for (const { at, value } of places.toSorted((x, y) => (y.at?.range.start ?? 0) - (x.at?.range.start ?? 0))) {
    if (at?.type !== 'number') return undefined
    text = `${text.slice(0, at.range.start)}${value}${text.slice(at.range.end)}`
  }
  return text
}
