import { geometricRange, infiniteScale } from '../base/catalogue/operators.js'
import type { Diagnostic, Place } from '../base/diagnostic.js'
import { geometricMean } from '../graph/elementary.js'
import type { Scalar, Tensor } from '../graph/expression.js'
import type { Graph } from '../graph/graph.js'
import { arcShares, cosOf, type Angle } from './arc.js'
import { choice } from './params.js'

/** The paths from one tensor to another that operators offer as `method`, each with its formula. */
export const METHODS = {
  lerp: 'a straight line: `a + t(b − a)`',
  slerp: 'along the sphere: `(sin((1−t)θ)·a + sin(tθ)·b)/sin θ`, θ the angle between the whole tensors',
  cosine: 'a line with a soft start and end: `lerp` with `(1 − cos πt)/2`',
  cubic: 'a line with a soft start and end: `lerp` with `3t² − 2t³`',
  geometric:
    'the weighted geometric mean: `|a|^(1−t)·|b|^t` with the sign of `a`, times `cos πt` where `b` has the other sign (the real part of the complex power); `keep` is 0 to 1',
  scaled_add: '`(a + t·b)/(1 + t)`: never leaves `a` entirely; `keep: 0` is the average',
  slice:
    'of a matrix of n columns, those left of `⌊n·keep⌋` from `a` and the others from `b`, with a linear seam of `⌊n/20⌋` columns on both sides; other tensors keep `a`',
  cyclic:
    'of a matrix, `a` with a window of `⌊n/10⌋` columns of `b` between seams of `2⌊n/20⌋`, that begins at column `⌊n·keep⌋ − ⌊n/20⌋` and is cut off at the edge; other tensors keep `a`',
  gradient:
    'of a matrix, the share of `b` rises from 0 at the first column to 0.9 at column `⌊n·keep⌋` and falls again; other tensors keep `a`',
} as const

/** One of {@link METHODS}. */
export type Method = keyof typeof METHODS

/** The parameter that chooses among them. */
export const methodParam = choice(METHODS, 'lerp', 'The path from the first model to the second, with `t = 1 − keep`.')

/** Why a method cannot be used with a `keep`. */
export const methodProblem = (method: Method, keep: number, at: Place): Diagnostic | undefined => {
  if (method === 'scaled_add' && keep === 2) return infiniteScale(at)
  return method === 'geometric' && (keep < 0 || keep > 1) ? geometricRange(at, keep) : undefined
}

/** What becomes of the norm when `slerp` turns one tensor into another. */
const NORM = {
  free: 'it follows from the two tensors, which are not brought to unit length first, as in mergekit and the ComfyUI node pack',
  interpolate: 'it moves from `‖a‖` to `‖b‖` by itself, along a straight line, as in sd-mecha',
} as const

/** What `slerp` does with vectors, which are biases and scales. */
const VECTORS = {
  lerp: 'they move along a straight line, as in the ComfyUI node pack',
  slerp: 'they turn like matrices, as in mergekit and sd-mecha',
} as const

/** What can be chosen about `slerp`. */
export interface Turning {
  readonly norm: keyof typeof NORM
  readonly vectors: keyof typeof VECTORS
}

/** The parameters that choose it, and their defaults. */
export const turningParams = {
  norm: choice(NORM, 'free', 'The norm of the result of `slerp`.'),
  vectors: choice(VECTORS, 'lerp', 'What `slerp` does with vectors (biases, norms).'),
}

/** How `slerp` turns where nothing is chosen. */
export const TURNING: Turning = { norm: turningParams.norm.default, vectors: turningParams.vectors.default }

/**
 * Above this |cos| two tensors count as parallel, and the sphere as flat. 0.9995 is the value that mergekit and the node
 * pack share. sd-mecha has none: above the other, arc and line are the same to the precision of float32.
 */
const PARALLEL = { free: 0.9995, interpolate: 1 - 1e-6 } as const

/**
 * The point at `t = 1 − keep` on the way from `a` (0) to `b` (1). Both ends are exact copies, save that `scaled_add`
 * and `cyclic` never arrive, and `gradient` begins and ends between the two.
 */
export const interpolate = (
  g: Graph,
  method: Method,
  a: Tensor,
  b: Tensor,
  keep: number,
  shape: readonly number[],
  { norm, vectors }: Turning = TURNING,
): Tensor => {
  const t = 1 - keep
  switch (method) {
    case 'lerp':
      return lerp(g, a, b, t)
    case 'cosine':
      return lerp(g, a, b, (1 - Math.cos(Math.PI * t)) / 2)
    case 'cubic':
      return lerp(g, a, b, t * t * (3 - 2 * t))
    case 'geometric':
      return geometric(g, a, b, t)
    case 'scaled_add':
      return g.div(g.add(a, g.mul(b, t)), 1 + t)
    case 'slice':
    case 'cyclic':
    case 'gradient':
      return shape.length === 2 ? blendBy(g, a, b, COLUMNS[method](g, shape[1]!, keep)) : a
    case 'slerp':
      return t === 0 || t === 1 || (shape.length < 2 && vectors === 'lerp') ? lerp(g, a, b, t) : slerp(g, a, b, t, norm)
  }
}

