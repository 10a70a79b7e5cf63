/** How a tokenizer writes its tokens. Equal texts mean the same only within a kind. */
export type TokenizerKind = 'byte-level BPE' | 'BPE' | 'SentencePiece' | 'WordPiece' | 'WordLevel'

/** How a token that stands beside the model of a tokenizer is found in a text. */
export interface TokenFlags {
  readonly single_word: boolean
  readonly lstrip: boolean
  readonly rstrip: boolean
  readonly normalized: boolean
  readonly special: boolean
}

/** A token that stands beside the model of a tokenizer. */
export interface AddedToken extends TokenFlags {
  readonly id: number
  readonly content: string
}

/** What a tokenizer maps to ids. */
export interface TokenTable {
  readonly kind: TokenizerKind
  /** The file that it is read from, without its folder. */
  readonly file: string
  /** The id of every token. Several tokens never share one; there may be gaps. */
  readonly ids: ReadonlyMap<string, number>
  /** The tokens among them that stand beside the model. */
  readonly added: ReadonlyMap<string, AddedToken>
  /** Those of `added` that the model has, too. */
  readonly inModel: ReadonlySet<string>
  /** Those of `added` that only files beside `file` have. */
  readonly beside: ReadonlySet<string>
}

/** The flags of a token that a tokenizer is given as plain text. */
export const PLAIN_FLAGS: TokenFlags = {
  single_word: false,
  lstrip: false,
  rstrip: false,
  normalized: true,
  special: false,
}

/** The names of files that a tokenizer is made of, or that belong to it. */
export const TOKENIZER_FILES: ReadonlySet<string> = new Set([
  'added_tokens.json',
  'chat_template.jinja',
  'chat_template.json',
  'merges.txt',
  'sentencepiece.bpe.model',
  'special_tokens_map.json',
  'spiece.model',
  'tekken.json',
  'tokenizer.json',
  'tokenizer.model',
  'tokenizer_config.json',
  'vocab.json',
  'vocab.txt',
])
