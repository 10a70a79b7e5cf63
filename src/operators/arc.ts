import type { Numbers } from '../graph/expression.js'
import type { Graph } from '../graph/graph.js'

/** Below this norm a vector has no direction. */
const NO_DIRECTION = 1e-8

/** The norms of two vectors and their dot product; or those of each row or column. */
export interface Angle<N extends Numbers> {
  readonly norms: readonly [N, N]
  readonly dot: N
}

/** The cosine of the angle; 1 where one of the vectors has no direction, which counts as parallel to everything. */
export const cosOf = <N extends Numbers>(g: Graph, { norms: [one, other], dot }: Angle<N>): N =>
  g.combine<N>(
    'if-less',
    g.combine<N>('min', one, other),
    NO_DIRECTION,
    1,
    g.combine<N>('div', dot, g.combine<N>('mul', one, other)),
  )

/**
 * The factors `sin((1−t)θ)/sin θ` and `sin(tθ)/sin θ` by which two vectors are multiplied at `t` on the arc between
 * them. Above |cos θ| of `parallel` they are `1 − t` and `t`.
 */
export const arcShares = <N extends Numbers>(
  g: Graph,
  between: Angle<N>,
  t: number,
  parallel: number,
): readonly [N, N] => {
  const cos = cosOf(g, between)
  const angle = g.combine<N>('acos', cos)
  const share = (part: number): N => {
    const onArc = g.combine<N>('div', g.combine<N>('sin', g.combine<N>('mul', angle, part)), g.combine<N>('sin', angle))
    return g.combine<N>('if-less', parallel, g.combine<N>('abs', cos), part, onArc)
  }
  return [share(1 - t), share(t)]
}
