import { isMeasure, type Expression, type Measure, type Origin } from './expression.js'

/** Expressions that are told apart by a text or a number. */
export type Table = Map<string | number, Expression>

/** A table without expressions. */
export const createTable = (): Table => new Map()

/** Tables by what all their expressions have in common, each made when it is first asked for. */
export const createTables = <K>(): ((common: K) => Table) => {
  const tables = new Map<K, Table>()
  return (common) => {
    const table: Table = tables.get(common) ?? createTable()
    if (table.size === 0) tables.set(common, table)
    return table
  }
}

/** Makes each distinct expression once, and remembers which step built it first. */
export interface Interning {
  /** The expression of a text, made and numbered where it is new. */
  intern<E extends Expression>(text: string, make: (id: number) => E): E
  /** The same in a table of its own, without building a key string: there may be hundreds of thousands. */
  internIn<E extends Expression>(table: Table, key: string | number, make: (id: number) => E): E
  /** Every measure over several tensors. */
  readonly grouped: readonly Measure[]
  within<T>(origin: Origin, make: () => T): T
  originOf(e: Expression): Origin | undefined
}

/** With no expression made yet; they are numbered from `first`. */
export const createInterning = (first = 0): Interning => {
  const texts = createTable()
  const grouped: Measure[] = []
  /** By how many expressions there were before. */
  const origins: (Origin | undefined)[] = []
  let current: Origin | undefined
  let count = first
  const internIn: Interning['internIn'] = (table, key, make) => {
    const known = table.get(key)
    if (known !== undefined) return known as ReturnType<typeof make>
    const made = make(count++)
    table.set(key, made)
    origins.push(current)
    if (isMeasure(made) && made.over !== undefined) grouped.push(made)
    return made
  }
  return {
    intern: (text, make) => internIn(texts, text, make),
    internIn,
    grouped,
    within: (origin, make) => {
      const before = current
      current = origin
      try {
        return make()
      } finally {
        current = before
      }
    },
    originOf: (e) => origins[e.id - first],
  }
}
