import type { Alias } from '../operators/definition.js'
import type { Operator } from '../operators/operator.js'

/** What an alias says about one word of its program: `lambda` is its `alpha`. */
export interface WordOfAlias {
  readonly alias: Alias
  readonly says: string
}

/** Between the settings of an alias; not what is inside brackets or marks. */
const SEPARATOR = /[,;:] (?![^(]*\))(?=(?:[^`]*`[^`]*`)*[^`]*$)/
/** At most this many are worth reading. */
const MOST = 2

/** Words that are written as code, and what is said without marks: `width` is alpha. */
const wordsIn = (clause: string): readonly string[] => [
  ...[...clause.matchAll(/`([^`]*)`/g)].flatMap(([, code]) => code!.split(/\W+/)),
  ...(clause.match(/(?<=\b(?:is|its) )\w+/g) ?? []),
]

/** What the aliases of an operator say about a word of their programs, each sentence once. */
export const wordsOfAliases = (word: string, { aliases = [] }: Operator): readonly WordOfAlias[] => {
  const found = new Map<string, WordOfAlias>()
  const lower = word.toLowerCase()
  for (const alias of aliases)
    for (const says of alias.settings?.split(SEPARATOR).map((clause) => clause.replace(/^and /, '')) ?? [])
      if (!found.has(says) && wordsIn(says).some((own) => own.toLowerCase() === lower)) found.set(says, { alias, says })
  return [...found.values()].slice(0, MOST)
}
