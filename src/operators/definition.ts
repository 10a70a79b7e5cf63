import type { Diagnostic, Place } from '../base/diagnostic.js'
import type { Mask, ReductionGroup, Stream, Tensor } from '../graph/expression.js'
import type { Graph } from '../graph/graph.js'
import type { Dtype } from '../tensor/dtype.js'
import type { InputSpec, InputSpecs, ParamSpec, ParamSpecs, ParamValue } from './params.js'
import type { Kind } from './value.js'

/** The numbers of a small tensor, in rows where it is a matrix that no input has. */
type ExampleTensor = readonly (number | boolean)[] | readonly (readonly number[])[]

/**
 * An example that is documentation and test at once: one small tensor per input, or several by name, run in both
 * backends.
 * Booleans make masks. Of several results the first is shown; of weights, the tensors that have a number; of an adapter, what it makes of `base`, or of zeros.
 */
export interface Example {
  readonly title?: string
  readonly inputs: Readonly<Record<string, unknown>>
  readonly params?: Readonly<Record<string, unknown>>
  readonly expect: ExampleTensor | Readonly<Record<string, ExampleTensor>>
  /** The dtypes of results that are not written as the inputs are, by tensor. */
  readonly dtypes?: Readonly<Record<string, Dtype>>
}

/** A name that people know an operator by elsewhere. */
export interface Alias {
  /** As the other tool or paper spells it: `weighted_sum`, `sum twice`. */
  readonly name: string
  /** The tool or paper that uses the name. */
  readonly from: string
  /** What to set for the same result, in Markdown; unless given, the name alone says it. */
  readonly settings?: string
}

/** What every operator declares. */
export interface Description {
  readonly id: string
  /** The names it is known by elsewhere. */
  readonly aliases?: readonly Alias[]
  /** Raised when the same parameters give other bytes than before; part of the fingerprint of every step. */
  readonly version: number
  /** One line, in Markdown. */
  readonly summary: string
  /** The formula and what a user has to know, in Markdown. */
  readonly details?: string
  /** Paper or project the operator comes from. */
  readonly source?: string
  readonly output: Kind
  /** How many results the step has, named `step.1` …, by its parameters and the models it lists; 1 unless said. */
  readonly results?: (params: Readonly<Record<string, unknown>>, models: number) => number
  readonly inputs: InputSpecs
  readonly params: ParamSpecs
  /**
   * True: takes `layers`, `mask`, `unmasked`, `missing`, `mismatch`, and copies constants and integers from the first
   * model.
   */
  readonly merges: boolean
  /** True when every machine and device gives the same bits. */
  readonly exact: boolean
  /** What to do about NaN and infinities in its results, before what helps with those of any operator. */
  readonly nonFinite?: string
  /** True when it draws random numbers, and so takes `seed`. */
  readonly draws: boolean
  readonly examples: readonly Example[]
}

/** The definition of an operator that builds each tensor by itself. */
export interface ElementDefinition<I extends InputSpecs, P extends ParamSpecs> extends Description {
  readonly inputs: I
  readonly params: P
  /** Space of the result, given the spaces of the inputs; the first input's unless said. */
  readonly space?: 'weights' | 'delta'
  /** The tensors that the operator can change; all unless given. */
  readonly touches?: (tensor: string) => boolean
  /** True if `build` applies the mask itself; otherwise the first model is kept wherever the mask is false. */
  readonly masksItself?: boolean
  /**
   * Builds one tensor, or returns an error to refuse it. Called once per merged tensor that is needed, and first for one
   * sample of each shape with equal numbers, with stand-ins for its inputs, in a graph of their own. So it may use only
   * the graph that it is given, and whether it refuses a tensor, warns, or makes a constant may depend only on the shape
   * and the numbers, never on what its inputs are made of: a later refusal is thrown as a bug.
   */
  build(g: Graph, inputs: Built<I>, params: Params<P>, subject: Subject): Made | Diagnostic
}

/** What a definition builds of one tensor; lists where it has several results. */
export type Made = Tensor | Mask | readonly Tensor[] | readonly Mask[]

type BuiltInput<S extends InputSpec> = S extends {
  type: 'model'
  many: true
  each: infer E extends ParamSpecs
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
type EachValue<S extends ParamSpec> = S extends { type: 'masks' }
  ? Mask | undefined
  : S extends { type: 'statistics'; of: 'elements' }
    ? Tensor
    : S extends { type: 'statistics' }
      ? Tensor | undefined
      : ParamValue<S>

/** A definition as all have it in common, its inputs and parameters of any type. */
export type AnyDefinition = ElementDefinition<InputSpecs, ParamSpecs>

/** The inputs as `build` receives them, for one tensor. */
export type Built<I extends InputSpecs> = { readonly [K in keyof I]: BuiltInput<I[K]> }
/** The parameters as `build` receives them, for one tensor. */
export type Params<P extends ParamSpecs> = { readonly [K in keyof P]: ParamValue<P[K]> }

/** What `build` is told about the tensor it builds. */
export interface Subject {
  /**
   * Tensors are taken to be made alike, whatever their names, by an operator that does not ask for the sample's; it need
   * not, unless to say what is wrong.
   */
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
  /** Warns the user about the step; called alike for all tensors of equal shape and numbers. */
  warn(warning: Diagnostic): void
}
