import { SCALE_OF_ONE } from '../architectures/adapters/scale.js'
import { peftConfigOf, type PeftFacts, type ScaledModule } from '../architectures/adapters/write-peft-config.js'
import type { TensorInfo } from '../tensor/info.js'
import type { AdapterValue, Slot } from './value.js'
import type { Tensor } from '../graph/expression.js'

/** A tensor of an adapter that a step makes: what it is, and its numbers. */
export interface MadeTensor {
  readonly slot: Slot
  readonly tensor: () => Tensor
  /** The tensor of a file that it is, where it has only another name: it is read from there. */
  readonly stored?: TensorInfo
}

/** An adapter that a step makes. */
export interface Making {
  readonly label: string
  readonly tensors: readonly MadeTensor[]
  /** The numbers of its scalars, by their names. */
  readonly alphas: ReadonlyMap<string, number>
  readonly metadata: ReadonlyMap<string, string>
  /** The modules with factors, each with what its product is multiplied by. */
  readonly modules: readonly ScaledModule[]
  readonly peft: PeftFacts
}

/** Stands where a stored tensor has its file. */
const NO_FILE = '\0made'

/** True for a tensor of an adapter that a step computes; others have their numbers in a file. */
export const isComputed = ({ file }: Pick<TensorInfo, 'file'>): boolean => file === NO_FILE

/**
 * An adapter that a step makes. Its tensors look stored, so that they are matched with models as those of files are. In
 * PEFT's names it has a config, as if that stood beside it.
 */
export const makeAdapter = ({ label, tensors: made, alphas, metadata, modules, peft }: Making): AdapterValue => {
  const byName = new Map(made.map((m) => [m.slot.name, m] as const))
  const tensors = new Map(
    made.map(({ slot: { name, dtype, shape }, stored }): [string, TensorInfo] => [
      name,
      stored ?? { name, dtype, shape, file: NO_FILE, begin: 0, end: 0 },
    ]),
  )
  const scalars = new Map(
    [...alphas].map(([name, alpha]) => [name, new Uint8Array(Float32Array.of(alpha).buffer)] as const),
  )
  const config = peftConfigOf(modules, peft)
  const unscaled = config === undefined || modules.every(({ scale }) => scale === 1)
  return {
    kind: 'adapter',
    label,
    file: {
      path: NO_FILE,
      files: [],
      tensors,
      metadata: new Map([...metadata, ...(unscaled ? [SCALE_OF_ONE] : [])]),
      bytes: 0,
      sides: [],
      scalars,
      config,
    },
    alpha: undefined,
    made: {
      tensors: new Map(made.map(({ slot }) => [slot.name, slot] as const)),
      tensor: (name) => byName.get(name)!.tensor(),
    },
  }
}
