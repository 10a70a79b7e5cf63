import type { Tensor } from './expression.js'
import type { Graph } from './graph.js'

/**
 * Elementary functions of elements, made of the operations of IEEE 754 alone, so that every machine and device gives
 * the same bits.
 */

/** 2⁻ᵘ, for −1 ≤ u ≤ 1: within 1.2e-8 of its size, and exact at −1, 0 and 1 in float32. */
const POWER = [
  1, -0.6931472165936006, 0.24022672884290636, -0.055503795031179734, 0.009616720003781928, -0.001333949090700684,
  0.00015653663596687517, -1.5030574066945968e-5,
]
/** log₂((1 + s)/(1 − s)) = s·q(s²), for |s| ≤ (√2 − 1)/(√2 + 1): within 7e-10 of its size. */
const LOGARITHM = [2.8853900797900605, 0.9617988473397101, 0.5767144040967561, 0.43173549599242594]
/** sin πv = v·q(v²), for |v| ≤ ½: within 5.4e-9 of its size. */
const SINE = [3.141592636904766, -5.167709685258204, 2.550069732548416, -0.5982421579377517, 0.07756044069256282]
/** tanh x = x·q(x²), for |x| ≤ 0.55: within 1e-9 of its size. */
const TANGENT = [
  0.9999999990548011, -0.3333331079774218, 0.1333245653632913, -0.0538423192411439, 0.021038214795219924,
  -0.006233633483986033,
]

/** c₀ + c₁x + c₂x² + … */
const polynomial = (g: Graph, x: Tensor, coefficients: readonly number[]): Tensor =>
  coefficients.toReversed().reduce<Tensor>((sum, c) => g.add(g.mul(sum, x), c), g.fill(0))

/** Below 2⁻¹⁶⁰ everything is 0. */
const LEAST_POWER = -160

/** 2ˣ for x ≤ 0, within 2 ulp; exact for whole numbers, and 0 for −∞. */
export const exp2 = (g: Graph, x: Tensor): Tensor => {
  const size = g.abs(g.max(x, LEAST_POWER))
  const half = g.round(g.mul(size, 0.5))
  // 2⁻²ʰ is no float32 where the result is subnormal, but its root is.
  const root = g.twoTo(g.neg(half))
  return g.mul(g.mul(polynomial(g, g.sub(size, g.mul(half, 2)), POWER), root), root)
}

/** Below it, numbers are multiplied by 2³², so that none is subnormal. The bound itself is none: comparing would be slow. */
const LEAST_NORMAL = 2 ** -125

/** log₂x for 0 ≤ x ≤ 1, within 3 ulp; exact for powers of two, and −∞ for 0. */
export const log2 = (g: Graph, x: Tensor): Tensor => {
  const normal = g.compare('greater-equal', x, LEAST_NORMAL)
  const large = g.choose(normal, x, g.mul(x, 2 ** 32))
  const exponent = g.sub(g.exponent(large), g.choose(normal, 0, 32))
  const near = g.mantissa(large)
  const s = g.div(g.sub(near, 1), g.add(near, 1))
  const logarithm = g.add(exponent, g.mul(s, polynomial(g, g.mul(s, s), LOGARITHM)))
  // Of NaN the exponent is a number.
  return g.choose(g.compare('greater', x, 0), logarithm, g.sub(x, Infinity))
}

/** cos πx for |x| ≤ `most`, within 2⁻²¹; exact for multiples of ½. */
export const cosPi = (g: Graph, x: Tensor, most: number): Tensor => {
  const size = g.abs(x)
  const angle = most < 2 ? size : g.abs(g.sub(size, g.mul(g.round(g.mul(size, 0.5)), 2)))
  const v = g.sub(0.5, most < 2 ? g.min(angle, g.sub(2, angle)) : angle)
  return g.mul(v, polynomial(g, g.mul(v, v), SINE))
}

/** tanh x, within 3 ulp. */
export const tanh = (g: Graph, x: Tensor): Tensor => {
  const size = g.abs(x)
  const near = g.mul(x, polynomial(g, g.mul(x, x), TANGENT))
  const power = exp2(g, g.mul(size, -2 * Math.LOG2E))
  const far = g.mul(g.div(g.sub(1, power), g.add(1, power)), g.sign(x))
  return g.choose(g.compare('less', size, 0.55), near, far)
}

/** Square roots after which no float32 but 0 is below 2^(−149/128). */
const ROOTS = 7
/** log₂((1 + s)/(1 − s)) = s·q(s²), for numbers from 2^(−149/128) on, (1 + s)/(1 − s) ≤ 1: within 6e-10 of its size. */
const LOGARITHM_OF_ROOT = [
  2.885390080096614, 0.9617975077709591, 0.5770144357802316, 0.4140012587162555, 0.29785999370050253,
  0.3892433556468566,
]
/** 2⁻ᵘ, for 0 ≤ u ≤ 149/128: within 6e-9 of its size, and exact at 0. */
const POWER_OF_ROOT = [
  1, -0.6931468953833941, 0.2402220386649508, -0.05548029072542144, 0.009558625279167695, -0.0012564171931477967,
  0.00010294165215464802,
]

/**
 * xᵗ for 0 < x ≤ 1 and 0 < t < 1, within 6 ulp: the product of a square root, a fourth root, … for each of the first
 * binary places of t that is 1, and what the rest of t makes of the last root. Exact for 1.
 */
const powerOf = (g: Graph, x: Tensor, t: number): Tensor => {
  let [root, rest] = [x, t]
  const factors: Tensor[] = []
  for (let i = 0; i < ROOTS && rest > 0; i++) {
    root = g.sqrt(root)
    rest *= 2
    if (rest >= 1) {
      factors.push(root)
      rest -= 1
    }
  }
  if (rest > 0) {
    const s = g.div(g.sub(root, 1), g.add(root, 1))
    const logarithm = g.mul(s, polynomial(g, g.mul(s, s), LOGARITHM_OF_ROOT))
    factors.push(polynomial(g, g.abs(g.mul(logarithm, rest)), POWER_OF_ROOT))
  }
  // The nearest to 1 first, whose rounding is the least.
  return factors.reduceRight((product, factor) => g.mul(product, factor))
}

/**
 * x¹⁻ᵗ·yᵗ, the weighted geometric mean, for x, y ≥ 0 and 0 ≤ t ≤ 1, within 6 ulp where their quotient is no subnormal
 * number. As the greater of the two times a power of the quotient, or the lesser divided by it: exact where they are
 * equal, and nearly so where they are close.
 */
export const geometricMean = (g: Graph, x: Tensor, y: Tensor, t: number): Tensor => {
  if (Math.fround(t) === 0) return x
  if (Math.fround(1 - t) === 0) return y
  const [lesser, greater] = [g.min(x, y), g.max(x, y)]
  const quotient = g.div(lesser, greater)
  const power = powerOf(g, quotient, Math.min(t, 1 - t))
  const [fromGreater, fromLesser] = [g.mul(greater, power), g.div(lesser, power)]
  // The power is that of the one with the lesser share.
  const mean =
    t === 0.5
      ? fromGreater
      : g.choose(g.compare('greater', x, y), t < 0.5 ? fromGreater : fromLesser, t < 0.5 ? fromLesser : fromGreater)
  return g.choose(
    g.compare('equal', greater, 0),
    0,
    g.choose(g.compare('equal', quotient, 0), g.mul(greater, quotient), mean),
  )
}
