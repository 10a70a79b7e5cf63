import { SCALE_OF_ONE } from '../architectures/adapters/scale.js'
import type { TensorInfo } from '../tensor/info.js'
import type { AdapterValue, Slot } from './value.js'
import type { Tensor } from '../graph/expression.js'

/** A tensor of an adapter that a step makes: what it is, and its numbers. */
export interface MadeTensor {
  readonly slot: Slot
  readonly tensor: () => Tensor
}

/** Stands where a stored tensor has its file. */
const NO_FILE = '\0made'

/**
 * An adapter that a step makes. Its tensors look stored, so that they are matched with models as those of files are;
 * `alphas` are the numbers of its scalars.
 */
export const makeAdapter = (
  label: string,
  made: readonly MadeTensor[],
  alphas: ReadonlyMap<string, number>,
  metadata: ReadonlyMap<string, string>,
): AdapterValue => {
  const byName = new Map(made.map((m) => [m.slot.name, m] as const))
  const tensors = new Map(
    made.map(({ slot: { name, dtype, shape } }): [string, TensorInfo] => [
      name,
      { name, dtype, shape, file: NO_FILE, begin: 0, end: 0 },
    ]),
  )
  const scalars = new Map(
    [...alphas].map(([name, alpha]) => [name, new Uint8Array(Float32Array.of(alpha).buffer)] as const),
  )
  return {
    kind: 'adapter',
    label,
    file: {
      path: NO_FILE,
      files: [],
      tensors,
      metadata: new Map([...metadata, SCALE_OF_ONE]),
      bytes: 0,
      sides: [],
      scalars,
      config: undefined,
    },
    alpha: undefined,
    made: {
      tensors: new Map(made.map(({ slot }) => [slot.name, slot] as const)),
      tensor: (name) => byName.get(name)!.tensor(),
    },
  }
}
