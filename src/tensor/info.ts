import type { Dtype } from './dtype.js'

/**
 * A tensor as its header describes it: everything but its numbers. Its bytes are `begin..end` of the file, from the
 * start of the file.
 */
export interface TensorInfo {
  readonly name: string
  readonly dtype: Dtype
  readonly shape: readonly number[]
  /** Absolute path of the safetensors file that holds the bytes. */
  readonly file: string
  readonly begin: number
  readonly end: number
  /** True for a cached mask, which is stored as bits: eight elements a byte, the lowest bit first. */
  readonly packed?: true
}

/** Number of elements of a shape; 1 for a scalar. */
export const sizeOf = (shape: readonly number[]): number => shape.reduce((n, d) => n * d, 1)
