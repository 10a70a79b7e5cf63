import type { Tensor } from '../graph/expression.js'
import type { Graph } from '../graph/graph.js'
import { choice } from './params.js'

/** The paths from one tensor to another that operators offer as `method`, each with its formula. */
export const METHODS = {
  lerp: 'a straight line: `a + t(b − a)`',
  slerp: 'along the sphere: `(sin((1−t)θ)·a + sin(tθ)·b)/sin θ`, θ the angle between the whole tensors',
  cosine: 'a line with a soft start and end: `lerp` with `(1 − cos πt)/2`',
  cubic: 'a line with a soft start and end: `lerp` with `3t² − 2t³`',
  scaled_add: '`(a + t·b)/(1 + t)`: never leaves `a` entirely; `keep: 0` is the average',
} as const

/** One of {@link METHODS}. */
export type Method = keyof typeof METHODS

/** The parameter that chooses among them. */
export const methodParam = choice(METHODS, 'lerp', 'The path from the first model to the second, with `t = 1 − keep`.')

/** Above this |cos| two tensors count as parallel, and the sphere as flat; the value the merge tools share. */
const PARALLEL = 0.9995
/** Below this norm a tensor has no direction and is not normalised. */
const NO_DIRECTION = 1e-8

/** The point at `t` on the way from `a` (0) to `b` (1); both ends are exact copies, save that `scaled_add` never arrives. */
export const interpolate = (g: Graph, method: Method, a: Tensor, b: Tensor, t: number, shape: readonly number[]): Tensor => {
  switch (method) {
    case 'lerp': return lerp(g, a, b, t)
    case 'cosine': return lerp(g, a, b, (1 - Math.cos(Math.PI * t)) / 2)
    case 'cubic': return lerp(g, a, b, t * t * (3 - 2 * t))
    case 'scaled_add': return g.div(g.add(a, g.mul(b, t)), 1 + t)
    case 'slerp': return t === 0 || t === 1 || shape.length < 2 ? lerp(g, a, b, t) : slerp(g, a, b, t)
  }
}

const lerp = (g: Graph, a: Tensor, b: Tensor, t: number): Tensor => (t === 0 ? a : t === 1 ? b : g.add(a, g.mul(g.sub(b, a), t)))

/** A tensor without direction counts as at a right angle to everything, so the sine weights apply to it as well. */
const slerp = (g: Graph, a: Tensor, b: Tensor, t: number): Tensor => {
  const length = (x: Tensor) => {
    const norm = g.norm(x)
    return g.ifLess(norm, NO_DIRECTION, 1, norm)
  }
  const cos = g.div(g.dot(a, b), g.mul(length(a), length(b)))
  const angle = g.acos(cos)
  const share = (part: number) => g.ifLess(PARALLEL, g.abs(cos), part, g.div(g.sin(g.mul(angle, part)), g.sin(angle)))
  const [ofA, ofB] = [share(1 - t), share(t)]
  // As a step from `a`, whose second correction is exactly 0 on a line: equal tensors stay bit for bit what they are.
  return g.add(g.add(a, g.mul(g.sub(b, a), ofB)), g.mul(a, g.sub(g.add(ofA, ofB), 1)))
}
