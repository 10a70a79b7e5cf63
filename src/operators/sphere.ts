import type { ScalarFunction, Tensor } from '../graph/expression.js'
import type { Graph } from '../graph/graph.js'
import { linearSum, normIn, sumVectors, unitVector, type Coefficients } from './coefficients.js'
import { addVectors, differencesOf, pairDots, type Weighed } from './gram.js'

/** Below this share of the lengths involved, float32 holds no direction: what is left is rounding. */
const NO_DIRECTION = 2 ** -24
/** Weighted directions whose sum is shorter than this cancel out. */
const CANCELLED = 1e-8
/**
 * Unit vectors whose angle has a sine below this, beyond a right angle, are opposite: the sine of opposite ones is the
 * square root of the rounding of their chord.
 */
const OPPOSITE = 1e-6
/** A step shorter than this, in radians, ends an iteration. */
const SETTLED = 1e-13

/** A model as the sphere sees it. */
interface Member {
  readonly weight: number
  /** A vector of length 1; undefined for a tensor of zeros. */
  readonly unit: Coefficients | undefined
  readonly point: Coefficients
  readonly length: number
}

type Directed = Member & { readonly unit: Coefficients }
type Norm = (a: Coefficients) => number

const scale = (factor: number, a: Coefficients): Coefficients => a.map((x) => factor * x)

/** The vector from `u` along the sphere to another unit vector; 0 to the opposite one, to which all ways are equal. */
const pull = (norm: Norm, u: Coefficients, unit: Coefficients): Coefficients => {
  // By the chord, which keeps its digits between directions that are nearly equal, as their cosine does not.
  const apart = linearSum(1, unit, -1, u)
  const chord = norm(apart)
  const sine = chord * Math.sqrt(Math.max(0, 1 - (chord * chord) / 4))
  if (chord === 0 || (chord > 1 && sine < OPPOSITE)) return scale(0, u)
  const angle = 2 * Math.asin(Math.min(1, chord / 2))
  return scale(angle / sine, linearSum(1, apart, (chord * chord) / 2, u))
}

/** Moves a direction to where the arcs to all others balance, in at most so many steps. */
const balance = (norm: Norm, start: Coefficients, members: readonly Directed[], iterations: number): Coefficients => {
  const total = members.reduce((sum, { weight }) => sum + weight, 0)
  let u = start
  for (let i = 0; i < iterations; i++) {
    const step = scale(
      1 / total,
      sumVectors(u.length, members, ({ unit }) => pull(norm, u, unit)),
    )
    const length = norm(step)
    if (length <= SETTLED) return u
    const moved = linearSum(Math.cos(length), u, Math.sin(length) / length, step)
    u = scale(1 / norm(moved), moved)
  }
  return u
}

/** What the dot products of the first model and the differences of the others from it say of each model. */
const membersOf = (weights: readonly number[], norm: Norm): readonly Member[] => {
  const first = unitVector(weights.length, 0)
  return weights.map((weight, i) => {
    const own = unitVector(weights.length, i)
    const point = i === 0 ? first : linearSum(1, first, 1, own)
    const length = norm(point)
    const isZero = length <= NO_DIRECTION * Math.max(norm(first), norm(own))
    return { weight, point, length, unit: isZero ? undefined : scale(1 / length, point) }
  })
}

/**
 * The coefficients of a mean on the sphere, less the first model itself. Arguments: the most steps, a weight for each
 * model, and the dot products of the first and the differences of the others from it.
 */
const sphericalMeanOf: ScalarFunction = {
  name: 'spherical-mean',
  version: 2,
  evaluate: ([iterations = 0, ...numbers]) => {
    // k weights and k(k + 1)/2 dot products.
    const size = Math.round((Math.sqrt(9 + 8 * numbers.length) - 3) / 2)
    const norm = normIn(size, numbers.slice(size))
    const members = membersOf(numbers.slice(0, size), norm)
    const directed = members.filter((member): member is Directed => member.unit !== undefined)
    const sum = sumVectors(size, directed, ({ unit }) => unit)
    const length = norm(sum)
    const found =
      length <= CANCELLED * directed.reduce((all, { weight }) => all + Math.abs(weight), 0)
        ? sumVectors(size, members, ({ point }) => point)
        : scale(
            members.reduce((all, member) => all + member.weight * member.length, 0),
            balance(norm, scale(1 / length, sum), directed, iterations),
          )
    return linearSum(1, found, -1, unitVector(size, 0))
  },
}

/**
 * The mean direction of models, as long as their mean length, seen from a base or from zero: that of the weighted sum of
 * their unit vectors, moved in at most so many steps to where the arcs to all of them balance. Where the directions
 * cancel out, the weighted sum of the models themselves.
 */
export const sphericalMean = (
  g: Graph,
  { tensors, weights }: Weighed,
  base: Tensor | undefined,
  iterations: number,
): Tensor => {
  const [first] = tensors
  if (first === undefined) return base ?? g.fill(0)
  const vectors = [base === undefined ? first : g.sub(first, base), ...differencesOf(g, tensors)]
  const args = [iterations, ...weights, ...pairDots(g, vectors)]
  return addVectors(g, first, vectors, g.evaluate(sphericalMeanOf, args, tensors.length))
}
