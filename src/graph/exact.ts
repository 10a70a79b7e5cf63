import type { Operand, Tensor } from './expression.js'
import type { Graph } from './graph.js'

/** A result as it is rounded to float32, and what the rounding left off; not a number where float32 overflows. */
export interface Exact {
  readonly rounded: Tensor
  readonly rest: Operand
}

/** x + y without error; Knuth's TwoSum. */
export const addExactly = (g: Graph, x: Tensor, y: Tensor): Exact => {
  const rounded = g.add(x, y)
  const ofY = g.sub(rounded, x)
  return { rounded, rest: g.add(g.sub(x, g.sub(rounded, ofY)), g.sub(y, ofY)) }
}

/** Multiplied by this, a float32 shows its upper 12 bits; Veltkamp. */
const SPLIT = 2 ** 12 + 1

/** A number as two of 12 bits each, which two such products fill a float32 with; and what it has beyond float32. */
const parts = (factor: number): readonly [upper: number, lower: number, beyond: number] => {
  const single = Math.fround(factor)
  const shifted = Math.fround(SPLIT * single)
  const upper = Math.fround(shifted - Math.fround(shifted - single))
  return [upper, single - upper, factor - single]
}

const isPowerOfTwo = (x: number): boolean => Math.abs(x) === 2 ** Math.round(Math.log2(Math.abs(x)))

/**
 * x times a number of float64, with an error of 2⁻⁴⁶ of the product at most, unless the rest underflows; Dekker's
 * product.
 */
export const multiplyExactly = (g: Graph, x: Tensor, factor: number): Exact => {
  const rounded = g.mul(x, factor)
  if (isPowerOfTwo(factor)) return { rounded, rest: 0 }
  const shifted = g.mul(x, SPLIT)
  const upper = g.sub(shifted, g.sub(shifted, x))
  const lower = g.sub(x, upper)
  const [u, l, beyond] = parts(factor)
  const rest = g.add(g.add(g.add(g.sub(g.mul(upper, u), rounded), g.mul(upper, l)), g.mul(lower, u)), g.mul(lower, l))
  return { rounded, rest: g.add(rest, g.mul(x, beyond)) }
}
