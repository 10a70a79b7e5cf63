import { inspectWords } from '../base/catalogue/screens.js'
import { greatest } from '../base/lists.js'
import { groupAliases } from '../operators/aliases.js'
import type { Alias } from '../operators/definition.js'
import type { Absent } from '../operators/absent.js'
import type { KnownAs } from '../operators/known-as.js'
import type { Found } from '../operators/search.js'
import type { Operator } from '../operators/operator.js'
import { markdownTable, operatorPage } from '../operators/page.js'
import { renderMarkdown } from './markdown.js'
import { paint, plural, wrap, type Look } from './text.js'

/** The part of an operator's id before the dot. */
export const familyOf = (id: string): string => id.split('.')[0]!

/** Writes operators with their summaries, ids in a column of `width`. */
const summaries =
  (width: number, look: Look) =>
  ({ id, summary }: Operator): readonly string[] =>
    wrap(look.color ? summary.replaceAll('`', '') : summary, look.width - width - 4).map(
      (line, i) => `  ${paint(look, 'name', (i === 0 ? id : '').padEnd(width))}  ${line}`,
    )

/** Every operator with its summary, by family. */
export const renderOperators = (operators: readonly Operator[], look: Look): string => {
  const families = [...new Set(operators.map((o) => familyOf(o.id)))]
  const row = summaries(greatest(operators.map((o) => o.id.length)), look)
  const lines = families.flatMap((family, i) => [
    ...(i === 0 ? [] : ['']),
    paint(look, 'title', family),
    ...operators.filter((o) => familyOf(o.id) === family).flatMap(row),
  ])
  return `${[...lines, '', inspectWords.oneOperator].join('\n')}\n`
}

/** How many lines of aliases a result of a search shows. */
const MOST_ALIASES = 3
/** How many results of a search are shown. */
const MOST_FOUND = 10

/** What a search found, the best first: operators with their summaries, and below the aliases that match. */
export const renderFound = (found: readonly Found[], look: Look): string => {
  const shown = found.slice(0, MOST_FOUND)
  const width = greatest(shown.map(({ operator }) => operator.id.length))
  const row = summaries(width, look)
  const below = (text: string): readonly string[] =>
    renderMarkdown(text, { ...look, width: look.width - width - 4 })
      .trimEnd()
      .split('\n')
      .map((line) => `${' '.repeat(width + 4)}${line}`)
  const lines = shown.flatMap(({ operator, aliases }) => [
    ...row(operator),
    ...groupAliases(aliases)
      .slice(0, MOST_ALIASES)
      .flatMap((group) => below(inspectWords.alias(group))),
  ])
  const more = found.length - shown.length
  const rest = more === 0 ? [] : [inspectWords.moreFound(plural(more, 'more operator'))]
  return `${[...lines, '', ...rest, inspectWords.oneOperator].join('\n')}\n`
}

/** What other tools have by a name that is no operator's, or not only one's. */
export const renderElsewhere = (
  name: string,
  elsewhere: readonly KnownAs[],
  absent: readonly Absent[],
  look: Look,
): string =>
  renderMarkdown(
    [
      inspectWords.elsewhere(name),
      '',
      ...markdownTable(
        ['source', 'operator', 'settings'],
        [
          ...elsewhere.map(({ operator, alias }) => [alias.from, operator.id, alias.settings ?? '–'] as const),
          ...absent.map(({ from, why }) => [from, '–', inspectWords.notHere(why)] as const),
        ],
      ),
    ].join('\n'),
    look,
  )

/** Operators for programs; those of a search with the aliases that match. */
export const operatorsToJson = (
  found: readonly { readonly operator: Operator; readonly aliases?: readonly Alias[] }[],
): object => ({
  type: 'operators',
  operators: found.map(
    ({ operator: { id, version, summary, details, source, output, aliases = [] }, aliases: matched }) => ({
      id,
      version,
      summary,
      details,
      source,
      output,
      aliases,
      matched,
    }),
  ),
})

/** One operator's page. */
export const renderOperator = (operator: Operator, look: Look): string => renderMarkdown(operatorPage(operator), look)
