import { findVocabulary, type VocabularyTensors } from '../architectures/vocabulary.js'
import * as say from '../base/catalogue/vocabularies.js'
import type { Diagnostic, Place } from '../base/diagnostic.js'
import { shortDigest } from '../base/digest.js'
import { append } from '../base/lists.js'
import { failed, ok, type Result } from '../base/result.js'
import type { Recipe, TokenizerChoice } from '../recipe/recipe.js'
import type { TensorInfo } from '../tensor/info.js'
import { alignRows, isIdentity, type Alignments, type RowChoice } from '../tokenizers/align-rows.js'
import { editTokenizer } from '../tokenizers/edit-tokenizer.js'
import { readTokenizer } from '../tokenizers/read-tokenizer.js'
import type { TokenTable } from '../tokenizers/token-table.js'
import { idIn, makeVocabulary, type Side } from '../tokenizers/vocabulary.js'
import type { OpenedInput, OpenedInputs } from './inputs.js'
import type { ModelFolder } from './model-folder.js'

/** A model whose rows are brought to a vocabulary. */
export interface VocabularyModel {
  readonly name: string
  readonly at: Place
  readonly tensors: ReadonlyMap<string, TensorInfo>
  readonly found: VocabularyTensors
  readonly side: Side
}

/** The vocabulary of a recipe, and where the rows of its models come from. */
export interface PlannedVocabulary {
  readonly at: Place
  readonly from: 'union' | 'base' | 'model'
  /** The model whose tokenizer is written, with more tokens or fewer. */
  readonly owner: string
  readonly models: ReadonlyMap<string, VocabularyModel>
  readonly alignments: Alignments
  /** Tokens, one more than the greatest id, the tokens that are added, and the rows of the matrices. */
  readonly tokens: number
  readonly size: number
  readonly appended: number
  readonly rows: number
  /** True where no model and no tokenizer changes. */
  readonly unchanged: boolean
  /** The files of the tokenizer. */
  readonly files: ReadonlyMap<string, Uint8Array>
  /** Equal for vocabularies that give every model the same rows. */
  readonly key: string
  /** The id here of the token that has an id in a model; undefined where its token is not here. */
  idOf(model: string, id: number): number | undefined
}

/** What a vocabulary is planned for: a recipe, its models, and what stands beside them. */
interface Setting {
  readonly recipe: Recipe
  readonly inputs: OpenedInputs
  readonly folders?: ReadonlyMap<string, ModelFolder>
}

/** What the tokenizers of folders hold: several settings of a recipe have most folders in common. */
const tables = new WeakMap<ModelFolder, Result<TokenTable | undefined>>()

const tableOf = (folder: ModelFolder, model: string, at: Place): Result<TokenTable | undefined> => {
  const known = tables.get(folder) ?? readTokenizer({ files: folder.files, model, at })
  tables.set(folder, known)
  return known
}

/** A table by which rows of one number are the same. */
const numberedRows = (rows: number): TokenTable => ({
  kind: 'WordLevel',
  file: '',
  ids: new Map(Array.from({ length: rows }, (_, row) => [String(row), row])),
  added: new Map(),
  inModel: new Set(),
  beside: new Set(),
})

const openModel = (
  { name, at, file }: OpenedInput<'model'>,
  folder: ModelFolder | undefined,
  match: TokenizerChoice['match'],
): Result<VocabularyModel | undefined> => {
  const found = findVocabulary(file.tensors)
  if (found === undefined) return ok(undefined)
  const { rows, unlike, embedding } = found
  if (unlike !== undefined)
    return failed(say.rowsDiffer(at, name, [embedding, rows], [unlike, file.tensors.get(unlike)!.shape[0] ?? 0]))
  const table =
    match === 'rows' ? ok(numberedRows(rows)) : folder === undefined ? ok(undefined) : tableOf(folder, name, at)
  if (table.type === 'failed') return table
  if (table.value === undefined) return failed(say.noTokenizer(at, name))
  return ok({ name, at, tensors: file.tensors, found, side: { table: table.value, rows } })
}

/** The models of a setting that have embeddings. */
const openModels = (
  { inputs, folders }: Setting,
  match: TokenizerChoice['match'],
): Result<ReadonlyMap<string, VocabularyModel>> => {
  const models = new Map<string, VocabularyModel>()
  const problems: Diagnostic[] = []
  for (const input of inputs.values()) {
    const model = input.kind === 'model' ? openModel(input, folders?.get(input.name), match) : ok(undefined)
    append(problems, model.diagnostics)
    if (model.type === 'ok' && model.value !== undefined) models.set(input.name, model.value)
  }
  return problems.length > 0 ? failed(...problems) : ok(models)
}

const kindProblem = (models: ReadonlyMap<string, VocabularyModel>, at: Place): Diagnostic | undefined => {
  const kinds = [...models.values()].map(({ name, side }) => [name, side.table.kind] as const)
  return new Set(kinds.map(([, kind]) => kind)).size > 1 ? say.tokenizersDiffer(at, kinds) : undefined
}

