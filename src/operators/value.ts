import type { ConfigChange } from '../architectures/moe-layouts.js'
import type { Place } from '../base/diagnostic.js'
import type { Mask, Scalar, Tally, Tensor } from '../graph/expression.js'
import type { AdapterFile } from '../safetensors/adapter-file.js'
import type { Dtype, OutputDtype } from '../tensor/dtype.js'
import type { Packed, Scaled } from '../tensor/quantised.js'
import type { ReportDocument } from './report-document.js'

/** Kinds of value a name in a recipe can stand for. */
export type Kind = 'model' | 'mask' | 'weights' | 'adapter' | 'report'

/** Whether a model's numbers are weights or the difference of two models. */
export type Space = 'weights' | 'delta'

/** What a step asks a tensor to be written in, unless the output asks for something else. */
export interface Cast {
  readonly dtype: OutputDtype
  readonly at: Place
}

/** What is known of a tensor before it is computed; `dtype` is what `dtype: same` writes, unless it has scales. */
export interface Slot {
  readonly name: string
  readonly shape: readonly number[]
  readonly dtype: Dtype
  /** How the first model stores it with scales; `dtype` is what it is written in once it is computed. */
  readonly scaled?: Scaled
  /** Given where it is part of what smelt cannot compute with: a copy is all that can be made of it. */
  readonly opaque?: Packed
  readonly cast?: Cast
}

/** A model: its tensors, and for each the expression that computes it. Integer tensors are only ever a bare read. */
export interface ModelValue {
  readonly kind: 'model'
  readonly space: Space
  /** What to call it in messages: the recipe's name for it, and its file where it is one. */
  readonly label: string
  readonly tensors: ReadonlyMap<string, Slot>
  tensor(name: string): Tensor
  /** True when its tensors share measures: every one has to be made, also those that nothing asks for. */
  readonly shares?: boolean
  /** What stands for an output layer that it lacks, where that is not simply its embeddings. */
  untied?(head: string): Tensor | undefined
  /** What its config.json says that those of its files do not. */
  readonly config?: ConfigChange
  /** Where its layers are others than those of its files. */
  readonly origins?: LayerOrigins
  /** The id that a stored model has on a hub, as its path shows it. */
  readonly hub?: string
}

/** Which layers a model with layers in another order or number is made of. */
export interface LayerOrigins {
  /** What the names of its layers have before the number. */
  readonly path: string
  /** The number that each layer has in the file that it is from, in the order of the layers. */
  readonly numbers: readonly number[]
}

/** A mask: one boolean per parameter of the tensors it knows. */
export interface MaskValue {
  readonly kind: 'mask'
  readonly label: string
  readonly shapes: ReadonlyMap<string, readonly number[]>
  mask(name: string): Mask
  /**
   * The value of all elements of a tensor's mask, where it is a constant; undefined where they may differ. Says exactly
   * what {@link mask} would show, and builds that only where nothing else tells.
   */
  constant(name: string): boolean | undefined
  /** As of a model. */
  readonly shares?: boolean
}

/** One number for each tensor it knows (the node packs call it a layer gradient). */
export interface WeightsValue {
  readonly kind: 'weights'
  readonly label: string
  readonly numbers: ReadonlyMap<string, number>
}

/** A LoRA or one of its relatives. What its tensors mean depends on the model that it is applied to. */
export interface AdapterValue {
  readonly kind: 'adapter'
  readonly label: string
  readonly file: AdapterFile
  /** What the recipe says its scale comes from; undefined where the adapter says so itself. */
  readonly alpha: number | undefined
  /** The tensors of one that a step makes; those of `file` have no numbers then. */
  readonly made?: Pick<ModelValue, 'tensors' | 'tensor'>
}

/** The numbers that a report needs of one tensor, or of an expression of its size. */
export interface Measured {
  readonly tensor: string
  readonly size: number
  readonly scalars: Readonly<Record<string, Scalar>>
  readonly tallies?: Readonly<Record<string, Tally>>
}

/** What {@link Measured} came to, under the same names. */
export interface Figures {
  readonly scalars: Readonly<Record<string, number>>
  readonly tallies: Readonly<Record<string, Float64Array>>
}

/** Plain data, which can be fingerprinted. */
export type Shown = string | number | boolean | null | undefined | readonly Shown[] | { readonly [key: string]: Shown }

/** A report: what is to be measured, and how the figures, parallel to `measured`, become a document. */
export interface ReportValue {
  readonly kind: 'report'
  readonly label: string
  /** The operator that draws it, with its version. */
  readonly maker: string
  readonly measured: readonly Measured[]
  /**
   * Everything that `draw` uses besides the figures: two reports with equal makers, shown data and figures are equal.
   */
  shown(): Shown
  draw(figures: readonly Figures[]): ReportDocument
}

export type Value = ModelValue | MaskValue | WeightsValue | AdapterValue | ReportValue

/** A value as a step refers to it: which name, where in the recipe. */
export interface Reference<V extends Value = Value> {
  readonly value: V
  readonly at: Place
}
