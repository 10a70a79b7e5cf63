/**
 * Methods whose result is a sum of models, each times a coefficient: two passes over the numbers, one for the dot
 * products of all pairs, one for the sum; what lies between is a function of the dot products.
 *
 * Models are told as the first and the differences of the others from it. Models that are nearly equal have differences
 * that are exact, so no digits cancel; and equal models give a sum that is bit for bit the first.
 */
import { tooManyModels } from '../base/catalogue/operators.js'
import type { Diagnostic, Place } from '../base/diagnostic.js'
import type { Scalar, Tensor } from '../graph/expression.js'
import type { Graph } from '../graph/graph.js'
import { addAll } from './add-all.js'
import type { Subject } from './definition.js'
import { proportionsOf, weightSumProblem } from './weight-sum.js'

/** Models whose dot products are measured in pairs; more would be thousands of sums in one pass. */
const MOST_MODELS = 64

/** Why so many models cannot be measured in pairs. */
export const pairsProblem = (at: Place, count: number): Diagnostic | undefined =>
  count > MOST_MODELS ? tooManyModels(at, count, MOST_MODELS) : undefined

/** Models that count, and their weights. */
export interface Weighed {
  readonly tensors: readonly Tensor[]
  readonly weights: readonly number[]
}

/** The models whose weight is not 0, and their weights, divided by the sum if `normalize`. */
export const weigh = (
  models: readonly { readonly x: Tensor; readonly weight: number }[],
  normalize: boolean,
  subject: Subject,
): Weighed | Diagnostic => {
  const present = models.filter(({ weight }) => weight !== 0)
  const given = present.map(({ weight }) => weight)
  const { weights, sum } = normalize ? proportionsOf(given) : { weights: given, sum: 1 }
  return (
    pairsProblem(subject.at('models'), present.length) ??
    weightSumProblem(subject, sum) ?? {
      tensors: present.map(({ x }) => x),
      weights: weights.map((w) => w / sum),
    }
  )
}

/** The difference of each model but the first from the first. */
export const differencesOf = (g: Graph, [first, ...others]: readonly Tensor[]): readonly Tensor[] =>
  others.map((x) => g.sub(x, first!))

/** The dot products of all pairs of vectors, each pair once: of the first with all, of the second with the rest, … */
export const pairDots = (g: Graph, vectors: readonly Tensor[]): readonly Scalar[] =>
  vectors.flatMap((x, i) => vectors.slice(i).map((y) => g.dot(x, y)))

/** `origin + Σ cᵢvᵢ`. */
export const addVectors = (
  g: Graph,
  origin: Tensor,
  vectors: readonly Tensor[],
  coefficients: readonly Scalar[],
): Tensor =>
  g.add(
    origin,
    addAll(
      g,
      vectors.map((v, i) => g.mul(v, coefficients[i]!)),
    ),
  )
