import { PLAIN_FLAGS, type AddedToken, type TokenTable } from './token-table.js'

/** A tokenizer and how many rows the matrices of its model have. */
export interface Side {
  readonly table: TokenTable
  readonly rows: number
}

/** The tokens of an output. */
export interface Vocabulary {
  readonly ids: ReadonlyMap<string, number>
  /** Tokens that the tokenizer that is written gets, in the order of their ids. */
  readonly appended: readonly AddedToken[]
  /** Those of `appended` that are ordinary tokens where they are from, and whose text stands in words. */
  readonly wordParts: readonly string[]
  /** One more than the greatest id. */
  readonly size: number
}

/**
 * True where the text of a token can stand in a text to be split. Of byte-level BPE, letters that are not ASCII stand
 * for bytes, and blanks are letters, too; other kinds mark where words begin or go on.
 */
const standsInText = (kind: TokenTable['kind'], token: string): boolean => {
  switch (kind) {
    case 'byte-level BPE':
      return /^[!-~]+$/.test(token)
    case 'SentencePiece':
      return !token.includes('▁') && !/^<0x[\dA-F]{2}>$/.test(token)
    case 'WordPiece':
      return !token.startsWith('##')
    default:
      return true
  }
}

/** The id of a token in a model's matrices; undefined where it has none, or one beyond their rows. */
export const idIn = ({ table, rows }: Side, token: string): number | undefined => {
  const id = table.ids.get(token)
  return id === undefined || id >= rows ? undefined : id
}

/**
 * The id that programs give to the next token that is added to a tokenizer. They count the tokens of a
 * `tokenizer.json`, whatever its ids are.
 */
const nextId = ({ table, rows }: Side): number => {
  let [own, last, lastAdded] = [0, -1, -1]
  for (const [token, id] of table.ids) {
    if (id >= rows || table.beside.has(token)) continue
    last = Math.max(last, id)
    const isAdded = table.added.has(token)
    if (isAdded) lastAdded = Math.max(lastAdded, id)
    if (!isAdded || table.inModel.has(token)) own++
  }
  return table.file === 'tokenizer.json' ? Math.max(own, lastAdded + 1) : last + 1
}

/** The tokens that a union adds: of all others, ordinary ones by id first, then added ones; the first flags win. */
const unionOf = (
  from: Side,
  others: readonly Side[],
): { readonly tokens: readonly Omit<AddedToken, 'id'>[]; readonly ordinary: readonly string[] } => {
  const [ordinary, added] = [new Map<string, Omit<AddedToken, 'id'>>(), new Map<string, Omit<AddedToken, 'id'>>()]
  for (const side of others) {
    const sorted = [...side.table.ids].filter(([, id]) => id < side.rows).sort(([, x], [, y]) => x - y)
    for (const [content] of sorted) {
      if (idIn(from, content) !== undefined) continue
      const own = side.table.added.get(content)
      if (own !== undefined && !added.has(content)) added.set(content, own)
      if (own === undefined && !ordinary.has(content)) ordinary.set(content, { content, ...PLAIN_FLAGS })
    }
  }
  const plain = [...ordinary.values()].filter(({ content }) => !added.has(content))
  return { tokens: [...plain, ...added.values()], ordinary: plain.map(({ content }) => content) }
}

/**
 * The vocabulary of a tokenizer that gets all tokens of others, or none, and then those of `more`. Ids of its own never
 * move. Undefined where ids that the new tokens would get are taken, which a vocabulary with gaps may have.
 */
export const makeVocabulary = (from: Side, others: readonly Side[], more: Iterable<string>): Vocabulary | undefined => {
  const { table, rows } = from
  const ids = new Map([...table.ids].filter(([, id]) => id < rows))
  const union = unionOf(from, others)
  const wanted = [...union.tokens]
  const known = new Set(wanted.map(({ content }) => content))
  for (const content of more)
    if (!ids.has(content) && !known.has(content)) {
      known.add(content)
      wanted.push({ content, ...PLAIN_FLAGS })
    }
  const appended =
    wanted.length === 0
      ? []
      : [...table.beside].flatMap((token) => {
          const own = table.added.get(token)!
          return own.id < rows ? [own] : []
        })
  const taken = new Set(ids.values())
  let next = nextId(from)
  for (const own of [...appended].sort((x, y) => x.id - y.id)) {
    if (own.id !== next) return undefined
    next++
  }
  for (const token of wanted) {
    if (taken.has(next)) return undefined
    // A text that the tokenizer has beyond the rows of its model loses that id.
    ids.set(token.content, next)
    appended.push({ ...token, id: next })
    next++
  }
  let size = 0
  for (const id of ids.values()) size = Math.max(size, id + 1)
  const wordParts = union.ordinary.filter((token) => standsInText(table.kind, token))
  return { ids, appended: appended.sort((x, y) => x.id - y.id), wordParts, size }
}
