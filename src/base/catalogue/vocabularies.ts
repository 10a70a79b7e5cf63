import type { Diagnostic, Place } from '../diagnostic.js'
import { didYouMean } from './did-you-mean.js'
import { entry } from './entry.js'
import { listNames, quoteName } from './file-entry.js'

/** What can be wrong with a tokenizer's file, as the end of a sentence. */
export const TOKENIZER_WORDS = {
  notText: 'it is not UTF-8',
  notSentencePiece: 'it is not a SentencePiece model',
  noVocabulary: 'it has no vocabulary',
  unknownType: (type: string): string => `smelt does not know tokenizers of the type ${quoteName(type)}`,
} as const

const count = (n: number): string => n.toLocaleString('en-US')

/** A file of a tokenizer that cannot be read. */
export const tokenizerInvalid = (at: Place, model: string, file: string, words: string, offset?: number): Diagnostic =>
  entry(
    'tokenizer-invalid',
    `smelt cannot read the ${file} of \`${model}\`${offset === undefined ? '' : ` at byte ${count(offset)}`}: ${words}`,
    { at, help: 'download the file again, or put a `tokenizer.json` beside the model' },
  )

/** A token that a vocabulary has twice. */
export const tokenTwice = (at: Place, model: string, file: string, token: string): Diagnostic =>
  entry('token-twice', `the ${file} of \`${model}\` has the token ${quoteName(token)} twice`, {
    at,
    help: 'repair the file: each token has one id',
  })

/** Two tokens with one id. */
export const tokensShareId = (
  at: Place,
  model: string,
  file: string,
  id: number,
  tokens: readonly [string, string],
): Diagnostic =>
  entry(
    'token-id-twice',
    `the ${file} of \`${model}\` gives the id ${id} to two tokens: ${tokens.map(quoteName).join(' and ')}`,
    { at, help: 'repair the file: each token has its own id' },
  )

/** A vocabulary that would have to be cut, in a form that smelt does not cut. */
export const tokenizerNotCut = (at: Place, model: string, file: string, rows: number): Diagnostic =>
  entry(
    'tokenizer-beyond-matrix',
    `the ${file} of \`${model}\` has tokens beyond the ${count(rows)} rows of its embeddings, and smelt cannot remove them from that file`,
    { at, help: 'save the tokenizer as `tokenizer.json`, which smelt can shorten' },
  )

/** `tokenizer` in a recipe without a model that has embeddings. */
export const noEmbeddings = (at: Place): Diagnostic =>
  entry('no-embeddings', '`tokenizer` aligns the embeddings of language models, and no model of this recipe has any', {
    at,
    help: 'remove `tokenizer`, or check the models with `smelt inspect`',
  })

/** A model with embeddings but without a tokenizer. */
export const noTokenizer = (at: Place, model: string): Diagnostic =>
  entry('no-tokenizer', `there is no tokenizer beside \`${model}\`, so smelt cannot know what its rows mean`, {
    at,
    help: 'put its `tokenizer.json` or `tokenizer.model`, and its `config.json`, into the folder of the model; if row 5 means the same in all models, write `match: rows`',
  })

/** A name under `tokenizer` that is no model. */
export const notATokenizer = (
  at: Place,
  name: string,
  models: readonly string[],
  modes: readonly string[],
): Diagnostic =>
  entry('unknown-name', `\`${name}\` is not one of the recipe’s \`models\``, {
    at,
    help:
      didYouMean(name, [...modes, ...models]) ??
      `write ${[...modes.map((mode) => `\`${mode}\``), `the name of a model: ${listNames(models)}`].join(', ')}`,
  })

/** A model that `tokenizer` names, and that has no embeddings. */
export const withoutEmbeddings = (at: Place, model: string): Diagnostic =>
  entry('no-embeddings', `\`${model}\` has no embeddings, so it has no rows for tokens`, {
    at,
    help: 'name a model with embeddings and a tokenizer',
  })

/** Two tokenizers of different kinds. */
export const tokenizersDiffer = (at: Place, models: readonly (readonly [model: string, kind: string])[]): Diagnostic =>
  entry(
    'tokenizers-differ',
    `the tokenizers are of different kinds: ${models.map(([model, kind]) => `\`${model}\` is ${kind}`).join(', ')}`,
    {
      at,
      help: 'merge models whose tokenizers are of one kind: the same text means different tokens in these, so their rows cannot be matched',
    },
  )

/** Embeddings of different widths. */
export const widthsDiffer = (
  at: Place,
  tensor: string,
  models: readonly (readonly [model: string, width: string])[],
): Diagnostic =>
  entry(
    'embedding-widths-differ',
    `the rows of ${quoteName(tensor)} differ in shape: ${models.map(([model, width]) => `[${width}] in \`${model}\``).join(', ')}`,
    { at, help: 'merge models of one size' },
  )

/** Two vocabulary matrices of a model with different numbers of rows. */
export const rowsDiffer = (
  at: Place,
  model: string,
  [one, rows]: readonly [string, number],
  [other, others]: readonly [string, number],
): Diagnostic =>
  entry(
    'vocabulary-rows-differ',
    `in \`${model}\`, ${quoteName(one)} has ${count(rows)} rows and ${quoteName(other)} ${count(others)}`,
    { at, help: 'check the file: both should have a row for every token' },
  )

