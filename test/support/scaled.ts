import { makeRandom } from '../safetensors/files.js'
import type { TensorValues } from './write-safetensors.js'

/** The finite numbers of F8_E4M3, from their fields. */
const EIGHT_BIT = Array.from({ length: 256 }, (_, code) => {
  const [sign, exponent, fraction] = [code & 0x80 ? -1 : 1, (code >> 3) & 15, code & 7]
  return sign * (exponent === 0 ? (fraction / 8) * 2 ** -6 : (1 + fraction / 8) * 2 ** (exponent - 7))
}).filter((_, code) => (code & 0x7f) !== 0x7f)

/** A weight with scales: what is stored, and the numbers that it means, in float64. */
export interface ScaledWeight {
  readonly stored: TensorValues
  readonly scale: TensorValues
  readonly meant: readonly number[]
}

/** How a scale is laid over a matrix. */
export type ScaleLayout = 'tensor' | 'row' | 'vector' | number

/** The block that an element of a matrix lies in, and how many there are. */
export const blocksOf = (
  rows: number,
  columns: number,
  layout: ScaleLayout,
): { readonly shape: readonly number[]; blockOf(i: number): number } => {
  if (layout === 'tensor') return { shape: [], blockOf: () => 0 }
  if (typeof layout === 'string')
    return { shape: layout === 'row' ? [rows, 1] : [rows], blockOf: (i) => Math.floor(i / columns) }
  const across = Math.ceil(columns / layout)
  return {
    shape: [Math.ceil(rows / layout), across],
    blockOf: (i) => Math.floor(Math.floor(i / columns) / layout) * across + Math.floor((i % columns) / layout),
  }
}

/** A matrix of any numbers of F8_E4M3, and scales around `size / 448`. */
export const scaledWeight = (
  seed: number,
  rows: number,
  columns: number,
  layout: ScaleLayout,
  { size = 1, dtype = 'F32' }: { readonly size?: number; readonly dtype?: 'F32' | 'BF16' | 'F8_E8M0' } = {},
): ScaledWeight => {
  const random = makeRandom(seed)
  const { shape, blockOf } = blocksOf(rows, columns, layout)
  const stored = Array.from({ length: rows * columns }, () => EIGHT_BIT[Math.floor(random() * EIGHT_BIT.length)]!)
  // Of BF16 and F8_E8M0 powers of two, which need no rounding.
  const codes = Array.from({ length: shape.reduce((n, d) => n * d, 1) }, () =>
    dtype === 'F32' ? Math.fround((size * (0.5 + random())) / 448) : 110 + Math.floor(random() * 10),
  )
  const factors = dtype === 'F32' ? codes : codes.map((code) => 2 ** (code - 127))
  return {
    stored: { dtype: 'F8_E4M3', shape: [rows, columns], values: stored },
    scale: { dtype, shape, values: dtype === 'F8_E8M0' ? codes : factors },
    meant: stored.map((x, i) => x * factors[blockOf(i)]!),
  }
}

/** Plain numbers in float32. */
export const plainWeight = (
  seed: number,
  shape: readonly number[],
  dtype: 'F32' | 'F16' | 'BF16' = 'F32',
): TensorValues => {
  const random = makeRandom(seed)
  return {
    dtype,
    shape,
    values: Array.from({ length: shape.reduce((n, d) => n * d, 1) }, () => Math.fround(random() - 0.5)),
  }
}

/** ‖x − y‖ / ‖y‖. */
export const distance = (x: readonly number[], y: readonly number[]): number =>
  Math.sqrt(x.reduce((sum, v, i) => sum + (v - y[i]!) ** 2, 0) / y.reduce((sum, v) => sum + v * v, 0))
