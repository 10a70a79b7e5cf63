import type { ArchitectureMismatch } from '../../base/catalogue/adapters.js'
import type { Place } from '../../base/diagnostic.js'
import type { Dtype } from '../../tensor/dtype.js'
import type { TensorInfo } from '../../tensor/info.js'
import type { OftSettings } from './oft-settings.js'
import type { ScaleOf } from './scale.js'

/** What is needed to make patches from an adapter's modules. */
export interface PatchContext {
  /** What messages call the adapter and the model. */
  readonly adapter: string
  readonly model: string
  readonly at: Place
  readonly tensors: ReadonlyMap<string, { readonly shape: readonly number[]; readonly dtype: Dtype }>
  readonly scaleOf: ScaleOf
  /** The number that a scalar of the adapter holds; NaN where it is no single number. */
  readonly numberOf: (scalar: TensorInfo) => number
  /** True for a weight whose rows are the inputs of its layer, which has so many outputs and inputs by its factors. */
  readonly inputsFirst: (weight: string, sides: readonly [number, number] | undefined) => boolean
  /** Whether (IA)³ multiplies the inputs of a module; undefined where no config says so. */
  readonly onInputs: (module: string) => boolean | undefined
  /** Parameters that are no layers' weights, by the ends of their names. */
  readonly parameters: readonly string[]
  /** How OFT of PEFT computes its turns; undefined where no config says so. */
  readonly oft: OftSettings | undefined
  readonly architectureMismatch: ArchitectureMismatch | undefined
}
