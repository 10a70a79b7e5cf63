import { NO_ROW, toRowMap, ZERO_ROW, type RowMap } from '../tensor/row-map.js'
import { idIn, type Side, type Vocabulary } from './vocabulary.js'

/** Rows of a model at some rows of the vocabulary. */
export interface RowsOf {
  readonly model: string
  readonly map: RowMap
}

/** How many rows of a model come from where. */
export interface RowCounts {
  /** Its own. */
  readonly own: number
  /** Of other models. */
  readonly copied: number
  /** Means of several others. */
  readonly averaged: number
  /** All 0. */
  readonly zero: number
  /** Rows of no token. */
  readonly unused: number
}

/** Where the rows of a model's matrices come from. Of all maps at most one has a row at a place, summed over `means`. */
export interface Alignment {
  readonly own: RowMap
  readonly others: readonly RowsOf[]
  /** Rows that are the sum of those of some models, divided by their number. */
  readonly means: readonly { readonly count: number; readonly parts: readonly RowsOf[] }[]
  readonly counts: RowCounts
}

/** Where the row of a token comes from in models that lack it, or, with `force`, in all. */
export interface RowChoice {
  readonly source: { readonly model: string; readonly row: number } | 'zero'
  readonly force: boolean
}

/** For each row of a model 1 where it is of no token. */
const freeRows = ({ table, rows }: Side): Uint8Array => {
  const free = new Uint8Array(rows).fill(1)
  for (const id of table.ids.values()) if (id < rows) free[id] = 0
  return free
}

/** What alignments are made for. */
export interface AlignedTo {
  readonly vocabulary: Vocabulary
  /** The model whose tokenizer it is. Its rows of no token stand in for those where another has a token. */
  readonly owner: string
  /** The model whose rows stand in for those that others lack. */
  readonly base: string
  readonly rows: number
  readonly choices: ReadonlyMap<string, RowChoice>
}

/** The alignments of all models, and the tokens that none of them has a row for. */
export interface Alignments {
  readonly of: ReadonlyMap<string, Alignment>
  readonly zero: readonly string[]
  /** The first row that is a mean of all rows of tokens; `rows` where there is none. */
  readonly padFrom: number
}

/**
 * Where every row of the models comes from. The row of a token that a model lacks is, in this order: what is chosen for
 * it; that of the only model that has it; 0 if none has it; that of the base; the mean of those that have it.
 */
export const alignRows = (
  sides: ReadonlyMap<string, Side>,
  { vocabulary, owner, base, rows, choices }: AlignedTo,
): Alignments => {
  const names = [...sides.keys()]
  const blank = (): Int32Array => new Int32Array(rows).fill(NO_ROW)
  const makers = names.map((name) => {
    const [own, others] = [blank(), new Map<string, Int32Array>()]
    const means = new Map<number, Map<string, Int32Array>>()
    const counts = { own: 0, copied: 0, averaged: 0, zero: 0, unused: 0 }
    const mapOf = (maps: Map<string, Int32Array>, model: string): Int32Array => {
      const known = maps.get(model) ?? blank()
      maps.set(model, known)
      return known
    }
    return {
      counts,
      take: (at: number, model: string, row: number): void => {
        if (model === name) own[at] = row
        else mapOf(others, model)[at] = row
      },
      zero: (at: number): void => void (own[at] = ZERO_ROW),
      mean: (at: number, holders: readonly (readonly [model: string, row: number])[]): void => {
        const maps = means.get(holders.length) ?? new Map<string, Int32Array>()
        means.set(holders.length, maps)
        for (const [model, row] of holders) mapOf(maps, model)[at] = row
      },
      made: (): Alignment => {
        const toRows = (maps: ReadonlyMap<string, Int32Array>): RowsOf[] =>
          names.flatMap((model) => {
            const map = maps.get(model)
            return map === undefined ? [] : [{ model, map: toRowMap(map) }]
          })
        return {
          own: toRowMap(own),
          others: toRows(others),
          means: [...means].sort(([x], [y]) => x - y).map(([count, maps]) => ({ count, parts: toRows(maps) })),
          counts,
        }
      },
    }
  })
  const used = new Uint8Array(rows)
  const none: string[] = []
  for (const [token, at] of vocabulary.ids) {
    used[at] = 1
    const holders = names.flatMap((name): [string, number][] => {
      const row = idIn(sides.get(name)!, token)
      return row === undefined ? [] : [[name, row]]
    })
    const rowIn = new Map(holders)
    const choice = choices.get(token)
    if (holders.length === 0 && choice === undefined) none.push(token)
    for (const [i, name] of names.entries()) {
      const maker = makers[i]!
      const own = rowIn.get(name)
      const single =
        holders.length === 1 ? holders[0] : rowIn.has(base) ? ([base, rowIn.get(base)!] as const) : undefined
      if (own !== undefined && choice?.force !== true) {
        maker.take(at, name, own)
        maker.counts.own++
      } else if (choice === undefined ? holders.length === 0 : choice.source === 'zero') {
        maker.zero(at)
        maker.counts.zero++
      } else if (choice !== undefined && choice.source !== 'zero') {
        maker.take(at, choice.source.model, choice.source.row)
        maker.counts[choice.source.model === name ? 'own' : 'copied']++
      } else if (single !== undefined) {
        maker.take(at, ...single)
        maker.counts.copied++
      } else {
        maker.mean(at, holders)
        maker.counts.averaged++
      }
    }
  }
  const owned = sides.get(owner)!.rows
  const free = names.map((name) => freeRows(sides.get(name)!))
  for (let at = 0; at < rows; at++) {
    if (used[at] === 1) continue
    for (const [i, maker] of makers.entries()) {
      maker.counts.unused++
      if (at < free[i]!.length && free[i]![at] === 1) maker.take(at, names[i]!, at)
      else if (at < owned) maker.take(at, owner, at)
      else if (at < vocabulary.size) maker.zero(at)
    }
  }
  return {
    of: new Map(names.map((name, i) => [name, makers[i]!.made()])),
    zero: none,
    padFrom: Math.min(rows, Math.max(vocabulary.size, owned)),
  }
}

/** True where a model’s matrices of `rows` rows stay as they are. */
export const isIdentity = ({ own, others, means }: Alignment, rows: number): boolean =>
  others.length === 0 && means.length === 0 && own.ordered === rows && own.rows.length === rows
