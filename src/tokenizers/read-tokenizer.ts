import { tokenTwice, tokensShareId, TOKENIZER_WORDS } from '../base/catalogue/vocabularies.js'
import type { Place } from '../base/diagnostic.js'
import { append } from '../base/lists.js'
import { failed, ok, type Result } from '../base/result.js'
import { readPieces } from './sentencepiece.js'
import { flagsOf, invalid, parseTokenizerJson, readTokenizerJson, type TokenizerFile } from './tokenizer-json.js'
import { PLAIN_FLAGS, type AddedToken, type TokenFlags, type TokenTable } from './token-table.js'

/** The files of a tokenizer by name, whose model it is, and where the recipe names that. */
export interface TokenizerOf {
  readonly files: ReadonlyMap<string, Uint8Array>
  readonly model: string
  readonly at: Place
}

type Read = Result<Pick<TokenTable, 'kind'> & { tokens: readonly Token[]; added: readonly AddedToken[] }>

interface Token {
  readonly id: number
  readonly text: string
}

const SPECIAL: TokenFlags = { ...PLAIN_FLAGS, normalized: false, special: true }

const readSentencePiece = (file: TokenizerFile): Read => {
  const pieces = readPieces(file.bytes)
  if (pieces === undefined) return failed(invalid(file, TOKENIZER_WORDS.notSentencePiece))
  const tokens = pieces.map(({ text }, id) => ({ id, text }))
  const added = pieces.flatMap(({ text: content, apart, special }, id) =>
    apart ? [{ id, content, ...(special ? SPECIAL : { ...PLAIN_FLAGS, normalized: false }) }] : [],
  )
  return ok({ kind: 'SentencePiece', tokens, added })
}

/** Reads a map from tokens to ids. */
const readIds = (file: TokenizerFile): Result<readonly Token[]> => {
  const json = readTokenizerJson(file)
  if (json === undefined) return failed(invalid(file, TOKENIZER_WORDS.notText))
  const tokens: Token[] = []
  json.object((text) => void tokens.push({ text, id: Number(json.integer()) }))
  json.finish()
  const fault = json.fault()
  return fault === undefined ? ok(tokens) : failed(fault)
}

/** The tokens of a `tokenizer_config.json`. */
const readDecoder = (file: TokenizerFile): Result<readonly AddedToken[]> => {
  const json = readTokenizerJson(file)
  if (json === undefined) return failed(invalid(file, TOKENIZER_WORDS.notText))
  const tokens: AddedToken[] = []
  json.object((key) => {
    if (key !== 'added_tokens_decoder') return void json.skip()
    json.object((id) => {
      let content = ''
      const flags: Partial<Record<string, boolean>> = {}
      json.object((flag) => {
        if (flag === 'content') content = json.string()
        else flags[flag] = json.skip().toString('latin1') === 'true'
      })
      if (/^\d{1,15}$/.test(id)) tokens.push({ id: Number(id), content, ...flagsOf(flags) })
    })
  })
  json.finish()
  const fault = json.fault()
  return fault === undefined ? ok(tokens) : failed(fault)
}

/** How each file that can hold a vocabulary is read, in the order in which they are looked for. */
const READERS: readonly (readonly [name: string, read: (file: TokenizerFile) => Read])[] = [
  ['tokenizer.json', parseTokenizerJson],
  ['tokenizer.model', readSentencePiece],
  [
    'vocab.json',
    (file) => {
      const tokens = readIds(file)
      return tokens.type === 'failed' ? tokens : ok({ kind: 'byte-level BPE', tokens: tokens.value, added: [] })
    },
  ],
  [
    'vocab.txt',
    ({ bytes }) => {
      const lines = Buffer.from(bytes)
        .toString('utf8')
        .replace(/\r?\n$/, '')
        .split(/\r?\n/)
      return ok({ kind: 'WordPiece', tokens: lines.map((text, id) => ({ id, text })), added: [] })
    },
  ],
]

/** Tokens that files beside the vocabulary add to it. */
const readBeside = ({ files, model, at }: TokenizerOf): Result<readonly AddedToken[]> => {
  const found: AddedToken[] = []
  const open = (name: string): TokenizerFile | undefined => {
    const bytes = files.get(name)
    return bytes && { name, bytes, model, at }
  }
  const [config, ids] = [open('tokenizer_config.json'), open('added_tokens.json')]
  const decoder = config === undefined ? ok([]) : readDecoder(config)
  if (decoder.type === 'failed') return decoder
  append(found, decoder.value)
  const named = ids === undefined ? ok([]) : readIds(ids)
  if (named.type === 'failed') return named
  append(
    found,
    named.value.map(({ id, text }) => ({ id, content: text, ...PLAIN_FLAGS, normalized: false })),
  )
  return ok(found)
}

/** The tokens of a model with their ids; undefined where its folder has no tokenizer. */
export const readTokenizer = (of: TokenizerOf): Result<TokenTable | undefined> => {
  const reader = READERS.find(([name]) => of.files.has(name))
  if (reader === undefined) return ok(undefined)
  const [name, read] = reader
  const file: TokenizerFile = { name, bytes: of.files.get(name)!, model: of.model, at: of.at }
  const own = read(file)
  if (own.type === 'failed') return own
  const beside = readBeside(of)
  if (beside.type === 'failed') return beside
  const [ids, byId] = [new Map<string, number>(), new Map<number, string>()]
  for (const { id, text } of own.value.tokens) {
    if (ids.has(text)) return failed(tokenTwice(of.at, of.model, name, text))
    const other = byId.get(id)
    if (other !== undefined) return failed(tokensShareId(of.at, of.model, name, id, [other, text]))
    ids.set(text, id)
    byId.set(id, text)
  }
  const [added, inModel] = [new Map<string, AddedToken>(), new Set<string>()]
  for (const token of own.value.added) {
    const { id, content } = token
    const other = byId.get(id)
    if (other !== undefined && other !== content)
      return failed(tokensShareId(of.at, of.model, name, id, [other, content]))
    if (ids.has(content)) inModel.add(content)
    added.set(content, token)
    ids.set(content, id)
    byId.set(id, content)
  }
  const more = new Set<string>()
  for (const token of beside.value) {
    const known = ids.get(token.content)
    // What the tokenizer itself says of a token or an id stands; the flags of a token may be here alone.
    if (known === undefined ? byId.has(token.id) : known !== token.id || added.has(token.content)) continue
    if (known === undefined) more.add(token.content)
    else inModel.add(token.content)
    added.set(token.content, token)
    ids.set(token.content, token.id)
    byId.set(token.id, token.content)
  }
  return ok({ kind: own.value.kind, file: name, ids, added, inModel, beside: more })
}
