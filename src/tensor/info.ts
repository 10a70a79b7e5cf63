import type { Dtype } from './dtype.js'

/**
 * What a header tells of a tensor: everything but its numbers. Bytes are `begin..end` of the file named, from its
 * start.
 */
export interface TensorInfo {
  readonly name: string
  readonly dtype: Dtype
  readonly shape: readonly number[]
  /** Absolute path of the safetensors file that holds the bytes. */
  readonly file: string
  readonly begin: number
  readonly end: number
  /**
   * True for a mask that an earlier build kept, which lies in no model: eight elements a byte, the lowest bit first.
   */
  readonly packed?: true
}

/** Number of elements of a shape; 1 for a scalar. */
export const sizeOf = (shape: readonly number[]): number => shape.reduce((n, d) => n * d, 1)
