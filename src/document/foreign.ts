import { isAlias, isMap, isPair, isScalar, isSeq, LineCounter, parseAllDocuments, type Document, type Node } from 'yaml'

/** A value of another program's YAML, with the line it begins on, from 1. */
export interface ForeignValue {
  readonly line: number
  readonly value: string | number | boolean | null | readonly ForeignValue[] | ForeignMap
}

/** A map of another program's YAML; of a key given twice the last value, as most programs read it. */
export type ForeignMap = ReadonlyMap<string, ForeignValue>

/** The documents of a text, and what is wrong with them, each with its line. */
export interface ForeignText {
  readonly documents: readonly ForeignValue[]
  readonly errors: readonly { readonly line: number; readonly message: string }[]
  /** Keys that a map has twice. */
  readonly twice: readonly { readonly line: number; readonly key: string }[]
}

/** Values beyond which a text is refused, aliases written out. */
const MOST_VALUES = 20_000
/** Characters beyond which a text is refused: no configuration has a hundredth of them. */
const MOST_LENGTH = 1_000_000
/** Levels beyond which a text is refused. */
const MOST_LEVELS = 100

/** The key of YAML 1.1 whose maps give what a map itself does not have; of several, the first wins. */
const MERGE = '<<'

/** The maps of a value: itself, or those of its list. */
const mapsIn = ({ value }: ForeignValue): readonly ForeignMap[] =>
  value instanceof Map
    ? [value as ForeignMap]
    : Array.isArray(value)
      ? (value as readonly ForeignValue[]).flatMap((item) =>
          item.value instanceof Map ? [item.value as ForeignMap] : [],
        )
      : []

/**
 * Reads YAML 1.1 as the configurations of other programs have it: several documents, keys given twice, `yes` and `no`.
 * Never throws; `errors` says what could not be read. Comments and anchors are not kept.
 */
export const readForeign = (text: string): ForeignText => {
  const lines = new LineCounter()
  const errors: { line: number; message: string }[] = []
  const twice: { line: number; key: string }[] = []
  const lineAt = (offset: number): number => Math.max(1, lines.linePos(offset).line)
  let values = 0
  let documents: readonly Document[]
  const limit = Error.stackTraceLimit
  // Every problem is an Error to the parser: with stack traces a hostile text of brackets takes seconds.
  Error.stackTraceLimit = 0
  try {
    if (text.length > MOST_LENGTH) return { documents: [], errors: [{ line: 1, message: 'too large' }], twice }
    if (/[[{(]{200}/.test(text.replace(/\s/g, '')))
      return { documents: [], errors: [{ line: 1, message: 'too deep' }], twice }
    const parsed = parseAllDocuments(text, {
      version: '1.1',
      schema: 'yaml-1.1',
      uniqueKeys: false,
      strict: false,
      stringKeys: false,
      prettyErrors: false,
      logLevel: 'silent',
      lineCounter: lines,
    })
    documents = Array.isArray(parsed) ? parsed : []
  } catch (error) {
    return {
      documents: [],
      errors: [{ line: 1, message: error instanceof Error ? error.message : String(error) }],
      twice,
    }
  } finally {
    Error.stackTraceLimit = limit
  }
  const refuse = (line: number, message: string): ForeignValue => {
    errors.push({ line, message })
    return { line, value: null }
  }
  const convert = (node: unknown, document: Document, line: number, level: number): ForeignValue => {
    if (level > MOST_LEVELS || ++values > MOST_VALUES) return refuse(line, 'too large')
    if (isAlias(node)) {
      const target = node.resolve(document)
      return target === undefined
        ? refuse(line, `unknown anchor ${node.source}`)
        : convert(target, document, line, level + 1)
    }
    const at = positionOf(node) ?? line
    if (isScalar(node)) {
      const { value } = node
      return {
        line: at,
        value:
          typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'
            ? value
            : typeof value === 'bigint'
              ? Number(value)
              : value === null || value === undefined
                ? null
                : (node.source ?? null),
      }
    }
    if (isSeq(node)) return { line: at, value: node.items.map((item) => convert(item, document, at, level + 1)) }
    if (!isMap(node)) return { line: at, value: null }
    const map = new Map<string, ForeignValue>()
    const merged = new Map<string, ForeignValue>()
    for (const pair of node.items) {
      if (!isPair(pair)) continue
      const key = isScalar(pair.key) ? (pair.key.source ?? String(pair.key.value)) : undefined
      const where = positionOf(pair.key) ?? at
      if (key === undefined) {
        refuse(where, 'unreadable key')
        continue
      }
      if (key === MERGE && isScalar(pair.key) && pair.key.type === 'PLAIN') {
        for (const part of mapsIn(convert(pair.value, document, where, level + 1)).toReversed())
          for (const [name, value] of part) merged.set(name, value)
        continue
      }
      if (map.has(key)) twice.push({ line: where, key })
      map.set(key, convert(pair.value, document, where, level + 1))
    }
    return { line: at, value: merged.size === 0 ? map : new Map([...merged, ...map]) }
  }
  const positionOf = (node: unknown): number | undefined => {
    const range = (node as Node | null | undefined)?.range
    return range === undefined || range === null ? undefined : lineAt(range[0])
  }
  for (const document of documents)
    for (const { message, pos } of document.errors) errors.push({ line: lineAt(pos[0]), message })
  return {
    documents: documents
      .filter((d) => d.contents !== null)
      .map((d) => convert(d.contents, d, positionOf(d.contents) ?? 1, 0)),
    errors,
    twice,
  }
}
