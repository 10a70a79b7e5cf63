import MiniSearch from 'minisearch'
import { foldName } from './aliases.js'
import type { Alias } from './definition.js'
import { findOperator, operators } from './index.js'
import { knownAs, namedOperators, type KnownAs } from './known-as.js'
import type { Operator } from './operator.js'
import type { ParamSpecs } from './params.js'

/** An operator that a search found, and those of its aliases that match best. */
export interface Found {
  readonly operator: Operator
  readonly aliases: readonly Alias[]
}

/** Words that say nothing about what is searched. */
const STOP = new Set(['a', 'an', 'and', 'by', 'for', 'from', 'how', 'in', 'is', 'it', 'of', 'or', 'the', 'to', 'with'])

/** A word, or a number with a point, as papers on arXiv have. */
const WORD = /\d+\.\d+|[\p{L}\p{N}]+/gu
/** Between the parts of a word such as `trainDifference` or `CLIPMergeSimple`. */
const SEAM = /(?<=\p{Ll})(?=\p{Lu})|(?<=\p{Lu})(?=\p{Lu}\p{Ll})/u

const wordsOf = (text: string): string[] => (text.toLowerCase().match(WORD) ?? []).filter((word) => !STOP.has(word))

/** The words of what is searched, and the parts of those that have some. */
const indexedWords = (text: string): string[] => [
  ...wordsOf(text),
  ...(text.match(WORD) ?? []).flatMap((word) => {
    const parts = word.split(SEAM)
    return parts.length > 1 ? parts.filter((part) => part.length > 2).map((part) => part.toLowerCase()) : []
  }),
]

/** What of an alias is searched; it is also found when its words are written as one. */
const textOf = ({ name, from }: Alias): string => `${name} ${foldName(name)} ${from}`

const paramsText = (params: ParamSpecs): string =>
  Object.entries(params)
    .map(([key, spec]) =>
      [key, spec.description, ...(spec.type === 'choice' ? Object.entries(spec.choices).flat() : [])].join(' '),
    )
    .join(' ')

/** What is searched, by how much a word in it counts. */
const BOOST = { id: 8, aliases: 6, summary: 4, source: 3, params: 2, details: 1, settings: 1 } as const

type Document = Readonly<Record<keyof typeof BOOST, string>>

const documentOf = ({ id, aliases = [], summary, details = '', source = '', inputs, params }: Operator): Document => ({
  id,
  aliases: aliases.map(textOf).join(' '),
  settings: aliases.map(({ settings = '' }) => settings).join(' '),
  summary,
  details,
  source,
  params: [
    paramsText(params),
    ...Object.entries(inputs).map(([key, input]) =>
      [key, input.description, input.type === 'model' && input.many ? paramsText(input.each) : ''].join(' '),
    ),
  ].join(' '),
})

const hasDigit = (word: string): boolean => /\d/.test(word)

const indexOf = <T extends { readonly id: string | number }>(
  documents: readonly T[],
  boost: Readonly<Record<string, number>>,
): MiniSearch<T> => {
  const index = new MiniSearch<T>({
    fields: Object.keys(boost),
    tokenize: indexedWords,
    searchOptions: {
      tokenize: wordsOf,
      boost,
      // Words may be cut short or misspelt, numbers may not.
      prefix: (word) => word.length > 2 && !hasDigit(word),
      fuzzy: (word) => (word.length > 3 && !hasDigit(word) ? 0.2 : false),
      // An operator with many aliases or a long page is as good as another.
      bm25: { k: 1.2, b: 0.3, d: 0.5 },
    },
  })
  index.addAll(documents)
  return index
}

/** An alias that a search found. */
interface AliasHit extends KnownAs {
  readonly score: number
  /** The share of the words of the query that it has. */
  readonly share: number
}

const ALIASES = operators.flatMap((operator) => (operator.aliases ?? []).map((alias): KnownAs => ({ operator, alias })))
const aliasIndex = indexOf(
  ALIASES.map(({ alias }, id) => ({ id, text: textOf(alias) })),
  { text: BOOST.aliases },
)
const operatorIndex = indexOf(operators.map(documentOf), BOOST)

/** The aliases that have most of the words of a query, the best first. */
const searchAliases = (query: string): readonly AliasHit[] => {
  const words = new Set(wordsOf(query)).size
  return aliasIndex
    .search(query)
    .map(({ id, score, queryTerms }) => ({ ...ALIASES[Number(id)]!, score, share: queryTerms.length / words }))
    .filter(({ share }) => share > 0.5)
}

/**
 * The operators that have all words of a query, or else those that have some, the best first; what has the whole query
 * as its name comes before.
 */
export const searchOperators = (query: string): readonly Found[] => {
  const all = operatorIndex.search(query, { combineWith: 'AND' })
  const hits = all.length > 0 ? all : operatorIndex.search(query)
  const aliases = searchAliases(query)
  const ranked = hits
    .map(({ id, score }) => {
      const operator = findOperator(String(id))!
      const whole = aliases.find((hit) => hit.operator === operator && hit.share === 1)
      return { operator, score: score + (whole?.score ?? 0) }
    })
    .sort((x, y) => y.score - x.score)
  const exact = [...namedOperators(query), ...knownAs(query).map(({ operator }) => operator)]
  const found = new Set([...exact, ...ranked.map(({ operator }) => operator)])
  return [...found].map((operator) => {
    const own = aliases.filter((hit) => hit.operator === operator)
    const same = own.filter(({ alias }) => foldName(alias.name) === foldName(query))
    return { operator, aliases: (same.length > 0 ? same : own).map(({ alias }) => alias) }
  })
}
