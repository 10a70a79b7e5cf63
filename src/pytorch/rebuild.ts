import type { TensorReason } from '../base/catalogue/pytorch.js'
import type { Dtype } from '../tensor/dtype.js'
import { DTYPES } from '../tensor/dtype.js'
import type { Rebuild } from './globals.js'
import { isA, NO_ENTRIES, type PickleObject, type PickleValue, type StorageRef, type TensorRef } from './values.js'

/** Dimensions that PyTorch can hold. */
const MOST_DIMENSIONS = 64

type GlobalRef = Extract<PickleObject, { readonly type: 'global' }>
type Items = readonly (PickleValue | undefined)[]

/** What a known name makes of its arguments; a text says why there is none. */
export const reduce = ({ is }: GlobalRef, args: Items): PickleObject | TensorReason => {
  switch (is.type) {
    case 'ordered-dict':
      return orderedDict(args)
    case 'rebuild':
      return rebuild(is.how, args)
    case 'opaque':
      return { type: 'opaque' }
    default:
      return 'not-callable'
  }
}

/** An `OrderedDict`, empty or of a list of pairs, as Python 2 wrote it. */
const orderedDict = ([pairs, more]: Items): PickleObject | TensorReason => {
  if (more !== undefined || (pairs !== undefined && !isA(pairs, 'list'))) return 'bad-arguments'
  const entries = pairs === undefined ? NO_ENTRIES : new Map<PickleValue, PickleValue>()
  for (const pair of pairs?.items ?? []) {
    if ((!isA(pair, 'list') && !isA(pair, 'tuple')) || pair.items.length !== 2) return 'bad-arguments'
    entries.set(pair.items[0]!, pair.items[1]!)
  }
  return { type: 'dict', entries, ordered: true }
}

const rebuild = (how: Rebuild, args: Items): PickleObject | TensorReason => {
  const [first, second, third] = args
  switch (how) {
    case 'tensor':
      return args.length === 4 ? tensor(args) : 'bad-arguments'
    case 'tensor-2':
      return args.length === 6 || args.length === 7 ? tensor(args, undefined, args[6]) : 'bad-arguments'
    case 'tensor-3':
      if (args.length !== 7 && args.length !== 8) return 'bad-arguments'
      return isA(args[6], 'global') && args[6].is.type === 'dtype' && args[6].is.dtype !== undefined
        ? tensor(args, args[6].is.dtype, args[7])
        : 'unknown-dtype'
    case 'parameter':
      return isA(first, 'tensor') ? first : 'bad-arguments'
    case 'typed':
      return isA(first, 'global') &&
        first.is.type === 'rebuild' &&
        first.is.how !== 'typed' &&
        isA(second, 'global') &&
        isA(third, 'tuple')
        ? rebuild(first.is.how, third.items)
        : 'bad-arguments'
  }
}

const integers = (value: PickleValue | undefined): readonly number[] | undefined =>
  isA(value, 'tuple') && value.items.length <= MOST_DIMENSIONS && value.items.every(isCount)
    ? (value.items as readonly number[])
    : undefined

const isCount = (value: PickleValue | undefined): value is number => Number.isSafeInteger(value) && Number(value) >= 0

/** A view of a storage; whether it stays inside is known when the storage is found. */
const tensor = (
  [storage, offset, size, stride]: Items,
  given?: Dtype,
  metadata?: PickleValue,
): TensorRef | TensorReason => {
  const [shape, strides] = [integers(size), integers(stride)]
  if (!isA(storage, 'storage') || !isCount(offset) || shape === undefined || strides === undefined)
    return 'bad-arguments'
  if (shape.length !== strides.length) return 'bad-arguments'
  const dtype = given ?? storage.dtype
  if (dtype === undefined || (given !== undefined && storage.dtype !== undefined)) return 'unknown-dtype'
  // Marks of a tensor that its numbers are stored negated or conjugated.
  if (isA(metadata, 'dict') && [...metadata.entries.values()].some((marked) => marked !== false)) return 'conjugate'
  return { type: 'tensor', storage, dtype, shape, strides, offset }
}

/** The storage that a persistent id names: `('storage', class, key, device, length)`. Undefined for anything else. */
export const loadStorage = (id: Items): StorageRef | undefined => {
  const [word, storage, key, device, length] = id
  return id.length === 5 &&
    word === 'storage' &&
    isA(storage, 'global') &&
    storage.is.type === 'storage' &&
    typeof key === 'string' &&
    typeof device === 'string' &&
    isCount(length)
    ? { type: 'storage', key, dtype: storage.is.dtype, length }
    : undefined
}

/** Bytes of an element as it is stored. */
export const widthOf = (dtype: Dtype): number => DTYPES[dtype].bits / 8

/** Whether the elements lie one after another in the order of their indexes. */
export const isContiguous = ({ shape, strides }: Pick<TensorRef, 'shape' | 'strides'>): boolean => {
  let expected = 1
  if (shape.includes(0)) return true
  for (let i = shape.length - 1; i >= 0; i--) {
    if (shape[i] !== 1 && strides[i] !== expected) return false
    expected *= shape[i]!
  }
  return true
}
