/** A tokenizer on paper. */
export interface TokenOutline {
  /** Texts of the tokens of the model; the id is the place. */
  readonly tokens: readonly string[]
  readonly added?: readonly { readonly id: number; readonly content: string; readonly special?: boolean }[]
  readonly type?: 'BPE' | 'Unigram' | 'WordPiece'
  readonly merges?: readonly unknown[]
}

/** A `tokenizer.json` as its library writes it: of byte-level BPE unless it says otherwise. */
export const toTokenizerJson = ({ tokens, added = [], type = 'BPE', merges = [] }: TokenOutline): string =>
  JSON.stringify(
    {
      version: '1.0',
      added_tokens: added.map(({ id, content, special = false }) => ({
        id,
        content,
        single_word: false,
        lstrip: false,
        rstrip: false,
        normalized: false,
        special,
      })),
      normalizer: null,
      pre_tokenizer: type === 'BPE' ? { type: 'ByteLevel', add_prefix_space: false } : { type: 'Metaspace' },
      post_processor: null,
      decoder: { type: type === 'BPE' ? 'ByteLevel' : type === 'Unigram' ? 'Metaspace' : 'WordPiece' },
      model: {
        type,
        vocab:
          type === 'Unigram'
            ? tokens.map((token, i) => [token, -i - 0.5])
            : Object.fromEntries(tokens.map((token, i) => [token, i])),
        ...(type === 'BPE' ? { merges } : {}),
      },
    },
    undefined,
    2,
  )

const varint = (value: number): number[] => (value < 128 ? [value] : [(value % 128) + 128, ...varint(value >> 7)])
const field = (number: number, bytes: ArrayLike<number>): number[] => [
  number * 8 + 2,
  ...varint(bytes.length),
  ...Array.from(bytes),
]

/** A SentencePiece `tokenizer.model`; those of `added` that are special are control tokens. */
export const toSentencePiece = ({ tokens, added = [] }: TokenOutline): Uint8Array => {
  const special = new Set(added.filter((token) => token.special).map(({ content }) => content))
  const pieces = tokens.map((token, i) => [
    ...field(1, Buffer.from(token)),
    2 * 8 + 5,
    ...new Uint8Array(Float32Array.of(-i).buffer),
    ...(special.has(token) ? [3 * 8, 3] : []),
  ])
  return Uint8Array.from([...pieces.flatMap((piece) => field(1, piece)), ...field(2, [1 * 8, 1])])
}
