import type { Dtype } from '../tensor/dtype.js'
import type { Global } from './globals.js'

/** What a pickle builds, as far as a state dict needs it; everything else is `opaque`, and empty. */
export type PickleValue = null | boolean | number | bigint | string | PickleObject

/** A value with an identity: it may stand in several places, and contain itself. */
export type PickleObject =
  | Opaque
  | PickleDict
  | Tuple
  | List
  | StorageRef
  | TensorRef
  | { readonly type: 'global'; readonly name: string; readonly is: Global }

/** Something whose contents no state dict needs: bytes, a set, a version, a setting of a trainer. */
export interface Opaque {
  readonly type: 'opaque'
}

/** A dict in the order of its keys. Keys other than strings are kept apart by identity. */
export interface PickleDict {
  readonly type: 'dict'
  entries: Map<PickleValue, PickleValue>
  /** An `OrderedDict`, which may have attributes. */
  readonly ordered: boolean
}

/** The entries of every dict that has none: each tensor comes with such a dict. Never written to. */
export const NO_ENTRIES: Map<PickleValue, PickleValue> = new Map()

/** A tuple. */
export interface Tuple {
  readonly type: 'tuple'
  readonly items: readonly PickleValue[]
}

/** A list. */
export interface List {
  readonly type: 'list'
  readonly items: PickleValue[]
}

/** Numbers of one or several tensors: the file `data/KEY` of the archive. */
export interface StorageRef {
  readonly type: 'storage'
  readonly key: string
  /** Undefined where the storage is of bytes, and tensors say what they make of them. */
  readonly dtype: Dtype | undefined
  /** Elements; bytes where there is no dtype. */
  readonly length: number
}

/** A tensor as a view of a storage; offset and strides are in elements. */
export interface TensorRef {
  readonly type: 'tensor'
  readonly storage: StorageRef
  readonly dtype: Dtype
  readonly shape: readonly number[]
  readonly strides: readonly number[]
  readonly offset: number
}

/** Tells an object of a given type from every other value. */
export const isA = <T extends PickleObject['type']>(
  value: PickleValue | undefined,
  type: T,
): value is Extract<PickleObject, { readonly type: T }> =>
  typeof value === 'object' && value !== null && value.type === type