/** A vocabulary matrix that is quantised or packed, whose rows cannot be moved. */
export const rowsPacked = (at: Place, model: string, tensor: string): Diagnostic =>
  entry('vocabulary-packed', `${quoteName(tensor)} of \`${model}\` is quantised, and its rows cannot be rearranged`, {
    at,
    help: 'use the checkpoint before quantisation',
  })

/** A matrix with rows for tokens that another model lacks, although its rows are needed. */
export const noCounterpart = (at: Place, tensor: string, model: string, other: string): Diagnostic =>
  entry('no-counterpart', `${quoteName(tensor)} of \`${model}\` needs rows of \`${other}\`, which has no such tensor`, {
    at,
    help: 'check both models with `smelt inspect`: they should be of one architecture',
  })

/** A token under `tokens` whose source lacks it. */
export const tokenLacking = (at: Place, token: string, model: string): Diagnostic =>
  entry('no-such-token', `\`${model}\` has no row for the token ${quoteName(token)}`, {
    at,
    help: 'name a model that has the token, or give another of its tokens: `from: { model: NAME, token: TEXT }`',
  })

/** An id under `tokens` beyond the rows of a model. */
export const idBeyond = (at: Place, id: number, model: string, rows: number): Diagnostic =>
  entry('no-such-token', `\`${model}\` has no row ${id}: its embeddings have ${count(rows)} rows`, {
    at,
    help: `give an id from 0 to ${rows - 1}`,
  })

/** `force` without a source. */
export const forceWithoutSource = (at: Place, token: string): Diagnostic =>
  entry(
    'force-without-from',
    `\`force\` for ${quoteName(token)} needs \`from\`, which says what to use in every model`,
    {
      at,
      help: 'add `from`: the name of a model, or `zero`',
    },
  )

/** `tokens` where rows are matched by their numbers. */
export const tokensWithoutTexts = (at: Place): Diagnostic =>
  entry('tokens-without-texts', '`tokens` chooses rows by token, and `match: rows` looks at no tokenizer', {
    at,
    help: 'remove `tokens`, or `match: rows`',
  })

/** New tokens cannot be added to a vocabulary with gaps. */
export const vocabularyGaps = (at: Place, model: string): Diagnostic =>
  entry(
    'vocabulary-gaps',
    `the ids of the tokenizer of \`${model}\` have gaps, so programs would give the new tokens ids that are taken`,
    { at, help: 'use the tokenizer of another model: `tokenizer: { from: NAME }`' },
  )

/** Tokens that no model has and that get rows of 0. A warning. */
export const tokensOfNone = (at: Place, tokens: readonly string[]): Diagnostic =>
  entry(
    'tokens-of-none',
    `no model has a row for ${tokens.length === 1 ? 'the token' : `${count(tokens.length)} tokens:`} ${listNames(tokens, 5)}; ${tokens.length === 1 ? 'its row is' : 'their rows are'} 0`,
    { at, severity: 'warning', help: 'give a source: `tokens: { TEXT: { from: { model: NAME, token: OTHER } } }`' },
  )

/** An output that is one file, with a vocabulary that only the recipe knows. A warning. */
export const vocabularyWithoutFolder = (at: Place, output: string): Diagnostic =>
  entry('vocabulary-without-folder', `\`${output}\` has the rows of a new vocabulary, and no tokenizer beside it`, {
    at,
    severity: 'warning',
    help: 'end the path with `/` to write a folder with the tokenizer',
  })

/** Ids of special tokens in a config that mean nothing in the new vocabulary. A warning. */
export const specialIdsLost = (at: Place, file: string, keys: readonly string[]): Diagnostic =>
  entry('special-ids-lost', `${listNames(keys)} in ${file} name tokens that the new vocabulary lacks`, {
    at,
    severity: 'warning',
    help: 'edit them in the output, or choose a tokenizer that has the tokens',
  })

/** Ordinary tokens of other models that are found in a text before a tokenizer splits it. A warning. */
export const wordsSplit = (at: Place, owner: string, tokens: readonly string[]): Diagnostic =>
  entry(
    'words-split',
    `the union adds ${count(tokens.length)} tokens to the tokenizer of \`${owner}\` that split words, such as ${tokens.slice(0, 3).map(quoteName).join(', ')}: it finds them inside of words, so texts become other tokens than those that the models have learned`,
    {
      at,
      severity: 'warning',
      help: 'write `from: base` to keep its splitting, and list under `tokens` the few tokens that the result needs besides; models with different tokenizers seldom merge well',
    },
  )
