/** The tensors of a language model that have a row, or a number, for each token. */
export interface VocabularyTensors {
  /** Rows of the embeddings. */
  readonly rows: number
  readonly embedding: string
  /** The output layer; undefined where the embeddings stand for it. */
  readonly head: string | undefined
  /** All of them, biases of output layers too, in the order of the model. */
  readonly all: readonly string[]
  /** One whose number of rows is another, which no model should have. */
  readonly unlike: string | undefined
}

type Tensors = ReadonlyMap<string, { readonly shape: readonly number[] }>

const INPUT =
  /(?:^|\.)(?:embed_tokens|wte|embed_in|word_embeddings|tok_embeddings|shared|backbone\.embeddings?|rwkv\.embeddings)\.weight$/
const OUTPUT = /(?:^|\.)(?:lm_head(?:\.linear)?|embed_out|predictions\.decoder)\.(?:weight|bias)$/
/** Names that other layers have, too. */
const AMBIGUOUS = /^(?:model\.)?output\.weight$|(?:^|\.)(?:output_layer\.weight|predictions\.bias)$/

/** Finds what of a model has a row for each token; undefined where it has no embeddings. */
export const findVocabulary = (tensors: Tensors): VocabularyTensors | undefined => {
  const names = [...tensors.keys()]
  const embedding = names.find((name) => INPUT.test(name) && tensors.get(name)!.shape.length === 2)
  if (embedding === undefined) return undefined
  const rows = tensors.get(embedding)!.shape[0]!
  const named = names.filter((name) => INPUT.test(name) || OUTPUT.test(name) || AMBIGUOUS.test(name))
  const fits = (name: string): boolean => tensors.get(name)!.shape[0] === rows
  return {
    rows,
    embedding,
    head: named.find((name) => !INPUT.test(name) && fits(name) && tensors.get(name)!.shape.length === 2),
    all: named.filter(fits),
    unlike: named.find((name) => !fits(name) && !AMBIGUOUS.test(name)),
  }
}

const keyOf = (name: string): string => name.split('.').slice(-2).join('.')

/**
 * The tensor of a model that is what another model calls `name`; where it has no output layer, its embeddings. Undefined
 * where it has no such tensor.
 */
export const counterpartOf = (own: VocabularyTensors, other: VocabularyTensors, name: string): string | undefined => {
  if (other.all.includes(name)) return name
  const alike = other.all.filter((known) => keyOf(known) === keyOf(name))
  if (alike.length === 1) return alike[0]
  if (name === own.embedding) return other.embedding
  return name === own.head ? (other.head ?? other.embedding) : undefined
}