/** What the recipe chooses for tokens, as rows of models. */
const readChoices = (
  { tokens }: TokenizerChoice,
  models: ReadonlyMap<string, VocabularyModel>,
): Result<ReadonlyMap<string, RowChoice>> => {
  const choices = new Map<string, RowChoice>()
  const problems: Diagnostic[] = []
  for (const [token, { source, force }] of tokens) {
    if (source === undefined) continue
    if (source.type === 'zero') {
      choices.set(token, { source: 'zero', force })
      continue
    }
    const { name, at } = source.model
    const model = models.get(name)
    const wanted = source.token ?? token
    const row = source.id ?? (model === undefined ? undefined : idIn(model.side, wanted))
    if (model === undefined) problems.push(say.withoutEmbeddings(at, name))
    else if (row === undefined) problems.push(say.tokenLacking(at, wanted, name))
    else if (row >= model.side.rows) problems.push(say.idBeyond(at, row, name, model.side.rows))
    else choices.set(token, { source: { model: name, row }, force })
  }
  return problems.length > 0 ? failed(...problems) : ok(choices)
}

/** The vocabulary that a recipe asks for; undefined where it asks for none. */
export const planVocabulary = (setting: Setting): Result<PlannedVocabulary | undefined> => {
  const choice = setting.recipe.tokenizer
  if (choice === undefined) return ok(undefined)
  const opened = openModels(setting, choice.match)
  if (opened.type === 'failed') return opened
  const models = opened.value
  const [first] = models.values()
  if (first === undefined) return failed(say.noEmbeddings(choice.at))
  const unlike = kindProblem(models, choice.at)
  if (unlike !== undefined) return failed(unlike)
  const base = models.get(choice.base?.name ?? first.name)
  if (base === undefined) return failed(say.withoutEmbeddings(choice.base!.at, choice.base!.name))
  const { from } = choice
  const owner = from.type === 'model' ? models.get(from.name) : base
  if (owner === undefined) return failed(say.withoutEmbeddings(from.at, from.type === 'model' ? from.name : ''))
  const others = from.type === 'union' ? [...models.values()].filter((m) => m !== owner).map(({ side }) => side) : []
  const vocabulary = makeVocabulary(owner.side, others, choice.tokens.keys())
  if (vocabulary === undefined) return failed(say.vocabularyGaps(choice.at, owner.name))
  const choices = readChoices(choice, models)
  if (choices.type === 'failed') return choices
  const { padTo } = choice
  const rows =
    padTo === undefined ? Math.max(vocabulary.size, owner.side.rows) : Math.ceil(vocabulary.size / padTo) * padTo
  const alignments = alignRows(new Map([...models].map(([name, { side }]) => [name, side])), {
    vocabulary,
    owner: owner.name,
    base: base.name,
    rows,
    choices: choices.value,
  })
  const files = setting.folders?.get(owner.name)?.files ?? new Map<string, Uint8Array>()
  const { appended, ids, size } = vocabulary
  const edited =
    choice.match === 'rows'
      ? ok(files)
      : editTokenizer({ files, model: owner.name, at: owner.at }, owner.side.table, {
          rows: owner.side.rows,
          appended,
        })
  if (edited.type === 'failed') return edited
  const isUnchanged = (model: VocabularyModel): boolean =>
    model.side.rows === rows && isIdentity(alignments.of.get(model.name)!, rows)
  const byId = new Map<string, ReadonlyMap<number, string>>()
  return ok(
    {
      at: choice.at,
      from: from.type,
      owner: owner.name,
      models,
      alignments,
      tokens: ids.size,
      size,
      appended: appended.length,
      rows,
      unchanged: appended.length === 0 && [...models.values()].every(isUnchanged),
      files: edited.value,
      key: keyOf(alignments, size, rows),
      idOf: (model, id) => {
        const table = models.get(model)?.side.table
        const tokens = byId.get(model) ?? new Map([...(table?.ids ?? [])].map(([token, own]) => [own, token]))
        byId.set(model, tokens)
        const token = tokens.get(id)
        return token === undefined ? undefined : ids.get(token)
      },
    },
    [
      ...(alignments.zero.length === 0 ? [] : [say.tokensOfNone(choice.at, alignments.zero)]),
      ...(vocabulary.wordParts.length === 0 || choice.match === 'rows'
        ? []
        : [say.wordsSplit(choice.at, owner.name, vocabulary.wordParts)]),
    ],
  )
}

const keyOf = ({ of, padFrom }: Alignments, size: number, rows: number): string =>
  shortDigest(
    JSON.stringify([
      size,
      rows,
      padFrom,
      [...of].map(([model, { own, others, means }]) => [
        model,
        own.digest,
        others.map((o) => [o.model, o.map.digest]),
        means.map((m) => [m.count, m.parts.map((o) => [o.model, o.map.digest])]),
      ]),
    ]),
  )
