import type { Architecture } from '../architectures/detect.js'
import type { Diagnostic, Place } from '../base/diagnostic.js'
import type { Result } from '../base/result.js'
import type { Mask, ReductionGroup, Stream, Tensor } from '../graph/expression.js'
import type { Graph } from '../graph/graph.js'
import type { InputSpec, ParamSpec, ParamValue } from './params.js'
import type { PresetName } from './presets.js'
import type { Kind, MaskValue, ModelValue, Reference, Value, WeightsValue } from './value.js'

/** What an operator may know of the tensor it is building. */
export interface Subject {
  readonly name: string
  /** Outermost dimension first. */
  readonly shape: readonly number[]
  /**
   * The mask of the step for this tensor; undefined when the step has none. Only given to operators that mask by
   * themselves.
   */
  readonly mask: Mask | undefined
  /** A random stream of this step and tensor; equal `draw` numbers give equal numbers. */
  stream(draw: number): Stream
  /** The group of a measure over the whole model; `label` tells apart the measures of one step. */
  whole(label: string): ReductionGroup
  /** The place of a key of the step in the recipe, for problems. */
  at(key: string): Place
  /**
   * Tells the user something about the step that is no reason to refuse it; equal for all tensors of equal shape and
   * numbers.
   */
  warn(warning: Diagnostic): void
}

type BuiltInput<S extends InputSpec> = S extends {
  type: 'model'
  many: true
  each: infer E extends Readonly<Record<string, ParamSpec>>
}
  ? readonly ({ readonly x: Tensor } & { readonly [K in keyof E]: EachValue<E[K]> })[]
  : S extends { type: 'model'; optional: true }
    ? Tensor | undefined
    : S extends { type: 'model' }
      ? Tensor
      : S extends { type: 'mask'; many: true }
        ? readonly Mask[]
        : S extends { type: 'mask'; optional: true }
          ? Mask | undefined
          : S extends { type: 'adapter' }
            ? undefined
            : Mask
type EachValue<S extends ParamSpec> = S extends { type: 'masks' } ? Mask | undefined : ParamValue<S>

/** The inputs as `build` receives them, for one tensor. */
export type Built<I extends Readonly<Record<string, InputSpec>>> = { readonly [K in keyof I]: BuiltInput<I[K]> }
/** The parameters as `build` receives them, for one tensor. */
export type Params<P extends Readonly<Record<string, ParamSpec>>> = { readonly [K in keyof P]: ParamValue<P[K]> }

/**
 * An example that is documentation and test at once: one small tensor per input, or several by name, run in both
 * backends.
 * Booleans make masks. Of several results the first is shown; of weights, the tensors that have a number.
 */
export interface Example {
  readonly title?: string
  readonly inputs: Readonly<Record<string, unknown>>
  readonly params?: Readonly<Record<string, unknown>>
  readonly expect: readonly (number | boolean)[] | Readonly<Record<string, readonly (number | boolean)[]>>
}

/** What every operator says of itself. */
export interface Description {
  readonly id: string
  /** Raised when the same parameters begin to mean other bytes; part of every fingerprint. */
  readonly version: number
  /** One line, in Markdown. */
  readonly summary: string
  /** The formula and what a user has to know, in Markdown. */
  readonly details?: string
  /** Paper or project the operator comes from. */
  readonly source?: string
  readonly output: Kind
  /** How many results the step has, named `step.1` …; 1 unless said. */
  readonly results?: (params: Readonly<Record<string, unknown>>) => number
  readonly inputs: Readonly<Record<string, InputSpec>>
  readonly params: Readonly<Record<string, ParamSpec>>
  /**
   * True: takes `layers`, `mask`, `unmasked`, `missing`, `mismatch`, and copies constants and integers from the first
   * model.
   */
  readonly merges: boolean
  /** True when every machine and device gives the same bits. */
  readonly exact: boolean
  /** True when it draws random numbers, and so takes `seed`. */
  readonly draws: boolean
  readonly examples: readonly Example[]
}

/** What a step hands to its operator, all names resolved. */
export interface Call {
  readonly graph: Graph
  /** The step's name. */
  readonly step: string
  /**
   * What no other step of the graph has: the step's name, and which setting of the params it belongs to where there are
   * several.
   */
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
  /** Counts for the plan: something the step does to so many tensors. */
  note(event: Note): void
}

/** What a plan tells of a step besides its kind. */
export interface Note {
  /** `dropped` counts what only later models have, which is not in the result. */
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
  readonly tensor: string
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
  | { readonly type: 'layers'; readonly patterns: readonly PlacedPattern[]; readonly at: Place }
  | { readonly type: 'rules'; readonly rules: Rules; readonly at: Place }

/** One layer pattern and where it stands. */
export interface PlacedPattern {
  readonly text: string
  readonly optional: boolean
  readonly at: Place
}

/** Per-layer numbers written in place. Later rules win. */
export interface Rules {
  readonly default: number | undefined
  readonly entries: readonly { readonly pattern: PlacedPattern; readonly value: number }[]
  readonly mbw?: readonly number[]
  readonly preset?: PresetName
  readonly gradient?: readonly number[]
}

/** An operator as the rest of the program sees it. */
export interface Operator extends Description {
  evaluate(call: Call): Result<readonly Value[]>
}

/** The definition of an operator that builds each tensor by itself. */
export interface ElementDefinition<
  I extends Readonly<Record<string, InputSpec>>,
  P extends Readonly<Record<string, ParamSpec>>,
> extends Description {
  readonly inputs: I
  readonly params: P
  /** Space of the result, given the spaces of the inputs; the first input's unless said. */
  readonly space?: 'weights' | 'delta'
  /** The tensors that the operator has anything to do with; all unless given. */
  readonly touches?: (tensor: string) => boolean
  /** True when `build` applies the mask itself; otherwise the first model stands wherever the mask is false. */
  readonly masksItself?: boolean
  /**
   * Builds one tensor; returns an error to refuse. Called once per tensor that is to be merged, beforehand for one of
   * each shape with
   * equal numbers: what is refused has to follow from these, since a later refusal is a bug that is thrown.
   */
  build(g: Graph, inputs: Built<I>, params: Params<P>, subject: Subject): Tensor | Mask | readonly Mask[] | Diagnostic
}

export type { ModelValue }
