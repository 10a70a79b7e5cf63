import { tokenizerNotCut } from '../base/catalogue/vocabularies.js'
import { failed, ok, type Result } from '../base/result.js'
import {
  parseTokenizerJson,
  readTokenizerJson,
  type ItemSpan,
  type ListSpan,
  type TokenizerFile,
  type TokenizerJson,
} from './tokenizer-json.js'
import type { TokenizerOf } from './read-tokenizer.js'
import type { AddedToken, TokenTable } from './token-table.js'

/** Bytes of a file that get another text. */
interface Edit {
  readonly start: number
  readonly end: number
  readonly text: string
}

/** What a tokenizer loses and gets. */
export interface Change {
  /** Tokens of this id and beyond are left out. */
  readonly rows: number
  readonly appended: readonly AddedToken[]
}

const apply = (bytes: Uint8Array, edits: readonly Edit[]): Uint8Array => {
  const parts: Uint8Array[] = []
  let at = 0
  for (const { start, end, text } of [...edits].sort((x, y) => x.start - y.start)) {
    parts.push(bytes.subarray(at, start), Buffer.from(text))
    at = end
  }
  return edits.length === 0 ? bytes : Buffer.concat([...parts, bytes.subarray(at)])
}

/** A value as JSON, on lines of its own where the list around it has them. */
const toText = (value: unknown, gap: string): string => {
  const indent = /\r?\n[ \t]*$/.exec(gap)?.[0]
  return indent === undefined ? JSON.stringify(value) : JSON.stringify(value, undefined, 2).replaceAll('\n', indent)
}

/** Leaves items out of a list or map, and writes others behind the rest in its own layout. */
const editList = (
  bytes: Uint8Array,
  { start, items }: ListSpan,
  isKept: (item: ItemSpan) => boolean,
  more: readonly (readonly [key: string | undefined, value: unknown])[],
): readonly Edit[] => {
  const blankIn = (from: number, end: number): string =>
    /^[,\s]*/.exec(Buffer.from(bytes.subarray(from, end)).toString('latin1'))![0].replace(',', '')
  const [first, second] = items
  const gap = first === undefined ? '' : blankIn(first.start, first.end)
  const between = second === undefined ? gap : blankIn(second.start, second.end)
  const kept = items.find(isKept)
  const edits = items.filter((item) => !isKept(item)).map((item): Edit => ({ ...item, text: '' }))
  // The first that stays has no comma before it.
  if (kept !== undefined && kept !== first) {
    const comma = bytes.indexOf(0x2c, kept.start)
    edits.push({ start: comma, end: comma + 1, text: '' })
  }
  if (more.length === 0) return edits
  const added = more.map(
    ([key, value]) => `${key === undefined ? '' : `${JSON.stringify(key)}: `}${toText(value, between)}`,
  )
  const last = items.at(-1)?.end ?? start
  const text = added.join(`,${between}`)
  edits.push({ start: last, end: last, text: kept === undefined ? gap + text : `,${between}${text}` })
  return edits
}

/** Merges of tokens that all remain. */
const editMerges = (bytes: Uint8Array, { spans }: TokenizerJson, dropped: ReadonlySet<string>): readonly Edit[] => {
  const span = spans.merges
  if (span === undefined || dropped.size === 0) return []
  const merges = JSON.parse(Buffer.from(bytes.subarray(span.start, span.end)).toString('utf8')) as unknown
  if (!Array.isArray(merges)) return []
  const kept = (merges as readonly unknown[]).filter((merge) => {
    const pair = typeof merge === 'string' ? merge.split(' ') : (merge as readonly string[])
    return ![...pair, pair.join('')].some((token) => dropped.has(token))
  })
  return kept.length === merges.length ? [] : [{ ...span, text: JSON.stringify(kept) }]
}

const flagsIn = ({ id, content, single_word, lstrip, rstrip, normalized, special }: AddedToken): object => ({
  id,
  content,
  single_word,
  lstrip,
  rstrip,
  normalized,
  special,
})