/** `a + t(b − a)`; an exact copy at both ends. */
export const lerp = (g: Graph, a: Tensor, b: Tensor, t: number): Tensor =>
  t === 0 ? a : t === 1 ? b : g.add(a, g.mul(g.sub(b, a), t))

/** `a` itself wherever the two are equal: a power of it would be rounded. */
const geometric = (g: Graph, a: Tensor, b: Tensor, t: number): Tensor => {
  if (t === 0 || t === 1) return t === 0 ? a : b
  const [belowA, belowB] = [g.compare('less', a, 0), g.compare('less', b, 0)]
  // As a sine it is exactly 0 at ½.
  const turn = g.choose(g.xor(belowA, belowB), Math.sin(Math.PI * (0.5 - t)), 1)
  const mean = g.mul(geometricMean(g, g.abs(a), g.abs(b), t), turn)
  return g.choose(g.compare('equal', a, b), a, g.choose(belowA, g.neg(mean), mean))
}

/** The share of `b` in each column of a matrix with `n` columns. */
type Columns = (g: Graph, n: number, keep: number) => Tensor

const columnAt = (keep: number, n: number): number => Math.min(n, Math.max(0, Math.floor(n * keep)))
/** Columns that a seam takes on each side. */
const seamOf = (n: number): number => Math.floor(n / 20)
const column = (g: Graph, n: number): Tensor => g.position(1, n)
/** 0 up to column `from`, 1 from column `to` on, and a line between. */
const ramp = (g: Graph, n: number, from: number, to: number): Tensor =>
  from === to
    ? g.choose(g.compare('less', column(g, n), from), 0, 1)
    : g.min(g.max(g.div(g.sub(column(g, n), from), to - from), 0), 1)

const COLUMNS: Readonly<Record<'slice' | 'cyclic' | 'gradient', Columns>> = {
  slice: (g, n, keep) => {
    if (keep <= 0 || keep >= 1) return g.fill(keep <= 0 ? 1 : 0)
    const [cut, seam] = [columnAt(keep, n), seamOf(n)]
    return ramp(g, n, cut - seam, cut + seam)
  },
  cyclic: (g, n, keep) => {
    if (keep >= 1) return g.fill(0)
    const seam = seamOf(n)
    const start = columnAt(keep, n) - seam
    const end = start + 4 * seam + Math.floor(n / 10)
    return g.min(ramp(g, n, start, start + 2 * seam), g.sub(1, ramp(g, n, end - 2 * seam, end)))
  },
  gradient: (g, n, keep) => {
    const peak = columnAt(keep, n)
    const rising = peak === 0 ? g.fill(0) : g.mul(column(g, n), 0.9 / peak)
    const falling = peak === n ? g.fill(0) : g.mul(g.sub(n - 1, column(g, n)), 0.9 / (n - peak))
    return g.choose(g.compare('less', column(g, n), peak), rising, falling)
  },
}

/** Where the share is 1 the number is `b`'s as it is, not by way of a difference that rounds. */
export const blendBy = (g: Graph, a: Tensor, b: Tensor, share: Tensor): Tensor =>
  g.choose(g.compare('greater-equal', share, 1), b, g.add(a, g.mul(g.sub(b, a), share)))

const slerp = (g: Graph, a: Tensor, b: Tensor, t: number, norm: Turning['norm']): Tensor => {
  const between: Angle<Scalar> = { norms: [g.norm(a), g.norm(b)], dot: g.dot(a, b) }
  const [turnA, turnB] = arcShares(g, between, t, PARALLEL[norm])
  const [normA, normB] = between.norms
  const length = g.add(normA, g.mul(g.sub(normB, normA), t))
  const share = (part: number, turned: Scalar, own: Scalar): Scalar =>
    norm === 'free'
      ? turned
      : g.ifLess(PARALLEL[norm], g.abs(cosOf(g, between)), part, g.mul(turned, g.div(length, own)))
  const [ofA, ofB] = [share(1 - t, turnA, normA), share(t, turnB, normB)]
  // As a step from `a`, whose second correction is exactly 0 on a line: equal tensors stay bit for bit what they are.
  return g.add(g.add(a, g.mul(g.sub(b, a), ofB)), g.mul(a, g.sub(g.add(ofA, ofB), 1)))
}
