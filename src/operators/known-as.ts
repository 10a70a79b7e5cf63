import { ABSENT, type Absent } from './absent.js'
import { foldName, shortName } from './aliases.js'
import type { Alias } from './definition.js'
import { operators } from './index.js'
import type { Operator } from './operator.js'

/** An operator, and a name that people know it by elsewhere. */
export interface KnownAs {
  readonly operator: Operator
  readonly alias: Alias
}

/** The operators that other tools or papers have under a name; case and punctuation do not matter. */
export const knownAs = (name: string): readonly KnownAs[] => {
  const folded = foldName(name)
  return operators.flatMap((operator) =>
    (operator.aliases ?? [])
      .filter((alias) => foldName(alias.name) === folded)
      .map((alias): KnownAs => ({ operator, alias })),
  )
}

/** The operators with a name, with or without their family: `merge.ties`, `TIES`. */
export const namedOperators = (name: string): readonly Operator[] => {
  const folded = foldName(name)
  return operators.filter(({ id }) => foldName(id) === folded || foldName(shortName(id)) === folded)
}

/** What other tools have under a name, and smelt does not. */
export const absentAs = (name: string): readonly Absent[] => {
  const folded = foldName(name)
  return ABSENT.filter((absent) => foldName(absent.name) === folded)
}