const editJson = (file: TokenizerFile, { rows, appended }: Change): Result<Uint8Array> => {
  const read = parseTokenizerJson(file)
  if (read.type === 'failed') return read
  const { bytes } = file
  const { tokens, spans } = read.value
  const stays = ({ id }: ItemSpan): boolean => id < rows
  const dropped = new Set(tokens.filter((token) => !stays(token)).map(({ text }) => text))
  const added = appended.map((token) => [undefined, flagsIn(token)] as const)
  const list = spans.added
  return ok(
    apply(bytes, [
      ...editList(bytes, spans.vocabulary, stays, []),
      ...editMerges(bytes, read.value, dropped),
      ...(list === undefined
        ? added.length === 0
          ? []
          : [insertFirst(bytes, 'added_tokens', appended.map(flagsIn))]
        : editList(bytes, list, stays, added)),
    ]),
  )
}

/** Puts a key in front of the others of a file. */
const insertFirst = (bytes: Uint8Array, key: string, value: unknown): Edit => {
  const start = bytes.indexOf(0x7b) + 1
  const isEmpty = /^\s*\}/.test(Buffer.from(bytes.subarray(start, start + 100)).toString('latin1'))
  return { start, end: start, text: `${JSON.stringify(key)}: ${JSON.stringify(value)}${isEmpty ? '' : ', '}` }
}

/** The list under a key of a file, or the whole file where there is no key. */
const findList = (file: TokenizerFile, key: string | undefined): ListSpan | undefined => {
  const json = readTokenizerJson(file)
  if (json === undefined) return undefined
  let found: ListSpan | undefined
  const read = (): void => {
    const start = json.position() + 1
    const items: ItemSpan[] = []
    let before = start
    json.object((text) => {
      const id = key === undefined ? Number(json.integer()) : (json.skip(), Number(text))
      items.push({ id, text, start: before, end: json.end() })
      before = json.end()
    })
    found = { start, end: json.end() - 1, items }
  }
  if (key === undefined) read()
  else json.object((own) => (own === key ? read() : void json.skip()))
  return found
}

const withoutId = ({ content, lstrip, normalized, rstrip, single_word, special }: AddedToken): object => ({
  content,
  lstrip,
  normalized,
  rstrip,
  single_word,
  special,
})

/**
 * The files of a tokenizer with fewer or more tokens. Everything else in them stays as it is written. `table` is what
 * they hold.
 */
export const editTokenizer = (of: TokenizerOf, table: TokenTable, change: Change): Result<TokenizerOf['files']> => {
  const files = new Map(of.files)
  const open = (name: string): TokenizerFile => ({
    name,
    bytes: files.get(name) ?? Buffer.from('{}'),
    model: of.model,
    at: of.at,
  })
  const { rows, appended } = change
  const stays = ({ id }: ItemSpan): boolean => id < rows
  const isOwn = (token: string): boolean => !table.added.has(token) || table.inModel.has(token)
  const cut = [...table.ids].some(([token, id]) => id >= rows && isOwn(token))
  if (table.file === 'tokenizer.json') {
    const edited = editJson(open(table.file), change)
    if (edited.type === 'failed') return edited
    files.set(table.file, edited.value)
    // They hold the same tokens again, and would need the same cut.
    if (cut) for (const name of ['tokenizer.model', 'vocab.json', 'vocab.txt', 'merges.txt']) files.delete(name)
  } else if (cut) return failed(tokenizerNotCut(of.at, of.model, table.file, rows))
  /** Where nothing but these files says which tokens are added. */
  const needed = table.file !== 'tokenizer.json' && appended.length > 0
  const edit = (name: string, key: string | undefined, more: readonly (readonly [string, unknown])[]): void => {
    const file = open(name)
    const list = findList(file, key)
    const known = new Set(list?.items.filter(stays).map(({ text }) => text))
    const fresh = more.filter(([text]) => !known.has(text))
    if (list !== undefined) files.set(name, apply(file.bytes, editList(file.bytes, list, stays, fresh)))
    else if (needed && key !== undefined)
      files.set(name, apply(file.bytes, [insertFirst(file.bytes, key, Object.fromEntries(fresh))]))
  }
  if (files.has('tokenizer_config.json') || needed)
    edit(
      'tokenizer_config.json',
      'added_tokens_decoder',
      appended.map((token) => [String(token.id), withoutId(token)]),
    )
  if (files.has('added_tokens.json') || needed)
    edit(
      'added_tokens.json',
      undefined,
      appended.map(({ content, id }) => [content, id]),
    )
  return ok(files)
}
