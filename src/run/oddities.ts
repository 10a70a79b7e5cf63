import { copiedNonFinite, oddPositions } from '../base/catalogue/run.js'
import type { Diagnostic } from '../base/diagnostic.js'
import { decode } from '../kernels/convert.js'
import type { Dtype } from '../tensor/dtype.js'

/**
 * What is odd about numbers that were copied as they are: not wrong enough to refuse them, since smelt did not make
 * them.
 */
export type Oddity = 'non-finite' | 'positions'

/** Gathers what is odd about the tensors of each output, in order to tell it once. */
export interface Oddities {
  add(path: string, tensor: string, oddity: Oddity): void
  has(path: string, tensor: string, oddity: Oddity): boolean
  all(): Diagnostic[]
}

const WARNINGS: Readonly<Record<Oddity, (path: string, tensors: readonly string[]) => Diagnostic>> = {
  'non-finite': copiedNonFinite,
  positions: oddPositions,
}

/** Starts gathering. What it tells is in order of name, whatever order the workers found it in. */
export const gatherOddities = (): Oddities => {
  const found = new Map<string, { readonly path: string; readonly oddity: Oddity; readonly tensors: Set<string> }>()
  const keyOf = (path: string, oddity: Oddity): string => `${oddity}\0${path}`
  return {
    has: (path, tensor, oddity) => found.get(keyOf(path, oddity))?.tensors.has(tensor) === true,
    add: (path, tensor, oddity) => {
      const key = keyOf(path, oddity)
      const known = found.get(key) ?? { path, oddity, tensors: new Set<string>() }
      known.tensors.add(tensor)
      found.set(key, known)
    },
    all: () =>
      [...found]
        .sort(([x], [y]) => (x < y ? -1 : 1))
        .map(([, { path, oddity, tensors }]) => WARNINGS[oddity](path, [...tensors].sort())),
  }
}

/** Numbers of the dtypes that positions are stored in; undefined for others. */
const numbersOf = (dtype: Dtype, bytes: Uint8Array): ArrayLike<number | bigint> | undefined => {
  const { buffer } = Uint8Array.from(bytes)
  switch (dtype) {
    case 'I64':
      return new BigInt64Array(buffer)
    case 'I32':
      return new Int32Array(buffer)
    case 'F64':
      return new Float64Array(buffer)
    case 'F32':
      return new Float32Array(buffer)
    case 'F16':
    case 'BF16':
      return decode(dtype, new Uint16Array(buffer))
    default:
      return undefined
  }
}

/** True for a tensor by whose numbers programs find the place of a token. */
export const holdsPositions = (tensor: string): boolean => /(?:^|\.)position_ids$/.test(tensor)

/**
 * True where stored numbers, from the first of a tensor on, count 0, 1, 2, … (or are of a dtype that cannot be looked
 * at); each row may begin anew.
 */
export const countsUp = (dtype: Dtype, bytes: Uint8Array): boolean => {
  const numbers = numbersOf(dtype, bytes)
  if (numbers === undefined) return true
  for (let i = 0; i < numbers.length; i++) {
    const number = Number(numbers[i])
    if (number !== 0 && (i === 0 || number !== Number(numbers[i - 1]) + 1)) return false
  }
  return true
}
