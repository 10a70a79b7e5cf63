import type { Place, Source } from '../base/diagnostic.js'
import type { PlacedPattern, Operator, Rules, TextRules } from '../operators/operator.js'
import type { HubReference } from '../hub/reference.js'
import type { OutputDtype } from '../tensor/dtype.js'

/** A name used in a recipe, and where. */
export interface Name {
  readonly name: string
  readonly at: Place
}

/** A parameter of a step as written, once `$name`s are replaced. */
export type RawArgument =
  | { readonly type: 'value'; readonly value: unknown; readonly at: Place }
  | { readonly type: 'name'; readonly name: string; readonly at: Place }
  | { readonly type: 'layers'; readonly patterns: readonly PlacedPattern[]; readonly at: Place }
  | { readonly type: 'rules'; readonly rules: Rules; readonly at: Place }
  | { readonly type: 'texts'; readonly rules: TextRules; readonly at: Place }

/** One step, its names not yet resolved. */
export interface Step {
  readonly name: string
  readonly operator: Operator
  readonly at: Place
  readonly keys: ReadonlyMap<string, Place>
  readonly seed: number | string | undefined
  readonly inputs: Readonly<Record<string, Name | readonly Name[]>>
  /** Parallel to the names of the operator's `many` models. */
  readonly each: readonly Readonly<Record<string, RawArgument>>[]
  readonly params: Readonly<Record<string, RawArgument>>
  readonly layers: (RawArgument & { type: 'layers' }) | undefined
  readonly mask: Name | undefined
  readonly unmasked: 'keep' | 'merge'
  readonly missing: 'error' | 'keep'
  readonly mismatch: 'error' | 'keep'
  readonly architectures: 'error' | 'mixed'
}

interface DeclaredFile {
  readonly name: string
  /** As written; relative to the recipe. What stands for it where it is of a hub. */
  readonly path: string
  /** Where the recipe says that it is of a hub; a short path may turn out to be. */
  readonly hub?: HubReference
  readonly sha256: string | undefined
  readonly at: Place
}

/** A model the recipe reads. */
export interface InputModel extends DeclaredFile {
  readonly kind: 'model'
}

/** An adapter the recipe reads. */
export interface InputAdapter extends DeclaredFile {
  readonly kind: 'adapter'
  /** The alpha of an adapter whose file does not state one. */
  readonly alpha: number | undefined
}

/** A file the recipe reads, of any kind. */
export type Input = InputModel | InputAdapter

/** The kinds of file that a recipe can read. */
export type InputKind = Input['kind']

/** A chat template: its text, that of a model, or that which most models have. */
export type ChatTemplate = { readonly at: Place } & (
  | { readonly type: 'text'; readonly text: string }
  | { readonly type: 'model'; readonly name: string }
  | { readonly type: 'auto' }
)

/** A file the recipe writes. */
export interface Output {
  readonly name: string
  readonly at: Place
  readonly from: Name
  /** As written; relative to the recipe, or to `--out`. */
  readonly path: string
  readonly pathAt: Place
  /** True where the path ends in a slash: a folder with the model and what belongs to it. */
  readonly folder: boolean
  /** The model whose config, tokenizer and other files a folder gets; undefined for the first that it is made of. */
  readonly files: Name | undefined
  /** The chat template that a folder gets in place of that of its tokenizer. */
  readonly chatTemplate?: ChatTemplate | undefined
  readonly dtype: OutputDtype
  /** Later rules win over earlier ones and over `dtype`. */
  readonly dtypeRules: readonly { readonly pattern: PlacedPattern; readonly dtype: OutputDtype }[]
  readonly shardBytes: number | undefined
  readonly delta: boolean
  readonly nonFinite: 'error' | 'allow'
  readonly metadata: Readonly<Record<string, string>>
  /** Adapters whose training tags are written into the metadata. */
  readonly tags: readonly Name[]
}

/** Where the row of a token comes from: from a token of a model, which is the same unless given; or it is 0. */
export type TokenSource =
  | { readonly type: 'zero' }
  | {
      readonly type: 'row'
      readonly model: Name
      readonly token: string | undefined
      readonly id: number | undefined
    }

/** What a recipe says of one token. */
export interface TokenChoice {
  readonly at: Place
  readonly source: TokenSource | undefined
  /** True where the source stands for the models that have the token, too. */
  readonly force: boolean
}

/** The vocabulary that all models of a recipe are brought to. */
export interface TokenizerChoice {
  readonly at: Place
  /** What makes two rows the same: their token, or their number, for models without tokenizers. */
  readonly match: 'tokens' | 'rows'
  /** The tokens of all models, of the base, or of a model. */
  readonly from: { readonly type: 'union' | 'base'; readonly at: Place } | (Name & { readonly type: 'model' })
  /** The base; undefined for the first model with embeddings. */
  readonly base: Name | undefined
  readonly tokens: ReadonlyMap<string, TokenChoice>
  /** Rows are a multiple of this; undefined for as many as the tokenizer's model has, or more where it needs them. */
  readonly padTo: number | undefined
}

/** A valid recipe: every key known, every value in range, every name defined once, every kind right. */
export interface Recipe {
  readonly source: Source
  readonly name: string
  readonly seed: number | string
  readonly params: Readonly<Record<string, Scalar>>
  /** The value of each `${expression}`, by its text. */
  readonly computed: Readonly<Record<string, number>>
  /** By name: the models first, then the adapters, each as they are written. */
  readonly inputs: ReadonlyMap<string, Input>
  /** Those of parts under the name of the step that uses the part: `protect/attention`. */
  readonly steps: ReadonlyMap<string, Step>
  /** The steps with `use` that nothing refers to, and where they are. */
  readonly idleUses: ReadonlyMap<string, Place>
  /** The parts that are used, inside others too, by path: relative to the recipe's folder, or absolute. */
  readonly parts: ReadonlyMap<string, Source>
  readonly outputs: ReadonlyMap<string, Output>
  /** The vocabulary that the rows of all models are brought to before any step; undefined where they stay. */
  readonly tokenizer?: TokenizerChoice | undefined
}

/** The texts of a recipe's parts by path. */
export const partTexts = (parts: Recipe['parts']): Readonly<Record<string, string>> =>
  Object.fromEntries([...parts].map(([path, { text }]) => [path, text]))

/** What a param can stand for. */
export type Scalar = string | number | boolean
