/**
 * A `tokenizer.json` of the least that mergekit and transformers load: words numbered from 0, without merges, and special
 * tokens behind them.
 */
export const makeTokenizer = (words, special) => ({
  version: '1.0',
  truncation: null,
  padding: null,
  added_tokens: special.map((content, i) => ({
    id: words.length + i,
    content,
    single_word: false,
    lstrip: false,
    rstrip: false,
    normalized: false,
    special: true,
  })),
  normalizer: null,
  pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true },
  post_processor: null,
  decoder: { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true, use_regex: true },
  model: {
    type: 'BPE',
    dropout: null,
    unk_token: null,
    continuing_subword_prefix: null,
    end_of_word_suffix: null,
    fuse_unk: false,
    byte_fallback: false,
    ignore_merges: false,
    vocab: Object.fromEntries(words.map((word, i) => [word, i])),
    merges: [],
  },
})
