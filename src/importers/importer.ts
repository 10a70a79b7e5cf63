import type { HubReference } from '../hub/reference.js'
import type { ModelFinder } from './find-models.js'
import type { Yaml } from '../document/write.js'

/** A file to import, by its content: `json` where it is JSON, `metadata` of pictures and safetensors files. */
export interface ImportInput {
  /** As the user gave it. */
  readonly path: string
  /** The name of the file without its ending. */
  readonly title: string
  readonly type: 'json' | 'text' | 'picture' | 'safetensors'
  /** Empty for pictures and safetensors files. */
  readonly text: string
  /** The parsed JSON; undefined unless the type is `json`. */
  readonly json: unknown
  /** Texts of a PNG or WebP, or `__metadata__` of a safetensors file; else empty. */
  readonly metadata: ReadonlyMap<string, string>
  /** Finds model files by the names that the other tool has for them. */
  readonly finder: ModelFinder
}

/** A difference that the reader should know: where it is in the source, such as `line 12` or `node 17 (Merge)`. */
export interface ImportNote {
  readonly where: string
  readonly text: string
}

/** Something that smelt cannot say: where, what it is, and why not. */
export interface ImportGap {
  readonly where: string
  readonly what: string
  readonly why: string
}

/** A key of a step or output, its value, and what is said beside it. */
export type Field = readonly [key: string, value: Yaml, comment?: string]

/** A model or adapter of a recipe. */
export interface DraftInput {
  readonly name: string
  /** A path, or `org/name@revision`. */
  readonly path: string
  /** Set where it is a name of a hub. */
  readonly hub: HubReference | undefined
  readonly sha256: string | undefined
  readonly comment: string | undefined
}

/** A step or output of a recipe: the keys in their order, and comment lines above it. */
export interface DraftEntry {
  readonly name: string
  readonly fields: readonly Field[]
  readonly comment: string | undefined
}

/** A param of a recipe. */
export interface DraftParam {
  readonly name: string
  readonly value: number | string | boolean
  readonly comment: string | undefined
}

/** Block weights with a name. */
export interface DraftPreset {
  readonly name: string
  readonly numbers: readonly number[]
}

/** A recipe as it will be written. Only what the outputs need is in it. One with presets is a file of presets alone. */
export interface RecipeDraft {
  /** Comment lines at the top. */
  readonly header: readonly string[]
  readonly name: string
  readonly seed: number | string | undefined
  readonly params: readonly DraftParam[]
  readonly models: readonly DraftInput[]
  readonly adapters: readonly DraftInput[]
  /** The vocabulary that the models are brought to; undefined where the recipe says nothing of it. */
  readonly tokenizer: readonly Field[] | undefined
  readonly steps: readonly DraftEntry[]
  readonly outputs: readonly DraftEntry[]
  readonly presets: readonly DraftPreset[]
}

/** A recipe, with what its reader should know. A draft without outputs and presets is nothing to write. */
export interface ImportResult {
  readonly draft: RecipeDraft
  readonly notes: readonly ImportNote[]
  readonly missing: readonly ImportGap[]
}

/** Reads one format of another tool. `import` is called for inputs that `recognises` accepts, and never throws. */
export interface Importer {
  /** The tool, as users call it. */
  readonly name: string
  recognises(input: ImportInput): boolean
  import(input: ImportInput): ImportResult
}
