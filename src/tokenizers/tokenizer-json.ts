import { isUtf8 } from 'node:buffer'
import { tokenizerInvalid, TOKENIZER_WORDS } from '../base/catalogue/vocabularies.js'
import { JSON_REASONS } from '../base/catalogue/safetensors.js'
import type { Diagnostic, Place } from '../base/diagnostic.js'
import { failed, ok, type Result } from '../base/result.js'
import { readJson, type JsonReader } from '../safetensors/strict-json.js'
import type { AddedToken, TokenFlags, TokenizerKind } from './token-table.js'

/** A file of a tokenizer: whose it is, and where the recipe names that. */
export interface TokenizerFile {
  readonly name: string
  readonly bytes: Uint8Array
  readonly model: string
  readonly at: Place
}

/** A piece of a file, between two bytes. */
export interface Span {
  readonly start: number
  readonly end: number
}

/** An entry of a list or map of a file; its span begins where the entry before ends, so that it holds the comma. */
export interface ItemSpan extends Span {
  readonly id: number
  readonly text: string
}

/** A list or map in a file, between its brackets. */
export interface ListSpan extends Span {
  readonly items: readonly ItemSpan[]
}

/** A `tokenizer.json`, and where its lists lie in it. */
export interface TokenizerJson {
  readonly kind: TokenizerKind
  /** The model's own tokens. */
  readonly tokens: readonly ItemSpan[]
  readonly added: readonly AddedToken[]
  readonly spans: {
    readonly vocabulary: ListSpan
    readonly merges: Span | undefined
    readonly added: ListSpan | undefined
  }
}

/** Long enough for the tables of characters that some normalizers have as one text. */
const RULES = { depth: 64, longest: 1 << 25 }

/** A reader of a tokenizer's file that says whose it is; undefined where the bytes are no text. */
export const readTokenizerJson = ({ bytes, name, model, at }: TokenizerFile): JsonReader | undefined =>
  isUtf8(bytes)
    ? readJson(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength), {
        ...RULES,
        describe: (reason, offset) => tokenizerInvalid(at, model, name, JSON_REASONS[reason], offset),
      })
    : undefined

/** Something wrong with a tokenizer's file, in words. */
export const invalid = ({ at, model, name }: TokenizerFile, words: string): Diagnostic =>
  tokenizerInvalid(at, model, name, words)

const kindOf = (type: string, features: string): TokenizerKind | undefined => {
  switch (type) {
    case 'Unigram':
      return 'SentencePiece'
    case 'WordPiece':
    case 'WordLevel':
      return type
    case '':
    case 'BPE':
      if (features.includes('"ByteLevel"')) return 'byte-level BPE'
      return /"Metaspace"|"ByteFallback"|▁|\\u2581/.test(features) ? 'SentencePiece' : 'BPE'
    default:
      return undefined
  }
}

/** The entries of a list or map, each read by `read`, which is told the key. */
const readItems = (json: JsonReader, read: (key: string, index: number) => Omit<ItemSpan, keyof Span>): ListSpan => {
  const isMap = json.peek() === 0x7b
  const start = json.position() + 1
  const items: ItemSpan[] = []
  let before = start
  const visit = (key: string): void => {
    const item = read(key, items.length)
    const end = json.end()
    items.push({ ...item, start: before, end })
    before = end
  }
  if (isMap) json.object(visit)
  else json.array(() => visit(''))
  return { start, end: json.end() - 1, items }
}

const readAdded = (json: JsonReader): AddedToken => {
  let [id, content] = [0, '']
  const flags: Partial<Record<string, boolean>> = {}
  json.object((key) => {
    if (key === 'id') id = Number(json.integer())
    else if (key === 'content') content = json.string()
    else flags[key] = json.skip().toString('latin1') === 'true'
  })
  return { id, content, ...flagsOf(flags) }
}

/** Flags that are given, and those that are left out. */
export const flagsOf = (given: Partial<Record<string, boolean>>): TokenFlags => ({
  single_word: given['single_word'] ?? false,
  lstrip: given['lstrip'] ?? false,
  rstrip: given['rstrip'] ?? false,
  normalized: given['normalized'] ?? given['special'] !== true,
  special: given['special'] ?? false,
})

interface ModelPart {
  type: string
  vocabulary: ListSpan | undefined
  merges: Span | undefined
  fallback: boolean
}

const readModel = (json: JsonReader): ModelPart => {
  const part: ModelPart = { type: '', vocabulary: undefined, merges: undefined, fallback: false }
  json.object((key) => {
    if (key === 'type') part.type = json.string()
    else if (key === 'vocab')
      part.vocabulary = readItems(json, (token, index) => {
        if (json.peek() !== 0x5b) return { id: Number(json.integer()), text: token }
        let text = ''
        let first = true
        json.array(() => {
          if (first) text = json.string()
          else json.skip()
          first = false
        })
        return { id: index, text }
      })
    else if (key === 'merges') {
      const start = json.position()
      part.merges = { start, end: start + json.skip().length }
    } else if (key === 'byte_fallback') part.fallback = json.skip().toString('latin1') === 'true'
    else json.skip()
  })
  return part
}

/** Reads a `tokenizer.json`. */
export const parseTokenizerJson = (file: TokenizerFile): Result<TokenizerJson> => {
  const json = readTokenizerJson(file)
  if (json === undefined) return failed(invalid(file, TOKENIZER_WORDS.notText))
  const added: AddedToken[] = []
  let [model, list]: [ModelPart | undefined, ListSpan | undefined] = [undefined, undefined]
  let features = ''
  json.object((key) => {
    if (key === 'model') model = readModel(json)
    else if (key === 'added_tokens')
      list = readItems(json, () => {
        const token = readAdded(json)
        added.push(token)
        return { id: token.id, text: token.content }
      })
    else if (key === 'normalizer' || key === 'pre_tokenizer' || key === 'decoder') features += json.skip().toString()
    else json.skip()
  })
  json.finish()
  const fault = json.fault()
  if (fault !== undefined) return failed(fault)
  const { type, vocabulary, merges, fallback } = (model ?? {}) as ModelPart
  if (vocabulary === undefined) return failed(invalid(file, TOKENIZER_WORDS.noVocabulary))
  const kind = kindOf(type, fallback ? `${features}"ByteFallback"` : features)
  if (kind === undefined) return failed(invalid(file, TOKENIZER_WORDS.unknownType(type)))
  return ok({ kind, tokens: vocabulary.items, added, spans: { vocabulary, merges, added: list } })
}
