import { absentMethod, noOperatorFound, unknownOperator } from '../base/catalogue/cli.js'
import { exitCode, type Diagnostic } from '../base/diagnostic.js'
import { COMMON, foldName, shortName } from '../operators/aliases.js'
import { operators } from '../operators/index.js'
import type { Absent } from '../operators/absent.js'
import { absentAs, knownAs, namedOperators } from '../operators/known-as.js'
import type { Operator } from '../operators/operator.js'
import { toJsonText } from '../view/json.js'
import {
  familyOf,
  operatorsToJson,
  renderElsewhere,
  renderFound,
  renderOperator,
  renderOperators,
} from '../view/operators.js'
import type { Console } from './console.js'

/** What `smelt ops` takes besides a name. */
export interface OpsFlags {
  readonly search?: readonly string[]
  readonly json?: boolean
}

const refuse = (console: Console, ...problems: readonly Diagnostic[]): number => {
  console.tell(problems)
  return exitCode(problems)
}

const search = async (console: Console, query: string, json: boolean): Promise<number> => {
  const { searchOperators } = await import('../operators/search.js')
  const found = searchOperators(query)
  const absent = absentAs(query)
  if (found.length === 0)
    return refuse(console, ...(absent.length === 0 ? [noOperatorFound(query)] : tellAbsent(absent)))
  if (absent.length > 0 && !json) console.out(`${renderElsewhere(query, [], absent, console.look('out'))}\n`)
  console.out(json ? toJsonText(operatorsToJson(found)) : renderFound(found, console.look('out')))
  return 0
}

const tellAbsent = (absent: readonly Absent[]): Diagnostic[] =>
  absent.map(({ name, from, why }) => absentMethod(name, from, why))

/** Names that an unknown one may be meant to be: ids, or families, short names and aliases. */
const namesLike = (name: string): ReadonlySet<string> => {
  if (name.includes('.')) return new Set(operators.map(({ id }) => id))
  const names = operators.flatMap(({ id, aliases = [] }) => [shortName(id), ...aliases.map((alias) => alias.name)])
  // Of several spellings of one name, the first.
  const spelt = new Map(names.toReversed().map((each) => [foldName(each), each])).values()
  return new Set([...operators.map(({ id }) => familyOf(id)), ...spelt])
}

/**
 * `smelt ops`: all operators, those of a family, or one in full, by its id (`ties` is as good as `merge.ties`) or by a
 * name that another tool has for it, or why what another tool calls so is not here; `--search` finds some by words.
 */
export const ops = async (console: Console, words: readonly string[], flags: OpsFlags = {}): Promise<number> => {
  const json = flags.json === true
  if (flags.search !== undefined) return search(console, [...words, ...flags.search].join(' '), json)
  const look = console.look('out')
  const name = words.join(' ')
  const family = words.length === 0 ? operators : operators.filter(({ id }) => familyOf(id) === name)
  if (family.length > 0) {
    const found = family.map((operator) => ({ operator }))
    console.out(json ? toJsonText(operatorsToJson(found)) : renderOperators(family, look))
    return 0
  }
  const [own, known, absent] = [namedOperators(name), knownAs(name), absentAs(name)]
  const all = [...new Set([...own, ...known.map(({ operator }) => operator)])]
  const shown = own.length > 0 ? own : all
  if (shown.length === 0)
    return absent.length === 0
      ? refuse(console, unknownOperator(name, namesLike(name)))
      : refuse(console, ...tellAbsent(absent))
  if (json) {
    const aliasesOf = (operator: Operator) => known.filter((k) => k.operator === operator).map(({ alias }) => alias)
    console.out(toJsonText(operatorsToJson(all.map((operator) => ({ operator, aliases: aliasesOf(operator) })))))
    return 0
  }
  // A page lists the other names of its operator anyway.
  const elsewhere = known.filter(({ alias }) => alias.from !== COMMON)
  if (absent.length > 0 || elsewhere.some(({ operator }) => !own.includes(operator)))
    console.out(`${renderElsewhere(name, elsewhere, absent, look)}\n`)
  console.out(shown.length === 1 ? renderOperator(shown[0]!, look) : renderOperators(shown, look))
  return 0
}
