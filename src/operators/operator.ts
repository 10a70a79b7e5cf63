import type { Architecture } from '../architectures/detect.js'
import type { Place } from '../base/diagnostic.js'
import type { Result } from '../base/result.js'
import type { Graph } from '../graph/graph.js'
import type { Description } from './definition.js'
import type { PresetName } from './presets.js'
import type { Figures, MaskValue, Measured, ModelValue, Reference, Value, WeightsValue } from './value.js'

/** An operator as the rest of the program sees it. */
export interface Operator extends Description {
  evaluate(call: Call): Result<readonly Value[]>
}

/** What a step hands to its operator, all names resolved. */
export interface Call {
  readonly graph: Graph
  /** The step's name. */
  readonly step: string
  /** Unique within the graph: the step's name and, if there are several settings of the params, the setting. */
  readonly scope: string
  /** The recipe's seed, and the step's own where it has one. */
  readonly seed: number | string
  readonly ownSeed: number | string | undefined
  readonly inputs: Readonly<Record<string, Reference | readonly Reference[] | undefined>>
  /** For `many` models: the parameters of each, parallel to the input's list. */
  readonly each: readonly Readonly<Record<string, Argument>>[]
  readonly params: Readonly<Record<string, Argument>>
  readonly shared: Shared
  /** Resolves layer patterns against tensor names; problems carry the place of the pattern. */
  select(
    patterns: Argument & { type: 'layers' },
    tensors: ReadonlyMap<string, { readonly shape: readonly number[] }>,
  ): Result<ReadonlySet<string>>
  /** Resolves a per-layer number against tensor names. A tensor that is absent has no number. */
  numbers(
    argument: Argument,
    tensors: ReadonlyMap<string, { readonly shape: readonly number[] }>,
  ): Result<(tensor: string) => number | undefined>
  /** The architecture that tensors show; undefined when it is none that is known. */
  architecture(tensors: ReadonlyMap<string, { readonly shape: readonly number[] }>): Architecture | undefined
  /** True for tensors an architecture declares constant, which are copied and never merged. */
  isConstant(tensor: string, tensors: ReadonlyMap<string, { readonly shape: readonly number[] }>): boolean
  at(key: string): Place
  /**
   * What something came to that decides what the step makes, such as a rank; `what` is the step's name for it.
   * Undefined before it is measured, which a build does before it plans its outputs: until then a result is provisional.
   */
  find(what: string, measured: Measured): Figures['scalars'] | undefined
  /** Counts, for the plan, what the step did to a tensor. */
  note(event: Note): void
}

/** What a plan shows about a step besides its kind. */
export interface Note {
  /** `dropped` counts what only later models have; with a word, what the step leaves out. */
  readonly type:
    | 'kept'
    | 'missing'
    | 'mismatched'
    | 'unmasked'
    | 'constant'
    | 'merged'
    | 'unmatched'
    | 'excluded'
    | 'dropped'
    | `dropped (${string})`
    | 'renamed'
    | 'replaced'
    | 'made'
    | `cast to ${string}`
  /** Its name in the result. */
  readonly tensor: string
  /** Its name before, if the step renames it. */
  readonly from?: string
}

/** The keys all merging operators share. */
export interface Shared {
  readonly layers: (Argument & { type: 'layers' }) | undefined
  readonly mask: Reference<MaskValue> | undefined
  readonly unmasked: 'keep' | 'merge'
  readonly missing: 'error' | 'keep'
  readonly mismatch: 'error' | 'keep'
  readonly architectures: 'error' | 'mixed'
}

/** A parameter's value as the recipe has it, with what it refers to resolved. */
export type Argument =
  | { readonly type: 'value'; readonly value: unknown; readonly at: Place }
  | { readonly type: 'weights'; readonly value: WeightsValue; readonly at: Place }
  | { readonly type: 'mask'; readonly value: MaskValue; readonly at: Place }
  | { readonly type: 'model'; readonly value: ModelValue; readonly at: Place }
  | { readonly type: 'layers'; readonly patterns: readonly PlacedPattern[]; readonly at: Place }
  | { readonly type: 'rules'; readonly rules: Rules; readonly at: Place }
  | { readonly type: 'texts'; readonly rules: TextRules; readonly at: Place }

/** One layer pattern and its place in the recipe. */
export interface PlacedPattern {
  readonly text: string
  readonly optional: boolean
  readonly at: Place
}

/** Texts by layer pattern, in order: dtypes, or new names. */
export interface TextRules {
  readonly default: string | undefined
  readonly entries: readonly { readonly pattern: PlacedPattern; readonly text: string; readonly at: Place }[]
}

/** Per-layer numbers written in place. Later rules win. */
export interface Rules {
  readonly default: number | undefined
  readonly entries: readonly { readonly pattern: PlacedPattern; readonly value: number | readonly number[] }[]
  readonly mbw?: readonly number[]
  readonly preset?: PresetName
  readonly gradient?: readonly number[]
}
